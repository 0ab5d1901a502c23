"""The metrics that the first brief called changed: how much of the change is left since the fix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from opsbrief.analysis.effect import phases, say
from opsbrief.maths import effect
from opsbrief.maths.effect import Estimate, Left
from opsbrief.maths.sample import spread
from opsbrief.maths.study import study
from opsbrief.maths.weekly import lay, less, usual
from opsbrief.model.effect import Told
from opsbrief.model.evidence import Evidence, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import Window

Array = npt.NDArray[np.float64]
Kind = Literal["slope", "level", "noise", "share", "silence"]

_ROLLING = 900.0  # seconds after the fix within which hosts may still be restarted with it
_SETTLE = 2  # slots after the fix, or after the restart that brings it, that are left out
_RESET = 0.25  # part of the range between release and fix that a reset falls by
_HELD = 0.5  # part of what was held at the fix that is told when it is still held
_SINGLE = 0.35  # a host with certainly more than this part left stands against "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The series of one metric on one grid, and where its phases are; places are slots."""

    raw: list[Array]
    data: list[Array]  # less last weeks' course, where that helps
    hosts: list[str]
    start: int  # epoch seconds of slot 0
    step: int
    split: int  # first slot after the release
    onset: int  # first slot of the change
    fix: int  # first slot after the fix
    settled: list[int]  # per series: from here on the fix is in

    def part(self, name: str, values: Array, which: int = 0) -> Array:
        """Return the values of a phase."""
        low, high = {
            "before": (0, self.split - 1),
            "during": (self.onset, self.fix - 1),
            "after": (self.settled[which], len(values)),
        }[name]
        return values[max(0, low) : max(0, high)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is left of the change in some series, and the estimates that say so."""

    kind: Kind
    left: Left | None
    phases: dict[str, Estimate | None] = field(default_factory=dict)


def find(evidence: Evidence) -> Iterator[Finding]:
    """Yield one "effect" for each metric that the first brief told as changed."""
    for told in evidence.first.told if evidence.first else ():
        if told.finding.code == "shift":
            yield _finding(told, evidence)


def others(evidence: Evidence) -> Iterator[Finding]:
    """Yield "effect-other" for each watched metric that was unchanged and got worse at the fix."""
    known = {told.finding.subject for told in evidence.first.told} if evidence.first else set()
    for metric in evidence.scope.metrics:
        name = metric.name or metric.target
        if metric.rank or name in known:
            continue
        cases = [
            _late(series, evidence) for series in evidence.items(Series) if not series.span and series.metric == name
        ]
        moved = [case for case in cases if case and _bad(metric, case[1])]
        if moved and 2 * len(moved) >= len(cases):
            yield say.other(metric, [series for series, _ in moved], [shift for _, shift in moved])


def _bad(metric: Metric, shift: tuple[float, float]) -> bool:
    return metric.worse == "either" or (shift[1] > shift[0]) == (metric.worse == "up")


def _late(series: Series, evidence: Evidence) -> tuple[Series, tuple[float, float]] | None:
    """Return (level before, level after) of a series that changed at the fix, None when it did not."""
    split = _slot(phases.fix(evidence.window).at.timestamp(), series)
    found = study(series.values, split, 1, _weeks(series, evidence))
    return (series, (found.before, found.after)) if found.changed else None


def _slot(at: float, series: Series) -> int:
    """Return the first slot that begins at or after an instant."""
    return int(np.clip(np.ceil((at - series.start) / series.step), 0, len(series.values)))


def _weeks(series: Series, evidence: Evidence) -> list[Array]:
    """Return last weeks' values over the slots of a series."""
    shifts = dict(evidence.window.shifts)
    grid = series.start + series.step * np.arange(len(series.values), dtype=np.float64)
    return [
        lay(week.values, week.start, week.step, grid - shifts[week.span].total_seconds())
        for week in evidence.items(Series)
        if week.span in shifts and week.name == series.name and week.origin.source == series.origin.source
    ]


def _members(told: Told, evidence: Evidence) -> list[Series]:
    return [series for series in evidence.items(Series) if not series.span and series.name in set(told.series)]


def _finding(told: Told, evidence: Evidence) -> Finding:
    members = _members(told, evidence)
    if not members:
        return say.untold(told, "its series are not there any more", (), evidence.window)
    cut = _cut(told, members, evidence)
    answer = _ask(told, cut, range(len(cut.raw)))
    single = [_ask(told, cut, [place]) for place in range(len(cut.raw))] if len(cut.raw) > 1 else []
    late = _late_start(told, evidence.window)
    facts = _facts(told, cut, answer, single, late, evidence.window)
    lasted = phases.lasted(evidence.window)
    verdict = _verdict(answer, single, facts, lasted >= late)
    if answer.kind != "silence" and not facts["points_after"] and lasted.total_seconds() > effect.LEAST * cut.step:
        verdict = Verdict.CANNOT_TELL  # there should be data by now
    return say.worded(told, members, verdict, facts)


def _cut(told: Told, members: Sequence[Series], evidence: Evidence) -> Cut:
    first, window = members[0], evidence.window
    grid = first.start + first.step * np.arange(len(first.values), dtype=np.float64)
    raw = [one.values if one is first else lay(one.values, one.start, one.step, grid) for one in members]
    split = _slot(window.start.timestamp(), first)
    fix = _slot(phases.fix(window).at.timestamp(), first)
    began = told.finding.onset.at.timestamp() if told.finding.onset else 0.0
    onset = min(max(_slot(began, first), split), max(split, fix - 3 * effect.LEAST))
    data = []
    for one, values in zip(members, raw, strict=True):
        weeks = _weeks(one, evidence) if one.step == first.step and one.start == first.start else []
        rest = less(values, usual(weeks), split) if weeks else None
        data.append(values if rest is None else rest)
    settled = [_settled(values, fix, first.step, _sign(told)) for values in raw]
    return Cut(
        raw=raw, data=data, hosts=[one.host for one in members], start=first.start, step=first.step,
        split=split, onset=onset, fix=fix, settled=settled,
    )  # fmt: skip


def _sign(told: Told) -> float:
    return -1.0 if told.finding.facts.get("direction") == "down" else 1.0


def _settled(values: Array, fix: int, step: int, sign: float) -> int:
    """Return from where on the fix is in: after the restart that brought it, when there is one soon after it."""
    until = min(len(values), fix + max(3, int(_ROLLING / step)))
    near = values[max(0, fix - 3) : until] * sign
    there = np.flatnonzero(np.isfinite(near))
    held = values[:fix][np.isfinite(values[:fix])] * sign
    if len(there) >= 4 and len(held) >= effect.LEAST:
        falls = near[there][:-1] - np.minimum(near[there][1:], np.append(near[there][2:], np.inf))
        size = 0.4 * (float(np.median(held[-3:])) - float(np.quantile(held, 0.05)))
        steep = np.flatnonzero(falls > max(size, 4 * float(np.median(np.abs(np.diff(held)))), 1e-12))
        if len(steep):
            at = max(0, fix - 3) + int(there[int(steep[-1]) + 1])
            return min(len(values), max(fix, at) + _SETTLE)
    return min(len(values), fix + 1)


def _late_start(told: Told, window: Window) -> timedelta:
    """Return how long after the release the change began: as long must the fix have been in."""
    onset = told.finding.onset
    return max(timedelta(0), onset.at - window.start) if onset else timedelta(0)


def _ask(told: Told, cut: Cut, which: Sequence[int]) -> Answer:
    """Measure the change in some of the series, in the way that its shape asks for."""
    kind = _kind(told, cut, which)
    if kind == "slope":
        found = {
            name: effect.slope([_padded(cut, name, place) for place in which], _sign(told), _fall(cut))
            for name in phases.NAMES
        }
        others = found["before"], found["during"]
        found["after"] = effect.settled(found["after"], others, cubic=True)
        before = found["before"]
        if before and not before.sure:  # a leak's norm is no slope at all; a short time before must not blur it
            found["before"] = Estimate(0.0, 0.0, 0.0, before.points, before.power)
        return Answer(kind=kind, left=_left(found), phases=found)
    settled = max(cut.settled[place] for place in which)
    joint = _joint(cut, which)
    parts = {
        "before": joint[: max(0, cut.split - 1)],
        "during": joint[cut.onset : max(0, cut.fix - 1)],
        "after": joint[settled:],
    }
    found = dict(_estimates(kind, parts))
    if kind in ("level", "noise"):
        found["after"] = effect.settled(found["after"], (found["before"], found["during"]), cubic=False)
    return Answer(kind=kind, left=_left(found), phases=found)


def _fall(cut: Cut) -> float:
    """Return how far values must fall at once for a reset: noise, which is what is left after a fix, falls less."""
    parts = [_known(cut.part("during", raw)) for raw in cut.raw]
    ranges = [float(np.quantile(part, 0.98) - np.quantile(part, 0.02)) for part in parts if len(part)]
    return _RESET * float(np.median(ranges)) if ranges else 0.0


def _padded(cut: Cut, name: str, place: int) -> Array:
    """Return one series' values of a phase, so that slots of several series are the same time."""
    part = cut.part(name, cut.data[place], place)
    skipped = cut.settled[place] - cut.fix if name == "after" else 0
    return np.concatenate((np.full(max(0, skipped), np.nan), part))


def _joint(cut: Cut, which: Sequence[int]) -> Array:
    """Return the mean of the series slot by slot, each moved to their common level so that gaps make no jumps."""
    if len(which) == 1:
        return cut.data[which[0]]
    rows = np.stack([cut.data[place] for place in which])
    there = np.isfinite(rows)
    old = [row[: cut.split][seen[: cut.split]] for row, seen in zip(rows, there, strict=True)]
    levels = np.array([float(np.median(part)) if len(part) else np.nan for part in old])
    centre = float(np.nanmean(levels)) if np.isfinite(levels).any() else 0.0
    rows = rows - np.where(np.isfinite(levels), levels - centre, 0.0)[:, None]
    enough = 2 * there.sum(axis=0) > len(rows)
    sums = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(enough, sums / np.maximum(there.sum(axis=0), 1), np.nan)


def _kind(told: Told, cut: Cut, which: Sequence[int]) -> Kind:
    match told.finding.shape:
        case "ramp" | "sawtooth":
            return "slope"
        case "silent":
            return "silence"
        case "noisier":
            return "noise"
    before = _joint(cut, which)[: max(0, cut.split - 1)]
    before = before[np.isfinite(before)]
    rare = len(before) and float((before == np.median(before)).mean()) >= 0.6
    return "share" if rare else "level"


def _estimates(kind: Kind, parts: dict[str, Array]) -> Iterator[tuple[str, Estimate | None]]:
    before = parts["before"][np.isfinite(parts["before"])]
    centre = float(np.median(before)) if len(before) else 0.0
    for name, values in parts.items():
        known = values[np.isfinite(values)]
        if kind == "silence":
            yield name, effect.share(~np.isfinite(values))
        elif kind == "share":
            yield name, effect.share(known != centre)
        elif kind == "noise":
            yield name, effect.level(np.abs(known - (np.median(known) if len(known) else 0.0)))
        else:
            yield name, effect.level(known)


def _left(found: dict[str, Estimate | None]) -> Left | None:
    before, during, after = (found[name] for name in phases.NAMES)
    if before is None or during is None:
        return None
    return effect.left(before, during, after or Estimate(0.0, float("-inf"), float("inf"), 0))


def _verdict(answer: Answer, single: Sequence[Answer], facts: say.Facts, waited: bool) -> Verdict:  # noqa: FBT001 - see phases
    verdict = phases.verdict(answer.left, waited)
    if verdict is Verdict.FIXED:
        behind = any(one.left and one.left.low > _SINGLE for one in single)
        if behind or facts["held"]:
            return Verdict.BETTER
    return verdict


def _facts(
    told: Told, cut: Cut, answer: Answer, single: Sequence[Answer], late: timedelta, window: Window
) -> say.Facts:
    facts: say.Facts = {
        "kind": answer.kind,
        "shape": told.finding.shape,
        "direction": told.finding.facts.get("direction"),
        "worse": told.finding.facts.get("worse"),
        "key": told.finding.facts.get("key"),
        "impact": told.finding.facts.get("impact"),
        "rank": told.finding.facts.get("rank"),
        "limit": told.finding.facts.get("limit"),
        "first": told.finding.id,
        "left": answer.left.value if answer.left else None,
        "left_low": answer.left.low if answer.left else None,
        "left_high": answer.left.high if answer.left else None,
        "held": None,
        "points_after": sum(int(np.isfinite(cut.part("after", raw, n)).sum()) for n, raw in enumerate(cut.raw)),
    }
    rate = 60 / cut.step if answer.kind == "slope" else 1.0
    for name in phases.NAMES:
        found = answer.phases.get(name)
        for end in ("value", "low", "high"):
            suffix = "" if end == "value" else f"_{end}"
            facts[f"{answer.kind}_{name}{suffix}"] = getattr(found, end) * rate if found else None
        facts[f"level_{name}"] = _middle([cut.part(name, raw, place) for place, raw in enumerate(cut.raw)])
        if answer.kind == "slope":
            parts = [cut.part(name, raw, place) for place, raw in enumerate(cut.raw)]
            falls = [effect.resets(part, _sign(told), _fall(cut)) for part in parts]
            facts[f"resets_{name}"] = sum(map(len, falls))
    if answer.kind == "slope" and answer.left and answer.left.word == "fixed":
        facts["held"] = _held(cut, facts, _sign(told))
    if single:
        lagging = [n for n, one in enumerate(single) if one.left and one.left.low > _SINGLE]
        facts["hosts_total"] = len(single)
        facts["hosts_fixed"] = sum(bool(one.left and one.left.word == "fixed") for one in single)
        facts["behind"] = ", ".join(cut.hosts[n] for n in lagging if cut.hosts[n]) or None
    facts["needed_seconds"] = _needed(cut, answer, late, window)
    return facts


def _middle(parts: Sequence[Array]) -> float | None:
    levels = [float(np.median(part[np.isfinite(part)])) for part in parts if np.isfinite(part).any()]
    return float(np.median(levels)) if levels else None


def _held(cut: Cut, facts: say.Facts, sign: float) -> float | None:
    """Return the level that is still held although nothing rises any more: nobody has let it go yet."""
    usual_, now = facts["level_before"], facts["level_after"]
    at_fix = _middle([raw[max(0, cut.fix - 1 - effect.LEAST) : cut.fix - 1] for raw in cut.raw])
    if not isinstance(usual_, float) or not isinstance(now, float) or at_fix is None:
        return None
    gone = (at_fix - usual_) * sign
    noise = max((spread(part) for raw in cut.raw if len(part := _known(raw[: cut.split])) >= effect.LEAST), default=0.0)
    return now if gone > 6 * noise and (now - usual_) * sign > _HELD * gone else None


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _needed(cut: Cut, answer: Answer, late: timedelta, window: Window) -> float | None:
    """Return how many seconds from now on until the word can be final; 0 when it is, None when time does not help."""
    before, during, after = (answer.phases.get(name) for name in phases.NAMES)
    if answer.left is None or before is None or during is None:
        return None
    waiting = max(0.0, (late - phases.lasted(window)).total_seconds())
    if not answer.left.open:
        return waiting if answer.left.word in ("fixed", "better") else 0.0
    slots = effect.needed(before, during, after, cubic=answer.kind == "slope")
    if slots is None:
        return None
    more = slots - (after.points if after else 0)
    return max(waiting, max(1.0, more) * cut.step)
