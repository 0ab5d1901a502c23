"""Many points to few pixel columns, without losing an extreme."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opsbrief.model.chart import Floats

HUGE = 1e300  # beyond it the arithmetic of axes overflows
SPECK = (1.2, 4.0)  # half the width of the dash that a lone point is drawn as: at least, at most
BLOCKS = "▁▂▃▄▅▆▇█"

Indices = npt.NDArray[np.intp]


def finite(values: Floats) -> Floats:
    """Return ``values`` as float64 with everything that cannot be drawn as NaN."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) <= HUGE, array, np.nan)


def pick(x: Floats, y: Floats) -> Indices:
    """Choose the points to draw: of each pixel column the first, lowest, highest and last, and a gap.

    ``x`` ascends. This is M4 (Jugel and others, VLDB 2014): the drawn line covers the same pixels
    as all points would. Series of at most two points a column are kept whole.
    """
    column = np.floor(x).astype(np.intp)
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1)) if x.size else np.empty(0, np.intp)
    if x.size <= 2 * max(1, starts.size):
        return np.arange(x.size)
    lengths = np.diff(starts, append=x.size)
    group = np.repeat(np.arange(starts.size), lengths)
    missing = np.isnan(y)
    chosen = [_firsts(missing, group)]
    there = np.flatnonzero(~missing)
    if there.size:
        owner = group[there]
        edge = np.flatnonzero(np.diff(owner))
        chosen += [there[np.concatenate(([0], edge + 1))], there[np.concatenate((edge, [there.size - 1]))]]
        with np.errstate(invalid="ignore"):  # a column of NaN only has NaN as its extreme
            lowest, highest = np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts)
        chosen += [_firsts(y == lowest[group], group), _firsts(y == highest[group], group)]
    kept = np.zeros(x.size, dtype=np.bool_)  # in order and each once, without sorting
    kept[np.concatenate(chosen)] = True
    return np.flatnonzero(kept)


def _firsts(wanted: npt.NDArray[np.bool_], group: Indices) -> Indices:
    """Return the first index of each group where ``wanted`` holds."""
    hits = np.flatnonzero(wanted)
    first: Indices = hits[np.diff(group[hits], prepend=-1) != 0]
    return first


def specks(x: Floats, y: Floats, pitch: float) -> tuple[Floats, Floats]:
    """Make a short dash of every point between two gaps, which a line would not show.

    ``pitch`` is the distance of two points in pixels: the coarser the grid, the longer the dash.
    """
    gone = np.isnan(y)
    before, after = np.concatenate(([True], gone[:-1])), np.concatenate((gone[1:], [True]))
    alone = np.flatnonzero(~gone & before & after)
    if not alone.size:
        return x, y
    half = min(max(SPECK[0], 0.3 * pitch), SPECK[1])
    wide = np.insert(x, alone + 1, x[alone] + half)
    wide[alone + np.arange(alone.size)] -= half
    return wide, np.insert(y, alone + 1, y[alone])


def trim(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Drop gaps at both ends and all but one NaN of each gap."""
    gone = np.isnan(y)
    keep = ~(gone & np.concatenate(([True], gone[:-1])))
    if keep.any() and gone[-1]:
        keep[np.flatnonzero(keep)[-1]] = False
    return x[keep], y[keep]


def line(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the points to draw of one series on a regular grid of pixels."""
    chosen = pick(x, y)
    pitch = float(x[1] - x[0]) if x.size > 1 else 2 * SPECK[1]
    return specks(*trim(x[chosen], y[chosen]), pitch)


def spread(x: Floats, y: Floats, columns: int) -> tuple[Floats, Floats]:
    """Return the lowest and highest value of one series in each of ``columns`` pixel columns.

    A column without a point takes the straight line between its neighbours, unless one is missing.
    """
    low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    if not x.size:
        return low, high
    if x.size > 1:
        place = np.interp(np.arange(columns) + 0.5, x, np.arange(x.size), left=np.nan, right=np.nan)
        known = np.flatnonzero(~np.isnan(place))
        left = np.minimum(place[known].astype(np.intp), x.size - 2)
        part = place[known] - left
        low[known] = high[known] = y[left] * (1 - part) + y[left + 1] * part
    column = np.floor(x).astype(np.intp)
    column[x == columns] = columns - 1
    inside = (column >= 0) & (column < columns) & ~np.isnan(y)
    np.fmin.at(low, column[inside], y[inside])
    np.fmax.at(high, column[inside], y[inside])
    return low, high


def envelope(lines: Sequence[tuple[Floats, Floats]], columns: int) -> tuple[Floats, Floats]:
    """Return the lowest and highest value of all series in each pixel column; NaN where there is none."""
    low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    for x, y in lines:
        one = spread(x, y, columns)
        np.fmin(low, one[0], out=low)
        np.fmax(high, one[1], out=high)
    return low, high


def sparkline(values: Floats, width: int = 40) -> str:
    """Draw ``values`` as at most ``width`` block characters; a blank is a gap.

    Each character stands for the highest value of its stretch, so that no peak is lost. The scale
    starts at 0, or at the lowest value when the whole range is small against its level or negative.
    """
    array = finite(values)
    if not array.size or width < 1:
        return ""
    spots = min(width, array.size)
    starts = np.arange(spots) * array.size // spots
    peaks = np.fmax.reduceat(array, starts)
    known = peaks[~np.isnan(peaks)]
    if not known.size:
        return " " * peaks.size
    low, high = float(known.min()), float(known.max())
    if high - low <= 0.01 * max(abs(low), abs(high)):  # nothing moves: neither a valley nor a peak
        flat = BLOCKS[0] if high <= 0 else BLOCKS[3]
        return "".join(" " if np.isnan(peak) else flat for peak in peaks)
    base = 0.0 if 0 <= low < 0.9 * high else low
    share = (peaks - base) / (high - base)  # finite() keeps the span of the ends below the largest float
    steps = np.where(np.isnan(share), -1, np.ceil(share * len(BLOCKS)) - 1).astype(np.intp)
    return "".join(" " if np.isnan(peak) else BLOCKS[max(0, step)] for peak, step in zip(peaks, steps, strict=True))
