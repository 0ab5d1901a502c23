"""A Chart as a PNG for mail, Markdown and ``graphs/``: the only module that knows matplotlib.

The same places, ticks, colours and marks as in the SVG, because both stand in the Chart. Axes,
locators and layout engines of matplotlib have no part in it: they would choose again. Importing
this module imports matplotlib, half a second: do it when a PNG is wanted.
"""
# ruff: noqa: E402 -- matplotlib reads its environment when it is imported, so that comes first

import atexit
import io
import logging
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs
from PIL import Image

from opsbrief.model.chart import (
    DASHES,
    FONT_SIZE,
    FONT_SIZES,
    INKS,
    LIGHT,
    NOTCH,
    STROKE,
    STROKES,
    THIN,
    VEIL,
    WEDGE,
    Band,
    Chart,
    Key,
    Mark,
    Text,
    Trace,
)


def _folder() -> str:
    """Return where matplotlib may keep its list of fonts: our cache, or a folder that ends with the process."""
    folder = Path(platformdirs.user_cache_dir("opsbrief")) / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:  # no home, or not ours to write to: as under cron or in a container
        borrowed = tempfile.mkdtemp(prefix="opsbrief-matplotlib-")
        atexit.register(shutil.rmtree, borrowed, ignore_errors=True)
        return borrowed


if "MPLCONFIGDIR" not in os.environ:
    os.environ["MPLCONFIGDIR"] = _folder()
logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # cron would mail its notices about fonts and caches

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from matplotlib.text import Text as Label
from matplotlib.transforms import Affine2D

DPI = 100
POINT = 72 / DPI  # points a pixel: matplotlib counts line widths and type in points
SHADES = 64  # colours of the palette: a quarter of the bytes, and no eye sees it
FACES = (  # in this order, glyph by glyph; matplotlib brings the first
    *("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Droid Sans Fallback", "IPAGothic", "Noto Sans", "FreeSans", "Noto Emoji", "Symbola"),
)
_SIDES: Mapping[str, Literal["left", "center", "right"]] = {"start": "left", "middle": "center", "end": "right"}
Points = tuple[tuple[float, float], ...]

mpl.rcdefaults()  # a matplotlibrc of the user or of the current folder must not change the picture
mpl.rcParams.update({"text.parse_math": False, "lines.scale_dashes": False})
_there = {font.name for font in fontManager.ttflist}  # a missing face is searched for at every text
mpl.rcParams["font.family"] = [face for face in FACES if face in _there]


