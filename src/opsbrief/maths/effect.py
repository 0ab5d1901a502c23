"""How much of a change is left after a fix: estimates of before, during and after, and their ratio.

A change is measured as a slope (a leak: one slope through all segments between resets), as a level, or as
a share of slots (rare values, missing values). ``left`` is (after - before) / (during - before): 1 is "as
during", 0 is "as before". Its interval decides the word; a wide one says "too early" and how long still.
Intervals are widened by the series' memory and by what several hosts share, because both are the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from opsbrief.maths.form import sawtooth
from opsbrief.maths.sample import memory, spread

Array = npt.NDArray[np.float64]
Word = Literal["fixed", "better", "unchanged", "worse", "too early"]

LEAST = 5  # datapoints below which nothing is estimated
NEAR = 0.2  # part of the change that may at most be left of what is called fixed
_TRACE = 0.05  # part that is left for certain, but too little to matter
_MOST = 0.6  # part that must at least be left of what is called unchanged
_MORE = 1.1  # part from which on it is worse
_BLUR = 1.25  # width of an interval, beside what is left, that tells nothing
_AIM = 0.75 * NEAR  # half-width at which a change that is gone will be told as gone


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval. ``power`` is squared half-width times n (a level) or times n cubed (a slope)."""

    value: float
    low: float
    high: float
    points: int  # slots it rests on
    power: float = 0.0

    @property
    def sure(self) -> bool:
        """Whether it is certainly not 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Left:
    """The part of a change that is left, with its 95 % interval, and the word for it."""

    value: float
    low: float
    high: float
    word: Word

    @property
    def open(self) -> bool:
        """Whether more time could still turn the word into "fixed", or give one at all."""
        return self.word == "too early" or (self.word == "better" and self.low <= _TRACE)


def wide(points: int) -> float:
    """Return how many standard errors 95 % are with so many degrees of freedom (Student's t, to 2 %)."""
    free = max(1.0, float(points))
    return 1.96 + 2.4 / free + 3.0 / free**2 + (5.3 if free < 1.5 else 0.0)


def remembered(rest: Array) -> float:
    """Return by how much memory multiplies a variance; little data shows less memory than it has."""
    keep = memory(rest)
    keep = min(0.95, keep + (1 + 4 * keep) / max(8, len(rest)))
    return float((1 + keep) / (1 - keep))


def slope(lines: Sequence[Array], sign: float, least: float = 0.0) -> Estimate | None:
    """Return one slope per slot through all segments of all ``lines``, which share one grid.

    ``sign`` is 1 where values rise between resets, -1 where they fall; a fall of less than ``least`` is noise,
    and cutting there would make slopes out of it. None when there is too little.
    """
    pieces = [piece for values in lines for piece in _pieces(values, sign, least)]
    used = sum(len(at) for at, _ in pieces)
    if used < LEAST or not pieces:
        return None
    centred = [(at - at.mean(), values - values.mean()) for at, values in pieces]
    bottom = float(sum(x @ x for x, _ in centred))
    value = float(sum(x @ y for x, y in centred)) / bottom
    rests = [y - value * x for x, y in centred]
    scores = np.zeros(max(len(values) for values in lines))
    for (at, _), (x, _), rest in zip(pieces, centred, rests, strict=True):
        np.add.at(scores, at.astype(np.intp), x * rest)  # hosts that move together count once
    free = used - len(pieces) - 1
    loose = used / max(1, free)
    alone = float(sum(rest @ rest for rest in rests)) / max(1, free) * bottom
    variance = max(float(scores @ scores) * loose, alone) / bottom**2
    variance *= max(remembered(rest) for rest in rests)
    half = wide(free) * float(np.sqrt(variance))
    slots = int(np.ptp(np.concatenate([at for at, _ in pieces]))) + 1
    return Estimate(value, value - half, value + half, slots, half**2 * slots**3)


def _pieces(values: Array, sign: float, least: float) -> list[tuple[Array, Array]]:
    """Return (slots, values) of each segment between sharp falls that is long enough to have a slope."""
    there = np.flatnonzero(np.isfinite(values))
    at, data = there.astype(np.float64), values[there]
    cuts = [int(np.searchsorted(there, reset)) + 1 for reset in resets(values, sign, least)]
    edges = [0, *cuts, len(data)]
    return [(at[low:high], data[low:high]) for low, high in pairwise(edges) if high - low >= 4]


def resets(values: Array, sign: float, least: float = 0.0) -> tuple[int, ...]:
    """Return the slots of the last value before each sharp fall of ``least`` or more."""
    there = np.flatnonzero(np.isfinite(values))
    saw = sawtooth(there.astype(np.float64), values[there], sign)
    if saw is None:
        return ()
    data = values[there] * sign
    places = [(reset, int(np.searchsorted(there, reset))) for reset in saw.resets]
    return tuple(reset for reset, at in places if data[at] - data[at + 1 : at + 4].min() >= least)


def level(values: Array) -> Estimate | None:
    """Return the median; None when there is too little."""
    data = values[np.isfinite(values)]
    if len(data) < LEAST:
        return None
    centre = float(np.median(data))
    half = wide(len(data) - 1) * 1.25 * spread(data) * float(np.sqrt(remembered(data) / len(data)))
    return Estimate(centre, centre - half, centre + half, len(data), half**2 * len(data))


def share(hits: npt.NDArray[np.bool_]) -> Estimate | None:
    """Return the share of slots that are hits, with a Poisson interval, so that none of few is not none at all."""
    if len(hits) < LEAST:
        return None
    many, slots = int(hits.sum()), len(hits)
    low, high = poisson(many)
    stretch = remembered(hits.astype(np.float64)) ** 0.5 if 0 < many < slots else 1.0
    value = many / slots
    under, over = (value - low / slots) * stretch, (high / slots - value) * stretch
    return Estimate(value, max(0.0, value - under), min(1.0, value + over), slots, max(under, over) ** 2 * slots)


def poisson(count: float) -> tuple[float, float]:
    """Return the 95 % interval of a Poisson mean of which ``count`` were seen (Wilson and Hilferty; to 2 %)."""
    low = count * (1 - 1 / (9 * count) - 1.96 / (3 * count**0.5)) ** 3 if count > 0 else 0.0
    more = count + 1
    return max(0.0, low), more * (1 - 1 / (9 * more) + 1.96 / (3 * more**0.5)) ** 3


def left(before: Estimate, during: Estimate, after: Estimate) -> Left | None:
    """Return what is left of the change from ``before`` to ``during``; None where that is not told apart."""
    size = during.value - before.value
    up = size > 0
    rise = during.value - (during.low if up else during.high)  # how far each may lie nearer to the other
    base = (before.high if up else before.low) - before.value
    if not size or abs(size) <= 1.25 * float(np.hypot(rise, base)):
        return None
    part = (after.value - before.value) / size
    under = after.value - (after.low if up else after.high)
    over = (after.high if up else after.low) - after.value
    common = (part * rise) ** 2 + ((1 - part) * base) ** 2
    low = part - float(np.sqrt(under**2 + common)) / abs(size)
    high = part + float(np.sqrt(over**2 + common)) / abs(size)
    return Left(part, low, high, word(part, low, high))


def word(part: float, low: float, high: float) -> Word:
    """Return what an interval of the part that is left allows to say."""
    if high - low > _BLUR * max(1.0, abs(part)):
        return "too early"
    if low > _MORE:
        return "worse"
    if high < NEAR and (low <= _TRACE or part <= _TRACE):
        return "fixed"
    if high < 1 - NEAR / 2:
        return "better"
    if low > _MOST and high < 2 - _MOST + NEAR / 2:
        return "unchanged"
    return "too early"


def settled(estimate: Estimate | None, others: Sequence[Estimate | None], *, cubic: bool) -> Estimate | None:
    """Return an estimate whose interval is no narrower than the noise of longer stretches allows.

    A few values that happen to lie in a row know nothing of the noise they stand in. ``cubic`` says that these
    are slopes, whose intervals shrink with the third power of time.
    """
    powers = [other.power for other in others if other and other.points >= 2 * LEAST]
    if estimate is None or not powers:
        return estimate
    power = max(min(powers), estimate.power)
    half = float(np.sqrt(power / estimate.points ** (3 if cubic else 1)))
    low, high = min(estimate.low, estimate.value - half), max(estimate.high, estimate.value + half)
    return Estimate(estimate.value, low, high, estimate.points, power)


def needed(before: Estimate, during: Estimate, after: Estimate | None, *, cubic: bool) -> float | None:
    """Return how many slots after the fix it takes until a change that is gone is told as gone.

    Judged by the noise after the fix, or before it while there is too little of it. None when the time before
    is itself too short or too noisy for that.
    """
    power = after.power if after and after.points >= 2 * LEAST else min(before.power or np.inf, during.power)
    size = during.value - before.value
    aim = (_AIM * size) ** 2 - (before.value - (before.low if size < 0 else before.high)) ** 2
    if aim <= 0:
        return None
    return float(max(2 * LEAST, (power / aim) ** (1 / 3 if cubic else 1.0)))
