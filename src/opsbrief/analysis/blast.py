"""Blast radius: for each change the hosts it touched, against the hosts that deviate.

Two fractions say it: how many of the deviating hosts a change touched, and how many of the others. A change that
touched exactly the hosts that deviate is consistent with what they show; it is no proof. Which hosts a change
touched is taken from what a source said of it, never guessed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opsbrief import phrase
from opsbrief.model.evidence import Change, Event, Evidence, Run, Series
from opsbrief.model.finding import Finding, Onset, Verdict, lead
from opsbrief.releases import same

MOST = 30  # changes that are told
_LEAD = timedelta(hours=2)  # before the anchor: still near enough to matter
_NEAR = timedelta(minutes=10)  # a marker this near to the anchor is the anchor's own


@dataclass(slots=True)
class _Touch:
    """One change and the hosts it touched."""

    kind: str
    name: str
    at: datetime
    hosts: set[str] = field(default_factory=set)
    basis: list[str] = field(default_factory=list)

    def add(self, at: datetime, hosts: Sequence[str], ident: str) -> None:
        self.at = min(self.at, at)
        self.hosts.update(host for host in hosts if host)
        if ident:
            self.basis.append(ident)


@dataclass(frozen=True, slots=True)
class _Field:
    """The hosts of the metric that the brief is about: those that deviate, those that do not."""

    deviating: frozenset[str]
    others: frozenset[str]


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "blast" per change whose hosts are known and for the release, the one that fits best first."""
    area = _area(evidence, found)
    if area is None:
        return
    touches = [*_release(evidence), *_commits(evidence), *_puppet(evidence), *_downtimes(evidence)]
    made = [_finding(touch, area, evidence) for touch in touches]
    yield from sorted(made, key=lambda f: (-f.score, f.onset.at if f.onset else evidence.window.start))[:MOST]


def _area(evidence: Evidence, found: Sequence[Finding]) -> _Field | None:
    """Return which hosts deviate; None when no metric changed that is told apart by host.

    A host whose series has too little data, or began to change before, is neither.
    """
    shift = lead(found)
    if shift is None or not shift.hosts:
        return None
    own = evidence.scope.host
    series = {item.id: item for item in evidence.items(Series)}
    metrics = {series[name].metric for name in shift.basis if name in series}
    others = {
        own(series[name].host)
        for finding in found
        if finding.code == "series" and finding.verdict is Verdict.UNCHANGED
        for name in finding.basis
        if name in series and series[name].host and series[name].metric in metrics
    }
    deviating = frozenset(own(host) for host in shift.hosts)
    return _Field(deviating, frozenset(others) - deviating)


def _release(evidence: Evidence) -> Iterator[_Touch]:
    """Yield the release that the window starts from, with the hosts that its markers name."""
    anchor = evidence.window.anchor
    if anchor.kind not in ("deploy", "tag"):
        return
    touch = _Touch("release", f"release {anchor.ref}".strip(), anchor.at)
    for change in evidence.items(Change):
        near = abs(change.at - anchor.at) <= _NEAR or (anchor.ref and same(change.ref, anchor.ref))
        if change.kind == "deploy" and near:
            touch.add(anchor.at, [evidence.scope.host(host) for host in change.hosts], change.id)
    for event in evidence.items(Event):
        if event.kind == "marker" and event.host and abs(event.at - anchor.at) <= _NEAR:
            touch.add(anchor.at, [evidence.scope.host(event.host)], event.id)
    yield touch


def _commits(evidence: Evidence) -> Iterator[_Touch]:
    """Yield the commits near the window that are mapped to hosts (paths of the Git source)."""
    window = evidence.window
    for change in evidence.items(Change):
        if change.kind == "commit" and change.hosts and window.start - _LEAD <= change.at < window.end:
            touch = _Touch("commit", f"commit {change.ref[:10]}", change.at)
            touch.add(change.at, [evidence.scope.host(host) for host in change.hosts], change.id)
            yield touch


