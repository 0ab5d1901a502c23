"""The log source without a server: names, layouts, lines, counting, and answers that are not whole."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.peer import Peer, answer, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import LogSample, Outcome
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.readers.search import cluster, fields, names, query, sampling, turns
from opsbrief.readers.search.lines import Reader, flat, instant, severity
from opsbrief.secret import Secret
from opsbrief.source import Login
from opsbrief.sources.elasticsearch import Elasticsearch
from opsbrief.transport.deadline import Deadline

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
AUTO = fields.layout("auto")
READER = Reader(AUTO, "@timestamp")


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "start", "hours", "expected"),
    [
        ("logstash-*", 10, 1, ["logstash-*"]),
        ("logstash-%Y.%m.%d", 10, 1, ["logstash-2026.11.20"]),
        ("logstash-%Y.%m.%d", 23, 2, ["logstash-2026.11.20", "logstash-2026.11.21"]),
        ("logstash-%Y.%m.%d", 23, 1, ["logstash-2026.11.20"]),  # ends at midnight: the next day has nothing of it
        ("a-%Y.%m.%d.%H", 23, 2, ["a-2026.11.20.23", "a-2026.11.21.00"]),
        ("a-%Y.%m,b", 10, 24 * 20, ["a-2026.11", "a-2026.12", "b"]),
        ("a-%G.%V", 10, 24 * 3, ["a-2026.47", "a-2026.48"]),
        ("a , -a-debug*,", 10, 1, ["a", "-a-debug*"]),
        ("", 10, 1, []),
    ],
)
def test_an_index_expression_is_spelled_out(index: str, start: int, hours: int, expected: list[str]) -> None:
    at = START.replace(hour=start)
    assert list(names.expand(index, at, at + timedelta(hours=hours))) == expected


def test_days_are_days_of_utc() -> None:
    evening = datetime.fromisoformat("2026-11-20T23:30:00-05:00")
    assert list(names.expand("l-%Y.%m.%d", evening, evening + timedelta(minutes=10))) == ["l-2026.11.21"]


def test_a_dated_name_comes_with_the_instant_from_which_on_lines_go_there() -> None:
    at = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
    assert names.expand("l-%Y.%m.%d", at, at + timedelta(hours=1)) == {"l-2026.11.20": at.replace(hour=0, minute=0)}
    assert names.expand("l-%Y.%m", at, at + timedelta(hours=1)) == {"l-2026.11": datetime(2026, 11, 1, tzinfo=UTC)}


def test_a_path_that_would_be_too_long_asks_with_wildcards() -> None:
    many = list(names.expand("logstash-%Y.%m.%d", START, START + timedelta(days=365)))
    assert names.joined("logstash-%Y.%m.%d", many) == "logstash-*"
    assert names.joined("x", ["<logstash-{now/d}>", "b*", "remote:c"]) == "%3Clogstash-%7Bnow%2Fd%7D%3E,b*,remote%3Ac"


# --- fields ---------------------------------------------------------------------------------------


def caps(**kinds: str | tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a _field_caps answer; text cannot be aggregated."""
    return {
        name.replace("__", "."): {
            kind: {"type": kind, "aggregatable": kind != "text"}
            for kind in ((given,) if isinstance(given, str) else given)
        }
        for name, given in kinds.items()
    }


def test_the_time_field_must_be_a_date_somewhere() -> None:
    assert fields.mapped(AUTO, caps(timestamp="date")).time == "timestamp"
    both = fields.mapped(AUTO, {"@timestamp": caps(x=("date", "date_nanos"))["x"]})
    assert (both.time, both.nanos) == ("@timestamp", True)
    wrong = fields.mapped(AUTO, caps(timestamp="keyword"))
    assert (wrong.time, wrong.wrong) == ("", "timestamp is keyword")
    assert fields.mapped(AUTO, {"@timestamp": ["what"]}).time == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (caps(level="keyword"), [("level", True)]),
        (caps(level="text", level__keyword="keyword"), [("level.keyword", True)]),
        (caps(level="text"), [("level", False)]),
        (caps(level=("text", "keyword")), [("level", False)]),
        (caps(level="long", severity="object"), [("level", True)]),
        (caps(log__level="keyword", level="keyword"), [("log.level", True), ("level", True)]),
        (caps(level="keyword") | {"log.level": {"keyword": {"aggregatable": True, "non_aggregatable_indices": ["b"]}}},
         [("log.level", False), ("level", True)]),
        ({}, []),
    ],
)  # fmt: skip
def test_levels_are_counted_where_the_server_can_count_them(
    found: dict[str, Any], expected: list[tuple[str, bool]]
) -> None:
    assert [(level.field, level.terms) for level in fields.mapped(AUTO, found).levels] == expected


