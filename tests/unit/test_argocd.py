"""The Argo CD source against a peer that has applications.

The answers are invented after the definitions in Argo CD's assets/swagger.json (v1alpha1Application, RevisionHistory,
OperationState), what is in the history after controller/sync.go; a real Argo CD was not asked.
"""

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.peer import answer, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.source import DeployLog
from opsbrief.sources.argocd import ArgoCD
from opsbrief.transport.deadline import Deadline

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=30)
WINDOW = Window(start=SINCE, end=NOON, anchor=Anchor("time", SINCE), before=timedelta(hours=1))
A, B = "a" * 40, "b" * 40


def at(minutes: float) -> str:
    return f"{NOON - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def sync(number: int, revision: str, started: float | None, ended: float, target: str = "HEAD") -> dict[str, Any]:
    return {
        "id": number, "revision": revision, "deployedAt": at(ended),
        **({} if started is None else {"deployStartedAt": at(started)}),
        "source": {"repoURL": "https://git.example/shop.git", "path": "deploy", "targetRevision": target},
        "initiatedBy": {"username": "ada"},
    }  # fmt: skip


def operation(phase: str, started: float, ended: float | None, revision: str = B, **more: Any) -> dict[str, Any]:
    return {
        "phase": phase, "message": "one or more objects failed to apply", "startedAt": at(started),
        **({} if ended is None else {"finishedAt": at(ended)}),
        "operation": {"sync": {"revision": revision, "prune": True, **more}, "initiatedBy": {"username": "ada"}},
        "syncResult": {"revision": revision, "resources": [], "source": {"targetRevision": "HEAD"}},
    }  # fmt: skip


def application(*history: dict[str, Any], state: dict[str, Any] | None = None) -> dict[str, Any]:
    status = {"history": list(history), **({"operationState": state} if state else {})}
    return {"metadata": {"name": "shop", "namespace": "argocd"}, "spec": {"project": "default"}, "status": status}


class Server:
    """Applications by name."""

    def __init__(self, **applications: Any) -> None:
        self.applications = applications
        self.asked: list[str] = []

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        target = request.split()[1].decode()
        self.asked.append(target)
        name = target.partition("?")[0].removeprefix("/api/v1/applications/")
        if name in self.applications:
            answer(json.dumps(self.applications[name]).encode())(sock, request)
        else:
            answer(b'{"error":"permission denied","code":7,"message":"permission denied"}', "403 Forbidden")(
                sock, request
            )


def source(url: str, **options: Any) -> ArgoCD:
    options = {"name": "argo", "url": url, "applications": ("shop",), "repository": "application", **options}
    return ArgoCD(**options)


