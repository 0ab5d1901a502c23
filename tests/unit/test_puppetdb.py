"""PuppetDB by the shapes of its real answers; the queries themselves are tested against the real server."""

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.contract.peer import answer, peer

from opsbrief.cli import probe
from opsbrief.config import Config, Service
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Run
from opsbrief.model.scope import Infrastructure, Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.secret import Secret
from opsbrief.source import Login
from opsbrief.sources.puppetdb import PuppetDb
from opsbrief.transport.deadline import Deadline

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
WINDOW = Window(
    start=NOW - timedelta(hours=1), end=NOW, anchor=Anchor("time", NOW - timedelta(hours=1)), before=timedelta(hours=1)
)
OLD, NEW = "d7f05e01942bdddc076af5842eb519951091ca86", "bbbb0e01942bdddc076af5842eb519951091ca86"
NODE = "app1.shop.example"
Row = dict[str, Any]


def at(minutes: float) -> str:
    """Return the time so many minutes before the end of the window, as PuppetDB writes it."""
    return (NOW - timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def node(name: str = NODE, **more: Any) -> Row:
    return {"certname": name, "report_timestamp": at(5), "deactivated": None, "expired": None, **more}


def report(minutes: float, name: str = NODE, **more: Any) -> Row:
    """Return the row of a run that ended so many minutes before the end of the window."""
    return {
        "hash": f"{name}-{minutes}", "certname": name, "start_time": at(minutes + 0.5), "end_time": at(minutes),
        "receive_time": at(minutes - 0.01), "configuration_version": OLD, "status": "unchanged", "noop": False,
        "noop_pending": False, "cached_catalog_status": "not_used", "producer": "puppet.example", "type": "agent",
        **more,
    }  # fmt: skip


def event(minutes: float, run: float, name: str = NODE, **more: Any) -> Row:
    """Return an event so many minutes before the end, of the run that ended at ``run``."""
    return {
        "report": f"{name}-{run}", "certname": name, "timestamp": at(minutes), "resource_type": "File",
        "resource_title": "/etc/app.conf", "property": "content", "old_value": "{sha256}236a", "new_value": "",
        "status": "success", "message": "content changed '{sha256}236a' to '{sha256}2934'", "corrective_change": None,
        "configuration_version": NEW, "containing_class": "App", "containment_path": ["Stage[main]", "App"], **more,
    }  # fmt: skip


@dataclass
class Fleet:
    """A PuppetDB that answers from rows; it does not filter, but pages, and groups the reports before the window."""

    nodes: Sequence[Row] = (node(),)
    reports: Sequence[Row] = ()
    events: Sequence[Row] = ()
    earlier: Sequence[Row] = (report(300),)
    unknown: str = ""  # a field that it does not know
    methods: tuple[str, ...] = ("POST",)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split()
        if method not in self.methods:
            answer(b"no", "405 Method Not Allowed", "text/plain")(sock, request)
            return
        what = urlsplit(target).path.rpartition("/")[2]
        asked = json.loads(body) if body else {key: _json(value) for key, value in parse_qsl(urlsplit(target).query)}
        self.asked.append({"what": what, **asked})
        text = json.dumps(asked["query"])
        if self.unknown and f'"{self.unknown}"' in text:
            said = (
                f"Can't extract unknown '{what}' field '{self.unknown}'. Acceptable fields are 'certname', and 'noop'"
            )
            answer(said.encode(), "400 Bad Request", "text/plain")(sock, request)
            return
        rows = list({"nodes": self.nodes, "reports": self.reports, "events": self.events}[what])
        if "group_by" in text:
            rows = [{"certname": row["certname"], "max": row["end_time"]} for row in self.earlier]
        elif what == "reports" and asked["query"][2][0] == "or":
            rows = list(self.earlier)
        elif what == "events" and '["in", "report"' in text:
            rows = [row for row in self.events if any(row["report"] == one["hash"] for one in self.earlier)]
        start = asked.get("offset", 0)
        page = json.dumps(rows[start : start + asked["limit"]]).encode()
        answer(page, "200 OK", "application/json", f"X-Records: {len(rows)}")(sock, request)


def _json(value: str) -> Any:
    return json.loads(value)


def read(
    fleet: Callable[[socket.socket, bytes], None], hosts: tuple[str, ...] = ("app1",), **options: Any
) -> tuple[list[Run], list[Change], list[Gap]]:
    """Collect from a fleet; return runs, changes, gaps."""
    scope = options.pop("scope", None) or Scope(service="shop", hosts=hosts)
    with peer(fleet) as server:
        source = PuppetDb(name="puppet", url=server.url, scope=scope, **options)
        found = list(source.collect(WINDOW, Deadline(10)))
    runs = [one for one in found if isinstance(one, Run)]
    return runs, [one for one in found if isinstance(one, Change)], [one for one in found if isinstance(one, Gap)]


def test_a_run_says_its_node_by_the_services_name_its_version_and_where_it_comes_from() -> None:
    runs, changes, gaps = read(Fleet(reports=[report(30)]))
    assert [(run.host, run.version, run.status, run.in_window) for run in runs] == [
        ("app1", OLD, "unchanged", False), ("app1", OLD, "unchanged", True)
    ]  # fmt: skip
    assert runs[1].at == NOW - timedelta(minutes=30)
    assert runs[1].origin.query.startswith('POST /pdb/query/v4/reports {"query": ["extract", ["hash", "certname"')
    assert runs[1].origin.digest.startswith("sha256:")
    assert (changes, gaps) == ([], [])


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"noop": True, "noop_pending": True}, {"noop": True, "pending": True}),
        ({"status": "failed"}, {"status": "failed"}),
        ({"cached_catalog_status": "on_failure"}, {"cached": True}),
        ({"cached_catalog_status": "explicitly_requested"}, {"cached": True}),
        ({"producer": NODE}, {"agent": False}),
        ({"type": "plan"}, {"agent": False}),
        ({"configuration_version": "1795392412"}, {"version": "", "stated": "1795392412"}),
        ({"configuration_version": "pupmaster01-production-ac9785273a10"}, {"version": "ac9785273a10"}),
        ({"configuration_version": None}, {"version": "", "stated": ""}),
    ],
)
def test_what_weakens_a_run_is_kept(more: Row, shown: dict[str, object]) -> None:
    (_, run), _, _ = read(Fleet(reports=[report(30, **more)]))
    assert {name: getattr(run, name) for name in shown} == shown