def test_named_fields_replace_the_layouts() -> None:
    chosen = fields.given(fields.layout("ecs"), time="ts", message="", level="prio")
    assert (chosen.time, chosen.level, chosen.message) == (("ts",), ("prio",), fields.ECS.message)
    assert len(chosen.names()) == len(set(chosen.names()))


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "level"),
    [("err", "ERROR"), ("SEVERE", "ERROR"), ("Warning", "WARN"), ("notice", "INFO"), ("crit", "FATAL"),
     ("INFO3", "INFO"), ("E", "ERROR"), (3, "ERROR"), ("3", "ERROR"), (50, "ERROR"), (30.0, "INFO"),
     (7, "DEBUG"), ("finest", "TRACE"),
     ("", ""), ("purple", ""), (None, ""), ([], ""), (float("nan"), ""), (True, "")],
)  # fmt: skip
def test_levels_have_one_spelling(written: object, level: str) -> None:
    assert severity(written) == level


@pytest.mark.parametrize(
    ("written", "stored", "expected"),
    [
        ("2026-11-20T10:00:00.123456789Z", None, "2026-11-20T10:00:00.123456+00:00"),
        ("2026-11-20T11:00:00+01:00", None, "2026-11-20T10:00:00+00:00"),
        ("2026-11-20T10:00:00", None, "2026-11-20T10:00:00+00:00"),  # without a zone the servers mean UTC
        ("2026-11-20 10:00:00,5", None, "2026-11-20T10:00:00.500000+00:00"),
        ("20/Nov/2026:10:00:00", "1795168800000", "2026-11-20T10:00:00+00:00"),
        (1795168800, "1795168800000", "2026-11-20T10:00:00+00:00"),
        ("1795168800123.456789", "1795168800123.456789", "2026-11-20T10:00:00.123457+00:00"),
        ("2026-99-99T00:00:00Z", None, None),
        ("0001-01-01T00:00:00+14:00", "x", None),
        (None, float("inf"), None),
        (None, "9" * 400, None),
    ],
)
def test_times_are_read_as_written_else_as_stored(written: object, stored: object, expected: str | None) -> None:
    found = instant(written, stored)
    assert (found.isoformat() if found else None) == expected


def hit(**source: Any) -> dict[str, Any]:
    return {"_source": {"@timestamp": "2026-11-20T10:00:00Z", **source}}


def read(**source: Any) -> Any:
    return READER.record(hit(**source))


def test_a_stack_trace_belongs_to_its_line_once() -> None:
    assert read(message="broke", error={"stack_trace": "E\n at x"}).body == "broke\nE\n at x"
    assert read(message="broke\nE\n at x", stack_trace="E\n at x").body == "broke\nE\n at x"
    assert read(exception="E").body == "E"


def test_messages_of_every_shape_become_text() -> None:
    assert read(message=["a", "b"]).body == "a\nb"
    assert read(message=17).body == "17"
    assert read(body={"event": "paid", "amount": 3}).body == '{"amount": 3, "event": "paid"}'
    assert read(message={}, msg="x").body == "x"
    assert read().body == ""


def test_foreign_text_enters_through_the_door() -> None:
    entry = read(message="a\x1b[31mb\u202e\ud800", host="h\x1b]0;x\x07", service="s\nt")
    assert entry.body == "a\\x1b[31mb\\u202e\\ud800"
    assert entry.resource == {"host.name": "h\\x1b]0;x\\x07", "service.name": "s t"}
    assert len(read(message="x" * 50_000).body) < 9000


def test_a_line_without_a_time_is_none() -> None:
    assert READER.record({"_source": {"message": "x"}}) is None
    assert READER.record({"_source": None, "fields": []}) is None
    stored = {"_source": {"message": "x"}, "fields": {"@timestamp": ["1795168800000"]}}
    assert READER.record(stored).timestamp == START  # type: ignore[union-attr] # reason: not None here


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*AUTO.names(), "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_document_breaks_the_reader(source: Any, stored: Any) -> None:
    found = READER.record({"_source": source, "fields": stored})
    assert found is None or found.timestamp.tzinfo is UTC


