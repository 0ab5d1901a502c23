"""Counting every record of a stretch of time, and keeping some of them, evenly spread."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opsbrief.model.evidence import Histogram, LogRecord
from opsbrief.model.window import Span, Window
from opsbrief.readers.lines.layout import Layout

STEP = 60  # seconds of a histogram's bucket
_RAW = 32 << 10  # bytes of a kept record; what is longer is cut, and the cut is said

Test = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it stands in its file, with what is needed to read it."""

    raw: bytes
    at: int
    level: str
    cut: int
    layout: Layout
    host: str
    file: str


@dataclass(slots=True)
class Tally:
    """The records of one query in one stretch [start, end) of epoch seconds.

    Every ``stride``-th record is kept; when twice the limit is reached, every second of them goes and
    the stride doubles. So the kept ones are spread as evenly as the records themselves, the same
    file gives the same sample, and memory stays bounded.
    """

    label: str
    start: int
    end: int
    limit: int
    test: Test | None = None
    total: int = 0
    seen: int = 0  # records of the stretch, also those the query leaves out
    stride: int = 1
    kept: list[Kept] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)

    @property
    def origin(self) -> int:
        """Epoch second of the first bucket."""
        return self.start - self.start % STEP

    def count(self, level: str, second: int, records: int) -> None:
        """Count so many records of one level and second."""
        row = self.counts.get(level)
        if row is None:
            row = self.counts[level] = [0] * math.ceil((self.end - self.origin) / STEP)
        row[(second - self.origin) // STEP] += records
        self.total += records

    def places(self, records: int) -> Iterator[int]:
        """Yield which of the next ``records`` records, from 0, are to be kept; ask before they are counted."""
        for place in range(self.stride - 1 - self.total % self.stride, records, self.stride):
            if not (self.total + place + 1) % self.stride:  # the stride may have doubled since
                yield place

    def keep(self, record: Kept) -> None:
        """Keep one record."""
        self.kept.append(record)
        if len(self.kept) >= 2 * self.limit:
            del self.kept[::2]
            self.stride *= 2

    def records(self) -> list[LogRecord]:
        """Return the sample as records in the order of time, at most ``limit`` of them."""
        count = len(self.kept)
        chosen = self.kept
        if count > self.limit:
            chosen = [self.kept[index * count // self.limit] for index in range(self.limit)]
        return sorted(map(_record, chosen), key=lambda record: record.timestamp)

    def histogram(self) -> Histogram:
        """Return the records a minute by level."""
        return Histogram(
            start=self.origin, step=STEP, counts={level: tuple(row) for level, row in sorted(self.counts.items())}
        )


def stretches(window: Window) -> Iterator[Span]:
    """Yield the stretches that are sampled each for itself, the most wanted first: incident, before, weeks before."""
    if window.fix:  # each phase deserves lines of its own, however short it is
        yield from (span for span in window.phases() if span.seconds > 0)
        return
    yield window.incident
    if window.prior.seconds > 0:
        yield window.prior
    for label, shift in window.shifts:
        yield Span(label, window.start - shift, window.end - shift, shift)


def cut(block: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return the bytes of a record and how many of it were left off."""
    return block[start : min(end, start + _RAW)], max(0, end - start - _RAW)


def _record(kept: Kept) -> LogRecord:
    record = kept.layout.record(kept.raw, kept.at, kept.level, kept.cut)
    resource = dict(record.resource)
    if kept.host:
        resource["host.name"] = kept.host
    return LogRecord(
        timestamp=record.timestamp,
        body=record.body,
        severity_text=record.severity_text,
        attributes={**record.attributes, **({"log.file.name": kept.file} if kept.file else {})},
        resource=resource,
    )
