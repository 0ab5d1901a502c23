"""A chart as one value: what both drawers (SVG and PNG) draw. Built by the package ``chart``.

Everything that has a place has it here already, in pixels of the whole picture with the origin at
the top left, so that the drawers cannot disagree on ticks, labels, legend or marks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MarkKind = Literal["deploy", "fix", "restart", "alarm", "change", "note"]
KeyKind = Literal["trace", "rest", "envelope", "weeks", "restart", "alarm", "change"]
Role = Literal["title", "unit", "range", "tick", "mark", "legend", "limit", "note", "empty"]

# Colours keep apart for the three common kinds of colour blindness (after Okabe and Ito, without
# their yellow, which is lost on white); every line of a colour also has a dash of its own.
LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#ffffff",
        "ink": "#1f2328",
        "soft": "#59636e",
        "grid": "#e3e6ea",
        "axis": "#9aa2ab",
        "after": "#fff6e5",
        "fixed": "#e8f1fa",
        "weeks": "#8c959f",
        "rest": "#b3bac2",
        "limit": "#b3261e",
        "deploy": "#1f2328",
        "fix": "#00694a",
        "change": "#6e7781",
        "restart": "#6b2fa0",
        "alarm": "#c4161c",
        "c0": "#0072b2",
        "c1": "#d55e00",
        "c2": "#009e73",
        "c3": "#cc6699",
        "c4": "#b8860b",
        "c5": "#3ba0d8",
        "c6": "#332288",
        "c7": "#6b6b00",
    }
)
DARK: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#14181d",
        "ink": "#e6e9ed",
        "soft": "#a3acb6",
        "grid": "#2a3038",
        "axis": "#6b7580",
        "after": "#201d17",
        "fixed": "#15202c",
        "weeks": "#8c959f",
        "rest": "#59616b",
        "limit": "#ff7b72",
        "deploy": "#f0f3f6",
        "fix": "#4fd1a5",
        "change": "#9aa2ab",
        "restart": "#c9a2f2",
        "alarm": "#ff7b72",
        "c0": "#58a6e0",
        "c1": "#ff8f4d",
        "c2": "#2fc79a",
        "c3": "#f09cc4",
        "c4": "#e3b341",
        "c5": "#8fd0f5",
        "c6": "#a89cf5",
        "c7": "#c9c950",
    }
)
COLOURS = 8
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 2.5), (2.5, 2), (10, 2.5, 2.5, 2.5))  # pixels on, off, ...
INKS: Mapping[str, str] = MappingProxyType(  # which colour a text of a role has
    {
        **dict.fromkeys(("title", "mark", "legend"), "ink"),
        **dict.fromkeys(("unit", "range", "tick", "note", "empty"), "soft"),
        "limit": "limit",
    }
)
FONT_SIZES: Mapping[str, float] = MappingProxyType({"title": 15.0, "empty": 15.0})
FONT_SIZE = 12.5  # pixels, of all other text
STROKE = 1.5  # width of a line in pixels
THIN = 0.8  # width of a grey line, and of the edge of a band
STROKES: Mapping[str, tuple[float, tuple[float, ...]]] = MappingProxyType(  # width and dash of straight lines
    {
        "deploy": (2.0, ()),
        "fix": (2.0, (7, 3)),
        "change": (1.2, (4, 3)),
        "note": (1.2, (2, 3)),
        "limit": (1.4, (8, 3)),
    }
)
WEDGE = (3.6, 9.0)  # half the width and the height of the tick of a restart or an alarm
NOTCH = 8.0  # height of the tick of a change, where there are too many for lines
VEIL = 0.36  # opacity of a band


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant to be marked on a chart, before it has a place."""

    kind: MarkKind
    at: datetime
    label: str = ""  # the ref of a deploy, the host of a restart, the service of an alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One line, decimated to pixel columns so that no extreme is lost.

    ``x`` are pixels from the left edge of the plot (0..width) and ``y`` the values in data units,
    both float64 of one length; NaN in ``y`` breaks the line.
    """

    name: str
    label: str  # the short form that the legend shows
    x: Floats
    y: Floats
    colour: int  # index: c0..c7
    dash: int  # index into DASHES
    low: float  # extremes of the data (NaN when there is none)
    high: float
    title: str  # name and range, for those who point at it
    emphasis: bool = True  # False: thin and grey, one of many


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A filled range per pixel column; NaN where there is nothing."""

    kind: Literal["weeks", "envelope"]  # earlier weeks' same hours; the lines too many to be drawn
    name: str
    x: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An instant with its place: the deploy line, a fix, a restart or alarm tick."""

    kind: MarkKind
    at: datetime
    x: float  # pixels from the left edge of the plot
    title: str  # for those who point at it
    label: str = ""  # as wanted above the plot
    rise: float = 0.0  # how far its line goes up beyond the plot, to its label
    count: int = 1  # how many fell on this place
    notch: bool = False  # one of many: a tick at the upper edge instead of a line


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of an axis: pixels from the plot's left edge for x, a data value for y."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Text:
    """One piece of text; ``y`` is its base line."""

    x: float
    y: float
    text: str
    role: Role
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True, slots=True)
class Key:
    """The sample in front of one entry of the legend: 24 pixels wide, centred on ``y``."""

    x: float
    y: float
    kind: KeyKind
    colour: int = 0
    dash: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    """The plotting area inside the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Pixel column of the right edge."""
        return self.left + self.width

    @property
    def floor(self) -> float:
        """Pixel row of the lower edge."""
        return self.top + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One graph. Both drawers draw these and nothing else.

    ``width`` and ``height`` are those of the whole picture, ``plot`` is the area of the data, and
    ``bottom`` and ``top`` the data values at its edges. A chart with no datapoint has no traces and
    says why in ``empty``.
    """

    title: str
    unit: str
    start: datetime
    end: datetime
    zone: str
    width: float
    height: float
    plot: Box
    bottom: float
    top: float
    turn: float  # pixels from the plot's left edge to the instant where "after" begins
    traces: tuple[Trace, ...]
    healed: float | None = None  # pixels to the fix, where "after" ends
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    limit: float | None = None  # only when it lies on the graph
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    texts: tuple[Text, ...] = ()
    keys: tuple[Key, ...] = ()
    range_label: str = ""  # "Fri 20 Nov 2026 11:02 - 17:40 CET", printed on the graph itself
    step_label: str = ""  # "a point each 60 s", behind it when there is room
    note: str = ""  # "1 value too large to draw left out"
    empty: str = ""  # reason, when there is nothing to draw
    description: str = ""  # the graph in words

    def grounds(self) -> tuple[tuple[str, float, float], ...]:
        """Return the coloured grounds of the plot: colour, left edge in the picture, width."""
        end = self.plot.width if self.healed is None else self.healed
        after = ("after", self.plot.left + self.turn, end - self.turn)
        if self.healed is None:
            return (after,)
        return after, ("fixed", self.plot.left + self.healed, self.plot.width - self.healed)

    def row(self, value: float) -> float:
        """Pixel row of a data value, from the top of the picture."""
        return self.plot.top + (self.top - value) * (self.plot.height / (self.top - self.bottom))

    def rows(self, values: Floats) -> Floats:
        """Pixel rows of data values, from the top of the plot; NaN stays NaN."""
        scaled: Floats = (self.top - values) * (self.plot.height / (self.top - self.bottom))
        return scaled
