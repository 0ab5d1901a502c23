"""Icinga's four places, by the shapes of their real answers; the API itself is tested against the real one."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from tests.contract.peer import answer, peer

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Span, utc
from opsbrief.readers.alarms import ask as asking
from opsbrief.readers.alarms import icingaelastic
from opsbrief.sources.icinga import Icinga
from opsbrief.transport.deadline import Deadline

BEGIN = 1795390000
SPAN = Span("", utc(BEGIN), utc(BEGIN + 3600))
Brief = list[tuple[int, str, str, str, str, str]]


def served(
    pages: Mapping[str, Any], span: Span = SPAN, hosts: tuple[str, ...] = ("app01", "app02"), **options: Any
) -> tuple[list[Event | Gap], list[str]]:
    """Ask a server that answers each path (by its first words) with JSON, else 404; return that and the paths asked."""

    def run(sock: socket.socket, request: bytes) -> None:
        path = unquote(request.split()[1].decode()).lstrip("/")
        body = next((page for start, page in pages.items() if path.startswith(start)), None)
        if body is None:
            answer(b'{"status": "error", "message": "Page not found"}', "404 Not Found")(sock, request)
            return
        found = body(path, request) if isinstance(body, Callable) else body  # type: ignore[arg-type]
        answer(json.dumps(found).encode())(sock, request)

    with peer(run) as server:
        source = Icinga(name="icinga", url=server.url, scope=Scope(hosts=hosts), **options)
        items = list(source.alarms(span, "UTC", Deadline(10)))
        return items, [unquote(request.split()[1].decode()) for request in server.requests]


def brief(items: list[Event | Gap]) -> Brief:
    events = (one for one in items if isinstance(one, Event))
    return [
        (int(one.at.timestamp()) - BEGIN, one.host, one.service, one.kind, one.state, one.state_type) for one in events
    ]


def gaps(items: list[Event | Gap]) -> list[Gap]:
    return [one for one in items if isinstance(one, Gap)]


HTTP = {"host": {"name": "app01.shop.example"}, "service": {"name": "http"}}
HOSTS = [{"name": "app01.shop.example"}, {"name": "app02.shop.example"}]
STATE = {
    "previous_soft_state": "0", "check_attempt": "1", "max_check_attempts": "3", "output": "CRITICAL - Socket timeout",
}  # fmt: skip
DB_ROWS = [
    {"event_type": "state_change", "event_time": "1795390615.434", **HTTP,
     "state": {**STATE, "state_type": "soft", "soft_state": "2", "hard_state": "0"}},
    {"event_type": "state_change", "event_time": "1795390617.434", **HTTP,
     "state": {**STATE, "state_type": "hard", "soft_state": "2", "hard_state": "2"}},
    {"event_type": "notification", "event_time": "1795390618.1", **HTTP,
     "notification": {"type": "problem", "state": "2", "text": "Socket timeout", "author": ""}},
    {"event_type": "ack_set", "event_time": "1795390976.141", **HTTP,
     "acknowledgement": {"set_time": "1795390976.141", "author": "mira", "comment": "looking"}},
    {"event_type": "comment_add", "event_time": "1795390976.141", **HTTP, "comment": {"comment": "looking"}},
    {"event_type": "downtime_start", "event_time": "1795390976.144", **HTTP,
     "downtime": {"author": "mira", "comment": "restart", "has_been_cancelled": ""}},
    {"event_type": "downtime_end", "event_time": "1795390980", **HTTP,
     "downtime": {"author": "mira", "comment": "restart", "has_been_cancelled": "1", "cancelled_by": "mira"}},
    {"event_type": "flapping_start", "event_time": "1795390990.173", **HTTP,
     "flapping": {"percent_state_change_start": "32.9"}},
    {"event_type": "state_change", "event_time": "1795391000", "host": {"name": "app02.shop.example"}, "service": None,
     "state": {**STATE, "state_type": "hard", "soft_state": "1", "hard_state": "1", "output": "ping failed"}},
    {"event_type": "state_change", "event_time": "1795391001", "host": {"name": "app03"}, "service": {"name": "http"},
     "state": {**STATE, "state_type": "hard", "soft_state": "2", "hard_state": "2"}},
]  # fmt: skip


def test_icinga_db() -> None:
    items, asked = served({"icingadb/history": DB_ROWS, "icingadb/hosts": HOSTS})
    assert brief(items) == [
        (615, "app01", "http", "state", "CRITICAL", "soft"),
        (617, "app01", "http", "state", "CRITICAL", "hard"),
        (618, "app01", "http", "notification", "CRITICAL", ""),
        (976, "app01", "http", "acknowledgement", "", ""),
        (976, "app01", "http", "downtime", "STARTED", ""),
        (980, "app01", "http", "downtime", "CANCELLED", ""),
        (990, "app01", "http", "flapping", "STARTED", ""),
        (1000, "app02", "", "state", "DOWN", "hard"),
    ]
    assert gaps(items) == []
    assert "history.event_time>=1795390000&history.event_time<=1795393601&host.name=app*" in asked[1]
    assert "mira" not in str([one.output for one in items if isinstance(one, Event)])


IDO = {"host_name": "app01", "service_description": "http", "object_type": "service"}
IDO_ROWS = [
    {**IDO, "timestamp": 1795390615, "state": 2, "output": "CRITICAL", "type": "soft_state"},
    {**IDO, "timestamp": "1795390617", "state": "2", "output": "CRITICAL", "type": "hard_state"},
    {**IDO, "timestamp": 1795390618, "state": 2, "output": "[ops] CRITICAL", "type": "notification_state"},
    {**IDO, "timestamp": 1795390700, "state": -1, "output": "[mira] looking", "type": "ack"},
    {**IDO, "timestamp": 1795391036, "state": -1, "output": "[mira] restart", "type": "dt_end"},
    {"host_name": "app02", "service_description": None, "object_type": "host", "timestamp": 1795391040, "state": 1,
     "output": "ping failed", "type": "hard_state"},
]  # fmt: skip


def test_the_monitoring_module() -> None:
    pages = {"monitoring/list/eventhistory": IDO_ROWS, "monitoring/list/hosts": [{"host_name": "app01"}]}
    items, asked = served(pages)
    assert brief(items) == [
        (615, "app01", "http", "state", "CRITICAL", "soft"),
        (617, "app01", "http", "state", "CRITICAL", "hard"),
        (618, "app01", "http", "notification", "CRITICAL", ""),
        (700, "app01", "http", "acknowledgement", "", ""),
        (1036, "app01", "http", "downtime", "STOPPED", ""),
        (1040, "app02", "", "state", "DOWN", "hard"),
    ]
    assert gaps(items) == []
    assert "timestamp>=1795390000&timestamp<=1795393601&host_name=app*" in asked[2]
    assert "mira" not in str([one.output for one in items if isinstance(one, Event)])


def test_what_a_role_hides_is_not_read_as_no_alarms() -> None:
    items, _ = served({"icingadb/history": [], "icingadb/hosts": []})
    (gap,) = gaps(items)
    assert "no sign that there were no alarms" in gap.detail
    items, _ = served({"icingadb/history": [], "icingadb/hosts": HOSTS[:1]})
    (gap,) = gaps(items)
    assert gap.what == "alarms of app02"


def test_no_alarms_are_no_gap_where_the_hosts_can_be_seen() -> None:
    items, _ = served({"icingadb/history": [], "icingadb/hosts": HOSTS})
    assert items == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_ten_thousand_alarms_come_in_pages(newest_first: bool) -> None:  # noqa: FBT001 - a test's parameter
    rows = [
        {**DB_ROWS[1], "event_time": f"{BEGIN + number / 4:.2f}", "service": {"name": f"s{number % 7}"}}
        for number in range(10_000)
    ]

    def page(path: str, _request: bytes) -> Any:
        # Icinga DB Web takes whole seconds only: what has a point goes through strtotime.
        bounds = [int(found) for found in re.findall(r"event_time[<>]=(\d+)(?=&)", path)]
        limit = int(found[1]) if (found := re.search(r"limit=(\d+)", path)) else 0
        if len(bounds) != 2:
            return rows[:limit]
        inside = [row for row in rows if bounds[0] <= float(str(row["event_time"])) <= bounds[1]]
        return (inside[::-1] if newest_first else inside)[:limit]

    items, asked = served({"icingadb/history": page, "icingadb/hosts": HOSTS})
    assert len(brief(items)) == 10_000
    assert gaps(items) == []
    assert len(asked) < 15


def test_a_second_with_more_than_a_page_is_said() -> None:
    rows = [{**DB_ROWS[1], "service": {"name": f"s{number}"}} for number in range(1000)]
    items, _ = served({"icingadb/history": rows, "icingadb/hosts": HOSTS})
    assert [gap.kind for gap in gaps(items)] == [GapKind.TRUNCATED]


def test_a_time_of_another_form_is_read_or_said() -> None:
    odd = [{**DB_ROWS[1], "event_time": value} for value in ("2026-11-22T23:36:57+00:00", "1795390618000", "soon")]
    items, _ = served({"icingadb/history": odd, "icingadb/hosts": HOSTS})
    assert len(brief(items)) == 2
    (gap,) = gaps(items)
    assert gap.kind is GapKind.BAD_ANSWER


def document(moment: str, **fields: Any) -> dict[str, Any]:
    source = {
        "@timestamp": moment, "type": "icinga2.event.statechange", "host": "app01", "service": "http",
        "state": 2, "last_hard_state": 2, "max_check_attempts": 3, "check_result.output": "CRITICAL", **fields,
    }  # fmt: skip
    return {"_source": source, "sort": [1]}


def search(hits: list[dict[str, Any]], checks: list[dict[str, Any]] | None = None) -> Callable[[str, bytes], Any]:
    def run(_path: str, request: bytes) -> Any:
        found = checks or [] if b"checkresult" in request else hits
        total = {"value": len(found), "relation": "eq"}
        return {"_shards": {"total": 1, "failed": 0}, "hits": {"total": total, "hits": found}}

    return run


ELASTIC = {"icinga2-": search([]), "": {"version": {"number": "8.19.0"}, "cluster_name": "logs"}}


def test_the_documents_of_its_own_writer() -> None:
    hits = [
        document("2026-11-22T23:36:55.5+0000", last_hard_state=0),
        document("2026-11-22T23:36:56.435+0000"),
        document("2026-11-22T23:36:57.1+0000", type="icinga2.event.notification", notification_type="PROBLEM"),
        document("2026-11-22T23:40:00+0000", state=0, last_hard_state=0),
        document("2026-11-22T23:40:00+0000", host="db01"),
    ]
    items, _ = served({**ELASTIC, "icinga2-": search(hits)}, history="elasticsearch")
    assert brief(items) == [
        (615, "app01", "http", "state", "CRITICAL", "soft"),
        (616, "app01", "http", "state", "CRITICAL", "hard"),
        (617, "app01", "http", "notification", "CRITICAL", ""),
        (800, "app01", "http", "state", "OK", ""),
    ]
    assert gaps(items) == []


def test_an_index_in_which_nothing_was_written_is_a_gap() -> None:
    items, _ = served(ELASTIC)
    assert ["not even check results" in gap.detail for gap in gaps(items)] == [True]
    items, _ = served({**ELASTIC, "icinga2-": search([], [document("2026-11-22T23:36:56+0000", host="db01")])})
    assert ["none of the hosts" in gap.detail for gap in gaps(items)] == [True]
    items, _ = served({**ELASTIC, "icinga2-": search([], [document("2026-11-22T23:36:56+0000")])})
    assert items == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-11-22T20:42:55.435+0000", datetime(2026, 11, 22, 20, 42, 55, 435_000, tzinfo=UTC)),
        ("2026-11-22T20:42:55.5+0000", datetime(2026, 11, 22, 20, 42, 55, 5_000, tzinfo=UTC)),
        ("2026-11-22T20:42:55.123456Z", datetime(2026, 11, 22, 20, 42, 55, 123_456, tzinfo=UTC)),
        ("2026-11-22T20:42:55+0100", datetime(2026, 11, 22, 19, 42, 55, tzinfo=UTC)),
        ("2026-13-22T20:42:55+0100", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_unpadded_milliseconds(said: object, expected: datetime | None) -> None:
    assert icingaelastic.stamp(said) == expected


def test_numbers_as_text_are_numbers() -> None:
    assert asking.instant("1795390615.434") == utc(1795390615) + timedelta(milliseconds=434)
    assert [asking.instant(value) for value in (None, "", 0, "0", "nan", "inf", -1, [1], "x")] == [None] * 9
    assert [asking.state(value, service=True) for value in ("0", 2, 99, "99", None, "x", -1, 1.5)] == [
        "OK", "CRITICAL", "", "", "", "", "", "",
    ]  # fmt: skip
    assert asking.state("1", service=False) == "DOWN"
