"""The GitLab source against a peer that keeps deployments.

The peer filters and sorts as GitLab's app/finders/deployments_finder.rb does; the answers are invented after GitLab's
doc/api/deployments.md and lib/api/entities/deployment.rb. A real GitLab was not asked.
"""

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from tests.contract.peer import answer, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.secret import Secret
from opsbrief.source import DeployLog, Login
from opsbrief.sources.gitlab import GitLab
from opsbrief.transport.deadline import Deadline

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=30)
WINDOW = Window(start=SINCE, end=NOON, anchor=Anchor("time", SINCE), before=timedelta(hours=1))


def at(minutes: float) -> str:
    return f"{NOON - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}.222Z"


def instant(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes) + timedelta(milliseconds=222)


class Project:
    """Deployments, and answers about them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.between: Any = None

    def add(
        self, ref: str, sha: str, created: float, started: float | None, ended: float | None, *,
        status: str = "success", environment: str = "production", tag: bool = False, job: bool = True,
        touched: float | None = None,
    ) -> None:  # fmt: skip
        known = [one for one in (created, started, ended) if one is not None]
        sha = (sha * 40)[:40]
        work = {
            "id": 657, "status": "success", "stage": "deploy", "name": "deploy", "ref": ref, "tag": tag,
            "coverage": None, "allow_failure": False, "created_at": at(created),
            "started_at": None if started is None else at(started),
            "finished_at": None if ended is None else at(ended),
            "user": {"id": 1, "name": "Ada", "username": "ada"}, "commit": {"id": sha, "author_name": "Ada"},
        }  # fmt: skip
        self.rows.append(
            {
                "id": len(self.rows) + 41, "iid": len(self.rows) + 1, "ref": ref, "sha": sha, "status": status,
                "created_at": at(created), "updated_at": at(min(known) if touched is None else touched),
                "user": {"id": 1, "name": "Ada"}, "deployable": work if job else None,
                "environment": {"id": 9, "name": environment, "external_url": "https://shop.example"},
            }
        )  # fmt: skip

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        path, _, query = request.split()[1].decode().partition("?")
        form = {key: values[0] for key, values in parse_qs(query).items()}
        self.asked.append(form)
        assert path == "/api/v4/projects/ops%2Fshop/deployments"
        assert unquote(path).endswith("ops/shop/deployments")
        rows = [one for one in self.rows if form.get("environment") in {None, one["environment"]["name"]}]
        if "updated_after" in form:
            assert form["order_by"] == "updated_at", "must be paired"
            rows = [one for one in rows if one["updated_at"] > form["updated_after"]]
        rows.sort(key=lambda one: (one["updated_at"], one["id"]), reverse=form.get("sort") == "desc")
        page, size = int(form["page"]), int(form["per_page"])
        assert size <= 100
        more = len(rows) > page * size
        body = json.dumps(rows[page * size - size : page * size]).encode()
        answer(body, "200 OK", "application/json", f"X-Next-Page: {page + 1 if more else ''}")(sock, request)
        if self.between:
            self.between()


def source(url: str, **options: Any) -> GitLab:
    return GitLab(**{"name": "gl", "url": url, "project": "ops/shop", "environments": ("production",), **options})


def ask(store: Any, since: datetime = SINCE, **options: Any) -> tuple[list[Deploy], list[Gap]]:
    with peer(store) as server:
        found = list(source(server.url, **options).deploys(since, NOON, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def test_the_job_tells_when_it_began_and_ended() -> None:
    project = Project()
    project.add("v2.14.0", "a", 600, 58, 50, tag=True)
    note = "production: v2.14.0, job deploy"
    assert ask(project) == ([Deploy(instant(58), "v2.14.0", note, "gl", TimeKind.DEPLOY_START)], [])
    assert ask(project, time="end")[0] == [Deploy(instant(50), "v2.14.0", note, "gl", TimeKind.DEPLOY_END)]
    assert isinstance(source("http://x"), DeployLog)


def test_a_branch_is_called_by_its_commit_and_a_tag_by_its_name() -> None:
    project = Project()
    project.add("release/2.14", "a", 60, 58, 50)
    project.add("nightly", "b", 40, 38, 30, tag=True)
    project.add("main", "c", 20, None, None, job=False)
    project.add("v2.15", "d", 10, None, None, job=False)
    assert [one.ref for one in ask(project)[0]] == ["a" * 12, "nightly", "c" * 12, "v2.15"]


def test_a_deployment_without_a_job_has_the_time_of_its_record() -> None:
    project = Project()
    project.add("v2.14.0", "a", 60, None, None, job=False)
    ((deploy,), _) = ask(project)
    assert (deploy.at, deploy.time_kind, deploy.note) == (instant(60), TimeKind.EVENT_TIME, "production: v2.14.0")


def test_a_manual_job_counts_when_it_ran_and_not_when_it_was_made() -> None:
    project = Project()
    project.add("main", "a", 40 * 1440, 58, 50)
    ((deploy,), gaps) = ask(project)
    assert (deploy.at, gaps) == (instant(58), [])


@pytest.mark.parametrize(
    ("status", "started", "ended", "found"),
    [
        ("failed", 58, 50, [(False, "production: main, job deploy")]),
        ("failed", None, 50, [(False, "production: main, job deploy")]),
        ("canceled", 58, 50, [(False, "production: main, job deploy, canceled")]),
        ("canceled", None, 50, []),
        ("running", 58, None, [(True, "production: main, job deploy, in progress")]),
        ("created", None, None, []),
        ("blocked", None, None, []),
        ("skipped", None, None, []),
    ],
)
def test_a_status_says_what_became_of_it(
    status: str, started: float | None, ended: float | None, found: list[tuple[bool, str]]
) -> None:
    project = Project()
    project.add("main", "a", 60, started, ended, status=status)
    deploys, gaps = ask(project)
    assert ([(one.succeeded, one.note) for one in deploys], gaps) == (found, [])


def test_deploying_an_older_commit_again_is_a_rollback_also_where_it_was_older_than_the_window() -> None:
    project = Project()
    project.add("main", "a", 5 * 1440, 5 * 1440 - 1, 5 * 1440 - 2)
    project.add("main", "b", 4 * 1440, 4 * 1440 - 1, 4 * 1440 - 2)
    project.add("main", "a", 30, 29, 28)
    window = Window(start=NOON - timedelta(hours=1), end=NOON, anchor=Anchor("time", NOON), before=timedelta(hours=1))
    with peer(project) as server:
        (change,) = source(server.url).collect(window, Deadline(20))
    assert isinstance(change, Change)
    assert (change.summary, change.ref) == ("rollback: production: main, job deploy", "a" * 12)
    assert change.origin.query.startswith("GET /api/v4/projects/ops%2Fshop/deployments order_by=updated_at")


def test_only_the_environments_that_are_named_count() -> None:
    project = Project()
    for name in ("production", "prod-eu", "review/a"):
        project.add(f"v1.{len(name)}", "a", 60, 58, 50, environment=name, tag=True)
    assert [one.ref for one in ask(project)[0]] == ["v1.10"]
    assert project.asked[0]["environment"] == "production"
    assert {one.ref for one in ask(project, environments=("prod*",))[0]} == {"v1.10", "v1.7"}


def test_an_environment_that_never_was_deployed_to_is_told_from_a_quiet_one() -> None:
    project = Project()
    project.add("main", "a", 90 * 1440, 90 * 1440, 90 * 1440)
    assert ask(project) == ([], [])
    deploys, (gap,) = ask(project, environments=("prod",))
    assert (deploys, gap.detail) == ([], "nothing was ever deployed to prod")


def test_pages_are_read_to_their_end_and_a_limit_is_named() -> None:
    project = Project()
    for minutes in range(250, 0, -1):
        project.add(f"v1.{minutes}", f"{minutes:04x}", minutes, minutes, minutes, tag=True)
    project.between = lambda: project.add("v9.9", "9", 0, 0, 0, tag=True)  # pushes the others to the next page
    deploys, gaps = ask(project)
    assert gaps == []
    assert len({one.ref for one in deploys if one.ref != "v9.9"}) == 250
    assert len([one for one in deploys if one.ref != "v9.9"]) == 250
    project.between = None
    project.rows = [one for one in project.rows if one["ref"] != "v9.9"]
    deploys, (gap,) = ask(project, most=100)
    assert (len(deploys), gap.kind) == (100, GapKind.TRUNCATED)
    assert gap.detail.startswith("only the newest 100 were read, back to 2026-11-20 10:2")


def test_what_was_read_before_a_page_failed_is_kept() -> None:
    project = Project()
    for minutes in range(150, 0, -1):
        project.add(f"v1.{minutes}", f"{minutes:04x}", minutes, minutes, minutes, tag=True)

    def fail(sock: socket.socket, request: bytes) -> None:
        broken = answer(b"{}", "500 Internal Server Error") if b"&page=2&" in request else project
        broken(sock, request)

    with peer(fail) as server:
        evidence, _ = collect([("gitlab", source(server.url))], WINDOW, Scope())
    assert len(list(evidence.items(Change))) == 100
    assert [gap.kind for gap in evidence.gaps] == [GapKind.UNAVAILABLE]


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        ("404 Not Found", b'{"message":"404 Project Not Found"}', GapKind.REJECTED, "or this login may not see it"),
        ("403 Forbidden", b'{"message":"403 Forbidden"}', GapKind.UNAUTHORIZED, "403 Forbidden"),
        ("401 Unauthorized", b'{"message":"401 Unauthorized"}', GapKind.UNAUTHORIZED, "401 Unauthorized"),
        ("429 Too Many Requests", b"Retry later", GapKind.UNAVAILABLE, "rate limit is used up"),
    ],
)
def test_a_refusal_says_what_it_means(status: str, body: bytes, kind: GapKind, said: str) -> None:
    with peer(answer(body, status)) as server:
        evidence, _ = collect([("gitlab", source(server.url))], WINDOW, Scope())
    assert evidence.gaps[0].kind is kind
    assert said in evidence.gaps[0].detail


def test_a_private_token_never_leaves_the_server_it_is_for() -> None:
    with peer(Project()) as other:
        moved = answer(b"", "302 Found", "text/plain", f"Location: {other.url}/api/v4/projects/ops%2Fshop/deployments")
        with peer(moved) as server:
            login = Login(headers={"PRIVATE-TOKEN": Secret("CANARY-1")})
            evidence, _ = collect([("gitlab", source(server.url, auth=login))], WINDOW, Scope())
            assert b"CANARY-1" in server.requests[0]
        assert other.requests == []
    assert evidence.gaps[0].kind is GapKind.REJECTED
