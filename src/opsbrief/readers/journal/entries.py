"""Entries of the journal: JSON lines whose values are text, lists of bytes, or lists of both.

journalctl writes a field that is no UTF-8, or holds a control character, as the list of its bytes, and one that was
set twice as the list of its values.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from opsbrief.readers.lines import level
from opsbrief.readers.lines.sample import Kept, Tally
from opsbrief.readers.lines.stamp import Clock
from opsbrief.readers.lines.structured import Structured
from opsbrief.text import LINE_CAP, decode

#: What is asked for; each field more makes the output longer.
FIELDS = ("MESSAGE", "PRIORITY", "_HOSTNAME", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_PID")
LONGEST = 1 << 20  # bytes of one printed entry; what is longer is left out
_KEPT = 4 * LINE_CAP  # bytes of a message
_SECOND = 1_000_000


class Entry(NamedTuple):
    """One entry; ``at`` is in microseconds since 1970."""

    at: int
    level: str
    message: bytes
    fields: Mapping[str, Any]


class Cut(NamedTuple):
    """Stands for what could not be read: an entry that is too long, or no JSON."""

    size: int


def printed(chunks: Iterable[bytes]) -> Iterator[Entry | Cut]:
    """Yield the entries of what journalctl prints, as it comes."""
    for text in _lines(chunks):
        if isinstance(text, Cut):
            yield text
        elif text[:1] == b"{":
            yield _entry(text) or Cut(len(text))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes | Cut]:
    rest, lost = b"", 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for text in whole:
            if lost:
                yield Cut(lost + len(text))
                lost = 0
            else:
                yield text
        if lost or len(rest) > LONGEST:
            lost, rest = lost + len(rest), b""
    if lost:
        yield Cut(lost)
    elif rest:
        yield rest


def _entry(text: bytes) -> Entry | None:
    try:
        fields = json.loads(text)
        at = int(fields["__REALTIME_TIMESTAMP"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not 0 < at < 10**16:
        return None
    name = level.normal(word(fields.get("PRIORITY")) or None)
    return Entry(at, name, raw(fields.get("MESSAGE")), fields)


def raw(value: object) -> bytes:
    """Return a field as bytes; of several values the first."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, list) and value:
        try:
            return bytes(value)
        except (TypeError, ValueError):
            return raw(value[0]) if isinstance(value[0], str | list) else b""
    return b""


def word(value: object) -> str:
    """Return a field as text."""
    return value if isinstance(value, str) else decode(raw(value))


#: How the kept entries are laid out: see ``keep``.
LAYOUT = Structured(
    clock=Clock(UTC, datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC)),
    time=("__REALTIME_TIMESTAMP",), message=("MESSAGE",), level=("PRIORITY",), host=("_HOSTNAME",),
    name="the journal",
)  # fmt: skip


def count(entry: Entry, tally: Tally) -> None:
    """Count an entry of a tally's stretch, and keep it where it is its turn."""
    second = entry.at // _SECOND
    if not tally.start <= second < tally.end:
        return
    tally.seen += 1
    if tally.test is not None and not tally.test(entry.message):
        return
    for _ in tally.places(1):
        tally.keep(_kept(entry, second))
    tally.count(entry.level, second, 1)


def _kept(entry: Entry, second: int) -> Kept:
    said = {
        name: word(value)[:200]
        for name in FIELDS
        if name not in {"MESSAGE", "PRIORITY"} and (value := entry.fields.get(name)) is not None
    }
    unit = said.pop("_SYSTEMD_UNIT", "")
    service = unit.removesuffix(".service") or said.get("SYSLOG_IDENTIFIER", "")
    text = decode(entry.message[:_KEPT])
    kept = {"__REALTIME_TIMESTAMP": str(entry.at), "MESSAGE": text, "service.name": service, "unit": unit, **said}
    return Kept(
        json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace"),
        second, entry.level, max(0, len(entry.message) - _KEPT), LAYOUT, "", "",
    )  # fmt: skip
