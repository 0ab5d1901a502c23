"""In which fields the parts of a log line are: the common layouts, and a choice by what is mapped."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Layout = Literal["auto", "ecs", "logstash", "otel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Candidate field names per part of a line, the likeliest first; a line's part is the first that it has."""

    time: tuple[str, ...]
    message: tuple[str, ...]
    level: tuple[str, ...]
    host: tuple[str, ...]
    service: tuple[str, ...]
    version: tuple[str, ...]
    stack: tuple[str, ...]
    logger: tuple[str, ...]
    trace: tuple[str, ...]

    def names(self) -> list[str]:
        """Return every candidate once: what ``_source`` has to bring."""
        parts = (self.message, self.level, self.host, self.service, self.version, self.stack, self.logger, self.trace)
        return list(dict.fromkeys(name for part in (self.time, *parts) for name in part))


ECS = Fields(
    time=("@timestamp",),
    message=("message", "event.original"),
    level=("log.level",),
    host=("host.name", "host.hostname", "agent.hostname"),
    service=("service.name",),
    version=("service.version",),
    stack=("error.stack_trace",),
    logger=("log.logger",),
    trace=("trace.id",),
)
LOGSTASH = Fields(
    time=("@timestamp", "timestamp", "time"),
    message=("message", "msg", "log", "short_message"),
    level=(
        "level",
        "loglevel",
        "log_level",
        "level_name",
        "levelname",
        "severity",
        "severity_label",
        "syslog_severity",
    ),
    host=("host", "hostname", "logsource", "host.name", "beat.hostname", "kubernetes.pod_name", "kubernetes.pod.name"),
    service=("service", "application", "app", "program", "appname", "app-name", "programname", "kubernetes.labels.app"),
    version=("version", "app_version"),
    stack=("stack_trace", "exception.stacktrace", "exception", "stacktrace"),
    logger=("logger_name", "logger"),
    trace=("traceId", "trace_id"),
)
# Elastic's OTel streams, OpenSearch's "simple schema" and Data Prepper's spelling of it.
OTEL = Fields(
    time=("@timestamp", "time", "timestamp", "observedTimestamp", "observed_timestamp"),
    message=("body.text", "body"),
    level=("severity_text", "severityText", "severity.text"),
    host=("resource.attributes.host.name", "resource.host.name", "resource.attributes.host@name"),
    service=(
        "resource.attributes.service.name",
        "resource.service.name",
        "resource.attributes.service@name",
        "serviceName",
    ),
    version=("resource.attributes.service.version", "resource.service.version"),
    stack=("attributes.exception.stacktrace", "log.attributes.exception@stacktrace"),
    logger=("scope.name", "instrumentationScope.name"),
    trace=("trace_id", "traceId"),
)


def layout(name: Layout) -> Fields:
    """Return the candidates of one layout; "auto" is all of them, ECS first."""
    if name != "auto":
        return {"ecs": ECS, "logstash": LOGSTASH, "otel": OTEL}[name]
    return Fields(**{part: _merged(part) for part in Fields.__dataclass_fields__})


def _merged(part: str) -> tuple[str, ...]:
    names = (name for each in (ECS, LOGSTASH, OTEL) for name in getattr(each, part))
    return tuple(dict.fromkeys(names))


def given(fields: Fields, **names: str) -> Fields:
    """Return ``fields`` with the parts that somebody named set to just that name."""
    return replace(fields, **{part: (name,) for part, name in names.items() if name})


@dataclass(frozen=True, slots=True)
class Level:
    """How the server can tell levels apart: by the terms of ``field``, or by matching words in a text field."""

    name: str  # as documents write it
    field: str  # as the server aggregates it: the name, or its keyword subfield
    terms: bool


@dataclass(frozen=True, slots=True)
class Mapped:
    """What ``_field_caps`` says about the candidates of an index expression."""

    time: str  # the first candidate that is a date, or empty
    nanos: bool  # whether some indices keep nanoseconds there
    wrong: str  # "timestamp is keyword", when a candidate is there but no date
    levels: tuple[Level, ...]


def probe(fields: Fields) -> str:
    """Return the value of ``fields=`` for ``_field_caps``."""
    return ",".join([*fields.time, *fields.level, *(f"{name}.keyword" for name in fields.level)])


def mapped(fields: Fields, caps: Mapping[str, Any]) -> Mapped:
    """Choose from the ``fields`` object of a ``_field_caps`` answer."""
    kinds = {name: _kinds(caps, name) for name in (*fields.time, *fields.level)}
    # Another type in some index is no reason to refuse the rest: the shards that fail are told.
    dates = [name for name in fields.time if set(kinds[name]) & {"date", "date_nanos"}]
    wrong = next((f"{name} is {' and '.join(sorted(kinds[name]))}" for name in fields.time if kinds[name]), "")
    return Mapped(
        time=dates[0] if dates else "",
        nanos=bool(dates) and "date_nanos" in kinds[dates[0]],
        wrong="" if dates else wrong,
        levels=tuple(_levels(fields, caps, kinds)),
    )


def _levels(fields: Fields, caps: Mapping[str, Any], kinds: Mapping[str, Mapping[str, bool]]) -> Iterator[Level]:
    for name in fields.level:
        if not kinds[name] or set(kinds[name]) <= {"object", "nested"}:
            continue
        keyword = _kinds(caps, f"{name}.keyword")
        if all(kinds[name].values()):
            yield Level(name, name, terms=True)
        elif keyword and all(keyword.values()):
            yield Level(name, f"{name}.keyword", terms=True)
        else:
            yield Level(name, name, terms=False)


def _kinds(caps: Mapping[str, Any], name: str) -> dict[str, bool]:
    """Return type -> "can be aggregated in every index" of one field; indices without the field do not count."""
    found = caps.get(name)
    if not isinstance(found, Mapping):
        return {}
    return {
        kind: bool(cap.get("aggregatable")) and not cap.get("non_aggregatable_indices")
        for kind, cap in found.items()
        if kind != "unmapped" and isinstance(cap, Mapping)
    }
