"""A Chart as a piece of SVG inside an HTML page: small, sharp, no script, nothing from elsewhere.

Every element carries the light colours itself, so that the picture also stands alone and survives
a page whose style sheet was blocked; ``CSS`` adds dark mode.
"""

import functools
import html
import re
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from opsbrief.model.chart import (
    DARK,
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
    Floats,
    Key,
    Mark,
    Text,
    Trace,
)

FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
GRID = 4  # coordinates of lines are whole quarters of a pixel
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _css() -> str:
    def variables(theme: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in theme.items())

    rules = "".join(f".chart .{name}{{fill:var(--{name})}}.chart .s-{name}{{stroke:var(--{name})}}" for name in LIGHT)
    return (
        f".chart{{{variables(LIGHT)}display:block;max-width:100%;height:auto}}{rules}"
        f"@media (prefers-color-scheme:dark){{.chart{{{variables(DARK)}}}}}"
        f"@media print{{.chart{{{variables(LIGHT)}break-inside:avoid}}}}"
    )


CSS = _css()


def draw(chart: Chart, ident: str, alt: str = "") -> str:
    """Return ``chart`` as one ``<svg>`` element; ``ident`` makes its ids unique on the page.

    ``alt`` says what the graph shows, for those who do not see it; without it the chart's own
    description is taken. All text is escaped.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "-", ident)
    box = chart.plot
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{_n(chart.width)}" height="{_n(chart.height)}"'
        f' viewBox="0 0 {_n(chart.width)} {_n(chart.height)}"'
        f' role="img" aria-labelledby="{name}-t {name}-d" font-family="{FONT}" font-size="{_n(FONT_SIZE)}">'
        f'<title id="{name}-t">{_escape(chart.title)}</title>'
        f'<desc id="{name}-d">{_escape(alt or chart.description)}</desc>'
        f'<rect width="100%" height="100%"{_fill("paper")}/>'
    )
    grounds = (
        f'<rect x="{_n(left)}" y="{_n(box.top)}" width="{_n(width)}" height="{_n(box.height)}"{_fill(colour)}/>'
        for colour, left, width in chart.grounds()
    )
    parts = [
        opening,
        *grounds,
        *_grid(chart),
        f'<g transform="translate({_n(box.left)} {_n(box.top)}) scale(.25)" fill="none" stroke-linejoin="round">',
        *(_band(chart, band) for band in chart.bands),
        *(_trace(chart, trace) for trace in sorted(chart.traces, key=lambda trace: trace.emphasis)),
        "</g>",
        *_limit(chart),
        *(_mark(chart, mark) for mark in chart.marks),
        *(_key(key) for key in chart.keys),
        *(_text(text) for text in chart.texts),
        "</svg>",
    ]
    return "".join(parts)


def _n(value: float) -> str:
    """Write a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def _escape(text: str) -> str:
    return html.escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text))


def _fill(name: str) -> str:
    return f' class="{name}" fill="{LIGHT[name]}"'


@functools.lru_cache(64)
def _stroke(name: str, width: float, dash: tuple[float, ...] = (), scale: int = 1) -> str:
    dashes = " ".join(_n(part * scale) for part in dash)
    return f' class="s-{name}" stroke="{LIGHT[name]}" stroke-width="{_n(width * scale)}"' + (
        f' stroke-dasharray="{dashes}"' if dash else ""
    )


def _grid(chart: Chart) -> Iterator[str]:
    box = chart.plot
    across = "".join(f"M{_n(box.left)} {_n(chart.row(tick.at))}h{_n(box.width)}" for tick in chart.y_ticks)
    if across:
        yield f'<path d="{across}"{_stroke("grid", 1)}/>'
    notches = "".join(f"M{_n(box.left + tick.at)} {_n(box.floor)}v5" for tick in chart.x_ticks)
    yield f'<path d="M{_n(box.left)} {_n(box.floor)}h{_n(box.width)}{notches}"{_stroke("axis", 1)}/>'


def _band(chart: Chart, band: Band) -> str:
    there = ~np.isnan(band.low)
    edges = np.flatnonzero(np.diff(there, prepend=False, append=False))
    outline = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        x, low, high = band.x[first:last], chart.rows(band.low[first:last]), chart.rows(band.high[first:last])
        outline.append(path(np.concatenate((x, x[::-1])), np.concatenate((high, low[::-1]))) + "z")
    name = "weeks" if band.kind == "weeks" else "rest"
    return (
        f'<path d="{"".join(outline)}" opacity="{VEIL}" class="{name} s-{name}" fill="{LIGHT[name]}"'
        f' stroke="{LIGHT[name]}" stroke-width="{_n(THIN * GRID)}"><title>{_escape(band.name)}</title></path>'
    )


def _trace(chart: Chart, trace: Trace) -> str:
    style = (
        _stroke(f"c{trace.colour}", STROKE, DASHES[trace.dash], GRID)
        if trace.emphasis
        else _stroke("rest", THIN, (), GRID)
    )
    return f'<path d="{path(trace.x, chart.rows(trace.y))}"{style}><title>{_escape(trace.title)}</title></path>'


