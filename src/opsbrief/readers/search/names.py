"""Index expressions: comma lists, wildcards, and date patterns spelled out for a stretch of time."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

_DATED = re.compile(r"%[YymdHjGV]")
_HOURLY = re.compile(r"%H")
_LONGEST = 3000  # characters of a path; servers take 4,096 bytes for the whole request line


def expand(index: str, start: datetime, end: datetime) -> dict[str, datetime | None]:
    """Return the names in ``index`` for [start, end), in order.

    A name of a date pattern ("logstash-%Y.%m.%d", in UTC as Logstash and Beats write them) comes
    with the instant from which on lines go there, any other name with None.
    """
    names: dict[str, datetime | None] = {}
    for part in filter(None, (part.strip() for part in index.split(","))):
        if not _DATED.search(part):
            names[part] = None
            continue
        step = timedelta(hours=1) if _HOURLY.search(part) else timedelta(days=1)
        at = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if step > timedelta(hours=1):
            at = at.replace(hour=0)
        while (at - step).strftime(part) == at.strftime(part):  # a month began before this day
            at -= step
        while at < end:
            names.setdefault(at.strftime(part), at)
            at += step
    return names


def joined(index: str, names: list[str]) -> str:
    """Return the path segment that asks for ``names``; wildcards stand for the dates when it would be too long."""
    path = quoted(",".join(names))
    if len(path) <= _LONGEST:
        return path
    return quoted(re.sub(r"\*[*.\-_]*\*|\*", "*", _DATED.sub("*", index)))


def quoted(names: str) -> str:
    """Return names as they stand in a path."""
    return quote(names, safe=",*-_.+")
