"""What the monitoring saw, for the timeline: the first alarm and restart of each kind, and what people answered."""

from collections.abc import Iterator, Sequence

from opsbrief import phrase
from opsbrief.analysis.timeline.entry import entry
from opsbrief.model.evidence import Event, Evidence
from opsbrief.model.finding import Finding
from opsbrief.sightings import once

_FEW = 5  # alarms, restarts and markers of each kind: a storm of alarms must not drown the rest
_BAD = ("CRITICAL", "DOWN", "WARNING", "UNREACHABLE", "UNKNOWN")
_ENDED = ("END", "ENDED", "STOPPED", "CANCELLED", "CLEAR", "CLEARED", "REMOVED")
_SCORES = {"alarm": 62.0, "restart": 59.0, "downtime": 57.0, "acknowledgement": 45.0}


def entries(evidence: Evidence) -> Iterator[Finding]:
    """Tell the first event of each kind and check, with how many followed."""
    window = evidence.window
    groups: dict[tuple[str, str], list[Event]] = {}
    inside = [event for event in evidence.items(Event) if window.start <= event.at < window.end]
    for event in once(inside):
        if kind := _kind(event):
            groups.setdefault((kind, _about(kind, event)), []).append(event)
    told: dict[str, list[tuple[str, list[Event]]]] = {}
    for (kind, about), events in sorted(groups.items(), key=lambda group: group[1][0].at):
        told.setdefault(kind, []).append((about, events))
    for kind, each in told.items():
        for place, (about, events) in enumerate(each[:_FEW]):
            more = len(each) - _FEW if place == _FEW - 1 else 0
            basis = tuple(event.id for event in events[:20])
            said = _first(kind, about, events) + (f"; {phrase.count(more, 'other')} began later" if more > 0 else "")
            sources = ", ".join(dict.fromkeys(event.origin.source for event in events))
            yield entry(kind, events[0].at, said, _SCORES.get(kind, 50.0), basis=basis, source=sources)


def _kind(event: Event) -> str:
    if event.kind == "restart" or event.state == "RESTART":
        return "restart"
    if event.kind == "state":
        return "alarm" if event.state in _BAD and event.state_type != "soft" else ""
    if event.kind in ("acknowledgement", "downtime"):
        return "" if event.state.upper() in _ENDED else event.kind
    return "marker" if event.kind == "marker" else ""


def _about(kind: str, event: Event) -> str:
    return event.output or event.service if kind == "marker" else event.service


def _first(kind: str, about: str, events: Sequence[Event]) -> str:
    """Say the first of a kind, and how many followed on how many hosts."""
    first, hosts = events[0], {event.host for event in events}
    if kind == "marker":
        return about[:120]
    where = f" on {phrase.count(len(hosts), 'host')}" if len(hosts) > 1 else ""
    more = f", {len(events)}{where} until the end" if len(events) > 1 else ""
    state = f" {first.state}" if kind == "alarm" else ""
    if kind in ("acknowledgement", "downtime"):
        noted = f" “{first.output[:60]}”" if first.output else ""
        return f"{kind}: {first.host} {about}{noted}{more}".replace("  ", " ")
    return f"first {kind}: {first.host} {about}{state}{more}".replace("  ", " ")
