"""Reads one metric out of collectd's files: the RRD file or the CSV files, whichever tells more of a stretch."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opsbrief.model.window import Span
from opsbrief.readers.collectd import daily, known, rrd
from opsbrief.readers.collectd.daily import DailyError
from opsbrief.readers.collectd.rates import any_growing, rates
from opsbrief.readers.collectd.store import Entry

Opened = Callable[[str], AbstractContextManager[tuple[rrd.Read, int]]]  # path -> (how to read, size)
_COARSE = 60  # seconds of a row beyond which a CSV file is asked first
_BIGGEST = 64 << 20  # bytes of one CSV file: a day of samples each second has some three million
_BUSY = ("contextswitch", "cpu", "if_octets", "if_packets", "disk_ops", "vmpage_faults")
_VOTERS = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """What one data source of one metric gave for a stretch of time."""

    part: str
    start: int
    step: int
    values: npt.NDArray[np.float64]
    path: str
    size: int  # bytes read
    function: str  # how the rows were made: average, max, min; "last" of samples
    sampled: bool = False  # out of CSV files
    bad: int = 0  # lines that could not be read


class Files:
    """Reads the files of one collect; knows which hosts' CSV files hold raw counters."""

    def __init__(self, function: str, opened: Opened | None = None) -> None:
        """Take the function of the RRD archives that are asked first: AVERAGE, MAX or MIN, and how files are opened."""
        self._function = function
        self._opened = opened or local
        self._raw: set[str] = set()

    def judge(self, entries: Iterable[Entry], spans: Sequence[Span]) -> list[str]:
        """Learn which hosts' CSV files hold raw counters (StoreRates false, its default); return those hosts."""
        order = {kind: place for place, kind in enumerate(_BUSY)}
        voters: dict[str, list[Entry]] = {}
        for entry in sorted(entries, key=lambda one: (order.get(one.identity("").type, len(order)), one.name)):
            if entry.days and entry.identity("").type in order:
                voters.setdefault(entry.host, []).append(entry)
        for host, mine in voters.items():
            for span in spans:
                data = []
                for entry in mine[:_VOTERS]:
                    with suppress(DailyError, OSError):  # said where the metric itself is read
                        data += [piece.values for piece in self._sampled(entry, span)]
                if (raw := any_growing(data)) is not None:
                    if raw:
                        self._raw.add(host)
                    break
        return sorted(self._raw)

    def read(self, entry: Entry, span: Span) -> list[Piece]:
        """Return the pieces of one metric for a span. Raises RrdError, DailyError and OSError."""
        rows = [*self._rows(entry, span)] if entry.rrd else []
        fine = rows and rows[0].step <= _COARSE and any(np.isfinite(piece.values).any() for piece in rows)
        if fine or not entry.days:
            return rows
        samples = [*self._sampled(entry, span)]
        return [self._rate(entry, piece) for piece in samples] or rows

    def _rate(self, entry: Entry, piece: Piece) -> Piece:
        if entry.host not in self._raw or not known.counter(entry.identity(piece.part)):
            return piece
        return replace(piece, values=rates(piece.values, piece.step))

    def _rows(self, entry: Entry, span: Span) -> Iterator[Piece]:
        with self._opened(entry.rrd) as (read, size):
            head = rrd.header(read, size)
            start, end = int(np.ceil(span.start.timestamp())), int(np.ceil(span.end.timestamp()))
            ring = rrd.choose(head, start, self._function)
            found = rrd.fetch(read, head, ring, start, end)
        for part, values in found.values.items():
            plain = np.where(np.isinf(values), np.nan, values)
            yield Piece(part, found.start, found.step, plain, entry.rrd, found.size, found.function.lower())

    def _sampled(self, entry: Entry, span: Span) -> Iterator[Piece]:
        """Yield what the days of a span hold."""
        days, used, size, bad = [], [], 0, 0
        for day in _days(span):
            if path := entry.days.get(day):
                with self._opened(path) as (take, length):
                    if length > _BIGGEST:
                        raise DailyError(f"larger than {_BIGGEST >> 20} MB")
                    data = take(0, length)
                read = daily.read(data)
                days.append(read)
                used.append(path)
                size += len(data)
                bad += read.bad
        for part in dict.fromkeys(name for one in days for name in one.values):
            times = np.concatenate([one.times for one in days if part in one.values])
            values = np.concatenate([one.values[part] for one in days if part in one.values])
            grid = daily.grid(times, values, span.start.timestamp(), span.end.timestamp())
            if grid:
                start, step, even = grid
                plain = np.where(np.isinf(even), np.nan, even)
                where = used[0] if len(used) == 1 else str(Path(used[0]).parent)
                yield Piece(part, start, step, plain, where, size, "last", sampled=True, bad=bad)


@contextmanager
def local(path: str) -> Iterator[tuple[rrd.Read, int]]:
    """Open a file on this disk."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that somebody left there must not stop us
    try:
        yield (lambda offset, count: os.pread(fd, count, offset)), os.fstat(fd).st_size
    finally:
        os.close(fd)


def held(contents: Mapping[str, bytes]) -> Opened:
    """Return how to open files whose contents are here already."""

    @contextmanager
    def opened(path: str) -> Iterator[tuple[rrd.Read, int]]:
        if path not in contents:
            raise FileNotFoundError(0, "it did not come")
        data = contents[path]
        yield (lambda offset, count: data[offset : offset + count]), len(data)

    return opened


def needed(entry: Entry, spans: Iterable[Span]) -> list[str]:
    """Return the files of a metric that have to be there: the RRD file, else the days of the spans."""
    if entry.rrd:
        return [entry.rrd]
    return [path for span in spans for day in _days(span) if (path := entry.days.get(day))]


def _days(span: Span) -> Iterator[str]:
    """Yield the days of a span; they are days of the host's own zone, hence one more each way."""
    day, last = span.start.date() - timedelta(days=1), span.end.date() + timedelta(days=1)
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)


def newest(piece: Piece) -> int:
    """Return the time of the newest datapoint, 0 where there is none."""
    there = np.flatnonzero(np.isfinite(piece.values))
    return piece.start + int(there[-1]) * piece.step if len(there) else 0


def said(error: Exception) -> str:
    """Return what is wrong with a file."""
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
