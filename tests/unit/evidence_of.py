"""Small evidence for tests of the analysis: one service, one window, whatever items a test needs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from opsbrief.model.evidence import (
    Change,
    Evidence,
    Gap,
    Item,
    LogRecord,
    LogSample,
    Origin,
    Outcome,
    Role,
    Run,
    Series,
)
from opsbrief.model.finding import Finding
from opsbrief.model.scope import Infrastructure, Metric, Scope
from opsbrief.model.window import Anchor, Window

DEPLOY = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


def window(*, before: int = 120, after: int = 120, weeks: int = 0) -> Window:
    """Return a window around DEPLOY, in minutes."""
    return Window(
        start=DEPLOY,
        end=DEPLOY + timedelta(minutes=after),
        anchor=Anchor("deploy", DEPLOY, "2.0", source="deploylog"),
        before=timedelta(minutes=before),
        zone="Europe/Berlin",
        shifts=tuple((f"{week}-weeks-ago", week * WEEK) for week in range(1, weeks + 1)),
    )


def origin(source: str = "graphite") -> Origin:
    return Origin(source=source, query="q")


def series(
    values: Sequence[float] | npt.NDArray[np.float64],
    *,
    metric: str = "m",
    host: str = "",
    before: int = 120,
    span: str = "",
) -> Series:
    """Return a series of one value a minute that starts ``before`` minutes before DEPLOY (of its week)."""
    back = int(span.partition("-")[0]) * WEEK if span else timedelta(0)
    start = int((DEPLOY - timedelta(minutes=before) - back).timestamp())
    name = f"stats.{host}.{metric}" if host else f"stats.{metric}"
    array = np.asarray(values, dtype=np.float64)
    return Series(name=name, start=start, step=60, values=array, metric=metric, host=host, span=span, origin=origin())


def noise(seed: int, count: int = 240, level: float = 50.0, size: float = 2.0) -> npt.NDArray[np.float64]:
    return level + np.random.default_rng(seed).normal(0, size, count)


def lines(
    span: str, texts: Sequence[tuple[float, str, str]], *, minutes: int = 120, total: int | None = None
) -> LogSample:
    """Return a sample of (minute, level, text) of one stretch."""
    start = {"incident": DEPLOY, "before": DEPLOY - timedelta(minutes=minutes)}.get(span, DEPLOY - WEEK)
    records = tuple(
        LogRecord(
            timestamp=start + timedelta(minutes=at), body=text, severity_text=level, resource={"host.name": "app1"}
        )
        for at, level, text in texts
    )
    return LogSample(
        query="", span=span, start=start, end=start + timedelta(minutes=minutes),
        total=len(records) if total is None else total, total_is_exact=True, records=records, origin=origin("logs"),
    )  # fmt: skip


def commit(minutes: float, *, role: Role = "infrastructure", ref: str = "9f3c2e1", summary: str = "tune ntp") -> Change:
    at = DEPLOY + timedelta(minutes=minutes)
    return Change(
        kind="commit", at=at, ref=ref, summary=summary, role=role, in_window=minutes >= -120, origin=origin("puppet")
    )


def run(minutes: float, host: str = "app1", *, version: str = "ac97852", **fields: Any) -> Run:
    """Return a quiet run of Puppet that ended ``minutes`` after DEPLOY."""
    at = DEPLOY + timedelta(minutes=minutes)
    stated = fields.pop("stated", version)
    return replace(
        Run(at=at, host=host, status="unchanged", version=version, stated=stated, in_window=minutes >= -120,
            origin=origin("puppetdb")),
        **fields,
    )  # fmt: skip


def resource(minutes: float, host: str = "app1", *, ref: str = "File[/etc/app.conf]", **fields: Any) -> Change:
    """Return a resource that Puppet changed."""
    at = DEPLOY + timedelta(minutes=minutes)
    return replace(
        Change(kind="resource", at=at, ref=ref, summary="content changed", role="infrastructure", hosts=(host,),
               version="ac97852", state="applied", origin=origin("puppetdb")),
        **fields,
    )  # fmt: skip


def outcome(source: str, kind: str, *items: Item, role: Role = "", gaps: tuple[Gap, ...] = ()) -> Outcome:
    gives = ("logs",) if kind in {"logfile", "elasticsearch"} else ()
    return Outcome(source=source, type=kind, role=role, gives=gives, items=items, gaps=gaps)


def evidence(
    *outcomes: Outcome,
    metrics: tuple[Metric, ...] = (),
    span: Window | None = None,
    freeze: str = "",
    hosts: tuple[str, ...] = (),
    ground: Infrastructure | None = None,
) -> Evidence:
    """Return the evidence with ids, as collect gives them."""
    count = 0
    numbered = []
    for one in outcomes:
        items = []
        for item in one.items:
            count += 1
            items.append(replace(item, id=f"E{count}"))
        numbered.append(replace(one, items=tuple(items)))
    return Evidence(
        window=span or window(),
        scope=Scope(
            service="shop", hosts=hosts, metrics=metrics, infrastructure=ground or Infrastructure(freeze=freeze)
        ),
        outcomes=tuple(numbered),
        collected_at=DEPLOY + timedelta(hours=3),
        version="0",
    )


def only(findings: Sequence[Finding], code: str) -> Finding:
    """Return the one finding of a code."""
    (found,) = (finding for finding in findings if finding.code == code)
    return found
