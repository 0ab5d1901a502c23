"""The amount of log lines, in all and per level: did it change."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from opsbrief import phrase
from opsbrief.model.evidence import Evidence, LogSample
from opsbrief.model.finding import Finding, Verdict

_TIMES = 1.5  # a rate must change by this factor
_ERRORS = 4.0  # and by this many standard errors, as scattered as the buckets themselves are
_WEIGHTS = {"FATAL": 5.0, "ERROR": 4.0, "WARN": 2.0}


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "log-volume" per query for all lines and one per level of it."""
    queries: dict[str, dict[str, LogSample]] = {}
    for sample in evidence.items(LogSample):
        queries.setdefault(sample.query, {})[sample.span or "incident"] = sample
    for query, spans in queries.items():
        incident = spans.get("incident")
        if incident is None:
            continue
        levels = sorted({level for sample in spans.values() if sample.histogram for level in sample.histogram.counts})
        for level in (None, *levels):
            yield _finding(query, level, spans)


def _finding(query: str, level: str | None, spans: dict[str, LogSample]) -> Finding:
    rates = {name: rate for name, sample in spans.items() if (rate := _rate(sample, level)) is not None}
    after, before = rates.get("incident"), rates.get("before")
    weeks = [rate for name, rate in rates.items() if name not in ("incident", "before")]
    week = float(np.median(weeks)) if weeks else None
    verdict, errors = _judge(after, before, week, spans, level)
    name = "all lines" if level is None else level or "level unknown"
    shown = (
        f"{phrase.number(before)} → {phrase.number(after)}/min" if before is not None else f"{phrase.number(after)}/min"
    )
    weekly = f"; last week's same hours: {phrase.number(week)}/min" if week is not None else ""
    return Finding(
        code="log-volume",
        subject=name,
        verdict=verdict,
        headline=f"{name}: {verdict}, {shown}",
        detail=f"query {query or 'all lines'}{weekly}",
        basis=tuple(sample.id for sample in spans.values()),
        score=round(_WEIGHTS.get(level or "", 1.0) * math.log1p(abs(errors)), 4),
        before=before,
        after=after,
        unit="/min",
        facts={
            "query": query,
            "level": level,
            "rate_before": before,
            "rate_after": after,
            "rate_last_week": week,
            "total": spans["incident"].total,
            "total_is_exact": int(spans["incident"].total_is_exact),
        },
    )


def _rate(sample: LogSample, level: str | None) -> float | None:
    """Return true lines a minute; None when the level was not counted."""
    minutes = (sample.end - sample.start).total_seconds() / 60
    if minutes <= 0:
        return None
    if level is None:
        return sample.total / minutes
    if sample.histogram is None:
        return None
    return sum(sample.histogram.counts.get(level, ())) / minutes


def _judge(
    after: float | None, before: float | None, week: float | None, spans: dict[str, LogSample], level: str | None
) -> tuple[Verdict, float]:
    """Compare with before and, where it is there, with last week: a change must stand against both."""
    usual = [rate for rate in (before, week) if rate is not None]
    if after is None or not usual:
        return Verdict.CANNOT_TELL, 0.0
    against = [_errors(after, rate, spans, level) for rate in usual]
    nearest = min(against, key=abs)
    same_way = all(error * nearest > 0 for error in against)
    times = min(_times(after, rate) for rate in usual)
    moved = same_way and abs(nearest) >= _ERRORS and times >= _TIMES
    return (Verdict.CHANGED if moved else Verdict.UNCHANGED), nearest if same_way else 0.0


def _times(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return high / low if low else math.inf if high else 1.0


def _errors(after: float, usual: float, spans: dict[str, LogSample], level: str | None) -> float:
    """Return how many standard errors lie between two rates, counted on the square-root scale.

    Lines come in bursts: the error is widened by how much the buckets scatter beyond chance.
    """
    minutes = (spans["incident"].end - spans["incident"].start).total_seconds() / 60
    extra = max((_scatter(sample, level) for sample in spans.values()), default=1.0)
    return 2 * (math.sqrt(after * minutes) - math.sqrt(usual * minutes)) / math.sqrt(2 * extra)


def _scatter(sample: LogSample, level: str | None) -> float:
    """Return variance over mean of the lines per bucket, at least 1."""
    if sample.histogram is None:
        return 1.0
    rows: Counter[int] = Counter()
    for name, counts in sample.histogram.counts.items():
        if level is None or name == level:
            for place, count in enumerate(counts):
                rows[place] += count
    values = np.array(list(rows.values()), dtype=np.float64)
    return float(max(1.0, values.var() / values.mean())) if len(values) > 3 and values.mean() > 0 else 1.0
