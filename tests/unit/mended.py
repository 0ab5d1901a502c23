"""Evidence about a fix, planted: how large the change is, how much of it the fix takes away, how noisy it all is."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from opsbrief.model.effect import First, Told
from opsbrief.model.evidence import Event, Evidence, Item, LogRecord, LogSample, Origin, Outcome, Series
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window

Array = npt.NDArray[np.float64]

RELEASE = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
BEFORE = DURING = 150  # minutes
FIX = RELEASE + timedelta(minutes=DURING)
ORIGIN = Origin(source="planted", query="q")
SLOPE, LEVEL = 3.0, 20.0  # of the planted change: units a minute, units


def noise(rng: np.random.Generator, count: int, size: float, keep: float = 0.4) -> Array:
    """Return noise that remembers ``keep`` of its last value."""
    drawn = rng.normal(0, size * np.sqrt(1 - keep**2), count + 50)
    values = np.zeros(count + 50)
    for at in range(1, count + 50):
        values[at] = keep * values[at - 1] + drawn[at]
    return values[50:]


def leak(rng: np.random.Generator, size: float, fixed: float, after: int, *, restart: bool = True) -> Array:
    """Return values that leak from the release on, a part ``fixed`` less from the fix on, and fall at 350."""
    values, held = 40 + noise(rng, BEFORE + DURING + after, size), 0.0
    for at in range(BEFORE, len(values)):
        held += SLOPE * (1.0 if at < BEFORE + DURING else 1 - fixed)
        if (at == BEFORE + DURING and restart) or held > 310:
            held = 0.0
        values[at] += held
    return values


def step(rng: np.random.Generator, size: float, fixed: float, after: int) -> Array:
    """Return values that stand higher from the release on, a part ``fixed`` less from the fix on."""
    values = 40 + noise(rng, BEFORE + DURING + after, size)
    values[BEFORE : BEFORE + DURING] += LEVEL
    values[BEFORE + DURING :] += LEVEL * (1 - fixed)
    return values


def window(after: int) -> Window:
    """Return the window that ends ``after`` minutes after the fix."""
    return Window(
        RELEASE,
        FIX + timedelta(minutes=after),
        Anchor("deploy", RELEASE, "2.14.0"),
        timedelta(minutes=BEFORE),
        fix=Anchor("deploy", FIX, "2.14.1"),
    )


def metric(shape: str, hosts: int = 1, late: int = 0, **facts: float | str | None) -> Told:
    """Return what a first brief told of the planted metric; the change began ``late`` minutes after the release."""
    at = RELEASE + timedelta(minutes=late)
    finding = Finding(
        code="shift",
        subject="connections",
        verdict=Verdict.CHANGED,
        headline="connections changed",
        unit="conn",
        shape=shape,
        onset=Onset(at=at, earliest=at, latest=at),
        hosts=tuple(f"app{n}" for n in range(hosts)),
        facts={"direction": "up", "worse": "bad", "key": 1, "impact": 0, "rank": 0, "limit": None, **facts},
        score=1.0,
        id="F1",
    )
    return Told(finding=finding, series=tuple(f"app{n}.connections" for n in range(hosts)), bottom=0.0, top=420.0)


def pattern(subject: str, level: str = "ERROR", before: float = 0.0, **facts: float) -> Told:
    """Return what a first brief told of a log pattern."""
    finding = Finding(
        code="log-pattern",
        subject=subject,
        verdict=Verdict.NEW if not before else Verdict.EXPLODED,
        headline=f"new {subject}",
        facts={"level": level, "rate_before": before, "starting": 0, **facts},
        score=2.0,
        id="F2",
    )
    return Told(finding=finding)


def series(rows: Iterable[Array]) -> tuple[Series, ...]:
    """Return one series a host of minute values."""
    start = int((RELEASE - timedelta(minutes=BEFORE)).timestamp())
    return tuple(
        Series(
            name=f"app{n}.connections",
            start=start,
            step=60,
            values=values,
            metric="connections",
            host=f"app{n}",
            unit="conn",
            origin=ORIGIN,
            id=f"E{n + 1}",
        )
        for n, values in enumerate(rows)
    )


def lines(at: Iterable[float], body: str, level: str = "ERROR") -> list[LogRecord]:
    """Return records at so many minutes after the release."""
    return [
        LogRecord(timestamp=RELEASE + timedelta(minutes=minute), body=body, severity_text=level)
        for minute in sorted(at)
    ]


def sample(records: Sequence[LogRecord], span: str, low: float, high: float, total: int | None = None) -> LogSample:
    """Return the sample of the stretch from ``low`` to ``high`` minutes after the release."""
    start, end = RELEASE + timedelta(minutes=low), RELEASE + timedelta(minutes=high)
    kept = tuple(record for record in records if start <= record.timestamp < end)
    return LogSample(
        query="",
        span=span,
        start=start,
        end=end,
        total=len(kept) if total is None else total,
        total_is_exact=True,
        records=kept,
        origin=ORIGIN,
        id=f"E{span}",
    )


def samples(records: Sequence[LogRecord], after: int) -> tuple[LogSample, ...]:
    """Return one sample a phase."""
    return (
        sample(records, "before", -BEFORE, 0),
        sample(records, "during", 0, DURING),
        sample(records, "after", DURING, DURING + after),
    )


def event(minute: float, kind: str = "restart", host: str = "app1") -> Event:
    """Return a restart, or a hard alarm."""
    return Event(
        at=RELEASE + timedelta(minutes=minute),
        host=host,
        service="shop",
        state="RESTART" if kind == "restart" else "CRITICAL",
        state_type="" if kind == "restart" else "hard",
        kind="restart" if kind == "restart" else "state",
        origin=ORIGIN,
        id=f"E{minute:g}",
    )


def evidence(items: Iterable[Item], told: Sequence[Told], after: int) -> Evidence:
    """Return evidence of the time until ``after`` minutes after the fix."""
    return Evidence(
        window=window(after),
        scope=Scope(service="shop", metrics=(Metric(target="*.connections", name="connections", worse="up"),)),
        outcomes=(Outcome(source="planted", type="whisper", items=tuple(items)),),
        collected_at=FIX + timedelta(minutes=after),
        version="0",
        first=First(
            bundle="opsbrief-shop-20261120T162000Z",
            headline="connections rising since release 2.14.0",
            collected_at=FIX,
            end=FIX - timedelta(minutes=5),
            told=tuple(told),
        ),
    )
