"""The GitHub source against a peer that keeps deployments.

The answers are invented after GitHub's OpenAPI description, by which they are valid (list-deployments and
list-deployment-statuses), and its documentation (rest/using-the-rest-api/rate-limits); it was not asked itself.
"""

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.contract.peer import answer, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.secret import Secret
from opsbrief.source import DeployLog, Login
from opsbrief.sources.github import GitHub
from opsbrief.transport.deadline import Deadline

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=30)
SHAS = {name: f"{number:x}" * 40 for number, name in enumerate("abcdef", 10)}


def at(minutes: float) -> str:
    """Return the text of a time that many minutes before noon."""
    return f"{NOON - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def status(state: str, minutes: float, note: str = "") -> dict[str, Any]:
    return {
        "url": "https://api.github.com/repos/ops/shop/deployments/1/statuses/1", "id": 1, "node_id": "x",
        "state": state, "creator": None, "description": note, "environment": "production",
        "target_url": "https://ci.example/1", "created_at": at(minutes), "updated_at": at(minutes),
        "deployment_url": "https://api.github.com/repos/ops/shop/deployments/1",
        "repository_url": "https://api.github.com/repos/ops/shop", "environment_url": "", "log_url": "",
    }  # fmt: skip


class Forge:
    """Deployments in the order that GitHub lists them: the newest first."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.statuses: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.between: Any = None  # done after a page of the list was given

    def add(
        self, ref: str, sha: str, minutes: float, *states: dict[str, Any], environment: str = "production", **more: Any
    ) -> None:
        number = len(self.rows) + 1
        touched = max([at(minutes), *(one["created_at"] for one in states)])
        row = {
            "url": f"https://api.github.com/repos/ops/shop/deployments/{number}", "id": number, "node_id": "x",
            "sha": SHAS.get(sha, sha), "ref": ref, "task": "deploy", "payload": {}, "environment": environment,
            "original_environment": environment, "description": None, "creator": None,
            "created_at": at(minutes), "updated_at": touched, "repository_url": "https://api.github.com/repos/ops/shop",
            "statuses_url": "https://elsewhere.example/statuses", "transient_environment": False,
            "production_environment": True, **more,
        }  # fmt: skip
        self.rows.insert(0, row)
        self.statuses[number] = list(reversed(states))  # newest first

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        target = request.split()[1].decode()
        self.asked.append(target)
        path, _, query = target.partition("?")
        form = {key: values[0] for key, values in parse_qs(query).items()}
        parts = path.strip("/").split("/")
        assert parts[:4] == ["repos", "ops", "shop", "deployments"]
        assert form["per_page"] == "100"
        if len(parts) == 6:
            return answer(json.dumps(self.statuses[int(parts[4])]).encode())(sock, request)
        rows = [one for one in self.rows if not one or form.get("environment") in {None, one["environment"]}]
        page = int(form["page"])
        more = len(rows) > page * 100
        link = ['Link: <https://elsewhere.example/repos?page=9>; rel="next", <https://x/>; rel="last"'] if more else []
        body = json.dumps(rows[page * 100 - 100 : page * 100]).encode()
        answer(body, "200 OK", "application/json", *link)(sock, request)
        if self.between:
            self.between()
        return None


def source(url: str, **options: Any) -> GitHub:
    return GitHub(**{"name": "gh", "url": url, "repository": "ops/shop", "environments": ("production",), **options})


def ask(store: Any, since: datetime = SINCE, **options: Any) -> tuple[list[Deploy], list[Gap]]:
    with peer(store) as server:
        found = list(source(server.url, **options).deploys(since, NOON, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def test_a_deploy_that_succeeded_has_a_start_and_an_end() -> None:
    forge = Forge()
    forge.add("v2.14.0", "a", 60, status("queued", 59), status("in_progress", 58), status("success", 50))
    note = "production: v2.14.0"
    assert ask(forge) == ([Deploy(NOON - timedelta(minutes=58), "v2.14.0", note, "gh", TimeKind.DEPLOY_START)], [])
    assert ask(forge, time="end")[0][0] == Deploy(
        NOON - timedelta(minutes=50), "v2.14.0", note, "gh", TimeKind.DEPLOY_END
    )
    assert isinstance(source("http://x"), DeployLog)


def test_what_later_became_inactive_had_succeeded() -> None:
    forge = Forge()
    forge.add("main", "a", 60, status("success", 50), status("inactive", 10))
    assert ask(forge) == (
        [Deploy(NOON - timedelta(minutes=50), SHAS["a"][:12], "production: main", "gh", TimeKind.DEPLOY_END)],
        [],
    )


@pytest.mark.parametrize("state", ["failure", "error"])
def test_a_failed_one_is_marked_as_such(state: str) -> None:
    forge = Forge()
    forge.add("v2.14.0", "a", 60, status("in_progress", 58), status(state, 50, "no space left"))
    ((deploy,), gaps) = ask(forge)
    assert (deploy.succeeded, deploy.note, gaps) == (False, "production: no space left", [])


def test_what_is_under_way_counts_and_what_waits_does_not() -> None:
    forge = Forge()
    forge.add("v2.14.0", "a", 60, status("in_progress", 58))
    forge.add("v2.15.0", "b", 30, status("queued", 29), status("pending", 28))
    ((deploy,), gaps) = ask(forge)
    assert (deploy.ref, deploy.note, deploy.succeeded) == ("v2.14.0", "production: v2.14.0, in progress", True)
    assert deploy.time_kind is TimeKind.DEPLOY_START
    assert gaps == []


def test_a_deployment_without_a_status_was_created_and_nothing_more_is_known() -> None:
    forge = Forge()
    forge.add("v2.14.0", "a", 60)
    deploys, (gap,) = ask(forge)
    assert (deploys, gap.kind) == ([], GapKind.UNAVAILABLE)
    assert gap.detail.startswith("1 deployment without any status")


def test_deploying_an_older_commit_again_is_a_rollback() -> None:
    forge = Forge()
    for minutes, sha in ((90, "a"), (80, "b"), (70, "b"), (60, "a"), (50, "a")):
        forge.add("main", sha, minutes, status("success", minutes - 1))
    forge.add("main", "c", 40, status("failure", 39))
    forge.add("main", "c", 30, status("success", 29))
    forge.add("main", "a", 20, status("success", 19), task="deploy:rollback")
    deploys, _ = ask(forge)
    assert [one.rollback for one in deploys] == [False, False, False, True, False, False, False, True]


def test_a_window_knows_what_was_deployed_before_it() -> None:
    forge = Forge()
    for minutes, sha in ((5 * 1440, "a"), (4 * 1440, "b"), (30, "a")):
        forge.add("main", sha, minutes, status("success", minutes - 1))
    window = Window(start=NOON - timedelta(hours=1), end=NOON, anchor=Anchor("time", NOON), before=timedelta(hours=1))
    with peer(forge) as server:
        ((change,), gaps) = split(source(server.url).collect(window, Deadline(20)))
    assert gaps == []
    assert (change.kind, change.summary, change.role) == ("deploy", "rollback: production: main", "application")
    assert change.origin.query == "GET /repos/ops/shop/deployments/3/statuses"
    assert change.time_kind is TimeKind.DEPLOY_END


def test_older_deployments_are_only_asked_about_when_one_of_them_may_have_come_back() -> None:
    forge = Forge()
    for minutes, sha in ((5 * 1440, "a"), (4 * 1440, "b"), (30, "c")):
        forge.add("main", sha, minutes, status("success", minutes - 1))
    assert len(ask(forge, NOON - timedelta(hours=1))[0]) == 1
    assert len(forge.asked) == 2


def split(found: Any) -> tuple[list[Change], list[Gap]]:
    found = list(found)
    return [one for one in found if isinstance(one, Change)], [one for one in found if isinstance(one, Gap)]


def test_only_the_environments_that_are_named_count() -> None:
    forge = Forge()
    for name in ("production", "prod-eu", "staging"):
        forge.add(f"v1.{len(name)}", name, 60, status("success", 50), environment=name)
    assert [one.ref for one in ask(forge)[0]] == ["v1.10"]
    assert "environment=production" in forge.asked[0]
    deploys, _ = ask(forge, environments=("prod*",))
    assert {one.note for one in deploys} == {"production: v1.10", "prod-eu: v1.7"}


def test_an_environment_that_never_was_deployed_to_is_said() -> None:
    forge = Forge()
    forge.add("v1", "a", 60, status("success", 50), environment="prod")
    deploys, (gap,) = ask(forge)
    assert (deploys, gap.detail, gap.hint) == (
        [], "nothing was ever deployed to production", "check the names in environments"
    )  # fmt: skip


def test_statuses_are_asked_for_the_newest_only_and_the_rest_is_named() -> None:
    forge = Forge()
    for minutes in range(50, 0, -1):
        forge.add(f"v1.{minutes}", f"{minutes:040x}", minutes, status("success", minutes - 0.5))
    deploys, (gap,) = ask(forge, most=10)
    assert len(deploys) == 10
    assert gap.kind is GapKind.TRUNCATED
    assert gap.detail == "40 made at or before 2026-11-20 11:49:00 UTC were not asked"


def test_pages_end_where_nothing_can_be_of_the_range_any_more() -> None:
    forge = Forge()
    for days in range(500, 0, -1):
        forge.add(f"v1.{days}", f"{days:040x}", days * 1440, status("success", days * 1440 - 1))
    deploys, gaps = ask(forge, NOON - timedelta(days=2))
    assert ([one.ref for one in deploys], gaps) == (["v1.2", "v1.1"], [])
    assert len([one for one in forge.asked if "page=100&page=" in one]) == 2


def test_a_deployment_that_is_made_meanwhile_costs_none() -> None:
    forge = Forge()
    for minutes in range(250, 0, -1):
        forge.add(f"v1.{minutes}", f"{minutes:040x}", minutes, status("success", minutes - 0.5))

    def fresh() -> None:
        forge.add("v9", "9" * 40, 0, status("success", 0))

    forge.between = fresh
    deploys, gaps = ask(forge, most=500)
    assert len({one.ref for one in deploys}) == len(deploys) >= 250
    assert gaps == []


def test_the_addresses_in_answers_are_not_followed() -> None:
    forge = Forge()
    for minutes in range(150, 0, -1):
        forge.add(f"v1.{minutes}", f"{minutes:040x}", minutes, status("success", minutes))
    deploys, gaps = ask(forge, most=200)  # Link and statuses_url name another server, which does not exist
    assert (len(deploys), gaps) == (150, [])


def told(status: str, body: bytes, *headers: str) -> Gap:
    with peer(answer(body, status, "application/json", *headers)) as server:
        evidence, _ = collect([("github", source(server.url))], WINDOW, Scope())
    return evidence.outcomes[0].gaps[0]


WINDOW = Window(start=SINCE, end=NOON, anchor=Anchor("time", SINCE), before=timedelta(hours=1))


def test_a_private_repository_may_hide_behind_404() -> None:
    gap = told("404 Not Found", b'{"message": "Not Found", "status": "404"}')
    assert gap.kind is GapKind.REJECTED
    assert "or this login may not see it" in gap.detail


@pytest.mark.parametrize("code", ["403 Forbidden", "429 Too Many Requests"])
def test_a_used_up_rate_limit_says_until_when(code: str) -> None:
    reset = int(time.time()) + 1800
    body = b'{"message": "API rate limit exceeded for 192.0.2.1."}'
    gap = told(code, body, "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {reset}")
    assert gap.kind is GapKind.UNAVAILABLE
    assert f"until {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M:%S} UTC" in gap.detail


def test_a_token_without_the_right_is_told_from_a_limit() -> None:
    gap = told("403 Forbidden", b'{"message": "Resource not accessible by personal access token"}')
    assert gap.kind is GapKind.UNAUTHORIZED
    assert "not accessible" in gap.detail


def test_what_is_no_deployment_costs_no_good_one() -> None:
    forge = Forge()
    forge.add("v1", "a", 60, status("success", 50))
    forge.rows += [{}, {**forge.rows[0], "id": 7, "created_at": "2026-11-20 12:00"}]
    forge.statuses[1].append({"state": "success", "created_at": 7})
    deploys, (gap,) = ask(forge)
    assert ([one.ref for one in deploys], gap.kind, gap.what) == (["v1"], GapKind.BAD_ANSWER, "3 deployments")


def test_a_repository_that_is_none_is_refused_before_anything_is_asked() -> None:
    forge = Forge()
    with peer(forge) as server:
        evidence, _ = collect([("github", source(server.url, repository="../admin"))], WINDOW, Scope())
    assert (evidence.gaps[0].kind, forge.asked) == (GapKind.REJECTED, [])


def test_the_token_goes_to_the_server_and_not_to_where_it_points() -> None:
    with peer(Forge()) as other:
        moved = answer(b"", "301 Moved Permanently", "text/plain", f"Location: {other.url}/repos/ops/shop/deployments")
        with peer(moved) as server:
            login = Login(bearer=Secret("CANARY-1"), headers={"X-Canary": Secret("CANARY-2")})
            evidence, _ = collect([("github", source(server.url, auth=login))], WINDOW, Scope())
            assert b"Bearer CANARY-1" in server.requests[0]
        assert other.requests == []
    assert evidence.gaps[0].kind is GapKind.REJECTED
