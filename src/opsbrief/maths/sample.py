"""Values that are looked at again and again: put in order once, which gives every quantile for nothing."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Sample:
    """Finite values, and what the tests ask of them; each answer is worked out once."""

    def __init__(self, values: Array) -> None:
        """Take the values as they are; NaN has been taken out before."""
        self.values = values

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.values)

    @cached_property
    def ordered(self) -> Array:
        """The values in order."""
        values = self.values.copy()  # what np.sort does, without its ways
        values.sort()
        return values

    @cached_property
    def median(self) -> float:
        """The median, NaN when there is no value."""
        return _middle(self.ordered)

    @cached_property
    def spread(self) -> float:
        """A robust standard deviation that outliers up to 5 % on each side cannot move.

        The larger of the median absolute deviation and the 5-95 % range, both scaled to a normal's.
        """
        away = np.abs(self.ordered - self.median)
        away.sort()
        return max(1.4826 * _middle(away), (self.quantile(0.95) - self.quantile(0.05)) / 3.29)

    @cached_property
    def memory(self) -> float:
        """The lag-1 autocorrelation, clipped to 0 ... 0.95, outliers pulled in first."""
        if len(self) < 8 or self.spread == 0:
            return 0.0
        pulled = self.pulled
        pulled = pulled - pulled.mean()
        power = float(pulled @ pulled)
        return min(max(float(pulled[1:] @ pulled[:-1] / power), 0.0), 0.95) if power else 0.0

    @property
    def pulled(self) -> Array:
        """The values, outliers pulled in to three spreads."""
        reach = 3 * self.spread
        return np.minimum(np.maximum(self.values, self.median - reach), self.median + reach)

    def quantile(self, part: float) -> float:
        """Return a quantile; between two values in proportion, as numpy does by default."""
        place = part * (len(self) - 1)
        low = int(place)
        share = place - low
        left = float(self.ordered[low])
        if not share:
            return left
        right = float(self.ordered[low + 1])
        return left + (right - left) * share if share < 0.5 else right - (right - left) * (1 - share)

    def range(self, tail: float = 0.1) -> float:
        """Return the distance of the two quantiles that leave ``tail`` outside on each side."""
        return self.quantile(1 - tail) - self.quantile(tail)

    def delta(self, after: Array) -> float:
        """Return Cliff's delta: P(after > these) - P(after < these); ties count as neither."""
        if not len(self) or not len(after):
            return 0.0
        below = self.ordered.searchsorted(after, "left").sum()
        above = len(after) * len(self) - self.ordered.searchsorted(after, "right").sum()
        return float((below - above) / (len(self) * len(after)))


def _middle(ordered: Array) -> float:
    half, odd = divmod(len(ordered), 2)
    if not len(ordered):
        return float("nan")
    return float(ordered[half]) if odd else float(ordered[half - 1] + ordered[half]) / 2


def median(values: Iterable[float]) -> float:
    """Return the median of a few plain numbers, NaN when there is none: sooner in order than made an array."""
    ordered = sorted(values)
    half, odd = divmod(len(ordered), 2)
    if not ordered:
        return float("nan")
    return float(ordered[half]) if odd else float((ordered[half - 1] + ordered[half]) / 2)


def cliff(before: Array, after: Array) -> float:
    """Return Cliff's delta of two arrays; see Sample.delta."""
    return Sample(before).delta(after)


def spread(values: Array) -> float:
    """Return the robust standard deviation of an array; see Sample.spread."""
    return Sample(values).spread


def memory(values: Array) -> float:
    """Return the lag-1 autocorrelation of an array; see Sample.memory."""
    return Sample(values).memory


def windows(values: Array, length: int) -> Array:
    """Return the medians of windows of ``length`` values, so many that long ones overlap by seven eighths."""
    pace = max(1, length // 8)
    count = (len(values) - length) // pace + 1
    values = np.ascontiguousarray(values)
    ordered: Array = np.ndarray(
        (count, length), values.dtype, values, 0, (pace * values.itemsize, values.itemsize)
    ).copy()
    ordered.sort(axis=1)
    half, odd = divmod(length, 2)
    middle: Array = ordered[:, half] if odd else (ordered[:, half - 1] + ordered[:, half]) / 2
    return middle
