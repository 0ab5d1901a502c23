"""Icinga's four places, by the shapes of their real answers; the API itself is tested against the real one."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

import pytest
from tests.contract.peer import answer, peer

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Deploy, Span, TimeKind, utc
from opsbrief.readers.alarms import ask as asking
from opsbrief.readers.alarms import icingaelastic
from opsbrief.sources.icinga import Icinga
from opsbrief.transport.deadline import Deadline

BEGIN = 1795390000
SPAN = Span("", utc(BEGIN), utc(BEGIN + 3600))
Brief = list[tuple[int, str, str, str, str, str]]


def served(
    pages: Mapping[str, Any],
    span: Span = SPAN,
    hosts: tuple[str, ...] = ("app01", "app02"),
    oldest: tuple[Mapping[str, Any], ...] = (),
    **options: Any,
) -> tuple[list[Event | Gap], list[str]]:
    """Ask a server that answers each path (by its first words) with JSON, else 404; return that and the paths asked."""

    def run(sock: socket.socket, request: bytes) -> None:
        path = unquote(request.split()[1].decode()).lstrip("/")
        body = next((page for start, page in pages.items() if path.startswith(start)), None)
        if "sort=" in path and path.endswith("limit=1"):
            body = list(oldest)
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
    assert len(asked) < 17


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


def test_a_history_that_begins_within_the_stretch_is_a_gap() -> None:
    pages = {"icingadb/history": DB_ROWS, "icingadb/hosts": HOSTS}
    (gap,) = gaps(served(pages, oldest=({"event_time": f"{BEGIN + 600}.5"},))[0])
    assert gap.what == "alarms before 2026-11-22 23:36:40 UTC"
    assert gaps(served(pages, oldest=({"event_time": f"{BEGIN - 600}.5"},))[0]) == []


HEALTH = {
    "heartbeat": f"{BEGIN + 7200}.1", "icinga2_active_host_checks_enabled": "1",
    "icinga2_active_service_checks_enabled": "1", "icinga2_notifications_enabled": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("health", "missing"),
    [
        ([HEALTH], ""),
        ([{**HEALTH, "heartbeat": str(BEGIN + 600)}], "alarms from 2026-11-22 23:36:40 UTC on"),
        ([{**HEALTH, "heartbeat": str(BEGIN - 600)}], "alarms from 2026-11-22 23:26:40 UTC on"),
        # Of two masters one is enough.
        ([{**HEALTH, "heartbeat": str(BEGIN - 600)}, HEALTH], ""),
        ([{**HEALTH, "icinga2_active_service_checks_enabled": ""}], "alarms by active service checks"),
        ([], "the newest alarms"),
        (["x", None], ""),
        ({"status": "error"}, ""),
    ],
)
def test_a_history_that_nothing_writes_any_more_is_a_gap(health: Any, missing: str) -> None:
    items, _ = served({"icingadb/history": DB_ROWS, "icingadb/hosts": HOSTS, "icingadb/health": health})
    assert [gap.what for gap in gaps(items)] == ([missing] if missing else [])


@pytest.mark.parametrize(("started", "said"), [(600, True), (-600, False)])
def test_a_start_within_the_stretch_is_said(started: int, said: bool) -> None:  # noqa: FBT001 - a test's parameter
    health = [{**HEALTH, "icinga2_start_time": f"{BEGIN + started}.5"}]
    fixed: dict[str, Any] = {"icingadb/hosts": HOSTS, "icingadb/health": health}

    def run(sock: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode().lstrip("/").partition("?")[0]
        answer(json.dumps(fixed.get(path, [])).encode())(sock, request)

    with peer(run) as server:
        source = Icinga(name="icinga", url=server.url, history="icingadb", scope=Scope(hosts=("app01", "app02")))
        deadline = Deadline(10)
        assert list(source.alarms(SPAN, "UTC", deadline)) == []
    assert ["started or reloaded at 2026-11-22 23:36:40 UTC" in one for one in deadline.warnings] == [True] * said


def test_a_login_that_may_use_only_the_monitoring_module_is_led_there() -> None:
    def run(sock: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode().lstrip("/")
        if path.startswith("icingadb/"):
            answer(b'{"message": "No permission for module/icingadb"}', "403 Forbidden")(sock, request)
        elif path.startswith("monitoring/list/hosts"):
            answer(b'[{"host_name": "app01"}]')(sock, request)
        elif path.startswith("monitoring/health/info"):
            answer(json.dumps([{"status_update_time": BEGIN + 7200}]).encode())(sock, request)
        else:
            answer(b"[]")(sock, request)

    with peer(run) as server:
        source = Icinga(name="icinga", url=server.url, scope=Scope(hosts=("app01",)))
        deadline = Deadline(10)
        assert list(source.alarms(SPAN, "UTC", deadline)) == []
    assert deadline.warnings == ["its history is as the monitoring module (over the IDO) shows it"]


def downtime(at: float, comment: str, host: str = "app01", **more: str) -> dict[str, Any]:
    said = {"author": "jenkins", "comment": comment, "has_been_cancelled": "", **more}
    return {
        **HTTP,
        "event_type": "downtime_start",
        "event_time": f"{BEGIN + at}",
        "host": {"name": host},
        "downtime": said,
    }


def deploys(rows: list[dict[str, Any]], **options: Any) -> list[tuple[int, str, bool]]:
    def run(sock: socket.socket, request: bytes) -> None:
        path = unquote(request.split()[1].decode()).lstrip("/")
        fixed: dict[str, Any] = {"icingadb/hosts": HOSTS, "icingadb/health": [HEALTH]}
        found = fixed.get(path.partition("?")[0], rows if "history.event_time>" in path else [])
        answer(json.dumps(found).encode())(sock, request)

    with peer(run) as server:
        scope = Scope(hosts=("app01", "app02"))
        source = Icinga(name="icinga", url=server.url, history="icingadb", scope=scope, **options)
        found = list(source.deploys(utc(BEGIN), utc(BEGIN + 3600), Deadline(10)))
    assert all(isinstance(one, Deploy) and one.time_kind is TimeKind.DEPLOY_START for one in found)
    return [
        (int(one.at.timestamp()) - BEGIN, one.ref, one.rollback) for one in found if isinstance(one, Deploy)
    ]  # fmt: skip


def test_downtimes_are_deploys_where_comment_author_or_check_match() -> None:
    rows = [
        downtime(60, "Deploy shop v2.14.0"), downtime(90, "Deploy shop v2.14.0", "app02"),
        downtime(600, "change the disk"), downtime(1200, "deploy: roll back to 2.13.9"),
        downtime(1800, "Deploy shop v2.14.0"), downtime(2000, "Deploy of others 7.0", "db01"),
    ]  # fmt: skip
    assert deploys(rows, deploys_="deploy*") == [(60, "2.14.0", False), (1200, "2.13.9", True), (1800, "2.14.0", False)]
    assert len(deploys(rows, deploys_="jenkins")) == 4
    assert len(deploys(rows, deploys_=("nothing", "http"))) == 4
    assert deploys(rows, deploys_="deploy*", deploy_ref=r"shop (?P<ref>v\S+)") == [
        (60, "v2.14.0", False), (1200, "", True), (1800, "v2.14.0", False),
    ]  # fmt: skip


def test_a_downtime_that_was_entered_late_begins_when_it_was() -> None:
    rows = [downtime(60, "deploy 1.2", trigger_time=str(BEGIN + 100))]
    assert deploys(rows, deploys_="deploy*") == [(100, "1.2", False)]


def test_deploys_need_to_be_told_which_they_are() -> None:
    source = Icinga(name="icinga", url="http://127.0.0.1:1", scope=Scope(hosts=("app01",)))
    assert "deploys" not in source.given
    with pytest.raises(SourceError, match="which downtime is a deploy"):
        list(source.deploys(utc(BEGIN), utc(BEGIN + 3600), Deadline(10)))


def document(moment: str, **fields: Any) -> dict[str, Any]:
    source = {
        "@timestamp": moment, "type": "icinga2.event.statechange", "host": "app01", "service": "http",
        "state": 2, "last_hard_state": 2, "max_check_attempts": 3, "check_result.output": "CRITICAL", **fields,
    }  # fmt: skip
    return {"_source": source, "sort": [1]}


def search(
    hits: list[dict[str, Any]],
    checks: list[dict[str, Any]] | None = None,
    edges: tuple[str, str] = ("2026-11-22T22:00:00.0+0000", "2026-11-23T00:26:00.0+0000"),
) -> Callable[[str, bytes], Any]:
    """Answer as a search engine; ``edges`` are the times of its oldest and newest document."""

    def run(_path: str, request: bytes) -> Any:
        body = json.loads(request.partition(b"\r\n\r\n")[2])
        found = checks or [] if b"checkresult" in request else hits
        if body["size"] == 1:
            found = [document(edges["desc" in str(body["sort"])])]
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


@pytest.mark.parametrize(
    ("edges", "missing"),
    [
        (("2026-11-22T23:30:00.0+0000", "2026-11-23T00:20:00.0+0000"), []),
        (("2026-11-22T23:50:00.0+0000", "2026-11-23T00:26:00.0+0000"), ["alarms before 2026-11-22 23:50:00 UTC"]),
        (("2026-11-22T22:00:00.0+0000", "2026-11-22T23:40:00.0+0000"), ["alarms after 2026-11-22 23:40:00 UTC"]),
    ],
)
def test_an_index_that_was_not_written_all_the_time_is_a_gap(edges: tuple[str, str], missing: list[str]) -> None:
    found = search([document("2026-11-22T23:36:55.5+0000")], edges=edges)
    items, _ = served({**ELASTIC, "icinga2-": found}, history="elasticsearch")
    assert [gap.what for gap in gaps(items)] == missing


def test_the_state_is_that_of_the_check_not_of_the_moment_of_writing() -> None:
    """Icinga's writer is behind in a burst: a document has the state of now, its check result that of then."""
    after = {"attempt": 2, "reachable": True, "state": 2, "state_type": 0}
    hits = [
        document("2026-11-22T23:36:55.0+0000", state=0, last_hard_state=0, **{"check_result.vars_after": after}),
        document("2026-11-22T23:36:56.0+0000", state=2, **{"check_result.vars_after": {"state": 0, "state_type": 1}}),
        # What a host's check says is not yet the host's state: a warning is UP.
        document(
            "2026-11-22T23:36:57.0+0000", service=None, check_result={"vars_after": {"state": 1, "state_type": 1}}
        ),
        document(
            "2026-11-22T23:36:58.0+0000", service=None, **{"check_result.vars_after": {"state": 2, "state_type": 1}}
        ),
    ]
    items, _ = served({**ELASTIC, "icinga2-": search(hits)}, history="elasticsearch")
    assert brief(items) == [
        (615, "app01", "http", "state", "CRITICAL", "soft"),
        (616, "app01", "http", "state", "OK", "hard"),
        (617, "app01", "", "state", "UP", "hard"),
        (618, "app01", "", "state", "DOWN", "hard"),
    ]


