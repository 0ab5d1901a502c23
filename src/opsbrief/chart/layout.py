"""Where things stand in the picture: margins, labels of marks, legend."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from opsbrief.chart.axis import fits, quantity
from opsbrief.model.chart import FONT_SIZE, FONT_SIZES, Chart, Key, Role, Text

ROW = 18.0  # height of a row of legend, tick labels or notes
EDGE = 12.0  # to the right of the plot
ROWS = 3  # of labels above the plot
MOST = 6  # labels that are tried
WEIGHTS = {"deploy": 0, "fix": 1, "change": 2, "note": 2}
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
    return em * FONT_SIZES.get(role, FONT_SIZE) * (1.08 if role in ("title", "mark") else 1.0)


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


def head(chart: Chart, left: float) -> Head:
    """Place title and unit at the left, the graph's own range at the right or in a row of its own."""
    room = chart.width - left - EDGE
    title = cut(chart.title, room, "title")
    texts = [Text(left, 20, title, "title")]
    used = width_of(title, "title")
    unit = "" if fits(chart.unit) or chart.unit.lower() in chart.title.lower() else chart.unit
    if unit and used + 8 + width_of(unit) <= room:
        texts.append(Text(left + used + 8, 20, unit, "unit"))
        used += 8 + width_of(unit)
    long = f"{chart.range_label} \N{MIDDLE DOT} {chart.step_label}" if chart.step_label else chart.range_label
    for span in (long, chart.range_label):
        if used + 24 + width_of(span) <= room:
            texts.append(Text(chart.width - EDGE, 20, span, "range", "end"))
            return Head(tuple(texts), 30)
    span = long if width_of(long) <= room else cut(chart.range_label, room)
    texts.append(Text(left, 20 + ROW, span, "range"))
    return Head(tuple(texts), 30 + ROW)


@dataclass(frozen=True, slots=True)
class Flag:
    """The label of a mark above the plot: ``row`` 0 is the lowest; ``flip`` puts it left of its line."""

    x: float
    row: int
    size: float
    flip: bool

    @property
    def start(self) -> float:
        """Left edge of the label."""
        return self.x - self.size if self.flip else self.x

    def hits(self, other: "Flag") -> bool:
        """Whether the two labels overlap, or one's line runs through the other's label."""
        if self.row == other.row:
            return self.start < other.start + other.size and other.start < self.start + self.size
        upper, lower = (self, other) if self.row > other.row else (other, self)
        return lower.start - 2 < upper.x < lower.start + lower.size


def flags(chart: Chart) -> dict[int, Flag]:
    """Find room for the labels of as many marks as possible, by index; the weightiest stay."""
    order = sorted(
        (index for index, mark in enumerate(chart.marks) if mark.label),
        key=lambda i: (WEIGHTS.get(chart.marks[i].kind, 3), -chart.marks[i].x),
    )[:MOST]
    choices = [list(_choices(chart, index)) for index in order]
    while choices:
        found = _fly(choices, [])
        if found:
            return dict(zip(order, found, strict=False))
        choices.pop()
    return {}


def _choices(chart: Chart, index: int) -> Iterator[Flag]:
    """Yield where the label of a mark could stand if it were alone, the best place first."""
    size = width_of(cut(chart.marks[index].label, chart.plot.width * 0.6), "mark") + 8
    for row in range(ROWS):
        for flip in (False, True):
            flag = Flag(chart.marks[index].x, row, size, flip)
            if flag.start >= -4 and flag.start + size <= chart.plot.width + EDGE:
                yield flag


def _fly(choices: Sequence[Sequence[Flag]], placed: list[Flag]) -> list[Flag]:
    """Return one place for each label so that none hits another, or nothing."""
    if len(placed) == len(choices):
        return placed
    for flag in choices[len(placed)]:
        if not any(flag.hits(other) for other in placed):
            found = _fly(choices, [*placed, flag])
            if found:
                return found
    return []


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


def lay(chart: Chart, limit_label: str, total: int) -> Chart:
    """Return ``chart`` with every text and legend key in its place and its true height.

    ``total`` is how many series have data.
    """
    top, flown = head(chart, 12), flags(chart)
    rows = max((flag.row + 1 for flag in flown.values()), default=0)
    box = replace(chart.plot, top=top.below + max(rows * ROW, 6.0))
    marks = tuple(
        replace(mark, rise=flown[index].row * ROW + 14) if index in flown else mark
        for index, mark in enumerate(chart.marks)
    )
    chart = replace(chart, plot=box, marks=marks)
    texts = [*top.texts, *_flown(chart, flown), *_ticks(chart)]
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


def _flown(chart: Chart, flown: Mapping[int, Flag]) -> list[Text]:
    texts = []
    for index, flag in sorted(flown.items()):
        label = cut(chart.marks[index].label, chart.plot.width * 0.6)
        x, y = chart.plot.left + flag.x, chart.plot.top - 5 - flag.row * ROW
        texts.append(Text(x - 5 if flag.flip else x + 5, y, label, "mark", "end" if flag.flip else "start"))
    return texts


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
    entries += [(Key(0, 0, band.kind), band.name) for band in chart.bands]
    for kind in ("restart", "alarm"):
        count = sum(mark.count for mark in chart.marks if mark.kind == kind)
        if count:
            entries.append((Key(0, 0, kind), f"{count} {kind}{'s' * (count > 1)}"))
    if notches := sum(mark.count for mark in chart.marks if mark.notch):
        entries.append((Key(0, 0, "change"), f"{notches} changes"))
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