@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), st.integers() | st.text(), min_size=1))
def test_dotted_and_nested_names_are_the_same(leaves: dict[str, Any]) -> None:
    assert flat({"x": leaves}) == flat({f"x.{name}": value for name, value in leaves.items()})


# --- counting and drawing -------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=3), st.integers(1, 5000))
def test_shares_use_the_limit_and_never_more_than_there_is(counts: list[int], limit: int) -> None:
    quotas = sampling.shares(counts, limit)
    assert sum(quotas) == min(limit, sum(counts))
    assert all(0 <= quota <= count for quota, count in zip(quotas, counts, strict=True))


def test_rare_errors_are_all_taken_and_floods_of_them_are_not() -> None:
    assert sampling.shares([10, 20, 100_000], 1000) == [10, 20, 970]
    assert sampling.shares([90_000, 20, 100_000], 1000) == [500, 20, 480]


@pytest.mark.parametrize(("hours", "width"), [(1, 60), (25, 60), (26, 120), (24 * 14, 900), (24 * 400, 43200)])
def test_buckets_grow_with_the_stretch(hours: int, width: int) -> None:
    assert query.step(hours * 3600) == width


def volume(*buckets: Mapping[str, Any], end: datetime = END) -> query.Volume:
    return query.Volume({"aggregations": {"volume": {"buckets": list(buckets)}}}, START, end, 60)


def bucket(minute: float, count: Any, **levels: int) -> dict[str, Any]:
    key = (START.timestamp() + minute * 60) * 1000
    inner = [{"key": name, "doc_count": number} for name, number in levels.items()]
    return {"key": key, "doc_count": count, "level": {"buckets": inner}}


def test_lines_without_a_known_level_are_counted_as_such() -> None:
    found = volume(bucket(0, 10, err=2, ERROR=1, odd=3), bucket(59, 4)).scaled({})
    assert (found.start, found.step) == (int(START.timestamp()), 60)
    assert {name: (row[0], row[59], len(row)) for name, row in found.counts.items()} == {
        "ERROR": (3, 0, 60),
        "": (7, 4, 60),
    }


def test_a_histogram_of_nonsense_is_refused_or_ignored_but_never_breaks() -> None:
    assert (
        volume(bucket(-1, 5), bucket(60, 5), bucket(0, "many"), bucket(0, 10**30), bucket(0, -3)).scaled({}).counts
        == {}
    )
    assert sum(volume(bucket(0, 2, err=2, info=2)).scaled({}).counts["ERROR"]) == 2  # two levels: counted once
    for key in (None, "x", float("inf"), float("nan"), [1]):
        with pytest.raises(SourceError):
            volume({"key": key, "doc_count": 1})


def test_a_stretch_that_starts_within_a_minute_keeps_its_first_lines() -> None:
    start, end = START + timedelta(seconds=30), START + timedelta(minutes=2, seconds=1)
    first = {"key": START.timestamp() * 1000, "doc_count": 1}
    last = {"key": (START.timestamp() + 120) * 1000, "doc_count": 2}
    found = query.Volume({"aggregations": {"volume": {"buckets": [first, last]}}}, start, end, 60).scaled({})
    assert (found.start, found.counts) == (int(START.timestamp()), {"": (1, 0, 2)})


# --- answers that are not whole -------------------------------------------------------------------


def test_a_200_can_hide_three_kinds_of_loss() -> None:
    found = {
        "_shards": {"total": 15, "failed": 3, "failures": [{"reason": {"type": "t", "reason": "no \x1b memory"}}]},
        "timed_out": True,
        "_clusters": {"total": 2, "skipped": 1},
        "hits": {"total": {"value": 7, "relation": "eq"}},
    }
    said = cluster.shortfalls(found)
    assert [sentence[:22] for sentence in said] == [
        "3 of 15 shards failed:",
        "the cluster stopped co",
        "1 of 2 remote clusters",
    ]
    assert cluster.total(found) == (7, False)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [({"total": 7}, (7, True)), ({"total": {"value": 10_000, "relation": "gte"}}, (10_000, False)),
     ({"total": {"value": 7}}, (7, True))],
)  # fmt: skip
def test_totals_of_both_forms(hits: dict[str, Any], expected: tuple[int, bool]) -> None:
    assert cluster.total({"hits": hits}) == expected


