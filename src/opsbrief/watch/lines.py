"""Log lines of one query and stretch over many answers: true counts, and a bounded fair sample of the lines."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zlib import crc32

import numpy as np

from opsbrief.model.evidence import Histogram, LogRecord, LogSample

LINES = 1500  # kept of one level
LEVELS = 12  # told apart; what else comes is counted as of unknown level
BUCKETS = 4096  # of a histogram; when they are full, two become one


@dataclass(slots=True)
class _Drawn:
    """The sample of one level. Every true line has the same chance to be in it, whatever the answers left out.

    A record that stands for w lines gets the rank u/w with u fixed by its text and time; those with the
    lowest ranks are kept. Ranks of at least 1/w (of the largest w) would favour the answers that were whole.
    """

    heap: list[tuple[float, int, LogRecord]] = field(default_factory=list)  # (-rank, number, record)
    bound: float = 1.0
    number: int = 0

    def add(self, record: LogRecord, weight: float) -> None:
        self.bound = min(self.bound, 1 / weight)
        rank = crc32(f"{record.timestamp.timestamp()}{record.body}".encode()) / 2**32 / weight
        self.number += 1
        heapq.heappush(self.heap, (-rank, self.number, record))
        while self.heap and (len(self.heap) > LINES or -self.heap[0][0] >= self.bound):
            heapq.heappop(self.heap)


class Counts:
    """Lines per bucket and level over a time without end, in a bounded number of buckets."""

    def __init__(self, start: int, step: int, buckets: int = BUCKETS) -> None:
        """Begin at ``start`` (epoch seconds) with buckets of ``step`` seconds."""
        self.start, self.step = start, step
        self._buckets = buckets
        self._rows: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}

    def add(self, histogram: Histogram) -> None:
        """Add the counts of a stretch; a bucket counts where it begins."""
        for level, row in histogram.counts.items():
            slots = (histogram.start + histogram.step * np.arange(len(row)) - self.start) // self.step
            slots = np.maximum(slots, 0)
            mine = self._rows.get(level)
            if mine is None:
                mine = self._rows[level] = np.zeros(0, dtype=np.int64)
            need = int(slots[-1]) + 1 if len(slots) else 0
            if need > len(mine):
                mine = self._rows[level] = np.concatenate((mine, np.zeros(need - len(mine), dtype=np.int64)))
            np.add.at(mine, slots, np.asarray(row, dtype=np.int64))
        while max(map(len, self._rows.values()), default=0) > self._buckets:
            self.step *= 2
            for level, counts in self._rows.items():
                even = np.concatenate((counts, np.zeros(len(counts) % 2, dtype=np.int64)))
                self._rows[level] = even[::2] + even[1::2]

    @property
    def histogram(self) -> Histogram:
        """The counts as a histogram; every level as long as the longest."""
        most = max(map(len, self._rows.values()), default=0)
        rows = {level: (*row.tolist(), *[0] * (most - len(row))) for level, row in sorted(self._rows.items())}
        return Histogram(start=self.start, step=self.step, counts=rows)


class Heap:
    """What is settled of one query and stretch: answers about adjoining stretches, added up."""

    def __init__(self, first: LogSample) -> None:
        """Begin with a first answer."""
        self._head = replace(first, records=(), histogram=None)
        self._drawn: dict[str, _Drawn] = {}
        self._levels: set[str] = {""}
        self._counts: Counts | None = None
        self._total = 0
        self._exact = True
        self._end = first.end
        self._sorted: tuple[LogRecord, ...] | None = None
        self.add(first)

    def add(self, sample: LogSample) -> None:
        """Add an answer about a stretch that has not been counted yet."""
        sample = self._few(sample)
        weights = sample.weights()
        for record in sample.records:
            level = record.severity_text
            self._drawn.setdefault(level, _Drawn()).add(record, max(1.0, weights[level]))
        if sample.records:
            self._sorted = None
        if sample.histogram:
            self._counts = self._counts or Counts(sample.histogram.start, sample.histogram.step)
            self._counts.add(sample.histogram)
        self._total += sample.total
        self._exact = self._exact and sample.total_is_exact
        self._end = max(self._end, sample.end)

    def _few(self, sample: LogSample) -> LogSample:
        """Return the sample with at most ``LEVELS`` levels in all; what comes later is of unknown level."""
        found = {record.severity_text for record in sample.records}
        found |= set(sample.histogram.counts if sample.histogram else ())
        room = max(0, LEVELS - len(self._levels))
        self._levels.update(sorted(found - self._levels)[:room])
        if found <= self._levels:
            return sample
        records = tuple(
            record if record.severity_text in self._levels else replace(record, severity_text="")
            for record in sample.records
        )
        if sample.histogram is None:
            return replace(sample, records=records)
        rows: dict[str, tuple[int, ...]] = {}
        for level, row in sample.histogram.counts.items():
            name = level if level in self._levels else ""
            rows[name] = tuple(map(sum, zip(rows[name], row, strict=True))) if name in rows else row
        return replace(sample, records=records, histogram=replace(sample.histogram, counts=rows))

    @property
    def sample(self) -> LogSample:
        """What is settled, as one sample."""
        if self._sorted is None:
            records = [entry[2] for drawn in self._drawn.values() for entry in drawn.heap]
            self._sorted = tuple(sorted(records, key=lambda record: record.timestamp))
        return replace(
            self._head,
            end=self._end,
            total=self._total,
            total_is_exact=self._exact,
            records=self._sorted,
            histogram=self._counts.histogram if self._counts else None,
        )


def edge(samples: Sequence[LogSample], target: float) -> int:
    """Return the last second at or before ``target`` at which a bucket begins in each of the histograms."""
    step = max((sample.histogram.step for sample in samples if sample.histogram), default=1)
    return int(target) // step * step


def cut(sample: LogSample, at: datetime) -> LogSample | None:
    """Return the part of a sample before ``at``, where a bucket of its histogram begins; None when there is none."""
    if at >= sample.end:
        return sample
    if at <= sample.start:
        return None
    records = tuple(record for record in sample.records if record.timestamp < at)
    if sample.histogram is None:
        share = len(records) / len(sample.records) if sample.records else 0.0
        return replace(sample, end=at, records=records, total=round(sample.total * share))
    histogram = sample.histogram
    keep = max(0, -int(-(at.timestamp() - histogram.start) // histogram.step))
    rows = {level: row[:keep] for level, row in histogram.counts.items()}
    whole = sum(map(sum, histogram.counts.values()))
    part = sum(map(sum, rows.values()))
    total = part if whole == sample.total or not whole else round(sample.total * part / whole)
    return replace(sample, end=at, records=records, total=total, histogram=replace(histogram, counts=rows))
