"""One log file on disk, plain or compressed: what it holds, where in it a time begins, its records.

Files of logs change while they are read: they grow, rotate, are cut to nothing, vanish. A file is read
up to the size it had when it was opened.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.readers.lines.layout import Head, Layout
from opsbrief.readers.lines.sample import Kept, Tally, cut
from opsbrief.transport.deadline import Deadline

SLACK = 120  # seconds by which lines may be out of order (threads, buffers) without being missed
_BLOCK = 1 << 18
_PEEK = 1 << 16  # bytes at a file's beginning and end by which it is known
_RECORD = 16 << 20  # a record longer than this is taken in parts
_SMALL = 1 << 20  # a smaller file is read rather than searched
_LATEST = 10**10  # epoch second, in the year 2286
_PROBES = 24  # places that must be in order of time before a file is searched rather than read


def _gzip(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw, mode="rb")


_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {".gz": _gzip, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
PACKED = frozenset(_OPENERS)
_TIMED = itemgetter(1, 2, 3)  # level and time of a head
#: What reading a damaged or vanishing file raises.
DAMAGE = (OSError, EOFError, lzma.LZMAError, ValueError)


@dataclass(frozen=True, slots=True)
class Peek:
    """The first and last lines of a file, each block beginning with a line break or inside a line."""

    beginning: bytes
    ending: bytes  # empty when compressed
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Store:
    """A log file and what is known of it."""

    path: Path
    host: str
    layout: Layout
    size: int  # bytes on disk
    modified: float
    marks: tuple[tuple[int, int], ...]  # (offset, epoch second of the first record behind it), in order of offsets
    last: int | None  # of its last record; None when that takes reading it whole

    @classmethod
    def survey(cls, path: Path, host: str, layout: Layout, known: Peek) -> "Store | None":
        """Look where in the file which time is; None when there is no record at its beginning."""
        start = next(iter(times(layout, known.beginning)), None)
        if start is None:
            return None
        store = cls(path, host, layout, known.size, known.modified, ((0, start),), None)
        if store.compressed:
            return store
        marks = [(0, start)]
        if known.size > _SMALL:
            with opened(path) as file:
                for index in range(1, _PROBES):
                    offset = known.size * index // _PROBES
                    if (second := store._probe(file, offset)) is not None:
                        marks.append((offset, second))
        ends = times(layout, known.ending)
        return replace(store, marks=tuple(marks), last=max(ends) if ends else None)

    @property
    def first(self) -> int:
        """Epoch second of its oldest record that was seen."""
        return min(second for _, second in self.marks)

    @property
    def newest(self) -> int:
        """Epoch second of its newest record that was seen."""
        return max(self.last or 0, *(second for _, second in self.marks), 0)

    @property
    def ordered(self) -> bool:
        """Whether what was seen of it is in order of time, so that it can be searched."""
        seconds = [second for _, second in self.marks] + ([] if self.last is None else [self.last])
        return all(later >= earlier - SLACK for earlier, later in pairwise(seconds))

    @property
    def compressed(self) -> bool:
        """Whether it can only be read from the beginning."""
        return self.path.suffix in _OPENERS

    def read(self, tallies: Sequence[Tally], deadline: Deadline) -> bool:
        """Count its records into the tallies whose stretch they lie in; False when the time ran out.

        Raises one of DAMAGE.
        """
        with opened(self.path) as file:
            try:
                return all(self._stretch(file, group, deadline) for group in self._stretches(tallies))
            except SourceError as error:  # what was counted until now is worth showing
                if error.kind is not GapKind.TIMEOUT:
                    raise
                return False

    def _stretches(self, tallies: Sequence[Tally]) -> Iterator[list[Tally]]:
        """Yield the tallies that are read in one go: adjoining ones; all of them where seeking is impossible."""
        group: list[Tally] = []
        for tally in sorted(tallies, key=lambda tally: tally.start):
            if group and not self.compressed and tally.start > max(one.end for one in group) + SLACK:
                yield group
                group = []
            group.append(tally)
        if group:
            yield group

    def _stretch(self, file: IO[bytes], tallies: Sequence[Tally], deadline: Deadline) -> bool:
        """Count the records from the earliest start to the latest end; False when the time ran out."""
        start, end = min(tally.start for tally in tallies), max(tally.end for tally in tallies)
        ordered = self.ordered
        if ordered and (self.first >= end + SLACK or (self.last is not None and self.last < start - SLACK)):
            return True
        # A file cannot hold what was written after it was; where its clock and ours disagree that proves nothing.
        if self.newest <= self.modified < start - 86400:
            return True
        begin = self._seek(file, start - SLACK) if ordered and not self.compressed else 0
        for block, heads in self._blocks(file, begin, deadline):
            self._count(block, heads, tallies)
            seconds = [_second(self.layout, *head[2:]) for head in (heads[0], heads[-1])]
            if ordered and all(second is not None and second >= end + SLACK for second in seconds):
                return True
            if deadline.left < deadline.seconds * 0.05:
                return False
        return True

    def _blocks(self, file: IO[bytes], begin: int, deadline: Deadline) -> Iterator[tuple[bytes, list[Head]]]:
        """Yield blocks of whole records, each with its heads, from the first head at or behind ``begin``."""
        left = None if self.compressed else self.size - begin
        if not self.compressed:
            file.seek(begin)
        rest = b"" if begin else b"\n"
        while True:
            deadline.remaining()
            wish = max(_BLOCK, len(rest))
            data = file.read(wish if left is None else min(wish, left))
            deadline.spend(size=len(data))
            if left is not None:
                left -= len(data)
            block = rest + data
            if not data:
                if heads := self.layout.heads(block):
                    yield block, heads
                return
            # The last line may not be whole, and the last record may go on: both wait for what follows.
            whole = block.rfind(b"\n")
            heads = self.layout.heads(block[:whole]) if whole > 0 else []
            if len(heads) > 1:
                rest = block[heads[-1][0] :]
                yield block[: heads[-1][0]], heads[:-1]
            elif len(block) < _RECORD:
                rest = block
            elif heads:
                yield block[:whole], heads
                rest = block[whole:]
            else:
                rest = block[-_PEEK:]  # no record in sixteen megabytes: not lines

    def _count(self, block: bytes, heads: list[Head], tallies: Sequence[Tally]) -> None:
        """Count the records of one block: by distinct time and level, of which there are far fewer than records."""
        ends = [head[0] for head in heads[1:]]
        ends.append(len(block))
        runs = Counter(map(_TIMED, heads))
        known = {stamp: _second(self.layout, *stamp) for stamp in {run[1:] for run in runs}}
        seconds = {run: second for run in runs if (second := known[run[1:]]) is not None}
        for tally in tallies:
            inside = {run: second for run, second in seconds.items() if tally.start <= second < tally.end}
            if not inside:
                continue
            whole = len(inside) == len(runs)
            rows = list(
                range(len(heads)) if whole else (row for row, head in enumerate(heads) if _TIMED(head) in inside)
            )
            tally.seen += len(rows)
            mine = runs
            if tally.test is not None:
                rows = [row for row in rows if tally.test(cut(block, heads[row][0] + 1, ends[row])[0])]
                mine = Counter(_TIMED(heads[row]) for row in rows)
            for place in tally.places(len(rows)):
                row = rows[place]
                raw, more = cut(block, heads[row][0] + 1, ends[row])
                second = inside[_TIMED(heads[row])]
                tally.keep(Kept(raw, second, heads[row][1], more, self.layout, self.host, self.path.name))
            for run, second in inside.items():
                if count := mine[run]:
                    tally.count(run[0], second, count)

    def _seek(self, file: IO[bytes], start: int) -> int:
        """Return an offset before which no record is as young as ``start``."""
        low = max((offset for offset, second in self.marks if second < start), default=0)
        high = min((offset for offset, second in self.marks if second >= start), default=self.size)
        while high - low > _BLOCK:
            middle = (low + high) // 2
            second = self._probe(file, middle)
            if second is not None and second < start:
                low = middle
            else:
                high = middle
        return low

    def _probe(self, file: IO[bytes], offset: int) -> int | None:
        """Return the time of the first record behind ``offset``; None when none begins within a megabyte."""
        file.seek(offset)
        data = b"" if offset else b"\n"
        for size in (1 << 12, _PEEK, 1 << 20):
            data += file.read(size)
            whole = data.rfind(b"\n")
            if whole > 0 and (found := times(self.layout, data[:whole])):
                return found[0]
        return None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file for reading, unpacked. Raises OSError; a pipe or device is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, "rb") as raw:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        opener = _OPENERS.get(path.suffix)
        if opener is None:
            yield raw
        else:
            with opener(raw) as unpacked:
                yield unpacked


def peek(path: Path) -> Peek:
    """Return the beginning and end of a file. Raises one of DAMAGE."""
    with opened(path) as file:
        status = path.stat()
        beginning = file.read(_PEEK)
        whole = beginning.rfind(b"\n")
        ending = b""
        if path.suffix not in _OPENERS:
            file.seek(max(0, status.st_size - _PEEK))
            ending = file.read(_PEEK) if status.st_size > _PEEK else b"\n" + beginning
        return Peek(b"\n" + (beginning[:whole] if whole > 0 else beginning), ending, status.st_size, status.st_mtime)


def unpacked(suffix: str, data: bytes, most: int) -> bytes:
    """Return the content of a file that was read elsewhere, at most ``most`` bytes. Raises one of DAMAGE."""
    opener = _OPENERS.get(suffix)
    if opener is None:
        return data
    with opener(io.BytesIO(data)) as file:
        content: bytes = file.read(most)
    return content


def times(layout: Layout, block: bytes) -> list[int]:
    """Return the readable times of the records that begin in a block."""
    found = (_second(layout, text, rest) for _, _, text, rest in layout.heads(block))
    return [second for second in found if second is not None]


def _second(layout: Layout, text: bytes, rest: bytes | None) -> int | None:
    """Return the epoch second of a head; None when it is no time, or none that a log could be of."""
    try:
        second = layout.epoch(text, rest)
    except (ValueError, OverflowError):
        return None
    return second if 0 <= second < _LATEST else None
