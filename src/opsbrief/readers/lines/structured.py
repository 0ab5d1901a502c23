"""One JSON object a line: ECS, Logstash, Filebeat, Docker, bunyan, and what people name things themselves."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from opsbrief.model.evidence import LogRecord
from opsbrief.readers.lines import level
from opsbrief.readers.lines.layout import Head, body
from opsbrief.readers.lines.stamp import FORMS, Clock, fraction
from opsbrief.text import line

TIME = ("@timestamp", "timestamp", "time", "ts", "datetime", "date", "eventTime", "asctime", "t", "_timestamp")
MESSAGE = ("message", "msg", "log", "event.original", "body", "text", "short_message", "MESSAGE")
LEVEL = ("log.level", "level", "severity", "severity_text", "loglevel", "levelname", "level_name", "lvl", "PRIORITY")
HOST = ("host.name", "host.hostname", "hostname", "host", "agent.hostname", "beat.hostname", "_HOSTNAME")
SERVICE = ("service.name", "service", "app", "application")
TRACE = ("error.stack_trace", "stack_trace", "stacktrace", "exception", "exc_info", "error.stack")
_ATTRIBUTES, _VALUE = 16, 200  # other fields that are kept of a record, and characters of each
_STAMP = re.compile(rb"(.{19})(?:[.,](\d{1,9}))?\s?(Z|UTC|GMT|[+-]\d\d:?\d\d)?\Z", re.DOTALL)
_CALENDAR = FORMS[0].read
_UNITS = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3), (0.0, 1))  # nano, micro, milli, whole seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Structured:
    """Lines that are JSON objects; the fields are names, nested or dotted, of which the first present counts."""

    clock: Clock
    time: tuple[str, ...] = TIME
    message: tuple[str, ...] = MESSAGE
    level: tuple[str, ...] = LEVEL
    host: tuple[str, ...] = HOST
    name: str = "JSON lines"

    def heads(self, block: bytes) -> list[Head]:
        """See Layout. A line that is no object with a time belongs to the record before it."""
        found = []
        offset = block.find(b"\n")
        while offset >= 0:
            end = block.find(b"\n", offset + 1)
            text = block[offset + 1 : end] if end >= 0 else block[offset + 1 :]
            if text[:1] == b"{" and (event := _object(text)) is not None and (time := _stamp(pick(event, self.time))):
                found.append((offset, self._level(event), *time))
            offset = end
        return found

    def _level(self, event: Mapping[str, Any]) -> str:
        found = pick(event, self.level)
        if isinstance(found, str | int | float) and (known := level.normal(found)):
            return known
        message = pick(event, self.message)
        return level.find(message[:400].encode("utf-8", "replace"), 0, 200) if isinstance(message, str) else ""

    def epoch(self, text: bytes, rest: bytes | None) -> int:
        """See Layout."""
        return int(text) if rest == b"epoch" else _CALENDAR(self.clock, text, rest or None)

    def record(self, raw: bytes, at: int, level: str, cut: int) -> LogRecord:
        """See Layout."""
        first, _, more = raw.partition(b"\n")
        event = _object(first) or {}
        message = pick(event, self.message)
        text = message if isinstance(message, str) else json.dumps(message if message is not None else event)
        trace = pick(event, TRACE)
        if isinstance(trace, str) and trace not in text:
            text = f"{text}\n{trace}"
        if more.strip():
            text += "\n" + more.decode("utf-8", "replace")
        resource = {"host.name": pick(event, self.host), "service.name": pick(event, SERVICE)}
        known = {*self.time, *self.message, *self.level, *self.host, *SERVICE, *TRACE}
        others = islice(((key, value) for key, value in _leaves(event) if key not in known), _ATTRIBUTES)
        return LogRecord(
            timestamp=_exact(at, pick(event, self.time)),
            body=body(text, cut),
            severity_text=level,
            attributes={line(key, 80): line(value, _VALUE) for key, value in others},
            resource={key: line(value, 200) for key, value in resource.items() if isinstance(value, str) and value},
        )


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def pick(event: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the first of the fields that is there; ``a.b`` may be one key or two nested ones."""
    for name in names:
        if (found := _field(event, name)) is not None:
            return found
    return None


def _field(event: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    if name in event:
        return event[name]
    dot = name.find(".")
    while dot > 0:
        inner = event.get(name[:dot])
        if isinstance(inner, dict) and (found := _field(inner, name[dot + 1 :])) is not None:
            return found
        dot = name.find(".", dot + 1)
    return None


def _leaves(event: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (dotted name, text) of every plain value."""
    for key, value in event.items():
        if isinstance(value, dict):
            if depth < 4:
                yield from _leaves(value, f"{prefix}{key}.", depth + 1)
        elif isinstance(value, str | int | float) and value != "":
            yield f"{prefix}{key}", str(value)


def _stamp(value: Any) -> tuple[bytes, bytes | None] | None:  # noqa: ANN401 - any JSON value
    """Return a time's text to the second and what else decides the instant; None when it is no time."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        found = _STAMP.match(text)
        if found and text[4:5] == b"-":
            return found[1], found[3] or b""
        value = _number(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 1e8 < value < 1e20:
        return b"%d" % int(_seconds(value)), b"epoch"
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds(value: float) -> float:
    return value / next(unit for least, unit in _UNITS if value >= least)


def _exact(at: int, value: Any) -> datetime:  # noqa: ANN401 - any JSON value
    """Return the second ``at`` with the fraction the written time has."""
    micros = 0
    if isinstance(value, str) and (found := _STAMP.match(value.encode("utf-8", "replace"))) and found[2]:
        micros = fraction(found[2])
    elif (number := _number(str(value))) is not None:
        micros = round((_seconds(number) - at) * 1e6)
    return datetime.fromtimestamp(at + micros / 1e6, UTC)