@pytest.mark.parametrize(
    ("said", "named", "expected"),
    [
        ("PROBLEM", "CRITICAL", ("notification", "CRITICAL")),
        ("state", "OK", ("notification", "RECOVERY")),
        ("recovery", "", ("notification", "RECOVERY")),
        ("OK", "OK", ("notification", "RECOVERY")),
        ("custom", "", ("notification", "CUSTOM")),
        ("dt_start", "", ("downtime", "STARTED")),
        ("downtime_start", "", ("downtime", "STARTED")),
        ("DOWNTIMEREMOVED", "", ("downtime", "CANCELLED")),
        ("flapping_end", "", ("flapping", "STOPPED")),
        ("FLAPPINGSTART", "", ("flapping", "STARTED")),
        ("ack", "WARNING", ("acknowledgement", "")),
    ],
)
def test_the_places_spell_notifications_each_in_their_way(said: str, named: str, expected: tuple[str, str]) -> None:
    assert asking.told(said, named) == expected


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


@pytest.mark.parametrize(
    ("date", "heartbeat", "words"),
    [(300, 300, "ahead of"), (-300, -300, "behind"), (0, 300, "ahead of"), (0, 0, ""), (20, 25, "")],
)
def test_a_clock_that_is_off_by_minutes_is_said(date: int, heartbeat: int, words: str) -> None:
    now = datetime.now(UTC)
    header = f"Date: {format_datetime(now + timedelta(seconds=date), usegmt=True)}"
    health = json.dumps([{**HEALTH, "heartbeat": str((now + timedelta(seconds=heartbeat)).timestamp())}]).encode()

    def run(sock: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode().lstrip("/").partition("?")[0]
        body = {"icingadb/hosts": json.dumps(HOSTS).encode(), "icingadb/health": health}.get(path, b"[]")
        answer(body, "200 OK", "application/json", header)(sock, request)

    with peer(run) as server:
        source = Icinga(name="icinga", url=server.url, history="icingadb", scope=Scope(hosts=("app01", "app02")))
        found = gaps(list(source.alarms(Span("", now - timedelta(hours=1), now), "UTC", Deadline(10))))
    assert [gap.what for gap in found] == (["the exact times of alarms"] if words else [])
    assert all(words in gap.detail for gap in found)
