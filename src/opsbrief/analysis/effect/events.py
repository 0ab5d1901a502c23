"""Restarts, alarms and failed runs of Puppet: did they stop with the fix."""

from collections.abc import Iterator
from datetime import timedelta

from opsbrief import phrase
from opsbrief.analysis.effect import phases
from opsbrief.maths.effect import Estimate, Left, left, poisson
from opsbrief.model.evidence import Event, Evidence, Run
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.window import Window
from opsbrief.sightings import once

_BAD = ("CRITICAL", "DOWN", "WARNING", "UNREACHABLE", "UNKNOWN")
_STILL = 0.3  # part of the rate that is certainly left when they are said to go on
_WORDS = {Verdict.FIXED: Verdict.GONE, Verdict.BETTER: Verdict.LESS}


def find(evidence: Evidence) -> Iterator[Finding]:
    """Yield one "effect-event" per kind of restart, alarm or failed run that there was between release and fix."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in once(evidence.items(Event)):
        if kind := _kind(event):
            groups.setdefault((kind, event.service), []).append(event)
    for run in evidence.items(Run):
        if run.status == "failed":
            groups.setdefault(("failed run", "Puppet"), []).append(_event(run))
    for (kind, service), events in sorted(groups.items()):
        if any(evidence.window.start <= event.at < phases.fix(evidence.window).at for event in events):
            yield _finding(kind, service, events, evidence.window, read=_read(events, evidence))


def _kind(event: Event) -> str:
    if event.kind == "restart" or event.state == "RESTART":
        return "restart"
    return "alarm" if event.kind == "state" and event.state in _BAD and event.state_type != "soft" else ""


def _event(run: Run) -> Event:
    """Return a run of Puppet as something that happened on a host."""
    return Event(at=run.at, host=run.host, service="Puppet", state="FAILED", origin=run.origin, id=run.id)


def _read(events: list[Event], evidence: Evidence) -> bool:
    """Whether every source that told of these events was read whole: the silence of another is no sign."""
    sources = {event.origin.source for event in events}
    return not any(outcome.gaps for outcome in evidence.outcomes if outcome.source in sources)


def _finding(kind: str, service: str, events: list[Event], window: Window, *, read: bool) -> Finding:
    edges = phases.edges(window)
    split = {name: [e for e in events if phases.phase(e.at, edges) == name] for name in phases.NAMES}
    length = (phases.fix(window).at - window.start).total_seconds()
    late = phases.delay(sorted((e.at - window.start).total_seconds() for e in split["during"]), length)
    hours = {name: (high - low).total_seconds() / 3600 for name, (low, high) in edges.items()}
    found = {name: _rate(len(split[name]), hours[name]) for name in phases.NAMES}
    if late:  # the rate is that of the time in which they came
        since = window.start + timedelta(seconds=late)
        found["during"] = _rate(sum(e.at >= since for e in split["during"]), (length - late) / 3600)
    before, during, after = (found[name] for name in phases.NAMES)
    rate = during.value if during else 0.0
    waited = phases.lasted(window).total_seconds() >= late
    if split["after"]:
        verdict = _fewer(
            left(before or Estimate(0.0, 0.0, 0.0, 0), during, after) if during and after else None, waited
        )
    elif not read:
        verdict = Verdict.CANNOT_TELL
    else:  # none at all: whether some would have come by now decides, not how well their old rate is known
        verdict = Verdict.GONE if waited and rate * hours["after"] >= phases.AWAITED else Verdict.TOO_EARLY
    counts = [len(split[name]) for name in phases.NAMES]
    needed = max(0.0, late, 3600 * phases.AWAITED / rate if rate else 0.0) - phases.lasted(window).total_seconds()
    stretches = " / ".join(phrase.duration(3600 * hours[name]) for name in phases.NAMES)
    told = f"{' → '.join(map(str, counts))} in {stretches}"
    return Finding(
        code="effect-event",
        subject=f"{kind}s of {service}" if service else f"{kind}s",
        verdict=verdict,
        headline=f"{kind}s of {service or 'all'}: {verdict}, {told}",
        detail=f"~ {phrase.duration(max(60.0, needed))} more needed"
        if verdict is Verdict.TOO_EARLY and needed > 0
        else "",
        basis=tuple(event.id for event in events[:20]),
        score=float(counts[1]),
        before=during.value if during else None,
        after=after.value if after else None,
        unit="/h",
        hosts=tuple(sorted({event.host for event in split["after"]} - {""})),
        facts={
            "kind": kind,
            "count_before": counts[0],
            "count_during": counts[1],
            "count_after": counts[2],
            "needed_seconds": max(0.0, needed) if verdict is Verdict.TOO_EARLY else 0.0,
        },
    )


def _fewer(answer: Left | None, waited: bool) -> Verdict:  # noqa: FBT001 - see phases.verdict
    """Return the word for events that still come: less often, as often, more often."""
    verdict = phases.verdict(answer, waited)
    if answer is None or (verdict is Verdict.TOO_EARLY and answer.low > _STILL):
        return Verdict.UNCHANGED
    return _WORDS.get(verdict, verdict)


def _rate(count: int, hours: float) -> Estimate | None:
    if hours <= 0:
        return None
    low, high = poisson(count)
    return Estimate(count / hours, low / hours, high / hours, count)
