"""What a change looks like and when it began: fits of a few plain models around a known instant.

Step, ramp (a hinge: flat, then rising), sawtooth (a leak that restarts reset: one slope through all segments),
spike, drop, silent, noisier. The onset is the best place of the step or hinge; its interval holds every place
whose fit is not clearly worse, widened by the autocorrelation of what the model leaves over.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from opsbrief.maths.contrast import Contrast
from opsbrief.maths.sample import Sample, cliff, memory, spread

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Form:
    """A shape with its onset in slots (fractions allowed), counted from the first value."""

    shape: str  # step, ramp, sawtooth, spike, drop, silent, noisier
    onset: float
    earliest: float
    latest: float
    slope: float | None = None  # units per slot; of ramps and sawtooths only
    slope_low: float | None = None
    slope_high: float | None = None
    resets: tuple[int, ...] = ()  # slots of the last value before each sharp fall


@dataclass(frozen=True, slots=True)
class Saw:
    """One slope through all segments between resets, with its 95 % interval; per slot."""

    slope: float
    low: float
    high: float
    resets: tuple[int, ...]
    kept: float  # part of the variance that the segments leave over


@dataclass(frozen=True, slots=True)
class Bend:
    """The best place of a step or hinge among ``places``, and the interval it lies in."""

    at: float
    earliest: float
    latest: float
    error: float  # sum of squares left over
    slope: float = 0.0


def form(values: Array, split: int, change: Contrast) -> Form:
    """Name the shape of a change found by ``contrast`` and date its beginning.

    ``values`` as given to ``contrast``; ``split`` is the slot of the instant.
    """
    there = np.flatnonzero(np.isfinite(values))
    if change.kind == "silent":
        last = int(there[-1]) if len(there) else split
        return Form("silent", last + 1, last + 1, last + 1)
    at, data = there.astype(np.float64), values[there]
    first = int(np.searchsorted(there, split))
    if change.kind == "spread" and abs(change.effect) < 0.5:
        centre = Sample(data[:first]).median
        scale = spread(data[:first]) or 1.0
        bend = step(at, np.log1p(np.abs(data - centre) / scale))
        return Form("noisier", bend.at, bend.earliest, bend.latest)
    if change.kind == "sparse":
        bend = step(at, (data > Sample(data[:first]).median).astype(np.float64))
        return Form("step", bend.at, bend.earliest, bend.latest)
    return _moving(there, data, first, change)


def _moving(there: npt.NDArray[np.int64], data: Array, first: int, change: Contrast) -> Form:
    """Tell the shapes of a level apart: back again, a leak with restarts, a ramp, else one step."""
    at = there.astype(np.float64)
    smooth = calm(data)
    peak, end = _peak(smooth, first, change)
    if _returned(smooth[end:], change, peak, len(data) - first):
        bend = step(at[:end], smooth[:end])
        return Form("spike", bend.at, bend.earliest, bend.latest)
    saw = _leak(at, data, first, change)
    if saw:
        stop = int(np.searchsorted(there, saw.resets[0])) + 1
        bend = hinge(at[:stop], smooth[:stop])
        return Form("sawtooth", bend.at, bend.earliest, bend.latest, saw.slope, saw.low, saw.high, saw.resets)
    flat, rising = step(at, smooth), hinge(at, smooth)
    if rising.error < 0.9 * flat.error and rising.slope * change.shift > 0 and _still(at, smooth, rising, change):
        single = sawtooth(at[at >= rising.at], data[at >= rising.at], 1.0 if rising.slope > 0 else -1.0, cut=False)
        if single and single.low * single.slope > 0:
            slopes = (single.slope, single.low, single.high)
            return Form("ramp", rising.at, rising.earliest, rising.latest, *slopes)
    gone = abs(change.before) > 4 * change.noise and abs(change.after) <= 0.05 * abs(change.before)
    return Form("drop" if gone else "step", flat.at, flat.earliest, flat.latest)


def calm(values: Array) -> Array:
    """Return the running median of three: single outliers go, edges stay."""
    if len(values) < 3:
        return values
    left, middle, right = values[:-2], values[1:-1], values[2:]
    inner = np.maximum(np.minimum(left, middle), np.minimum(np.maximum(left, middle), right))
    return np.concatenate((values[:1], inner, values[-1:]))


def step(at: Array, values: Array) -> Bend:
    """Return where a single step fits best."""
    count = len(values)
    if count < 4:
        return Bend(float(at[-1]), float(at[0]), float(at[-1]), 0.0)
    sums, size = np.cumsum(values - values.mean())[:-1], np.arange(1, count)
    total = float(((values - values.mean()) ** 2).sum())
    errors = total - sums**2 / size - sums**2 / (count - size)
    best = int(np.argmin(errors))
    rest = values - np.where(np.arange(count) <= best, values[: best + 1].mean(), values[best + 1 :].mean())
    return _interval(at[1:], errors, rest)


def hinge(at: Array, values: Array) -> Bend:
    """Return where a flat line that starts to rise or fall fits best."""
    count = len(values)
    if count < 6:
        return Bend(float(at[-1]), float(at[0]), float(at[-1]), 0.0)
    places = np.arange(1, count - 2)
    errors, slopes = _hinges(at, values, places)
    best = int(np.argmin(errors))
    leg = np.maximum(0.0, at - at[places[best]])
    rest = values - values.mean() - slopes[best] * (leg - leg.mean())
    bend = _interval(at[places], errors, rest)
    return Bend(bend.at, bend.earliest, bend.latest, bend.error, float(slopes[best]))


def _hinges(at: Array, values: Array, places: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Return what a hinge at each place leaves over, and its slope; from sums over the tails, without a matrix."""
    count, centred = len(values), values - values.mean()
    time = at - at[0]
    size = (count - np.arange(count))[places].astype(np.float64)
    tail = np.cumsum(time[::-1])[::-1][places]
    square = np.cumsum((time**2)[::-1])[::-1][places]
    value = np.cumsum(centred[::-1])[::-1][places]
    product = np.cumsum((time * centred)[::-1])[::-1][places]
    here = time[places]
    total = tail - here * size  # sum of the legs
    power = square - 2 * here * tail + here**2 * size - total**2 / count
    slopes = (product - here * value) / np.maximum(power, 1e-12)
    return float(centred @ centred) - slopes**2 * power, slopes


