"""The series of the evidence, sorted by metric, with last weeks' series beside them, and the study of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from opsbrief.maths.sample import Array
from opsbrief.maths.study import Study, study
from opsbrief.maths.weekly import lay
from opsbrief.model.evidence import Evidence, Series
from opsbrief.model.finding import Onset, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import TimeKind, Window, utc

Weeks = Mapping[tuple[str, str], Sequence[tuple[timedelta, Series]]]

_EARLY = timedelta(minutes=2)  # clocks of two systems may differ this much
_ROLLING = timedelta(minutes=15)  # a deploy that is dated by its end began some time before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One series of the incident with what its study says."""

    series: Series
    study: Study
    verdict: Verdict
    onset: Onset | None


def sort(evidence: Evidence) -> tuple[list[tuple[Metric, list[Series]]], list[tuple[Metric, Series]]]:
    """Return the series of each configured metric, and those that only the wide net caught."""
    groups: dict[str, list[Series]] = {}
    for series in evidence.items(Series):
        if not series.span:
            groups.setdefault(series.metric, []).append(series)
    metrics = evidence.scope.metrics
    named = [(metric, groups.get(label(metric), [])) for metric in metrics if not metric.rank]
    known = {label(metric) for metric in metrics}
    named += [(Metric(target=name, name=name), found) for name, found in groups.items() if name not in known]
    taken = {(series.origin.source, series.name) for _, found in named for series in found}
    wide = []
    for metric in metrics:
        for series in groups.get(label(metric), []) if metric.rank else ():
            if (series.origin.source, series.name) not in taken:
                taken.add((series.origin.source, series.name))
                wide.append((metric, series))
    return named, wide


def label(metric: Metric) -> str:
    """Return how a person calls the metric."""
    return metric.name or metric.target


def weeks(evidence: Evidence) -> Weeks:
    """Return last weeks' series by source and name, each with how far back it lies."""
    shifts = dict(evidence.window.shifts)
    found: dict[tuple[str, str], list[tuple[timedelta, Series]]] = {}
    for series in evidence.items(Series):
        if series.span in shifts:
            found.setdefault((series.origin.source, series.name), []).append((shifts[series.span], series))
    return found


def split(series: Series, window: Window) -> tuple[int, int]:
    """Return the first slot wholly after the anchor, and how many slots before it hold the anchor (0 or 1)."""
    exact = (window.start.timestamp() - series.start) / series.step
    first = min(max(int(np.ceil(exact)), 0), len(series.values))
    return first, int(first > 0 and first != exact)


def laid(series: Series, past: Iterable[tuple[timedelta, Series]]) -> list[Array]:
    """Return last weeks' values over the slots of ``series``."""
    grid = series.start + series.step * np.arange(len(series.values), dtype=np.float64)
    return [lay(week.values, week.start, week.step, grid - back.total_seconds()) for back, week in past]


def examine(series: Series, window: Window, past: Weeks) -> Case:
    """Study one series at the anchor."""
    first, skip = split(series, window)
    result = study(series.values, first, skip, laid(series, past.get((series.origin.source, series.name), ())))
    onset = _onset(series, result)
    if not result.told:
        verdict = Verdict.CANNOT_TELL
    elif result.earlier:
        verdict = Verdict.BEGAN_BEFORE
    elif not result.changed:
        verdict = Verdict.UNCHANGED
    elif onset and onset.latest < window.start - _slack(series, window):
        verdict = Verdict.BEGAN_BEFORE
    else:
        verdict = Verdict.CHANGED
    return Case(series=series, study=result, verdict=verdict, onset=onset)


def _slack(series: Series, window: Window) -> timedelta:
    """How much earlier than the anchor an onset may seem and still belong to it."""
    rolling = _ROLLING if window.anchor.time_kind is TimeKind.DEPLOY_END else _EARLY
    return max(rolling, timedelta(seconds=series.step))


def _onset(series: Series, result: Study) -> Onset | None:
    if result.form is None:
        return None
    form = result.form
    at, low, high = (series.start + series.step * place for place in (form.onset, form.earliest, form.latest))
    return Onset(at=utc(at), earliest=utc(low), latest=utc(high + series.step))
