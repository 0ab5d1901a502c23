"""What was changed, for the timeline: deploys, commits, what Puppet did, thresholds."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from opsbrief.analysis.timeline.entry import entry
from opsbrief.model.evidence import Change, Evidence
from opsbrief.model.finding import Finding
from opsbrief.model.window import Window

_SAME = timedelta(minutes=10)  # between two logs' words of one deploy


def anchors(evidence: Evidence) -> Iterator[Finding]:
    """Yield the ends of the window, the fix, and the deploys that other logs or earlier times know."""
    window = evidence.window
    anchor = window.anchor
    name = f"{anchor.kind} {anchor.ref}".strip() if anchor.kind != "time" else "start of the window"
    kind = "deploy" if anchor.kind in ("deploy", "tag") else "start"
    yield entry(kind, anchor.at, name, 100.0, source=anchor.source)
    if window.fix:
        yield entry("fix", window.fix.at, f"fix {window.fix.ref}".strip(), 99.0, source=window.fix.source)
    for candidate in window.receipt.candidates if window.receipt else ():
        deploy = candidate.deploy
        if not candidate.taken and not told(deploy.at, window) and window.whole.start <= deploy.at < window.end:
            failed = "" if deploy.succeeded else " (failed)"
            said = f"deploy {deploy.ref}{failed}, says {deploy.source}"
            yield entry("deploy", deploy.at, said, 60.0, source=deploy.source)
    yield entry("end", window.end, "end of the window", 90.0)


def told(at: datetime, window: Window) -> bool:
    """Whether a deploy at this time is the anchor or the fix, which have entries of their own."""
    return any(abs(at - one.at) <= _SAME for one in (window.anchor, window.fix) if one)


def changes(evidence: Evidence) -> Iterator[Finding]:
    """Yield commits, tags and deploys: those of the infrastructure tell more, the last one before the window most."""
    window = evidence.window
    for change in evidence.items(Change):
        if change.kind == "resource" or (change.kind == "deploy" and told(change.at, window)):
            continue
        infra = change.role == "infrastructure"
        score = (65.0 if infra else 30.0) if change.kind == "commit" else 55.0
        said = f"{'infrastructure ' if infra else ''}{change.kind} {_named(change)}"
        if not change.in_window:
            if not infra:
                continue
            score, said = 54.0, f"last infrastructure {change.kind} before: {_named(change)}"
        basis = (change.id,)
        yield entry(change.kind, change.at, said, score - change.merge, basis=basis, source=change.origin.source)


def applied(found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield what Puppet did, as it was told among the other changes, and every threshold that was moved."""
    for finding in found:
        if finding.onset is None:
            continue
        source = str(finding.facts.get("source") or "")
        if finding.code == "other-change" and finding.facts.get("said"):
            said = _until(finding, str(finding.facts["said"]))
            yield entry("puppet", finding.onset.at, said, 66.0, basis=finding.basis, onset=finding.onset, source=source)
        elif finding.code == "threshold":
            moved = f"{finding.facts['old']} → {finding.facts['new']}"
            said = f"threshold of {finding.subject} {moved}, commit {str(finding.facts['ref'])[:10]}"
            yield entry("threshold", finding.onset.at, said, 68.0, basis=finding.basis, source=source)


def _until(finding: Finding, said: str) -> str:
    """Return what was done with how long it took to reach every node."""
    spread = (finding.onset.latest - finding.onset.at).total_seconds() if finding.onset else 0.0
    return f"{said}, the last after {round(spread / 60)} min" if spread >= 90 else said


def _named(change: Change) -> str:
    ref = change.ref[:10] if change.kind == "commit" else change.ref
    return f"{ref} {change.summary[:80]}".strip()
