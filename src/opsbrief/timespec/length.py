"""Lengths of time: ``90s``, ``1h30m``, ``2 hours``, ``PT90M``, and moving an instant by one."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from opsbrief.errors import WindowError

CAP = 200  # characters of an expression
UNITS = {
    name: unit
    for unit, names in (
        ("w", "w week weeks"),
        ("d", "d day days"),
        ("h", "h hr hrs hour hours"),
        ("m", "m min mins minute minutes"),
        ("s", "s sec secs second seconds"),
    )
    for name in names.split()
}
SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COUNTS = {"a": 1, "an": 1} | {word: number for number, word in enumerate(_WORDS, 1)}
_NUMBER = r"(?:0[0-9]?|[1-9][0-9]{0,8})"
_PIECE = re.compile(rf"({_NUMBER})(?:\.([0-9]{{1,3}}))?\s?([A-Za-z]+)|({'|'.join(_COUNTS)}) ([A-Za-z]+)", re.IGNORECASE)
_ISO_PART = r"([0-9]{1,9}(?:[.,][0-9]{1,3})?)"
_ISO_LENGTH = re.compile(
    rf"P(?:([0-9]{{1,9}})W|(?:([0-9]{{1,9}})D)?(?:T(?=[0-9])(?:{_ISO_PART}H)?(?:{_ISO_PART}M)?(?:{_ISO_PART}S)?)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far to move: calendar days on the wall clock, then elapsed time."""

    days: int = 0
    rest: timedelta = timedelta(0)

    def __neg__(self) -> "Shift":
        """Return the same way back."""
        return Shift(-self.days, -self.rest)

    @property
    def total(self) -> timedelta:
        """The length with a day counted as 24 hours."""
        return timedelta(days=self.days) + self.rest

    def apply(self, at: datetime, zone: tzinfo) -> datetime:
        """Return ``at`` moved, in UTC.

        Where the clock time does not exist or comes twice on that day, the instant nearest to
        whole 24-hour days is taken. Raises OverflowError outside the years 1 to 9999.
        """
        if not self.days:
            return at.astimezone(UTC) + self.rest
        plain = at.astimezone(UTC) + timedelta(days=self.days)
        naive = at.astimezone(zone).replace(tzinfo=None, fold=0) + timedelta(days=self.days)
        either = [naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        return min(either, key=lambda moved: abs(moved - plain)) + self.rest


def duration(text: str) -> timedelta:
    """Read a length: ``90s 15m 2h 3d 1w``, ``1h30m``, ``2 hours``, ``PT90M``; a day is 24 hours here.

    Raises WindowError for anything else.
    """
    words = " ".join(text.split())
    try:
        shift = measure(words) if len(text) <= CAP else None
        if shift is not None:
            return shift.total
    except OverflowError as error:
        raise WindowError(f"{words!r} is too long") from error
    hint = (
        f"{words}m for minutes, {words}h for hours"
        if re.fullmatch("[0-9]{1,6}", words)
        else "for example 90s, 15m, 1h30m, 3d"
    )
    raise WindowError(f"{words[:CAP]!r} is not a length of time", hint)


def spell(length: timedelta, parts: int = 4) -> str:
    """Return a length as a person writes it, to the second: ``2h 10m 48s``, ``1d 3h``, ``0s``.

    With all its parts it reads back as the same length (but for fractions of a second); with
    fewer it is rounded to the last one: ``2h 11m``.
    """
    left = abs(round(length.total_seconds()))
    first = next((at for at, unit in enumerate("dhms") if left >= SECONDS[unit]), 3)
    least = SECONDS["dhms"[min(first + parts - 1, 3)]]
    left = (left + least // 2) // least * least
    shown = []
    for unit in "dhms":
        count, left = divmod(left, SECONDS[unit])
        if count:
            shown.append(f"{count}{unit}")
    return " ".join(shown) or "0s"


def measure(words: str) -> Shift | None:
    """Return the length that ``words`` are, or None when they are none."""
    if iso := _ISO_LENGTH.fullmatch(words):
        weeks, days, *times = (float((part or "0").replace(",", ".")) for part in iso.groups())
        if len(words) > 1:
            return Shift(int(weeks) * 7 + int(days), timedelta(hours=times[0], minutes=times[1], seconds=times[2]))
    total, days, last, at = timedelta(0), 0, "", 0
    while at < len(words):
        piece = _PIECE.match(words, at)
        unit = unit_of(piece[3] or piece[5]) if piece else ""
        if not piece or not unit or (last and SECONDS[unit] >= SECONDS[last]):
            return None
        count = int(piece[1] or _COUNTS[piece[4].lower()])
        if unit in "dw":
            if piece[2]:
                raise WindowError(f"{piece[0]!r} is not a whole number of days", "write it in hours, for example 36h")
            days += count * (7 if unit == "w" else 1)
        else:
            total += timedelta(seconds=float(f"{count}.{piece[2] or 0}") * SECONDS[unit])
        last, at = unit, piece.end()
        if joint := re.compile(r"(?:,| and)? ").match(words, at):
            at = joint.end()
            if at == len(words):
                return None
    return Shift(days, total) if last else None


def unit_of(name: str) -> str:
    """Return w, d, h, m or s; refuse a bare M and what has no fixed length."""
    if name == "M":
        raise WindowError("M is a month in Grafana and not a length here", "minutes are m; for a month write 30d")
    if name.lower() in {"mo", "mon", "month", "months", "y", "yr", "year", "years", "q"}:
        raise WindowError(f"{name!r} has no fixed length", "write days or weeks, for example 30d or 4w")
    return UNITS.get(name.lower(), "")
