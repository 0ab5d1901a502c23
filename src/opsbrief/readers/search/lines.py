"""Hits to log records: time, level, message with its stack trace, host and service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from opsbrief.model.evidence import LogRecord
from opsbrief.readers.search.fields import Fields
from opsbrief.text import clean, line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Spellings of each level, lower case. Numbers: syslog 0 to 7, and 10 to 60 as pino and bunyan count.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "FATAL": ("fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "dpanic", "f", "0", "1", "2", "60"),
    "ERROR": ("error", "err", "severe", "e", "3", "50"),
    "WARN": ("warn", "warning", "w", "4", "40"),
    "INFO": ("info", "information", "informational", "notice", "i", "5", "6", "30"),
    "DEBUG": ("debug", "fine", "config", "verbose", "d", "7", "20"),
    "TRACE": ("trace", "finer", "finest", "silly", "t", "10"),
}
_LEVELS = {spelling: level for level, spellings in SPELLINGS.items() for spelling in spellings}


def severity(value: object) -> str:
    """Return TRACE, DEBUG, INFO, WARN, ERROR or FATAL for whatever a shipper wrote, "" when it is none of them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    # OpenTelemetry numbers within a level: INFO2, ERROR4
    return _LEVELS.get(word) or _LEVELS.get(word.rstrip("234"), "")


@lru_cache(256)
def _level(value: str) -> str:
    return severity(value)


@lru_cache(1024)
def _labelled(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return {label: line(value, 200) for label, value in pairs}


Named = tuple[tuple[str, str], ...]  # (label in the record, name in the document)


def flat(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a parsed JSON document by their dotted names, whether it was written nested or dotted."""
    found: dict[str, Any] = {}
    todo = [("", source)]
    while todo:
        prefix, node = todo.pop()
        for name, value in node.items():
            if type(value) is dict:  # as JSON is parsed; anything cleverer costs more than the rest
                todo.append((f"{prefix}{name}.", value))
            elif value is not None:
                found[prefix + name] = value
    return found


def instant(value: object, stored: object) -> datetime | None:
    """Return the time of a line: from ISO 8601 as it was written, else from ``stored``, the server's epoch in ms."""
    if isinstance(value, str) and value[4:5] == "-":
        try:
            at = datetime.fromisoformat(value.strip())
            if at.tzinfo is UTC:  # as nearly all are
                return at
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    try:
        return _EPOCH + timedelta(microseconds=round(float(str(stored)) * 1000))
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the parts of a record are in documents that have the same leaves: only names that are there."""

    message: tuple[str, ...]
    stack: tuple[str, ...]
    level: str  # empty when there is none
    attributes: Named
    resource: Named


class Reader:
    """Makes log records of hits: which parts are where is worked out once for all lines with the same leaves."""

    def __init__(self, fields: Fields, time: str) -> None:
        """Take the candidates for each part of a line and the name of its time."""
        self._fields = fields
        self._time = time
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def record(self, hit: Mapping[str, Any]) -> LogRecord | None:
        """Return the log record of one hit, or None when it has no readable time."""
        source = hit.get("_source")
        leaves = flat(source) if isinstance(source, dict) else {}
        shape = self._shape(tuple(leaves))
        stored = hit.get("fields")
        kept = stored.get(self._time) if isinstance(stored, dict) else None
        at = instant(leaves.get(self._time), kept[0] if isinstance(kept, list) and kept else None)
        if at is None:
            return None
        body = _text(leaves, shape.message) or _structured(source, self._fields.message)
        stack = _text(leaves, shape.stack) if shape.stack else ""
        if stack and stack not in body:
            body = f"{body}\n{stack}" if body else stack
        level = _only(leaves[shape.level]) if shape.level else None
        return LogRecord(
            timestamp=at,
            body=clean(body.rstrip("\n")),
            severity_text=_level(level) if type(level) is str else severity(level),
            attributes=_named(leaves, shape.attributes),
            resource=_named(leaves, shape.resource),
        )

    def _shape(self, names: tuple[str, ...]) -> _Shape:
        known = self._shapes.get(names)
        if known is None:
            if len(self._shapes) >= 256:  # documents that have no shape in common
                self._shapes.clear()
            known = self._shapes[names] = _shape(self._fields, names)
        return known


def _shape(fields: Fields, names: tuple[str, ...]) -> _Shape:
    def there(candidates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in candidates if name in names)

    def first(**parts: tuple[str, ...]) -> Named:
        return tuple((label.replace("_", "."), found[0]) for label, part in parts.items() if (found := there(part)))

    return _Shape(
        there(fields.message),
        there(fields.stack),
        next(iter(there(fields.level)), ""),
        first(logger=fields.logger, trace_id=fields.trace),
        first(host_name=fields.host, service_name=fields.service, service_version=fields.version),
    )


def leaf(hit: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a JSON leaf
    """Return the first value of one field of a hit, None when it has none."""
    source = hit.get("_source")
    return _only(flat(source).get(name)) if isinstance(source, Mapping) else None


def _text(leaves: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = leaves.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list):
            value = "\n".join(str(part) for part in value if isinstance(part, str | int | float))
        if value not in (None, "", [], {}):
            return str(value)
    return ""


def _structured(source: object, names: tuple[str, ...]) -> str:
    """Return a structured body as JSON: OpenTelemetry allows any value there."""
    if isinstance(source, Mapping):
        for name in names:
            if isinstance(value := source.get(name), Mapping) and value:
                return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return ""


def _only(value: Any) -> Any:  # noqa: ANN401 - a JSON leaf
    return value[0] if type(value) is list and value else value


def _named(leaves: Mapping[str, Any], wanted: Named) -> Mapping[str, str]:
    """Return what is there by its label; lines that say the same share one mapping, which nobody changes."""
    pairs = []
    for label, name in wanted:
        value = leaves[name]
        if type(value) is not str:
            value = _only(value)
            value = str(value) if isinstance(value, str | int) else ""
        if value:
            pairs.append((label, value))
    return _labelled(tuple(pairs))
