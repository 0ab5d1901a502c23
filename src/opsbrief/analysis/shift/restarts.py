"""Which falls of a metric are restarts: those that a source of events saw on the same host at the same time."""

from collections.abc import Sequence

from opsbrief.analysis.shift.read import Case
from opsbrief.model.evidence import Event, Evidence
from opsbrief.model.finding import Finding
from opsbrief.sightings import once

NEAR = 40  # seconds between a restart and the datapoints that a fall lies between


def explained(finding: Finding, cases: Sequence[Case], evidence: Evidence) -> dict[str, int]:
    """Return as facts how many resets are near a restart and how many restarts were seen; nothing without any."""
    seen: dict[str, list[float]] = {}
    for event in once(evidence.items(Event)):
        if event.kind == "restart" and event.host:
            seen.setdefault(event.host, []).append(event.at.timestamp())
    mine = [case for case in cases if case.series.id in finding.basis and case.study.form]
    if not seen or not mine or not finding.facts["resets"]:
        return {}
    near = sum(
        any(begin - NEAR <= at <= end + NEAR for at in seen.get(case.series.host, ()))
        for case in mine
        for begin, end in _falls(case)
    )
    hosts = {case.series.host for case in mine}
    return {"resets_near_restart": near, "restarts": sum(len(seen.get(host, ())) for host in hosts)}


def _falls(case: Case) -> list[tuple[int, int]]:
    """Return the two datapoints, as epochs, between which each fall lies: the last one before it, the one after."""
    series, form = case.series, case.study.form
    at = [series.start + series.step * reset for reset in form.resets] if form else []
    return [(begin, begin + series.step) for begin in at]
