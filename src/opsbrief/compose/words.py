"""How times, spans, sizes and names read on a page, beside the words that the whole house shares."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from opsbrief import text
from opsbrief.phrase import duration, number, zone

SUBJECT = 120  # characters of a mail subject
PAGER = 160  # characters of one short message

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def arrow(before: float | None, after: float | None, unit: str) -> str:
    """Return "128 → 131 ms"; the unit once, after the numbers."""
    left = number(before) if after is not None else number(before, unit)
    return f"{left} → {number(after, unit)}"


def size(amount: int) -> str:
    """Return bytes as a person says them: "6.1 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= factor:
            return f"{number(amount / factor)} {unit}"
    return f"{amount} bytes"


def took(seconds: float) -> str:
    """Return how long something took: "0.4 s", "1.8 s", "21 s"."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def listing(words: Sequence[str], most: int = 6) -> str:
    """Return "a, b and c", or "a, b, … and 9 more" when there are more than ``most``."""
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def unique(words: Iterable[str]) -> list[str]:
    """Return the words in order, each once, without the empty ones."""
    return [word for word in dict.fromkeys(words) if word]


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts app2 before app10."""
    parts = re.split(r"([0-9]{1,30})", name)
    return tuple((0, int(part), "") if at % 2 else (1, 0, part) for at, part in enumerate(parts) if part)


def sentence(words: str) -> str:
    """Return ``words`` with a capital at the start and a full stop at the end."""
    words = words.strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?', '…')) else '.'}" if words else ""


def cut(words: str, cap: int) -> str:
    """Return ``words`` in at most ``cap`` characters, cut at a blank where one is near."""
    words = text.line(words, cap * 4)
    if len(words) <= cap:
        return words
    head = words[: cap - 1]
    blank = head.rfind(" ")
    return f"{head[:blank] if blank > cap * 0.7 else head}…"


class Clock:
    """Instants in the brief's zone."""

    def __init__(self, name: str) -> None:
        """Take an IANA zone name."""
        self._zone = zone(name)

    def local(self, at: datetime) -> datetime:
        """Return ``at`` in the zone."""
        return at.astimezone(self._zone)

    def zone(self, at: datetime) -> str:
        """Return the zone's short name at an instant: "CEST"."""
        return self.local(at).tzname() or "UTC"

    def time(self, at: datetime, *, seconds: bool | None = None) -> str:
        """Return "15:02" or "15:02:11"; by default the seconds are shown when they are not 0."""
        local = self.local(at)
        exact = bool(local.second) if seconds is None else seconds
        return f"{local:%H:%M:%S}" if exact else f"{local:%H:%M}"

    def weekday(self, at: datetime) -> str:
        """Return "Fri"; not by the machine's locale, so that the same bundle gives the same bytes."""
        return _DAYS[self.local(at).weekday()]

    def day(self, at: datetime) -> str:
        """Return "Fri 17 May 2013"."""
        local = self.local(at)
        return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"

    def moment(self, at: datetime, near: datetime, *, seconds: bool | None = None) -> str:
        """Return the time of ``at``, with as much of the date as is needed beside ``near``."""
        days = abs((self.local(at).date() - self.local(near).date()).days)
        time = self.time(at, seconds=seconds)
        if days == 0:
            return time
        return f"{self.weekday(at)} {time}" if days < 7 else f"{self.day(at)} {time}"

    def span(self, start: datetime, end: datetime) -> str:
        """Return both ends with day and zone, and in UTC: "Fri 17 May 2013 15:02:11 – 17:40 CEST (13:02–15:40 UTC)"."""
        first, last = self.zone(start), self.zone(end)
        left = f"{self.day(start)} {self.time(start)}{'' if first == last else f' {first}'}"
        right = self.time(end) if self.local(start).date() == self.local(end).date() else self._dated(end)
        shown = f"{left} – {right} {last}"
        if first == last == "UTC":
            return shown
        utc = Clock("UTC")
        return f"{shown} ({utc.time(start)}–{utc.moment(end, start)} UTC)"

    def _dated(self, at: datetime) -> str:
        return f"{self.day(at)} {self.time(at)}"


def iso(at: datetime) -> str:
    """Return an instant as the command line takes it: "2013-05-17T13:02:11Z"."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def offset(seconds: float) -> str:
    """Return how far an instant lies from another: "3 min 31 s earlier"."""
    if abs(seconds) < 1:
        return "same second"
    return f"{duration(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def ago(shift: timedelta) -> str:
    """Return a weekly baseline in words: "last week", "2 weeks ago"."""
    weeks = round(shift / timedelta(weeks=1))
    return "last week" if weeks == 1 else f"{weeks} weeks ago"
