"""Where things stand in the picture: margins, labels of marks, legend."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from opsbrief.chart.axis import fits, quantity
from opsbrief.model.chart import FONT_SIZE, FONT_SIZES, Box, Chart, Key, Mark, Role, Text

ROW = 18.0  # height of a row of legend, tick labels or notes
EDGE = 12.0  # to the right of the plot
SAMPLE = 24.0  # length of the sample in front of a legend entry
_NARROW = frozenset("iljI.,:;'|![](){}/\\ tfr-\u2019")
_WIDE = frozenset("mwMW@%\N{EM DASH}\N{HORIZONTAL ELLIPSIS}")


def width_of(text: str, role: Role = "legend") -> float:
    """Estimate the width of ``text`` in pixels, a little on the wide side of the usual sans faces."""
    em = 0.0
    for char in text:
        if char in _NARROW:
            em += 0.38
        elif char in _WIDE or unicodedata.east_asian_width(char) in "WF":
            em += 1.02
        else:
            em += 0.70 if char.isupper() else 0.63
    return em * FONT_SIZES.get(role, FONT_SIZE) * (1.08 if role == "title" else 1.0)


def cut(text: str, room: float, role: Role = "legend") -> str:
    """Shorten ``text`` at its end until it fits into ``room`` pixels."""
    if width_of(text, role) <= room:
        return text
    while text and width_of(text + "…", role) > room:
        text = text[: -max(1, len(text) // 20)]
    return text.rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the plot: title, range, and the row below which the plot may begin."""

    texts: tuple[Text, ...]
    below: float


def head(title: str, unit: str, span: str, width: float, left: float) -> Head:
    """Place title and unit at the left, the graph's own range at the right or in a row of its own."""
    room = width - left - EDGE
    shown = cut(title, room, "title")
    texts = [Text(left, 20, shown, "title")]
    used = width_of(shown, "title")
    if unit and used + 8 + width_of(unit) <= room:
        texts.append(Text(left + used + 8, 20, unit, "unit"))
        used += 8 + width_of(unit)
    if used + 24 + width_of(span) <= room:
        texts.append(Text(width - EDGE, 20, span, "range", "end"))
        return Head(tuple(texts), 30)
    texts.append(Text(left, 20 + ROW, cut(span, room), "range"))
    return Head(tuple(texts), 30 + ROW)


def mark_labels(marks: Sequence[Mark], wanted: Sequence[str], below: float, box: Box) -> tuple[list[Text], float]:
    """Place the labels of marks in one or two rows above the plot, the weightiest first.

    A label stands right of its line, or left of it near the right edge; one that would cover
    another goes one row up, or is left out. Returns the texts and the height they need.
    """
    weight = {"deploy": 0, "fix": 1, "change": 2, "note": 2}
    order = sorted((index for index in range(len(marks)) if wanted[index]), key=lambda i: weight.get(marks[i].kind, 3))
    taken: tuple[list[tuple[float, float]], ...] = ([], [])
    placed: list[tuple[int, int, float, bool, str]] = []
    for index in order:
        text = cut(wanted[index], box.width)
        size, x = width_of(text) + 6, box.left + marks[index].x
        for row, flip in ((0, False), (0, True), (1, False), (1, True)):
            start = x - size if flip else x
            if start < box.left - 4 or start + size > box.right + EDGE:
                continue
            if all(start + size < left or right < start for left, right in taken[row]):
                taken[row].append((start, start + size))
                placed.append((index, row, x, flip, text))
                break
    rows = 1 + max((row for _, row, *_ in placed), default=-1)
    floor = below + rows * ROW
    texts = [
        Text(x - 4 if flip else x + 4, floor - 5 - row * ROW, text, "mark", "end" if flip else "start")
        for _, row, x, flip, text in sorted(placed)
    ]
    return texts, rows * ROW


