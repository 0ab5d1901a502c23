"""The brief as one value, before it becomes Markdown, HTML, text or JSON.

All strings are plain text (already made safe by text.py); each renderer encodes them for its
format. ``refs`` are evidence or finding ids and are shown as ``[E12]``.
"""

from collections.abc import Mapping
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
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Labelled lines, aligned under each other."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    refs: tuple[str, ...] = ()
    tone: Tone = "plain"
    code: bool = False  # set in a fixed-width face: log patterns, paths, ids


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
    """One graph; ``name`` is the stem of its PNG file and never comes from data."""

    name: str
    chart: Chart
    caption: str
    alt: str  # states the finding, for those who do not see the graph
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBlock:
    """Log lines as they were written, in a fixed-width face."""

    lines: tuple[str, ...]
    caption: str = ""
    refs: tuple[str, ...] = ()


Block = Paragraph | Scorecard | Table | Figure | LogBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it; ``folded`` sections follow the first page."""

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
    sections: tuple[Section, ...]
    service: str
    start: datetime
    end: datetime
    zone: str
    version: str
    collected_at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)
