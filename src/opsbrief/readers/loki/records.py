"""Lines of Loki become records: JSON objects, lines that begin with a stamp of their own, and all others."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opsbrief.model.evidence import LogRecord
from opsbrief.model.scope import Logs
from opsbrief.model.window import Window
from opsbrief.readers import matrix
from opsbrief.readers.lines import level, stamp
from opsbrief.readers.lines.layout import Plain
from opsbrief.readers.lines.structured import HOST, LEVEL, MESSAGE, Structured, pick
from opsbrief.readers.matrix import Line
from opsbrief.text import clean

_SERVICES = ("service_name", "service", "app", "container", "job")  # labels that may name the service
_LABELS = 12  # kept of a line
_NANO = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reader:
    """Makes the records of one sample; ``label`` is the one that tells the level."""

    def __init__(self, entry: Logs, hosts: Sequence[str], window: Window, label: str, sample: Sequence[Line]) -> None:
        """Look whether the lines of the sample have stamps of their own."""
        clock = stamp.Clock(ZoneInfo(window.zone), window.end, window.end)
        self._entry = entry
        self._hosts = hosts
        self._label = label
        self._structured = Structured(
            clock=clock,
            message=(entry.message,) if entry.message else MESSAGE,
            level=(entry.level, *LEVEL) if entry.level else LEVEL,
            host=(entry.host, *HOST) if entry.host else HOST,
        )
        text = "\n".join(one.text for one in sample[:200]).encode("utf-8", "replace")
        form = stamp.recognise(text, clock)
        self._plain = Plain(form, clock) if form else None

    def record(self, one: Line) -> LogRecord:
        """Return one line as a record, at the time that Loki has for it."""
        raw = one.text.encode("utf-8", "replace")
        known = level.normal(one.labels.get(self._label))
        found = self._body(raw, known, one.at // _NANO)
        at = _EPOCH + timedelta(microseconds=one.at // 1000) if abs(one.at) < 2**62 else _EPOCH
        host = one.labels.get(self._entry.host) or matrix.host_of(one.labels, self._hosts)
        service = next((one.labels[name] for name in _SERVICES if one.labels.get(name)), "")
        named = {"host.name": host, "service.name": service}
        kept = list(matrix.others(one.labels))[:_LABELS]
        return replace(
            found,
            timestamp=at,
            severity_text=known or found.severity_text,
            attributes={**dict(kept), **found.attributes},
            resource={**found.resource, **{key: value for key, value in named.items() if value}},
        )

    def _level(self, raw: bytes) -> str:
        """Return the level in a JSON object, which need not have a time of its own."""
        try:
            event = json.loads(raw)
        except (ValueError, RecursionError):
            return ""
        found = pick(event, self._structured.level) if isinstance(event, dict) else None
        return level.normal(found) if isinstance(found, str | int | float) else ""

    def _body(self, raw: bytes, known: str, at: int) -> LogRecord:
        block = b"\n" + raw
        if raw[:1] == b"{":
            return self._structured.record(raw, at, known or self._level(raw), 0)
        if self._plain and (heads := self._plain.heads(block)) and heads[0][0] == 0:
            return self._plain.record(raw, at, known or heads[0][1], 0)
        name = known or level.find(raw, 0, min(len(raw), 200))
        return LogRecord(timestamp=_EPOCH, body=clean(raw.rstrip(b"\r\n")), severity_text=name)
