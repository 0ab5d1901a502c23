"""Write a whisper file as carbon would have left it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opsbrief.readers.graphite.whisper import ARCHIVE, HEADER, POINT

_AVERAGE = 1


def write(
    path: Path, archives: Sequence[tuple[int, int]], start: int, step: int, values: npt.NDArray[np.float64]
) -> None:
    """Write ``values[i]`` at ``start + i * step`` (epoch seconds; NaN = none) into a new file, folders included.

    ``archives`` is (seconds per point, points), finest first; the first one has ``step``. Each coarser
    archive gets the averages, each ring what fits of the newest points.
    """
    if not archives or archives[0][0] != step or any(coarse[0] % step for coarse in archives):
        raise ValueError(f"archives {archives} do not begin with, or are no multiples of, a step of {step} s")
    offset = HEADER.size + ARCHIVE.size * len(archives)
    head = [HEADER.pack(_AVERAGE, max(seconds * points for seconds, points in archives), 0.0, len(archives))]
    rings = []
    first = start - start % step
    for seconds, points in archives:
        head.append(ARCHIVE.pack(offset, seconds, points))
        offset += points * POINT.itemsize
        rings.append(_ring(*_rolled(first, step, values, seconds), seconds, points).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(head + rings))


def _rolled(
    start: int, step: int, values: npt.NDArray[np.float64], seconds: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return (times, averages) of the slots of ``seconds`` that have at least one value."""
    times = start + step * np.arange(len(values), dtype=np.int64)
    there = ~np.isnan(values)
    slots, where = np.unique(times[there] // seconds, return_inverse=True)
    sums = np.bincount(where, weights=values[there], minlength=len(slots))
    counts = np.bincount(where, minlength=len(slots))
    return slots * seconds, sums / np.maximum(counts, 1)


def _ring(
    times: npt.NDArray[np.int64], values: npt.NDArray[np.float64], seconds: int, points: int
) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Lay the newest points into a ring whose first slot holds its oldest point."""
    ring = np.zeros(points, POINT)
    fresh = times > (times[-1] - seconds * points if len(times) else 0)
    times, values = times[fresh], values[fresh]
    if len(times):
        at = (times - times[0]) // seconds % points
        ring["time"][at] = times
        ring["value"][at] = values
    return ring
