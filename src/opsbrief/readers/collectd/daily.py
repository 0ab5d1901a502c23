"""The files of collectd's csv plugin: one a day and metric, a head and a row for each time it was sampled."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsbrief.text import clean, line

_LEAST, _LONGEST = 0.5, 86400.0  # seconds between two samples


class DailyError(ValueError):
    """A file that is no readable CSV file of collectd; the message says why."""


@dataclass(frozen=True, slots=True)
class Day:
    """What one file holds: ``values[part][i]`` was sampled at ``times[i]`` (epoch seconds)."""

    times: npt.NDArray[np.float64]
    values: dict[str, npt.NDArray[np.float64]]
    bad: int  # lines that are none


def read(data: bytes) -> Day:
    """Read one file; lines that cannot be read are counted. Raises DailyError."""
    head, _, body = data.partition(b"\n")
    names = [line(name, 40) for name in clean(head, 1000).strip().split(",")]
    if names[0] != "epoch" or len(names) < 2:
        raise DailyError("empty" if not data else "its first line is not that of collectd's csv plugin")
    bad = 0
    try:
        rows = np.loadtxt(io.BytesIO(body), delimiter=",", ndmin=2, comments=None) if body.strip() else _none(names)
    except (ValueError, UnicodeDecodeError):
        rows, bad = _slowly(body, len(names))
    if rows.shape[1] != len(names):
        rows, bad = _slowly(body, len(names))
    there = np.isfinite(rows[:, 0])
    rows = rows[there]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Day(rows[:, 0], {name: rows[:, at + 1] for at, name in enumerate(names[1:])}, bad)


def _none(names: list[str]) -> npt.NDArray[np.float64]:
    return np.empty((0, len(names)))


def _slowly(body: bytes, width: int) -> tuple[npt.NDArray[np.float64], int]:
    """Read line by line: the last one may be half written, others damaged."""
    rows, bad = [], 0
    for text in body.splitlines():
        try:
            row = [float(cell) for cell in text.split(b",")]
        except ValueError:
            row = []
        if len(row) == width:
            rows.append(row)
        elif text.strip():
            bad += 1
    return np.array(rows, np.float64).reshape(len(rows), width), bad


def grid(
    times: npt.NDArray[np.float64], values: npt.NDArray[np.float64], start: float, end: float
) -> tuple[int, int, npt.NDArray[np.float64]] | None:
    """Return (start, step, values) of the samples in [start, end) at even steps, None where there are fewer than two.

    The usual distance of two samples is the step; of two samples in one step the later one stays.
    """
    inside = (times >= start) & (times < end)
    times, values = times[inside], values[inside]
    if len(times) < 2:
        return None
    apart = np.diff(times)
    apart = apart[(apart >= _LEAST) & (apart <= _LONGEST)]
    if not len(apart):
        return None
    step = max(1, round(float(np.sort(apart)[(len(apart) - 1) // 2])))
    slots = np.rint((times - times[0]) / step).astype(np.int64)
    found = np.full(int(slots[-1]) + 1, np.nan)
    found[slots] = values
    return int(np.ceil(times[0])), step, found