def legend(
    entries: Sequence[tuple[Key, str]], left: float, right: float, top: float
) -> tuple[list[Key], list[Text], float]:
    """Let legend entries flow in rows from ``top`` on; return them with the row below the last."""
    keys, texts = [], []
    x, y = left, top + ROW / 2
    for key, label in entries:
        text = cut(label, right - left - SAMPLE - 8)
        size = SAMPLE + 7 + width_of(text)
        if x > left and x + size > right:
            x, y = left, y + ROW
        keys.append(Key(x, y, key.kind, key.colour, key.dash))
        texts.append(Text(x + SAMPLE + 7, y + 4.5, text, "legend"))
        x += size + 16
    return keys, texts, y + ROW / 2 if entries else top


def lay(chart: Chart, wanted: Sequence[str], limit_label: str, total: int) -> Chart:
    """Return ``chart`` with every text and legend key in its place and its true height.

    ``wanted`` are the labels of its marks; ``total`` is how many series have data.
    """
    unit = "" if fits(chart.unit) or chart.unit.lower() in chart.title.lower() else chart.unit
    top = head(chart.title, unit, chart.range_label, chart.width, 12)
    labels, high = mark_labels(chart.marks, wanted, top.below, chart.plot)
    box = replace(chart.plot, top=top.below + max(high, 6.0))
    chart = replace(chart, plot=box)
    texts = [*top.texts, *labels, *_ticks(chart)]
    if chart.limit is not None:
        row = chart.row(chart.limit)
        label = limit_label or f"limit {quantity(chart.limit, chart.unit)}"
        texts.append(Text(box.left + 6, row - 5 if row - box.top > 18 else row + 14, label, "limit"))
    if chart.empty:
        texts.append(Text(box.left + box.width / 2, box.top + box.height / 2, chart.empty, "empty", "middle"))
    keys, named, below = legend(_entries(chart, total), box.left, box.right + EDGE - 4, box.floor + 24)
    texts += named
    if chart.note:
        texts.append(Text(box.left, below + 13, cut(chart.note, box.width), "note"))
        below += ROW
    return replace(chart, texts=tuple(texts), keys=tuple(keys), height=round(below + 6), description=describe(chart))


def _ticks(chart: Chart) -> list[Text]:
    box = chart.plot
    texts = [Text(box.left - 7, chart.row(tick.at) + 4.5, tick.label, "tick", "end") for tick in chart.y_ticks]
    end = 0.0
    for tick in chart.x_ticks:
        half = width_of(tick.label) / 2
        x = min(max(box.left + tick.at, half + 2), chart.width - half - 2)
        if x - half > end:
            texts.append(Text(x, box.floor + 17, tick.label, "tick", "middle"))
            end = x + half + 6
    return texts


def _entries(chart: Chart, total: int) -> list[tuple[Key, str]]:
    bright = [trace for trace in chart.traces if trace.emphasis]
    entries = [(Key(0, 0, "trace", trace.colour, trace.dash), trace.label) for trace in bright]
    if len(bright) < len(chart.traces):
        entries.append((Key(0, 0, "rest"), f"and {total - len(bright)} more"))
    more = f"and {total - len(bright)} more"
    entries += [(Key(0, 0, band.kind), more if band.kind == "envelope" else band.name) for band in chart.bands]
    for kind in ("restart", "alarm"):
        count = sum(mark.count for mark in chart.marks if mark.kind == kind)
        if count:
            entries.append((Key(0, 0, kind), f"{count} {kind}{'s' * (count > 1)}"))
    return entries


def describe(chart: Chart) -> str:
    """Put the graph into words, for those who do not see it."""
    parts = [f"{chart.title}, {chart.range_label}"]
    if chart.empty:
        parts.append(chart.empty)
    for trace in [trace for trace in chart.traces if trace.emphasis][:8]:
        low, high = quantity(trace.low, chart.unit), quantity(trace.high, chart.unit)
        parts.append(f"{trace.label} from {low} to {high}")
    parts += [mark.title for mark in chart.marks if mark.kind in ("deploy", "fix")]
    return "; ".join(parts)
