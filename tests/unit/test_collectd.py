"""The names of collectd: every layout of write_graphite, as recorded from a real one."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from opsbrief.readers.collectd import heads, known
from opsbrief.readers.collectd.identity import Identity
from opsbrief.readers.collectd.layout import Layout, learn, read, tagged
from opsbrief.readers.graphite.target import tags_of

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
