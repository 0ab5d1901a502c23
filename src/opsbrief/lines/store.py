"""One log file on disk, plain or compressed: what it holds, where in it a time begins, its records.

Files of logs change while they are read: they grow, rotate, are cut to nothing, vanish. A file is read
up to the size it had when it was opened.
"""

import bz2
import gzip
import lzma
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from opsbrief.lines.layout import Head, Layout
from opsbrief.lines.sample import Kept, Tally, cut
from opsbrief.transport.deadline import Deadline

SLACK = 120  # seconds by which lines may be out of order (threads, buffers) without being missed
_BLOCK = 1 << 18
_PEEK = 1 << 16  # bytes at a file's beginning and end by which it is known
_RECORD = 16 << 20  # a record longer than this is taken in parts
_WHOLE = 4 << 20  # a smaller file is read rather than searched
_PROBES = 24  # places that must be in order of time before a file is searched rather than read


def _gzip(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw, mode="rb")


_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {".gz": _gzip, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
PACKED = frozenset(_OPENERS)
#: What reading a damaged or vanishing file raises.
DAMAGE = (OSError, EOFError, lzma.LZMAError, ValueError)


@dataclass(slots=True)
class Store:
    """A log file and what is known of it."""

    path: Path
    host: str
    layout: Layout
    first: int  # epoch second of its first record
    size: int  # bytes on disk
    modified: float
    last: int | None = None  # of its last record; None when that takes reading it whole

    @property
    def compressed(self) -> bool:
        """Whether it can only be read from the beginning."""
        return self.path.suffix in _OPENERS

    def read(self, tallies: Sequence[Tally], deadline: Deadline) -> bool:
        """Count its records into the tallies whose stretch they lie in; False when the time ran out.

        Raises one of DAMAGE.
        """
        with opened(self.path) as file:
            return all(self._stretch(file, group, deadline) for group in self._stretches(tallies))

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
        if self.first >= end + SLACK or (self.last is not None and self.last < start - SLACK):
            return True
        # A file cannot hold what was written after it was; where its clock and ours disagree that proves nothing.
        if self.first <= self.modified < start - 86400:
            return True
        begin = 0 if self.compressed else self._seek(file, start - SLACK)
        for block, heads in self._blocks(file, begin, deadline):
            self._count(block, heads, tallies)
            seconds = [self._second(*head[2:]) for head in (heads[0], heads[-1])]
            if all(second is not None and second >= end + SLACK for second in seconds):
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

    def _second(self, text: bytes, rest: bytes | None) -> int | None:
        try:
            return self.layout.epoch(text, rest)
        except (ValueError, OverflowError):
            return None

    def _count(self, block: bytes, heads: list[Head], tallies: Sequence[Tally]) -> None:
        """Count the records of one block; the hot loop, so little is called in it."""
        known: tuple[bytes, bytes | None] | None = None
        here: list[Tally] = []
        second: int | None = None
        ends = [head[0] for head in heads[1:]]
        ends.append(len(block))
        for (offset, level, text, rest), end in zip(heads, ends, strict=True):
            if (text, rest) != known:
                known = (text, rest)
                second = self._second(text, rest)
                here = [] if second is None else [tally for tally in tallies if tally.start <= second < tally.end]
            if second is None:
                continue
            for tally in here:
                tally.seen += 1
                if tally.test is not None and not tally.test(cut(block, offset + 1, end)[0]):
                    continue
                if tally.count(level, second):
                    raw, more = cut(block, offset + 1, end)
                    tally.keep(Kept(raw, second, level, more, self.layout, self.host, self.path.name))

    def _seek(self, file: IO[bytes], start: int) -> int:
        """Return an offset before which no record is younger than ``start``; 0 when the file is not in order."""
        if self.size < _WHOLE or self.first >= start:
            return 0
        offsets = [self.size * index // _PROBES for index in range(_PROBES)]
        times = [self._probe(file, offset) for offset in offsets]
        known = [(offset, time) for offset, time in zip(offsets, times, strict=True) if time is not None]
        if any(later < earlier - SLACK for (_, earlier), (_, later) in pairwise(known)):
            return 0
        low = max((offset for offset, time in known if time < start), default=0)
        high = min((offset for offset, time in known if time >= start), default=self.size)
        while high - low > _BLOCK:
            middle = (low + high) // 2
            time = self._probe(file, middle)
            if time is not None and time < start:
                low = middle
            else:
                high = middle
        return low

    def _probe(self, file: IO[bytes], offset: int) -> int | None:
        """Return the time of the first record behind ``offset``; None when none begins within a megabyte."""
        file.seek(offset)
        data = b"" if offset else b"\n"
        for size in (_PEEK, 1 << 20):
            data += file.read(size)
            whole = data.rfind(b"\n")
            for head in self.layout.heads(data[:whole]) if whole > 0 else ():
                if (second := self._second(*head[2:])) is not None:
                    return second
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


def peek(path: Path) -> tuple[bytes, bytes, os.stat_result]:
    """Return the beginning of a file, its end (empty when compressed), and its status. Raises one of DAMAGE."""
    with opened(path) as file:
        status = path.stat()
        beginning = file.read(_PEEK)
        if path.suffix in _OPENERS:
            return beginning, b"", status
        file.seek(max(0, status.st_size - _PEEK))
        return beginning, file.read(_PEEK), status


def times(layout: Layout, blocks: Iterable[bytes]) -> list[int]:
    """Return the readable times of the records that begin in these blocks."""
    found = []
    for block in blocks:
        for head in layout.heads(block):
            try:
                found.append(layout.epoch(*head[2:]))
            except (ValueError, OverflowError):
                continue
    return found