@pytest.mark.parametrize("wrong", [None, "7", -1, [], {"value": None}, float("nan")])
def test_a_total_that_is_no_number_is_a_bad_answer(wrong: object) -> None:
    with pytest.raises(SourceError) as caught:
        cluster.total({"hits": {"total": wrong}})
    assert caught.value.kind is GapKind.BAD_ANSWER


class Fake:
    """A cluster of scripted answers: by method and path, the last rule that matches."""

    def __init__(self, rows: int = 3, **rules: Any) -> None:
        self.rows = rows
        self.rules: dict[str, Callable[[dict[str, Any]], tuple[int, object]]] = rules
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        head, _, raw = request.partition(b"\r\n\r\n")
        method, target, _ = head.decode().split("\r\n")[0].split(" ")
        path = target.partition("?")[0].lstrip("/")
        body = json.loads(raw.splitlines()[0] if raw else b"{}")
        self.asked.append((method, path, body))
        status, said = self.reply(method, path, body)
        answer(json.dumps(said).encode(), f"{status} X")(sock, request)

    def reply(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, object]:
        for name, rule in self.rules.items():
            if re.fullmatch(name.replace("__", ".*"), f"{method}_{re.sub('[^a-z]', '_', path)}"):
                return rule(body)
        if path.endswith("_field_caps"):
            return 200, {"fields": caps(**{"@timestamp": "date"})}
        if method == "DELETE":
            return 200, {}
        return 200, self.page(0, min(body.get("size", 0), self.rows))

    def page(self, first: int, last: int) -> dict[str, Any]:
        rows = [{**hit(message=f"line {number}"), "sort": [number]} for number in range(first, last)]
        return {"_shards": {"total": 1}, "hits": {"total": {"value": self.rows, "relation": "eq"}, "hits": rows}}


def ask(server: Peer, **options: Any) -> Outcome:
    logs, start, end = options.pop("logs", Logs()), options.pop("start", START), options.pop("end", END)
    source = Elasticsearch(name="logs", url=server.url, scope=Scope(logs=(logs,)), **{"index": "l", **options})
    window = Window(start=start, end=end, anchor=Anchor("time", start), before=timedelta(0))
    evidence, _ = collect([("elasticsearch", source)], window, source.scope)
    (outcome,) = evidence.outcomes
    assert not outcome.traceback, outcome.traceback
    return outcome


def test_an_api_key_goes_into_its_header() -> None:
    with peer(Fake()) as server:
        outcome = ask(server, auth=Login(api_key=Secret("a2V5")))
        assert not outcome.gaps
        assert all(b"\r\nAuthorization: ApiKey a2V5\r\n" in request for request in server.requests)


def test_a_partial_answer_is_kept_and_named() -> None:
    def partial(_body: dict[str, Any]) -> tuple[int, object]:
        return 200, {**Fake().page(0, 3), "timed_out": True, "_shards": {"total": 5, "failed": 2}}

    with peer(Fake(POST_l__search=partial)) as server:
        outcome = ask(server)
    (sample,) = outcome.items
    assert isinstance(sample, LogSample)
    assert (sample.total, sample.total_is_exact, len(sample.records)) == (3, False, 3)
    assert {gap.kind for gap in outcome.gaps} == {GapKind.TRUNCATED}
    assert any("2 of 5 shards failed" in gap.detail for gap in outcome.gaps)


def pit(fake: Fake, later: Callable[[dict[str, Any]], tuple[int, object]]) -> Fake:
    """Let ``fake`` give its first page of a point in time, and ``later`` for the next ones."""

    def page(body: dict[str, Any]) -> tuple[int, object]:
        return later(body) if "search_after" in body else (200, fake.page(0, body["size"]))

    fake.rules = {"POST_l__search_point_in_time": lambda _body: (200, {"pit_id": "p"}), "POST__search": page}
    return fake


