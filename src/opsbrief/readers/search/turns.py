"""Deploys as the log tells them: the lines that a version writes when it starts."""

import re
from collections.abc import Iterable, Iterator

from opsbrief.model.evidence import LogRecord
from opsbrief.model.window import Deploy, TimeKind
from opsbrief.text import line

_VERSION = re.compile(r"\bversion\b[\s:=\"']{1,4}(?P<ref>[\w.+-]*\d[\w.+-]*)", re.IGNORECASE)


def ref(entry: LogRecord, pattern: re.Pattern[str] | None) -> str:
    """Return the version that a line tells, "" when it tells none.

    It is the group ``ref`` of ``pattern``; without a pattern the field service.version, else what
    follows the word "version".
    """
    if pattern is None and (told := entry.resource.get("service.version")):
        return told
    match = (pattern or _VERSION).search(entry.body)
    return line(match["ref"] or "", 100).rstrip(".") if match else ""


def turns(found: Iterable[tuple[LogRecord, str]], source: str) -> Iterator[Deploy]:
    """Yield a deploy whenever a version takes over, from (line, version) in the order of time.

    That is its first line; and, where hosts are known, the first line of a host that goes from the
    newest version back to one seen before.
    """
    known: set[str] = set()
    running: dict[str, str] = {}
    current = ""
    for entry, version in found:
        host = entry.resource.get("host.name", "")
        back = version in known and version != current and bool(host) and running.get(host) == current
        if version not in known or back:
            current = version
            known.add(version)
            yield Deploy(
                at=entry.timestamp,
                ref=version,
                note=line(entry.body, 200),
                source=source,
                time_kind=TimeKind.LOG_TIME,
                rollback=back,
            )
        running[host] = version
