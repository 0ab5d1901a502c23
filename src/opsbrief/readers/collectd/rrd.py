"""The format of RRD files, read with numpy and without rrdtool.

Versions 3 to 5 as a 64-bit little-endian machine writes them; anything else is refused in words. A file is written
as the machine lays out its memory: a head, one entry per data source, one per archive (function, rows, steps per
row), what is needed to go on, a pointer to the newest row of each archive, then the rows. A row is stamped with the
end of the time that it is about; here, as in whisper files, a value stands at its beginning.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from opsbrief.text import line

Read = Callable[[int, int], bytes]  # (offset, size) -> at most so many bytes

_HEAD: Final = struct.Struct("<4s5s7xd3Q80x")
_SOURCE: Final = struct.Struct("<20s20s80x")
_ARCHIVE: Final = struct.Struct("<20s4x2Q80x")
_LIVE: Final = struct.Struct("<2q")
_PDP, _CDP, _POINTER = 112, 80, 8
_COOKIE: Final = 8.642135e130  # tells the byte order and the form of numbers
_VERSIONS: Final = (b"0003", b"0004", b"0005")
_SOURCES, _ARCHIVES, _ROWS = 100, 200, 50_000_000  # nobody has more; a damaged head may say anything


class RrdError(ValueError):
    """A file that is no readable RRD file; the message says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One ring of rows."""

    function: str  # AVERAGE, MIN, MAX, LAST
    rows: int
    step: int  # seconds of a row
    newest: int  # the row that was written last
    offset: int  # in the file, of its first row


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    parts: tuple[str, ...]  # data sources
    kinds: tuple[str, ...]  # of each: GAUGE, DERIVE, COUNTER, ABSOLUTE
    archives: tuple[Archive, ...]
    updated: int  # epoch seconds


@dataclass(frozen=True, slots=True)
class Rows:
    """``values[part][i]`` (NaN = missing) belongs to the ``step`` seconds from ``start + i * step`` on."""

    start: int
    step: int
    values: dict[str, npt.NDArray[np.float64]]
    function: str
    size: int  # bytes read


def header(read: Read, size: int) -> Header:
    """Read the head of a file of ``size`` bytes. Raises RrdError."""
    data = _exactly(read, 0, _HEAD.size, size)
    cookie, version, number, sources, archives, step = _HEAD.unpack(data)
    if cookie != b"RRD\0":
        raise RrdError("it does not begin as an RRD file does")
    if version[:4] not in _VERSIONS:
        said = line(version[:4], 10)
        raise RrdError(f"its version is {said}; versions 3, 4 and 5 are read (rrdtool dump and restore renew it)")
    if number != _COOKIE:
        raise RrdError("written by a machine of another kind (32-bit or big-endian); rrdtool dump there, restore here")
    if not 0 < sources <= _SOURCES or not 0 < archives <= _ARCHIVES or not 0 < step <= 86400 * 366:
        raise RrdError("its head is damaged")
    defined = _exactly(read, _HEAD.size, sources * _SOURCE.size + archives * _ARCHIVE.size + _LIVE.size, size)
    parts, kinds = [], []
    for at in range(sources):
        name, kind = _SOURCE.unpack_from(defined, at * _SOURCE.size)
        parts.append(_text(name))
        kinds.append(_text(kind))
    base = sources * _SOURCE.size
    rings = [_ARCHIVE.unpack_from(defined, base + at * _ARCHIVE.size) for at in range(archives)]
    updated, _ = _LIVE.unpack_from(defined, base + archives * _ARCHIVE.size)
    at = _HEAD.size + len(defined) + sources * _PDP + sources * archives * _CDP
    pointers = struct.unpack(f"<{archives}Q", _exactly(read, at, archives * _POINTER, size))
    at += archives * _POINTER
    found = []
    for (function, rows, steps), newest in zip(rings, pointers, strict=True):
        if not 0 < rows <= _ROWS or not 0 < steps <= _ROWS or newest >= rows:
            raise RrdError("its head is damaged")
        found.append(Archive(_text(function), rows, steps * step, newest, at))
        at += rows * sources * 8
    if at > size:
        raise RrdError(f"cut off after {size:,} bytes of {at:,}")
    if updated < 0:
        raise RrdError("its head is damaged")
    return Header(tuple(parts), tuple(kinds), tuple(found), updated)


def choose(head: Header, start: int, function: str = "AVERAGE") -> Archive:
    """Return the finest archive of a function that reaches back to ``start``, else the one that reaches furthest.

    The rule of ``rrdtool fetch``. Of a file without such archives, any others are taken. Raises RrdError.
    """
    mine = [ring for ring in head.archives if ring.function == function]
    mine = mine or [ring for ring in head.archives if ring.function in {"AVERAGE", "LAST", "MAX", "MIN"}]
    if not mine:
        raise RrdError("it has no archive of averages, minima, maxima or last values")
    reaching = [ring for ring in mine if _oldest(head, ring) <= start]
    if reaching:
        return min(reaching, key=lambda ring: ring.step)
    return min(mine, key=lambda ring: (_oldest(head, ring), ring.step))


def fetch(read: Read, head: Header, ring: Archive, start: int, end: int) -> Rows:
    """Return the rows of one archive whose time begins in [start, end)."""
    first = -(-start // ring.step) * ring.step
    last = -(-end // ring.step) * ring.step
    count = max(0, (last - first) // ring.step)
    table = np.full((count, len(head.parts)), np.nan)
    newest = head.updated - head.updated % ring.step - ring.step  # where the newest row begins
    oldest = newest - (ring.rows - 1) * ring.step
    low, high = max(first, oldest), min(last - ring.step, newest)
    size = 0
    if count and low <= high:
        wanted = (high - low) // ring.step + 1
        slot = (ring.newest + 1 + (low - oldest) // ring.step) % ring.rows
        width = len(head.parts) * 8
        head_rows = min(wanted, ring.rows - slot)
        data = read(ring.offset + slot * width, head_rows * width)
        if head_rows < wanted:
            data += read(ring.offset, (wanted - head_rows) * width)
        size = len(data)
        if size != wanted * width:
            raise RrdError("it became shorter while it was read")
        at = (low - first) // ring.step
        table[at : at + wanted] = np.frombuffer(data, "<f8").reshape(wanted, len(head.parts))
    return Rows(
        first, ring.step, {part: table[:, at].copy() for at, part in enumerate(head.parts)}, ring.function, size
    )


def _oldest(head: Header, ring: Archive) -> int:
    return head.updated - head.updated % ring.step - ring.rows * ring.step


def _exactly(read: Read, offset: int, count: int, size: int) -> bytes:
    data = read(offset, count) if offset + count <= size else b""
    if len(data) != count:
        raise RrdError("empty" if not size else f"cut off after {size:,} bytes")
    return data


def _text(data: bytes) -> str:
    return line(data.partition(b"\0")[0], 40)
