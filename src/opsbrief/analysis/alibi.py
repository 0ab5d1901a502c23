"""The alibi: can the infrastructure be ruled out? Only what was looked at may say so.

Each kind of evidence has a verdict of its own. One commit, one gap, or one kind that was never read is
enough to take "ruled out" away. From Git alone the commits can be ruled out, the applied state cannot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from opsbrief import phrase
from opsbrief.model.evidence import Change, Evidence, Outcome
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import weekdays
from opsbrief.model.window import Window

LEAD = timedelta(hours=2)  # a commit may be applied this much later, by the next run of the agent

_APPLIED = ("puppet", "puppetdb")  # types of sources that know what was applied


@dataclass(frozen=True, slots=True)
class Part:
    """What one kind of evidence says about the infrastructure."""

    kind: str
    verdict: Verdict
    said: str  # a clause of the headline
    notes: tuple[str, ...] = ()  # its coverage
    basis: tuple[str, ...] = ()
    facts: dict[str, float | int | str | None] = field(default_factory=dict)


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the one "alibi"."""
    parts = [_commits(evidence, found), _applied(evidence)]
    verdicts = [part.verdict for part in parts]
    verdict = next((v for v in (Verdict.NOT_RULED_OUT, Verdict.CANNOT_TELL) if v in verdicts), Verdict.RULED_OUT)
    freeze = _freeze(evidence)
    facts = {part.kind: str(part.verdict) for part in parts} | {k: v for part in parts for k, v in part.facts.items()}
    yield Finding(
        code="alibi",
        subject="infrastructure",
        verdict=verdict,
        headline=f"infrastructure: {'; '.join(part.said for part in parts)}",
        detail="; ".join([note for part in parts for note in part.notes] + ([freeze] if freeze else [])),
        basis=tuple(dict.fromkeys(each for part in parts for each in part.basis)),
        score=1.0,
        facts=facts,
    )


def _commits(evidence: Evidence, found: Sequence[Finding]) -> Part:
    """Look for commits on infrastructure paths from a little before the anchor to the end."""
    window = evidence.window
    outcomes = [o for o in evidence.outcomes if o.role == "infrastructure" and o.type not in _APPLIED]
    if not outcomes:
        return Part("commits", Verdict.CANNOT_TELL, "no infrastructure repository is configured")
    changes = [c for c in evidence.items(Change) if c.role == "infrastructure" and _matters(c, evidence)]
    near = [
        c for c in changes if window.start - LEAD <= c.at < window.end and c.kind in ("commit", "deploy", "resource")
    ]
    older = [c for c in changes if c.at < window.start - LEAD and c.kind != "tag"]
    last = max(older, key=lambda change: change.at, default=None)
    gaps = [gap for outcome in outcomes for gap in outcome.gaps]
    facts: dict[str, float | int | str | None] = {
        "infrastructure_commits": len(near),
        "last_commit": last.at.isoformat() if last else None,
    }
    basis = tuple(c.id for c in near[:20]) or ((last.id,) if last else ())
    coverage = (f"read: {', '.join(outcome.source for outcome in outcomes)}",)
    if near:
        notes = (*(_one(change, window) for change in near[:3]), *_late(near, found, window), *coverage)
        said = (
            f"{phrase.count(len(near), 'commit')} since {phrase.clock(window.start - LEAD, window.zone, window.start)}"
        )
        return Part("commits", Verdict.NOT_RULED_OUT, said, notes, basis, facts)
    if gaps or not all(_read(outcome) for outcome in outcomes):
        said = "commits not read whole"
        notes = tuple(f"{gap.source}: {gap.detail}" for gap in gaps[:3])
        return Part("commits", Verdict.CANNOT_TELL, said, (*notes, *coverage), basis, facts)
    if last:
        said = f"no commit since {phrase.clock(last.at, window.zone, window.start)}"
        return Part("commits", Verdict.RULED_OUT, said, (f"last one: {_one(last, window)}", *coverage), basis, facts)
    said = f"no commit since {phrase.clock(window.start - max(window.before, LEAD), window.zone, window.start)}"
    return Part("commits", Verdict.RULED_OUT, said, coverage, basis, facts)