def test_a_lost_point_in_time_keeps_what_was_read_and_is_closed() -> None:
    cause = {"type": "search_context_missing_exception", "reason": "No search context found"}
    error = {"error": {"type": "search_phase_execution", "reason": "all shards failed", "root_cause": [cause]}}
    fake = pit(Fake(rows=2000), lambda _body: (404, error))
    with peer(fake) as server:
        outcome = ask(server, page=600)
    (sample,) = outcome.items
    assert isinstance(sample, LogSample)
    assert (sample.total, len(sample.records)) == (2000, 500)
    (gap,) = outcome.gaps
    assert gap.kind is GapKind.UNAVAILABLE
    assert "No search context found" in gap.detail
    assert fake.asked[-1] == ("DELETE", "_search/point_in_time", {"pit_id": ["p"]})


def test_a_server_that_never_moves_on_is_not_asked_for_ever() -> None:
    fake = Fake(rows=2000)
    pit(fake, lambda body: (200, fake.page(500 - body["size"], 500)))
    with peer(fake) as server:
        outcome = ask(server, page=600)
    assert [gap.kind for gap in outcome.gaps] == [GapKind.BAD_ANSWER]
    assert fake.asked[-1][0] == "DELETE"


def test_a_login_without_the_right_to_a_point_in_time_scrolls() -> None:
    fake = Fake(rows=700)
    forbidden = lambda _body: (403, {"error": "no permissions"})  # noqa: E731 - three rules say the same
    given = iter([(0, 500), (500, 700), (700, 700)])

    def turn(_body: dict[str, Any]) -> tuple[int, object]:
        return 200, {**fake.page(*next(given)), "_scroll_id": "s"}

    def first(body: dict[str, Any]) -> tuple[int, object]:
        return turn(body) if "sort" in body and "aggs" not in body else (200, fake.page(0, min(body["size"], 600)))

    fake.rules = {"POST_l__pit": forbidden, "POST_l__search_point_in_time": forbidden, "POST_l__search": first,
                  "POST__search_scroll": turn}  # fmt: skip
    with peer(fake) as server:
        outcome = ask(server, page=600)
    (sample,) = outcome.items
    assert isinstance(sample, LogSample)
    assert len(sample.records) == 700
    assert not outcome.gaps
    assert fake.asked[-1] == ("DELETE", "_search/scroll", {"scroll_id": ["s"]})


def test_version_six_is_never_sent_what_it_could_take_for_a_document() -> None:
    fake = Fake(rows=700)

    def old(body: dict[str, Any]) -> tuple[int, object]:
        found = fake.page(0, min(body["size"], 600))
        return 200, {**found, "hits": {**found["hits"], "total": 700}, "_scroll_id": "s"}

    fake.rules = {"POST_l__search": old, "POST__search_scroll": lambda _body: (200, fake.page(0, 0))}
    with peer(fake) as server:
        ask(server, page=600)
    assert not any("pit" in path or "point_in_time" in path for _method, path, _body in fake.asked)


def test_a_reason_is_told_without_types_and_without_the_parsers_tokens() -> None:
    reason = {"type": "query_shard_exception", "reason": "Failed to parse query [a(]",
              "caused_by": {"type": "parse_exception", "reason": 'Encountered "<EOF>"\nWas expecting x'}}  # fmt: skip
    refused = {"error": {"type": "x", "reason": "all shards failed", "failed_shards": [{"reason": reason}]}}
    with peer(
        Fake(POST_l__search=lambda body: (400, refused) if body.get("aggs") else (200, Fake().page(0, 0)))
    ) as server:
        (gap,) = ask(server, logs=Logs(query="a(")).gaps
    assert (gap.kind, gap.detail) == (GapKind.REJECTED, 'refused: Failed to parse query [a(]; Encountered "<EOF>"')


def test_patterns_that_are_none_are_said_before_anything_is_asked() -> None:
    with peer(Fake()) as server:
        (gap,) = ask(server, logs=Logs(ignore=("(",))).gaps
        assert gap.kind is GapKind.REJECTED
        for options, words in (({}, "no deploy_query"), ({"deploy_query": "x", "deploy_regex": "a"}, "no group")):
            source = Elasticsearch(name="logs", url=server.url, **options)  # type: ignore[arg-type] # reason: strings
            with pytest.raises(SourceError, match=words):
                list(source.deploys(START, END, Deadline(5)))
        assert not server.requests


def nowhere(_body: dict[str, Any]) -> tuple[int, object]:
    error = {"type": "index_not_found_exception", "reason": "no such index [l]"}
    return 404, {"error": {"root_cause": [error], **error}}


