"""Does the host confirm the graph? What was counted on it, beside what the graph says; measured apart from inferred.

A look is of one moment: it can confirm that many connections are there, and how long nothing moved on them, not who
forgot them.
"""

from collections.abc import Iterator, Sequence

from opsbrief import phrase
from opsbrief.analysis.look import graph, seen
from opsbrief.analysis.look.seen import Seen
from opsbrief.model.evidence import Event, Evidence, Reading
from opsbrief.model.finding import Finding, Verdict

_SAME = 120.0  # seconds between a restart that was seen and the start of a process that is its
_NEAR = 0.8  # part of a limit


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "look" per host that was looked at."""
    hosts: dict[str, list[Reading]] = {}
    for reading in evidence.items(Reading):
        if reading.about:
            hosts.setdefault(reading.host, []).append(reading)
    for host, readings in hosts.items():
        yield _look(host, seen.read(readings), evidence, found)


def _look(host: str, look: Seen, evidence: Evidence, found: Sequence[Finding]) -> Finding:
    verdict, said, used = graph.compare(host, look, evidence, found)
    word = {Verdict.CONFIRMED: "confirms the graph", Verdict.NOT_CONFIRMED: "does not confirm the graph"}
    choice = next((f for f in found if f.code == "choice" and f.subject == host), None)
    measured, inferred = list(_measured(look, evidence)), list(_inferred(host, look, evidence))
    return Finding(
        code="look",
        subject=host,
        verdict=verdict,
        headline=f"{host} {word.get(verdict, 'cannot tell')}: {said}",
        detail="; ".join([*measured, *inferred]),
        basis=(*used, *look.ids),
        score=1.0,
        hosts=(host,),
        facts={
            "at": look.at.isoformat(),
            "measured": "; ".join(measured),
            "inferred": "; ".join(inferred),
            "why": choice.headline.partition(": ")[2] if choice else "",
            "untold": "; ".join(look.untold),
            "counted": "the service's" if look.own else "all",
            "established": look.established,
            "close_wait": look.waiting,
            "close_wait_before": look.waited,
            "idle": look.idle,
        },
    )


def _measured(look: Seen, evidence: Evidence) -> Iterator[str]:
    """Yield what was counted, the most telling first."""
    if look.waiting:
        grew = look.waiting - (look.waited if look.waited is not None else look.waiting)
        more = f", {grew} more in {phrase.duration(look.apart)}" if grew > 0 else ""
        peer = max(look.peers, key=lambda row: row.waiting, default=None)
        where = f" ({peer.waiting} {_way(peer.name)})" if peer and peer.waiting else ""
        yield f"{look.waiting:,} in CLOSE-WAIT{more}{where}"
    if look.idle and look.established:
        row = max(look.idles, key=lambda one: one.over)
        yield (
            f"{look.idle:,} of {look.established:,} idle for over 5 min, the longest for "
            f"{phrase.duration(look.longest)} (most {_way(row.name)})"
        )
    for process in look.full(_NEAR):
        yield f"{process.name} ({process.pid}) has {process.open:,} of {process.limit:,} descriptors open"
    if look.started and look.main:
        yield f"{look.main.name} runs since {phrase.clock(look.started, evidence.window.zone, evidence.window.start)}"
    yield from look.notes


def _inferred(host: str, look: Seen, evidence: Evidence) -> Iterator[str]:
    """Yield what these counts go with; nothing here is a proof."""
    if look.waiting >= 10:
        grew = look.waited is not None and look.waiting > look.waited
        yield (
            "CLOSE-WAIT: the other side has closed and this one has not, consistent with connections that are not "
            f"released{', and it goes on' if grew else ''}"
        )
    if look.idle >= 10 and look.idle >= 0.5 * (look.established or 0):
        yield "most connections carry nothing: consistent with connections that are kept, not with more traffic"
    if any(look.full(_NEAR)):
        yield "when its descriptors are used up it can open no connection and no file"
    if look.started:
        restarts = [e.at for e in evidence.items(Event) if e.kind == "restart" and e.host == host]
        if any(abs((at - look.started).total_seconds()) <= _SAME for at in restarts):
            yield "its process began with the last restart that was seen"


def _way(name: str) -> str:
    """Say where connections lead: "on port 8080", "to 10.0.0.7:6379"."""
    side, _, place = name.partition(" ")
    return f"on port {place.removeprefix(':')}" if side == "in" else f"to {place}"
