"""What a fix did to everything the first brief called changed, and what it did not do yet.

Each question is answered by how much of the change is left, with an interval: "fixed" is said only when the
interval leaves no room for a fifth of the change; while it is wider, the time that is still needed is said.
"""

from collections.abc import Iterator, Sequence

from opsbrief.analysis.effect import events, lines, metrics, total
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield "effect" per changed metric, "effect-pattern", "effect-event", "effect-other", then "effect-summary"."""
    found = [
        *metrics.find(evidence),
        *lines.find(evidence),
        *events.find(evidence),
        *metrics.others(evidence),
    ]
    yield from found
    yield total.summary(found, evidence)
