"""The names of collectd: every layout of write_graphite, as recorded from a real one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsbrief.codec import decode, encode
from opsbrief.config import load
from opsbrief.errors import ConfigError, GapKind
from opsbrief.model.evidence import Origin, Series
from opsbrief.model.scope import Dashboard, Metric, Scope
from opsbrief.readers.collectd import heads, known
from opsbrief.readers.collectd.board import NET
from opsbrief.readers.collectd.identity import Identity
from opsbrief.readers.collectd.layout import Layout, guess, learn, read, tagged
from opsbrief.readers.collectd.survey import Names, Survey, survey
from opsbrief.readers.graphite.plan import Want, wants
from opsbrief.readers.graphite.target import matcher, tags_of

RECORDED = Path(__file__).parent.parent / "recorded" / "collectd"
HOST = "app01.example.com"
LAYOUTS = {path.stem: path.read_text().split() for path in sorted(RECORDED.glob("*.txt"))}
TREES = [name for name in LAYOUTS if name != "tags"]
CONNECTIONS = Identity("tcpconns", "8080-local", "tcp_connections", "ESTABLISHED")


def branches(names: Iterable[str]) -> set[str]:
    """Return every name and every branch above it."""
    return {".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)}


def identities(names: list[str], host: str = HOST) -> dict[str, Identity | None]:
    (head,) = heads.find(branches(names), [host]).found
    tails = {name: name.removeprefix(f"{head.text}.") for name in names}
    layout = learn(tails.values())
    return {name: read(tail, layout) for name, tail in tails.items()}


@pytest.mark.parametrize("layout", TREES)
def test_every_name_of_every_layout_is_understood(layout: str) -> None:
    found = set(identities(LAYOUTS[layout]).values())
    assert None not in found
    if layout != "percent":
        assert found == set(identities(LAYOUTS["plain"]).values())
    assert CONNECTIONS in found
    assert Identity("load", "", "load", "", "shortterm") in found
    assert Identity("processes", "python3", "ps_count", "", "threads") in found
    assert Identity("df", "dev-shm", "percent_bytes", "used") in found


def test_tags_say_the_same() -> None:
    found = {tagged(tags_of(name), name.partition(";")[0]) for name in LAYOUTS["tags"]}
    assert found == set(identities(LAYOUTS["plain"]).values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain", "as write_graphite writes them by default"),
        ("separate", "SeparateInstances"),
        ("with-ds", "AlwaysAppendDS"),
        ("dropped", "DropDuplicateFields"),
        ("all", "SeparateInstances, AlwaysAppendDS, DropDuplicateFields"),
    ],
)
def test_a_layout_is_told_by_its_names(name: str, said: str) -> None:
    head = heads.find(branches(LAYOUTS[name]), [HOST]).found[0]
    assert str(learn(row.removeprefix(f"{head.text}.") for row in LAYOUTS[name])) == said


@pytest.mark.parametrize(
    ("tree", "host", "prefix", "postfix"),
    [
        ("plain", "app01.example.com", "collectd.", ""),
        ("plain", "app01", "collectd.", ""),
        ("no-prefix", "app01.example.com", "", ""),
        ("glued-prefix", "app01.example.com", "collectd", ""),
        ("dots", "app01.example.com", "servers.", ""),
        ("dots", "app01", "servers.", ".example.com"),
        ("postfix", "app01.example.com", "metrics.", ".collectd"),
        ("postfix", "app01", "metrics.", ".collectd"),
        ("reversed", "app01.example.com", "reversed.", ""),
    ],
)
def test_a_host_is_found_however_it_is_written(tree: str, host: str, prefix: str, postfix: str) -> None:
    (head,) = heads.find(branches(LAYOUTS[tree]), [host]).found
    assert (head.prefix, head.postfix) == (prefix, postfix)


@pytest.mark.parametrize("host", ["app0", "app011", "01.example.com", "app01.other.org", "web01", "app01.example"])
def test_another_host_is_not_taken_for_it(host: str) -> None:
    found = heads.find(branches(LAYOUTS["plain"]), [host])
    assert not found.found
    assert found.absent or found.unclear == {host: ("collectd.app01_example_com",)}


def test_what_is_glued_to_a_host_counts_when_it_is_glued_to_several() -> None:
    paths = ["xapp1.load", "xapp2.load"]
    assert [head.prefix for head in heads.find(paths, ["app1", "app2"]).found] == ["x", "x"]
    assert heads.find(paths, ["app1"]).unclear == {"app1": ("xapp1",)}
    assert heads.find(paths, ["app1"], "x").found


def test_the_short_name_in_the_tree_is_the_long_one_of_the_service() -> None:
    found = heads.find(["collectd.app01.load", "collectd.app10.load"], ["app01.example.com"])
    assert [head.text for head in found.found] == ["collectd.app01"]


def test_two_hosts_with_one_short_name_are_not_guessed() -> None:
    paths = ["collectd.app01_example_com.load", "collectd.app01_other_org.load"]
    found = heads.find(paths, ["app01"])
    assert not found.found
    assert found.unclear == {"app01": ("collectd.app01_example_com", "collectd.app01_other_org")}
    dotted = heads.find(["collectd.app01.example.com.load", "collectd.app01.other.org.load"], ["app01"])
    assert dotted.unclear == {"app01": ("collectd.app01.example.com", "collectd.app01.other.org")}


def test_of_two_trees_the_fuller_one_is_taken_and_the_other_is_said() -> None:
    paths = ["old.app1.load", "new.app1.load", "new.app1.cpu-0", "new.app2.load"]
    found = heads.find(paths, ["app1", "app2"])
    assert [head.text for head in found.found] == ["new.app1", "new.app2"]
    assert found.others == ("old.",)
    assert [head.text for head in heads.find(paths, ["app1"], "old").found] == ["old.app1"]


def test_a_plugin_below_a_plugin_is_no_host() -> None:
    found = heads.find(["collectd.load.load", "collectd.load.load.load"], ["load"])
    assert [head.text for head in found.found] == ["collectd.load"]


def test_names_of_two_configurations_under_one_head_are_told_apart_from_one() -> None:
    assert learn(["cpu-0.cpu-idle", "df.root.df_complex.used"]).mixed
    assert not learn(["cpu-0.cpu-idle", "swap.swap_io-in.value"]).mixed


def test_a_plugin_nobody_knows_is_read_only_where_the_name_tells() -> None:
    assert read("shop-eu.orders-open", Layout()) == Identity("shop", "eu", "orders", "open")
    assert read("shop.eu.orders.open", Layout(separate=True)) is None
    assert read("lonely", Layout()) is None


@pytest.mark.parametrize(
    ("what", "unit", "worse", "counter"),
    [
        (CONNECTIONS, "conn", "up", False),
        (Identity("memory", "", "memory", "used"), "B", "up", False),
        (Identity("memory", "", "memory", "free"), "B", "down", False),
        (Identity("cpu", "0", "cpu", "idle"), "jiffies/s", "down", True),
        (Identity("df", "root", "percent_bytes", "used"), "%", "up", False),
        (Identity("interface", "eth0", "if_errors", "", "rx"), "/s", "up", True),
        (Identity("protocols", "Tcp", "protocol_counter", "RetransSegs"), "/s", "up", True),
        (Identity("protocols", "Tcp", "protocol_counter", "InSegs"), "/s", "either", True),
        (Identity("shop", "", "orders", "open"), "", "either", False),
    ],
)
def test_what_is_known_of_a_metric(what: Identity, unit: str, worse: str, *, counter: bool) -> None:
    assert (known.unit(what), known.worse(what), known.counter(what)) == (unit, worse, counter)


# --- the dashboard


def listing(names: Iterable[str]) -> Names:
    """Answer globs as a server does, out of a list of names."""
    every = [*names]
    above = branches(every)

    def ask(queries: Sequence[str], level: str) -> list[str]:
        wanted = [matcher(query) for query in queries]
        return [name for name in (every if level == "leaves" else above) if any(one.match(name) for one in wanted)]

    return ask


def found(names: Iterable[str], hosts: Sequence[str] = (HOST,), own: Sequence[Metric] = (), **options: Any) -> Survey:
    named = [want for want in wants(own, hosts, "graphite") if isinstance(want, Want)]
    board = Dashboard(kind="collectd", **options)
    return survey(board, hosts, "graphite", listing(names), named, lambda _hosts: LAYOUTS["tags"])


def names_of(found: Survey, metric: str) -> set[str]:
    texts = [want.targets[0].text for want in found.wants if want.metric.name == metric]
    return {name for text in texts for name in found.known.get(text, (text,))}


@pytest.mark.parametrize("layout", TREES)
def test_the_dashboard_is_the_same_in_every_layout(layout: str) -> None:
    result = found(LAYOUTS[layout])
    assert [(metric.name, metric.unit, metric.worse) for metric in result.metrics[:6]] == [
        ("connections on 8080", "conn", "up"),
        ("CLOSE_WAIT on 8080", "conn", "up"),
        ("load", "", "up"),
        ("memory used", "B", "up"),
        ("swap used", "B", "up"),
        ("CPU idle", "%" if layout == "percent" else "jiffies/s", "down"),
    ]
    (leak,) = names_of(result, "connections on 8080")
    assert "8080-local" in leak
    assert "ESTABLISHED" in leak
    assert result.metrics[0].key
    assert [metric.limit for metric in result.metrics if metric.name == "/ used"] == [100.0]
    assert not result.gaps


def test_a_server_of_tags_is_asked_where_no_tree_has_the_host() -> None:
    result = found([])
    assert result.metrics[0].name == "connections on 8080"
    assert not result.gaps
    (leak,) = names_of(result, "connections on 8080")
    assert leak.startswith("tcpconns.tcp_connections;")


def test_noise_is_left_out_and_said_and_its_telling_part_is_not() -> None:
    result = found(LAYOUTS["plain"])
    ranked = names_of(result, NET)
    assert not [name for name in ranked if ".entropy." in name or ".uptime." in name or ".irq." in name]
    assert any("uptime" in note and "not ranked" in note for note in result.notes)
    assert names_of(result, "TCP retransmits") == {
        "collectd.app01_example_com.protocols-Tcp.protocol_counter-RetransSegs"
    }
    assert "collectd.app01_example_com.contextswitch.contextswitch" in ranked
    assert not names_of(found(LAYOUTS["plain"], rank=False), NET)


def test_no_series_is_asked_for_twice_and_what_the_service_names_is_left_to_it() -> None:
    own = Metric(target="collectd.{host}.load.load.*", name="my load")
    result = found(LAYOUTS["plain"], own=[own])
    assert "load" not in {metric.name for metric in result.metrics}
    asked = [name for want in result.wants for name in result.known.get(want.targets[0].text, (want.targets[0].text,))]
    assert len(asked) == len(set(asked))
    assert not [name for name in asked if ".load.load." in name]


def test_one_metric_of_many_hosts_is_one_glob() -> None:
    hosts = [f"app{number:02}.example.com" for number in range(1, 21)]
    tree = [name.replace("app01", host.partition(".")[0]) for host in hosts for name in LAYOUTS["plain"]]
    result = found(tree, hosts)
    loads = [want for want in result.wants if want.metric.name == "load"]
    assert len(loads) == 1
    assert len(result.known[loads[0].targets[0].text]) == 20
    assert {member.host for member in result.members.values()} == set(hosts)


def test_of_many_ports_those_that_matter_are_looked_at() -> None:
    tree = [
        name.replace("8080", str(port)) for port in range(8080, 8100) for name in LAYOUTS["plain"] if "8080" in name
    ] + LAYOUTS["plain"]
    every = {metric.name for metric in found(tree).metrics}
    assert "connections on all ports" in every
    assert not [name for name in every if "on 80" in name]
    assert any("20 ports" in note for note in found(tree).notes)
    some = {metric.name for metric in found(tree, ports=(8090,)).metrics}
    assert {"connections on 8090", "CLOSE_WAIT on 8090"} <= some
    assert "connections on 8080" not in some


def test_hosts_that_stand_nowhere_or_anywhere_are_gaps() -> None:
    missing = found(LAYOUTS["plain"], [HOST, "web01"])
    assert [(gap.kind, "web01" in gap.detail) for gap in missing.gaps] == [(GapKind.UNAVAILABLE, True)]
    twice = found([*LAYOUTS["plain"], *LAYOUTS["separate"]])
    assert [gap.kind for gap in twice.gaps] == [GapKind.SKIPPED]
    assert "separate." in twice.gaps[0].detail
    chosen = found([*LAYOUTS["plain"], *LAYOUTS["separate"]], prefix="separate")
    assert not chosen.gaps
    assert [gap.kind for gap in found([], []).gaps] == [GapKind.REJECTED]


def series(name: str, values: Sequence[float]) -> Series:
    return Series(name=name, start=0, step=10, values=np.array(values), origin=Origin(source="graphite", query=""))


def test_raw_counters_are_told_by_the_busiest_and_shown_as_rates() -> None:
    result = found(LAYOUTS["counters"])
    ((where, voters),) = result.voters().items()
    assert "counters.app01_example_com.contextswitch.contextswitch" in voters
    assert "stored raw" in str(result.judge(where, [np.arange(0, 1000, 10.0)]))
    name = "counters.app01_example_com.interface-eth0.if_octets.rx"
    shown = result.dress(series(name, [0, 500, 1500]), Metric(target="net", rank=True))
    assert shown.values[1:].tolist() == [50, 100]
    assert (shown.unit, shown.host) == ("B/s", HOST)
    level = result.dress(
        series("counters.app01_example_com.load.load.shortterm", [1, 2, 3]), Metric(target="net", rank=True)
    )
    assert level.values.tolist() == [1, 2, 3]


def test_rates_stay_as_they_are() -> None:
    result = found(LAYOUTS["plain"])
    ((where, _),) = result.voters().items()
    assert result.judge(where, [np.tile([3.0, 7, 5], 20)]) == ""
    assert result.judge(where, [np.array([1.0, 2.0])]) is None
    name = "collectd.app01_example_com.interface-eth0.if_octets.rx"
    assert result.dress(series(name, [0, 500, 1500]), Metric(target="net", rank=True)).values.tolist() == [0, 500, 1500]


@pytest.mark.parametrize("layout", TREES)
def test_a_name_nobody_looked_for_is_still_known_where_it_is_surely_collectds(layout: str) -> None:
    name = next(name for name in LAYOUTS[layout] if "ESTABLISHED" in name and "8080" in name)
    told = Survey().dress(series(name, [1, 2, 3]), Metric(target=name))
    assert (told.unit, told.worse) == ("conn", "up")


@pytest.mark.parametrize("name", ["shop.orders.open", "scale(collectd.a.load.load.shortterm,2)", "a", "stats.load", ""])
def test_other_names_are_left_alone(name: str) -> None:
    assert guess(name) is None


def test_what_a_dashboard_finds_becomes_a_part_of_the_scope_and_of_the_bundle() -> None:
    mine = Metric(target="x.y", name="load", worse="down")
    scope = Scope(hosts=(HOST,), metrics=(mine,), dashboard=Dashboard(kind="collectd", ports=(8080,)))
    joined = scope.joined(found(LAYOUTS["plain"]).metrics)
    assert joined.metrics[0] is mine
    assert [metric.name for metric in joined.metrics].count("load") == 1
    assert decode(Scope, encode(joined)) == joined
    assert joined.joined(found(LAYOUTS["plain"]).metrics) == joined
    narrow = joined.narrow()
    assert not [metric for metric in narrow.metrics if metric.rank]
    assert narrow.dashboard
    assert not narrow.dashboard.rank


def test_the_configuration_takes_the_word_or_the_options(tmp_path: Path) -> None:
    file = tmp_path / "opsbrief.yaml"
    text = "sources: {{w: {{type: whisper, path: .}}}}\nservices: {{shop: {{hosts: a, dashboard: {}}}}}\n"
    for written, wanted in (
        ("collectd", Dashboard(kind="collectd")),
        ("{kind: collectd, ports: 8080, prefix: servers}", Dashboard(kind="collectd", ports=(8080,), prefix="servers")),
        ("", None),
    ):
        file.write_text(text.format(written))
        assert load([file], {}).services["shop"].scope.dashboard == wanted
    file.write_text(text.format("grafana"))
    with pytest.raises(ConfigError, match="dashboard"):
        load([file], {})
