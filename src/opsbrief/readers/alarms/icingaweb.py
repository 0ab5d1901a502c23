"""History as the modules of Icinga Web show it: Icinga DB Web, and the monitoring module over the IDO.

Icinga DB Web writes every number as text and true as "1" or "y". Both have no page limit unless one is asked
for; pages are cut by time, since history grows while it is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.readers.alarms import clock
from opsbrief.readers.alarms.ask import Ask, Kind, Sort, dig, instant, number, state, told, word

if TYPE_CHECKING:
    from opsbrief.transport.deadline import Deadline
    from opsbrief.transport.http import Client

Row = Mapping[str, Any]
Rows = tuple[list[Row], Origin]

_PAGE = 1000  # rows of one answer; 6.5 kB each in Icinga DB Web
_PAGES = 100
_HOSTS = 1000  # rows of hosts that are looked through
_AUTHOR = re.compile(r"^\[[^\]]*\] ")  # the IDO writes "[mira] restart"
_SILENT = timedelta(minutes=2)  # without a sign of life; there is one every second, or every ten
_SWITCHES = (
    ("icinga2_active_host_checks_enabled", "active host checks"),
    ("icinga2_active_service_checks_enabled", "active service checks"),
    ("active_host_checks_enabled", "active host checks"),
    ("active_service_checks_enabled", "active service checks"),
)
HISTORY = "icingadb/history"
EVENTS = "monitoring/list/eventhistory"


def icingadb(http: "Client", ask: Ask, deadline: "Deadline") -> Iterator[Event | Gap]:
    """Yield the history of Icinga DB Web."""
    query = "history.event_time>={since}&history.event_time<={until}"
    for pattern in ask.patterns or ("",):
        host = f"&host.name={quote(pattern, safe='*')}" if pattern else ""
        yield from _read(http, ask, HISTORY, query + host + "&sort=history.event_time asc", "event_time", _history)
    yield from _visible(http, ask, "icingadb/hosts", "host.name", "Icinga DB Web")
    yield from _reach(http, ask, HISTORY, "sort=history.event_time asc", "event_time", "Icinga DB")
    yield from _pulse(http, ask, deadline, "icingadb/health", ("heartbeat", "icinga2_start_time", "Icinga DB"))


def ido(http: "Client", ask: Ask, deadline: "Deadline") -> Iterator[Event | Gap]:
    """Yield the history of the monitoring module."""
    for pattern in ask.patterns or ("",):
        host = f"&host_name={quote(pattern, safe='*')}" if pattern else ""
        query = "timestamp>={since}&timestamp<={until}" + host + "&sort=timestamp&dir=asc"
        yield from _read(http, ask, EVENTS, query, "timestamp", _entry)
    yield from _visible(http, ask, "monitoring/list/hosts", "host", "the monitoring module")
    yield from _reach(http, ask, EVENTS, "sort=timestamp&dir=asc", "timestamp", "the IDO")
    yield from _pulse(
        http, ask, deadline, "monitoring/health/info", ("status_update_time", "program_start_time", "the IDO")
    )


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


def _pulse(http: "Client", ask: Ask, deadline: "Deadline", path: str, names: tuple[str, str, str]) -> Iterator[Gap]:
    """Yield a gap for the time in which nothing wrote the history, and for what is switched off.

    ``names`` are the fields of the last sign of life and of the start, and what writes. A version that does not tell
    is not blamed.
    """
    sign, start, where = names
    answer = http.get(f"{path}?format=json", allow=(400, 403, 404, 500))
    try:
        found = answer.json() if answer.status == 200 else None
    except SourceError:
        return
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    if found == []:
        detail = f"{where} is not running, says Icinga Web; it does not say since when"
        yield ask.gap("the newest alarms", GapKind.UNAVAILABLE, detail, "do Icinga and what writes its history run?")
    for started in filter(None, (instant(row.get(start)) for row in rows)):
        if ask.span.start <= started < ask.span.end:
            said = "what happened while it did not run is not recorded"
            deadline.warn(f"Icinga was started or reloaded at {started:%Y-%m-%d %H:%M:%S} UTC; {said}")
    beats = [at for row in rows if (at := instant(row.get(sign)))]
    if not beats:
        return
    beat = max(beats)
    ours, header = datetime.now(UTC), answer.headers.get("date", "")
    ahead = clock.off(header, ours) or max(timedelta(), beat - ours)
    if ahead > clock.LIMIT or ahead < -clock.LIMIT:
        hint = "let both machines set their clocks by NTP"
        yield ask.gap("the exact times of alarms", GapKind.BAD_ANSWER, clock.said(ahead), hint)
    # Both times are of that side: how far its clock and ours differ does not matter.
    end = min(ask.span.end, clock.dated(header) or ours)
    if end - beat > _SILENT:
        yield ask.gap(
            f"alarms from {max(beat, ask.span.start):%Y-%m-%d %H:%M:%S} UTC on", GapKind.UNAVAILABLE,
            f"{where} had its last sign of life from Icinga at {beat:%Y-%m-%d %H:%M:%S} UTC",
            "do Icinga and what writes its history run?",
        )  # fmt: skip
    off = [what for name, what in _SWITCHES for row in rows if name in row and word(row[name]) in {"", "0", "n"}]
    if off:
        detail = "these are switched off in Icinga for all hosts"
        yield ask.gap(f"alarms by {', '.join(dict.fromkeys(off))}", GapKind.UNAVAILABLE, detail)


def _reach(http: "Client", ask: Ask, path: str, order: str, time: str, where: str) -> Iterator[Gap]:
    """Yield a gap where the history that is kept begins only inside the stretch."""
    rows, _ = get(http, ask, path, f"{order}&limit=1")
    first = instant(rows[0].get(time)) if rows else None
    if first and first > ask.span.start:
        yield ask.gap(
            f"alarms before {first:%Y-%m-%d %H:%M:%S} UTC", GapKind.UNAVAILABLE,
            f"the oldest entry that {where} shows this login is of then", "older ones may have been removed",
        )  # fmt: skip


Make = Callable[[Row], tuple[datetime | None, object, object, Kind, str, Sort, object] | None]


def _events(ask: Ask, rows: list[Row], origin: Origin, make: Make) -> Iterator[Event]:
    for row in rows:
        if made := make(row):
            at, host, service, kind, named, sort, output = made
            author = dig(row, "downtime", "author") or "".join(_AUTHOR.findall(word(row.get("output")))).strip("[] ")
            event = ask.event(
                at, host, service, kind, state=named, sort=sort, output=output, author=author, origin=origin
            )
            if event:
                yield event


#: Bits that newer versions write where 1.0 has words.
_NOTIFIED = {
    "1": "downtime_start", "2": "downtime_end", "4": "downtime_removed", "8": "custom", "16": "acknowledgement",
    "32": "problem", "64": "recovery", "128": "flapping_start", "256": "flapping_end",
}  # fmt: skip
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
        named = state(dig(row, "notification", "state"), service=bool(service))
        kind, said = told(_NOTIFIED.get(what := word(dig(row, "notification", "type")), what), named)
        if kind != "notification":
            return None  # these have entries of their own
        output = dig(row, "notification", "text")
    elif kind == "downtime":
        output = dig(row, "downtime", "comment")
        if type_ == "downtime_start":  # its entry is of the planned begin, also where it was entered after that
            began = instant(dig(row, "downtime", "trigger_time"))
            at = max(at, began) if at and began else at
        elif word(dig(row, "downtime", "has_been_cancelled")) in {"1", "y", "true", "True"}:
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
        kind, said = told(type_.removeprefix("notification_"), named)
        return (at, host, service, kind, said, "", output) if kind == "notification" else None
    if type_ not in _ENTRIES:
        return None  # comments
    kind, said = _ENTRIES[type_]
    if kind == "flapping" and number(output) is not None:
        output = f"state changed in {output} % of checks"
    return at, host, service, kind, said, "", output
