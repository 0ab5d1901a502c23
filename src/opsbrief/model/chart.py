"""A chart as one value: what both drawers (SVG and PNG) draw. Built by chart.py."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One line, decimated to pixel columns so that no extreme is lost.

    ``x`` are pixel columns (0..width), ``y`` the values in data units, both float64 of one
    length; NaN in ``y`` breaks the line. First, minimum, maximum and last of every column are kept.
    """

    name: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    colour: int  # index into the palette
    dash: int  # index into the dash styles, so that lines differ by more than colour
    low: float  # extremes of the raw data (NaN when there is none)
    high: float
    emphasis: bool = True  # False: thin and grey, one of many


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A filled range per pixel column: last week's same hours."""

    name: str
    x: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An instant: the deploy line, a fix, a restart or alarm tick."""

    kind: Literal["deploy", "fix", "restart", "alarm", "change", "note"]
    at: datetime
    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick of an axis: pixel column for x, data value for y."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One graph. Both drawers use the same ticks, colours and marks.

    ``width`` and ``height`` are the plotting area in pixels; ``bottom`` and ``top`` the data
    values at its edges. A chart with no datapoint has no traces and says why in ``empty``.
    """

    title: str
    unit: str
    start: datetime
    end: datetime
    zone: str
    width: int
    height: int
    bottom: float
    top: float
    traces: tuple[Trace, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    limit: float | None = None
    limit_label: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    range_label: str = ""  # "Fri 20 Nov 11:02 - 17:40 CET", printed on the graph itself
    note: str = ""  # "data ends at 17:12", "step changes from 60 s to 600 s"
    empty: str = ""  # reason, when there is nothing to draw
