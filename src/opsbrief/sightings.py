"""One thing that two sources saw is one: an alarm in Icinga DB and in a log, a restart in Monit and the journal."""

from collections.abc import Iterable
from datetime import timedelta

from opsbrief.model.evidence import Event

TOGETHER = timedelta(seconds=30)  # between two sources' words of one event: whole seconds, clocks, a busy writer


def once(events: Iterable[Event]) -> list[Event]:
    """Return the events in order of time, without those that another source told before.

    Same host, check, kind and state within ``TOGETHER``, of two sources; each event stands for one of the other
    source's at most, so that two alarms a few seconds apart stay two, and a source that repeats itself is left
    alone. Hard and soft differ, unless one does not say.
    """
    ordered = sorted(events, key=lambda event: event.at)
    if len({event.origin.source for event in ordered}) < 2:
        return ordered
    kept: list[Event] = []
    known: dict[tuple[str, str, str, str, int], list[tuple[Event, set[str]]]] = {}
    for event in ordered:
        what = (_host(event.host), event.service.lower(), event.kind, event.state or event.output)
        slot = int(event.at.timestamp() / TOGETHER.total_seconds())
        around = (one for place in (slot - 1, slot) for one in known.get((*what, place), ()))
        near = [one for one in around if event.origin.source not in one[1] and _same(one[0], event)]
        if near:
            _, sources = min(near, key=lambda one: abs(one[0].at - event.at))
            sources.add(event.origin.source)
        else:
            kept.append(event)
            known.setdefault((*what, slot), []).append((event, {event.origin.source}))
    return kept


def _host(name: str) -> str:
    """Return a host's short name: one source writes app1, the other app1.shop.example. Addresses stay whole."""
    return name if name.replace(".", "").isdigit() else name.partition(".")[0].lower()


def _same(one: Event, other: Event) -> bool:
    sorts = {one.state_type, other.state_type} - {""}
    return abs(one.at - other.at) <= TOGETHER and len(sorts) < 2