def _puppet(evidence: Evidence) -> Iterator[_Touch]:
    """Yield what Puppet applied, by version: resources that changed, and nodes that got another version."""
    window = evidence.window
    touches: dict[tuple[str, str], _Touch] = {}
    puppets = {run.origin.source for run in evidence.items(Run)}

    def touch(kind: str, version: str, at: datetime) -> _Touch:
        names = {"drift": "drift put back by Puppet", "packages": "packages"}
        names["puppet"] = f"Puppet {version[:10]}".strip()
        return touches.setdefault((kind, version if kind == "puppet" else ""), _Touch(kind, names[kind], at))

    for change in evidence.items(Change):
        if change.kind == "resource" and change.state != "noop" and window.start - _LEAD <= change.at < window.end:
            other = change.ref.startswith("Package[") and change.origin.source not in puppets
            kind = "packages" if other else "drift" if change.corrective else "puppet"
            hosts = [evidence.scope.host(host) for host in change.hosts]
            touch(kind, change.version, change.at).add(change.at, hosts, change.id)
    for run in _arrivals(evidence):
        touch("puppet", run.version, run.at).add(run.at, [evidence.scope.host(run.host)], run.id)
    yield from touches.values()


def _arrivals(evidence: Evidence) -> Iterator[Run]:
    """Yield, per node, each run near the window that applied another version than the one before it."""
    window = evidence.window
    last: dict[str, Run] = {}
    for run in sorted(evidence.items(Run), key=lambda run: run.at):
        if not run.version or run.noop or run.cached:
            continue
        before = last.get(run.host)
        if before and not same(before.version, run.version) and window.start - _LEAD <= run.at < window.end:
            yield run
        last[run.host] = run


def _downtimes(evidence: Evidence) -> Iterator[_Touch]:
    """Yield the downtimes that began near the window: work that was announced, those for one reason together."""
    window = evidence.window
    touches: dict[tuple[str, int], _Touch] = {}
    for event in evidence.items(Event):
        ended = event.state.upper() in ("END", "ENDED", "STOPPED", "CANCELLED")
        if event.kind == "downtime" and not ended and window.start - _LEAD <= event.at < window.end:
            why = f"downtime {event.output[:60]!r}" if event.output else "downtime"
            block = int(event.at.timestamp() // _NEAR.total_seconds())
            found = touches.setdefault((why, block), _Touch("downtime", why, event.at))
            found.add(event.at, [evidence.scope.host(event.host)], event.id)
    yield from touches.values()


def _finding(touch: _Touch, area: _Field, evidence: Evidence) -> Finding:
    inside, outside = touch.hosts & area.deviating, touch.hosts & area.others
    deviating, others = len(area.deviating), len(area.others)
    at = phrase.clock(touch.at, evidence.window.zone, evidence.window.start)
    exact = bool(touch.hosts) and len(inside) == deviating and not outside
    facts: dict[str, float | int | str | None] = {
        "kind": touch.kind,
        "touched": len(touch.hosts) or None,
        "touched_deviating": len(inside) if touch.hosts else None,
        "deviating": deviating,
        "touched_others": len(outside) if touch.hosts else None,
        "others": others,
    }
    if not touch.hosts:
        every = phrase.count(deviating + others, "host")
        headline = f"{touch.name}: the hosts it touched are not known; {deviating} of {every} deviate"
        verdict, score = Verdict.CANNOT_TELL, 0.0
    else:
        other = f" and {len(outside)} of {phrase.count(others, 'other')}" if others else ", no other host was compared"
        fits = ": consistent with it" if exact and others else ""
        headline = f"{touch.name} touched {len(inside)} of {deviating} deviating hosts{other}{fits}"
        verdict = Verdict.CHANGED
        score = len(inside) / deviating - (len(outside) / others if others else 0.0) + (1.0 if exact else 0.0) + 1.0
    elsewhere = sorted(touch.hosts - area.deviating - area.others)
    notes = [at]
    notes += [f"touched: {phrase.listed(sorted(touch.hosts), 12)}"] if touch.hosts else []
    notes += [f"not compared: {phrase.listed(elsewhere)}"] if elsewhere else []
    return Finding(
        code="blast",
        subject=touch.name,
        verdict=verdict,
        headline=headline,
        detail="; ".join(notes),
        basis=tuple(dict.fromkeys(touch.basis))[:20],
        score=score,
        onset=Onset(at=touch.at, earliest=touch.at, latest=touch.at),
        hosts=tuple(sorted(touch.hosts)),
        facts=facts,
    )