def draw(chart: Chart, scale: float = 1.0) -> bytes:
    """Return ``chart`` as an opaque PNG on light ground, the same bytes every time.

    ``scale`` is how many pixels of the picture a pixel of the chart takes: more than 1 where a
    picture is shown smaller than it is, so that it is sharp on fine screens.
    """
    figure = compose(chart, scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a glyph that no face has is drawn as a box
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined] # compose gave it Agg's canvas
    image = Image.fromarray(pixels).quantize(SHADES, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def compose(chart: Chart, scale: float = 1.0) -> Figure:
    """Return the figure of ``chart``, not yet rasterised, with every piece as an artist in pixels."""
    figure = Figure(figsize=(chart.width / DPI, chart.height / DPI), dpi=DPI * scale, facecolor=LIGHT["paper"])
    FigureCanvasAgg(figure)
    down = Affine2D().scale(1, -1).translate(0, chart.height).scale(scale)  # matplotlib's rows count upwards
    for order, artist in enumerate(_pieces(chart)):
        artist.set_transform(down)
        artist.set_zorder(order)
        figure.add_artist(artist)
    return figure


def _pieces(chart: Chart) -> Iterator[Artist]:
    """Yield what is drawn, from the back to the front."""
    box = chart.plot
    for colour, left, width in chart.grounds():
        right = left + width
        yield _area(((left, box.top), (right, box.top), (right, box.floor), (left, box.floor)), colour)
    for tick in chart.y_ticks:
        row = chart.row(tick.at)
        yield _line("grid", ((box.left, row), (box.right, row)), 1)
    yield _line("axis", ((box.left, box.floor), (box.right, box.floor)), 1)
    for tick in chart.x_ticks:
        yield _line("axis", ((box.left + tick.at, box.floor), (box.left + tick.at, box.floor + 5)), 1)
    for band in chart.bands:
        yield _band(chart, band)
    for trace in sorted(chart.traces, key=lambda trace: trace.emphasis):
        yield _trace(chart, trace)
    if chart.limit is not None:
        row = chart.row(chart.limit)
        yield _line("limit", ((box.left, row), (box.right, row)), *STROKES["limit"])
    yield from _marks(chart)
    for key in chart.keys:
        yield _key(key)
    for text in chart.texts:
        yield _text(text)


def _line(colour: str, points: Points, width: float, dash: tuple[float, ...] = ()) -> Artist:
    x, y = zip(*points, strict=True)
    return Line2D(
        x, y, color=LIGHT[colour], linewidth=width * POINT, linestyle=_dash(dash), dash_capstyle="butt", gid=colour
    )


def _dash(dash: tuple[float, ...]) -> tuple[float, tuple[float, ...]] | None:
    return (0, tuple(part * POINT for part in dash)) if dash else None


def _area(corners: Points, colour: str, opacity: float = 1.0) -> Artist:
    return Polygon(corners, closed=True, facecolor=LIGHT[colour], edgecolor="none", alpha=opacity, gid=colour)


def _band(chart: Chart, band: Band) -> Artist:
    there = ~np.isnan(band.low)
    edges = np.flatnonzero(np.diff(there, prepend=False, append=False))
    x = band.x + chart.plot.left
    low, high = chart.rows(band.low) + chart.plot.top, chart.rows(band.high) + chart.plot.top
    outlines = [
        np.column_stack((np.concatenate((x[a:b], x[a:b][::-1])), np.concatenate((high[a:b], low[a:b][::-1]))))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
    name = "weeks" if band.kind == "weeks" else "rest"
    return PolyCollection(
        outlines, facecolor=LIGHT[name], edgecolor=LIGHT[name], linewidth=THIN * POINT, alpha=VEIL, gid=name
    )


def _trace(chart: Chart, trace: Trace) -> Artist:
    name, width, dash = (f"c{trace.colour}", STROKE, DASHES[trace.dash]) if trace.emphasis else ("rest", THIN, ())
    return Line2D(
        trace.x + chart.plot.left,
        chart.rows(trace.y) + chart.plot.top,
        color=LIGHT[name],
        linewidth=width * POINT,
        linestyle=_dash(dash),
        dash_capstyle="butt",
        solid_capstyle="butt",
        solid_joinstyle="round",
        gid=name,
    )


def _marks(chart: Chart) -> Iterator[Artist]:
    for (kind, notch), marks in groupby(chart.marks, key=lambda mark: (mark.kind, mark.notch)):
        if kind in ("restart", "alarm"):
            yield from (_wedged(chart, mark) for mark in marks)
        else:
            yield _marked(chart, kind, marks, notch=notch)


def _wedged(chart: Chart, mark: Mark) -> Artist:
    foot, tip = (chart.plot.floor, -WEDGE[1]) if mark.kind == "restart" else (chart.plot.top, WEDGE[1])
    return _area(_wedge(chart.plot.left + mark.x, foot, tip), mark.kind)


def _marked(chart: Chart, kind: str, marks: Iterable[Mark], *, notch: bool) -> Artist:
    """Return the lines of many marks as one line with gaps: an artist for each would cost more than all the rest."""
    box, points = chart.plot, []
    for mark in marks:
        x = box.left + mark.x
        ends = (box.top, box.top + NOTCH) if notch else (box.top - mark.rise, box.floor)
        points += [(x, ends[0]), (x, ends[1]), (math.nan, math.nan)]
    width, dash = STROKES[kind]
    return _line(kind if kind in LIGHT else "change", tuple(points[:-1]), width, () if notch else dash)


def _wedge(x: float, foot: float, tip: float) -> Points:
    return ((x - WEDGE[0], foot), (x + WEDGE[0], foot), (x, foot + tip))


def _key(key: Key) -> Artist:
    if key.kind in ("trace", "rest"):
        name, width, dash = (
            (f"c{key.colour}", 2.2, DASHES[key.dash]) if key.kind == "trace" else ("rest", THIN * 1.5, ())
        )
        return _line(name, ((key.x, key.y), (key.x + 24, key.y)), width, dash)
    if key.kind in ("weeks", "envelope"):
        left, right, top, floor = key.x, key.x + 24, key.y - 5, key.y + 5
        name = "weeks" if key.kind == "weeks" else "rest"
        return _area(((left, top), (right, top), (right, floor), (left, floor)), name, VEIL)
    if key.kind == "change":
        x = key.x + 12
        return _line("change", ((x, key.y - NOTCH / 2), (x, key.y + NOTCH / 2)), STROKES["change"][0])
    tip = -WEDGE[1] if key.kind == "restart" else WEDGE[1]
    return _area(_wedge(key.x + 12, key.y - tip / 2, tip), key.kind)


def _text(text: Text) -> Artist:
    label = Label(
        text.x,
        text.y,
        text.text,
        color=LIGHT[INKS[text.role]],
        fontsize=FONT_SIZES.get(text.role, FONT_SIZE) * POINT,
        fontweight="bold" if text.role in ("title", "mark") else "normal",
        horizontalalignment=_SIDES[text.anchor],
        verticalalignment="baseline",
        parse_math=False,
        gid=text.role,
    )
    if text.role in ("limit", "empty"):  # over lines: a halo keeps it readable
        label.set_path_effects([withStroke(linewidth=3 * POINT, foreground=LIGHT["paper"])])
    return label


def alike(one: bytes, other: bytes) -> bool:
    """Whether two PNGs show the same: another matplotlib or font draws edges a little differently, not elsewhere."""
    try:
        first, second = (Image.open(io.BytesIO(data), formats=("PNG",)) for data in (one, other))
        if first.size != second.size:  # told before a pixel is unpacked
            return False
        pixels = [np.asarray(image.convert("L"), dtype=float) for image in (first, second)]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return float(np.abs(pixels[0] - pixels[1]).mean()) < _HAIR


_HAIR = 2.0  # of 255 grey levels on the average