def test_events_of_one_resource_in_one_run_are_one_change() -> None:
    events = [
        event(30.2, 30), event(30.1, 30, property="mode", message="mode changed '0644' to '0600'"),
        event(30.1, 30, resource_type="Exec", resource_title="migrate", status="failure", message="returned 1"),
        event(30.1, 30, resource_title="/etc/later", status="skipped", message=""),
    ]  # fmt: skip
    runs, changes, _ = read(Fleet(reports=[report(30, status="failed", configuration_version=NEW)], events=events))
    assert [(one.ref, one.state, one.hosts, one.version) for one in changes] == [
        ("File[/etc/app.conf]", "applied", ("app1",), NEW), ("Exec[migrate]", "failed", ("app1",), NEW)
    ]  # fmt: skip
    assert changes[0].summary == "content changed '{sha256}236a' to '{sha256}2934'; mode changed '0644' to '0600'"
    assert changes[0].role == "infrastructure"
    assert (runs[1].changed, runs[1].failed) == (1, 1)  # a failing run changed the other resources all the same


def test_what_was_put_back_is_known_by_the_words_of_the_event() -> None:
    events = [event(30.2, 30, message="content changed '{sha256}236a' to '{sha256}2934' (corrective)")]
    _, (change,), _ = read(Fleet(reports=[report(30)], events=events))
    assert change.corrective


def test_a_resource_that_would_have_changed_is_a_noop() -> None:
    events = [event(30.2, 30, status="noop", message="current_value '0644', should be '0600' (noop)")]
    runs, (change,), _ = read(Fleet(reports=[report(30, noop=True, noop_pending=True)], events=events))
    assert change.state == "noop"
    assert (runs[1].changed, runs[1].failed) == (0, 0)


def test_a_digest_in_base64_is_shown_as_the_digest_where_there_is_no_message() -> None:
    coded = "e3NoYTI1Nn1kYWJiYjY5NjEyN2NhYjFkYzU4MzY3ZjdhNzEyMjA3OGFkNTBjMGMxMDg3NGRlNjkxOWIwYmQ2MTIyOGRmNzhj"
    events = [event(30.2, 30, message=None, new_value=coded)]
    _, (change,), _ = read(Fleet(reports=[report(30)], events=events))
    assert change.summary == "content changed '{sha256}236a' to '{sha256}dabbb696127c…'"


