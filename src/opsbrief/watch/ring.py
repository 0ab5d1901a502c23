"""One series that grows at its end and is folded when it gets long, so that days take no more room than hours."""

from dataclasses import replace

import numpy as np

from opsbrief.model.chart import Floats
from opsbrief.model.evidence import Series

SLOTS = 4096  # kept of a series; when they are full, two become one and the step doubles

_EMPTY: Floats = np.empty(0)


class Ring:
    """All that is known of one series of one span; answers about overlapping stretches are laid over each other."""

    def __init__(self, series: Series, slots: int = SLOTS) -> None:
        """Begin with a first stretch."""
        self._slots = slots
        self.start, self.step = series.start, series.step
        self._values = _EMPTY
        self._head = series
        self.add(series)

    def add(self, series: Series) -> None:
        """Lay a stretch over what is there: what has a value replaces, what is missing takes nothing away."""
        self._head = replace(series, values=_EMPTY)
        first, values = self._gridded(series)
        if first < 0:
            self._values = np.concatenate((np.full(-first, np.nan), self._values))
            self.start += first * self.step
            first = 0
        end = first + len(values)
        if end > len(self._values):
            self._values = np.concatenate((self._values, np.full(end - len(self._values), np.nan)))
        there = np.isfinite(values)
        self._values[first:end][there] = values[there]
        while len(self._values) > self._slots:
            self._fold()

    @property
    def series(self) -> Series:
        """The series as it stands."""
        return replace(self._head, start=self.start, step=self.step, values=self._values)

    @property
    def newest(self) -> int:
        """The time of the last value in epoch seconds, 0 when there is none."""
        there = np.flatnonzero(np.isfinite(self._values))
        return self.start + self.step * int(there[-1]) if len(there) else 0

    def _gridded(self, series: Series) -> tuple[int, Floats]:
        """Return the values on this ring's grid, and the slot of the first (negative: before the first of ours)."""
        offset, rest = divmod(series.start - self.start, self.step)
        if series.step == self.step and not rest:
            return offset, series.values
        if not len(series.values):
            return max(offset, 0), _EMPTY
        times = series.start + series.step * np.arange(len(series.values), dtype=np.int64)
        slots = (times - self.start) // self.step
        first = int(slots[0])
        values = _folded(series.values, slots - first, series.consolidation)
        if rest and 0 <= first < len(self._values) and np.isfinite(self._values[first]):
            values[0] = np.nan  # only the end of that slot was asked for: what is known of the whole slot stays
        return first, values

    def _fold(self) -> None:
        slots = np.arange(len(self._values)) // 2
        self._values = _folded(self._values, slots, self._head.consolidation)
        self.step *= 2


def _folded(values: Floats, slots: "np.typing.NDArray[np.int64]", how: str) -> Floats:
    """Return one value a slot (0 ... the last), by the way the store itself folds; NaN where there is none."""
    count = int(slots[-1]) + 1
    there = np.isfinite(values)
    data, slots = values[there], slots[there]
    sizes = np.bincount(slots, minlength=count)
    folded = np.full(count, np.nan)
    some = sizes > 0
    if how in ("max", "min"):
        ufunc, empty = (np.fmax, -np.inf) if how == "max" else (np.fmin, np.inf)
        extreme = np.full(count, empty)
        ufunc.at(extreme, slots, data)
        folded[some] = extreme[some]
    elif how == "last":
        folded[slots] = data  # in the order of time: the last one stays
    else:
        sums = np.bincount(slots, weights=data, minlength=count)
        folded[some] = sums[some] if how == "sum" else sums[some] / sizes[some]
    return folded
