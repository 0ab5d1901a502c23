"""Paths, placeholders, times and values that a YAML declares; any URL and any program as a source."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path as File

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.peer import Fault, answer, peer

from opsbrief.config import load
from opsbrief.errors import ConfigError, GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap, Item, LogSample, Reading, Series
from opsbrief.model.scope import Logs, Metric, Scope
from opsbrief.model.window import Anchor, Span, Window
from opsbrief.readers.declared import items, places
from opsbrief.readers.declared.path import parse
from opsbrief.readers.declared.rows import reader
from opsbrief.readers.marks import Bad
from opsbrief.source import Source
from opsbrief.sources.command import Command
from opsbrief.sources.http import Http
from opsbrief.transport.deadline import Deadline

START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
AT = int(START.timestamp())
WINDOW = Window(
    start=START + timedelta(minutes=30), end=START + timedelta(hours=1), anchor=Anchor("time", START),
    before=timedelta(minutes=30), shifts=(("last-week", timedelta(days=7)),),
)  # fmt: skip
WHOLE = WINDOW.whole
ALONE = Window(start=WINDOW.start, end=WINDOW.end, anchor=WINDOW.anchor, before=WINDOW.before)


def recent() -> Window:
    end = datetime.now(UTC).replace(microsecond=0)
    return Window(end - timedelta(minutes=30), end, WINDOW.anchor, timedelta(minutes=30), shifts=WINDOW.shifts)


# --- paths

DOCUMENT = {"a": {"b": [{"c": 1}, {"c": 2}, {"d": 3}], "x.y": "dotted", "": 0}, "l": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.a.b[*].c", [1, 2]),
        ("a.b[*].c", [1, 2]),
        ("$.a.b[0].c", [1]),
        ("$.a.b[-1].d", [3]),
        ("$.a.b[9]", []),
        ("$.l[*][1]", [2, 4]),
        ("$.a.b.*.c", [1, 2]),
        ("$.a['x.y']", ["dotted"]),
        ('$["a"]["x.y"]', ["dotted"]),
        ("$['a']['']", [0]),
        ("$", [DOCUMENT]),
        ("", [DOCUMENT]),
        ("$.nothing.there[*]", []),
        ("$.a.b.c", []),
    ],
)
def test_a_path_leads_to_its_values(path: str, found: list[object]) -> None:
    assert parse(path).pick(DOCUMENT) == found


@pytest.mark.parametrize("path", ["$..a", "$.a[", "$.a[?(@.b)]", "$.a[1:2]", "a b", "$.a[x]", "$.a['x]", "$.", "a]"])
def test_a_path_that_cannot_be_read_says_where(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be read from"):
        parse(path)


@given(st.text())
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    try:
        path = parse(text)
    except ValueError:
        return
    assert isinstance(path.pick(DOCUMENT), list)


# --- placeholders


def test_placeholders_are_found_and_filled_everywhere() -> None:
    body = {"range": ["{from}", "{until_ms}", "at {from_iso}"], "q": 'host="{host}" {other}', "n": 1}
    assert places.places(body) == {"{from}", "{until_ms}", "{from_iso}", "{host}"}
    assert places.filled(body, places.values(WHOLE, "app1")) == {
        "range": [AT, (AT + 3600) * 1000, "at 2026-11-20T14:00:00Z"],
        "q": 'host="app1" {other}',
        "n": 1,
    }


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert places.fill("{host}", places.values(WHOLE, "{until}")) == "{until}"


# --- times, values, grids


@pytest.mark.parametrize(
    "value", [AT, float(AT), AT * 1000, AT * 10**6, AT * 10**9, str(AT), "2026-11-20T14:00:00Z", "2026-11-20 15:00:00"]
)
def test_a_time_is_read_in_any_form(value: object) -> None:
    assert reader("", {}, "Europe/Berlin").instant(value) == AT


@pytest.mark.parametrize("value", [None, True, 12, 1e30, "yesterday", "", [], {}, "-1h", float("nan")])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        reader("", {}, "UTC").instant(value)


def test_a_repeated_hour_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="twice"):
        reader("", {}, "Europe/Berlin").instant("2026-10-25T02:30:00")


def test_values_are_numbers_and_what_is_none_is_counted() -> None:
    bad = Bad()
    entries = [1, "2.5", True, None, "x", [], {"value": 7, "time": AT, "name": "n", "host": "h"}, [AT, 3]]
    found = list(reader("", {}, "UTC").points(entries, "", bad))
    assert [(one.name, one.host, one.at) for one in found[-2:]] == [("n", "h", AT), ("", "", AT)]
    np.testing.assert_array_equal([one.value for one in found], [1, 2.5, 1, np.nan, 7, 3])
    assert (bad.count, bad.first) == (2, "line 5, 'x': the value is no number")


@given(
    st.lists(st.tuples(st.integers(AT - 100, AT + 3700), st.floats(allow_nan=False, allow_infinity=False)), max_size=60)
)
def test_a_grid_has_every_last_value_in_its_slot(pairs: list[tuple[int, float]]) -> None:
    inside = [(float(at), value) for at, value in pairs if AT <= at < AT + 3600]
    if not inside:
        return
    start, step, values = items.grid(inside, WHOLE)
    assert AT <= start < start + step * (len(values) - 1) < AT + 3600 or len(values) == 1
    last = {(int(at) - start) // step: value for at, value in sorted(inside, key=lambda pair: pair[0])}
    assert {slot: values[slot] for slot in last} == last
    assert np.isnan(values).sum() == len(values) - len(last)


def test_times_a_second_apart_over_weeks_stay_bounded() -> None:
    span = Span("", START, START + timedelta(weeks=8))
    _start, _step, values = items.grid([(AT, 1.0), (AT + 1, 2.0), (AT + 50 * 86400, 3.0)], span)
    assert len(values) <= 50_000


# --- any URL


def http(
    way: Fault, path: str = "", window: Window = ALONE, scope: Scope | None = None, **options: object
) -> tuple[list[Item | Gap], list[bytes]]:
    with peer(way) as server:
        source = Http(name="h", url=server.url + path, scope=scope or Scope(hosts=("app1", "app2")), **options)  # type: ignore[arg-type] # reason: options of any type
        return list(source.collect(window, Deadline(10))), server.requests


def document(value: object) -> Fault:
    return answer(json.dumps(value).encode())


def test_a_list_of_pairs_is_a_series() -> None:
    (found,), _ = http(document([[AT, 1], [AT + 60, None], [AT + 120, 3]]), form="series")
    assert isinstance(found, Series)
    assert (found.name, found.start, found.step, found.metric) == ("h", AT, 60, "h")
    np.testing.assert_array_equal(found.values[:4], [1, np.nan, 3, np.nan])
    assert len(found.values) == 60


def test_series_in_the_form_of_another_tool_are_declared() -> None:
    said = [{"target": "q.one", "datapoints": [[5, AT], [6, AT + 300]]}, {"target": "q.two", "datapoints": [[1, AT]]}]
    fields = {"name": "target", "points": "datapoints", "time": "[1]", "value": "[0]"}
    metric = Metric(target="q.o*", name="queue", unit="jobs", source="h")
    absent = Metric(target="q.three", source="h")
    scope = Scope(metrics=(metric, absent, Metric(target="graphite.only")))
    (one, two, gap), _ = http(document(said), form="series", fields=fields, scope=scope)
    assert isinstance(one, Series)
    assert isinstance(two, Series)
    assert isinstance(gap, Gap)
    assert (one.name, one.metric, one.unit, one.step) == ("q.one", "queue", "jobs", 300)
    assert (two.name, two.metric) == ("q.two", "q.two")
    assert (gap.what, gap.hint) == ("series q.three", "there are: q.one, q.two")


def test_a_value_of_now_stands_at_the_end_of_a_window_that_ends_now() -> None:
    (one,), _ = http(document({"queue": {"depth": 42}}), form="series", pick="$.queue.depth", window=recent())
    assert isinstance(one, Series)
    assert one.values[~np.isnan(one.values)].tolist() == [42]
    assert one.start + one.step * len(one.values) >= recent().end.timestamp() - 61
    (gap,), _ = http(document({"queue": {"depth": 42}}), form="series", pick="$.queue.depth")
    assert isinstance(gap, Gap)
    assert gap.kind is GapKind.UNAVAILABLE


def test_url_and_body_are_asked_for_each_span_and_host_with_values_quoted() -> None:
    scope = Scope(hosts=("a&b",))
    body = {"to": "{until}"}
    found, requests = http(
        document([[AT, 1]]), "/q/?h={host}&f={from_iso}", WINDOW, scope, form="series", method="POST", body=body
    )
    asked = sorted(request.split(b"\r\n")[0].decode() for request in requests)
    assert asked == [
        "POST /q/?h=a%26b&f=2026-11-13T14%3A00%3A00Z HTTP/1.1",
        "POST /q/?h=a%26b&f=2026-11-20T14%3A00%3A00Z HTTP/1.1",
    ]
    assert sorted(json.loads(request.rpartition(b"\r\n")[2])["to"] for request in requests) == [
        AT + 3600 - 604800,
        AT + 3600,
    ]
    (series,) = [one for one in found if isinstance(one, Series)]
    (gap,) = [one for one in found if isinstance(one, Gap)]
    assert (series.host, series.span, gap.span) == ("a&b", "", "last-week")


def test_one_answer_without_times_in_its_question_serves_all_spans() -> None:
    found, requests = http(document([[AT, 1], [AT - 604800, 2]]), form="series", window=WINDOW)
    assert {(one.span, one.values[0]) for one in found if isinstance(one, Series)} == {("", 1), ("last-week", 2)}
    assert len(requests) == 1


def test_entries_with_a_time_are_events() -> None:
    said = {"incidents": [
        {"at": "2026-11-20T14:10:00Z", "status": "down", "title": "disk\x1b[2J full", "host": "app1", "app": "fs"},
        {"created_at": "2026-11-20T12:00:00Z", "status": "up", "title": "before the window"},
        {"title": "no time"},
    ]}  # fmt: skip
    (event, gap), _ = http(document(said), form="events", pick="$.incidents[*]")
    assert isinstance(event, Event)
    assert (event.at, event.host, event.service, event.state) == (START + timedelta(minutes=10), "app1", "fs", "DOWN")
    assert event.output == r"disk\x1b[2J full"
    assert isinstance(gap, Gap)
    assert (gap.what, gap.kind) == ("1 of 3 entries", GapKind.BAD_ANSWER)
    assert "entry 3" in gap.detail


def test_no_events_are_no_gap() -> None:
    assert http(document([]), form="events")[0] == []


@pytest.mark.parametrize(
    ("way", "pick", "said"),
    [
        (document({"mode": "read-only", "up": True}), "", '{"mode": "read-only", "up": true}'),
        (document({"mode": "read-only", "up": True}), "$.mode", "read-only"),
        (answer(b"Busy: 3\nIdle: 5\n", media="text/plain"), "", "Busy: 3\nIdle: 5\n"),
    ],
)
def test_a_reading_is_what_was_picked(way: Fault, pick: str, said: str) -> None:
    (found,), _ = http(way, form="reading", pick=pick)
    assert isinstance(found, Reading)
    assert (found.stdout, found.exit_status) == (said, 0)


def test_a_login_page_is_no_reading() -> None:
    with pytest.raises(SourceError) as caught:
        http(answer(b"<html>please log in", media="text/html"), form="reading")[0]
    assert caught.value.kind is GapKind.BAD_ANSWER


@pytest.mark.parametrize("options", [{"pick": "$..x"}, {"fields": {"tiem": "a"}}, {"zone": "Mars/Base"}])
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(SourceError) as caught:
        http(document([]), form="series", **options)
    assert caught.value.kind is GapKind.REJECTED


def test_a_host_that_is_nowhere_listed_is_said() -> None:
    (gap,), requests = http(document([]), "/{host}", scope=Scope(), form="series")
    assert isinstance(gap, Gap)
    assert (gap.kind, requests) == (GapKind.REJECTED, [])


# --- any program


def command(
    form: str, *argv: str, window: Window = ALONE, scope: Scope | None = None, **options: object
) -> list[Item | Gap]:
    source = Command(name="c", command=argv, form=form, scope=scope or Scope(hosts=("app1", "app2")), **options)  # type: ignore[arg-type] # reason: options of any type
    return list(source.collect(window, Deadline(20)))


def gaps(found: Sequence[Item | Gap]) -> list[Gap]:
    return [one for one in found if isinstance(one, Gap)]


def test_lines_of_name_value_time_are_series() -> None:
    text = f"q.a 1 {AT}\nq.b 5 {AT}\n# a remark\nq.a 2 {AT + 60}\nq.a x {AT}\nq.a\n"
    found = command("series", "printf", "%s", text)
    series = {one.name: one for one in found if isinstance(one, Series)}
    assert set(series) == {"q.a", "q.b"}
    assert series["q.a"].values[:2].tolist() == [1, 2]
    (gap,) = gaps(found)
    assert (gap.what, gap.kind) == ("2 lines of the output", GapKind.BAD_ANSWER)
    assert gap.detail.startswith("line 5")


def test_json_lines_and_documents_are_series_too() -> None:
    rows = "\n".join(json.dumps({"metric": "m", "t": AT + 60 * n, "v": n}) for n in range(3))
    (one,) = command("series", "printf", "%s", rows)
    (two,) = command("series", "printf", "%s", json.dumps({"r": [[AT, 0], [AT + 60, 1], [AT + 120, 2]]}), pick="$.r[*]")
    assert isinstance(one, Series)
    assert isinstance(two, Series)
    assert one.values[:3].tolist() == two.values[:3].tolist() == [0, 1, 2]
    assert (one.name, two.name) == ("m", "c")


def test_placeholders_are_whole_arguments_for_each_span_and_host() -> None:
    script = 'echo "$1.load $2 $2"'
    found = command("series", "sh", "-c", script, "sh", "{host}", "{from}", window=WINDOW)
    assert {(one.name, one.host, one.span, one.values[0]) for one in found if isinstance(one, Series)} == {
        (f"{host}.load", host, span, at)
        for host in ("app1", "app2")
        for span, at in (("", AT), ("last-week", AT - 604800))
    }
    with pytest.raises(SourceError, match="argument of its own"):
        command("series", "echo", "--since={from}")
    with pytest.raises(SourceError, match="taken for an option"):
        command("series", "ssh", "{host}", scope=Scope(hosts=("-oProxyCommand=x",)))


def test_no_shell_reads_the_arguments(tmp_path: File) -> None:
    (one,) = command("reading", "printf", "%s", f"$(touch {tmp_path}/x); `id` && {{}} *")
    assert isinstance(one, Reading)
    assert one.stdout == f"$(touch {tmp_path}/x); `id` && {{}} *"
    assert not list(tmp_path.iterdir())


def test_lines_with_a_time_are_events() -> None:
    text = "2026-11-20T14:10:00Z node app1 left\n2026-11-20 14:20:00 it came back\nnonsense\n"
    one, two, gap = command("events", "printf", "%s", text)
    assert isinstance(one, Event)
    assert isinstance(two, Event)
    assert (one.output, two.output, two.at) == ("node app1 left", "it came back", START + timedelta(minutes=20))
    assert isinstance(gap, Gap)


def test_lines_of_time_id_text_are_changes() -> None:
    text = "2026-11-20T14:10:00Z\tnginx 1.24\tupgraded\n2026-11-19T14:10:00Z\told\tx\n"
    (one,) = command("changes", "printf", "%s", text)
    assert isinstance(one, Change)
    assert (one.kind, one.ref, one.summary, one.role) == ("resource", "nginx 1.24", "upgraded", "infrastructure")
    said = json.dumps({"when": {"at": AT + 60}, "v": "2.0", "hosts": ["app1"]})
    fields = {"time": "when.at", "ref": "v"}
    (one,) = command("changes", "printf", "%s", said, fields=fields, change="deploy", whose="application")
    assert isinstance(one, Change)
    assert (one.kind, one.ref, one.hosts, one.role) == ("deploy", "2.0", ("app1",), "application")


LINES = "".join(f"2026-11-20T14:{n:02}:30Z {'ERROR' if n % 2 else 'INFO'} line {n}\n  more\n" for n in range(60))


def test_lines_with_stamps_are_logs() -> None:
    incident, before = (one for one in command("logs", "printf", "%s", LINES) if isinstance(one, LogSample))
    assert (incident.span, incident.total, before.span, before.total) == ("incident", 30, "before", 30)
    assert incident.records[1].body == "line 31\n  more"
    assert incident.records[1].severity_text == "ERROR"
    assert incident.histogram
    assert sum(incident.histogram.counts["ERROR"]) == 15


def test_logs_reach_as_far_as_they_do() -> None:
    found = command("logs", "printf", "%s", LINES[len(LINES) // 3 :], window=WINDOW)
    assert {one.span: one.total for one in found if isinstance(one, LogSample)} == {"incident": 30, "before": 9}
    assert sorted((gap.span, gap.kind) for gap in gaps(found)) == [
        ("before", GapKind.UNAVAILABLE), ("last-week", GapKind.UNAVAILABLE)
    ]  # fmt: skip


def test_a_timed_program_that_prints_no_line_has_no_lines() -> None:
    found = command("logs", "true", "{from}")
    assert {(one.span, one.total) for one in found if isinstance(one, LogSample)} == {("incident", 0), ("before", 0)}
    (gap,) = command("logs", "true")
    assert isinstance(gap, Gap)


def test_logs_of_json_are_sampled_and_filtered_by_a_query_of_their_own() -> None:
    rows = [{"ts": AT + 1800 + n, "msg": f"m{n}", "lvl": "warn", "node": "app9"} for n in range(600)]
    scope = Scope(logs=(Logs(query="m1", source="c"), Logs(query="elsewhere", source="es")))
    fields = {"text": "$.msg", "level": "lvl", "host": "node"}
    found = command(
        "logs", "printf", "%s", json.dumps({"rows": rows}), pick="$.rows[*]", fields=fields, scope=scope, limit=10
    )
    (one,) = [one for one in found if isinstance(one, LogSample) and one.span == "incident"]
    assert (one.total, len(one.records), one.query) == (111, 10, "m1")
    assert one.records[0].severity_text == "WARN"
    assert one.records[0].resource == {"host.name": "app9"}


def test_logs_of_all_stretches_are_of_one_query() -> None:
    script = "date -u -d @$1 +%FT%TZ"
    found = command("logs", "sh", "-c", script, "sh", "{from}", window=WINDOW)
    assert {(one.span, one.total) for one in found if isinstance(one, LogSample)} == {
        ("incident", 1), ("before", 1), ("last-week", 1)
    }  # fmt: skip
    assert {one.query for one in found if isinstance(one, LogSample)} == {"sh -c 'date -u -d @$1 +%FT%TZ' sh '{from}'"}


def test_a_program_that_prints_no_change_rules_nothing_out() -> None:
    source: Source = Command(name="c", command=("true",), form="changes")
    assert source.role == ""
    assert command("changes", "true") == []


def test_a_failure_is_said_and_what_was_printed_is_kept() -> None:
    gap, reading = command("reading", "sh", "-c", "echo half; echo; echo 'no route' >&2; exit 3")
    assert isinstance(reading, Reading)
    assert (reading.stdout, reading.exit_status) == ("half\n\n", 3)
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.detail) == (GapKind.UNAVAILABLE, "sh ended with status 3: no route")


def test_what_a_source_gives_is_what_it_was_told_to() -> None:
    one: Source = Command(name="c", command=("true",), form="logs")
    assert one.given == {"logs"}
    assert Command.gives > one.given
    assert Http(name="h", url="http://x", form="events").given == {"events"}


# --- the YAML


def test_the_yaml_says_as(tmp_path: File) -> None:
    path = tmp_path / "opsbrief.yaml"
    path.write_text(
        "sources:\n  q: {type: command, command: [q, '{from}'], as: series}\n"
        "  h: {type: http, url: 'http://x/{host}?a={from}', as: events, method: POST, body: {a: [1, '{from}']}}\n"
    )
    config = load([path], {}, tmp_path)
    (_, q), (_, h) = config.sources["q"], config.sources["h"]
    assert isinstance(q, Command)
    assert isinstance(h, Http)
    assert (q.command, q.form) == (("q", "{from}"), "series")
    assert (h.form, h.body) == ("events", {"a": [1, "{from}"]})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_that_was_found_runs_no_program(tmp_path: File) -> None:
    path = tmp_path / "opsbrief.yaml"
    path.write_text("sources: {q: {type: command, command: [touch, x], as: series}}")
    os.chown(path, 12345, -1)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"belongs to somebody else .uid 12345. and names a command to run"):
        load(None, env, tmp_path)


def test_a_file_that_others_can_write_runs_no_program(tmp_path: File) -> None:
    path = tmp_path / "opsbrief.yaml"
    path.write_text("sources: {q: {type: command, command: [touch, x], as: series}}")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="others can write"):
        load([path], {}, tmp_path)
