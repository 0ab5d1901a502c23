"""The digest of a week: what each release of each service changed, before it becomes a Brief."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opsbrief.model.brief import Figure
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.finding import Finding
from opsbrief.model.window import Deploy


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A stretch [start, end) with a name that is the same whenever it is asked for again."""

    name: str  # "2026-W47", "2026-11-16_2026-11-23"
    start: datetime
    end: datetime  # may lie in the future while the week is going on
    before: timedelta  # length of the stretch before, which it is compared with
    zone: str = "UTC"

    @property
    def title(self) -> str:
        """Return the name as it is said: "2026-W47", "2026-11-16 to 2026-11-23"."""
        return self.name.replace("_", " to ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One release and what was different after it, in the stretch that was looked at."""

    deploy: Deploy
    known_by: tuple[str, ...]  # names of the deploy logs
    previous: Deploy | None
    start: datetime
    end: datetime
    logs: bool = False  # whether any source of log lines was asked
    cut: str = ""  # why the stretch is shorter than asked for: "2.14.1 followed, 3m after it", "so far"
    settled: bool = True  # False: the stretch that was asked for is not over yet
    findings: tuple[Finding, ...]
    events: tuple[tuple[str, int, int], ...] = ()  # (what, how many before, how many after), equally long
    gaps: tuple[Gap, ...] = ()
    figure: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One service in one period; plain values, because it may come from another machine."""

    service: str
    episodes: tuple[Episode, ...] = ()
    skipped: int = 0  # further releases of the period, earlier ones, that were not looked at
    failed: tuple[Deploy, ...] = ()  # deploys of the period of which a log says that they failed
    earlier: int | None = 0  # releases in the stretch before; None: the deploy logs did not tell
    comparison: tuple[Finding, ...] = ()  # metrics and log rates of the period against the stretch before
    changes: tuple[Change, ...] = ()  # of the infrastructure, in the period
    watched: bool = False  # whether any repository of the infrastructure was read
    gaps: tuple[Gap, ...] = ()  # of the deploy logs and of the period as a whole
    figure: Figure | None = None  # the key metric over the whole period
    repeated: tuple[str, ...] = ()  # of each log pattern that was left out: the period in which it was told
    error: str = ""  # why there is nothing else in here

    @property
    def missing(self) -> tuple[Gap, ...]:
        """Every gap, of the period and of its releases, each once."""
        return tuple(dict.fromkeys((*self.gaps, *(gap for one in self.episodes for gap in one.gaps))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """All services of one period, and what earlier digests have told of them."""

    period: Period
    reports: tuple[Report, ...]
    now: datetime
    version: str
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # service -> key -> name of the period
    notes: tuple[str, ...] = ()  # about the digest itself

    @property
    def end(self) -> datetime:
        """End of what can be told: the period's, or now."""
        return min(self.period.end, self.now)

    def before(self, service: str, key: str) -> str:
        """Return the name of another period in which this was told already, "" when it is news."""
        name = self.told.get(service, {}).get(key, "")
        return "" if name == self.period.name else name

    def news(self, service: str, key: str) -> bool:
        """Return whether no digest of another period has told this."""
        return not self.before(service, key)


def release_key(deploy: Deploy) -> str:
    """Return what the ledger calls a release: its name and its minute."""
    return _key("release", deploy.ref, f"{deploy.at:%Y%m%d%H%M}")


def pattern_key(finding: Finding) -> str:
    """Return what the ledger calls a log pattern: its verdict, its level and its words.

    Only words count, because where the variable parts of a line are cut depends on the lines around it.
    """
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^<>]*>", " ", finding.subject))
    return _key("log", str(finding.verdict), str(finding.facts.get("level", "")), " ".join(words).casefold())


def change_key(change: Change) -> str:
    """Return what the ledger calls a change of the infrastructure."""
    when = (f"{change.at:%Y%m%d%H%M}",) if change.kind == "resource" else ()  # one file may change every week
    return _key("change", change.kind, change.ref, *change.hosts, *when)


def shift_key(finding: Finding, end: datetime) -> str:
    """Return what the ledger calls a change against the stretch before: once a week, for stretches may overlap."""
    rising = (finding.after or 0.0) > (finding.before or 0.0)
    return _key("week", finding.code, finding.subject, str(rising), *map(str, end.isocalendar()[:2]))


def gap_key(gap: Gap) -> str:
    """Return what the ledger calls something missing: which source, and in what way."""
    return _key("gap", gap.source, str(gap.kind))


def _key(kind: str, *parts: str) -> str:
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'backslashreplace')).hexdigest()[:16]}"
