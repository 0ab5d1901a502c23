"""Targets, answers, names, plans and events of Graphite, as values."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.contract.peer import Peer, answer, peer

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.graphite import events, names, plan
from opsbrief.readers.graphite.answer import AnswerError, raw, reason, rows
from opsbrief.readers.graphite.target import TargetError, host_of, matcher, parse, spread, tags_of
from opsbrief.sources.graphite import Graphite
from opsbrief.transport.deadline import Deadline

# --- targets


@pytest.mark.parametrize(
    ("text", "paths", "functions"),
    [
        ("a.b.c", ("a.b.c",), ()),
        ("a.{b,c}.[0-9]*.d?", ("a.{b,c}.[0-9]*.d?",), ()),
        ("5min.load-1_2%x", ("5min.load-1_2%x",), ()),
        ('alias(sumSeries(a.*.c,b), "x, (y)")', ("a.*.c", "b"), ("alias", "sumSeries")),
        ("movingAverage(a.b,'5min',xFilesFactor=0.5)", ("a.b",), ("movingAverage",)),
        ('summarize(a, "1h", func="max", alignToFrom=true)', ("a",), ("summarize",)),
        ("a.b|scale(-1.5e3)|alias('z')", ("a.b",), ("scale", "alias")),
        ("seriesByTag('name=a','host!=b')", (), ("seriesByTag",)),
        ("randomWalk('x')", (), ("randomWalk",)),
        ("disk.used;host=a;rack=b", ("disk.used;host=a;rack=b",), ()),
        (r"a.b\,c", (r"a.b\,c",), ()),
        ("time()", (), ("time",)),
    ],
)
def test_a_target_is_read(text: str, paths: tuple[str, ...], functions: tuple[str, ...]) -> None:
    target = parse(text)
    assert (target.paths, target.functions) == (paths, functions)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("sum(a.b", "not closed"),
        ("sum(a.b))", "not expected"),
        ("a.{b,c", "brace is not closed"),
        ("a.b}", "was not opened"),
        ("a.[b.c", "bracket is not closed"),
        ("a.[z-a]", "cannot be used"),
        (" a.b", "white space"),
        ("a.b ", "white space"),
        ("a b", "not expected"),
        ("sum(a,)", "not expected"),
        ("sum(,a)", "not expected"),
        ('alias(a,"b)', "quote is not closed"),
        ("a.b|", "not closed"),
        ("a.b|c", "not closed"),
        ("'a.b'", "not expected"),
        ("a.{b(1)", "brace is not closed"),
        ("(" * 500, "not expected"),
        ("f(" * 500 + "a" + ")" * 500, "nested deeper"),
    ],
)
def test_a_slip_in_a_target_is_named(text: str, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a.*.c", "a.b.c", "a.b.b.c"),
        ("a.b?", "a.b1", "a.b"),
        ("a.{b,cd}.e", "a.cd.e", "a.bcd.e"),
        ("a.{b*,c}x", "a.bbx", "a.b"),
        ("a.[0-2]", "a.1", "a.3"),
        ("a.[!0-2]", "a.3", "a.1"),
        ("a.**.z", "a.b.c.z", "b.z"),
        ("a.**.z", "a.z", "a.b"),
        ("a.b", "a.b", "aXb"),
        ("a.b-(1)", "a.b-(1)", "a.b-1"),
        (r"a.b\*", "a.b*", "a.bc"),
    ],
)
def test_a_glob_matches_as_in_graphite(pattern: str, yes: str, no: str) -> None:
    assert matcher(pattern).match(yes)
    assert not matcher(pattern).match(no)


def test_hosts_are_written_both_ways() -> None:
    assert list(spread("c.{host}.x", ("a.b", "c"))) == [("a.b", ("c.a_b.x", "c.a.b.x")), ("c", ("c.c.x",))]
    assert list(spread("c.x", ("a",))) == [("", ("c.x",))]


def test_a_host_is_found_in_a_name_as_a_whole_level() -> None:
    hosts = ("app1", "db.example.com")
    assert host_of("collectd.app1.load", hosts) == "app1"
    assert host_of("collectd.app10.load", hosts) == ""
    assert host_of("collectd.db_example_com.load", hosts) == "db.example.com"
    assert host_of("servers.db.example.com.load", hosts) == "db.example.com"
    assert host_of("load;host=web9;x=y", hosts) == "web9"
    assert tags_of("load;host=web9;x=y=z;odd") == {"host": "web9", "x": "y=z"}


# --- answers


def test_raw_lines_are_split_from_the_right() -> None:
    (one, two) = raw(b"f(a.b,3),10,20,5|1.5,None\ng|h,0,120,60|inf,-1e3\n")
    assert (one.name, one.start, one.step) == ("f(a.b,3)", 10, 5)
    np.testing.assert_array_equal(one.values, [1.5, np.nan])
    assert two.name == "g|h"
    assert two.infinite == 1
    np.testing.assert_array_equal(two.values, [np.nan, -1000])


def test_a_step_that_contradicts_the_points_is_worked_out_anew() -> None:
    (one,) = raw(b"a,0,600,60|1,2,3,4,5")
    assert one.step == 120


@pytest.mark.parametrize("body", [b"<html>", b"a,b,c,d|1", b"a,1,2,3", b"a,1,2,3|x,y", b"\xff\xfe"])
def test_what_is_no_raw_answer_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerError):
        list(raw(body))


def test_json_points_are_laid_on_a_grid() -> None:
    document = json.loads('[{"target":"a","tags":{"name":"n"},"datapoints":[[null,60],[1e9999,120],[3,240],[4,300]]}]')
    (one,) = rows(document, 99)
    assert (one.start, one.step, one.infinite, one.tags) == (60, 60, 1, {"name": "n"})
    np.testing.assert_array_equal(one.values, [np.nan, np.nan, np.nan, 3, 4])


def test_one_point_takes_the_step_it_is_given_and_none_stays_empty() -> None:
    one, none = rows([{"target": "a", "datapoints": [[1, 60]]}, {"target": "b", "datapoints": []}], 99)
    assert (one.start, one.step, len(one.values), len(none.values)) == (60, 99, 1, 0)


@pytest.mark.parametrize(
    "document",
    [
        {}, "x", None, [1], [{}], [{"target": "a", "datapoints": 3}], [{"datapoints": [[1]]}], [{"datapoints": [3]}],
        [{"datapoints": [["a", 1]]}], [{"datapoints": [[1, "b"]]}], [{"datapoints": [[1, 1], [1, 2], [1, 10**12]]}],
    ],
)  # fmt: skip
def test_what_is_no_json_answer_is_refused(document: object) -> None:
    with pytest.raises(AnswerError):
        list(rows(document, 60))


def test_the_reason_is_the_last_line_of_a_traceback() -> None:
    page = b"<html><h1>Error</h1><pre>Traceback\n File &quot;x&quot;\nTypeError: f() got &#x27;a&#x27;\n\n</pre></html>"
    assert reason(page, "text/html") == "TypeError: f() got 'a'"
    assert reason(b"<b>Invalid</b> from", "text/html") == "Invalid from"
    assert reason(b"", "text/plain") == "no reason given"


# --- names


def test_every_shape_of_a_find_answer_is_read() -> None:
    completer = {"metrics": [{"path": "a.b1.", "is_leaf": "0"}, {"path": "a.b1", "is_leaf": "1"}, {"path": "a.b10."}]}
    assert names.found(completer, "a.b1") == ("a.b1", "a.b1.")
    listed = [{"path": "a.b1", "is_leaf": True}, {"path": "a.b2", "is_leaf": False}]
    assert names.found(listed, "a.*") == ("a.b1", "a.b2.")
    tree = [{"id": "a.b1", "leaf": 1, "text": "b1"}, {"id": "a.b2.", "leaf": 0}]
    assert names.found(tree, "a.*") == ("a.b1", "a.b2.")
    with pytest.raises(AnswerError):
        names.found({"error": "x"}, "a")


def test_every_shape_of_an_expand_answer_is_read() -> None:
    queries = ("a.*", "b.*")
    wanted = {"a.*": ("a.1", "a.2"), "b.*": ()}
    assert names.expanded({"results": {"a.*": ["a.2", "a.1"], "b.*": []}}, queries) == wanted
    assert names.expanded({"results": ["a.1", "a.2"]}, queries) == wanted
    assert names.expanded(["a.1", "a.2"], queries) == wanted
    with pytest.raises(AnswerError):
        names.expanded({"results": 3}, queries)


# --- plans


def wanted(*metrics: Metric, hosts: tuple[str, ...] = ()) -> list[plan.Want]:
    return [want for want in plan.wants(metrics, hosts, "g") if isinstance(want, plan.Want)]


def test_names_go_by_the_hundred_and_functions_alone() -> None:
    asked = wanted(Metric(target="m.{host}"), Metric(target="sum(a.*)"), hosts=tuple(map(str, range(250))))
    groups = plan.plan(asked, {}, 2000, "g").groups
    assert sorted(len(group) for group in groups) == [1, 50, 100, 100]


def test_a_large_glob_is_asked_by_name_and_small_ones_together() -> None:
    asked = wanted(Metric(target="big.*"), Metric(target="s1.*"), Metric(target="s2.*"))
    known = {"big.*": [f"big.{n}" for n in range(450)], "s1.*": ["s1.a"], "s2.*": ["s2.a", "s2.b"]}
    groups = plan.plan(asked, known, 2000, "g").groups
    assert [len(group) for group in groups] == [100, 100, 100, 100, 52]
    assert [ask.target for ask in groups[-1][-2:]] == ["s1.*", "s2.*"]


def test_a_net_stays_one_glob_although_a_few_of_its_series_are_asked_for_anyway() -> None:
    asked = wanted(Metric(target="a.1"), Metric(target="a.*", rank=True))
    laid = plan.plan(asked, {"a.*": [f"a.{n}" for n in range(20)]}, 2000, "g")
    assert [ask.target for group in laid.groups for ask in group] == ["a.1", "a.*"]


def test_named_metrics_come_before_the_wide_net_and_are_not_asked_twice() -> None:
    asked = wanted(Metric(target="a.*", rank=True), Metric(target="a.1"))
    laid = plan.plan(asked, {"a.*": ["a.1", "a.2", "a.3"]}, 2, "g")
    assert sorted(ask.target for group in laid.groups for ask in group) == ["a.1", "a.2"]
    assert [(gap.kind, gap.detail) for gap in laid.gaps] == [
        (GapKind.TRUNCATED, "1 of 2 series not fetched: the limit is 2 series in all")
    ]


def test_halves_end_at_single_series() -> None:
    (want,) = wanted(Metric(target="a.*"))
    ask = plan.Ask(target="a.*", want=want, names=("a.1", "a.2", "a.3"))
    first, second = plan.halves((ask,))
    assert [one.target for one in first + second] == ["a.1", "a.2", "a.3"]
    assert plan.halves(first) == ()


# --- events


@pytest.mark.parametrize(
    ("what", "data", "ref"),
    [
        ("Deployed shop 2.14.0", "", "2.14.0"),
        ("deploy v2.14.0-rc.1 to app1", "", "v2.14.0-rc.1"),
        ("deploy", "to 10.0.0.5, build 7", ""),
        ("deploy", '{"version": "2.14", "by": "ci"}', "2.14"),
        ("deploy", '{"revision": 1234}', "1234"),
        ("deploy", '{"broken', ""),
        ("deploy deadbee1 of main", "", "deadbee1"),
        ("decade feedface", "", ""),
        ("release", "release-2026.11.22", "2026.11.22"),
    ],
)
def test_a_version_is_found_in_an_event(what: str, data: str, ref: str) -> None:
    assert marker(what, data).ref() == ref


def marker(what: str, data: str = "", *tags: str) -> events.Marker:
    (found,) = events.markers([{"when": 1, "what": what, "data": data, "tags": list(tags)}])
    return found


def test_old_servers_write_tags_as_one_string() -> None:
    (found,) = events.markers([{"when": 1.5, "what": None, "tags": "deploy failed"}])
    assert (found.tags, found.succeeded, found.what) == (("deploy", "failed"), False, "")


@pytest.mark.parametrize("document", [{}, None, [3], [{}], [{"when": "x"}], [{"when": 10**20}]])
def test_what_is_no_list_of_events_is_refused(document: object) -> None:
    with pytest.raises(AnswerError):
        list(events.markers(document))


# --- the source against a peer that speaks like other servers

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(hours=1), end=NOW, anchor=Anchor("time", NOW), before=timedelta(0))
FIRST = int(WINDOW.start.timestamp())


def collected(server: Peer, *targets: str, **options: object) -> list[Series | Gap]:
    scope = Scope(metrics=tuple(Metric(target=target) for target in targets))
    source = Graphite(name="g", url=server.url + "/base", scope=scope, **options)  # type: ignore[arg-type] # reason: any option
    return list(source.collect(WINDOW, Deadline(5)))  # type: ignore[arg-type] # reason: series and gaps only


def test_a_server_without_raw_is_asked_in_json() -> None:
    document = [{"target": "a", "datapoints": [[1, FIRST], [2, FIRST + 60]]}]

    def fault(sock: object, request: bytes) -> None:
        say = answer(b"bad format", "400 Bad Request", "text/plain")
        if b"format=json" in request:
            say = answer(json.dumps(document).encode())
        say(sock, request)  # type: ignore[arg-type] # reason: a socket

    with peer(fault) as server:
        (series,) = collected(server, "a")
    assert isinstance(series, Series)
    assert list(series.values) == [1, 2]
    assert b"maxDataPoints=1000000" in server.requests[-1]
    assert series.origin.url == f"{server.url}/base/render"


def test_a_picture_is_no_answer() -> None:
    with peer(answer(b"\x89PNG", media="image/png")) as server:
        (gap,) = collected(server, "a", format="raw")
    assert isinstance(gap, Gap)
    assert (gap.kind, "image/png" in gap.detail) == (GapKind.BAD_ANSWER, True)


def test_points_outside_the_span_are_left_out() -> None:
    start = FIRST - 120
    body = f"a,{start},{start + 3900},60|{','.join(map(str, range(65)))}".encode()
    with peer(answer(body, media="text/plain")) as server:
        (series,) = collected(server, "a", format="raw")
    assert isinstance(series, Series)
    assert (series.start, series.end, series.values[0]) == (FIRST, FIRST + 3600, 2)


def test_nothing_found_may_be_a_404() -> None:
    with peer(answer(b"no metrics were found", "404 Not Found", "text/plain")) as server:
        (gap,) = collected(server, "a")
    assert isinstance(gap, Gap)
    assert (gap.what, gap.kind) == ("series a", GapKind.UNAVAILABLE)


def test_a_server_that_fails_on_everything_is_not_asked_without_end() -> None:
    with peer(answer(b"boom", "500 Internal Server Error", "text/plain")) as server:
        gaps = collected(server, *(f"a{number}" for number in range(400)))
    assert len(server.requests) < 250
    assert {gap.kind for gap in gaps if isinstance(gap, Gap)} == {GapKind.UNAVAILABLE}


def test_a_blind_glob_keeps_to_the_limit() -> None:
    body = "\n".join(f"a.{number},{FIRST},{FIRST + 60},60|1" for number in range(30)).encode()
    with peer(answer(body, media="text/plain")) as server:
        found = collected(server, "a.*", format="raw", max_series=10)
    assert sum(isinstance(item, Series) for item in found) == 10
    assert [(item.kind, item.detail) for item in found if isinstance(item, Gap)] == [
        (GapKind.TRUNCATED, "20 series dropped: the limit is 10 series in all")
    ]


@pytest.mark.parametrize("dialect", ["carbonapi", "victoriametrics"])
def test_servers_without_events_are_not_asked_for_them(dialect: str) -> None:
    with peer(answer(b"[]")) as server:
        source = Graphite(name="g", url=server.url, dialect=dialect)  # type: ignore[arg-type] # reason: one of them
        with pytest.raises(SourceError, match="no /events"):
            list(source.deploys(WINDOW.start, WINDOW.end, Deadline(2)))
    assert server.requests == []


def test_times_are_sent_as_whole_epochs() -> None:
    with peer(answer(b"[]")) as server:
        collected(server, "a", format="json")
    assert f"from={FIRST - 1}&until={FIRST + 3599}&".encode() in server.requests[-1]
    assert b"tz=" not in server.requests[-1]


def test_no_host_for_a_host_target_is_said() -> None:
    with peer(answer(b"[]")) as server:
        (gap,) = collected(server, "a.{host}.b")
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.hint) == (GapKind.REJECTED, "list them in hosts")
    assert server.requests == []
