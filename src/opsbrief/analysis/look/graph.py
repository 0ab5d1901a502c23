"""The graph beside the host: the last value of the lead's series there, and what on the host counts the same."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from opsbrief import phrase
from opsbrief.analysis.look.seen import Seen
from opsbrief.model.evidence import Event, Evidence, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import utc

_LATE = timedelta(minutes=15)  # between the last datapoint and the look
_LEAST = 10  # connections: of fewer, anything is of the same order
_TIMES = 2.2  # the same order; a connection of a host to itself has two ends, and is counted twice

_KINDS = (
    ("close-wait", re.compile(r"close.?wait", re.IGNORECASE)),
    ("connections", re.compile(r"conn|sock|sess|tcp|established", re.IGNORECASE)),
    ("descriptors", re.compile(r"descriptor|open.?files|\bfds?\b", re.IGNORECASE)),
    ("threads", re.compile(r"thread", re.IGNORECASE)),
    ("load", re.compile(r"\bload", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class Graph:
    """The end of one series: its last value, when, and the level before the anchor where it is known."""

    series: Series
    value: float
    at: datetime
    before: float | None


@dataclass(frozen=True, slots=True)
class Count:
    """One number counted on the host, and what it counts."""

    value: float
    what: str


def compare(
    host: str, look: Seen, evidence: Evidence, found: Sequence[Finding]
) -> tuple[Verdict, str, tuple[str, ...]]:
    """Return whether the host confirms the graph, a clause that says by what, and the ids of the series used."""
    graph, kind = _graph(host, evidence, found)
    if graph is None:
        counted = "" if look.established is None else f"; {look.established:,} connections are established"
        return Verdict.CANNOT_TELL, f"no graph of it shows what could be counted there{counted}", ()
    zone, near = evidence.window.zone, evidence.window.start
    shown = f"{phrase.number(graph.value)} on the graph at {phrase.clock(graph.at, zone, near)}"
    ids = (graph.series.id,)
    counts = list(_counts(kind, look))
    if not counts:
        return Verdict.CANNOT_TELL, f"{kind} could not be counted; {shown}", ids
    best = min(counts, key=lambda one: _off(one.value, graph.value))
    clock = phrase.clock(look.at, zone, near)
    said = f"{phrase.number(best.value)} {best.what} counted at {clock}, {shown}"
    if abs(look.at - graph.at) > _LATE:
        apart = phrase.duration((look.at - graph.at).total_seconds())
        return Verdict.CANNOT_TELL, f"{said}: {apart} apart", ids
    if any(e.kind == "restart" and e.host == host and graph.at < e.at <= look.at for e in evidence.items(Event)):
        return Verdict.CANNOT_TELL, f"{said}: restarted in between", ids
    return _judged(graph, kind, best, counts), said, ids


def _judged(graph: Graph, kind: str, best: Count, counts: Sequence[Count]) -> Verdict:
    if kind != "load" and max(graph.value, best.value) < _LEAST:
        return Verdict.CANNOT_TELL
    same = _off(best.value, graph.value) <= math.log(_TIMES)
    # What is as near to the level of before as to that of now confirms nothing.
    changed = graph.before is None or _off(best.value, graph.value) < _off(best.value, graph.before)
    if same and changed:
        return Verdict.CONFIRMED
    # More than the graph shows may be others'; less than it shows cannot hold what it shows.
    return Verdict.NOT_CONFIRMED if max(one.value for one in counts) * _TIMES < graph.value else Verdict.CANNOT_TELL


def _off(a: float, b: float) -> float:
    return abs(math.log((max(a, 0.0) + 0.5) / (max(b, 0.0) + 0.5)))


def _counts(kind: str, look: Seen) -> Iterator[Count]:
    """Yield what on the host may be what the graph shows: everything, and the largest shares of it."""
    if kind == "close-wait" and look.established is not None:
        yield Count(look.waiting, "in CLOSE-WAIT")
    elif kind == "connections" and look.established is not None:
        yield Count(look.established + look.waiting, "connections of the service" if look.own else "connections")
        for peer in sorted(look.peers, key=lambda one: -(one.established + one.waiting))[:3]:
            side, _, place = peer.name.partition(" ")
            where = f"on port {place.removeprefix(':')}" if side == "in" else f"to {place}"
            yield Count(peer.established + peer.waiting, f"connections {where}")
    elif kind == "descriptors":
        yield from (Count(one.open, f"descriptors of {one.name}") for one in look.processes if one.open)
    elif kind == "threads":
        yield from (Count(one.threads, f"threads of {one.name}") for one in look.processes if one.threads)
    elif kind == "load" and look.load:
        yield from (Count(value, f"load over {over} min") for value, over in zip(look.load, (1, 5, 15), strict=True))


def _graph(host: str, evidence: Evidence, found: Sequence[Finding]) -> tuple[Graph | None, str]:
    """Return the series of the host that tells most of what can be counted: of what changed, else of a key metric."""
    metrics = {metric.name or metric.target: metric for metric in evidence.scope.metrics}
    moved = [f for f in found if f.code == "shift" and f.verdict is Verdict.CHANGED]
    moved.sort(
        key=lambda f: (f.facts.get("worse") == "good", not f.facts.get("key"), bool(f.facts.get("rank")), -f.score)
    )
    place = {name: at for at, finding in enumerate(moved) for name in reversed(finding.basis)}
    before = {name: f.before for f in found if f.code == "series" for name in f.basis}

    def order(series: Series) -> tuple[int, bool, str]:
        metric = metrics.get(series.metric)
        return place.get(series.id, len(moved)), not (metric and metric.key), series.name

    mine = [s for s in evidence.items(Series) if s.host == host and not s.span and np.isfinite(s.values).any()]
    for series in sorted(mine, key=order):
        if kind := _kind(series, metrics.get(series.metric)):
            last = int(np.flatnonzero(np.isfinite(series.values))[-1])
            at = utc(series.start + series.step * (last + 1))
            return Graph(series, float(series.values[last]), at, before.get(series.id)), kind
    return None, ""


def _kind(series: Series, metric: Metric | None) -> str:
    text = " ".join([series.name.replace(series.host, "") if series.host else series.name, series.metric, series.unit,
                     *([metric.target, metric.name, metric.unit] if metric else [])])  # fmt: skip
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), "")
