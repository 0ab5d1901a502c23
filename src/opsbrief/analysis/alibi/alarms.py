"""The monitoring system: alarms about the machines themselves, and work on them that was announced.

Alarms about the service are what it suffers. An alarm that came only after the change had begun cannot have come
before it: it is told, and takes no verdict away.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import Ground, Part, missing
from opsbrief.model.evidence import Event, Outcome
from opsbrief.model.finding import Verdict
from opsbrief.sightings import once

#: Types of sources that watch machines. Monit watches the service's own processes: what it says of disks and memory
#: counts, but where it has no history nobody could have told of the infrastructure either.
WATCHERS = ("icinga", "nagioslog")
BAD = ("CRITICAL", "DOWN", "WARNING", "UNREACHABLE", "UNKNOWN")
_DEPLOY = timedelta(minutes=10)  # a downtime that begins so near to the anchor is the deploy's own


def look(ground: Ground) -> Part:
    """Look through the alarms and downtimes of the stretch for those that concern the infrastructure."""
    outcomes = [outcome for outcome in ground.evidence.outcomes if outcome.type in WATCHERS or _told(outcome)]
    if not outcomes:
        unread = "alarms not looked at (no source of them)"
        return Part(kind="alarms", verdict=Verdict.CANNOT_TELL, said="", coverage=(unread,), weighs=False)
    events = list(once(event for outcome in outcomes for event in outcome.items if isinstance(event, Event)))
    near = [event for event in events if ground.near(event.at)]
    ours = {name for name in {e.service for e in near} if ground.evidence.scope.infrastructure.concerns(name)}
    alarms = sorted((event for event in near if _concerns(event, ours, ground)), key=lambda event: event.at)
    told = {id(event) for event in alarms}
    onset = ground.first.onset.latest if ground.first and ground.first.onset else ground.evidence.window.end
    before = [event for event in alarms if event.at <= onset]
    later = [event for event in alarms if event.at > onset]
    service = sum(_alarm(event) and id(event) not in told for event in near)
    read = ", ".join(dict.fromkeys(outcome.source for outcome in outcomes))
    coverage = (
        *(f"{_one(events_, ground)}" for events_ in _grouped(before)[:3]),
        *(f"only after the change began: {_one(events_, ground)}" for events_ in _grouped(later)[:2]),
        f"alarms read: {read}; {phrase.count(service, 'alarm')} of the service itself",
    )
    facts: dict[str, float | int | str | None] = {
        "infrastructure_alarms": len(_grouped(before)),
        "infrastructure_alarms_later": len(_grouped(later)),
    }
    basis = tuple(event.id for event in alarms[:20])
    if before:
        said = _one(_grouped(before)[0], ground)
        verdict = Verdict.NOT_RULED_OUT
    elif gaps := ground.holes([outcome for outcome in outcomes if outcome.type in WATCHERS]):
        said, verdict = "alarms not read whole", Verdict.CANNOT_TELL
        coverage = (*missing(gaps), *coverage)
    else:
        said, verdict = "no alarm of the infrastructure", Verdict.RULED_OUT
    return Part(kind="alarms", verdict=verdict, said=said, brief=said, coverage=coverage, basis=basis, facts=facts)


def _told(outcome: Outcome) -> bool:
    return any(
        isinstance(item, Event) and (item.kind in ("state", "downtime") or _booted(item)) for item in outcome.items
    )


def _booted(event: Event) -> bool:
    """Whether it is the host itself that came up again."""
    return event.kind == "restart" and bool(event.host) and not event.service


def _alarm(event: Event) -> bool:
    return event.kind == "state" and event.state in BAD and event.state_type != "soft"


def _concerns(event: Event, ours: Collection[str], ground: Ground) -> bool:
    if event.kind == "downtime":
        ended = event.state.upper() in ("END", "ENDED", "STOPPED", "CANCELLED")
        return not ended and abs(event.at - ground.evidence.window.anchor.at) > _DEPLOY
    if event.kind == "restart":
        return _booted(event)
    return _alarm(event) and event.service in ours


def _grouped(events: Sequence[Event]) -> list[list[Event]]:
    """Return the events of each check, on whatever hosts, those that began first at the front."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        groups.setdefault((event.kind, event.service), []).append(event)
    return list(groups.values())


def _one(events: Sequence[Event], ground: Ground) -> str:
    """Return "disk /var WARNING on app3 14:40"."""
    first = events[0]
    hosts = list(dict.fromkeys(event.host for event in events))
    where = f" on {phrase.listed(hosts)}" if first.host else ""
    what = {"downtime": "downtime", "restart": "restarted"}.get(first.kind, first.state)
    named = f"{first.service} {what}" if first.service else f"host {what}"
    return f"{named}{where} {ground.clock(first.at)}"
