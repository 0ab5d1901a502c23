"""What Icinga 2's own API (port 5665) knows: the present state of every check and the change before it, no history.

"404 No objects found" is its answer to a login without the right, to a wrong filter, and to nothing there; it is
never read as "no alarms".
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.readers.alarms.ask import Ask, Sort, dig, instant, number, state, word

if TYPE_CHECKING:
    from opsbrief.transport.http import Client

Row = Mapping[str, Any]

_COMMON = (
    "name", "state", "state_type", "last_state_change", "last_hard_state_change", "previous_state_change",
    "acknowledgement", "acknowledgement_last_change", "last_check_result",
)  # fmt: skip
_HOST = (*_COMMON, "last_state_up", "last_state_down", "last_state_unreachable")
_SERVICE = (
    *_COMMON, "host_name", "last_state_ok", "last_state_warning", "last_state_critical", "last_state_unknown",
)  # fmt: skip
_DOWNTIME = ("host_name", "service_name", "start_time", "trigger_time", "comment", "author")


def core(http: "Client", ask: Ask) -> Iterator[Event | Gap]:
    """Yield what the present states tell of the stretch, and always the gap that this is no history."""
    hosts, origin = _objects(http, ask, "hosts", _HOST)
    if hosts is None:
        raise SourceError(
            GapKind.UNAUTHORIZED,
            "'No objects found': Icinga says so to a user without the right, and where there is nothing",
            "give the ApiUser the permissions objects/query/Host, objects/query/Service, objects/query/Downtime",
        )
    for row in hosts:
        yield from _events(ask, row, word(row.get("name")), "", origin)
    if not ask.whose.seen:
        yield ask.unknown("Icinga's API")
        return
    for kind, names in (("services", _SERVICE), ("downtimes", _DOWNTIME)):
        rows, origin = _objects(http, ask, kind, names)
        if rows is None and kind == "services":
            yield ask.gap(
                "alarms of services", GapKind.UNAUTHORIZED, "'No objects found': no right, or no services",
                "give the ApiUser the permission objects/query/Service",
            )  # fmt: skip
        for row in rows or ():
            host = word(row.get("host_name"))
            if kind == "services":
                yield from _events(ask, row, host, word(row.get("name")), origin)
            elif event := ask.event(
                instant(row.get("trigger_time")) or instant(row.get("start_time")), host, row.get("service_name"),
                "downtime", state="STARTED", output=row.get("comment"), author=row.get("author"), origin=origin,
            ):  # fmt: skip
                yield event
    yield from ask.shortfalls("Icinga's API")
    yield ask.gap(
        "the history of alarms", GapKind.UNAVAILABLE,
        "Icinga's own API has no history: of each check only the present state and the change before it",
        "let url be that of Icinga Web, or add type nagioslog or history: elasticsearch",
    )  # fmt: skip


def _objects(http: "Client", ask: Ask, kind: str, names: tuple[str, ...]) -> tuple[list[Row] | None, Origin]:
    """Return the objects' attributes; None for the answer that may mean anything."""
    body: dict[str, object] = {"attrs": list(names)}
    if ask.patterns:
        names_asked = {f"pattern{number}": pattern for number, pattern in enumerate(ask.patterns)}
        body["filter"] = " || ".join(f"match({name}, host.name)" for name in names_asked)
        body["filter_vars"] = names_asked
    path = f"v1/objects/{kind}"
    # A filter with variables travels in a body, and the API takes none with GET.
    answer = http.request(
        "POST", path, json_body=body, headers={"X-HTTP-Method-Override": "GET"}, allow=(404,)
    )  # fmt: skip
    found = answer.json()
    results = dig(found, "results")
    origin = ask.origin(f"GET /{path} attrs={','.join(names)} hosts {', '.join(ask.patterns)}", answer.body, path)
    if answer.status == 404 and "No objects found" in word(dig(found, "status")):
        return None, origin
    if answer.status == 404 or not isinstance(results, list):
        raise SourceError(
            GapKind.BAD_ANSWER, f"/{path} answered what is not Icinga's API: {answer.excerpt()}",
            "url is that of the API: https://icinga.example:5665",
        )  # fmt: skip
    return [attrs for row in results if isinstance(attrs := dig(row, "attrs"), Mapping)], origin


def _events(ask: Ask, row: Row, host: str, service: str, origin: Origin) -> Iterator[Event]:
    """Yield the last change, the one before where its state is known, and an acknowledgement that stands."""
    now = state(row.get("state"), service=bool(service))
    changed, hardened = instant(row.get("last_state_change")), instant(row.get("last_hard_state_change"))
    output = dig(row, "last_check_result", "output")
    good = now in {"OK", "UP"}
    hard = word(row.get("state_type")) in {"1", "1.0"}
    sort: Sort = "hard" if hard else "soft"
    began = instant(row.get("previous_state_change"))
    told = []
    if (
        good
        and began
        and changed
        and began < changed
        and (bad := _between(row, began.timestamp(), changed.timestamp()))
    ):
        # Whether it became hard, and when, is not kept.
        told.append(
            ask.event(began, host, service, "state", state=bad, output="what it said is not kept", origin=origin)
        )
    at = hardened if hard and not good else changed
    if now and at and at.timestamp() > 0:
        told.append(ask.event(at, host, service, "state", state=now, sort=sort, output=output, origin=origin))
    if number(row.get("acknowledgement")):
        at = instant(row.get("acknowledgement_last_change"))
        told.append(ask.event(at, host, service, "acknowledgement", origin=origin))
    yield from filter(None, told)


def _between(row: Row, start: float, end: float) -> str:
    """Return the state of which there was a result in [start, end), the worst of them; empty when none is known."""
    for name in ("down", "unreachable", "critical", "unknown", "warning"):
        at = number(row.get(f"last_state_{name}"))
        if at is not None and start - 1 <= at < end:
            return name.upper()
    return ""
