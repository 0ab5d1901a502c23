"""Which stretch of time a digest is about, and what it is called."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from opsbrief.errors import WindowError
from opsbrief.model.digest import Period
from opsbrief.timespec import Instant, parse
from opsbrief.timespec.clock import midnight
from opsbrief.timespec.length import Shift, spell

WEEK = timedelta(days=7)
LONGEST = timedelta(days=92)  # as of any window
FURTHEST = timedelta(days=14)  # of the stretch that a longer period is compared with

_ISO = re.compile(r"([0-9]{4})-?[Ww]([0-9]{1,2})")


def week(name: str | None, now: datetime, zone: str) -> Period:
    """Return an ISO week by its name ("2026-W47"); without one the last whole week before ``now``.

    Weeks begin on Monday 00:00 on the wall clock of ``zone``. Raises WindowError.
    """
    local = ZoneInfo(zone)
    today = now.astimezone(local).date()
    last = today - timedelta(days=today.weekday() + 7)
    monday = _monday(name, last) if name else last
    start, end = midnight(monday, local), midnight(monday + WEEK, local)
    if start >= now:
        raise WindowError(f"{name} has not begun yet", f"the last whole week is {_name(last)}")
    before = start - midnight(monday - WEEK, local)
    return Period(name=_name(monday), start=start, end=end, before=before, zone=zone)


def since(text: str, now: datetime, zone: str) -> Period:
    """Return the stretch from a given time until ``now``; its name holds both days. Raises WindowError."""
    local = ZoneInfo(zone)
    found = parse(text, now=now, zone=local)
    if not isinstance(found, Instant):
        raise WindowError("--since of this command is a time, not an anchor", "for example 7d, or 'monday 00:00'")
    start, end = found.at.replace(microsecond=0), now.astimezone(UTC).replace(microsecond=0)
    if start >= end:
        raise WindowError(f"--since {text} is not in the past", "give an earlier time")
    if end - start > LONGEST:
        raise WindowError(f"--since {text} is {spell(end - start)} ago, more than {LONGEST.days} days")
    before = start - Shift(days=-7).apply(start, local) if end - start <= WEEK else min(end - start, FURTHEST)
    days = [f"{at.astimezone(local):%Y-%m-%d}" for at in (start, end)]
    return Period(name="_".join(days), start=start, end=end, before=before, zone=zone)


def _monday(name: str, last: date) -> date:
    found = _ISO.fullmatch(name.strip())
    hint = f"the last whole week is {_name(last)}"
    if not found:
        raise WindowError(f"{name!r} is no ISO week", hint)
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:
        raise WindowError(f"the year {found[1]} has no week {found[2]}", hint) from None


def _name(monday: date) -> str:
    year, number, _ = monday.isocalendar()
    return f"{year}-W{number:02}"
