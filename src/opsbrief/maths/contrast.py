"""One series at a known instant: did it change. Ranks, effect sizes, the series' own past as the yardstick.

The instant is given (the deploy), so nothing is searched for: the values after it are compared with the
values before it. A shift counts when it is large against what windows of the same length did before the
instant (the placebo windows of the same series) *and* when the ranks separate. That holds up against
autocorrelation, slow drift, bursts and single outliers, where tests of significance call everything changed.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[np.float64]

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


def cliff(before: Array, after: Array) -> float:
    """Return Cliff's delta: P(after > before) - P(after < before); ties count as neither."""
    if not len(before) or not len(after):
        return 0.0
    ordered = np.sort(before)
    below = np.searchsorted(ordered, after, "left").sum()
    above = (len(ordered) - np.searchsorted(ordered, after, "right")).sum()
    return float((below - above) / (len(before) * len(after)))


def spread(values: Array) -> float:
    """Return a robust standard deviation that outliers up to 5 % on each side cannot move.

    The larger of the median absolute deviation and the 5-95 % range, both scaled to a normal's.
    """
    centre = np.median(values)
    low, high = np.quantile(values, (0.05, 0.95))
    return float(max(1.4826 * np.median(np.abs(values - centre)), (high - low) / 3.29))


def memory(values: Array) -> float:
    """Return the lag-1 autocorrelation, clipped to 0 ... 0.95, outliers pulled in first."""
    if len(values) < 8:
        return 0.0
    centre, scale = float(np.median(values)), spread(values)
    if scale == 0:
        return 0.0
    pulled = np.clip(values, centre - 3 * scale, centre + 3 * scale)
    pulled = pulled - pulled.mean()
    power = float(pulled @ pulled)
    return float(np.clip(pulled[1:] @ pulled[:-1] / power, 0, 0.95)) if power else 0.0


def windows(values: Array, length: int) -> Array:
    """Return the medians of every window of ``length`` values."""
    return np.asarray(np.median(sliding_window_view(values, length), axis=1))


def drift(values: Array) -> float:
    """Return the slope per slot that ``values`` certainly have, shrunk to 0 where noise explains it."""
    count = len(values)
    if count < 20:
        return 0.0
    at = np.arange(count) - (count - 1) / 2
    centre, scale = float(np.median(values)), spread(values)
    pulled = np.clip(values, centre - 3 * scale, centre + 3 * scale)
    slope = float(at @ pulled / (at @ at))
    rest = pulled - pulled.mean() - slope * at
    keep = memory(rest)
    error = float(np.sqrt((rest @ rest) / (count - 2) / (at @ at) * (1 + keep) / (1 - keep)))
    return slope * max(0.0, 1 - 4 * (error / slope) ** 2) if slope else 0.0


def contrast(values: Array, split: int, level: float | None = None) -> Contrast:
    """Compare ``values[split:]`` with ``values[:split]``; NaN is missing, never 0.

    ``level`` is the usual level of the raw series when ``values`` are differences from last week.
    """
    there = np.isfinite(values)
    before, after = values[:split][there[:split]], values[split:][there[split:]]
    quiet = _silence(there, split)
    if len(before) < MIN_BEFORE or (len(after) < MIN_AFTER and not quiet):
        return Contrast("", 0.0, 0.0, _median(before), _median(after), 0.0, 0.0, len(before), len(after))
    if quiet and len(after) < MIN_AFTER:
        base = _median(before)
        return Contrast("silent", quiet, -1.0, base, _median(after), -base, spread(before), len(before), len(after))
    slope = drift(before)
    if slope:
        reach = np.minimum(np.arange(len(after)), len(before))  # a drift is not believed for longer than it was seen
        before = before - slope * (np.arange(len(before)) - len(before))
        after = after - slope * reach
    centre = float(np.median(before))
    floor = _FLOOR * abs(centre if level is None else level) + 1e-12
    found = [
        (_level if len(after) > _SHORT else _brief)(before, after, centre, floor),
        _burst(before, after, centre, floor),
        _sparse(before, after, centre),
        _spread(before, after, centre, floor),
    ]
    best = max(found, key=lambda each: each.strength)
    if quiet > best.strength:
        best = replace(best, kind="silent", strength=quiet)
    return best


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")


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


