"""Events that more than one source saw: told once. Pure values."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from opsbrief.model.evidence import Event

TWICE = timedelta(seconds=90)  # between two sources' words of one event


def once(events: Iterable[Event]) -> Iterator[Event]:
    """Yield events in order of time; what another source told already is left out.

    One source that repeats itself is left alone: it has its reasons.
    """
    seen: dict[tuple[str, ...], Event] = {}
    for event in sorted(events, key=lambda event: event.at):
        key = (event.host.partition(".")[0].lower(), event.service.lower(), event.kind, event.state, event.state_type)
        before = seen.get(key)
        if before and before.origin.source != event.origin.source and event.at - before.at <= TWICE:
            continue
        seen[key] = event
        yield event
