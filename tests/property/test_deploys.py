"""Deploy logs behind HTTP: whatever the pages, no deploy is lost or comes twice; whatever the answer, no crash."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.errors import SourceError
from opsbrief.model.evidence import Gap, Origin
from opsbrief.model.window import TimeKind
from opsbrief.readers.deploys import argocd, forge, github, gitlab, grafana, kubernetes
from opsbrief.readers.deploys.capistrano import rollbacks
from opsbrief.readers.deploys.entry import Bad, Entry, ShapeError, with_rollbacks
from opsbrief.sources.gitlab import GitLab
from opsbrief.sources.grafana import Grafana
from opsbrief.transport.answer import Answer

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Params = Sequence[tuple[str, str]]


class Client:
    """A client without a network: rows, and how the server picks among them."""

    def __init__(self, pick: Callable[[dict[str, list[str]]], tuple[list[Any], bool]]) -> None:
        self.pick = pick
        self.asked = 0

    def get(self, path: str, params: Params, **_options: Any) -> Answer:
        form: dict[str, list[str]] = {}
        for name, value in params:
            form.setdefault(name, []).append(value)
        self.asked += 1
        rows, more = self.pick(form)
        headers = {"x-next-page": "2"} if more else {}
        return Answer(200, headers, json.dumps(rows).encode(), f"http://127.0.0.1{path}")


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=25), st.integers(1, 6))
def test_annotations_in_pages_that_have_no_numbers(stretches: Sequence[tuple[int, int]], page: int) -> None:
    base = round(NOON.timestamp() * 1000)
    made = [
        {"id": n, "time": base + at, "timeEnd": base + at + length, "text": f"1.{n}", "tags": ["deploy"]}
        for n, (at, length) in enumerate(stretches)
    ]

    def pick(form: dict[str, list[str]]) -> tuple[list[Any], bool]:
        start, end, limit = (int(form[name][0]) for name in ("from", "to", "limit"))
        inside = [one for one in made if one["time"] <= end and one["timeEnd"] >= start]  # type: ignore[operator] # reason: both numbers
        return sorted(inside, key=lambda one: (-one["timeEnd"], -one["time"]))[:limit], False  # type: ignore[operator] # reason: same

    client: Any = Client(pick)
    source = Grafana(name="g", url="http://127.0.0.1", page=page)
    found = list(source._annotations(client, NOON, NOON + timedelta(seconds=1), ("deploy",)))  # noqa: SLF001 - no sockets
    got = [one[0].id for one in found if not isinstance(one, Gap)]
    assert len(got) == len({*got})
    assert client.asked <= 20
    if not any(isinstance(one, Gap) for one in found):
        assert {*got} == {one["id"] for one in made}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 10_000), max_size=450), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_deployments_in_pages_that_move_while_they_are_read(minutes: list[int], fresh: list[int]) -> None:
    def row(number: int, ago: int) -> dict[str, Any]:
        at = f"{NOON - timedelta(minutes=ago):%Y-%m-%dT%H:%M:%SZ}"
        return {
            "id": number, "status": "success", "created_at": at, "updated_at": at, "ref": "main",
            "sha": f"{number:040x}", "environment": {"name": "production"},
        }  # fmt: skip

    made = [row(number, ago) for number, ago in enumerate(minutes)]
    rows = list(made)
    coming = iter(fresh)

    def pick(form: dict[str, list[str]]) -> tuple[list[Any], bool]:
        rows.sort(key=lambda one: (one["updated_at"], one["id"]), reverse=True)
        first = int(form["page"][0]) * 100 - 100
        page, more = rows[first : first + 100], len(rows) > first + 100
        rows.extend(row(10_000 + len(rows), 0) for _ in range(next(coming, 0)))
        return page, more

    source = GitLab(name="g", project="1", environments=("production",))
    client: Any = Client(pick)
    found = list(source._told(client, NOON - timedelta(days=9)))  # noqa: SLF001 - no sockets
    entries = [one.same for one in found if isinstance(one, Entry)]
    assert len(entries) == len({*entries})
    assert {*entries} >= {one["sha"] for one in made}


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("2026-11-20T12:00:00Z")
)
WORDS = """
id time timeEnd tags text created_at updated_at finished_at deployable started_at environment name status state sha
ref metadata spec template annotations labels containers conditions managedFields ownerReferences controller uid
type message fieldsV1 revision data history deployedAt operationState operation sync syncResult resources
revisions source targetRevision phase startedAt creationTimestamp
"""
names = st.sampled_from(WORDS.split())
documents = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8))
ORIGIN = Origin(source="s", query="q")


@settings(deadline=None, max_examples=300)
@given(documents)
def test_no_answer_is_a_crash(document: Any) -> None:
    for read in (grafana.annotation, github.deployment, github.status, gitlab.deployment, kubernetes.revision):
        try:
            read(document)
        except ShapeError:
            continue
    way = argocd.Way(name="shop", late=False, names=True)
    argocd.history(way, document, ORIGIN, Bad("s", "sync"))
    owner = {"controller": True, "uid": "u"}
    revision = {
        "metadata": {"ownerReferences": [owner], "creationTimestamp": "2026-11-20T12:00:00Z"},
        "revision": 1, "spec": {"template": document},
    }  # fmt: skip
    kept = kubernetes.revision(revision)
    assert kept
    metadata = {"name": "shop", "uid": "u"}
    objects = (
        {"status": document},
        {"status": {"conditions": [document]}},
        {"metadata": {"managedFields": [document]}},
    )
    for part in objects:
        try:
            one = kubernetes.workload("Deployment", {**part, "metadata": {**part.get("metadata", {}), **metadata}})
        except ShapeError:
            continue
        assert len(list(kubernetes.told(one, [kept], ORIGIN))) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_a_rollback_brings_back_what_had_been_replaced(steps: list[tuple[str, bool]]) -> None:
    entries = [
        Entry(at=NOON + timedelta(minutes=n), ref=ref, note="", kind=TimeKind.EVENT_TIME, origin=ORIGIN, succeeded=good)
        for n, (ref, good) in enumerate(steps)
    ]
    found = with_rollbacks(reversed(entries))
    assert [one.at for one in found] == [one.at for one in entries]
    done: list[str] = []
    for one in found:
        assert one.rollback is (one.ref in done and done[-1] != one.ref)
        if one.succeeded:
            done.append(one.ref)


@given(st.integers(1, 5))
def test_pages_stop_at_the_last_and_at_the_limit(most: int) -> None:
    asked: list[int] = []

    def ask(page: int) -> Answer:
        asked.append(page)
        return Answer(200, {"link": '<x>; rel="next"'} if page < 3 else {}, b"[]", "http://x")

    pages = forge.Pages(ask, most)
    assert len(list(pages)) == min(most, 3)
    assert asked == [*range(1, min(most, 3) + 1)]
    assert pages.more is (most < 3)


lines = st.lists(
    st.tuples(st.sampled_from(["deploy", "rollback", "noise"]), st.integers(0, 9)).map(
        lambda pair: {
            "deploy": f"Branch main (at {pair[1]:07x}) deployed as release 2026030616041{pair[1]} by ops",
            "rollback": f"ops rolled back to release 2026030616041{pair[1]}",
            "noise": "# nothing",
        }[pair[0]]
    ),
    max_size=12,
)


@given(lines, st.booleans())
def test_every_rollback_of_capistrano_is_found_once(log: list[str], end: bool) -> None:  # noqa: FBT001 - drawn
    found = sorted(one.raw for one in rollbacks(log, end=end))
    assert found == sorted(line for line in log if "rolled back" in line)
    assert sum(one.newest for one in rollbacks(log, end=end)) <= 1


@given(
    st.integers(200, 599), st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset"]), st.text(max_size=9))
)
def test_a_status_is_taken_or_explained(status: int, headers: dict[str, str]) -> None:
    answer = Answer(status, headers, b"{}", "http://x")
    if status < 400:
        assert forge.accepted(answer, "repository a/b") is answer
    else:
        with pytest.raises(SourceError, match=r"repository a/b|rate limit"):
            forge.accepted(answer, "repository a/b")
