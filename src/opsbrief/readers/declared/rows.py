"""The parts of an entry: where its time, value, name and words are, and what they mean."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsbrief.errors import GapKind, OpsbriefError, SourceError
from opsbrief.readers.declared.path import Path, parse
from opsbrief.readers.lines.structured import HOST, LEVEL, MESSAGE, SERVICE, TIME, pick
from opsbrief.readers.marks import Bad, moment
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

T = TypeVar("T")

#: Where an entry keeps what, unless ``fields`` says so; the first that is there counts.
NAMES: Mapping[str, tuple[str, ...]] = {
    "time": (*TIME, "at", "when", "created_at"),
    "value": ("value", "val", "v", "count"),
    "name": ("name", "metric", "series", "target"),
    "host": HOST,
    "points": (),
    "text": (*MESSAGE, "summary", "title", "description", "output"),
    "state": ("state", "status", *LEVEL),
    "service": SERVICE,
}
_NUMBER = re.compile(r"\s*\d{9,20}(?:\.\d+)?\s*\Z")
_EARLIEST, _LATEST = 1e8, 1e20  # what a number must lie between to be a time, in any unit


class Point(NamedTuple):
    """One value of one series; no time means now."""

    name: str
    host: str
    at: float | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the entries of one source are read."""

    pick: Path | None
    fields: Mapping[str, Path]
    zone: ZoneInfo  # of times without an offset

    def entries(self, document: object) -> list[Any]:
        """Return the entries of a document: what ``pick`` finds, else the elements of a list, else itself."""
        if self.pick:
            return self.pick.pick(document)
        return document if isinstance(document, list) else [document]

    def part(self, entry: object, what: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return one part of an entry; None when it has none."""
        if what in self.fields:
            return self.fields[what].first(entry)
        return pick(entry, NAMES[what]) if isinstance(entry, dict) else None

    def words(self, entry: object, what: str, cap: int = 400) -> str:
        """Return one part of an entry as a line of text."""
        found = self.part(entry, what)
        return line(str(found), cap) if isinstance(found, str | int | float) else ""

    def instant(self, value: object) -> float:
        """Return epoch seconds of a time: a number in any unit, or ISO 8601. Raises ValueError."""
        if isinstance(value, str) and _NUMBER.match(value):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not _EARLIEST <= value < _LATEST:
                raise ValueError(f"{value} is no time")
            while value >= 1e11:  # milli-, micro-, nanoseconds
                value /= 1000
            return float(value)
        if not isinstance(value, str):
            raise ValueError("has no time")  # noqa: TRY004 - one reason among others, for a person
        try:
            return moment(value, self.zone).timestamp()
        except OpsbriefError as error:
            raise ValueError(error.message) from None

    def points(self, entries: Iterable[object], host: str, bad: Bad) -> Iterator[Point]:
        """Yield the values of the entries: numbers, [time, value] pairs, objects, objects with lists of those."""
        for number, entry in enumerate(entries, 1):
            inner = self.part(entry, "points")
            name, own = self.words(entry, "name", 300), host or self.words(entry, "host", 200)
            for point in inner if isinstance(inner, list) else [entry]:
                try:
                    at, value = self._point(point)
                except ValueError as error:
                    bad.add(number, str(point), str(error))
                else:
                    yield Point(name, own, at, value)

    def _point(self, point: object) -> tuple[float | None, float]:
        if isinstance(point, list) and "value" not in self.fields:
            if len(point) != 2:
                raise ValueError("is no [time, value]")
            return self.instant(point[0]), _value(point[1])
        if not isinstance(point, list | dict):
            return None, _value(point)
        at, value = self.part(point, "time"), self.part(point, "value")
        return (None if at is None else self.instant(at)), _value(value)


def _value(value: object) -> float:
    """Return a number; null and infinity are missing. Raises ValueError when it is none."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError("the value is no number") from None
    if not isinstance(value, int | float):  # true counts as 1: it is up
        raise ValueError("the value is no number")  # noqa: TRY004 - same
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def reader(pick: str, fields: Mapping[str, str], zone: str, known: Iterable[str] = NAMES) -> Reader:
    """Return the reader that options describe. Raises SourceError(REJECTED) when they cannot be meant."""
    if unknown := [name for name in fields if name not in set(known)]:
        raise SourceError(GapKind.REJECTED, f"no field {line(unknown[0], 60)!r}", f"known: {', '.join(known)}")
    try:
        paths = {name: parse(path) for name, path in fields.items()}
        return Reader(pick=parse(pick) if pick else None, fields=paths, zone=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, OSError):
        raise SourceError(GapKind.REJECTED, f"no time zone {zone!r}", "write it as Europe/Berlin") from None
    except ValueError as error:
        raise SourceError(GapKind.REJECTED, line(str(error)), "e.g. $.data[*].value") from None


def paced(entries: Iterable[T], deadline: Deadline) -> Iterator[T]:
    """Yield the entries, with a look at the clock every now and then. Raises SourceError(TIMEOUT)."""
    for number, entry in enumerate(entries):
        if number % 500 == 0:
            deadline.remaining()
        yield entry
