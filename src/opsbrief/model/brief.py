"""The brief as one value, before it becomes Markdown, HTML, text or JSON.

All strings are plain text (already made safe by text.py); each renderer encodes them for its
format. ``refs`` are evidence or finding ids and are shown as ``[E12]``. Names (of figures and of
sections) are ours, never data, so that they may become file names and anchors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from opsbrief.model.chart import Chart

Tone = Literal["plain", "bad", "good", "unknown", "muted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text."""

    text: str
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One labelled line of a scorecard: CHANGED, RULED OUT, CANNOT TELL, ..."""

    label: str
    text: str
    detail: str = ""  # said after the text and less loudly: the coverage of an alibi, the hint of a gap
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Labelled lines, aligned under each other. A label equal to the one above is not repeated."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"
    code: bool = False  # set in a fixed-width face: log patterns, paths, ids
    anchors: tuple[str, ...] = ()  # the ids that this row explains; where refs lead to


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    heading: str
    align: Literal["left", "right"] = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; ``cut`` says how many rows are not shown."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One graph; ``name`` is the stem of its PNG file."""

    name: str
    chart: Chart
    caption: str
    alt: str  # states the finding, for those who do not see the graph
    text: tuple[str, ...] = ()  # the same graph as lines of text: one sparkline a series
    refs: tuple[str, ...] = ()
    narrow: Chart | None = None  # the same laid out for a narrow column, as in a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Small multiples: graphs on one time axis, to be looked at side by side."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One instant of a timeline."""

    at: str  # as shown: "15:02:11", with the day when it is not the day above
    text: str
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Instants in order; ``cut`` says how many are not shown."""

    entries: tuple[Entry, ...]
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Lines as they were written, in a fixed-width face: log lines, commands."""

    lines: tuple[str, ...]
    caption: str = ""
    refs: tuple[str, ...] = ()


Block = Paragraph | Scorecard | Table | Figure | Gallery | Timeline | Verbatim


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it; ``folded`` sections follow the first page."""

    name: str
    heading: str  # empty on the first page's opening
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Everything a reader gets, in order."""

    title: str
    subject: str  # mail subject, <= 120 characters
    pager: str  # the whole story in <= 160 characters
    headline: str
    tone: Tone = "plain"  # of the headline
    sections: tuple[Section, ...]
    service: str
    start: datetime
    end: datetime
    zone: str
    version: str
    collected_at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> Iterator[Figure]:
        """Yield every graph of the brief, the key one first."""
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Figure):
                    yield block
                elif isinstance(block, Gallery):
                    yield from block.figures
