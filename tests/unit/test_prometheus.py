"""Answers of Prometheus as values, and the source against a loopback peer that says what it is told to."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.peer import Fault, answer, peer

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers import matrix
from opsbrief.sources.prometheus import Prometheus
from opsbrief.transport.deadline import Deadline

START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
AT = int(START.timestamp())
WINDOW = Window(
    start=START + timedelta(minutes=30), end=START + timedelta(hours=1), anchor=Anchor("time", START),
    before=timedelta(minutes=30),
)  # fmt: skip


def told(*series: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}, **more}


def row(*pairs: tuple[float, str], **labels: str) -> dict[str, object]:
    return {"metric": labels, "values": [list(pair) for pair in pairs]}


# --- reading


def test_values_are_laid_on_the_grid_and_what_is_left_out_is_missing() -> None:
    (one,) = matrix.read(told(row((0, "1.5"), (60, "NaN"), (120.0, "+Inf"), (180, "-3e2"), x="1")), 0, 60, 5).rows
    np.testing.assert_array_equal(one.values, [1.5, np.nan, np.nan, -300.0, np.nan])
    assert (one.infinite, one.labels) == (1, {"x": "1"})


def test_values_outside_the_grid_are_left_off() -> None:
    (one,) = matrix.read(told(row((-60, "1"), (0, "2"), (60, "3"), (120, "4"))), 0, 60, 2).rows
    np.testing.assert_array_equal(one.values, [2, 3])


@pytest.mark.parametrize(
    ("document", "kind", "said"),
    [
        (None, GapKind.BAD_ANSWER, "None"),
        ([], GapKind.BAD_ANSWER, "[]"),
        ({}, GapKind.BAD_ANSWER, "{}"),
        ({"status": "success", "data": 5}, GapKind.BAD_ANSWER, "success"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, GapKind.BAD_ANSWER, "vector"),
        (told({"values": []}), GapKind.BAD_ANSWER, "without labels"),
        (told({"metric": {}, "values": [[0]]}), GapKind.BAD_ANSWER, "not [time, text]"),
        (told({"metric": {}, "values": [[0, "x"]]}), GapKind.BAD_ANSWER, "not [time, text]"),
        (told({"metric": {}, "values": 7}), GapKind.BAD_ANSWER, "not [time, text]"),
        ({"status": "error", "errorType": "bad_data", "error": "parse error"}, GapKind.REJECTED, "parse error"),
        ({"status": "error", "errorType": "timeout", "error": "too long"}, GapKind.TIMEOUT, "too long"),
        ({"status": "error", "errorType": "internal", "error": "disk"}, GapKind.UNAVAILABLE, "disk"),
    ],
)
def test_another_shape_is_said(document: object, kind: GapKind, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        matrix.read(document, 0, 60, 5)
    assert caught.value.kind is kind
    assert said in caught.value.message


_KEYS = st.sampled_from(["status", "data", "result", "metric", "values", "x"])
_PLAIN = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(_PLAIN, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner)))
def test_any_document_is_read_or_refused(inner: object) -> None:
    for document in (inner, told(inner), told({"metric": {}, "values": inner})):
        try:
            rows = matrix.read(document, 0, 60, 5).rows
        except SourceError:
            continue
        assert all(len(one.values) == 5 for one in rows)


@pytest.mark.parametrize(
    ("labels", "hosts", "found"),
    [
        ({"instance": "app1:9100"}, ("app1",), "app1"),
        ({"instance": "app1.example.com:9100"}, ("app1",), "app1"),
        ({"instance": "app1:9100"}, ("app1.example.com",), "app1.example.com"),
        ({"instance": "app10:9100"}, ("app1",), "app10"),
        ({"instance": "exporter:9100", "host": "app1"}, ("app1",), "app1"),
        ({"instance": "exporter:9100", "nodename": "app1"}, ("app1",), "app1"),
        ({"instance": "[::1]:9100"}, (), "::1"),
        ({"job": "shop"}, ("app1",), ""),
    ],
)
def test_the_host_is_found_among_the_labels(labels: dict[str, str], hosts: tuple[str, ...], found: str) -> None:
    assert matrix.host_of(labels, hosts) == found


def test_names_do_not_depend_on_the_order_of_labels() -> None:
    labels = {"job": "a", "__name__": "up", "instance": 'x"y'}
    assert matrix.named(labels, "q") == r'up{instance="x\"y",job="a"}'
    assert matrix.named({"b": "1"}, "sum(up)") == 'sum(up){b="1"}'
    assert matrix.named({}, "sum(up)") == "sum(up)"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", "up"),
        ("up / 2", "up"),
        ('up{job=~"a{1,2}}"} > 1', 'up{job=~"a{1,2}}"}'),
        ('sum by (job) (rate(x_total{a="b"}[5m]))', 'x_total{a="b"}'),
        ("sum by (job) (rate(x_total[5m]))", "x_total"),
        ('{__name__=~"x.*"}', '{__name__=~"x.*"}'),
        ("sum by (job) (up)", ""),
        ("vector(1)", ""),
    ],
)
def test_a_selector_is_found_where_it_is_plain_to_see(expression: str, found: str) -> None:
    assert matrix.selector(expression) == found


# --- asking


def served(document: object, status: str = "200 OK") -> Fault:
    """Return a peer that answers everything with one document."""
    return answer(json.dumps(document).encode(), status)


def collect(way: Fault, *targets: str, **options: object) -> list[Item | Gap]:
    with peer(way) as server:
        metrics = tuple(Metric(target=target) for target in targets or ("up",))
        source = Prometheus(name="p", url=server.url, scope=Scope(hosts=("app1",), metrics=metrics), **options)  # type: ignore[arg-type] # reason: options of any type
        return list(source.collect(WINDOW, Deadline(10)))


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        ({"warnings": ["No StoreAPIs matched for this query"]}, GapKind.TRUNCATED, "No StoreAPIs"),
        ({"infos": ["PromQL info: metric might not be a counter"]}, GapKind.BAD_ANSWER, "not be a counter"),
        ({"isPartial": True}, GapKind.TRUNCATED, "partial"),
    ],
)
def test_what_the_server_remarks_is_a_gap_beside_the_series(more: dict[str, object], kind: GapKind, said: str) -> None:
    series, gap = collect(served(told(row((AT, "1"), __name__="up"), **more)), step=60.0)
    assert isinstance(series, Series)
    assert series.name == "up"
    assert isinstance(gap, Gap)
    assert (gap.kind, said in gap.detail) == (kind, True)


def test_native_histograms_are_no_numbers() -> None:
    (gap,) = collect(served(told({"metric": {"__name__": "up"}, "histograms": [[AT, {}]]})), step=60.0)
    assert isinstance(gap, Gap)
    assert gap.kind is GapKind.REJECTED
    assert "histogram_quantile" in gap.hint


def test_a_server_without_the_api_is_named() -> None:
    with pytest.raises(SourceError) as caught:
        collect(answer(b"404 page not found", "404 Not Found", "text/plain"), step=60.0)
    assert caught.value.kind is GapKind.UNREACHABLE
    assert "/api/v1" in caught.value.hint


def test_a_proxy_that_knows_only_get_is_asked_so() -> None:
    asked: list[bytes] = []

    def way(sock: object, request: bytes) -> None:
        asked.append(request.split(b"\r\n")[0])
        post = request.startswith(b"POST")
        served(told(row((AT, "1"), __name__="up")), status="405 No" if post else "200 OK")(sock, request)  # type: ignore[arg-type] # reason: a socket

    found = collect(way, step=60.0)
    assert [type(one) for one in found] == [Series]
    assert [line.split()[0] for line in asked] == [b"POST", b"GET"]
    form = parse_qs(asked[1].split()[1].decode().partition("?")[2])
    assert (form["query"], form["start"], form["end"], form["step"]) == (["up"], [str(AT)], [str(AT + 3540)], ["60"])
