"""Which version of the infrastructure each node had, before and after.

Ruled out only when every node has a run before the moment and one after it, each really applied (not noop, not
failed, not from a cached catalog), and all of them name the same commit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import Ground, Part, missing
from opsbrief.model.evidence import Change, Run
from opsbrief.model.finding import Verdict
from opsbrief.releases import same

_HOLE = 2.5  # times the usual interval without a run, from which on a run is missing
_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """One reason against "ruled out", and the nodes it holds for."""

    verdict: Verdict
    said: str  # what stands before the nodes
    nodes: tuple[str, ...]

    def told(self) -> str:
        return f"{self.said} on {phrase.listed(self.nodes)}"


def look(ground: Ground) -> Part:
    """Compare the version of the last run before the moment with that of every run after it, node by node."""
    if not ground.puppet:
        return Part(
            kind="versions",
            verdict=Verdict.CANNOT_TELL,
            said="applied state not checked (no Puppet source)",
            coverage=("applied versions and drift not looked at",),
        )
    seen = {host: relevant(runs, ground) for host, runs in ground.nodes.items()}
    total = len({*ground.nodes, *ground.silent})
    whole = [host for host, runs in seen.items() if _spans(runs, ground)]
    facts: dict[str, float | int | str | None] = {"nodes": total, "nodes_reported": len(whole)}
    basis = tuple(run.id for runs in seen.values() for run in runs if run.id)[:20]
    reported = f"{len(whole)} of {phrase.count(total, 'node')} reported"
    gaps = ground.holes(ground.puppet)
    doubts = [*_moved(seen, ground), *_unsound(seen), *_absent(seen, ground)]
    coverage = (
        *(doubt.told() for doubt in doubts),
        *_again(ground, doubts),
        *missing(gaps),
        *_coverage(seen, ground),
        *_excused(seen, ground),
        *(f"{reported} before and after {ground.clock(ground.moment)}",) * (len(whole) < total),
    )
    for verdict in (Verdict.NOT_RULED_OUT, Verdict.CANNOT_TELL):
        against = [doubt for doubt in doubts if doubt.verdict is verdict]
        if against:
            said = against[0].told()
            return Part(kind="versions", verdict=verdict, said=said, coverage=coverage, basis=basis, facts=facts)
        if gaps and verdict is Verdict.CANNOT_TELL:
            said = "applied state not read whole"
            return Part(kind="versions", verdict=verdict, said=said, coverage=coverage, basis=basis, facts=facts)
    return Part(
        kind="versions", verdict=Verdict.RULED_OUT, said=reported, coverage=coverage, basis=basis, facts=facts
    )  # fmt: skip


def relevant(runs: Sequence[Run], ground: Ground) -> list[Run]:
    """Return the runs that count of one node: the last before the stretch, and every one in it."""
    before = [run for run in runs if run.at < ground.since]
    return [*before[-1:], *(run for run in runs if ground.near(run.at))]


def _spans(runs: Sequence[Run], ground: Ground) -> bool:
    """Whether there is a run before the moment may have come and one after it has."""
    return any(run.at < ground.suspect for run in runs) and any(run.at >= ground.moment for run in runs)


def _moved(seen: dict[str, list[Run]], ground: Ground) -> Iterator[_Doubt]:
    """Yield the nodes that got another version than they had; those are told apart by which one."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for host, runs in seen.items():
        for step in _steps(runs):
            found.setdefault(step, {})[host] = None
    for (old, new), hosts in found.items():
        if not _harmless(old, new, ground):
            yield _Doubt(Verdict.NOT_RULED_OUT, f"version {old[:10]} → {new[:10]}", tuple(hosts))


