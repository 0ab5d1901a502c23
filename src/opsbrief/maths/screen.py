"""Cheap scores for many series at once, so that the careful tests need only look at the promising ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_CHUNK = 256  # series a block: keeps the block in the processor's cache


def promising(values: Sequence[Array], split: int, skip: int) -> list[int]:
    """Return the places of the series (all of one length) that may have changed at ``split``.

    Liberal on purpose: a level (as it is, or less its straight drift) off by most of one spread of before and
    farther than any part of before was; a spread that doubled; values that appeared or went away.
    """
    found: list[int] = []
    for low in range(0, len(values), _CHUNK):
        block = np.stack(values[low : low + _CHUNK])
        found.extend(low + int(place) for place in np.flatnonzero(_score(block, split, skip) >= 1))
    return found


def _score(block: Array, split: int, skip: int) -> Array:
    before, after = block[:, : split - skip], block[:, split:]
    if not before.shape[1] or not after.shape[1]:
        return np.zeros(len(block))
    scores = [_moved(before, after), _moved(*_straight(before, after))]
    centre, lower, upper = _quantiles(before, (0.5, 0.1, 0.9))
    bottom, top = _quantiles(after, (0.1, 0.9))
    scores.append((top - bottom) / (2 * (upper - lower) + 0.01 * np.abs(centre) + 1e-12))
    middle = centre[:, None]
    share = (after > middle).mean(axis=1) - (before > middle).mean(axis=1)
    scores.append(np.where((before == middle).mean(axis=1) >= 0.5, share / 0.15, 0.0))
    scores.append((np.isfinite(before).mean(axis=1) - np.isfinite(after).mean(axis=1)) / 0.1)
    return np.asarray(np.max(np.nan_to_num(np.stack(scores), nan=0.0), axis=0))


def _moved(before: Array, after: Array) -> Array:
    """Return how far the level of a part of after lies off, in what before knows; 1 is worth a closer look."""
    low, quarter, centre, three, high = _quantiles(before, (0.05, 0.25, 0.5, 0.75, 0.95))
    size = np.maximum(np.maximum((high - low) / 3.29, (three - quarter) / 1.349), 0.01 * np.abs(centre)) + 1e-12
    count = after.shape[1]
    farthest = np.zeros(len(before))
    for part in (after, after[:, count // 2 :]):
        farthest = np.fmax(farthest, np.abs(_quantiles(part, (0.5,))[0] - centre))
    width = max(1, min(count, before.shape[1] // 3))
    pieces = [_quantiles(before[:, at : at + width], (0.5,))[0] for at in range(0, before.shape[1] - width + 1, width)]
    wandered = np.zeros(len(before))
    for piece in pieces:
        wandered = np.fmax(wandered, np.abs(piece - centre))
    # A few points at the very beginning may be a burst: they are not asked how far before has wandered.
    sudden = np.abs(_quantiles(after[:, : min(8, count)], (0.5,))[0] - centre) / (2 * size)
    few = farthest / (0.4 * (high - low) + 0.01 * np.abs(centre) + 1e-12) if count <= 8 else 0.0
    level = farthest / np.maximum(1.3 * wandered, 0.7 * size)
    return np.asarray(np.fmax(np.fmax(level, sudden), few))


def _straight(before: Array, after: Array) -> tuple[Array, Array]:
    """Return both less the straight line through before, carried on for as long as before is."""
    at = np.arange(before.shape[1], dtype=np.float64)
    at -= at.mean()
    there = np.isfinite(before)
    level = np.nan_to_num(before).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    rest = np.where(there, before - level[:, None], 0.0)
    slope = (rest @ at) / np.maximum((there * at**2).sum(axis=1), 1e-12)
    reach = at[-1] + 1 + np.minimum(np.arange(after.shape[1]), before.shape[1])
    return before - slope[:, None] * at, after - slope[:, None] * reach


def _quantiles(block: Array, parts: Sequence[float]) -> list[Array]:
    """Return quantiles per row, missing values left out; NaN for empty rows. One sort serves them all."""
    ordered = np.sort(block, axis=1)  # NaN goes last
    sizes = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(block))
    last = np.maximum(sizes - 1, 0)
    return [np.where(sizes > 0, ordered[rows, np.rint(part * last).astype(np.int64)], np.nan) for part in parts]
