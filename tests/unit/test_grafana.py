"""The Grafana source against a peer that keeps annotations.

The peer filters, sorts and cuts as Grafana's pkg/services/annotations/annotationsimpl/xorm_store.go does, and
answers in the form of Grafana's documentation (developers/http_api/annotations); a real one was not asked.
"""

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.contract.peer import answer, peer

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap
from opsbrief.model.marking import Marking
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.source import DeployLog, MarkLog
from opsbrief.sources.grafana import Grafana
from opsbrief.transport.deadline import Deadline

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=1)
Row = dict[str, Any]


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def row(number: int, at: datetime, text: str, *tags: str, until: datetime | None = None, **more: Any) -> Row:
    return {
        "id": number, "alertId": 0, "alertName": "", "dashboardId": 0, "dashboardUID": None, "panelId": 0,
        "userId": 1, "newState": "", "prevState": "", "created": ms(at), "updated": ms(at), "time": ms(at),
        "timeEnd": ms(until or at), "text": text, "tags": list(tags or ("deploy",)), "login": "ada",
        "email": "ada@example.com", "avatarUrl": "/avatar/1", "data": {}, **more,
    }  # fmt: skip


class Store:
    """Annotations, and answers about them."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.asked: list[dict[str, list[str]]] = []
        self.org = ""

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        method, target = head.split()[:2]
        path, _, query = target.decode().partition("?")
        assert path == "/api/annotations"
        org = re.search(rb"(?i)x-grafana-org-id: (\S+)", head)
        self.org = org[1].decode() if org else ""
        if method == b"POST":
            self.rows.append({"id": len(self.rows) + 1, "timeEnd": json.loads(body)["time"], **json.loads(body)})
            answer(json.dumps({"message": "Annotation added", "id": len(self.rows)}).encode())(sock, request)
            return
        form = parse_qs(query)
        self.asked.append(form)
        answer(json.dumps(self.found(form)).encode())(sock, request)

    def found(self, form: dict[str, list[str]]) -> list[Row]:
        start, end, limit = (int(form[name][0]) for name in ("from", "to", "limit"))
        inside = [one for one in self.rows if one["time"] <= end and one["timeEnd"] >= start]
        tagged = [one for one in inside if {*form["tags"]} <= {*one["tags"]}]
        if "dashboardUID" in form:
            tagged = [one for one in tagged if one["dashboardUID"] == form["dashboardUID"][0]]
        return sorted(tagged, key=lambda one: (-one["timeEnd"], -one["time"]))[:limit]


def ask(store: Any, **options: Any) -> tuple[list[Deploy], list[Gap]]:
    with peer(store) as server:
        found = list(Grafana(name="g", url=server.url, **options).deploys(SINCE, NOON, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def test_a_point_is_a_deploy_at_the_time_of_the_event() -> None:
    store = Store(row(1, NOON - timedelta(hours=2), "shop <b>2.14.0</b> to 8 hosts"))
    assert ask(store) == (
        [Deploy(NOON - timedelta(hours=2), "2.14.0", "shop 2.14.0 to 8 hosts", "g", TimeKind.EVENT_TIME)],
        [],
    )
    assert store.asked[0]["tags"] == ["deploy"]


@pytest.mark.parametrize(("time", "hours", "kind"), [("start", 2, "deploy start"), ("end", 1, "deploy end")])
def test_a_region_has_a_start_and_an_end(time: str, hours: int, kind: str) -> None:
    store = Store(row(1, NOON - timedelta(hours=2), "2.14.0", until=NOON - timedelta(hours=1)))
    ((deploy,), gaps) = ask(store, time=time)
    assert (deploy.at, str(deploy.time_kind), gaps) == (NOON - timedelta(hours=hours), kind, [])


def test_failed_deploys_and_rollbacks_are_told_from_others() -> None:
    store = Store(
        row(1, NOON - timedelta(hours=3), "2.14.0 failed"),
        row(2, NOON - timedelta(hours=2), "rolled back to 2.13.2"),
        row(3, NOON - timedelta(hours=1), "2.15.0", "deploy", "failed"),
    )
    deploys, _ = ask(store)
    assert [(one.ref, one.succeeded, one.rollback) for one in sorted(deploys, key=lambda one: one.at)] == [
        ("2.14.0", False, False),
        ("2.13.2", True, True),
        ("2.15.0", False, False),
    ]


def test_only_what_has_every_tag_counts_and_alarms_never_do() -> None:
    store = Store(
        row(1, NOON - timedelta(hours=1), "2.14.0", "deploy", "shop"),
        row(2, NOON - timedelta(hours=1), "1.0", "deploy", "blog"),
        row(3, NOON - timedelta(hours=1), "9.9 is firing", "deploy", "shop", alertId=7),
    )
    deploys, gaps = ask(store, deploy_tags=("deploy", "shop"))
    assert ([one.ref for one in deploys], gaps) == (["2.14.0"], [])
    assert store.asked[0]["tags"] == ["deploy", "shop"]


def test_one_dashboard_and_one_organization_can_be_asked() -> None:
    store = Store(
        row(1, NOON - timedelta(hours=1), "1.0", dashboardUID="shop-1"),
        row(2, NOON - timedelta(hours=1), "2.0", dashboardUID="blog"),
    )
    deploys, _ = ask(store, dashboard="shop-1", org=3)
    assert ([one.ref for one in deploys], store.org) == (["1.0"], "3")


def test_the_version_can_be_found_by_a_pattern() -> None:
    store = Store(row(1, NOON - timedelta(hours=1), "build #4711 of shop 2.14.0"))
    assert ask(store, deploy_ref=r"#(\d+)")[0][0].ref == "4711"


def test_what_is_no_annotation_is_a_gap_and_costs_no_good_one() -> None:
    good = row(1, NOON - timedelta(hours=1), "2.14.0")
    broken = [good, 7, {}, {**good, "time": None}, {**good, "time": 1e300}, {**good, "tags": 7}]
    deploys, (gap,) = ask(answer(json.dumps(broken).encode()))
    assert [one.ref for one in deploys] == ["2.14.0"]
    assert (gap.kind, gap.what) == (GapKind.BAD_ANSWER, "5 annotations")


def test_more_than_twenty_pages_are_a_gap() -> None:
    store = Store(*(row(n, NOON - timedelta(minutes=n), f"1.{n}") for n in range(1, 60)))
    deploys, (gap,) = ask(store, page=2)
    assert (gap.kind, len(store.asked)) == (GapKind.TRUNCATED, 20)
    assert len(deploys) < 59


def test_a_window_has_changes_and_what_opsbrief_wrote_itself() -> None:
    store = Store()
    window = Window(start=NOON, end=NOON + timedelta(hours=1), anchor=Anchor("time", NOON), before=timedelta(hours=1))
    with peer(store) as server:
        source = Grafana(name="g", url=server.url, scope=Scope(service="shop"), org=2)
        assert isinstance(source, MarkLog)
        assert isinstance(source, DeployLog)
        for kind, text in (("deploy", "2.14.1 to 8 hosts"), ("note", "customers report slow search")):
            mark = Marking(kind=kind, at=NOON, text=text, ref="2.14.1" if kind == "deploy" else "", service="shop")  # type: ignore[arg-type] # reason: of two
            where = source.mark(mark, Deadline(20))
        found = list(source.collect(window, Deadline(20)))
    assert where == f"annotation 2 with the tags note opsbrief service:shop in {server.url}"
    assert store.org == "2"
    change = next(one for one in found if isinstance(one, Change))
    event = next(one for one in found if isinstance(one, Event))
    assert (change.ref, change.at, change.time_kind, len(found)) == ("2.14.1", NOON, TimeKind.EVENT_TIME, 2)
    assert (event.state, event.output) == ("note", "customers report slow search")


def test_a_mark_that_is_perhaps_written_is_not_written_again() -> None:
    with peer(answer(b'{"message": "ok"}')) as server:
        source = Grafana(name="g", url=server.url)
        with pytest.raises(SourceError, match="does not say that it wrote"):
            source.mark(Marking(kind="note", at=NOON, text="x"), Deadline(20))
        assert len(server.requests) == 1
