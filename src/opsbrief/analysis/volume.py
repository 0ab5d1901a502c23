"""The amount of log lines, in all and per level: did it change."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opsbrief import phrase
from opsbrief.model.evidence import Evidence, LogSample
from opsbrief.model.finding import Finding, Verdict

_TIMES = 1.5  # a rate must change by this factor
_ERRORS = 4.0  # and by this many standard errors, as scattered as the buckets themselves are
_WEIGHTS = {"FATAL": 5.0, "ERROR": 4.0, "WARN": 2.0}

_Log = tuple[str, str]  # source, query


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One stretch of time: the samples of all logs about it, and of the stretches that adjoin each other in it."""

    samples: tuple[LogSample, ...]

    @property
    def minutes(self) -> float:
        starts, ends = (sample.start for sample in self.samples), (sample.end for sample in self.samples)
        return (max(ends) - min(starts)).total_seconds() / 60

    def rate(self, level: str | None) -> float | None:
        """Return true lines a minute; None when the level was not counted everywhere."""
        if self.minutes <= 0:
            return None
        if level is None:
            return sum(sample.total for sample in self.samples) / self.minutes
        counted = [sample.histogram.counts for sample in self.samples if sample.histogram]
        if len(counted) < len(self.samples):
            return None
        return sum(sum(counts.get(level, ())) for counts in counted) / self.minutes

    def scatter(self, level: str | None) -> float:
        """Return variance over mean of the lines per bucket, at least 1."""
        rows: Counter[int] = Counter()
        for histogram in (sample.histogram for sample in self.samples if sample.histogram):
            for name, counts in histogram.counts.items():
                if level is None or name == level:
                    for place, count in enumerate(counts):
                        rows[histogram.start + place * histogram.step] += count
        values = np.array(list(rows.values()), dtype=np.float64)
        return float(max(1.0, values.var() / values.mean())) if len(values) > 3 and values.mean() > 0 else 1.0


def find(evidence: Evidence, _sofar: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "log-volume" for all lines and one per level of it, all logs of the service together.

    Only logs that were read both in the incident and before it count, so that a log that could not be read
    on one side does not look like a change; where there is none, those of the incident.
    """
    heard: dict[str, dict[_Log, list[LogSample]]] = {}
    for sample in evidence.items(LogSample):
        logs = heard.setdefault(sample.span or "incident", {})
        logs.setdefault((sample.origin.source, sample.query), []).append(sample)
    incident = heard.get("incident", {})
    told = incident.keys() & heard.get("before", {}).keys() or incident.keys()
    if not told:
        return
    spans = {
        name: _Stretch(tuple(sample for log, samples in logs.items() if log in told for sample in samples))
        for name, logs in heard.items()
        if told <= logs.keys()
    }
    untold = sorted({source for source, _ in incident.keys() - told})
    levels = sorted(_levels(spans.values()))
    for level in (None, *levels):
        yield _finding(level, spans, untold)


def _levels(spans: Iterable[_Stretch]) -> set[str]:
    return {
        level
        for stretch in spans
        for sample in stretch.samples
        if sample.histogram
        for level in sample.histogram.counts
    }


def _finding(level: str | None, spans: Mapping[str, _Stretch], untold: Sequence[str]) -> Finding:
    rates = {name: rate for name, stretch in spans.items() if (rate := stretch.rate(level)) is not None}
    after, before = rates.get("incident"), rates.get("before")
    weeks = [rate for name, rate in rates.items() if name not in ("incident", "before")]
    week = float(np.median(weeks)) if weeks else None
    verdict, errors = _judge(after, before, week, spans, level)
    name = "all lines" if level is None else level or "level unknown"
    shown = (
        f"{phrase.number(before)} → {phrase.number(after)}/min" if before is not None else f"{phrase.number(after)}/min"
    )
    weekly = f"; last week's same hours: {phrase.number(week)}/min" if week is not None else ""
    samples = spans["incident"].samples
    queries = ", ".join(dict.fromkeys(sample.query or "all lines" for sample in samples))
    without = f"; without {', '.join(untold)}, not read before the incident" if untold else ""
    return Finding(
        code="log-volume",
        subject=name,
        verdict=verdict,
        headline=f"{name}: {verdict}, {shown}",
        detail=f"query {queries}{weekly}{without}",
        basis=tuple(sample.id for stretch in spans.values() for sample in stretch.samples),
        score=round(_WEIGHTS.get(level or "", 1.0) * math.log1p(abs(errors)), 4),
        before=before,
        after=after,
        unit="/min",
        facts={
            "query": queries if any(sample.query for sample in samples) else "",
            "level": level,
            "rate_before": before,
            "rate_after": after,
            "rate_last_week": week,
            "total": sum(sample.total for sample in samples),
            "total_is_exact": int(all(sample.total_is_exact for sample in samples)),
        },
    )


def _judge(
    after: float | None, before: float | None, week: float | None, spans: Mapping[str, _Stretch], level: str | None
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


def _errors(after: float, usual: float, spans: Mapping[str, _Stretch], level: str | None) -> float:
    """Return how many standard errors lie between two rates, counted on the square-root scale.

    Lines come in bursts: the error is widened by how much the buckets scatter beyond chance.
    """
    minutes = spans["incident"].minutes
    extra = max(stretch.scatter(level) for stretch in spans.values())
    return 2 * (math.sqrt(after * minutes) - math.sqrt(usual * minutes)) / math.sqrt(2 * extra)
