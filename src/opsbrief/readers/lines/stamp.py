"""Time stamps at the head of a line: which form they have, and the instant they mean.

A stamp is two parts of bytes: the text down to the second, which a run of lines shares, and what
else decides the instant (the offset, the year). Fractions are read only for lines that are kept.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name.encode(): number for number, name in enumerate(_NAMES, 1)}
_MON = "(?:" + "|".join(_NAMES) + ")"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME = r"\d\d:\d\d:\d\d"
_ZONE = r"(?:\ ?(Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\w:]))?"
_OFFSET = re.compile(rb"([+-])(\d\d):?(\d\d)")
_FRACTION = re.compile(rb"[.,]?(\d{1,9})")
_NUMBERS = re.compile(rb"\d+")

Read = Callable[["Clock", bytes, bytes | None], int]


@dataclass(frozen=True, slots=True)
class Clock:
    """How stamps that leave something out are to be read."""

    zone: tzinfo  # of stamps without an offset
    around: datetime  # stamps without a year: the year that lies nearest to this ...
    latest: datetime  # ... and not after this (when the file was last written)

    def read(self, year: int, *rest: int, offset: bytes | None = None) -> int:
        """Return epoch seconds of a calendar time. Raises ValueError when there is no such time."""
        month, day, hour, minute, second = rest
        # A leap second has no place on the POSIX scale: it becomes the second before.
        return int(datetime(year, month, day, hour, minute, min(second, 59), tzinfo=self._zone(offset)).timestamp())

    def yearless(self, *rest: int) -> int:
        """Return epoch seconds of a calendar time whose year is not written."""
        readings = []
        for year in (self.around.year - 1, self.around.year, self.around.year + 1):
            try:
                readings.append(self.read(year, *rest))
            except ValueError:  # 29 February
                continue
        latest = self.latest.timestamp() + 86400
        past = [reading for reading in readings if reading <= latest] or readings[:1]
        if not past:
            raise ValueError("no year has such a day")
        return min(past, key=lambda reading: abs(reading - self.around.timestamp()))

    def _zone(self, offset: bytes | None) -> tzinfo:
        if offset is None:
            return self.zone
        if found := _OFFSET.fullmatch(offset):
            length = timedelta(hours=int(found[2]), minutes=int(found[3]))
            return timezone(-length if found[1] == b"-" else length)
        return UTC


def _numbers(text: bytes) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(text)]


def _calendar(clock: Clock, text: bytes, offset: bytes | None) -> int:
    return clock.read(*_numbers(text), offset=offset)


def _syslog(clock: Clock, text: bytes, _: bytes | None) -> int:
    return clock.yearless(_MONTHS[text[:3]], *_numbers(text))


def _klog(clock: Clock, text: bytes, _: bytes | None) -> int:
    return clock.yearless(int(text[:2]), int(text[2:4]), *_numbers(text[5:]))


def _common(clock: Clock, text: bytes, offset: bytes | None) -> int:
    day, month, rest = text.replace(b"-", b"/").replace(b" ", b"/", 2).split(b"/", 2)
    year, *time = _numbers(rest)
    return clock.read(year, _MONTHS[month], int(day), *time, offset=offset)


def _ctime(clock: Clock, text: bytes, year: bytes | None) -> int:
    return clock.read(int(year or b"0"), _MONTHS[text[:3]], *_numbers(text))


def _java(clock: Clock, text: bytes, half: bytes | None) -> int:
    day, year, hour, minute, second = _numbers(text)
    hour = hour % 12 + (12 if half == b"PM" else 0)
    return clock.read(year, _MONTHS[text[:3]], day, hour, minute, second)


def _dotted(clock: Clock, text: bytes, offset: bytes | None) -> int:
    day, month, year, *time = _numbers(text)
    return clock.read(year, month, day, *time, offset=offset)


def _epoch(_clock: Clock, text: bytes, _: bytes | None) -> int:
    return int(text)


@dataclass(frozen=True, slots=True)
class Form:
    """One form of stamp. Groups of ``head``: a level's number or letter, the text to the second, what else decides."""

    name: str
    head: re.Pattern[bytes]  # begins with the line break before the line
    read: Read
    inside: bool = False  # the stamp stands inside the line: the level may stand before it


