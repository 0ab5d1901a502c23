"""The source against real servers, version by version."""

import os
import random
import urllib.error
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.system import elastic
from tests.system.elastic import Server

from opsbrief.collect import collect
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import LogSample, Outcome
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.secret import Secret
from opsbrief.source import Login, Trust
from opsbrief.sources.elasticsearch import Elasticsearch
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
SPELLED = {"INFO": ("info", "INFO", "Information"), "WARN": ("warning", "WARN"), "ERROR": ("error", "err", "SEVERE")}
ONLY_ALL = pytest.mark.skipif(not os.environ.get("OPSBRIEF_ALL_SERVERS"), reason="OPSBRIEF_ALL_SERVERS is not set")


def _every(*without: str) -> list[Any]:
    marks = (pytest.mark.all_servers, ONLY_ALL)
    return [
        pytest.param(key, marks=() if key in elastic.EVERY_RUN else marks)
        for key in elastic.BUILDS
        if key not in without
    ]


@pytest.fixture(scope="module", params=_every())
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return every server in turn; the ones of every run live as long as the run."""
    if request.param in elastic.EVERY_RUN:
        yield request.getfixturevalue(request.param)
    else:
        yield from elastic.offered(request.param)


def window(start: datetime = START, hours: float = 1, before: float = 1, weeks: Sequence[int] = ()) -> Window:
    return Window(
        start=start,
        end=start + timedelta(hours=hours),
        anchor=Anchor("time", start),
        before=timedelta(hours=before),
        shifts=tuple((f"{week}-weeks-ago", timedelta(weeks=week)) for week in weeks),
    )


def source(server: Server, *logs: Logs, **options: Any) -> Elasticsearch:
    login = Login(user=server.user, password=Secret(server.password)) if server.user else Login()
    settings = {"name": "logs", "url": server.url, "auth": login, "tls": Trust(ca_file=server.ca_file), **options}
    return Elasticsearch(scope=Scope(logs=logs), **settings)


def ask(server: Server, *logs: Logs, over: Window | None = None, **options: Any) -> Outcome:
    chosen = source(server, *logs, **options)
    evidence, _ = collect([("elasticsearch", chosen)], over or window(), chosen.scope)
    (outcome,) = evidence.outcomes
    assert not outcome.traceback, outcome.traceback
    return outcome


def samples(outcome: Outcome) -> dict[str, LogSample]:
    return {item.span: item for item in outcome.items if isinstance(item, LogSample)}


def logs_of(start: datetime, minutes: int, per_minute: int, seed: int = 1) -> list[dict[str, object]]:
    """ECS documents at seeded times and levels."""
    chance = random.Random(seed)
    docs: list[dict[str, object]] = []
    for number in range(minutes * per_minute):
        level = chance.choices(list(SPELLED), [90, 8, 2])[0]
        at = start + timedelta(milliseconds=chance.randrange(minutes * 60_000))
        docs.append(
            {
                "@timestamp": at.isoformat(timespec="milliseconds"),
                "message": f"line {number}",
                "log": {"level": chance.choice(SPELLED[level])},
                "host": {"name": f"app{number % 8}"},
                "service": {"name": "shop"},
                "truth": level,
            }
        )
    return docs


MAPPED = {
    "properties": {
        "@timestamp": {"type": "date"},
        "message": {"type": "text"},
        "truth": {"type": "keyword"},
        "log": {"properties": {"level": {"type": "keyword"}}},
    }
}


@pytest.fixture(scope="module")
def filled(server: Server) -> tuple[str, list[dict[str, object]]]:
    """Load an index of two hours in three shards; return its name and what is in it."""
    docs = logs_of(START - timedelta(hours=1), 120, 100)
    server.index(elastic.READABLE, shards=3, mappings=MAPPED)
    server.bulk(elastic.READABLE, docs)
    return elastic.READABLE, docs


def test_lines_of_equal_times_in_many_shards_are_all_read(server: Server) -> None:
    server.index("ties", shards=5, mappings=MAPPED)
    at = [START + timedelta(minutes=number) for number in range(10)]
    docs = ({"@timestamp": at[number % 10].isoformat(), "message": f"line {number}"} for number in range(50_000))
    server.bulk("ties", docs)
    (sample,) = samples(ask(server, index="ties", limit=60_000, over=window(before=0))).values()
    assert sample.total == 50_000
    assert sample.total_is_exact
    assert {record.body for record in sample.records} == {f"line {number}" for number in range(50_000)}
    assert len(sample.records) == 50_000
    assert server.open_contexts() == 0


def test_totals_and_histogram_are_what_was_loaded(server: Server, filled: tuple[str, list[dict[str, object]]]) -> None:
    index, docs = filled
    outcome = ask(server, index=index)
    assert not outcome.gaps
    for span, sample in samples(outcome).items():
        start = START if span == "incident" else START - timedelta(hours=1)
        mine = [
            doc for doc in docs if start <= datetime.fromisoformat(str(doc["@timestamp"])) < start + timedelta(hours=1)
        ]
        truth: Counter[tuple[str, int]] = Counter()
        for doc in mine:
            minute = int((datetime.fromisoformat(str(doc["@timestamp"])) - start).total_seconds() // 60)
            truth[str(doc["truth"]), minute] += 1
        assert (sample.total, sample.total_is_exact) == (len(mine), True)
        assert sample.histogram is not None
        assert (sample.histogram.start, sample.histogram.step) == (int(start.timestamp()), 60)
        found = {
            (level, minute): count
            for level, counts in sample.histogram.counts.items()
            for minute, count in enumerate(counts)
            if count
        }
        assert found == dict(truth)


def test_a_sample_is_bounded_even_and_the_same_every_time(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    index, _docs = filled
    first, again = (samples(ask(server, index=index, limit=1000))["incident"] for _ in range(2))
    assert first.records == again.records
    assert len(first.records) == 1000 < first.total
    assert first.histogram is not None
    errors = sum(record.severity_text == "ERROR" for record in first.records)
    assert errors == sum(first.histogram.counts["ERROR"])
    assert f"all {errors:,} FATAL/ERROR" in first.origin.query
    weights = first.weights()
    assert sum(weights[record.severity_text] for record in first.records) == pytest.approx(first.total)
    tenths = Counter(int((record.timestamp - START).total_seconds() // 360) for record in first.records)
    assert sorted(tenths) == list(range(10))
    assert min(tenths.values()) > 50
    assert len({record.body for record in first.records}) == 1000


def test_few_lines_come_with_one_question_and_in_order(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    index, _docs = filled
    outcome = ask(server, Logs(query="message:4711 OR message:17"), index=index, over=window(before=1))
    found = [record for sample in samples(outcome).values() for record in sample.records]
    assert sorted(record.body for record in found) == ["line 17", "line 4711"]
    assert {record.resource["host.name"] for record in found} == {"app1", "app7"}
    assert {record.resource["service.name"] for record in found} == {"shop"}


LAYOUTS: dict[str, dict[str, object]] = {
    "ecs": {
        "@timestamp": "2026-11-20T10:30:00.123456Z",
        "message": "it broke",
        "log": {"level": "error"},
        "host": {"name": "app1"},
        "service": {"name": "shop"},
        "error": {"stack_trace": "Trace:\n  at a.b"},
    },
    "ecs-dotted": {
        "@timestamp": "2026-11-20T10:30:00.123456Z",
        "message": "it broke",
        "log.level": "error",
        "host.name": "app1",
        "service.name": "shop",
        "error.stack_trace": "Trace:\n  at a.b",
    },
    "logstash": {
        "@timestamp": "2026-11-20T10:30:00.123456Z",
        "message": "it broke",
        "level": "ERROR",
        "host": "app1",
        "service": "shop",
        "stack_trace": "Trace:\n  at a.b",
    },
    "otel": {
        "@timestamp": "2026-11-20T10:30:00.123456Z",
        "body": {"text": "it broke"},
        "severity_text": "ERROR2",
        "resource": {"attributes": {"host.name": "app1", "service.name": "shop"}},
        "attributes": {"exception.stacktrace": "Trace:\n  at a.b"},
    },
    "data-prepper": {
        "time": "2026-11-20T10:30:00.123456Z",
        "body": "it broke",
        "severity": {"text": "ERROR", "number": 17},
        "resource": {"attributes": {"host@name": "app1"}},
        "serviceName": "shop",
        "log": {"attributes": {"exception@stacktrace": "Trace:\n  at a.b"}},
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_common_layouts_are_found_by_themselves(server: Server, layout: str) -> None:
    server.index(f"layout-{layout}")  # mapped by the server, as in most clusters
    server.bulk(f"layout-{layout}", [LAYOUTS[layout]])
    sample = samples(ask(server, index=f"layout-{layout}"))["incident"]
    (record,) = sample.records
    assert record.timestamp == datetime(2026, 11, 20, 10, 30, 0, 123456, tzinfo=UTC)
    assert record.body == "it broke\nTrace:\n  at a.b"
    assert record.severity_text == "ERROR"
    assert record.resource == {"host.name": "app1", "service.name": "shop"}
    assert sample.histogram is not None
    assert {level: sum(counts) for level, counts in sample.histogram.counts.items()} == {"ERROR": 1}


def test_named_fields_are_used_and_the_query_has_the_last_word(server: Server) -> None:
    server.index("custom", mappings={"properties": {"ts": {"type": "date", "format": "epoch_second"}}})
    at = int(START.timestamp()) + 60
    server.bulk("custom", [{"ts": at, "text": "a", "raw": "b", "prio": 3, "node": "app9", "unit": "shop"}])
    options = {"time_field": "ts", "message_field": "text", "level_field": "prio", "service_field": "unit"}
    outcome = ask(server, Logs(message="raw", host="node"), index="custom", **options)
    (record,) = samples(outcome)["incident"].records
    assert (record.timestamp, record.body, record.severity_text) == (START + timedelta(minutes=1), "b", "ERROR")
    assert record.resource == {"host.name": "app9", "service.name": "shop"}


def test_levels_in_a_text_field_are_counted_by_matching(server: Server) -> None:
    text = {"properties": {"@timestamp": {"type": "date"}, "level": {"type": "text"}}}
    server.index("texts", mappings=text)
    levels = ["error"] * 3 + ["INFO"] * 5 + ["odd"]
    server.bulk("texts", [{"@timestamp": START.isoformat(), "message": "x", "level": level} for level in levels])
    outcome = ask(server, index="texts")
    assert not outcome.gaps
    histogram = samples(outcome)["incident"].histogram
    assert histogram is not None
    assert {level: sum(counts) for level, counts in histogram.counts.items()} == {"": 1, "ERROR": 3, "INFO": 5}


def test_a_mapped_but_empty_level_field_does_not_win(server: Server) -> None:
    keyword = {"type": "keyword"}
    fields = {"@timestamp": {"type": "date"}, "level": keyword, "log": {"properties": {"level": keyword}}}
    server.index("template", mappings={"properties": fields})
    server.bulk("template", [{"@timestamp": START.isoformat(), "message": "x", "level": "warn"}] * 4)
    histogram = samples(ask(server, index="template"))["incident"].histogram
    assert histogram is not None
    assert sum(histogram.counts["WARN"]) == 4


def test_dated_indices_across_midnight_and_the_one_that_is_missing(server: Server) -> None:
    midnight = datetime(2024, 11, 12, tzinfo=UTC)  # past on any clock
    for day, hour in ((10, 23), (12, 0)):
        name = f"dated-2024.11.{day}"
        server.index(name, mappings=MAPPED)
        server.bulk(name, [{"@timestamp": f"2024-11-{day}T{hour:02}:30:00Z", "message": f"day {day}"}])
    with suppress(urllib.error.HTTPError):
        server.call("DELETE", "/dated-2024.11.11")
    over = window(midnight - timedelta(hours=1), hours=2, before=25)
    outcome = ask(server, index="dated-%Y.%m.%d", over=over)
    assert [record.body for record in samples(outcome)["incident"].records] == ["day 12"]
    assert [record.body for record in samples(outcome)["before"].records] == ["day 10"]
    assert [(gap.what, gap.kind, gap.span) for gap in outcome.gaps] == [
        ("index dated-2024.11.11", GapKind.UNAVAILABLE, "before"),
        ("index dated-2024.11.11", GapKind.UNAVAILABLE, "incident"),
    ]


def test_no_index_is_a_gap_and_not_a_quiet_night(server: Server) -> None:
    outcome = ask(server, index="nowhere-*")
    assert not outcome.items
    assert {(gap.what, gap.kind) for gap in outcome.gaps} == {("index nowhere-*", GapKind.UNAVAILABLE)}


def test_a_list_names_its_missing_part_and_reads_the_rest(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    outcome = ask(server, index=f"{filled[0]},nowhere,-filled-old*", limit=10)
    assert samples(outcome)["incident"].total > 5000
    assert {gap.what for gap in outcome.gaps} == {"index nowhere"}


def test_a_closed_index_is_named(server: Server) -> None:
    for name in ("shut-1", "shut-2"):
        server.index(name, mappings=MAPPED)
        server.bulk(name, [{"@timestamp": START.isoformat(), "message": name}])
    server.call("POST", "/shut-2/_close")
    outcome = ask(server, index="shut-1,shut-2")
    assert [record.body for record in samples(outcome)["incident"].records] == ["shut-1"]
    assert {gap.what for gap in outcome.gaps} == {"index shut-2"}


def test_an_alias_is_read_like_an_index(server: Server, filled: tuple[str, list[dict[str, object]]]) -> None:
    server.call("POST", "/_aliases", {"actions": [{"add": {"index": filled[0], "alias": "current"}}]})
    outcome = ask(server, index="current", limit=10)
    assert not outcome.gaps
    assert samples(outcome)["incident"].total > 5000


def test_a_query_that_does_not_parse_is_refused_once_with_the_parsers_reason(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    outcome = ask(server, Logs(query="message:(a"), Logs(query="message:17"), index=filled[0])
    (gap,) = outcome.gaps
    assert gap.kind is GapKind.REJECTED
    assert "message:(a" in gap.detail
    assert 'Encountered "<EOF>"' in gap.detail
    assert "Was expecting" not in gap.detail  # half a page of the parser's tokens
    assert {item.query for item in samples(outcome).values()} == {"message:17"}


def test_a_query_that_finds_nothing_anywhere_is_said(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    outcome = ask(server, Logs(query="nosuchfield:17"), index=filled[0])
    assert {sample.total for sample in samples(outcome).values()} == {0}
    (gap,) = outcome.gaps
    assert "matches no line" in gap.detail


def test_shards_that_fail_are_told_and_the_rest_is_kept(server: Server) -> None:
    server.index("mixed-1", mappings=MAPPED)
    server.index("mixed-2", mappings={"properties": {"@timestamp": {"type": "keyword"}}})
    for name in ("mixed-1", "mixed-2"):
        server.bulk(name, [{"@timestamp": START.isoformat(), "message": name}])
    outcome = ask(server, index="mixed-*", over=window(before=0))
    sample = samples(outcome)["incident"]
    assert [record.body for record in sample.records] == ["mixed-1"]
    assert not sample.total_is_exact
    assert any("1 of 2 shards failed" in gap.detail and gap.kind is GapKind.TRUNCATED for gap in outcome.gaps)


def test_small_pages_set_by_the_index_are_respected(server: Server) -> None:
    server.index("narrow", shards=2, mappings=MAPPED)
    server.bulk("narrow", logs_of(START, 60, 20))
    server.call("PUT", "/narrow/_settings", {"index": {"max_result_window": 300}})
    outcome = ask(server, index="narrow", over=window(before=0))
    assert not outcome.gaps
    assert len(samples(outcome)["incident"].records) == 1200
    drawn = samples(ask(server, index="narrow", limit=700, over=window(before=0)))["incident"].records
    assert len({record.body for record in drawn}) == 700


def test_nanoseconds_neither_lose_nor_repeat_a_line(server: Server) -> None:
    if server.key == "es6":
        pytest.skip("Elasticsearch 6 keeps no nanoseconds")
    mappings = {"properties": {"@timestamp": {"type": "date_nanos"}, "message": {"type": "text"}}}
    server.index("nanos-1", shards=3, mappings=mappings)
    server.index("nanos-2", shards=2, mappings=MAPPED)
    for name, count in (("nanos-1", 4000), ("nanos-2", 2000)):
        docs = (
            {"@timestamp": f"2026-11-20T10:00:00.123{number % 7:06}Z", "message": f"{name} {number}"}
            for number in range(count)
        )
        server.bulk(name, docs)
    outcome = ask(server, index="nanos-*", limit=9000, page=1000, over=window(before=0))
    records = samples(outcome)["incident"].records
    assert not outcome.gaps
    assert len(records) == len({record.body for record in records}) == 6000


def test_what_was_opened_is_closed_when_reading_stops_early(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    from opsbrief.readers.search.cluster import Cluster  # noqa: PLC0415 - only here: the reader under the source
    from opsbrief.readers.search.paging import Pager  # noqa: PLC0415

    chosen = source(server)
    for end in ("close", "expire"):
        deadline = Deadline(30)
        with chosen.client(deadline) as http:
            pager = Pager(Cluster(http, deadline), chosen.client, page=100)
            pager.first(filled[0], {"query": {"match_all": {}}}, 1)  # as in life: the totals come first
            pages = pager.pages(filled[0], {"query": {"match_all": {}}}, [{"@timestamp": "asc"}])
            assert next(pages)
            assert server.open_contexts() > 0
            if end == "close":
                pages.close()
            else:
                deadline.expire()
                with pytest.raises(SourceError, match="not finished"):
                    list(pages)
        assert server.open_contexts() == 0


def test_lines_that_do_not_count_leave_total_and_histogram(
    server: Server, filled: tuple[str, list[dict[str, object]]]
) -> None:
    index, docs = filled
    mine = [doc for doc in docs if datetime.fromisoformat(str(doc["@timestamp"])) >= START]
    even = [doc for doc in mine if str(doc["message"])[-1] in "02468"]
    over = window(before=0)
    ignore = Logs(ignore=(r"[13579]$",))
    whole = samples(ask(server, ignore, index=index, limit=20_000, over=over))["incident"]
    assert (whole.total, whole.total_is_exact, len(whole.records)) == (len(even), True, len(even))
    assert whole.histogram is not None
    assert sum(map(sum, whole.histogram.counts.values())) == len(even)
    drawn = samples(ask(server, ignore, index=index, limit=1000, over=over))["incident"]
    assert not drawn.total_is_exact
    assert drawn.total == pytest.approx(len(even), rel=0.1)


def test_deploys_are_the_first_line_of_each_version_and_rollbacks(server: Server) -> None:
    started = [(0, "app1", "2.13.0"), (60, "app2", "2.13.0"), (600, "app1", "2.14.0"), (610, "app2", "2.14.0"),
               (700, "app2", "2.14.0"), (1800, "app1", "2.13.0"), (1810, "app2", "2.13.0")]  # fmt: skip
    server.index("starts", mappings=MAPPED)
    docs = [
        {
            "@timestamp": (START + timedelta(seconds=second)).isoformat(),
            "message": f"Started shop {version} in 3.2 s",
            "host": {"name": host},
        }
        for second, host, version in started
    ]
    server.bulk("starts", docs)
    chosen = source(server, index="starts", deploy_query='message:"Started shop"', deploy_regex=r"shop (?P<ref>[\d.]+)")
    found = list(chosen.deploys(START - timedelta(days=1), START + timedelta(days=1), Deadline(30)))
    assert all(isinstance(item, Deploy) for item in found)
    assert [((item.at - START).seconds, item.ref, item.rollback) for item in found if isinstance(item, Deploy)] == [
        (0, "2.13.0", False),
        (600, "2.14.0", False),
        (1800, "2.13.0", True),
    ]


STREAMS = ("es8", "es9", "os2", "os3")


def test_a_data_stream_is_read_like_an_index(server: Server) -> None:
    if server.key not in STREAMS:
        pytest.skip("this build has no data streams")
    template = {
        "index_patterns": ["logs-shop-*"],
        "data_stream": {},
        "priority": 500,
        "template": {"mappings": MAPPED},
    }
    server.call("PUT", "/_index_template/shop", template)
    with suppress(urllib.error.HTTPError):
        server.call("DELETE", "/_data_stream/logs-shop-prod")
    server.bulk("logs-shop-prod", logs_of(START, 60, 10), action="create")
    server.call("POST", "/logs-shop-prod/_rollover")
    server.bulk("logs-shop-prod", logs_of(START, 60, 10, seed=2), action="create")
    for index in ("logs-shop-prod", "logs-*"):
        outcome = ask(server, index=index, over=window(before=0))
        assert not outcome.gaps
        assert len(samples(outcome)["incident"].records) == 1200


def test_a_wrong_password_is_unauthorized(server: Server) -> None:
    if not server.password:
        pytest.skip("this server asks for no password")
    outcome = ask(server, index="x", auth=Login(user=server.user, password=Secret("wrong-CANARY")))
    assert {gap.kind for gap in outcome.gaps} == {GapKind.UNAUTHORIZED}
    assert "CANARY" not in str(outcome)
    assert {gap.kind for gap in ask(server, index="x", auth=Login()).gaps} == {GapKind.UNAUTHORIZED}


def test_a_login_that_may_only_read_is_enough(server: Server, filled: tuple[str, list[dict[str, object]]]) -> None:
    if not server.password:
        pytest.skip("this server asks for no password")
    user, password = server.reader()
    login = Login(user=user, password=Secret(password))
    outcome = ask(server, index=filled[0], auth=login, limit=20_000, page=1000)
    assert not outcome.gaps
    for sample in samples(outcome).values():
        assert len(sample.records) == sample.total > 5000
    assert server.open_contexts() == 0
    assert {gap.kind for gap in ask(server, index="secret", auth=login).gaps} == {GapKind.UNAUTHORIZED}


def test_an_unknown_authority_is_unreachable_and_says_what_to_set(os2: Server) -> None:
    (gap,) = ask(os2, index="x", tls=Trust()).gaps
    assert gap.kind is GapKind.UNREACHABLE
    assert "ca_file" in gap.hint
