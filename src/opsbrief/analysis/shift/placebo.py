"""Placebo deploys: the same test at instants when nothing was deployed, as the reader's own error rate."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from opsbrief import phrase
from opsbrief.analysis.shift.read import label, laid, sort, split, weeks
from opsbrief.maths.contrast import MIN_BEFORE
from opsbrief.maths.sample import Array, median
from opsbrief.maths.study import alone, weigh
from opsbrief.model.evidence import Evidence, Series
from opsbrief.model.finding import Finding, Verdict

_ENOUGH = 3  # placebos below which nothing is said
_MOST = 13
_SERIES = 48  # series tried at each placebo, those of the strongest metrics first


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "placebo": how often an invented deploy was followed by something as strong."""
    shifts = [f for f in found if f.code == "shift" and not f.facts.get("rank")]
    changed = [f for f in shifts if f.verdict is Verdict.CHANGED]
    if not shifts or all(f.verdict is Verdict.CANNOT_TELL for f in shifts):
        return
    real = max((f.score for f in changed), default=1e-9)
    scores = _scores(evidence, _members(evidence, shifts))
    if len(scores) < _ENOUGH:
        yield _finding(
            Verdict.CANNOT_TELL, f"too little history for placebo deploys ({len(scores)} possible)", 0, len(scores)
        )
        return
    strong = sum(score >= real for score in scores)
    what = "a change this strong" if changed else "a change that would be told"
    said = f"{strong} of {phrase.count(len(scores), 'placebo deploy')} gave {what}"
    yield _finding(Verdict.CHANGED if changed else Verdict.UNCHANGED, said, strong, len(scores))


def _finding(verdict: Verdict, said: str, strong: int, tried: int) -> Finding:
    return Finding(
        code="placebo",
        subject="placebo deploys",
        verdict=verdict,
        headline=said,
        detail="the same test at other instants of the time before and of last weeks" if tried else "",
        facts={"strong": strong, "tried": tried},
    )


def _members(evidence: Evidence, shifts: Sequence[Finding]) -> dict[str, list[Series]]:
    """Return the series of the metrics to try, the strongest metrics first, a bounded number of series."""
    order = {f.subject: -f.score for f in shifts}
    groups = {label(metric): members for metric, members in sort(evidence)[0]}
    chosen: dict[str, list[Series]] = {}
    left = _SERIES
    for name in sorted((name for name in groups if name in order), key=lambda name: (order[name], name)):
        share = groups[name][: max(4, left // 2)]
        if share and left > 0:
            chosen[name] = share
            left -= len(share)
    return chosen


def _scores(evidence: Evidence, members: Mapping[str, Sequence[Series]]) -> list[float]:
    """Return for every placebo the highest score of any metric, scored as a real one is."""
    past = weeks(evidence)
    runs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for name, group in members.items():
        for series in group:
            mine = past.get((series.origin.source, series.name), ())
            for place, weight in _weights(series, [week for _, week in mine], laid(series, mine), evidence):
                runs.setdefault(place, {}).setdefault(name, []).append(weight)
    kept = [runs[place] for place in sorted(runs, key=lambda place: place[1])[:_MOST]]
    return [max(_score(weights) for weights in run.values()) for run in kept]


def _score(weights: Sequence[float]) -> float:
    moved = [weight for weight in weights if weight > 0]
    if not moved:
        return 0.0
    return float(np.log1p(min(median(moved), 1e6)) * np.sqrt(len(moved) / len(weights)))


def _weights(
    series: Series, raw: Sequence[Series], shifted: Sequence[Array], evidence: Evidence
) -> Iterator[tuple[tuple[str, int], float]]:
    """Yield (which placebo, weight) for one series: the same instant last weeks, then instants before."""
    first, skip = split(series, evidence.window)
    for number, week in enumerate(shifted):
        others = [other for place, other in enumerate(shifted) if place != number]
        if np.isfinite(week[:first]).sum() >= MIN_BEFORE and np.isfinite(week[first:]).sum() >= 3:
            yield (raw[number].span, 0), _weight(week, first, skip, others)
    length = min(len(series.values) - first, max(3, first // 6))
    room = max(MIN_BEFORE, first // 3)
    if first < 5 * MIN_BEFORE:
        return
    for number, place in enumerate(range(first - length, room - 1, -length)):
        cut = place + length
        yield ("before", number), _weight(series.values[:cut], place, 0, [week[:cut] for week in shifted])
        for mine, week in enumerate(shifted):
            if np.isfinite(week[:place]).sum() >= MIN_BEFORE and np.isfinite(week[place:cut]).sum() >= 3:
                others = [other[:cut] for each, other in enumerate(shifted) if each != mine]
                yield (raw[mine].span, 1 + number), _weight(week[:cut], place, 0, others)


def _weight(values: Array, place: int, skip: int, others: Sequence[Array]) -> float:
    found = alone(values, place, skip, others)
    return weigh(found) if found.changed else 0.0