def test_names_are_asked_one_by_one_where_several_searches_in_one_are_forbidden() -> None:
    forbidden = {"POST__msearch": lambda _body: (403, {"error": "no"}), "POST_gone__search": nowhere}
    with peer(Fake(**forbidden)) as server:
        outcome = ask(server, index="l,gone")
    assert [gap.what for gap in outcome.gaps] == ["index gone"]
    assert len(outcome.items) == 1


def test_many_missing_days_make_one_gap() -> None:
    past = START.replace(year=2024)  # whatever the clock says: an index of days to come is not missed
    with peer(Fake(POST__msearch=lambda _body: (403, {}), POST_gone__search=nowhere)) as server:
        outcome = ask(server, index="l,gone-%Y.%m.%d", start=past, end=past + timedelta(days=15))
    (gap,) = outcome.gaps
    assert gap.what == "16 indices, gone-2024.11.20 to gone-2024.12.05"
    assert "2024-11-20T10:00:00.000Z" in gap.detail


def test_the_index_of_an_hour_that_has_just_begun_may_be_missing() -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    rules = {"POST__msearch": lambda _body: (403, {}), "POST_hourly__search": nowhere}
    with peer(Fake(**rules)) as server:
        outcome = ask(server, index="l,hourly-%Y.%m.%d.%H", start=hour, end=now + timedelta(seconds=1))
    assert [gap.what for gap in outcome.gaps] == (
        [] if now - hour < timedelta(minutes=15) else [f"index hourly-{hour:%Y.%m.%d.%H}"]
    )


def deploys(rows: list[dict[str, Any]], **options: str) -> list[tuple[int, str, bool]]:
    """Return (minute, ref, rollback) of the deploys in start lines, given in the order of time."""
    found = {**Fake().page(0, 0), "hits": {"total": len(rows), "hits": list(reversed(rows))}}
    with peer(Fake(POST_l__search=lambda _body: (200, found))) as server:
        source = Elasticsearch(name="logs", url=server.url, index="l", deploy_query="Started", page=200_000, **options)  # type: ignore[arg-type] # reason: strings
        items = list(source.deploys(START, END, Deadline(5)))
    return [
        (int((item.at - START).total_seconds() // 60), item.ref, item.rollback)
        for item in items
        if isinstance(item, Deploy)
    ]


def start(minute: int, host: str, version: str) -> dict[str, Any]:
    at = (START + timedelta(minutes=minute)).isoformat()
    service = {"name": "shop", "version": version}
    return {"_source": {"@timestamp": at, "message": "Started", "host": {"name": host}, "service": service}}


def test_deploys_need_no_regex_where_lines_carry_the_version() -> None:
    rolling = [start(0, "a", "1"), start(10, "a", "2"), start(11, "b", "1"), start(12, "b", "2"), start(20, "a", "2")]
    assert deploys(rolling) == [(0, "1", False), (10, "2", False)]


def test_a_host_that_goes_back_is_a_rollback_told_once() -> None:
    lines = [start(0, "a", "1"), start(0, "b", "1"), start(10, "a", "2"), start(10, "b", "2"), start(20, "a", "1"),
             start(21, "b", "1"), start(30, "a", "2")]  # fmt: skip
    assert deploys(lines) == [(0, "1", False), (10, "2", False), (20, "1", True), (30, "2", True)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("starting version 2.14.0.", "2.14.0"), ("Version: v3-rc1 in 3.2 s", "v3-rc1"), ('version="17"', "17"),
     ("versions 1 2", ""), ("version unknown", ""), ("started in 3.2 s", "")],
)  # fmt: skip
def test_without_a_regex_the_word_version_is_looked_for(words: str, expected: str) -> None:
    entry = read(message=words)
    assert turns.ref(entry, None) == expected


def test_start_lines_that_tell_no_version_are_no_quiet_month() -> None:
    with pytest.raises(SourceError, match="none of 1 lines of deploy_query has a version"):
        deploys([hit(message="Started")])
    assert deploys([]) == []


def test_documents_without_a_message_are_said() -> None:
    with peer(
        Fake(POST_l__search=lambda _body: (200, {**Fake().page(0, 0), "hits": {"total": 1, "hits": [hit(x=1)]}}))
    ) as server:
        (gap,) = ask(server).gaps
    assert "message_field" in gap.hint