def test_a_change_counts_by_its_own_time_not_by_the_end_of_its_run() -> None:
    late = report(-1, start_time=at(1))  # ends a minute after the window
    runs, changes, _ = read(Fleet(reports=[late, report(30)], events=[event(0.5, -1), event(121, 119)]))
    assert [run.at for run in runs if run.in_window] == [NOW - timedelta(minutes=30)]
    assert [change.at for change in changes] == [NOW - timedelta(seconds=30)]


def test_a_node_that_is_not_known_is_named_with_the_names_that_are() -> None:
    _, _, (gap,) = read(Fleet(nodes=[node(), node("web1.shop.example")]), hosts=("app1", "app7"))
    assert (gap.what, gap.kind) == ("node app7", GapKind.UNAVAILABLE)
    assert gap.detail == "PuppetDB does not know it; it knows web1.shop.example"


@pytest.mark.parametrize("word", ["deactivated", "expired"])
def test_a_node_that_is_gone_is_named(word: str) -> None:
    runs, _, (gap,) = read(Fleet(nodes=[node(), node("app2", **{word: at(2000)})]), hosts=("app1", "app2"))
    assert gap.what == "node app2"
    assert gap.detail == f"{word} in PuppetDB on 2026-11-19 06:40 UTC; its runs are not read"
    assert {run.host for run in runs} == {"app1"}


def test_a_node_that_was_deactivated_is_not_missed_where_a_pattern_would_mean_it() -> None:
    gone = [node(), node("app2", deactivated=at(2000)), node("app3", expired=at(2000))]
    wide = Scope(infrastructure=Infrastructure(nodes=("app*",)))
    assert [gap.what for gap in read(Fleet(nodes=gone), scope=wide)[2]] == ["node app3"]


def test_a_node_that_never_reported_is_named_and_one_that_is_new_too() -> None:
    nodes = [node(), node("app2", report_timestamp=None), node("app3")]
    fleet = Fleet(nodes=nodes, reports=[report(30, "app3")])
    _, _, gaps = read(fleet, hosts=("app1", "app2", "app3"))
    assert [(gap.what, gap.detail) for gap in gaps] == [
        ("node app2", "it has never sent a report"),
        ("the run before the window of node app3", "there is no report from before 2026-11-20 14:00 UTC"),
    ]


def test_nodes_are_the_sources_own_else_the_services_else_its_hosts() -> None:
    nodes = [node(), node("app2.shop.example"), node("db1.shop.example")]
    earlier = [report(300, one["certname"]) for one in nodes]
    fleet = Fleet(nodes=nodes, earlier=earlier)
    wide = Scope(hosts=("app1",), infrastructure=Infrastructure(nodes=("app*",)))
    assert {run.host for run in read(fleet, scope=wide)[0]} == {"app1", "app2.shop.example"}
    assert {run.host for run in read(fleet, scope=wide, nodes=("db1",))[0]} == {"db1.shop.example"}
    assert {run.host for run in read(fleet, hosts=())[0]} == {
        "app1.shop.example",
        "app2.shop.example",
        "db1.shop.example",
    }
    with pytest.raises(SourceError, match="no name or pattern"):
        read(fleet, nodes=("app[12]",))


def test_only_the_nodes_that_are_meant_are_asked_for_and_only_the_fields_that_are_needed() -> None:
    fleet = Fleet(nodes=[node(), node("web1.shop.example")], reports=[report(30)])
    read(fleet)
    asked = [one for one in fleet.asked if one["what"] == "events"]
    assert asked[0]["query"][2][1] == ["in", "certname", ["array", [NODE]]]
    assert all("extract" in one["query"] and one["limit"] <= 50_000 for one in fleet.asked)
    assert not any("logs" in json.dumps(one) or "metrics" in json.dumps(one) for one in fleet.asked)


def test_many_reports_come_page_by_page_and_a_limit_is_said_with_the_total() -> None:
    reports = [report(20 + number / 100) for number in range(2500)]
    runs, _, gaps = read(Fleet(reports=reports))
    assert (len([run for run in runs if run.in_window]), gaps) == (2500, [])
    runs, _, (gap,) = read(Fleet(reports=reports), max_reports=1200)
    assert len([run for run in runs if run.in_window]) == 1200
    assert (gap.kind, gap.what, gap.detail) == (
        GapKind.TRUNCATED, "older reports", "1,200 of 2,500 were read, the newest"
    )  # fmt: skip


