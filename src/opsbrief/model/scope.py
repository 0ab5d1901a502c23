"""What a brief is asked about: a service, its hosts, its metrics, its logs, its ground."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A group of series to look at, in one direction of "worse"."""

    target: str = field(metadata={"help": "Graphite expression or pattern; {host} stands for each host of the service"})
    name: str = field(default="", metadata={"help": "how a person calls it; default: the target"})
    worse: Literal["up", "down", "either"] = field(default="either", metadata={"help": "which direction is bad"})
    unit: str = field(default="", metadata={"help": "unit of its values: ms, conn, B"})
    limit: float | None = field(
        default=None, metadata={"help": "drawn as a line; the time until it is reached is estimated"}
    )
    key: bool = field(default=False, metadata={"help": "drawn first"})
    impact: bool = field(default=False, metadata={"help": "tells whether users feel it"})
    rank: bool = field(default=False, metadata={"help": "the wide net: ranked and shown only when changed"})
    source: str = field(default="", metadata={"help": "ask only this source; default: every source of series"})
    found: bool = field(default=False, metadata={"internal": True})  # by a dashboard: asked again through that alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Metrics that nobody has to write down: a source that holds them finds those of the service's hosts."""

    kind: Literal["collectd"] = field(metadata={"help": "whose metrics: collectd's"})
    ports: tuple[int, ...] = field(
        default=(),
        metadata={"help": "the ports whose connections matter (plugin tcpconns); default: all", "single": True},
    )
    prefix: str = field(
        default="", metadata={"help": "what stands before the host in the names, where that is not clear: servers"}
    )
    rank: bool = field(default=True, metadata={"help": "rank everything else that collectd writes, as a wide net"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Which log lines belong to the service and in which fields their parts are."""

    query: str = field(default="", metadata={"help": "query string of the source; default: all lines"})
    message: str = field(default="", metadata={"help": "field of the message; default: found by probing"})
    level: str = field(default="", metadata={"help": "field of the level; default: found by probing"})
    host: str = field(default="", metadata={"help": "field of the host; default: found by probing"})
    ignore: tuple[str, ...] = field(
        default=(), metadata={"help": "regular expressions of lines that do not count", "regex": True}
    )
    source: str = field(default="", metadata={"help": "ask only this source; default: every source of logs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """What "the infrastructure" means for the service."""

    freeze: str = field(default="", metadata={"help": "days on which no changes are agreed: fri-sun", "days": True})
    paths: tuple[str, ...] = field(
        default=(), metadata={"help": "only these paths of infrastructure repositories matter"}
    )
    nodes: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "which nodes of Puppet are the service's, with * and ?; default: its hosts",
            "single": True,
            "expand": True,
        },
    )
    alarms: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": 'which alarms are the infrastructure\'s, by the name of their check: ["disk*", "!http"]; '
            "default: disks, memory, network, names, clocks; a host that is down always is",
            "single": True,
        },
    )

    def concerns(self, check: str) -> bool:
        """Return whether an alarm of this check is the infrastructure's; "" is the check of the host itself.

        Alarms of other checks are about the service: what it suffers, not what was changed under it.
        """
        name = check.lower()
        refused = [pattern[1:] for pattern in self.alarms if pattern.startswith("!")]
        wanted = [pattern for pattern in self.alarms if not pattern.startswith("!")] or GROUND
        if any(fnmatchcase(name, pattern.lower()) for pattern in refused):
            return False
        return not name or any(fnmatchcase(name, pattern.lower()) for pattern in wanted)


#: Checks that are about the machines and what connects them, by the names they usually have.
GROUND = (
    *("*disk*", "*filesystem*", "*inode*", "*raid*", "*smart*", "mem", "memory*", "*[-_ ]mem", "*[-_ ]memory*"),
    *("*swap*", "*network*", "*interface*", "*bond*", "nic*", "ping*", "*[-_ ]ping*", "*dns*", "*ntp*", "*chrony*"),
    *("*clock*", "*time*sync*"),
)


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def weekdays(span: str) -> frozenset[int]:
    """Return the weekdays of "fri-sun", "friday" or "", Monday 0. Raises ValueError(message, hint)."""
    first, _, last = span.lower().replace(" ", "").partition("-")
    if not span.strip():
        return frozenset()
    found = [day for name in (first, last or first) for day, full in enumerate(_DAYS) if name and _short(name, full)]
    if len(found) != 2:
        raise ValueError(f"is no weekday and no span of them: {span[:60]!r}", "write fri or fri-sun")
    low, high = found
    return frozenset((low + step) % 7 for step in range((high - low) % 7 + 1))


def _short(name: str, full: str) -> bool:
    return len(name) >= 3 and full.startswith(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One service as configured; part of the bundle, so that a brief can be made again from it."""

    service: str = ""
    hosts: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    logs: tuple[Logs, ...] = ()
    infrastructure: Infrastructure = field(default_factory=Infrastructure)
    dashboard: Dashboard | None = None

    def joined(self, found: Iterable[Metric]) -> "Scope":
        """Return the scope with what a dashboard found; a metric that is called like one of them stays as it is."""
        known = {metric.name or metric.target: metric for metric in reversed(self.metrics)}
        more = {metric.name: metric for metric in found if metric.name not in known}
        return replace(self, metrics=(*self.metrics, *more.values())) if more else self

    def narrow(self) -> "Scope":
        """Return the scope without the wide nets, for whoever looks often or far back."""
        board = replace(self.dashboard, rank=False) if self.dashboard else None
        return replace(self, metrics=tuple(metric for metric in self.metrics if not metric.rank), dashboard=board)

    def host(self, name: str) -> str:
        """Return the service's own name of a host: app1 and app1.shop.example are the same; another's name as it is."""
        return called(name, self.hosts) or name


@lru_cache(maxsize=4096)  # ten thousand alarms name the same few hosts
def called(name: str, hosts: tuple[str, ...]) -> str:
    """Return the one of ``hosts`` that ``name`` means: app1 and app1.shop.example are the same host; else empty."""
    name = name.lower()
    for host in hosts:
        own = host.lower()
        if name == own or name.startswith(f"{own}.") or own.startswith(f"{name}."):
            return host
    return ""