def _form(name: str, pattern: str, read: Read, *, inside: bool = False) -> Form:
    return Form(name, re.compile(rf"\n{pattern}".encode()), read, inside)


_PRI = r"(?:<(\d{1,3})>(?:1\ )?)?"
_ISO = rf"(\d{{4}}-\d\d-\d\d[T ]{_TIME})(?:[.,]\d{{1,9}})?{_ZONE}"
_BEFORE = r"[\w\[\"(<][^\n]{0,63}?"  # a line that begins with a blank goes on from the one before
#: Tried in this order; of equals the first wins.
FORMS = (
    _form("ISO 8601", rf"{_PRI}\[?{_ISO}", _calendar),
    _form("syslog", rf"{_PRI}({_MON} [ \d]\d {_TIME})()?", _syslog),
    _form("year/month/day", rf"()?\[?(\d{{4}}/\d\d/\d\d {_TIME})(?:[.,]\d{{1,9}})?{_ZONE}", _calendar),
    _form("access log", rf"()?[^\s\[][^\[\n]{{0,300}}\[(\d\d/{_MON}/\d{{4}}:{_TIME}) ([+-]\d{{4}})\]", _common),
    _form("ctime", rf"()?\[?{_DAY} ({_MON} [ \d]\d {_TIME})(?:\.\d{{1,9}})? (\d{{4}})\]?", _ctime),
    _form("klog", rf"([IWEF])(\d{{4}} {_TIME})\.\d{{6}}()?", _klog),
    _form("day-month-year", rf"()?\[?(\d\d[- /]{_MON}[- /]\d{{4}}[ :]{_TIME})(?:[.,]\d{{1,9}})?{_ZONE}", _common),
    _form("day.month.year", rf"()?\[?(\d\d\.\d\d\.\d{{4}} {_TIME})(?:[.,]\d{{1,9}})?{_ZONE}", _dotted),
    _form("month day, year", rf"()?({_MON} \d\d?, \d{{4}},? \d\d?:\d\d:\d\d) ?([AP]M)?", _java),
    _form("epoch", r"()?\[?(\d{10})(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?(?=[\]\s:,|])()?", _epoch),
    _form("ISO 8601 inside the line", rf"{_BEFORE}()?{_ISO}", _calendar, inside=True),
    _form("year/month/day inside the line", rf"{_BEFORE}()?(\d{{4}}/\d\d/\d\d {_TIME}){_ZONE}", _calendar, inside=True),
)  # fmt: skip
SYSLOG = FORMS[1]
_INSIDE = 2  # a stamp inside the line must be found so many times as often as one at its head


def recognise(sample: bytes, clock: Clock) -> Form | None:
    """Return the form that most lines of ``sample`` begin with; None when no line has a stamp."""
    best: Form | None = None
    most = 0.0
    for form in FORMS:
        weight = float(sum(_readable(form, clock, found) for found in form.head.finditer(b"\n" + sample)))
        if form.inside:
            weight /= _INSIDE
        if weight > most:
            best, most = form, weight
    return best


def _readable(form: Form, clock: Clock, found: re.Match[bytes]) -> bool:
    try:
        form.read(clock, found[2], found[3])
    except (ValueError, OverflowError):
        return False
    return True


def fraction(digits: bytes) -> int:
    """Return microseconds of the digits behind a decimal point."""
    return int(digits[:6].ljust(6, b"0"))


def behind(text: bytes, place: int) -> int:
    """Return the microseconds of the fraction that stands at ``place``, right behind the second; 0 if none does."""
    found = _FRACTION.match(text, place)
    return fraction(found[1]) if found else 0
