"""Commits to the ground the service stands on."""

from collections.abc import Iterator, Sequence

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import Ground, Part, missing
from opsbrief.model.evidence import Change
from opsbrief.model.finding import Verdict
from opsbrief.releases import same

NAMED = 3  # commits that are told one by one


def look(ground: Ground) -> Part:
    """Look for commits on infrastructure paths from a little before the anchor to the end."""
    window = ground.evidence.window
    outcomes = [o for o in ground.evidence.outcomes if o.role == "infrastructure" and o not in ground.puppet]
    if not outcomes:
        said = "no infrastructure repository is configured"
        return Part(kind="commits", verdict=Verdict.CANNOT_TELL, said=said, coverage=("commits: no repository",))
    near = [c for c in ground.commits if ground.near(c.at) and c.kind != "tag"]
    older = [c for c in ground.commits if c.at < ground.since and c.kind != "tag"]
    last = max(older, key=lambda change: change.at, default=None)
    facts: dict[str, float | int | str | None] = {
        "infrastructure_commits": len(near),
        "last_commit": last.at.isoformat() if last else None,
    }
    basis = tuple(c.id for c in near[:20]) or ((last.id,) if last else ())
    read = f"read: {', '.join(outcome.source for outcome in outcomes)}"
    if near:
        told = [_one(change, ground) for change in near[:NAMED]]
        said = f"{phrase.count(len(near), 'commit')} since {ground.clock(ground.since)}"
        coverage = (*told, *_late(near, ground), *_arrived(near, ground), read)
        return Part(
            kind="commits", verdict=Verdict.NOT_RULED_OUT, said=said, coverage=coverage, basis=basis, facts=facts
        )
    gaps = ground.holes(outcomes)
    if gaps or any(outcome.status in ("failed", "skipped") for outcome in outcomes):
        said = "commits not read whole"
        coverage = (*missing(gaps), read)
        return Part(kind="commits", verdict=Verdict.CANNOT_TELL, said=said, coverage=coverage, basis=basis, facts=facts)
    since = last.at if last else min(window.whole.start, ground.since)
    coverage = (f"last commit: {_one(last, ground)}", read) if last else (read,)
    said = f"no commit since {ground.clock(since)}"
    return Part(kind="commits", verdict=Verdict.RULED_OUT, said=said, coverage=coverage, basis=basis, facts=facts)


def _one(change: Change, ground: Ground) -> str:
    landed = "" if change.landed else ", not yet on the branch"
    return f"{ground.clock(change.at)} {change.ref[:10]} {change.summary[:80]}{landed}"


def _late(near: Sequence[Change], ground: Ground) -> Iterator[str]:
    """Say how many of the commits came after the change had begun."""
    began = ground.first.onset.latest if ground.first and ground.first.onset else None
    late = sum(change.at > began for change in near) if began else 0
    if began and late:
        yield f"{late} of {len(near)} committed after the change began ({ground.clock(began)})"


def _arrived(near: Sequence[Change], ground: Ground) -> Iterator[str]:
    """Say on how many nodes a run of each commit's own version was seen.

    None is no alibi: a commit may be applied with a later one, and not all of the infrastructure is Puppet's.
    """
    if not ground.nodes:
        return
    for change in near[:NAMED]:
        hosts = [h for h, runs in ground.nodes.items() if any(same(r.version, change.ref) and not r.noop for r in runs)]
        yield f"{change.ref[:10]} seen in a run on {len(hosts)} of {phrase.count(len(ground.nodes), 'node')}"
