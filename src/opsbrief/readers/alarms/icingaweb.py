"""History as the modules of Icinga Web show it: Icinga DB Web, and the monitoring module over the IDO.

Icinga DB Web writes every number as text and true as "1" or "y". Both have no page limit unless one is asked
for; pages are cut by time, since history grows while it is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.readers.alarms.ask import Ask, Kind, Sort, dig, instant, state, word

if TYPE_CHECKING:
    from opsbrief.transport.http import Client

Row = Mapping[str, Any]
Rows = tuple[list[Row], Origin]

_PAGE = 1000  # rows of one answer; 6.5 kB each in Icinga DB Web
_PAGES = 100
_HOSTS = 1000  # rows of hosts that are looked through
_AUTHOR = re.compile(r"^\[[^\]]*\] ")  # the IDO writes "[mira] restart"
HISTORY = "icingadb/history"
EVENTS = "monitoring/list/eventhistory"


def icingadb(http: "Client", ask: Ask) -> Iterator[Event | Gap]:
    """Yield the history of Icinga DB Web."""
    query = "history.event_time>={since}&history.event_time<={until}"
    for pattern in ask.patterns or ("",):
        host = f"&host.name={quote(pattern, safe='*')}" if pattern else ""
        yield from _read(http, ask, HISTORY, query + host + "&sort=history.event_time asc", "event_time", _history)
    yield from _visible(http, ask, "icingadb/hosts", "host.name", "Icinga DB Web")


def ido(http: "Client", ask: Ask) -> Iterator[Event | Gap]:
    """Yield the history of the monitoring module."""
    for pattern in ask.patterns or ("",):
        host = f"&host_name={quote(pattern, safe='*')}" if pattern else ""
        query = "timestamp>={since}&timestamp<={until}" + host + "&sort=timestamp&dir=asc"
        yield from _read(http, ask, EVENTS, query, "timestamp", _entry)
    yield from _visible(http, ask, "monitoring/list/hosts", "host", "the monitoring module")


def _read(http: "Client", ask: Ask, path: str, query: str, time: str, make: "Make") -> Iterator[Event | Gap]:
    """Yield the events of one query, page by page, whichever way the server sorts.

    Pages are cut at whole seconds, which is all that both modules take; rows of that second come again and are
    known then.
    """
    since, until = int(ask.span.start.timestamp()), int(ask.span.end.timestamp()) + 1
    for _ in range(_PAGES):
        rows, origin = get(http, ask, path, f"{query.format(since=since, until=until)}&limit={_PAGE}")
        yield from _events(ask, rows, origin, make)
        times = [int(at.timestamp()) for row in rows if (at := instant(row.get(time)))]
        if len(rows) < _PAGE:
            return
        left = since, until
        if times and times[0] <= times[-1]:
            since = max(times)
        elif times:
            until = min(times) + 1
        if (since, until) == left:
            break
    detail = f"more than {_PAGE:,} entries of one second" if (since, until) == left else f"more than {_PAGE * _PAGES:,}"
    yield ask.gap("some alarms", GapKind.TRUNCATED, detail, "ask for a shorter window or fewer hosts")


def get(http: "Client", ask: Ask, path: str, query: str) -> Rows:
    """Return the rows of one answer. Raises SourceError when it is no list of objects."""
    # Part of the path: a filter's >= and (..|..) are no pairs of names and values.
    answer = http.get(f"{path}?format=json&{query}")
    found = answer.json()
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise SourceError(
            GapKind.BAD_ANSWER, f"/{path} answered JSON that is no list of rows: {answer.excerpt()}",
            "url is that of Icinga Web, with its path: https://icinga.example/icingaweb2",
        )  # fmt: skip
    return found, ask.origin(f"GET /{path}?{query}", answer.body, path)


def _visible(http: "Client", ask: Ask, path: str, name: str, where: str) -> Iterator[Gap]:
    """Yield a gap for the hosts that cannot be seen at all: a role may hide them, and then they have no alarms."""
    whole = True
    for pattern in ask.patterns or ("",):
        query = f"{name}={quote(pattern, safe='*')}&" if pattern else ""
        rows, _ = get(http, ask, path, f"{query}limit={_HOSTS}")
        whole = whole and len(rows) < _HOSTS
        for row in rows:
            ask.whose.host(word(row.get("name") or row.get("host_name") or dig(row, "host", "name")))
    yield from ask.shortfalls(where, whole=whole)


Make = Callable[[Row], tuple[datetime | None, object, object, Kind, str, Sort, object] | None]


def _events(ask: Ask, rows: list[Row], origin: Origin, make: Make) -> Iterator[Event]:
    for row in rows:
        if made := make(row):
            at, host, service, kind, named, sort, output = made
            event = ask.event(at, host, service, kind, state=named, sort=sort, output=output, origin=origin)
            if event:
                yield event


_HISTORY: dict[str, tuple[Kind, str]] = {
    "notification": ("notification", ""),
    "downtime_start": ("downtime", "STARTED"),
    "downtime_end": ("downtime", "STOPPED"),
    "ack_set": ("acknowledgement", ""),
    "ack_clear": ("acknowledgement", "CLEARED"),
    "flapping_start": ("flapping", "STARTED"),
    "flapping_end": ("flapping", "STOPPED"),
}  # comment_add and comment_remove are no events of a check


def _history(row: Row) -> tuple[datetime | None, object, object, Kind, str, Sort, object] | None:
    """Read a row of Icinga DB Web; authors and contacts stay out."""
    type_, at = word(row.get("event_type")), instant(row.get("event_time"))
    host, service = dig(row, "host", "name"), dig(row, "service", "name")
    if type_ == "state_change":
        sort: Sort = "soft" if word(dig(row, "state", "state_type")) in {"soft", "0"} else "hard"
        named = state(dig(row, "state", f"{sort}_state"), service=bool(service))
        return (at, host, service, "state", named, sort, dig(row, "state", "output")) if named else None
    if type_ not in _HISTORY:
        return None
    kind, said = _HISTORY[type_]
    output: object = ""
    if kind == "notification":
        told = word(dig(row, "notification", "type"))
        problem = told in {"problem", "32"}
        said = state(dig(row, "notification", "state"), service=bool(service)) if problem else told.upper()
        output = dig(row, "notification", "text")
    elif kind == "downtime":
        output = dig(row, "downtime", "comment")
        if type_ == "downtime_end" and word(dig(row, "downtime", "has_been_cancelled")) in {"1", "y", "true", "True"}:
            said = "CANCELLED"
    elif kind == "acknowledgement":
        output = dig(row, "acknowledgement", "comment")
    else:
        end = "end" if said == "STOPPED" else "start"
        change = word(dig(row, "flapping", f"percent_state_change_{end}"))
        output = f"state changed in {change} % of checks" if change else ""
    return at, host, service, kind, said, "", output


_ENTRIES: dict[str, tuple[Kind, str]] = {
    "ack": ("acknowledgement", ""),
    "ack_deleted": ("acknowledgement", "CLEARED"),
    "dt_start": ("downtime", "STARTED"),
    "dt_end": ("downtime", "STOPPED"),
    "flapping": ("flapping", "STARTED"),
    "flapping_deleted": ("flapping", "STOPPED"),
}


def _entry(row: Row) -> tuple[datetime | None, object, object, Kind, str, Sort, object] | None:
    """Read a row of the monitoring module."""
    type_, at = word(row.get("type")), instant(row.get("timestamp"))
    host, service = row.get("host_name"), row.get("service_description")
    is_service = bool(service) or word(row.get("object_type")) == "service"
    output = _AUTHOR.sub("", word(row.get("output")))
    named = state(row.get("state"), service=is_service)
    if type_ in {"hard_state", "soft_state"}:
        sort: Sort = "hard" if type_ == "hard_state" else "soft"
        return (at, host, service, "state", named, sort, output) if named else None
    if type_ == "notify" or type_.startswith("notification_"):
        what = type_.removeprefix("notification_")
        said = named if what in {"notify", "state"} else what.upper()
        return at, host, service, "notification", said, "", output
    if type_ not in _ENTRIES:
        return None  # comments
    kind, said = _ENTRIES[type_]
    return at, host, service, kind, said, "", output
