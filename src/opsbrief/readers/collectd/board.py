"""The dashboard: which of collectd's metrics tell how a service and its hosts are, and what they are called."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from opsbrief.model.scope import Dashboard, Metric
from opsbrief.readers.collectd import known
from opsbrief.readers.collectd.identity import Identity

NET: Final = "everything else of collectd"
_PORTS: Final = 8  # with more of them, only those that somebody named are looked at one by one
_FULL: Final = 100.0  # per cent


@dataclass(frozen=True, slots=True)
class Member:
    """One metric that is there."""

    host: str  # as the service calls it
    name: str  # as it stands in the store
    what: Identity


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the dashboard and the series behind it."""

    metric: Metric
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard filled with what is there."""

    rows: tuple[Row, ...]
    net: tuple[Member, ...]  # worth ranking
    noise: dict[str, int]  # plugin -> series that are left out
    ports: tuple[str, ...]  # too many to be looked at one by one, none of them named


@dataclass(frozen=True, slots=True)
class _Rule:
    """Which metrics make a line: each field a regular expression for the whole of it. Earlier rules come first."""

    plugin: str
    type: str
    inner: str  # the type's instance
    name: str  # {instance}, {inner}, {part} stand for what the metric has
    part: str = ".*"
    instance: str = ".*"
    limit: float | None = None

    def matches(self, what: Identity) -> bool:
        pairs = (
            (self.plugin, what.plugin),
            (self.type, what.type),
            (self.inner, what.type_instance),
            (self.part, what.part),
            (self.instance, what.instance),
        )
        return all(re.fullmatch(pattern, text) for pattern, text in pairs)

    def called(self, what: Identity) -> str:
        return self.name.format(
            instance=_spelt(what), inner=what.type_instance, part=what.part, plugin=what.plugin
        ).strip()  # fmt: skip


_RULES: Final = (
    _Rule("tcpconns", "tcp_connections", "ESTABLISHED", "connections {instance}"),
    _Rule("tcpconns", "tcp_connections", "CLOSE_WAIT", "CLOSE_WAIT {instance}"),
    _Rule("nginx|apache", "(nginx|apache)_connections", "active|", "{plugin} connections"),
    _Rule("load", "load", "", "load", part="shortterm"),
    _Rule("memory", "percent", "used", "memory used", limit=_FULL),
    _Rule("memory", "memory", "used", "memory used"),
    _Rule("swap", "percent", "used", "swap used", limit=_FULL),
    _Rule("swap", "swap", "used", "swap used"),
    _Rule("cpu", "percent", "idle", "CPU idle"),
    _Rule("aggregation", "percent|cpu", "idle", "CPU idle"),
    _Rule("cpu", "cpu", "idle", "CPU idle"),
    _Rule("df", "percent_bytes", "used", "{instance} used", limit=_FULL),
    _Rule("df", "df_complex", "used", "{instance} used"),
    _Rule("df", "percent_inodes", "used", "{instance} inodes used", limit=_FULL),
    _Rule("disk", "disk_io_time", "", "disk busy", part="io_time"),
    _Rule("disk", "disk_time", "", "disk time"),
    _Rule("disk", "pending_operations", "", "disk queue"),
    _Rule("interface", "if_errors", "", "interface errors"),
    _Rule("interface", "if_dropped", "", "interface drops"),
    _Rule("protocols", "protocol_counter", "RetransSegs", "TCP retransmits", instance="Tcp"),
    _Rule("protocols", "protocol_counter", "ListenDrops|ListenOverflows", "TCP listen drops", instance="TcpExt"),
    _Rule("conntrack", "percent", "used", "conntrack used", limit=_FULL),
    _Rule("conntrack", "conntrack", "", "conntrack used"),
    _Rule("fhcount", "percent", "used", "open files of the host", limit=_FULL),
    _Rule("fhcount", "file_handles", "used", "open files of the host"),
    _Rule("processes", "ps_state", "blocked|zombies", "processes {inner}", instance=""),
    _Rule("processes", "ps_count", "", "{instance} {part}", instance=".+"),
    _Rule("processes", "ps_rss", "", "{instance} memory", instance=".+"),
    _Rule("processes", "file_handles", "", "{instance} open files", instance=".+"),
    _Rule("GenericJMX|java", "memory", "(.*heap.*-)?used", "JVM heap used", instance=".*heap.*"),
    _Rule("GenericJMX|java", "memory", ".*heap.*used", "JVM heap used"),
    _Rule("GenericJMX|java", "threads|gauge|count", ".*[Tt]hread.*|.*live.*|", "JVM threads", instance=".*[Tt]hread.*"),
    _Rule("GenericJMX|java", "threads|gauge|count", ".*[Tt]hread.*", "JVM threads"),
    _Rule("GenericJMX|java", "total_time_in_ms", ".*", "JVM garbage collection"),
)


def fill(members: Sequence[Member], board: Dashboard) -> Board:
    """Sort what is there into the lines of the dashboard, the wide net, and noise."""
    ports = sorted({port for member in members if (port := _port(member.what))}, key=int)
    crowded = not board.ports and len(ports) > _PORTS
    lines: dict[str, list[tuple[int, Member]]] = {}
    rest: list[Member] = []
    for member in members:
        at = _rule(member.what)
        if at is None or not _wanted(member.what, board, crowded=crowded, ports=bool(ports)):
            rest.append(member)
        else:
            lines.setdefault(_RULES[at].called(member.what), []).append((at, member))
    rows: list[tuple[int, str, Row]] = []
    for name, found in lines.items():
        best = _best(found)
        rest += [member for at, member in found if (at, member) not in best]
        for metric, mine in _metrics(name, best):
            rows.append((min(at for at, _ in best), name, Row(metric, tuple(mine))))
    rows.sort(key=lambda row: (row[0], _natural(row[1]), row[2].metric.name))
    noise: dict[str, int] = {}
    net: list[Member] = []
    for member in rest:
        if member.what.plugin in known.NOISE or not board.rank:
            noise[member.what.plugin] = noise.get(member.what.plugin, 0) + 1
        else:
            net.append(member)
    return Board(
        rows=tuple(_keyed([row for _, _, row in rows])),
        net=tuple(net),
        noise=dict(sorted(noise.items(), key=lambda pair: (-pair[1], pair[0]))) if board.rank else {},
        ports=tuple(ports) if crowded else (),
    )


@lru_cache(10_000)
def _rule(what: Identity) -> int | None:
    """Return the first rule that a metric follows: hosts have the same ones over and over."""
    return next((at for at, rule in enumerate(_RULES) if rule.matches(what)), None)


def _wanted(what: Identity, board: Dashboard, *, crowded: bool, ports: bool) -> bool:
    """Whether the connections of a port are a line of their own: of the ports that matter, or of few."""
    if what.plugin != "tcpconns":
        return True
    port = _port(what)
    if not port:
        return crowded or not ports  # the sum over all ports says nothing that the ports do not
    return int(port) in board.ports if board.ports else not crowded


def _port(what: Identity) -> str:
    """Return the port of a metric of tcpconns; empty for the sum and for every other metric."""
    found = re.match(r"(\d{1,5})-(?:local|remote)\Z", what.instance) if what.plugin == "tcpconns" else None
    return found.group(1) if found else ""


def _spelt(what: Identity) -> str:
    """Return the instance of a plugin as a person would say it."""
    if port := _port(what):
        return f"on {port}" if what.instance.endswith("-local") else f"to {port}"
    if what.plugin == "tcpconns":
        return "on all ports"
    if what.plugin == "df":
        return "/" if what.instance == "root" else what.instance
    return what.instance


def _best(found: Sequence[tuple[int, Member]]) -> list[tuple[int, Member]]:
    """Return, for each host, the members of the first rule that has any: shares in per cent before bytes."""
    first: dict[str, int] = {}
    for at, member in found:
        first[member.host] = min(at, first.get(member.host, at))
    return [(at, member) for at, member in found if at == first[member.host]]


def _metrics(name: str, found: Sequence[tuple[int, Member]]) -> Iterator[tuple[Metric, list[Member]]]:
    """Yield a line for each unit: hosts that count in per cent do not stand beside hosts that count in bytes."""
    units: dict[str, list[tuple[int, Member]]] = {}
    for at, member in found:
        units.setdefault(known.unit(member.what), []).append((at, member))
    for unit, mine in units.items():
        what = mine[0][1].what
        metric = Metric(
            target=str(what) if len({member.what for _, member in mine}) == 1 else f"{what} and its like",
            name=f"{name} ({unit})" if len(units) > 1 else name,
            unit=unit,
            worse=known.worse(what),
            limit=_RULES[mine[0][0]].limit,
            found=True,
        )
        yield metric, [member for _, member in mine]


def _keyed(rows: Iterable[Row]) -> Iterator[Row]:
    """Mark the first line as the one that is drawn first."""
    for number, row in enumerate(rows):
        yield replace(row, metric=replace(row.metric, key=True)) if number == 0 else row


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