def _read(outcome: Outcome) -> bool:
    return outcome.status == "ok"


def _matters(change: Change, evidence: Evidence) -> bool:
    """Whether a change touches a path that matters; one without a list of files does."""
    paths = evidence.scope.infrastructure.paths
    if not paths or not change.files:
        return True
    return any(_under(stat.path, path) for stat in change.files for path in paths)


def _under(name: str, path: str) -> bool:
    plain = path.strip("/")
    return name == plain or name.startswith(f"{plain}/") or fnmatchcase(name, path) or fnmatchcase(name, f"{plain}/*")


def _one(change: Change, window: Window) -> str:
    landed = "" if change.landed else ", not yet on the branch"
    return f"{phrase.clock(change.at, window.zone, window.start)} {change.ref[:10]} {change.summary[:80]}{landed}"


def _late(near: Sequence[Change], found: Sequence[Finding], window: Window) -> Iterator[str]:
    """Say how many of the commits came after the change had begun."""
    began = _began(found)
    late = sum(change.at > began for change in near) if began else 0
    if began and late:
        at = phrase.clock(began, window.zone, window.start)
        yield f"{late} of {len(near)} committed after the change began ({at})"


def _began(found: Sequence[Finding]) -> datetime | None:
    return min(
        (f.onset.latest for f in found if f.code == "shift" and f.verdict is Verdict.CHANGED and f.onset), default=None
    )


def _applied(evidence: Evidence) -> Part:
    """Say what is known of the state that nodes really have: nothing, without a source that reads it."""
    outcomes = [outcome for outcome in evidence.outcomes if outcome.type in _APPLIED]
    if not outcomes:
        missing = "no Puppet source: applied versions and drift not looked at"
        return Part("applied", Verdict.CANNOT_TELL, "applied state not checked (no Puppet source)", (missing,))
    window = evidence.window
    resources = [
        change for outcome in outcomes for change in outcome.items
        if isinstance(change, Change) and change.kind == "resource" and window.start - LEAD <= change.at < window.end
    ]  # fmt: skip
    facts: dict[str, float | int | str | None] = {"resources_changed": len(resources)}
    basis = tuple(change.id for change in resources[:20])
    if resources:
        hosts = sorted({host for change in resources for host in change.hosts})
        said = f"{phrase.count(len(resources), 'resource')} changed on {phrase.count(len(hosts), 'node')}"
        return Part("applied", Verdict.NOT_RULED_OUT, said, (phrase.listed(hosts),), basis, facts)
    gaps = [gap for outcome in outcomes for gap in outcome.gaps]
    if gaps:
        notes = tuple(f"{gap.source}: {gap.detail}" for gap in gaps[:3])
        return Part("applied", Verdict.CANNOT_TELL, "applied state not read whole", notes, basis, facts)
    return Part("applied", Verdict.RULED_OUT, "0 resources changed", (), basis, facts)


def _freeze(evidence: Evidence) -> str:
    """Say whether the agreed freeze was kept, when the anchor falls on one of its days."""
    try:
        days = weekdays(evidence.scope.infrastructure.freeze)
    except ValueError:  # the configuration refuses it, a bundle may still hold it
        return ""
    window = evidence.window
    zone = phrase.zone(window.zone)
    if not days or window.start.astimezone(zone).weekday() not in days:
        return ""
    broken = [
        change for change in evidence.items(Change)
        if change.role == "infrastructure" and change.kind == "commit" and _matters(change, evidence)
        and window.start - LEAD <= change.at < window.end and change.at.astimezone(zone).weekday() in days
    ]  # fmt: skip
    agreed = f"freeze {evidence.scope.infrastructure.freeze}"
    return (
        f"{agreed}: {phrase.count(len(broken), 'commit')} during it"
        if broken
        else f"{agreed}: no commit seen during it"
    )
