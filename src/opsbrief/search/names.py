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
    with the first instant of the stretch that belongs to it, any other name with None.
    """
    names: dict[str, datetime | None] = {}
    for part in filter(None, (part.strip() for part in index.split(","))):
        if not _DATED.search(part):
            names[part] = None
            continue
        hourly = bool(_HOURLY.search(part))
        at = start.astimezone(UTC)
        while at < end:
            names.setdefault(at.strftime(part), at)
            at = at.replace(minute=0, second=0, microsecond=0)
            at = at + timedelta(hours=1) if hourly else at.replace(hour=0) + timedelta(days=1)
    return names


def joined(index: str, names: list[str]) -> str:
    """Return the path segment that asks for ``names``; wildcards stand for the dates when it would be too long."""
    path = quote(",".join(names), safe=",*-_.+")
    if len(path) <= _LONGEST:
        return path
    wild = re.sub(r"\*[*.\-_]*\*|\*", "*", _DATED.sub("*", index))
    return quote(wild, safe=",*-_.+")
