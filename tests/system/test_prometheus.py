"""The Prometheus source against a real Prometheus, and against VictoriaMetrics with the same names."""

import json
import threading
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.system.graphite import Victoria
from tests.system.prometheus import HOURS, NOW, WEEK
from tests.system.prometheus import Prometheus as Server

from opsbrief.cli.probe import Question
from opsbrief.cli.probe import ask as probe
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.sources.prometheus import Prometheus
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system

START = NOW - HOURS * 3600
COUNT = np.arange(HOURS * 240.0)


def hours(first: int, end: int, *weeks: int) -> Window:
    """Return the window [first, end), its last hour the incident, with the same hours of earlier weeks."""
    shifts = tuple((f"{number}-weeks-ago", timedelta(weeks=number)) for number in weeks)
    start, stop = (datetime.fromtimestamp(at, UTC) for at in (end - 3600, end))
    before = timedelta(seconds=end - 3600 - first)
    return Window(start=start, end=stop, anchor=Anchor("time", start), before=before, shifts=shifts)


ALL = hours(START, NOW, 1)


def ask(
    url: str, *targets: str, window: Window = ALL, hosts: tuple[str, ...] = ("app1", "app2"), **options: object
) -> tuple[list[Series], list[Gap]]:
    """Collect targets from a server; return series and gaps."""
    metrics = tuple(Metric(target=target, rank=target.startswith("{")) for target in targets)
    source = Prometheus(name="p", url=url, scope=Scope(hosts=hosts, metrics=metrics), **options)  # type: ignore[arg-type] # reason: options of any type
    found = list(source.collect(window, Deadline(60)))
    return [item for item in found if isinstance(item, Series)], [item for item in found if isinstance(item, Gap)]


def test_series_come_at_the_pace_of_their_data_for_every_span(prometheus: Server) -> None:
    series, gaps = ask(prometheus.url, 'shop_connections{instance="{host}:9100"}')
    assert gaps == []
    assert {(one.host, one.span) for one in series} == {
        (host, span) for host in ("app1", "app2") for span in ("", "1-weeks-ago")
    }
    for one in series:
        assert one.name == f'shop_connections{{instance="{one.host}:9100",job="shop"}}'
        assert (one.start, one.step) == (START - WEEK * bool(one.span), 15)
        np.testing.assert_array_equal(one.values, COUNT + 1000 * (one.host == "app2"))
    first = series[0].origin
    assert first.url == f"{prometheus.url}/api/v1/query_range"
    assert first.digest.startswith("sha256:")
    assert "step=15" in first.query


def test_hosts_are_known_by_their_labels(prometheus: Server) -> None:
    series, gaps = ask(prometheus.url, "shop_connections", "shop_slow")
    assert gaps == []
    now = {(one.name.partition("{")[0], one.host): one for one in series if not one.span}
    assert set(now) == {("shop_connections", "app1"), ("shop_connections", "app2"), ("shop_slow", "app1")}
    slow = now["shop_slow", "app1"]
    assert slow.step == 120
    np.testing.assert_array_equal(slow.values, np.arange(HOURS * 30.0))


def test_an_expression_is_named_by_itself(prometheus: Server) -> None:
    query = "sum by (instance) (rate(shop_requests_total[5m]))"
    series, gaps = ask(prometheus.url, query, "vector(3)")
    assert gaps == []
    now = {one.name: one for one in series if not one.span}
    assert set(now) == {query + '{instance="app1:9100"}', "vector(3)"}
    rate = now[query + '{instance="app1:9100"}']
    np.testing.assert_allclose(rate.values[40:], 1.0)
    assert set(now["vector(3)"].values) == {3.0}


def test_a_bad_query_is_said_in_the_servers_words_and_the_rest_comes(prometheus: Server) -> None:
    clash = "shop_connections * on () shop_connections"
    series, gaps = ask(prometheus.url, "collectd.app1.load", clash, "shop_slow")
    assert {one.name.partition("{")[0] for one in series} == {"shop_slow"}
    by_query = {gap.what: gap for gap in gaps}
    parse = by_query["query collectd.app1.load"]
    assert parse.kind is GapKind.REJECTED
    assert "parse error" in parse.detail
    assert "another source" in parse.hint
    assert by_query[f"query {clash}"].kind is GapKind.REJECTED
    assert "many-to-many matching not allowed" in by_query[f"query {clash}"].detail


def test_what_is_not_there_is_named_for_its_spans(prometheus: Server) -> None:
    _series, gaps = ask(prometheus.url, "shop_absent", 'shop_gone{instance="{host}"}', "shop_young")
    assert {(gap.what, gap.kind, gap.span) for gap in gaps} == {
        ('query shop_absent, shop_gone{instance="app1"}, shop_gone{instance="app2"}', GapKind.UNAVAILABLE, ""),
        ("query shop_young", GapKind.UNAVAILABLE, "1-weeks-ago"),
        (
            f"everything before {datetime.fromtimestamp(NOW - 3600, UTC):%Y-%m-%d %H:%M} UTC",
            GapKind.UNAVAILABLE,
            "window",
        ),
    }


