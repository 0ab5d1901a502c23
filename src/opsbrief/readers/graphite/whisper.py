"""The format of whisper files, read with numpy and without carbon.

Big-endian. A header (aggregation, longest retention, xFilesFactor, number of archives), one entry per archive
(offset, seconds per point, points), then the archives: rings of (epoch seconds, value). A slot counts only
when the time written in it is the one expected there; anything else is left over from an earlier round.
"""

import struct
from dataclasses import dataclass
from os import fstat, pread
from typing import Final

import numpy as np
import numpy.typing as npt

HEADER: Final = struct.Struct("!2LfL")
ARCHIVE: Final = struct.Struct("!3L")
POINT: Final = np.dtype([("time", ">u4"), ("value", ">f8")])
AGGREGATIONS: Final = {
    1: "average", 2: "sum", 3: "last", 4: "max", 5: "min", 6: "avg_zero", 7: "absmax", 8: "absmin"
}  # fmt: skip

_HEAD = 512  # bytes: room for 41 archives; nobody has more than a handful
_COMPRESSED = b"whisper_compressed"  # how go-carbon's own format begins


class WhisperError(ValueError):
    """A file that is no readable whisper file; the message says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One ring of points."""

    offset: int
    step: int  # seconds per point
    points: int

    @property
    def retention(self) -> int:
        """Seconds the ring goes back."""
        return self.step * self.points


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    aggregation: str
    retention: int  # seconds, of the longest archive
    archives: tuple[Archive, ...]  # finest first


@dataclass(frozen=True, slots=True)
class Slice:
    """``values[i]`` (NaN = missing) belongs to ``start + i * step`` epoch seconds."""

    start: int
    step: int
    values: npt.NDArray[np.float64]
    size: int  # bytes read


def header(fd: int) -> Header:
    """Read the header of an open file. Raises WhisperError."""
    data = pread(fd, _HEAD, 0)
    if data.startswith(_COMPRESSED):
        raise WhisperError("go-carbon's compressed format, which only go-carbon reads")
    if len(data) < HEADER.size:
        raise WhisperError("empty" if not data else f"cut off after {len(data)} bytes")
    kind, retention, _factor, count = HEADER.unpack_from(data)
    need = HEADER.size + count * ARCHIVE.size
    if kind not in AGGREGATIONS or not 0 < count <= (_HEAD - HEADER.size) // ARCHIVE.size or len(data) < need:
        raise WhisperError("its header is not that of a whisper file")
    archives = tuple(Archive(*ARCHIVE.unpack_from(data, HEADER.size + n * ARCHIVE.size)) for n in range(count))
    size = fstat(fd).st_size
    for archive in archives:
        if not archive.step or not archive.points or archive.offset < need:
            raise WhisperError("its header is not that of a whisper file")
        if archive.offset + archive.points * POINT.itemsize > size:
            raise WhisperError(f"cut off after {size:,} bytes")
    return Header(AGGREGATIONS[kind], retention, archives)


def fetch(fd: int, head: Header, start: int, until: int, now: int) -> Slice | None:
    """Return the points in (start, until], or None when the window is in the future or before all retention.

    The finest archive that reaches back to ``start``, seen from ``now``, answers for the whole window:
    the rules of ``whisper.fetch`` 1.1.10, including the one point of a window shorter than a step.
    """
    oldest = now - head.retention
    if start > until or start > now or until < oldest:
        return None
    start, until = max(start, oldest), min(until, now)
    archive = next((ring for ring in head.archives if ring.retention >= now - start), head.archives[-1])
    return read(fd, archive, start, until)


def recover(fd: int, head: Header, start: int, until: int, now: int) -> Slice | None:
    """Return what ``fetch`` does, or finer points where the file still holds them.

    ``fetch`` goes by the age of the window, as the server does. In a copy that nothing has written to since, the
    fine rings are older than their retention but whole; they are taken when they leave out nothing that
    the coarser ones have.
    """
    part = fetch(fd, head, start, until, now)
    if (part is not None and part.step == head.archives[0].step) or start > min(until, now):
        return part
    rings = [ring for ring in head.archives if part is None or ring.step < part.step]
    slices = [read(fd, ring, start, min(until, now)) for ring in rings]
    coarser = [*slices[1:], *([part] if part else [])]
    for index, finer in enumerate(slices):
        if _extent(finer) and all(_covers(finer, other) for other in coarser[index:]):
            return finer
    return part


def _extent(part: Slice) -> tuple[int, int] | None:
    """Return the times of the first and the last point, None when there is none."""
    there = np.flatnonzero(np.isfinite(part.values))
    return (part.start + int(there[0]) * part.step, part.start + int(there[-1]) * part.step) if len(there) else None


def _covers(finer: Slice, coarser: Slice) -> bool:
    mine, theirs = _extent(finer), _extent(coarser)
    if not mine or not theirs:
        return bool(mine)
    return mine[0] < theirs[0] + coarser.step and mine[1] + finer.step > theirs[1]


def read(fd: int, archive: Archive, start: int, until: int) -> Slice:
    """Return the points in (start, until] of one archive, whatever its retention."""
    step = archive.step
    first = start - start % step + step
    last = until - until % step + step
    if first == last:
        last += step
    want = (last - first) // step
    base = int.from_bytes(pread(fd, 4, archive.offset), "big")
    if base == 0:
        return Slice(first, step, np.full(want, np.nan), 4)
    count = min(want, archive.points)
    slot = (first - base) // step % archive.points
    head = min(count, archive.points - slot)
    data = pread(fd, head * POINT.itemsize, archive.offset + slot * POINT.itemsize)
    if head < count:
        data += pread(fd, (count - head) * POINT.itemsize, archive.offset)
    points = np.frombuffer(data[: len(data) // POINT.itemsize * POINT.itemsize], POINT)
    if want > count and len(points):  # longer than the ring: which of its rounds a slot belongs to, its time says
        points = points[np.arange(want) % len(points)]
    values = np.full(want, np.nan)
    expected = first + step * np.arange(len(points), dtype=np.int64)
    values[: len(points)] = np.where(points["time"] == expected, points["value"], np.nan)
    return Slice(first, step, values, len(data) + 4)
