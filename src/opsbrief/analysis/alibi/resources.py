"""What Puppet changed on the nodes, and what somebody had changed by hand."""

from collections.abc import Iterator, Sequence

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import Ground, Part, missing
from opsbrief.analysis.alibi.versions import relevant
from opsbrief.model.evidence import Change, Run
from opsbrief.model.finding import Verdict

NAMED = 3


def look(ground: Ground) -> Part:
    """Ask for resources that were applied, put back or failed, and for runs that say so without naming them."""
    outcomes = ground.puppet
    touched = [c for c in ground.resources if c.state != "noop"]
    would = [c for c in ground.resources if c.state == "noop"]
    runs = [run for each in ground.nodes.values() for run in relevant(each, ground) if ground.near(run.at)]
    unnamed = _unnamed(runs, ground)
    facts: dict[str, float | int | str | None] = {
        "resources_changed": sum(c.state != "failed" for c in touched) + sum(run.changed for run in unnamed),
        "resources_failed": sum(c.state == "failed" for c in touched),
        "resources_corrected": sum(c.corrective for c in touched),
    }
    basis = (*(c.id for c in (*touched, *would)), *(run.id for run in unnamed))[:20]
    if touched or unnamed:
        coverage = (*_named(touched, ground), *(_counted(run, ground) for run in unnamed[:NAMED]))
        return Part(
            kind="resources",
            verdict=Verdict.NOT_RULED_OUT,
            said=_said(touched, unnamed, ground),
            coverage=coverage,
            basis=basis,
            facts=facts,
        )
    if not outcomes:  # the part of the versions says so
        return Part(kind="resources", verdict=Verdict.CANNOT_TELL, said="", coverage=("resources: not looked at",))
    doubts = [*_doubts(would, runs, ground)]
    gaps = ground.holes(outcomes)
    if doubts or gaps or not ground.nodes:
        said = doubts[0] if doubts else ""
        coverage = (*doubts, *missing(gaps)) or ("resources: no run was read",)
        return Part(
            kind="resources", verdict=Verdict.CANNOT_TELL, said=said, coverage=coverage, basis=basis, facts=facts
        )
    read = f"{phrase.count(len(runs), 'run')} since {ground.clock(ground.since)} on {len(ground.nodes)} nodes"
    return Part(
        kind="resources",
        verdict=Verdict.RULED_OUT,
        said="0 changed resources",
        coverage=(read,),
        basis=basis,
        facts=facts,
    )


def _unnamed(runs: Sequence[Run], ground: Ground) -> list[Run]:
    """Return the runs that changed or failed something which no source names."""
    own = ground.evidence.scope.host
    told = {own(host) for change in ground.resources for host in change.hosts}
    found = [
        run for run in runs
        if (run.changed or run.failed or run.status == "changed") and not run.noop and own(run.host) not in told
    ]  # fmt: skip
    brought = _brought(found, ground)
    return [run for run in found if run not in brought]


def _brought(runs: Sequence[Run], ground: Ground) -> list[Run]:
    """Return the runs that brought a release to their node, of which the source tells as a deploy: one a node."""
    own = ground.evidence.scope.host
    found = []
    for change in ground.evidence.items(Change):
        if change.kind == "deploy" and change.origin.source in {outcome.source for outcome in ground.puppet}:
            for host in {own(name) for name in change.hosts}:
                later = [run for run in runs if own(run.host) == host and run.at >= change.at and run not in found]
                # With more than one resource the run did something beside it, which nobody tells.
                first = min(later, key=lambda run: run.at, default=None)
                found += [first] if first and first.changed <= 1 and not first.failed else []
    return found


def _said(touched: Sequence[Change], unnamed: Sequence[Run], ground: Ground) -> str:
    """Return "2 resources changed on 3 nodes"; one alone by its name, with what stands out of it."""
    if len(touched) == 1 and not unnamed:
        return _one(touched[0], ground)
    host = ground.evidence.scope.host
    hosts = {host(name) for change in touched for name in change.hosts} | {host(run.host) for run in unnamed}
    words = {"failed": [c for c in touched if c.state == "failed"],
             "put back (drift)": [c for c in touched if c.corrective and c.state != "failed"]}  # fmt: skip
    many = len({change.ref for change in touched}) + sum(run.changed or run.failed or 1 for run in unnamed)
    extra = "".join(f", {len(found)} {word}" for word, found in words.items() if found)
    return f"{phrase.count(many, 'resource')} changed on {phrase.count(len(hosts), 'node')}{extra}"


def _one(change: Change, ground: Ground) -> str:
    done = "put back (drift)" if change.corrective else change.state or "changed"
    done = "failed" if change.state == "failed" else done
    where = f" on {phrase.listed(change.hosts)}" if change.hosts else ""
    version = f" ({change.version[:10]})" if change.version else ""
    return f"{change.ref[:80]} {done}{where} {ground.clock(change.at)}{version}"


def _named(touched: Sequence[Change], ground: Ground) -> Iterator[str]:
    """Yield the first changes by name: what failed or was put back before the rest."""
    ranked = sorted(touched, key=lambda c: (c.state != "failed", not c.corrective, c.at))
    if len(ranked) > 1:
        yield from (_one(change, ground) for change in ranked[:NAMED])
    if len(ranked) > NAMED:
        yield f"and {len(ranked) - NAMED:,} more"


def _counted(run: Run, ground: Ground) -> str:
    what = f"{phrase.count(run.changed, 'resource')} changed" if run.changed else "a run changed something"
    failed = f", {run.failed} failed" if run.failed else ""
    return f"{what}{failed} on {run.host} {ground.clock(run.at)} (which is not told)"


def _doubts(would: Sequence[Change], runs: Sequence[Run], ground: Ground) -> Iterator[str]:
    """Yield why nothing changed is no proof that nothing differs."""
    if would:
        hosts = sorted({host for change in would for host in change.hosts})
        yield f"{phrase.count(len(would), 'resource')} would be changed but for noop on {phrase.listed(hosts)}"
    if pending := sorted({run.host for run in runs if run.pending} - {h for c in would for h in c.hosts}):
        yield f"something would be changed but for noop on {phrase.listed(pending)}"
    if alone := sorted({run.host for run in runs if not run.agent}):
        yield f"puppet apply never tells what was changed by hand: {phrase.listed(alone)}"
    if ground.silent:
        yield f"resources of {phrase.listed(ground.silent)} not known"