def test_where_the_data_begins_is_said_once_for_all(prometheus: Server) -> None:
    series, gaps = ask(prometheus.url, "shop_connections", "shop_young", window=hours(START - 6 * 3600, NOW))
    assert len(series) == 3
    assert [(gap.what, gap.kind) for gap in gaps] == [
        (f"everything before {datetime.fromtimestamp(START, UTC):%Y-%m-%d %H:%M} UTC", GapKind.UNAVAILABLE)
    ]


def test_infinity_is_missing_and_said(prometheus: Server) -> None:
    series, gaps = ask(prometheus.url, "shop_slow / 0", "shop_slow * NaN")
    assert series == []  # 0 / 0, then infinity
    assert {(gap.what, gap.kind, gap.detail) for gap in gaps} == {
        ("query shop_slow / 0", GapKind.BAD_ANSWER, "89 infinite values taken as missing"),
        ("query shop_slow * NaN", GapKind.UNAVAILABLE, "no series, or no value in this span"),
    }


def test_a_long_window_is_asked_in_wider_steps(prometheus: Server) -> None:
    window = hours(NOW - 5 * 86400, NOW)
    (one, *_), gaps = ask(prometheus.url, "shop_connections", window=window)
    assert one.step == 60
    assert len(one.values) == 5 * 1440
    (one, *_), gaps = ask(prometheus.url, "shop_connections", window=window, step=15.0)
    assert one.step == 60
    assert [gap.kind for gap in gaps if "resolution" in gap.what] == [GapKind.TRUNCATED]
    (one, *_), gaps = ask(prometheus.url, "shop_connections", step=30.0)
    assert (one.step, gaps) == (30, [])


def test_a_wide_net_brings_nothing_twice_and_not_too_much(prometheus: Server) -> None:
    series, gaps = ask(
        prometheus.url, '{job="shop"}', 'shop_connections{instance="app1:9100"}', window=hours(START, NOW)
    )
    assert gaps == []
    assert sorted((one.host, one.metric[:4]) for one in series) == [("app1", "shop"), ("app2", "{job")]
    series, gaps = ask(prometheus.url, '{job="shop"}', max_series=1, window=hours(START, NOW))
    assert len(series) == 1
    assert [(gap.what, gap.kind) for gap in gaps] == [("the rest", GapKind.TRUNCATED)]


def test_check_finds_the_newest_point(prometheus: Server) -> None:
    scope = Scope(metrics=(Metric(target="shop_young"),))
    source = Prometheus(name="p", url=prometheus.url, scope=scope)
    (found,) = probe([Question("prometheus", source)], hours(NOW - 3600, NOW))
    assert found.fine, found.gaps
    assert found.figures["series"] == 1
    assert found.figures["points"] == 240


def test_victoriametrics_answers_the_same(victoria: Victoria) -> None:
    rows = [
        f"vm_connections;instance={host}:9100;job=shop {i + 1000 * number} {at}"
        for number, host in enumerate(("app1", "app2"))
        for i, at in enumerate(range(START, NOW, 15))
    ]
    victoria.send(rows)
    _await_points(victoria.url, "sum(count_over_time(vm_connections[4h]))", len(rows))
    query = 'vm_connections{instance="{host}:9100"}'
    series, gaps = ask(victoria.url, query, "vm_absent", "sum(", window=hours(START, NOW))
    assert {one.host for one in series} == {"app1", "app2"}
    for one in series:
        assert (one.start, one.step) == (START, 15)
        np.testing.assert_array_equal(one.values, COUNT + 1000 * (one.host == "app2"))
    assert {(gap.what, gap.kind) for gap in gaps} == {
        ("query vm_absent", GapKind.UNAVAILABLE),
        ("query sum(", GapKind.REJECTED),
    }


def _await_points(url: str, query: str, count: int) -> None:
    """Wait until all that was sent can be read: the first lines are visible before the last have arrived."""
    until = time.monotonic() + 30
    asked = urllib.parse.urlencode({"query": query, "time": NOW, "nocache": 1})
    while time.monotonic() < until:
        urllib.request.urlopen(f"{url}/internal/force_flush", timeout=10).close()  # noqa: S310 - on loopback
        with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=10) as answer:  # noqa: S310 - same
            result = json.load(answer)["data"]["result"]
        if result and int(result[0]["value"][1]) >= count:
            return
        threading.Event().wait(0.2)
    raise RuntimeError(f"VictoriaMetrics does not show what it was sent: {result}")
