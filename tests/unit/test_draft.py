from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

from opsbrief.cli.draft import Answers, compress, discover, text

HOSTS = [f"app{number}" for number in range(1, 11)]
NAMES = [
    f"collectd.{host}.{rest}"
    for host in [*HOSTS, "db1"]
    for rest in ("load.load.shortterm", "load.load.midterm", "memory.memory-used")
]
NAMES += [f"collectd.{host}.tcpconns-{port}-local.tcp_connections-ESTABLISHED" for host in HOSTS for port in (80, 8080)]


def find(pattern: str, names: Sequence[str] = NAMES) -> list[str]:
    """Globs as Graphite has them: a star stays within its level."""
    wanted = pattern.split(".")
    rows = ((name, name.split(".")) for name in names)
    return [name for name, parts in rows if len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))]


def test_collectds_hosts_are_found_wherever_they_stand() -> None:
    assert discover(find) == ("collectd.", (*HOSTS, "db1"))
    moved = [name.replace("collectd.", "europe.prod.") for name in NAMES]
    assert discover(lambda pattern: find(pattern, moved)) == ("europe.prod.", (*HOSTS, "db1"))
    bare = [name.removeprefix("collectd.") for name in NAMES]
    assert discover(lambda pattern: find(pattern, bare)) == ("", (*HOSTS, "db1"))
    assert discover(lambda _: []) == ("", ())


def test_where_collectd_was_seen_no_target_needs_to_be_written() -> None:
    written = text(Answers(service="shop", whisper="here", hosts=("app1",), dashboard=True))
    assert "\n    dashboard: collectd\n" in written
    assert "metrics:" not in written


def test_targets_that_were_given_stand_beside_the_dashboard() -> None:
    written = text(Answers(service="shop", whisper="here", hosts=("app1",), dashboard=True, targets=("a.{host}", "b")))
    assert "dashboard: collectd" in written
    assert '- target: "a.{host}"\n        key: true\n      - target: "b"\n' in written
    assert "dashboard" not in text(Answers(service="shop", whisper="here", hosts=("app1",)))


@pytest.mark.parametrize(
    ("hosts", "short"),
    [
        (HOSTS, ("app{1..10}",)),
        (["a1", "a2"], ("a1", "a2")),
        (["a1", "a2", "a4"], ("a1", "a2", "a4")),
        (["db08", "db09", "db10"], ("db{08..10}",)),
        (["a9", "a10", "a11", "a010"], ("a{9..11}", "a010")),
        (["db01", "db02", "db03"], ("db{01..03}",)),
        (["x1.eu", "x2.eu", "x3.eu", "web"], ("web", "x{1..3}.eu")),
        ([], ()),
    ],
)
def test_runs_of_hosts_are_written_short(hosts: list[str], short: tuple[str, ...]) -> None:
    assert compress(hosts) == short
