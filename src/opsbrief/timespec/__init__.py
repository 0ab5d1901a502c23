"""The time grammar: what a person types becomes an aware UTC instant, or a reference to a deploy.

Relative     ``-2h``, ``2h``, ``2 hours ago``, ``1h30m``, ``PT90M``, ``now-90min``, ``now-1d/d``
Absolute     ISO 8601 (dates, week dates, basic form, with or without offset), ``17:00_20260306``,
             ``Fri Mar 6 17:00:00 2026 +0100``, ``@1773151200``, epoch seconds or milliseconds
By the clock ``17:00`` (the most recent one), ``yesterday 14:00``, ``friday 17:00``, ``noon``
References   ``deploy``, ``deploy~1``, ``deploy:2.14.0``, ``tag:v2``, ``commit:9f3c2e1``, ``alert:HOST!SERVICE``

Each may be followed by ``+30m`` or ``-30m``. Hours, minutes and seconds are elapsed time; days and
weeks go by the wall clock of the zone, so that ``1d`` is the same clock time yesterday even when the
clocks changed in between (and ``24h`` is 24 hours). Everything else raises WindowError, because a
time that is silently wrong makes a brief that is silently wrong. Pure: the clock is an argument.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from typing import Literal, get_args

from opsbrief.errors import WindowError
from opsbrief.timespec.clock import instants, local, midnight
from opsbrief.timespec.length import CAP, SECONDS, UNITS, Shift, duration, measure, spell, unit_of

__all__ = ["CAP", "FORMS", "Instant", "Reference", "Shift", "duration", "local", "parse", "spell"]

Kind = Literal["deploy", "tag", "commit", "alert"]

FORMS = "2h, yesterday 14:00, friday 17:00, 2026-03-06T17:00, deploy, deploy~1+30m"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_LAST = 7_258_118_400  # the year 2200; nothing later is meant
_CLOCK = r"(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?[ap]m)?|[0-9]{1,2} ?[ap]m|noon|midnight)"
_BASIC = r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:[.,][0-9]{1,9})?)?)?"
_OFFSET = r"(?: ?(?:z|utc|gmt)(?![a-z])| ?[+-][0-9]{2}(?::?[0-9]{2})?(?![0-9a-z.:]))"
_DATE = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-?w[0-9]{2}(?:-?[0-9])?)"
_WEEKDAY = rf"(?:{'|'.join(f'{day[:3]}(?:{day[3:]})?' for day in _WEEKDAYS)})"
_DAY = rf"(?:{_DATE}|today|yesterday|(?:last |on )?{_WEEKDAY})"
_MOMENT = [
    re.compile(pattern)
    for pattern in (
        rf"(?P<day>{_DATE})[t ](?P<clock>{_CLOCK}|{_BASIC})(?P<offset>{_OFFSET})?",
        rf"(?P<day>{_DAY})(?: at)? (?P<clock>{_CLOCK})(?P<offset>{_OFFSET})?",
        rf"(?:at )?(?P<clock>{_CLOCK})(?P<offset>{_OFFSET})?(?: (?P<day>{_DAY}))?",
        rf"(?P<day>{_DAY})(?P<clock>)(?P<offset>)",
    )
]
_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_NAMED = re.compile(  # git log's, date's and mail's ways with the month by name
    rf"(?:(?P<name>{_WEEKDAY}),? )?(?:(?P<d1>[0-9]{{1,2}}) (?P<m1>{_MONTH})|(?P<m2>{_MONTH}) (?P<d2>[0-9]{{1,2}}),?)"
    rf"(?: (?P<early>{_CLOCK}))? (?P<year>[0-9]{{4}})(?: (?P<late>{_CLOCK}))?(?P<offset>{_OFFSET})?"
)
_REFERENCE = re.compile(r"(deploy|tag|commit|alert)(?:~([0-9]{1,3})|:(.+))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment that needs nobody to be asked."""

    at: datetime  # aware, UTC
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A moment that a deploy log (or an alarm source) knows.

    ``deploy:1.0-2d`` may mean the deploy 1.0 less two days or a deploy called 1.0-2d:
    ``whole`` then holds the second reading, for whoever knows the names there are.
    """

    kind: Kind
    text: str
    ref: str = ""
    back: int = 0
    offset: Shift = field(default_factory=Shift)
    whole: str = ""


def parse(text: str, *, now: datetime, zone: tzinfo, end: bool = False) -> Instant | Reference:
    """Read one expression at ``now`` (aware) on the wall clock of ``zone``.

    ``end`` says that the expression closes a range: rounding (``now/d``) then goes up, as in Grafana.
    Raises WindowError naming a valid form for everything that has not exactly one meaning.
    """
    if len(text) > CAP:
        raise WindowError(f"{text[:40]!r}… is too long for a time", f"for example {FORMS}")
    words = " ".join(text.split())
    if not words:
        raise WindowError("a time is missing", f"for example {FORMS}")
    try:
        return _reference(words) or Instant(_Reader(now, zone, words, end=end).read(), words)
    except (OverflowError, ValueError) as error:
        raise WindowError(f"{words!r} lies outside the calendar", f"for example {FORMS}") from error


def _tail(words: str) -> tuple[str, Shift, str] | None:
    """Split ``BASE+LENGTH`` or ``BASE-LENGTH`` at its last sign; the third part is what separates them."""
    at = max(words.rfind("+"), words.rfind("-"))
    if at < 1:
        return None
    shift = measure(words[at + 1 :].strip())
    if shift is None:
        return None
    base = words[:at].rstrip()
    return base, -shift if words[at] == "-" else shift, words[len(base) : at]


def _reference(words: str) -> Reference | None:
    """Return the anchor that ``words`` name, or None when they begin with none."""
    head = re.match(r"[A-Za-z]+", words)
    if not head or head[0].lower() not in get_args(Kind):
        return None
    base, offset, blank = _tail(words) or (words, Shift(), "")
    found = _REFERENCE.fullmatch(base)
    kind = head[0].lower()
    if not found and ":" in words:
        raise WindowError(f"{words!r} names nothing that could be found", f"for example {kind}:2.14.0")
    if not found:
        back = re.fullmatch(r"deploy(?:[-^ ]([0-9]{0,3})|~)", words, re.IGNORECASE)
        hint = f"the deploy before is deploy~{(back[1] or 1) if back else 1}; with an offset: deploy+30m"
        raise WindowError(f"cannot read {words!r} as a {kind}", hint)
    ref = (found[3] or "").strip()
    if found[2] and kind != "deploy":
        raise WindowError(f"cannot count back from {kind!r}", "only deploy~N counts back")
    if kind in {"tag", "commit"} and not ref:
        raise WindowError(f"{words!r} names no {kind}", f"write {kind}:{'v2.14.0' if kind == 'tag' else '9f3c2e1'}")
    if (found[3] is not None and not ref) or ref.startswith(("-", "~")) or not ref.isprintable():
        raise WindowError(f"{words!r} names nothing that could be found", f"for example {kind}:2.14.0")
    whole = words.partition(":")[2].strip() if ref and offset != Shift() and not blank else ""
    return Reference(kind, words, ref, int(found[2] or 0), offset, whole)  # type: ignore[arg-type]  # checked above


class _Reader:
    """One expression being read at one moment in one zone."""

    def __init__(self, now: datetime, zone: tzinfo, words: str, *, end: bool) -> None:
        self._now = now.astimezone(UTC)
        self._zone = zone
        self._end = end
        self._words = words

    def read(self) -> datetime:
        """Return the instant in UTC; raise WindowError."""
        words = self._words
        if re.fullmatch(r"[0-9a-zA-Z:]+(?:\.[0-9a-zA-Z:]+)*\.ago|(?:last|yesterday)\.[a-zA-Z0-9.:]+", words):
            words = words.replace(".", " ")  # git's way to write a blank
        words = words.replace("_", " ")  # and Graphite's
        ago = re.fullmatch(r"(?:-\s?(?P<minus>.+)|(?P<plain>.+?)(?: ago)?)", words, re.IGNORECASE)
        shift = measure(ago["minus"] or ago["plain"]) if ago else None
        return (-shift).apply(self._now, self._zone) if shift is not None else self._moment(words)

    def _moment(self, words: str) -> datetime:
        """Return what stands before an offset: now, an epoch, a date, a clock time."""
        low = words.lower()
        if low == "now":
            return self._now
        if rounding := re.fullmatch(r"(now\b.*)/([A-Za-z]+)", words, re.IGNORECASE):
            return self._round(self._moment(rounding[1].strip()), unit_of(rounding[2]))
        for read in (self._epoch, self._named, self._dated):
            at = read(low)
            if at is not None:
                return at
        if tail := _tail(words):
            return tail[1].apply(self._moment(tail[0]), self._zone)
        raise WindowError(f"cannot read {self._words!r} as a time", self._hint(self._words.lower()))

    def _round(self, at: datetime, unit: str) -> datetime:
        """Return the start of the second, minute, hour, day or ISO week (or the end of it, when closing)."""
        there = at.astimezone(self._zone)
        if unit in {"d", "w"}:
            day = there.date() - timedelta(days=there.weekday() if unit == "w" else 0)
            length = timedelta(days=7 if unit == "w" else 1)
            return midnight(day + length if self._end else day, self._zone)
        if not unit:
            raise WindowError(
                f"cannot round as {self._words!r} asks", "round to /m, /h, /d or /w, for example now-1d/d"
            )
        past = timedelta(
            minutes=there.minute * (unit == "h"),
            seconds=there.second * (unit in "hm"),
            microseconds=there.microsecond,
        )
        return at - past + timedelta(seconds=SECONDS[unit] * self._end)

    def _epoch(self, low: str) -> datetime | None:
        """Read epoch seconds, and by their number of digits milli-, micro- and nanoseconds."""
        found = re.fullmatch(r"(@?)([0-9]{1,19})(\.[0-9]{1,9})?", low)
        if not found:
            return None
        digits = len(found[2])
        scale = {13: 1_000, 16: 1_000_000, 19: 1_000_000_000}.get(digits, 1)
        if (
            (not found[1] and digits not in {10, 13, 16, 19})
            or (digits > 11 and scale == 1)
            or (found[3] and scale > 1)
        ):
            return None
        if not found[1] and digits == 10 and int(found[2]) > self._now.timestamp() + 366 * 86400:
            return None  # 2026030617: rather a date with its hour than the year 2034
        seconds, part = divmod(int(found[2]), scale)
        if seconds >= _LAST:
            return None
        fraction = part * 1_000_000 // scale + round(float(found[3] or 0) * 1_000_000)
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=fraction)

    def _named(self, low: str) -> datetime | None:
        """Read a date with the month's name, a four-digit year and perhaps a clock time."""
        found = _NAMED.fullmatch(low)
        if not found or (found["early"] and found["late"]):
            return None
        month = _MONTHS.index((found["m1"] or found["m2"])[:3]) + 1
        day = f"{found['year']}-{month:02}-{int(found['d1'] or found['d2']):02}"
        if found["name"] and not _WEEKDAYS[_date(day).weekday()].startswith(found["name"][:3]):
            raise WindowError(f"{day} is a {_WEEKDAYS[_date(day).weekday()].title()}", f"write {day}")
        return self._at(day, found["early"] or found["late"] or "", found["offset"] or "")

    def _dated(self, low: str) -> datetime | None:
        """Read a day, a clock time, or both in either order."""
        for pattern in _MOMENT:
            if found := pattern.fullmatch(low):
                return self._at(found["day"] or "", found["clock"], found["offset"] or "")
        return None

    def _at(self, day: str, clock: str, offset: str) -> datetime:
        """Return the instant; without a day or on a weekday it is the most recent one."""
        zone = _fixed(offset) if offset else self._zone
        today = self._now.astimezone(zone).date()
        reading = _clock(clock) if clock else None
        last, _, name = day.rpartition(" ")
        if name[:3] in {weekday[:3] for weekday in _WEEKDAYS}:
            behind = (today.weekday() - next(i for i, full in enumerate(_WEEKDAYS) if full.startswith(name[:3]))) % 7
            days = [today - timedelta(days=behind), today - timedelta(days=behind + 7)]
            days = days[1:] if last == "last" and not behind else days
        elif not day:
            days = [today, today - timedelta(days=1)]
        else:
            fixed = {"today": today, "yesterday": today - timedelta(days=1)}.get(day) or _date(day)
            return local(datetime.combine(fixed, reading), zone) if reading else midnight(fixed, zone)
        return self._recent(days, reading, zone) if reading else midnight(days[0], zone)

    def _recent(self, days: list[date], reading: time, zone: tzinfo) -> datetime:
        """Return the newest instant, not after now, at which the clock showed ``reading`` on one of ``days``."""
        wall = self._now.astimezone(zone).replace(tzinfo=None)
        for day in days:
            naive = datetime.combine(day, reading)
            past = [at for at in instants(naive, zone) if at <= self._now]
            if len(past) == 1:
                return past[0]
            if past or (naive <= wall and not list(instants(naive, zone))):
                return local(naive, zone)  # twice or never: refuses and says why
        raise WindowError(f"cannot read {self._words!r} as a time", "write the date as well")

    def _hint(self, low: str) -> str:
        """Return the valid form nearest to something that has none."""
        for pattern, hint in _HINTS:
            if found := re.fullmatch(pattern, low):
                return hint.format(low, *found.groups())
        for word in re.findall("[a-z]{3,}", low):
            near = [] if word in _VOCABULARY else get_close_matches(word, _VOCABULARY, 1, 0.7)
            guess = low.replace(word, near[0], 1) if near else ""
            with suppress(WindowError):
                if guess and parse(guess, now=self._now, zone=self._zone):
                    return f"did you mean {guess!r}?"
        return f"for example {FORMS}"