def smooth(values: Array) -> bool:
    """Return whether a smooth course through before and after explains a level change as well as a break does.

    A slow wave that happens to turn near the instant is no change; a cubic follows it, but not a step or a bend.
    """
    there = np.flatnonzero(np.isfinite(values))
    if len(there) < 40:
        return False
    at, data = there.astype(np.float64), calm(values[there])
    whole = Sample(data)
    data = np.minimum(np.maximum(data, whole.quantile(0.01)), whole.quantile(0.99))
    scaled = 2 * (at - at[0]) / (at[-1] - at[0]) - 1
    # Legendre's polynomials up to the third, which a fit bears better than plain powers
    basis = np.stack((np.ones(len(scaled)), scaled, (3 * scaled**2 - 1) / 2, (5 * scaled**3 - 3 * scaled) / 2), axis=1)
    rest = data - basis @ np.linalg.lstsq(basis, data, rcond=None)[0]
    broken = min(step(at, data).error, hinge(at, data).error)
    return bool(rest @ rest <= broken)


def _interval(places: Array, errors: Array, rest: Array) -> Bend:
    """Every place whose error is within what noise of this size and memory explains."""
    best = int(np.argmin(errors))
    low = max(float(errors[best]), 0.0)
    keep = memory(rest)
    allowed = low + 3.84 * low / max(1, len(rest) - 3) * (1 + keep) / (1 - keep)
    near = np.flatnonzero(errors <= allowed + 1e-12)
    return Bend(float(places[best]), float(places[near[0]]), float(places[near[-1]]), low)


