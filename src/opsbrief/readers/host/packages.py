"""What a host's package manager did: dpkg.log, or what rpm knows of each package it has."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from opsbrief.model.evidence import Change, Origin
from opsbrief.model.window import Span, utc
from opsbrief.text import line

_DPKG = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S+) (\S+) (\S+)")
_RPM = re.compile(r"(\d{9,11}) (\S+) (\S+)")
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")


def changes(text: str, host: str, span: Span, origin: Origin) -> Iterator[Change]:
    """Yield what was installed, upgraded or removed in the span, as changes of the infrastructure.

    dpkg writes the local time of its host; the first line holds the offset that this has now.
    """
    offset = timedelta(0)
    for row in text.splitlines():
        if zone := _ZONE.fullmatch(row.strip()):
            hours = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
            offset = hours if zone[1] == "+" else -hours
            continue
        if found := _DPKG.match(row):
            try:
                at = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone(offset))
            except ValueError:
                continue
            said = _said(found[2], found[4], found[5])
            name = found[3]
        elif rpm := _RPM.match(row):
            at, name, said = utc(int(rpm[1])), rpm[2], f"installed {rpm[3]}"
        else:
            continue
        if span.start <= at < span.end:
            yield Change(
                kind="resource", at=utc(at.timestamp()), ref=f"Package[{line(name, 120)}]", summary=line(said, 200),
                role="infrastructure", hosts=(host,), state="applied", origin=origin,
            )  # fmt: skip


def _said(did: str, old: str, new: str) -> str:
    if did == "upgrade":
        return f"upgraded from {old} to {new}"
    return f"installed {new}" if did == "install" else f"removed {old}"
