"""The metrics of the service at the anchor: which changed, on which hosts, how, since when."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from opsbrief import phrase
from opsbrief.analysis.shift.fold import fold
from opsbrief.analysis.shift.read import Case, Weeks, examine, label, laid, sort, split, weeks
from opsbrief.analysis.shift.say import worded
from opsbrief.maths.contrast import MIN_AFTER, MIN_BEFORE
from opsbrief.maths.screen import promising
from opsbrief.maths.weekly import roughly
from opsbrief.model.evidence import Evidence, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import Window

_FALLS = 100  # sharp falls of a series whose times are told
_WIDE = 20  # changed groups of the wide net that are kept, the strongest first


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield "shift" per metric, then "series" per series, and one "wide-net" about the ranked rest."""
    named, wide = sort(evidence)
    past = weeks(evidence)
    single: list[Finding] = []
    for metric, members in named:
        cases = [examine(series, evidence.window, past) for series in members]
        yield worded(fold(metric, label(metric), cases), cases, evidence)
        single += [_single(metric, case, evidence) for case in cases]
    groups, caught = _net(wide, past, evidence) if wide else ([], [])
    yield from groups
    yield from single
    yield from caught


def _single(metric: Metric, case: Case, evidence: Evidence) -> Finding:
    """Return the "series" finding of one series; its verdict is its own, not softened by the others."""
    folded = fold(metric, case.series.name, [case])
    falls = case.study.form.resets if case.study.form else ()
    at = ",".join(str(case.series.start + case.series.step * fall) for fall in falls[:_FALLS])
    facts = {**folded.facts, **({"resets_at": at} if at else {})}
    return worded(replace(folded, code="series", verdict=case.verdict, facts=facts), [case], evidence)


def _net(wide: Sequence[tuple[Metric, Series]], past: Weeks, evidence: Evidence) -> tuple[list[Finding], list[Finding]]:
    """Rank the wide net: only what changed is kept, series of one kind on several hosts together."""
    chosen = _screened([series for _, series in wide], past, evidence)
    kinds: dict[tuple[str, str], list[int]] = {}
    for index, (_, series) in enumerate(wide):
        kinds.setdefault((series.origin.source, kind(series)), []).append(index)
    groups = []
    for (_, subject), members in kinds.items():
        metric = wide[members[0]][0]
        cases = [examine(wide[index][1], evidence.window, past) for index in members if index in chosen]
        found = fold(metric, subject, cases)
        if found.verdict in (Verdict.CHANGED, Verdict.BEGAN_BEFORE):
            hosts = {wide[index][1].host for index in members} - {""}
            facts = {**found.facts, "series_total": len(members), "hosts_total": len(hosts)}
            groups.append((worded(replace(found, facts=facts), cases, evidence), metric, cases))
    groups.sort(key=lambda group: (group[0].verdict is not Verdict.CHANGED, -group[0].score, group[0].subject))
    kept = [found for found, _, _ in groups[:_WIDE]]
    caught = [
        _single(metric, case, evidence)
        for _, metric, cases in groups[:_WIDE]
        for case in cases
        if case.verdict is Verdict.CHANGED
    ]
    changed = sum(int(found.facts["series_changed"] or 0) for found, _, _ in groups)
    judged = sum(_judged(series, evidence.window) for _, series in wide)
    kept.append(_summary(judged, len(wide) - judged, changed, [found.subject for found, _, _ in groups]))
    return kept, caught


def kind(series: Series) -> str:
    """Return the series' name with its host replaced by ``*``: what is the same on every host."""
    return series.name.replace(series.host, "*") if series.host else series.name


def _screened(series: Sequence[Series], past: Weeks, evidence: Evidence) -> set[int]:
    """Return which series deserve the careful tests: cheap scores on all of them, grid by grid."""
    grids: dict[tuple[int, int, int], list[int]] = {}
    for index, one in enumerate(series):
        grids.setdefault((one.start, one.step, len(one.values)), []).append(index)
    found: set[int] = set()
    for members in grids.values():
        first, skip = split(series[members[0]], evidence.window)
        rows = []
        for index in members:
            one = series[index]
            mine = laid(one, past.get((one.origin.source, one.name), ()))
            rows.append(roughly(one.values, mine[0], first) if mine else one.values)
        picked = promising(rows, first, skip)
        found.update(members[place] for place in picked)
    return found


def _judged(series: Series, window: Window) -> bool:
    """Whether there is enough of a series, and of the time after the anchor, to say that it did not change."""
    first, skip = split(series, window)
    before = np.isfinite(series.values[: first - skip]).sum()
    return bool(before >= MIN_BEFORE and len(series.values) - first >= MIN_AFTER)


def _summary(looked: int, unclear: int, changed: int, kinds: Sequence[str]) -> Finding:
    said = f"{changed} of {phrase.count(looked, 'other series', 'other series')} changed"
    if unclear and not looked:
        said = f"{phrase.count(unclear, 'other series', 'other series')}: too few datapoints to compare"
    elif unclear:
        said += f" ({unclear:,} more with too few datapoints to compare)"
    return Finding(
        code="wide-net",
        subject="all other metrics",
        verdict=Verdict.CHANGED if changed else Verdict.UNCHANGED if looked else Verdict.CANNOT_TELL,
        headline=f"{said}: {phrase.listed(kinds)}" if changed else said,
        facts={"looked_at": looked, "unclear": unclear, "changed": changed, "kinds": len(kinds)},
    )