def _date(text: str) -> date:
    """Return an ISO date between 1970 and 2199."""
    try:
        found = date.fromisoformat(text.upper())
    except ValueError:
        raise WindowError(
            f"{text!r} is not a date of the calendar", "write YYYY-MM-DD, for example 2026-03-06"
        ) from None
    if not 1970 <= found.year < 2200:
        raise WindowError(f"the year of {text!r} cannot be meant", "write YYYY-MM-DD, for example 2026-03-06")
    return found


def _clock(text: str) -> time:
    """Return a clock reading: 17:00, 17:00:30.5, 170030, 5pm, noon."""
    if text in {"noon", "midnight"}:
        return time(12 if text == "noon" else 0)
    half = text[-2:] if text.endswith("m") else ""
    digits, _, fraction = text.removesuffix(half).strip().replace(",", ".").partition(".")
    parts = digits.split(":") if ":" in digits or half else [digits[at : at + 2] for at in range(0, len(digits), 2)]
    hour, minute, second = (int(part) for part in [*parts, "0", "0"][:3])
    if half:
        hour = hour % 12 + 12 * (half == "pm") if 1 <= hour <= 12 else 99
    if hour > 23 or minute > 59 or second > 59:
        hint = "midnight is 00:00 of the next day" if hour == 24 else "write HH:MM, for example 17:00"
        raise WindowError(f"{text!r} is not a time of day", hint)
    return time(hour, minute, second, int((fraction + "000000")[:6]))


