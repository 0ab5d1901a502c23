"""Do users feel it: the metrics that were configured to tell."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from opsbrief import phrase
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding, Verdict


def find(_: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "impact" per metric with ``impact: true``; a change for the better is none."""
    for shift in found:
        if shift.code == "shift" and shift.facts.get("impact"):
            better = shift.verdict is Verdict.CHANGED and shift.facts.get("worse") == "good"
            verdict = Verdict.UNCHANGED if better else shift.verdict
            headline = f"{shift.subject}: better, {_levels(shift)}" if better else shift.headline
            yield replace(shift, code="impact", verdict=verdict, headline=headline, id="")


def _levels(shift: Finding) -> str:
    return f"{phrase.number(shift.before)} → {phrase.number(shift.after, shift.unit)}"
