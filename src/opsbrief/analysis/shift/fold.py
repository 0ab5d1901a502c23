"""Many series of one metric folded into one finding: which moved, which way, how far, since when."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from opsbrief.analysis.shift.read import Case
from opsbrief.maths.sample import Sample, median
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import utc

Facts = dict[str, float | int | str | None]


def fold(metric: Metric, subject: str, cases: Sequence[Case]) -> Finding:
    """Fold the series of one metric into one "shift" finding, still without words."""
    told = [case for case in cases if case.verdict is not Verdict.CANNOT_TELL]
    moved = _moved(cases)
    earlier = [case for case in cases if case.verdict is Verdict.BEGAN_BEFORE]
    if moved:
        verdict, chosen = Verdict.CHANGED, moved
    elif earlier:
        verdict, chosen = Verdict.BEGAN_BEFORE, earlier
    elif told:
        verdict, chosen = Verdict.UNCHANGED, told
    else:
        verdict, chosen = Verdict.CANNOT_TELL, list(cases)
    chosen = _same_way(chosen) if moved or earlier else chosen
    shape = _shape(chosen) if moved or earlier else ""
    hosts = tuple(dict.fromkeys(c.series.host for c in chosen if c.series.host)) if moved or earlier else ()
    numbers = _numbers(metric, cases, chosen, shape)
    onset = _when(chosen)
    before, after = _typical(c.study.before for c in chosen), _typical(c.study.after for c in chosen)
    unit = metric.unit or next((c.series.unit for c in cases if c.series.unit), "")
    weight = median(c.study.weight for c in chosen) if chosen else 0.0
    share = len(chosen) / max(1, len(told))
    return Finding(
        code="shift",
        subject=subject,
        verdict=verdict,
        headline="",
        basis=tuple(c.series.id for c in (chosen or cases)),
        score=round(float(np.log1p(min(weight, 1e6)) * np.sqrt(share)), 4),
        onset=onset,
        before=before,
        after=after,
        unit=unit,
        shape=shape,
        hosts=hosts,
        facts=numbers,
    )


def _moved(cases: Sequence[Case]) -> list[Case]:
    """Return the series that changed; of many series, a few weak ones are chance."""
    moved = [case for case in cases if case.verdict is Verdict.CHANGED]
    if (
        len(cases) >= 10
        and len(moved) < max(2, 0.05 * len(cases))
        and all(c.study.contrast.strength < 2 for c in moved)
    ):
        return []
    return moved


def _same_way(cases: list[Case]) -> list[Case]:
    """Return the series that moved in the direction most of the evidence goes."""
    weight = sum(np.sign(c.study.contrast.shift) * np.log1p(c.study.contrast.strength) for c in cases)
    same = [c for c in cases if c.study.contrast.shift * weight >= 0]
    return same or cases


def _shape(cases: Sequence[Case]) -> str:
    votes: dict[str, float] = {}
    for case in cases:
        if case.study.form:
            votes[case.study.form.shape] = votes.get(case.study.form.shape, 0) + 1
    return max(sorted(votes), key=votes.__getitem__) if votes else ""


def _when(cases: Sequence[Case]) -> Onset | None:
    """Return the usual onset of several series and the stretch that most of them began in."""
    onsets = [case.onset for case in cases if case.onset]
    if not onsets:
        return None
    at = median(o.at.timestamp() for o in onsets)
    low = Sample(np.array([o.earliest.timestamp() for o in onsets])).quantile(0.25)
    high = Sample(np.array([o.latest.timestamp() for o in onsets])).quantile(0.75)
    return Onset(at=utc(round(at)), earliest=utc(round(min(low, at))), latest=utc(round(max(high, at))))


def _typical(values: Iterable[float]) -> float | None:
    there = [value for value in values if math.isfinite(value)]
    return median(there) if there else None


def _numbers(metric: Metric, cases: Sequence[Case], chosen: Sequence[Case], shape: str) -> Facts:
    """Return the facts of a metric or, with one case, of a series."""
    every = {case.series.host for case in cases if case.series.host}
    changed = sum(case.verdict is Verdict.CHANGED for case in cases)
    shift = _direction(chosen)
    same = [c for c in chosen if c.study.form and c.study.form.shape == shape] or list(chosen)
    peaks = [c.study.peak for c in chosen if np.isfinite(c.study.peak)]
    facts: Facts = {
        "direction": "up" if shift > 0 else "down" if shift < 0 else "",
        "series_total": len(cases),
        "series_changed": changed,
        "series_silent": sum(not np.isfinite(case.series.values).any() for case in cases),
        "hosts_total": len(every),
        "effect": _typical(c.study.contrast.effect for c in chosen),
        "strength": _typical(c.study.contrast.strength for c in chosen),
        "noise": _typical(c.study.contrast.noise for c in chosen),
        "peak": (max(peaks) if shift >= 0 else min(peaks)) if peaks else None,
        "last_week": _typical(c.study.week for c in chosen),
        "weekly": sum(c.study.weekly for c in chosen),
        "resets": sum(len(c.study.form.resets) for c in chosen if c.study.form),
        "first_reset": _first_reset(chosen),
        "limit": metric.limit,
        "worse": _worse(_way(metric, cases), shift),
        "key": int(metric.key),
        "impact": int(metric.impact),
        "rank": int(metric.rank),
    }
    return facts | _slopes(metric, same)


def _direction(cases: Sequence[Case]) -> float:
    """Return how far the series moved, by its sign up or down.

    Where only a part of the values deviates, that part may lie to the other side than the level moved, and the levels
    are what a reader sees. Beside last weeks' same hours they are not: a load may grow, and yet less than it does.
    """
    shift = _typical(c.study.contrast.shift for c in cases) or 0.0
    before, after = _typical(c.study.before for c in cases), _typical(c.study.after for c in cases)
    if before is None or after is None or any(c.study.weekly for c in cases) or shift * (after - before) >= 0:
        return shift
    return after - before


def _first_reset(cases: Sequence[Case]) -> str | None:
    """Return when the first sharp fall of any series was, in ISO 8601."""
    resets = [c.series.start + c.series.step * reset for c in cases if c.study.form for reset in c.study.form.resets]
    return utc(min(resets)).isoformat() if resets else None


def _way(metric: Metric, cases: Sequence[Case]) -> str:
    """Return which direction is bad: what the metric says, else what the source knows of every series alike."""
    known = {case.series.worse for case in cases}
    return known.pop() if metric.worse == "either" and len(known) == 1 else metric.worse


def _worse(worse: str, shift: float) -> str:
    """Whether the direction of the change is the bad one: bad, good, or either."""
    if worse == "either" or not shift:
        return "either"
    return "bad" if (shift > 0) == (worse == "up") else "good"


def _slopes(metric: Metric, cases: Sequence[Case]) -> Facts:
    """Return the slope per minute with its interval, and the time to the limit at that slope."""
    rows = [
        [
            part * 60 / c.series.step
            for part in (c.study.form.slope, c.study.form.slope_low or 0.0, c.study.form.slope_high or 0.0)
        ]
        for c in cases
        if c.study.form and c.study.form.slope is not None
    ]
    if not rows:
        return {
            "slope_per_minute": None,
            "slope_low": None,
            "slope_high": None,
            "minutes_to_limit": None,
            "minutes_left": None,
        }
    slope, low, high = (float(value) for value in np.median(np.array(rows), axis=0))
    facts: Facts = {"slope_per_minute": slope, "slope_low": low, "slope_high": high}
    whole = left = None
    if metric.limit is not None and slope:
        whole = _positive((metric.limit - (_typical(c.study.before for c in cases) or 0.0)) / slope)
        ahead = [_positive((metric.limit - c.study.last) / slope) for c in cases if np.isfinite(c.study.last)]
        left = min((value for value in ahead if value is not None), default=None)
    return facts | {"minutes_to_limit": whole, "minutes_left": left}


def _positive(value: float) -> float | None:
    return value if value > 0 and np.isfinite(value) else None