def _steps(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return the changes of version from one applied run to the next."""
    versions = [run.version for run in runs if run.version and not run.noop and not run.cached]
    return [(old, new) for old, new in pairwise(versions) if not same(old, new)]


def _harmless(old: str, new: str, ground: Ground) -> bool:
    """Whether Git shows every commit between two versions, and that none of them touches what matters.

    Both versions must be on one branch itself, in a repository that was read whole: then what was merged is
    among the files of the merge, and nothing between can be unseen.
    """
    if not ground.evidence.scope.infrastructure.paths:
        return False
    for outcome in ground.evidence.outcomes:
        if outcome.type != "git" or outcome.role != "infrastructure" or outcome.gaps:
            continue
        branches: dict[str, list[Change]] = {}
        for item in outcome.items:
            if isinstance(item, Change) and item.kind == "commit":
                branches.setdefault(item.branch, []).append(item)
        if any(_between(old, new, commits, ground) for commits in branches.values()):
            return True
    return False


def _between(old: str, new: str, commits: Sequence[Change], ground: Ground) -> bool:
    chain = [commit for commit in commits if commit.first_parent]
    ends = [next((at for at, commit in enumerate(chain) if same(commit.ref, ref)), -1) for ref in (old, new)]
    if min(ends) < 0:
        return False
    low, high = sorted(ends)  # newest first; a way back is as harmless as the way there
    base = chain[high].at
    between = [*chain[low:high], *(commit for commit in commits if commit.in_window and commit.at > base)]
    return all(commit.files and not ground.matters(commit) for commit in between)


def _excused(seen: dict[str, list[Run]], ground: Ground) -> Iterator[str]:
    """Say which changes of version touch nothing that matters."""
    steps = {step for runs in seen.values() for step in _steps(runs) if _harmless(*step, ground)}
    for old, new in sorted(steps):
        yield f"version {old[:10]} → {new[:10]}: its commits touch none of the paths that matter"


def _unsound(seen: dict[str, list[Run]]) -> Iterator[_Doubt]:
    """Yield the nodes whose runs do not say what the node really has."""

    def nodes(bad: Callable[[Run], bool]) -> tuple[str, ...]:
        return tuple(host for host, runs in seen.items() if any(bad(run) for run in runs))

    if failed := nodes(lambda run: run.status == "failed" and not run.changed):
        yield _Doubt(Verdict.CANNOT_TELL, "a run failed", failed)
    if noop := nodes(lambda run: run.noop):
        yield _Doubt(Verdict.CANNOT_TELL, "noop (it only looks)", noop)
    if cached := nodes(lambda run: run.cached):
        yield _Doubt(Verdict.CANNOT_TELL, "a run took a cached catalog", cached)
    if unnamed := nodes(lambda run: not run.version):
        stated = next(run.stated for runs in seen.values() for run in runs if not run.version)
        word = f" but {stated[:20]!r}" if stated else ""
        yield _Doubt(Verdict.CANNOT_TELL, f"no Git SHA{word}: set config_version; unnamed", unnamed)


def _absent(seen: dict[str, list[Run]], ground: Ground) -> Iterator[_Doubt]:
    """Yield the nodes without a run where one is needed."""
    if ground.silent:
        yield _Doubt(Verdict.CANNOT_TELL, "no run known", tuple(ground.silent))
    before = tuple(host for host, runs in seen.items() if not any(run.at < ground.suspect for run in runs))
    after = tuple(host for host, runs in seen.items() if not any(run.at >= ground.moment for run in runs))
    if before:
        yield _Doubt(Verdict.CANNOT_TELL, f"no run before {ground.clock(ground.suspect)}", before)
    if after:
        yield _Doubt(Verdict.CANNOT_TELL, f"no run after {ground.clock(ground.moment)} yet", after)
    if not seen and not ground.silent:
        yield _Doubt(Verdict.CANNOT_TELL, "no run known", ("any node",))
    if ground.interval:
        long = _HOLE * ground.interval + _SLACK
        holes = tuple(host for host, runs in ground.nodes.items() if _hole(runs, ground, long))
        if holes:
            usual = phrase.duration(ground.interval.total_seconds())
            yield _Doubt(Verdict.CANNOT_TELL, f"a run is missing (usually one every {usual})", holes)


def _hole(runs: Sequence[Run], ground: Ground, long: timedelta) -> bool:
    """Whether a node had no run for too long around the moment: a run that was not told may have changed something."""
    return any(
        other.at - one.at > long and other.at >= ground.since and one.at <= ground.moment
        for one, other in pairwise(runs)
    )


def _coverage(seen: dict[str, list[Run]], ground: Ground) -> Iterator[str]:
    """Say when the last runs were, and which version they applied."""
    last = [runs[-1] for runs in seen.values() if runs]
    if not last:
        return
    yield f"last run {ground.stretch(min(run.at for run in last), max(run.at for run in last))}"
    versions = sorted({run.version[:10] for run in last if run.version})
    if versions:
        yield f"version {phrase.listed(versions)}"


def _again(ground: Ground, doubts: Sequence[_Doubt]) -> Iterator[str]:
    """Say when it is worth asking again: once each node has had its next run."""
    waiting = any("yet" in doubt.said for doubt in doubts)
    if waiting and ground.interval:
        last = [runs[-1].at for runs in ground.nodes.values()]
        yield f"ask again after {ground.clock(max(last) + ground.interval + _SLACK)}"
