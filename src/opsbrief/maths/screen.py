"""Cheap scores for many series at once, so that the careful tests need only look at the promising ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_CHUNK = 256  # series a block: keeps the block in the processor's cache


def promising(values: Sequence[Array], split: int, skip: int) -> list[int]:
    """Return the places of the series (all of one length) that may have changed at ``split``.

    Liberal on purpose: a level off by one spread of before in all, the later half or the first slots of
    after; a spread that grew by half; values that appeared or went away.
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
    low, quarter, centre, three, high = _quantiles(before, (0.05, 0.25, 0.5, 0.75, 0.95))
    size = np.maximum(np.maximum((high - low) / 3.29, (three - quarter) / 1.349), 0.01 * np.abs(centre)) + 1e-12
    half, begin = after.shape[1] // 2, min(12, after.shape[1])
    scores = [
        np.abs(_quantiles(part, (0.5,))[0] - centre) / size for part in (after, after[:, half:], after[:, :begin])
    ]
    bottom, top = _quantiles(after, (0.1, 0.9))
    lower, upper = _quantiles(before, (0.1, 0.9))
    scores.append((top - bottom) / (1.5 * (upper - lower) + 0.01 * np.abs(centre) + 1e-12))
    share = np.abs((after > centre[:, None]).mean(axis=1) - (before > centre[:, None]).mean(axis=1))
    gone = np.isfinite(before).mean(axis=1) - np.isfinite(after).mean(axis=1)
    scores += [share / 0.15, gone / 0.1]
    return np.asarray(np.nanmax(np.nan_to_num(np.stack(scores), nan=0.0), axis=0))


def _quantiles(block: Array, parts: Sequence[float]) -> list[Array]:
    """Return quantiles per row, missing values left out; NaN for empty rows. One sort serves them all."""
    ordered = np.sort(block, axis=1)  # NaN goes last
    sizes = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(block))
    last = np.maximum(sizes - 1, 0)
    return [np.where(sizes > 0, ordered[rows, np.rint(part * last).astype(np.int64)], np.nan) for part in parts]
