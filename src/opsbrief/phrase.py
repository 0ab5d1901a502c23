"""Numbers, times and lengths of time as a person would say them aloud. Same value, same words."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def number(value: float | None, unit: str = "") -> str:
    """Return ``value`` with three significant digits and its unit; NaN is "no data".

    0.02, 1.2 ms, 41, 9,310, 12%; from a million on with a prefix: 1.59 GB, 4.2 M requests, 1.46 G.
    """
    if value is None or math.isnan(value):
        return "no data"
    factor, prefix = next(((f, p) for f, p in _PREFIXES if f <= abs(value) < 1e15), (1.0, ""))
    text = f"{_digits(value / factor)} {prefix}".rstrip()
    if not unit:
        return text
    close = unit == "%" or unit.startswith("/") or (prefix and unit.split("/", maxsplit=1)[0] == "B")
    return f"{text}{unit}" if close else f"{text} {unit}"


def _digits(value: float) -> str:
    size = abs(value)
    if math.isinf(size) or size >= 1e15:
        return f"{value:.2e}"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 0.001 else f"{value:.1e}"


def signed(value: float, unit: str = "") -> str:
    """Return ``value`` with its sign: +1.2/min."""
    return f"+{number(value, unit)}" if value >= 0 else number(value, unit)


def zone(name: str) -> ZoneInfo:
    """Return the time zone, or UTC when this machine does not know the name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def clock(at: datetime, name: str, near: datetime | None = None) -> str:
    """Return the local time in zone ``name``: 15:03; with the day when it is not the day of ``near``.

    Within a week of ``near`` the day is "Thu 16:20", farther away "2026-11-20 16:20".
    """
    local = at.astimezone(zone(name))
    other = (near or at).astimezone(zone(name))
    if local.date() == other.date():
        return f"{local:%H:%M}"
    if abs(local.date() - other.date()) < timedelta(days=7):
        return f"{local:%a %H:%M}"
    return f"{local:%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: 40 s, 12 min, 2 h 55 min, 3 d 4 h."""
    left = round(abs(seconds))
    if left < 120:
        return f"{left} s"
    minutes = round(left / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def count(many: int, thing: str, things: str = "") -> str:
    """Return "1 commit", "3 commits"."""
    return f"{many:,} {thing if many == 1 else things or thing + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return "a, b, c and 5 more"."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
