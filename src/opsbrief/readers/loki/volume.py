"""How many lines there are, and which of them to read: queries, times and shares."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt

from opsbrief.model.evidence import Histogram
from opsbrief.model.window import Span
from opsbrief.readers.lines import level
from opsbrief.readers.matrix import Row

NANO = 10**9
LEVELS = ("level", "detected_level", "severity")  # labels that may tell the level
_APART = (("FATAL", "ERROR"), ("WARN",))  # levels that are drawn for themselves where not all lines are read
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_BUCKETS = 1500
_SLICES = 20  # pieces of a stretch of which each gives its share of the lines


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of equal buckets: ``count`` of them, ``width`` seconds each, the first one ending at ``first``."""

    first: int
    width: int
    count: int

    @property
    def pace(self) -> int:
        """Seconds between two instants that are asked about.

        Many servers move start and end to multiples of it: that of a part of a bucket is one second.
        """
        return self.width if self.count > 1 else 1

    def form(self, query: str, labels: Sequence[str]) -> list[tuple[str, str]]:
        """Return the parameters of the question; each instant counts the lines of the bucket before it."""
        counting = f"sum by ({', '.join(labels)}) (count_over_time({query} [{self.width}s]))"
        last = self.first + (self.count - 1) * self.width
        return form(counting, self.first * NANO, last * NANO, step=str(self.pace))


@dataclass(frozen=True, slots=True)
class Grid:
    """The buckets of a stretch, whole minutes or more, and how they are asked for."""

    start: int
    step: int
    slots: int
    segments: tuple[Segment, ...]

    @classmethod
    def over(cls, span: Span) -> "Grid":
        """Return the buckets that cover a stretch."""
        start, end = ends(span)
        step = next((width for width in _STEPS if (end - start) / width <= _BUCKETS), _STEPS[-1])
        origin = start // step * step
        return cls(origin, step, max(1, -((origin - end) // step)), tuple(_segments(start, end, step)))


@dataclass(frozen=True, slots=True)
class Stratum:
    """Lines that are drawn together: a query, and how many there are in each bucket."""

    query: str
    counts: npt.NDArray[np.int64]

    @property
    def total(self) -> int:
        """All its lines."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class Volume:
    """The lines of one stretch, counted: per bucket and level, and which spellings the levels have."""

    grid: Grid
    counts: Mapping[str, npt.NDArray[np.int64]]
    label: str = ""  # the label that tells the level
    spelled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All lines."""
        return int(sum(row.sum() for row in self.counts.values()))

    def histogram(self) -> Histogram:
        """Return it as a value."""
        rows = {name: tuple(row.tolist()) for name, row in sorted(self.counts.items())}
        return Histogram(start=self.grid.start, step=self.grid.step, counts=rows)

    def strata(self, query: str, limit: int) -> Iterator[Stratum]:
        """Yield what is drawn apart: rare levels first, where a label tells them, then all others."""
        if self.total <= limit:
            yield Stratum(query, _sum(self.counts.values()))
            return
        apart: list[str] = []
        for names in _APART:
            if rows := [self.counts[name] for name in names if name in self.counts]:
                spelled = [word for name in names for word in self.spelled.get(name, ())]
                apart += spelled
                yield Stratum(f"{query} | {self.label}=~{_either(spelled)}", _sum(rows))
        rest = [row for name, row in self.counts.items() if not any(name in names for names in _APART)]
        if rest:
            yield Stratum(f"{query} | {self.label}!~{_either(apart)}" if apart else query, _sum(rest))

    def pieces(self, stratum: Stratum, quota: int, span: Span) -> Iterator[tuple[str, int, int, int]]:
        """Yield (query, first and end nanosecond, how many lines) of each request for a share of the lines."""
        start, end = (at * NANO for at in ends(span))
        if quota >= stratum.total:
            if quota:
                yield stratum.query, start, end, quota
            return
        so_far = np.concatenate(([0], np.cumsum(stratum.counts)))
        edges = np.linspace(0, len(stratum.counts), min(_SLICES, len(stratum.counts)) + 1).astype(int)
        # What is due up to each edge, rounded there and not in each piece: so no line is lost in rounding.
        for low, high in pairwise(edges.tolist()):
            due = round(quota * int(so_far[high]) / stratum.total) - round(quota * int(so_far[low]) / stratum.total)
            if due:
                first, last = ((self.grid.start + place * self.grid.step) * NANO for place in (low, high))
                yield stratum.query, max(start, first), min(end, last), due


def added(grid: Grid, found: Sequence[tuple[Segment, Sequence[Row]]], labels: Sequence[str]) -> Volume:
    """Put the counts of the segments together; the label that tells the level of the most lines counts."""
    told = dict.fromkeys(labels, 0.0)
    for _, rows in found:
        for row in rows:
            for label in labels:
                if level.normal(row.labels.get(label)):
                    told[label] += float(np.nansum(row.values))
    best = max(told, key=lambda label: told[label]) if any(told.values()) else ""
    counts: dict[str, npt.NDArray[np.int64]] = {}
    spelled: dict[str, tuple[str, ...]] = {}
    for segment, rows in found:
        slot = (segment.first - segment.width - grid.start) // grid.step
        for row in rows:
            name = level.normal(row.labels.get(best))
            into = counts.setdefault(name, np.zeros(grid.slots, dtype=np.int64))
            into[slot : slot + segment.count] += np.rint(np.nan_to_num(row.values)).astype(np.int64)
            if name:
                spelled[name] = tuple(dict.fromkeys((*spelled.get(name, ()), row.labels[best])))
    return Volume(grid, counts, best, spelled)


def ends(span: Span) -> tuple[int, int]:
    """Return a stretch as whole epoch seconds [first, end)."""
    return ceil(span.start.timestamp()), ceil(span.end.timestamp())


def form(query: str, start: int, end: int, **more: str) -> list[tuple[str, str]]:
    """Return the parameters of a range query; times in nanoseconds."""
    return [("query", query), ("start", str(start)), ("end", str(end)), *more.items()]


def quoted(text: str) -> str:
    """Return a text as LogQL writes it, without meaning for its backslashes."""
    return f"`{text}`" if "`" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _segments(start: int, end: int, step: int) -> Iterator[Segment]:
    """Yield the runs of equal buckets; the first and the last may be parts of one."""
    low, high = -(-start // step) * step, end // step * step
    if low > high:
        yield Segment(end, end - start, 1)
        return
    if low > start:
        yield Segment(low, low - start, 1)
    if high > low:
        yield Segment(low + step, step, (high - low) // step)
    if end > high:
        yield Segment(end, end - high, 1)


def _either(words: Sequence[str]) -> str:
    return quoted("|".join(re.sub(r"([^\w])", r"\\\1", word) for word in words))


def _sum(rows: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    stacked = np.array(list(rows), dtype=np.int64)
    return stacked.sum(axis=0) if stacked.size else np.zeros(1, dtype=np.int64)
