"""Everything numeric about one series at one instant: changed or not, how, since when, to which level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from opsbrief.maths.contrast import MIN_AFTER, MIN_BEFORE, Contrast, contrast
from opsbrief.maths.form import Form, calm, form, smooth, step
from opsbrief.maths.sample import Array, Sample
from opsbrief.maths.weekly import less, usual

#: No slow wave seen so far is as strong as this; above it a smooth course says nothing, because a
#: sawtooth, which neither one step nor one bend follows, is smooth by that measure as well.
WAVE = 6.0
#: A level change after last week was taken away must be at least this clear: last week brings its own
#: noise along, and some of that lasts as long as an incident.
CLEAR = 2.0

_NO_YARDSTICK = 6.0


@dataclass(frozen=True, slots=True)
class Study:
    """The answer for one series; levels are those of the raw values, in their unit."""

    told: bool  # False: too few datapoints before or after to say anything
    contrast: Contrast
    form: Form | None  # None when nothing changed
    weekly: bool  # last weeks' same hours were taken away first
    before: float  # median before the instant, NaN when there is none
    after: float  # level that the change led to (the peak of a spike, the last level of a ramp)
    last: float  # level of the last few values
    peak: float  # farthest value after the instant, in the direction of the change
    week: float  # median of last weeks' same hours after the instant, NaN when unknown
    earlier: bool = False  # changed, but so long before the instant that most of before is the new level already

    @property
    def changed(self) -> bool:
        """Whether the series changed at the instant or near it."""
        return self.told and self.contrast.changed and not self.earlier

    @property
    def weight(self) -> float:
        """How much the change tells beside others, for ranking."""
        return weigh(self.contrast)


def weigh(found: Contrast) -> float:
    """Return how much a change tells beside others, for ranking.

    The geometric mean of the strength and of the shift in noises of before: each alone ranks badly
    somewhere. Without any noise before there is no yardstick, so such a change is capped.
    """
    if not found.noise > 0:
        return min(found.strength, _NO_YARDSTICK)
    return float(np.sqrt(found.strength * abs(found.shift) / found.noise))


def study(values: Array, split: int, skip: int, weeks: Sequence[Array] = ()) -> Study:
    """Study ``values`` at slot ``split``, the first slot wholly after the instant.

    ``skip`` slots before ``split`` hold the instant itself and are left out of the comparison.
    ``weeks`` are last weeks' values laid over the same slots.
    """
    week = usual(weeks) if weeks else np.full(len(values), np.nan)
    rest = less(values, week, split) if weeks else None
    data = values if rest is None else rest
    before, after = _there(values[: split - skip]), _there(values[split:])
    level = _middle(before)
    found = _tested(values, rest, level, split, skip)
    if found.kind == "sparse" and found.changed:
        level = float(before.mean())  # the median of a rare thing says nothing
    place = None if found.changed else _earlier(data, split - skip, split)
    if place is not None:
        found = contrast(data, place, None if rest is None else level)
        level = _middle(_there(values[:place]))
    told = found.points_before >= MIN_BEFORE and (found.points_after >= MIN_AFTER or found.kind == "silent")
    shape = form(data, split if place is None else place, found) if told and found.changed else None
    return Study(
        told=told,
        contrast=found,
        form=shape,
        weekly=rest is not None,
        before=level,
        after=_reached(values, split, shape, found),
        last=_middle(after[-max(1, min(5, len(after) // 10)) :]) if len(after) else float("nan"),
        peak=_farthest(after, found.shift),
        week=_middle(_there(week[split:])),
        earlier=place is not None,
    )


def alone(values: Array, split: int, skip: int, weeks: Sequence[Array] = ()) -> Contrast:
    """Return only whether and how strongly the series changed at ``split``, as ``study`` sees it, for a third of it."""
    rest = less(values, usual(weeks), split) if weeks else None
    return _tested(values, rest, _middle(_there(values[: split - skip])), split, skip)


def _tested(values: Array, rest: Array | None, level: float, split: int, skip: int) -> Contrast:
    """Return the contrast of ``rest`` (of ``values`` when None), weakened where something usual explains it."""
    data = values if rest is None else rest
    found = contrast(_but(data, split, skip), split, None if rest is None else level)
    # Where last week's same hours were taken away, a slow wave went with them.
    if rest is None and found.kind == "level" and found.changed and found.strength < WAVE and smooth(data):
        found = replace(found, strength=0.99)
    if rest is not None and found.kind == "level" and 1 <= found.strength < CLEAR:
        found = replace(found, strength=0.99)  # what last week's own noise can show
    return found


def _but(values: Array, split: int, skip: int) -> Array:
    """Return a copy without the slots that hold the instant itself."""
    tested = values.copy()
    tested[split - skip : split] = np.nan
    return tested


def _there(values: Array) -> Array:
    return values[np.isfinite(values)]


def _middle(values: Array) -> float:
    return Sample(values).median


def _farthest(after: Array, shift: float) -> float:
    if not len(after):
        return float("nan")
    return float(after.max() if shift >= 0 else after.min())


def _earlier(data: Array, end: int, split: int) -> int | None:
    """Return the slot of a step well before the instant that the comparison at the instant cannot see, or None."""
    there = np.flatnonzero(np.isfinite(data))
    before, after = _there(data[:end]), _there(data[split:])
    if len(before) < 2 * MIN_BEFORE or len(after) < MIN_AFTER:
        return None
    usual_noise = 1.4826 * _middle(np.abs(np.diff(data[there])))
    low, high = float(before.min()), float(before.max())
    if high - low < 4 * usual_noise or high == low:
        return None
    found = step(there.astype(np.float64), calm(data[there]))
    place = int(found.at)
    if found.latest >= end or place < MIN_BEFORE:
        return None
    moved = contrast(data, place)
    # Here a place was searched for, which finds one in any noise: only a step that nobody could miss counts.
    if moved.kind != "level" or moved.strength < CLEAR or abs(moved.shift) < 4 * moved.noise or smooth(data):
        return None
    near = max(MIN_BEFORE, len(data) // 24)  # a step is there at once; a slow course gets there by and by
    jump = _middle(_there(data[place : place + near])) - _middle(_there(data[max(0, place - near) : place]))
    return place if abs(jump) >= 0.6 * abs(moved.shift) else None


def _reached(values: Array, split: int, shape: Form | None, found: Contrast) -> float:
    """Return the level that the change led to."""
    after = _there(values[split:])
    if shape is None or not len(after):
        return _middle(after)
    since = _there(values[max(split, int(shape.onset)) :])
    if shape.shape == "spike":
        return _farthest(after, found.shift)
    if shape.shape == "ramp":
        return _middle(after[-max(3, len(after) // 10) :])
    if found.kind == "sparse":
        return float(after.mean())
    return _middle(since) if len(since) >= 3 else _middle(after)