def _fixed(offset: str) -> tzinfo:
    """Return the zone of an ISO offset, at most 14 hours from UTC."""
    text = offset.strip()
    if text[0] not in "+-":
        return UTC
    away = timedelta(hours=int(text[1:3]), minutes=int(text[3:].replace(":", "") or 0))
    if away > timedelta(hours=14) or int(text[3:].replace(":", "") or 0) > 59:
        raise WindowError(f"{text!r} is no offset from UTC", "write +HH:MM, for example +01:00")
    return timezone(-away if text[0] == "-" else away)


_VOCABULARY = ["now", "today", "yesterday", "noon", "midnight", *get_args(Kind), *_WEEKDAYS, *UNITS, "ago", "last"]
_HINTS = (  # (what was typed, what may have been meant); the first that fits
    (r"-?([0-9]{1,7})", "{1}m for minutes, {1}h for hours; an epoch has 10 or 13 digits"),
    (r"[0-9]{12}|[0-9]{14}", "write it as YYYYMMDDTHHMMSSZ, with its offset"),
    (
        r"@?[0-9]{9,}(?:\.[0-9]+)?",
        "an epoch has 10 digits (seconds) or 13 (milliseconds); a date with its hour is 2026-03-06T17:00",
    ),
    (r"[0-9]+\.[0-9]+", "name the unit: {0}h for hours"),
    (
        r"(?:[0-9]{1,4}[/.][0-9]{1,2}[/.][0-9]{1,4}|[0-9]{1,2}-[0-9]{1,2}-[0-9]{2,4}).*",
        "day and month can be swapped in this form; write YYYY-MM-DD",
    ),
    (r"\++.*", "write now{0} or deploy{0}"),
    (r"--+(.*)", "one minus is enough: -{1}"),
    (r"[\u2010-\u2015\u2212](.*)", "use a plain minus: -{1}"),
    (r"last (?:minute|hour|day|week|month)", "write how long ago: 1h, 1d, 7d, 30d"),
    (rf"(?:{_MONTH}) [0-9]{{1,2}}\b.*|[0-9]{{1,2}} (?:{_MONTH})\b.*", "write the year as well, or YYYY-MM-DD"),
    (r"(?:since|from|until) (.+)", "write {1}"),
    (r"(.+) before (?:the )?deploy", "write deploy-{1}"),
    (r"(.+) after (?:the )?deploy", "write deploy+{1}"),
    (r"-(.+) ago", "write {1} ago, or -{1}"),
    (r"[0-9]{4}-[0-9]{1,2}(?:-[0-9])?", "write the whole date, YYYY-MM-DD"),
    (r"(?:today|yesterday|.*day) ([0-9]{2})([0-9]{2})", "write the time as {1}:{2}"),
    (r"(?:next|this|tomorrow|coming)\b.*", "only the past can be looked at: yesterday, last friday"),
    (r"-?([0-9]+[0-9a-z]*[a-z])([+-].+)", "write now-{1}{2}"),
    (r".*:[0-9]{2} ?[a-z]{3,4}(?: [0-9]{4})?", "zone names are not unique: write the offset, for example 17:00+01:00"),
    (r"(?:release|deployment|deployed|rollout|last deploy|since deploy)\b.*", "write deploy"),
)
