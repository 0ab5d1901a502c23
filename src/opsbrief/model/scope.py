"""What a brief is asked about: a service, its hosts, its metrics, its logs, its ground."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A group of series to look at, in one direction of "worse"."""

    target: str  # Graphite expression or pattern; {host} stands for each host of the service
    name: str = ""  # how a person calls it; default: the target
    worse: Literal["up", "down", "either"] = "either"
    unit: str = ""
    limit: float | None = None  # drawn as a line; the time until it is reached is estimated
    key: bool = False  # drawn first
    impact: bool = False  # tells whether users feel it
    rank: bool = False  # the wide net: ranked and shown only when changed
    source: str = ""  # ask only this source; default: every source of series


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Which log lines belong to the service and in which fields their parts are."""

    query: str = ""  # query string of the source; empty = all lines
    message: str = ""  # field names; empty = found by probing
    level: str = ""
    host: str = ""
    ignore: tuple[str, ...] = ()  # regular expressions of lines that do not count
    source: str = ""  # ask only this source; default: every source of logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """What "the infrastructure" means for the service."""

    freeze: str = ""  # "fri-sun": no changes agreed on these days
    paths: tuple[str, ...] = ()  # only these paths of infrastructure repositories matter
    nodes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One service as configured; part of the bundle, so that a brief can be made again from it."""

    service: str = ""
    hosts: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    logs: tuple[Logs, ...] = ()
    infrastructure: Infrastructure = field(default_factory=Infrastructure)