def ask(shop: Any, since: datetime = SINCE, **options: Any) -> tuple[list[Deploy], list[Gap]]:
    with peer(Server(shop=shop)) as server:
        found = list(source(server.url, **options).deploys(since, NOON, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def test_a_sync_has_a_start_and_an_end() -> None:
    shop = application(sync(0, A, 61, 60))
    note = f"shop: sync 0, revision {A[:12]}"
    assert ask(shop) == (
        [Deploy(NOON - timedelta(minutes=61), A[:12], note, "argo", TimeKind.DEPLOY_START)],
        [],
    )
    assert ask(shop, time="end")[0][0].time_kind is TimeKind.DEPLOY_END
    ((old,), _) = ask(application(sync(0, A, None, 60)))
    assert (old.at, old.time_kind) == (NOON - timedelta(minutes=60), TimeKind.DEPLOY_END)
    assert isinstance(source("http://x"), DeployLog)


def test_a_tag_or_a_chart_is_called_by_its_version() -> None:
    deploys, _ = ask(
        application(sync(0, A, 61, 60, "v2.14.0"), sync(1, "1.4.2", 51, 50, "1.4.*"), sync(2, B, 41, 40, "v2.*"))
    )
    assert [one.ref for one in deploys] == ["v2.14.0", "1.4.2", B[:12]]


def test_a_commit_of_a_configuration_names_no_release_of_the_application() -> None:
    deploys, _ = ask(application(sync(0, A, 61, 60, "v2.14.0"), sync(1, B, 51, 50)), repository="configuration")
    assert [(one.ref, one.note) for one in deploys] == [
        ("", f"shop: sync 0, revision {A[:12]}"),
        ("", f"shop: sync 1, revision {B[:12]}"),
    ]


def test_several_sources_are_one_deploy() -> None:
    both = {**sync(0, "", 61, 60), "revisions": ["1.4.2", B]}
    del both["revision"]
    ((deploy,), _) = ask(application(both))
    assert (deploy.ref, deploy.note) == ("1.4.2", f"shop: sync 0, revision 1.4.2, {B[:12]}")


def test_going_back_is_a_rollback() -> None:
    deploys, _ = ask(application(sync(0, A, 61, 60), sync(1, B, 51, 50), sync(2, A, 41, 40), sync(3, A, 31, 30)))
    assert [one.rollback for one in deploys] == [False, False, True, False]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (operation("Failed", 20, 19), [(False, "shop: one or more objects failed to apply")]),
        (operation("Error", 20, 19), [(False, "shop: one or more objects failed to apply")]),
        (operation("Running", 20, None), [(True, "shop: in progress")]),
        (operation("Succeeded", 20, 19), []),  # is in the history
        (operation("Succeeded", 20, 19, resources=[{}]), [(True, "shop: part of the resources synced")]),
        (operation("Failed", 20, 19, dryRun=True), []),
        ({"phase": "Running", "startedAt": at(20), "operation": {}}, []),
    ],
)  # fmt: skip
def test_the_last_operation_counts_where_the_history_does_not_hold_it(
    state: dict[str, Any], found: list[tuple[bool, str]]
) -> None:
    deploys, gaps = ask(application(sync(0, A, 61, 60), state=state))
    assert ([(one.succeeded, one.note.partition(", revision")[0]) for one in deploys[1:]], gaps) == (found, [])


def test_a_history_that_was_cut_is_a_gap_where_it_matters() -> None:
    shop = application(*(sync(n, f"{n:040x}", 60 - n, 59 - n) for n in range(5, 15)))
    deploys, gaps = ask(shop)
    assert (len(deploys), gaps) == (10, [])  # the newest is what is looked for
    with peer(Server(shop=shop)) as server:
        evidence, _ = collect([("argocd", source(server.url))], WINDOW, Scope())
    assert [(gap.kind, gap.what) for gap in evidence.gaps] == [(GapKind.TRUNCATED, "older syncs of shop")]
    change = next(evidence.items(Change))
    assert (change.role, change.origin.query) == ("application", "GET /api/v1/applications/shop")


def test_one_application_that_may_not_be_seen_costs_only_itself() -> None:
    store = Server(shop=application(sync(0, A, 61, 60)))
    with peer(store) as server:
        options = {"applications": ("shop", "blog"), "project": "web", "namespace": "apps"}
        evidence, _ = collect([("argocd", source(server.url, **options))], WINDOW, Scope())
    assert len(list(evidence.items(Change))) == 1
    (gap,) = evidence.gaps
    assert (gap.kind, gap.what) == (GapKind.UNAUTHORIZED, "application blog")
    assert "or there is none called blog" in gap.hint
    assert store.asked[0] == "/api/v1/applications/shop?project=web&appNamespace=apps"


def test_what_is_no_sync_costs_no_good_one() -> None:
    shop = application(sync(0, A, 61, 60), 7, {}, {**sync(1, B, 51, 50), "deployedAt": "noon"})  # type: ignore[arg-type] # reason: the fault
    shop["status"]["operationState"] = operation("Failed", 20, 19) | {"startedAt": None}
    deploys, (gap,) = ask(shop)
    assert ([one.ref for one in deploys], gap.kind, gap.what) == ([A[:12]], GapKind.BAD_ANSWER, "4 syncs")
