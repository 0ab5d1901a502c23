"""One module a question. Steps run in order; each sees the evidence and what was found before it.

Pure: the same evidence gives the same findings in the same order, offline, next year.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from opsbrief.analysis import (
    alibi,
    blast,
    changes,
    clocks,
    hosts,
    impact,
    look,
    patterns,
    shift,
    thresholds,
    timeline,
    volume,
)
from opsbrief.analysis.shift import placebo
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding

Step = Callable[[Evidence, Sequence[Finding]], Iterable[Finding]]

#: Order of the findings, and of their ids.
STEPS: tuple[Step, ...] = (
    shift.find,
    impact.find,
    placebo.find,
    volume.find,
    patterns.find,
    alibi.find,
    changes.find,
    blast.find,
    thresholds.find,
    clocks.find,
    timeline.find,
    hosts.find,
    look.find,
)


def analyse(evidence: Evidence, steps: Sequence[Step] = ()) -> tuple[Finding, ...]:
    """Ask every question of the evidence, or only ``steps``; return the findings with ids F1, F2, ..."""
    found: list[Finding] = []
    for step in steps or (_effect() if evidence.first else STEPS):
        for finding in step(evidence, tuple(found)):
            found.append(replace(finding, id=f"F{len(found) + 1}"))
    return tuple(found)


def _effect() -> tuple[Step, ...]:
    """Return the steps that measure the effect of a fix."""
    from opsbrief.analysis import effect  # noqa: PLC0415 - most briefs are not about a fix

    return effect.find, changes.find, thresholds.find, timeline.find, look.find
