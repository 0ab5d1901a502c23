"""Counters that only grow (StoreRates false, CSV files) as rates per second."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_LEAST = 8  # datapoints that tell whether a series only grows
_GROWING = 0.6  # share of the steps of a busy counter that go up
_RESETS = 0.02  # share of the steps that may fall: the counter began anew
_FAR = 10  # steps without a datapoint beyond which no rate is told over them


def growing(values: Array) -> bool:
    """Whether a series is a counter that grows most of the time."""
    there = values[np.isfinite(values)]
    if len(there) < _LEAST:
        return False
    steps = np.diff(there)
    falls = steps < 0
    return bool((steps > 0).mean() >= _GROWING and falls.mean() <= _RESETS and (there >= 0).all())


def any_growing(series: Iterable[Array]) -> bool | None:
    """Whether raw counters are stored; None where too few datapoints tell.

    One busy counter that only grows is enough, for no rate does that for long.
    """
    told = [values for values in series if np.isfinite(values).sum() >= _LEAST]
    return any(growing(values) for values in told) if told else None


def rates(values: Array, step: int) -> Array:
    """Return the rate per second that each datapoint ends; NaN where there is none before it, or it began anew."""
    found = np.full(len(values), np.nan)
    there = np.flatnonzero(np.isfinite(values))
    if len(there) < 2:
        return found
    apart = np.diff(there)
    steps = np.diff(values[there])
    told = (steps >= 0) & (apart <= _FAR)
    found[there[1:][told]] = steps[told] / (apart[told] * step)
    return found
