"""What Puppet did to the nodes, told together: one line a version, not one a resource."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opsbrief import phrase
from opsbrief.model.evidence import Change, Evidence, Run
from opsbrief.releases import same

NAMED = 3  # resources that are named

_DID = {
    "failed": "Puppet failed",
    "drift": "Puppet put back what was changed by hand",
    "applied": "Puppet applied",
    "arrived": "Puppet went to",
    "noop": "Puppet would change, but for noop,",
    "package": "packages changed",  # by the package log of a host: whoever it was
}


@dataclass(slots=True)
class Group:
    """What was done alike: one version, one outcome, on some nodes, in a stretch of time."""

    kind: str
    version: str
    source: str
    first: datetime
    last: datetime
    hosts: dict[str, None] = field(default_factory=dict)
    refs: dict[str, None] = field(default_factory=dict)  # of the resources
    basis: list[str] = field(default_factory=list)

    def said(self, total: int) -> str:
        """Return "Puppet applied ac97852 on 8 of 8 nodes: File[/etc/app.conf] and 3 more"."""
        version = f" {self.version[:10]}" if self.version and self.kind in ("applied", "arrived") else ""
        nodes = f"{len(self.hosts)} of {phrase.count(total, 'node')}" if total >= len(self.hosts) > 0 else ""
        one = next(iter(self.hosts), "") if len(self.hosts) == 1 else ""
        where = f" on {one or nodes}" if one or nodes else ""
        what = phrase.listed(list(self.refs), NAMED)
        return f"{_DID[self.kind]}{version}{where}" + (f": {what}" if what else "")


def groups(evidence: Evidence, since: datetime) -> list[Group]:
    """Return what happened from ``since`` to the end of the window, oldest first."""
    found: dict[tuple[str, str, str], Group] = {}
    own, end = evidence.scope.host, evidence.window.end
    puppets = {run.origin.source for run in evidence.items(Run)}

    def group(kind: str, version: str, source: str, at: datetime) -> Group:
        made = found.setdefault((kind, version, source), Group(kind, version, source, at, at))
        made.first, made.last = min(made.first, at), max(made.last, at)
        return made

    for change in evidence.items(Change):
        if change.kind == "resource" and since <= change.at < end:
            kind = _kind(change, puppets)
            mine = group(kind, change.version, change.origin.source, change.at)
            mine.hosts.update(dict.fromkeys(own(host) for host in change.hosts))
            mine.refs[change.ref[:100]] = None
            mine.basis.append(change.id)
    for run in _arrivals(list(evidence.items(Run))):
        told = any(
            own(run.host) in one.hosts for key, one in found.items() if key[1:] == (run.version, run.origin.source)
        )
        if since <= run.at < end and not told:
            mine = group("arrived", run.version, run.origin.source, run.at)
            mine.hosts[own(run.host)] = None
            mine.basis.append(run.id)
    return sorted(found.values(), key=lambda one: (one.first, one.kind, one.version))


def nodes(evidence: Evidence) -> int:
    """Return of how many nodes a run is known."""
    return len({evidence.scope.host(run.host) for run in evidence.items(Run)})


def _kind(change: Change, puppets: Collection[str]) -> str:
    if change.ref.startswith("Package[") and change.origin.source not in puppets:
        return "package"
    if change.state in ("failed", "noop"):
        return change.state
    return "drift" if change.corrective else "applied"


def _arrivals(runs: Sequence[Run]) -> Iterator[Run]:
    """Yield each run that applied another version than the run of its node before it."""
    last: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.at):
        if run.version and not run.noop and not run.cached:
            before = last.get(run.host)
            if before and not same(before.version, run.version):
                yield run
            last[run.host] = run