def _level(before: Array, after: Array, centre: float, floor: float) -> Contrast:
    """Test whether the level moved, in all of after or in its later half."""
    noise = spread(before)
    keep = memory(before)
    parts = [(after, 1.0), (after[len(after) // 2 :], _LATE)] if len(after) >= 12 else [(after, 1.0)]
    best: Contrast | None = None
    for part, weight in parts:
        length = min(len(part), max(3, len(before) // 3))
        placebo = float(np.quantile(np.abs(windows(before, length) - centre), 0.95))
        error = 1.25 * noise * float(np.sqrt((1 + keep) / (1 - keep) / len(part)))
        shift = float(np.median(part)) - centre
        delta = cliff(before, part)
        ratio = abs(shift) / max(placebo, min(error, noise), floor)
        strength = min(ratio / _RATIO, (abs(delta) / _DELTA) ** 2 * max(1.0, ratio / _RATIO) ** 0.5)
        strength *= weight
        if best is None or strength > best.strength:
            now = centre + shift
            best = Contrast("level", strength, delta, centre, now, shift, noise, len(before), len(after))
    assert best is not None  # noqa: S101 - parts is never empty
    return best


def _brief(before: Array, after: Array, centre: float, floor: float) -> Contrast:
    """Test the level of a few points only, with a yardstick that earlier incidents in before cannot stretch."""
    shift = float(np.median(after)) - centre
    delta = cliff(before, after)
    ratio = abs(shift) / max(_WIDTH * _range(before), floor)
    strength = min(ratio, (abs(delta) / _APART) ** 2)
    noise = spread(before)
    return Contrast("level", strength, delta, centre, centre + shift, shift, noise, len(before), len(after))


def _burst(before: Array, after: Array, centre: float, floor: float) -> Contrast:
    """Test for a short excursion right after the instant: a later one is no matter of the deploy."""
    noise = spread(before)
    length = min(4, len(after))
    near = windows(after[: length + max(3, len(after) // 20)], length) - centre
    peak = float(near[np.argmax(np.abs(near))])
    placebo = np.abs(windows(before, length) - centre)
    usual = max(float(placebo.max()) if len(after) > 8 else float(np.quantile(placebo, 0.95)), noise, floor)
    delta = cliff(before, after[:length])
    strength = abs(peak) / usual / _SUDDEN if abs(delta) > 0.8 else 0.0
    return Contrast("burst", strength, delta, centre, centre + peak, peak, noise, len(before), len(after))


def _sparse(before: Array, after: Array, centre: float) -> Contrast:
    """Test counts that are nearly always the same value (0): how often are they above it."""
    old, new = float((before > centre).mean()), float((after > centre).mean())
    if (before == centre).mean() < 0.6 or new <= old:
        return Contrast("", 0.0, 0.0, centre, centre, 0.0, 0.0, len(before), len(after))
    size = 1 / len(before) + 1 / len(after)
    pooled = (old * len(before) + new * len(after) + 1) / (len(before) + len(after) + 2)
    errors = (new - old) / float(np.sqrt(pooled * (1 - pooled) * size))
    shift = float(after.mean() - before.mean())
    grown = shift / (0.5 * max(float(np.abs(before).mean()), 1e-12))  # half as much again, at the least
    strength = min(errors / _SPARSE, (new - old) / _SHARE, grown)
    return Contrast(
        "sparse", strength, cliff(before, after), float(before.mean()), float(after.mean()), shift, spread(before),
        len(before), len(after),
    )  # fmt: skip


def _spread(before: Array, after: Array, centre: float, floor: float) -> Contrast:
    """Test for more noise: both the range and the point-to-point differences must have grown."""
    noise = spread(before)
    nothing = Contrast("", 0.0, 0.0, centre, centre, 0.0, noise, len(before), len(after))
    if len(after) < 20 or len(before) < 20:
        return nothing
    wide = _log_ratio(_range(before), _range(after), floor)
    jump = _log_ratio(_typical(before), _typical(after), floor)
    length = min(len(after), len(before) // 3)
    past = [_range(before[at : at + length]) for at in range(0, len(before) - length + 1, max(1, length // 3))]
    grown = _log_ratio(max(past), _range(after), floor)
    middle = _log_ratio(_range(before, 0.25), _range(after, 0.25), floor)  # not the outliers alone
    strength = min(wide / _SPREAD, jump / _JITTER, grown / 0.5, middle / _SPREAD)
    return Contrast(
        "spread", strength, cliff(before, after), centre, float(np.median(after)), spread(after) - noise, noise,
        len(before), len(after),
    )  # fmt: skip


def _range(values: Array, tail: float = 0.1) -> float:
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(high - low)


def _typical(values: Array) -> float:
    return float(np.quantile(np.abs(np.diff(values)), 0.7))


def _log_ratio(old: float, new: float, floor: float) -> float:
    return float(np.log((new + floor / 4) / (old + floor / 4)))