def test_a_field_that_an_old_puppetdb_does_not_know_is_done_without() -> None:
    runs, _, gaps = read(Fleet(reports=[report(30)], unknown="noop_pending"))
    assert (len(runs), gaps) == (2, [])


def test_a_field_that_cannot_be_done_without_is_said() -> None:
    with pytest.raises(SourceError, match="it does not know the field end_time of reports") as raised:
        read(Fleet(unknown="end_time"))
    assert raised.value.kind is GapKind.REJECTED


def test_a_url_with_something_else_behind_it_says_what_the_url_is() -> None:
    with pytest.raises(SourceError, match=r"there is no /pdb/query/v4/nodes here: HTTP 404: nothing") as raised:
        read(answer(b"nothing", "404 Not Found", "text/plain"))
    assert "what stands before /pdb" in raised.value.hint


def test_a_proxy_that_lets_no_post_through_is_asked_by_get() -> None:
    fleet = Fleet(reports=[report(30)], methods=("GET",))
    runs, _, _ = read(fleet)
    assert len(runs) == 2
    assert runs[1].origin.query.startswith("GET /pdb/query/v4/reports")


def test_the_token_travels_in_its_header() -> None:
    seen: list[bytes] = []

    def run(sock: socket.socket, request: bytes) -> None:
        seen.append(request)
        answer(b"[]", "401 Unauthorized", "text/plain")(sock, request)

    with pytest.raises(SourceError) as raised:
        read(run, auth=Login(headers={"X-Authentication": Secret("0LSJtoken")}))
    assert raised.value.kind is GapKind.UNAUTHORIZED
    assert b"X-Authentication: 0LSJtoken" in seen[0]


def test_reports_that_are_stored_late_are_warned_of_where_some_may_be_missing() -> None:
    deadline = Deadline(10)
    slow = report(0, end_time=stamp(datetime.now(UTC)), receive_time=stamp(datetime.now(UTC) + timedelta(minutes=4)))
    now = Window(
        start=datetime.now(UTC),
        end=datetime.now(UTC) + timedelta(hours=1),
        anchor=Anchor("time", NOW),
        before=timedelta(0),
    )
    with peer(Fleet(reports=[slow])) as server:
        source = PuppetDb(name="puppet", url=server.url, scope=Scope(hosts=("app1",)))
        list(source.collect(now, deadline))
    (warning,) = deadline.warnings
    assert warning.startswith("PuppetDB stored reports up to 4m after the end of the run")


def stamp(moment: datetime) -> str:
    return moment.isoformat()


def test_a_host_that_two_nodes_may_be_is_warned_of_and_both_are_taken() -> None:
    fleet = Fleet(nodes=[node(), node("app1.till.example")], reports=[report(30), report(31, "app1.till.example")])
    deadline = Deadline(10)
    with peer(fleet) as server:
        source = PuppetDb(name="puppet", url=server.url, scope=Scope(hosts=("app1",)))
        found = list(source.collect(WINDOW, deadline))
    assert [one.host for one in found if isinstance(one, Run) and one.in_window] == ["app1", "app1"]
    (warning,) = deadline.warnings
    assert warning.startswith("app1 may be any of the nodes app1.shop.example, app1.till.example: all are taken")


# --- deploys --------------------------------------------------------------------------------------


def package(minutes: float, name: str, old: str, new: str, **more: Any) -> Row:
    return event(
        minutes, minutes, name, resource_type="Package", resource_title="shop", property="ensure", old_value=old,
        new_value=new, message=f"ensure changed '{old}' to '{new}'", **more,
    )  # fmt: skip


def deploys(*events: Row, pattern: str = "Package[shop]") -> list[Deploy]:
    names = sorted({row["certname"] for row in events})
    with peer(Fleet(nodes=[node(name) for name in names], events=events)) as server:
        source = PuppetDb(name="puppet", url=server.url, rollouts=(pattern,))
        found = list(source.deploys(NOW - timedelta(days=1), NOW, Deadline(10)))
    assert all(isinstance(one, Deploy) for one in found)
    return [one for one in found if isinstance(one, Deploy)]


def test_a_rollout_over_the_nodes_is_one_deploy_dated_where_it_arrived_first() -> None:
    (found,) = deploys(package(20, "app2", "2.13.0", "2.14.0"), package(47, "app1", "2.13.0", "2.14.0"))
    assert (found.ref, found.at, found.time_kind) == ("2.14.0", NOW - timedelta(minutes=47), TimeKind.EVENT_TIME)
    assert found.note == "Package[shop] 2.13.0 → 2.14.0 on 2 nodes, first app1, last app2 27m later"
    assert found.succeeded
    assert not found.rollback


