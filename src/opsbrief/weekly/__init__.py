"""The digest of a week over many services: one job a service, on local workers or a Dask cluster.

The walk: a ledger of what was told before, a report for each service (``job``, run by ``fleet``), one
brief over all of them, a folder that replaces the one of the same period, a mail, and the ledger again.
Whoever is killed in between leaves the old folder or the new one, and can simply run it again.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from opsbrief import __version__, bundle, pipeline
from opsbrief.compose import service, weekly
from opsbrief.errors import ConfigError, Problem
from opsbrief.model.digest import (
    Digest,
    Period,
    Report,
    change_key,
    gap_key,
    pattern_key,
    release_key,
    shift_key,
)
from opsbrief.render import digest as document
from opsbrief.weekly import fleet, ledger
from opsbrief.weekly.job import Job

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from opsbrief.config import Config
    from opsbrief.model.brief import Brief

LOOK = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person or cron asked for."""

    services: tuple[str, ...] = ()  # empty: every configured one
    period: Period
    look: timedelta = LOOK
    formats: tuple[str, ...] = pipeline.USUAL
    out: Path | None = None
    timeout: float | None = None
    only_if_changed: bool = False
    workers: int = 0  # 0: one for each CPU
    scheduler: str = ""  # of Dask; empty: processes of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished digest; without a folder when nothing was news and nothing was to be written then."""

    digest: Digest
    brief: "Brief"
    folder: Path | None
    names: tuple[str, ...] = ()  # of the files in it

    @property
    def exit_code(self) -> int:
        """0 when every service was read whole, 1 when none could be read, 3 when something is missing."""
        reports = self.digest.reports
        if all(report.error for report in reports):
            return 1
        return 3 if any(report.error or report.missing for report in reports) else 0


def run(
    config: "Config", order: Order, book: Path, *, now: datetime, tell: Callable[[Report], None] | None = None
) -> Result:
    """Make the digest and write it; ``book`` is the ledger, whose lock the caller holds.

    ``tell`` hears of each service when it is done. The ledger is not changed: ``remember`` does that when
    everything else has gone well. Raises ConfigError, BundleError, OpsbriefError.
    """
    names = chosen(config, order.services)
    pipeline.known(order.formats)
    told, note = ledger.read(book)
    found: dict[str, Report] = {}
    with _pool(order, len(names)) as pool:
        for report in fleet.run(_jobs(config, order, names, now), pool):
            found[report.service] = report
            if tell:
                tell(report)
        digest = Digest(
            period=order.period,
            reports=tuple(found[one] for one in names),
            now=now.astimezone(UTC).replace(microsecond=0),
            version=__version__,
            told=told,
            notes=(note,) if note else (),
        )
        brief = weekly.compose(digest)
        if order.only_if_changed and not news(digest):
            return Result(digest=digest, brief=brief, folder=None)
        artifacts = [*pipeline.forms(brief, order.formats, pool.map), document.artifact(digest, brief)]
    artifacts.append(document.manifest(digest, artifacts))
    folder = bundle.write(order.out or Path(config.defaults.out), name(order), artifacts, config.secrets(), renew=True)
    return Result(digest=digest, brief=brief, folder=folder, names=tuple(one.name for one in artifacts))


def remember(result: Result, book: Path) -> None:
    """Write into the ledger what the digest has told; a release that is too young to judge is told again."""
    digest = result.digest
    told, _ = ledger.read(book)
    fresh = {report.service: _keys(digest, _settled(report)) for report in digest.reports if not report.error}
    ledger.write(book, ledger.add(told, fresh, digest.period.name))


def chosen(config: "Config", names: Sequence[str]) -> tuple[str, ...]:
    """Return the services that a digest is about, in the configured order. Raises ConfigError."""
    if not config.deploys:
        where = ", ".join(str(path) for path in config.files or config.searched)
        hint = "list a source that knows deploys, for example a deploylog or the tags of a git repository"
        raise ConfigError(Problem(where, "deploys", "no deploy log is configured, so no release is known", hint))
    for one in names:
        config.service(one)
    return tuple(one for one in config.services if not names or one in names) or ("",)


def name(order: Order) -> str:
    """Return the folder's name: the same for the same services and period, so that a second run replaces the first."""
    who = "-".join(sorted(order.services)).lower().replace("_", "-").replace(".", "-")
    return f"opsbrief-weekly-{who[:80]}{'-' if who else ''}{order.period.name}"


def news(digest: Digest) -> bool:
    """Return whether anything in the digest was not told in another period."""
    return any(
        report.error or any(digest.news(report.service, key) for key in _keys(digest, report))
        for report in digest.reports
    )


def _keys(digest: Digest, report: Report) -> list[str]:
    """Return what the ledger calls everything that a report tells."""
    return [
        *(release_key(one.deploy) for one in report.episodes),
        *(release_key(one) for one in report.failed),
        *(pattern_key(f) for one in report.episodes for f in one.findings if f.code == "log-pattern"),
        *(change_key(one) for one in report.changes),
        *(shift_key(f, digest.end) for f in service.compared(report)),
        *(gap_key(gap) for gap in report.missing),
    ]


def _settled(report: Report) -> Report:
    return replace(report, episodes=tuple(one for one in report.episodes if one.settled))


def _jobs(config: "Config", order: Order, names: Iterable[str], now: datetime) -> list[Job]:
    files = tuple(str(path.absolute()) for path in reversed(config.files))
    return [
        Job(
            files=files,
            service=name,
            number=number,
            period=order.period,
            now=now.astimezone(UTC).replace(microsecond=0),
            look=order.look,
            timeout=order.timeout,
        )
        for number, name in enumerate(names, 1)
    ]


def _pool(order: Order, services: int) -> "AbstractContextManager[Executor]":
    if order.scheduler:
        return fleet.dask(order.scheduler)
    return fleet.local(min(services, order.workers or os.cpu_count() or 1))
