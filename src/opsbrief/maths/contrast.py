"""One series at a known instant: did it change. Ranks, effect sizes, the series' own past as the yardstick.

The instant is given (the deploy), so nothing is searched for: the values after it are compared with the
values before it. A shift counts when it is large against what windows of the same length did before the
instant (the placebo windows of the same series) *and* when the ranks separate. That holds up against
autocorrelation, slow drift, bursts and single outliers, where tests of significance call everything changed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from opsbrief.maths.sample import Array, Sample, windows

MIN_BEFORE = 8  # datapoints before the instant below which nothing can be said
MIN_AFTER = 3  # datapoints after it

_RATIO = 2.4  # a shift must exceed the 95 % placebo window of the same length by this factor
_DELTA = 0.55  # and its ranks must separate this far (Cliff's delta)
_LATE = 0.65  # a change that only the later half shows weighs less: it did not begin at the instant
_SHORT = 8  # points after the instant up to which there are too few for windows
_WIDTH = 0.5  # part of the 10-90 % range that a shift of so few must exceed
_APART = 0.75  # and the ranks must separate this far
_SUDDEN = 3.0  # the same ratio for a short burst that starts at the instant
_SPARSE = 5.0  # standard errors between two shares of not-usual values
_SHARE = 0.25  # and the least difference of the shares
_SPREAD = 0.9  # natural logarithm of the ratio of spreads that counts as noisier
_JITTER = 0.5  # the same for point-to-point differences
_FLOOR = 0.01  # part of the level below which no shift is of interest


@dataclass(frozen=True, slots=True)
class Contrast:
    """After against before. ``strength`` >= 1 means changed; it grows with the evidence."""

    kind: str  # "level", "burst", "sparse", "spread", "silent"; "" = nothing stands out
    strength: float
    effect: float  # Cliff's delta of after against before, -1 ... 1
    before: float  # median
    after: float  # median (of the part that deviates)
    shift: float  # after - before, of the part that deviates; its sign is the direction
    noise: float  # robust standard deviation before
    points_before: int
    points_after: int

    @property
    def changed(self) -> bool:
        """Whether the change is beyond what the series did before."""
        return self.strength >= 1


def drift(values: Sample) -> float:
    """Return the slope per slot that ``values`` certainly have, shrunk to 0 where noise explains it."""
    count = len(values)
    if count < 20:
        return 0.0
    at = np.arange(count) - (count - 1) / 2
    across = float(at @ at)
    pulled = values.pulled
    slope = float(at @ pulled) / across
    rest = pulled - pulled.mean() - slope * at
    keep = Sample(rest).memory
    error = math.sqrt(float(rest @ rest) / (count - 2) / across * (1 + keep) / (1 - keep))
    return slope * max(0.0, 1 - 4 * (error / slope) ** 2) if slope else 0.0


def contrast(values: Array, split: int, level: float | None = None) -> Contrast:
    """Compare ``values[split:]`` with ``values[:split]``; NaN is missing, never 0.

    ``level`` is the usual level of the raw series when ``values`` are differences from last week.
    """
    there = np.isfinite(values)
    before, after = Sample(values[:split][there[:split]]), Sample(values[split:][there[split:]])
    quiet = _silence(there, split)
    sizes = len(before), len(after)
    if len(before) < MIN_BEFORE or (len(after) < MIN_AFTER and not quiet):
        return Contrast("", 0.0, 0.0, before.median, after.median, 0.0, 0.0, *sizes)
    if quiet and len(after) < MIN_AFTER:
        base = before.median
        return Contrast("silent", quiet, -1.0, base, after.median, -base, before.spread, *sizes)
    slope = drift(before)
    if slope:
        reach = np.minimum(np.arange(len(after)), len(before))  # a drift is not believed for longer than it was seen
        before = Sample(before.values - slope * (np.arange(len(before)) - len(before)))
        after = Sample(after.values - slope * reach)
    floor = _FLOOR * abs(before.median if level is None else level) + 1e-12
    best = (_level if len(after) > _SHORT else _brief)(before, after, floor)
    for test in (_burst, _sparse, _spread):
        found = test(before, after, floor, best.strength)
        if found and found.strength > best.strength:
            best = found
    if quiet > best.strength:
        best = replace(best, kind="silent", strength=quiet)
    return best


def _silence(there: npt.NDArray[np.bool_], split: int) -> float:
    """Return >= 1 when a series that always reported stopped reporting after the instant."""
    before, after = there[:split], there[split:]
    if (
        len(before) < MIN_BEFORE
        or len(after) < 3
        or before.mean() < 0.8
        or before[-max(3, len(before) // 10) :].sum() < 2
    ):
        return 0.0
    tail = len(after) - (int(np.flatnonzero(after)[-1]) + 1 if after.any() else 0)
    gaps = np.diff(np.flatnonzero(np.concatenate(([True], before, [True])))) - 1
    return float(tail / max(3.0, 0.2 * len(after), 2.0 * float(gaps.max())))


def _level(before: Sample, after: Sample, floor: float) -> Contrast:
    """Test whether the level moved, in all of after or in its later half."""
    centre, noise, keep = before.median, before.spread, before.memory
    parts = [(after, 1.0)]
    if len(after) >= 12:
        parts.append((Sample(after.values[len(after) // 2 :]), _LATE))
    best: Contrast | None = None
    for part, weight in parts:
        length = min(len(part), max(3, len(before) // 3))
        placebo = Sample(np.abs(windows(before.values, length) - centre)).quantile(0.95)
        error = 1.25 * noise * math.sqrt((1 + keep) / (1 - keep) / len(part))
        shift = part.median - centre
        delta = before.delta(part.ordered)
        ratio = abs(shift) / max(placebo, min(error, noise), floor)
        strength = min(ratio / _RATIO, (abs(delta) / _DELTA) ** 2 * max(1.0, ratio / _RATIO) ** 0.5)
        strength *= weight
        if best is None or strength > best.strength:
            now = centre + shift
            best = Contrast("level", strength, delta, centre, now, shift, noise, len(before), len(after))
    assert best is not None  # noqa: S101 - parts is never empty
    return best


def _brief(before: Sample, after: Sample, floor: float) -> Contrast:
    """Test the level of a few points only, with a yardstick that earlier incidents in before cannot stretch."""
    centre = before.median
    shift = after.median - centre
    delta = before.delta(after.ordered)
    ratio = abs(shift) / max(_WIDTH * before.range(), floor)
    strength = min(ratio, (abs(delta) / _APART) ** 2)
    return Contrast("level", strength, delta, centre, centre + shift, shift, before.spread, len(before), len(after))


def _burst(before: Sample, after: Sample, floor: float, _least: float) -> Contrast | None:
    """Test for a short excursion right after the instant: a later one is no matter of the deploy."""
    centre, noise = before.median, before.spread
    length = min(4, len(after))
    delta = before.delta(after.values[:length])
    if abs(delta) <= 0.8:
        return None
    near = windows(after.values[: length + max(3, len(after) // 20)], length) - centre
    peak = float(near[np.argmax(np.abs(near))])
    placebo = Sample(np.abs(windows(before.values, length) - centre))
    usual = max(placebo.quantile(1.0 if len(after) > 8 else 0.95), noise, floor)
    strength = abs(peak) / usual / _SUDDEN
    return Contrast("burst", strength, delta, centre, centre + peak, peak, noise, len(before), len(after))


def _sparse(before: Sample, after: Sample, _floor: float, _least: float) -> Contrast | None:
    """Test counts that are nearly always the same value (0): how often are they above it."""
    centre = before.median
    below, upto = before.ordered.searchsorted(centre, "left"), before.ordered.searchsorted(centre, "right")
    if (upto - below) / len(before) < 0.6:
        return None
    old, new = 1 - float(upto) / len(before), float((after.values > centre).mean())
    if new <= old:
        return None
    size = 1 / len(before) + 1 / len(after)
    pooled = (old * len(before) + new * len(after) + 1) / (len(before) + len(after) + 2)
    errors = (new - old) / math.sqrt(pooled * (1 - pooled) * size)
    was, now = float(before.values.mean()), float(after.values.mean())
    grown = (now - was) / (0.5 * max(float(np.abs(before.values).mean()), 1e-12))  # half as much again, at the least
    strength = min(errors / _SPARSE, (new - old) / _SHARE, grown)
    delta = before.delta(after.ordered)
    return Contrast("sparse", strength, delta, was, now, now - was, before.spread, len(before), len(after))


def _spread(before: Sample, after: Sample, floor: float, least: float) -> Contrast | None:
    """Test for more noise: both the range and the point-to-point differences must have grown.

    None as soon as it cannot exceed ``least``.
    """
    if len(after) < 20 or len(before) < 20:
        return None
    strength = _log_ratio(before.range(), after.range(), floor) / _SPREAD
    if strength <= least:
        return None
    middle = _log_ratio(before.range(0.25), after.range(0.25), floor)  # not the outliers alone
    jump = _log_ratio(_typical(before), _typical(after), floor)
    length = min(len(after), len(before) // 3)
    starts = range(0, len(before) - length + 1, max(1, length // 3))
    past = max(Sample(before.values[at : at + length]).range() for at in starts)
    strength = min(strength, jump / _JITTER, _log_ratio(past, after.range(), floor) / 0.5, middle / _SPREAD)
    delta, grown = before.delta(after.ordered), after.spread - before.spread
    return Contrast(
        "spread", strength, delta, before.median, after.median, grown, before.spread, len(before), len(after)
    )


def _typical(values: Sample) -> float:
    return Sample(np.abs(np.diff(values.values))).quantile(0.7)


def _log_ratio(old: float, new: float, floor: float) -> float:
    return math.log((new + floor / 4) / (old + floor / 4))
