"""Hits to log records: time, level, message with its stack trace, host and service."""

import json
from collections.abc import Mapping
from dataclasses import fields as parts
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


Wanted = tuple[tuple[str, tuple[str, ...]], ...]  # (label in the record, names it may have in the document)


@lru_cache(1024)
def _labelled(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return {label: line(value, 200) for label, value in pairs}


@lru_cache(256)
def _there(fields: Fields, names: tuple[str, ...]) -> tuple[Fields, Wanted, Wanted]:
    """Return the candidates that are among ``names``, and of what record has a label those that are there.

    Most lines of a service have the same fields, so this is asked for once.
    """
    kept = {part.name: tuple(name for name in getattr(fields, part.name) if name in names) for part in parts(Fields)}
    there = Fields(**kept)
    attributes = (("logger", there.logger), ("trace.id", there.trace))
    resource = (("host.name", there.host), ("service.name", there.service), ("service.version", there.version))
    return there, tuple(pair for pair in attributes if pair[1]), tuple(pair for pair in resource if pair[1])


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
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    try:
        return _EPOCH + timedelta(microseconds=round(float(str(stored)) * 1000))
    except (ValueError, OverflowError):
        return None


def record(hit: Mapping[str, Any], fields: Fields, time: str) -> LogRecord | None:
    """Return the log record of one hit, or None when it has no readable time."""
    source = hit.get("_source")
    leaves = flat(source) if isinstance(source, dict) else {}
    there, attributes, resource = _there(fields, tuple(leaves))
    stored = hit.get("fields")
    kept = stored.get(time) if isinstance(stored, Mapping) else None
    at = instant(leaves.get(time), kept[0] if isinstance(kept, list) and kept else None)
    if at is None:
        return None
    body = _text(leaves, there.message) or _structured(source, fields.message)
    stack = _text(leaves, there.stack) if there.stack else ""
    if stack and stack not in body:
        body = f"{body}\n{stack}" if body else stack
    return LogRecord(
        timestamp=at,
        body=clean(body.rstrip("\n")),
        severity_text=_level(level) if isinstance(level := _first(leaves, there.level), str) else severity(level),
        attributes=_named(leaves, attributes),
        resource=_named(leaves, resource),
    )


def leaf(hit: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a JSON leaf
    """Return the first value of one field of a hit, None when it has none."""
    source = hit.get("_source")
    return _first(flat(source), (name,)) if isinstance(source, Mapping) else None


def _first(leaves: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a JSON leaf
    for name in names:
        if (value := leaves.get(name)) is not None:
            return value[0] if isinstance(value, list) and value else value
    return None


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


def _named(leaves: Mapping[str, Any], wanted: Wanted) -> Mapping[str, str]:
    """Return what is there by its label; lines that say the same share one mapping, which nobody changes."""
    pairs = []
    for label, names in wanted:
        value = _first(leaves, names)
        if isinstance(value, str | int) and value != "":
            pairs.append((label, str(value)))
    return _labelled(tuple(pairs))
