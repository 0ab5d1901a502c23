"""The one word over all: fixed only when everything that counts is, and never before."""

from collections.abc import Sequence

from opsbrief import phrase
from opsbrief.analysis.effect import phases
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding, Verdict

_GOOD = (Verdict.FIXED, Verdict.GONE)
_PARTLY = (Verdict.BETTER, Verdict.LESS)
_ERRORS = ("ERROR", "FATAL", "CRITICAL", "SEVERE")


def summary(found: Sequence[Finding], evidence: Evidence) -> Finding:
    """Return the "effect-summary": one verdict, what it counts, and the longest time that is still needed."""
    counted = [finding for finding in found if counts(finding)]
    verdict = _verdict([finding.verdict for finding in counted])
    needed = [float(value) for f in counted if isinstance(value := f.facts.get("needed_seconds"), int | float)]
    longest = max((value for value in needed if value < 1e7), default=0.0)
    open_ = verdict in (Verdict.TOO_EARLY, Verdict.BETTER)
    good = sum(finding.verdict in _GOOD for finding in counted)
    lasted = phrase.duration(phases.lasted(evidence.window).total_seconds())
    return Finding(
        code="effect-summary",
        subject="the fix",
        verdict=verdict,
        headline=f"{verdict}: {good} of {phrase.count(len(counted), 'change')} gone, {lasted} after the fix"
        if counted
        else "cannot tell: the first brief told no change for the worse",
        detail=f"~ {phrase.duration(longest)} more needed" if open_ and longest else "",
        basis=tuple(dict.fromkeys(name for finding in counted for name in finding.basis))[:50],
        score=100.0,
        facts={
            "counted": len(counted),
            "good": good,
            "lasted_seconds": phases.lasted(evidence.window).total_seconds(),
            "needed_seconds": longest if open_ else 0.0,
        },
    )


def counts(finding: Finding) -> bool:
    """Return whether a finding has a say: changes for the worse, errors, restarts and alarms; no start-up noise."""
    if finding.code == "effect":
        return finding.facts.get("worse") != "good" and not finding.facts.get("rank")
    if finding.code == "effect-pattern":
        return finding.facts.get("level") in _ERRORS and not finding.facts.get("starting")
    return finding.code in ("effect-event", "effect-other")


def _verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the word for all of them together."""
    told = [verdict for verdict in verdicts if verdict is not Verdict.CANNOT_TELL]
    if not told:
        return Verdict.CANNOT_TELL
    bad = [verdict for verdict in told if verdict in (Verdict.WORSE, Verdict.NEW)]
    good = [verdict for verdict in told if verdict in (*_GOOD, *_PARTLY)]
    if bad and not good:
        return Verdict.WORSE
    if all(verdict in _GOOD for verdict in verdicts):
        return Verdict.FIXED
    if all(verdict in (*_GOOD, Verdict.TOO_EARLY) for verdict in told):
        return Verdict.TOO_EARLY
    if good:
        return Verdict.BETTER
    return Verdict.TOO_EARLY if Verdict.TOO_EARLY in told else Verdict.UNCHANGED
