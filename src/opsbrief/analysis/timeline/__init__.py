"""One line of time through everything: changes, what Puppet did, onsets, first errors, restarts, alarms, answers."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from opsbrief import phrase
from opsbrief.analysis.timeline.changes import anchors, applied, changes
from opsbrief.analysis.timeline.entry import entry
from opsbrief.analysis.timeline.events import entries as events
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding, Verdict

MOST = 40


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "timeline" per instant in the order of time; of too many, those that tell most."""
    merged = [
        *anchors(evidence),
        *changes(evidence),
        *applied(found),
        *_onsets(found, evidence),
        *_errors(found),
        *events(evidence),
    ]
    kept = sorted(merged, key=lambda one: (-one.score, _at(one), one.headline))[:MOST]
    yield from sorted(kept, key=lambda one: (_at(one), -one.score, one.headline))


def _at(one: Finding) -> datetime:
    assert one.onset is not None  # noqa: S101 - every instant is made by entry()
    return one.onset.at


def _onsets(found: Sequence[Finding], evidence: Evidence) -> Iterator[Finding]:
    for place, finding in enumerate(_best(found, "shift", (Verdict.CHANGED, Verdict.BEGAN_BEFORE))[:8]):
        if finding.onset is None:
            continue
        does = {"up": "up", "down": "down"}.get(str(finding.facts["direction"]), "changed")
        does = {"silent": "silent", "noisier": "noisier"}.get(finding.shape, does)
        said = f"{finding.subject}: {does}{_hosts(finding)}"
        basis = finding.basis[:20]
        # What only the wide net caught tells less than an alarm or a restart.
        score = (56.0 if finding.facts.get("rank") else 85.0) - place
        yield entry("onset", finding.onset.at, said, score, basis=basis, onset=finding.onset, source="measured")
        first = finding.facts.get("first_reset")
        if isinstance(first, str) and evidence.window.start <= datetime.fromisoformat(first):
            at = datetime.fromisoformat(first)
            said = f"{finding.subject}: first reset"
            yield entry("restart", at, said, 58.0 - place, basis=basis, source="measured")


def _hosts(finding: Finding) -> str:
    total = finding.facts["hosts_total"]
    return f" on {len(finding.hosts)} of {phrase.count(int(total), 'host')}" if total and finding.hosts else ""


def _errors(found: Sequence[Finding]) -> Iterator[Finding]:
    for place, finding in enumerate(_best(found, "log-pattern", (Verdict.NEW, Verdict.EXPLODED))[:6]):
        level = str(finding.facts["level"] or "line")
        if finding.onset and (level in ("ERROR", "FATAL") or place < 2):
            what = "first" if finding.verdict is Verdict.NEW else "first in the window, more since"
            said = f"{what} {level}: {finding.subject[:90]}"
            at = finding.onset.at
            yield entry("first-error", at, said, 80.0 - place, basis=finding.basis[:20], source="the logs")


def _best(found: Sequence[Finding], code: str, verdicts: tuple[Verdict, ...]) -> list[Finding]:
    chosen = [finding for finding in found if finding.code == code and finding.verdict in verdicts]
    return sorted(chosen, key=lambda finding: (bool(finding.facts.get("rank")), -finding.score))