def sawtooth(at: Array, values: Array, sign: float, *, cut: bool = True) -> Saw | None:
    """Fit one slope through all segments between sharp falls (``sign`` 1; rises for -1).

    With ``cut`` False the values are taken as one segment. None when there is too little to fit.
    """
    if len(values) < 5:
        return None
    data = values * sign
    falls = _falls(data) if cut else ()
    edges = [0, *(fall + 1 for fall in falls), len(data)]
    top = bottom = 0.0
    rests, used = [], 0
    pieces = [slice(low, high) for low, high in pairwise(edges) if high - low >= 4]
    for piece in pieces:
        x, y = at[piece] - at[piece].mean(), data[piece] - data[piece].mean()
        top, bottom = top + float(x @ y), bottom + float(x @ x)
        rests.append((x, y))
        used += len(x)
    if not pieces or not bottom:
        return None
    slope = top / bottom
    rest = np.concatenate([y - slope * x for x, y in rests])
    keep = memory(rest)
    error = float(np.sqrt((rest @ rest) / max(1, used - len(pieces) - 1) / bottom * (1 + keep) / (1 - keep)))
    total = float(((data - data.mean()) ** 2).sum()) or 1.0
    low, high = sorted((sign * (slope - 1.96 * error), sign * (slope + 1.96 * error)))
    return Saw(sign * slope, low, high, tuple(int(at[fall]) for fall in falls), float(rest @ rest) / total)


def _falls(data: Array) -> tuple[int, ...]:
    """Return the places of the last value before each sharp fall (within two slots)."""
    if len(data) < 6:
        return ()
    next_two = np.minimum(data[1:], np.concatenate((data[2:], data[-1:])))
    fall = data[:-1] - next_two
    jitter = 1.4826 * Sample(np.abs(np.diff(data))).median / np.sqrt(2)
    sharp = np.flatnonzero(fall > max(5 * jitter, 0.4 * Sample(data).range(0.02)))
    found: list[int] = []
    for place in sharp:
        if found and place - found[-1] <= 3:
            if data[place] - data[place + 1] > data[found[-1]] - data[found[-1] + 1]:
                found[-1] = int(place)  # of neighbours, the one with the steepest single fall
        else:
            found.append(int(place))
    return tuple(found)


def _leak(at: Array, data: Array, first: int, change: Contrast) -> Saw | None:
    """Return a sawtooth after the instant that was not there before it, or None."""
    after_at, after = at[first:], data[first:]
    best: Saw | None = None
    for sign in (1.0, -1.0):
        saw = sawtooth(after_at, after, sign)
        if saw is None or not saw.resets or saw.kept > 0.6 or (saw.low <= 0 <= saw.high) or saw.slope * sign < 0:
            continue
        length = len(after) / (len(saw.resets) + 1)
        if abs(saw.slope) * length < 3 * change.noise * 0.5:
            continue
        old = sawtooth(at[:first], data[:first], sign)
        if old and old.resets and len(old.resets) * len(after) >= 0.5 * len(saw.resets) * first and old.kept < 0.6:
            continue
        if best is None or saw.kept < best.kept:
            best = saw
    return best


def _peak(smooth: Array, first: int, change: Contrast) -> tuple[float, int]:
    """Return the farthest deviation after the instant and the place where the first excursion ended."""
    away = (smooth[first:] - change.before) * (1 if change.shift >= 0 else -1)
    top = int(np.argmax(away))
    back = np.flatnonzero(away[top:] < 0.4 * away[top])
    return float(away[top]), first + top + (int(back[0]) if len(back) else len(away) - top)


def _returned(rest: Array, change: Contrast, peak: float, length: int) -> bool:
    """Whether the values went back to where they were, and stayed there for most of the time."""
    if len(rest) < max(3, 0.3 * length):
        return False
    sign = 1 if change.shift >= 0 else -1
    away = (rest - change.before) * sign
    late = away[len(away) // 2 :]
    back = Sample(away).median < 0.3 * peak and Sample(late).quantile(0.9) < 0.6 * peak
    return back and abs(_late(rest, change)) < 0.7


def _late(rest: Array, change: Contrast) -> float:
    """How far the last third of the rest still lies from before, in noise of before."""
    level = Sample(rest[-max(1, len(rest) // 3) :]).median
    if change.noise == 0:
        return float(level != change.before)
    return (level - change.before) / (2 * change.noise)


def _still(at: Array, smooth: Array, bend: Bend, change: Contrast) -> bool:
    """Whether the slope goes on: the later half of what follows the bend lies beyond the earlier half."""
    tail = smooth[at >= bend.at]
    if len(tail) < 8:
        return False
    half = len(tail) // 2
    return abs(cliff(tail[:half], tail[half:])) > 0.5 and abs(tail[half:].mean() - tail[:half].mean()) > change.noise
