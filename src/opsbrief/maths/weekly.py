"""Lay last weeks' same hours over a stretch of time, and take the usual course away from it."""

from collections.abc import Sequence

import numpy as np

from opsbrief.maths.sample import Array, spread


def lay(values: Array, start: int, step: int, grid: Array) -> Array:
    """Return ``values`` (slots ``start + i*step``) read at the epoch seconds ``grid``; NaN outside.

    ``grid`` is regular and already shifted to the week of ``values``. A finer series is averaged over
    each slot of the grid, a coarser one repeated.
    """
    if not len(values) or not len(grid):
        return np.full(len(grid), np.nan)
    width = int(grid[1] - grid[0]) if len(grid) > 1 else step
    if step >= width:
        index = np.floor((grid - start) / step).astype(np.int64)
        inside = (index >= 0) & (index < len(values))
        return np.where(inside, values[np.clip(index, 0, len(values) - 1)], np.nan)
    slot = np.floor((start + step * np.arange(len(values)) - grid[0]) / width).astype(np.int64)
    use = (slot >= 0) & (slot < len(grid)) & np.isfinite(values)
    sums = np.bincount(slot[use], values[use], len(grid))
    sizes = np.bincount(slot[use], minlength=len(grid))
    with np.errstate(invalid="ignore"):
        return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)


def usual(weeks: Sequence[Array]) -> Array:
    """Return the median over the weeks slot by slot, NaN where no week has a value."""
    stack = np.stack(list(weeks))
    result = np.full(stack.shape[1], np.nan)
    there = np.isfinite(stack).any(axis=0)
    result[there] = np.nanmedian(stack[:, there], axis=0)
    return result


def course(values: Array, width: int) -> Array:
    """Return the running median over ``width`` slots (odd), NaN where fewer than a third are there."""
    if len(values) <= width:
        return np.full(len(values), float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan)
    half = width // 2
    padded = np.concatenate((np.full(half, np.nan), values, np.full(half, np.nan)))
    view = np.lib.stride_tricks.sliding_window_view(padded, width)
    enough = np.isfinite(view).sum(axis=1) * 3 >= width
    result = np.full(len(values), np.nan)
    if enough.any():
        result[enough] = np.nanmedian(view[enough], axis=1)
    return result


def roughly(values: Array, week: Array, split: int) -> Array:
    """Return ``values`` less the week as it is, where that leaves the time before ``split`` calm; for screening."""
    rest = values - week
    both = np.isfinite(rest[:split])
    if both.sum() < 8 or np.isfinite(rest[split:]).sum() < 0.8 * np.isfinite(values[split:]).sum():
        return values
    level = float(np.median(week[:split][both]))
    return rest + level if spread(rest[:split][both]) <= 1.5 * spread(values[:split][both]) + 1e-12 else values


def less(values: Array, week: Array, split: int) -> Array | None:
    """Return ``values`` less the usual course of the week, moved to the level before ``split``.

    None when the week does not help: too little of it, or the stretch before the split is not calmer
    without it (a week that was itself out of the ordinary, or a metric without a daily course).
    """
    width = max(3, min(31, len(values) // 12 * 2 + 1))
    smooth = course(week, width)
    both = np.isfinite(values) & np.isfinite(smooth)
    if both[:split].sum() < 8 or both[split:].sum() < 0.8 * np.isfinite(values[split:]).sum():
        return None
    level = float(np.median(smooth[:split][both[:split]]))
    rest: Array = values - (smooth - level)
    if spread(rest[:split][both[:split]]) > 1.25 * spread(values[:split][both[:split]]) + 1e-12:
        return None
    return rest