def path(x: Floats, y: Floats) -> str:
    """Return the path through pixels ``x``, ``y`` in quarters of a pixel; NaN in ``y`` lifts the pen.

    Relative moves, because they are short, out of a table of ready strings, because formatting
    numbers one by one takes most of the time that a chart takes. Points in the middle of a level
    stretch are left out.
    """
    there = ~np.isnan(y)
    across = np.rint(x[there] * GRID).astype(np.int64)
    down = np.rint(y[there] * GRID).astype(np.int64)
    if not across.size:
        return ""
    lifted = ~np.concatenate(([False], there[:-1]))[there]
    level = np.concatenate(([False], down[1:] == down[:-1])) & ~lifted
    keep = ~(level & np.concatenate((level[1:], [False])))
    across, down, lifted = across[keep], down[keep], lifted[keep]
    moves = np.empty(2 * across.size, dtype=np.int64)
    moves[0::2], moves[1::2] = np.diff(across, prepend=0), np.diff(down, prepend=0)
    words = _words(moves)
    for index in 2 * np.flatnonzero(lifted):
        words[index] = f"m{moves[index]}"
    return "".join(words)


def _words(moves: npt.NDArray[np.int64]) -> list[str]:
    """Write each number with what separates it from the one before."""
    reach = int(np.abs(moves).max())
    table = _table(1 << max(12, reach.bit_length()))
    found: list[str] = table[moves + (table.size // 2)].tolist()
    return found


@functools.cache
def _table(size: int) -> npt.NDArray[np.object_]:
    return np.array([str(i) if i < 0 else f" {i}" for i in range(-size, size + 1)], dtype=object)


def _limit(chart: Chart) -> Iterator[str]:
    if chart.limit is not None:
        row = f"M{_n(chart.plot.left)} {_n(chart.row(chart.limit))}h{_n(chart.plot.width)}"
        yield f'<path d="{row}"{_stroke("limit", *STROKES["limit"])}/>'


def _mark(chart: Chart, mark: Mark) -> str:
    box, x = chart.plot, chart.plot.left + mark.x
    title = f"<title>{_escape(mark.title)}</title>"
    if mark.kind in ("restart", "alarm"):
        foot, tip = (box.floor, -WEDGE[1]) if mark.kind == "restart" else (box.top, WEDGE[1])
        return f"<path{_wedge(x, foot, tip)}{_fill(mark.kind)}>{title}</path>"
    if mark.notch:
        return f'<path d="M{_n(x)} {_n(box.top)}v{_n(NOTCH)}"{_stroke("change", STROKES["change"][0])}>{title}</path>'
    colour = mark.kind if mark.kind in LIGHT else "change"
    line = f"M{_n(x)} {_n(box.top - mark.rise)}V{_n(box.floor)}"
    return (  # the wide invisible line is easier to point at
        f'<g>{title}<path d="{line}"{_stroke(colour, *STROKES[mark.kind])}/>'
        f'<path d="{line}" stroke="#000" stroke-opacity="0" stroke-width="9"/></g>'
    )


def _key(key: Key) -> str:
    if key.kind in ("trace", "rest"):
        style = _stroke(f"c{key.colour}", 2.2, DASHES[key.dash]) if key.kind == "trace" else _stroke("rest", THIN * 1.5)
        return f'<path d="M{_n(key.x)} {_n(key.y)}h24"{style}/>'
    if key.kind in ("weeks", "envelope"):
        name = "weeks" if key.kind == "weeks" else "rest"
        return f'<rect x="{_n(key.x)}" y="{_n(key.y - 5)}" width="24" height="10" opacity="{VEIL}"{_fill(name)}/>'
    if key.kind == "change":
        notch = f"M{_n(key.x + 12)} {_n(key.y - NOTCH / 2)}v{_n(NOTCH)}"
        return f'<path d="{notch}"{_stroke("change", STROKES["change"][0])}/>'
    tip = -WEDGE[1] if key.kind == "restart" else WEDGE[1]
    return f"<path{_wedge(key.x + 12, key.y - tip / 2, tip)}{_fill(key.kind)}/>"


def _wedge(x: float, foot: float, tip: float) -> str:
    """Draw the triangle of a restart (pointing up from the floor) or of an alarm (down from the top)."""
    return f' d="M{_n(x - WEDGE[0])} {_n(foot)}h{_n(2 * WEDGE[0])}L{_n(x)} {_n(foot + tip)}z"'


def _text(text: Text) -> str:
    anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    size = f' font-size="{_n(FONT_SIZES[text.role])}"' if text.role in FONT_SIZES else ""
    weight = ' font-weight="600"' if text.role in ("title", "mark") else ""
    halo = f' paint-order="stroke" stroke-width="3" stroke="{LIGHT["paper"]}" class="{INKS[text.role]} s-paper"'
    style = halo + f' fill="{LIGHT[INKS[text.role]]}"' if text.role in ("limit", "empty") else _fill(INKS[text.role])
    return f'<text x="{_n(text.x)}" y="{_n(text.y)}"{anchor}{size}{weight}{style}>{_escape(text.text)}</text>'