def test_the_way_back_is_a_rollback_and_a_deploy_of_its_own() -> None:
    found = deploys(
        package(90, "app1", "2.13.0", "2.14.0"), package(60, "app1", "2.14.0", "2.13.0"),
        package(30, "app1", "2.13.0", "2.14.0"),
    )  # fmt: skip
    assert [(one.ref, one.rollback) for one in found] == [("2.14.0", False), ("2.13.0", True), ("2.14.0", False)]


def test_a_deploy_that_worked_nowhere_failed_and_one_that_worked_somewhere_says_where_not() -> None:
    (failed,) = deploys(package(60, "app1", "2.13.0", "2.14.0", status="failure"))
    assert not failed.succeeded
    (partly,) = deploys(
        package(60, "app1", "2.13.0", "2.14.0", status="failure"), package(30, "app2", "2.13.0", "2.14.0")
    )
    assert partly.succeeded
    assert partly.at == NOW - timedelta(minutes=30)
    assert partly.note.endswith("on app2; failed on app1")


def test_a_resource_without_a_version_goes_by_the_commit_of_its_catalog() -> None:
    (found,) = deploys(event(30, 30, "app1"), pattern="Class[App]")
    assert found.ref == NEW
    assert deploys(event(30, 30, "app1"), pattern="Class[Shop]") == []


def test_what_is_a_deploy_is_no_change_of_the_infrastructure() -> None:
    events = [package(30, NODE, "2.13.0", "2.14.0"), event(30, 30)]
    _, changes, _ = read(Fleet(reports=[report(30)], events=events), rollouts=("Package[shop]",))
    assert [(one.kind, one.role, one.ref) for one in changes] == [
        ("resource", "infrastructure", "File[/etc/app.conf]"), ("deploy", "application", "2.14.0")
    ]  # fmt: skip


def test_a_run_that_did_nothing_but_the_deploy_changed_nothing_of_the_infrastructure() -> None:
    restart = event(
        30, 30, resource_type="Service", resource_title="shop", property=None, message="Triggered 'refresh'"
    )
    events, patterns = [package(30, NODE, "2.13.0", "2.14.0"), restart], ("Package[shop]", "Service[shop]")
    changed = [report(30, status="changed")]
    runs, changes, _ = read(Fleet(reports=changed, events=events), rollouts=patterns)
    assert [(run.status, run.changed) for run in runs if run.in_window] == [("unchanged", 0)]
    assert [one.kind for one in changes] == ["deploy"]
    runs, changes, _ = read(Fleet(reports=changed, events=[*events, event(30, 30)]), rollouts=patterns)
    assert [(run.status, run.changed) for run in runs if run.in_window] == [("changed", 1)]
    assert [one.kind for one in changes] == ["resource", "deploy"]


def test_a_restart_alone_is_no_deploy_and_stays_a_change() -> None:
    restart = event(
        30, 30, resource_type="Service", resource_title="shop", property=None, message="Triggered 'refresh'"
    )
    fleet = Fleet(reports=[report(30, status="changed")], events=[restart])
    runs, (change,), _ = read(fleet, rollouts=("Package[shop]", "Service[shop]"))
    assert (change.kind, change.ref, runs[1].status) == ("resource", "Service[shop]", "changed")


def test_without_the_option_it_knows_no_deploys() -> None:
    source = PuppetDb(name="puppet", url="http://127.0.0.1:1")
    assert "deploys" not in source.given
    with pytest.raises(SourceError, match="not told which resource"):
        list(source.deploys(NOW, NOW, Deadline(1)))
    with pytest.raises(SourceError, match="is no resource"):
        deploys(event(1, 1), pattern="shop")


def test_check_asks_for_each_service_whose_nodes_are_others() -> None:
    source = PuppetDb(name="puppet", url="http://127.0.0.1:1")
    services = {name: Service(scope=Scope(service=name, hosts=(f"{name}1",))) for name in ("shop", "till")}
    config = Config(sources={"puppet": ("puppetdb", source)}, deploys=(), services=services)
    questions = probe.check(config, list(services.values()), (), ())
    assert [question.source.scope.hosts for question in questions] == [("shop1",), ("till1",)]
