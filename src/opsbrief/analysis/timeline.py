"""One line of time through everything: changes, onsets, first errors, restarts, alarms."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from opsbrief import phrase
from opsbrief.maths.twins import once
from opsbrief.model.evidence import Change, Event, Evidence
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.window import Window

MOST = 40
_FEW = 5  # alarms, restarts and markers of each kind: a storm of alarms must not drown the rest

_BAD = ("CRITICAL", "DOWN", "WARNING", "UNREACHABLE", "UNKNOWN")
_SAME = timedelta(minutes=10)  # between two logs' words of one deploy


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "timeline" per instant in the order of time; of too many, those that tell most."""
    entries = [
        *_anchor(evidence),
        *_changes(evidence),
        *_onsets(found, evidence),
        *_errors(found),
        *_events(evidence),
    ]
    kept = sorted(entries, key=lambda entry: (-entry.score, _at(entry), entry.headline))[:MOST]
    yield from sorted(kept, key=lambda entry: (_at(entry), -entry.score, entry.headline))


def _at(entry: Finding) -> datetime:
    assert entry.onset is not None  # noqa: S101 - every entry is made by _entry
    return entry.onset.at


def _entry(
    kind: str, at: datetime, said: str, score: float, *, basis: tuple[str, ...] = (), onset: Onset | None = None
) -> Finding:
    return Finding(
        code="timeline",
        subject=kind,
        verdict=Verdict.CHANGED,
        headline=said,
        basis=basis,
        score=score,
        onset=onset or Onset(at=at, earliest=at, latest=at),
    )


def _anchor(evidence: Evidence) -> Iterator[Finding]:
    window = evidence.window
    anchor = window.anchor
    name = f"{anchor.kind} {anchor.ref}".strip() if anchor.kind != "time" else "start of the window"
    yield _entry("deploy" if anchor.kind in ("deploy", "tag") else "start", anchor.at, name, 100.0)
    if window.fix:
        yield _entry("fix", window.fix.at, f"fix {window.fix.ref}".strip(), 99.0)
    for candidate in window.receipt.candidates if window.receipt else ():
        deploy = candidate.deploy
        if not candidate.taken and not _told(deploy.at, window) and window.whole.start <= deploy.at < window.end:
            failed = "" if deploy.succeeded else " (failed)"
            yield _entry("deploy", deploy.at, f"deploy {deploy.ref}{failed}, says {deploy.source}", 60.0)
    yield _entry("end", window.end, "end of the window", 90.0)


def _told(at: datetime, window: Window) -> bool:
    """Whether a deploy at this time is the anchor or the fix, which have entries of their own."""
    return any(abs(at - one.at) <= _SAME for one in (window.anchor, window.fix) if one)


def _changes(evidence: Evidence) -> Iterator[Finding]:
    window = evidence.window
    for change in evidence.items(Change):
        infra = change.role == "infrastructure"
        if not change.in_window:
            if infra:
                yield _entry(
                    "commit",
                    change.at,
                    f"last infrastructure {change.kind} before: {_named(change)}",
                    70.0,
                    basis=(change.id,),
                )
            continue
        if change.kind == "deploy" and _told(change.at, window):
            continue
        score = (65.0 if infra else 30.0) if change.kind == "commit" else 55.0
        role = "infrastructure " if infra else ""
        yield _entry(
            change.kind, change.at, f"{role}{change.kind} {_named(change)}", score - change.merge, basis=(change.id,)
        )


def _named(change: Change) -> str:
    ref = change.ref[:10] if change.kind == "commit" else change.ref
    return f"{ref} {change.summary[:80]}".strip()


def _onsets(found: Sequence[Finding], evidence: Evidence) -> Iterator[Finding]:
    for place, finding in enumerate(_best(found, "shift", (Verdict.CHANGED, Verdict.BEGAN_BEFORE))[:8]):
        if finding.onset is None:
            continue
        does = {"up": "up", "down": "down"}.get(str(finding.facts["direction"]), "changed")
        does = {"silent": "silent", "noisier": "noisier"}.get(finding.shape, does)
        said = f"{finding.subject}: {does}{_hosts(finding)}"
        yield _entry("onset", finding.onset.at, said, 85.0 - place, basis=finding.basis[:20], onset=finding.onset)
        first = finding.facts.get("first_reset")
        if isinstance(first, str) and evidence.window.start <= datetime.fromisoformat(first):
            at = datetime.fromisoformat(first)
            yield _entry("restart", at, f"{finding.subject}: first reset", 58.0 - place, basis=finding.basis[:20])


def _hosts(finding: Finding) -> str:
    total = finding.facts["hosts_total"]
    return f" on {len(finding.hosts)} of {phrase.count(int(total), 'host')}" if total and finding.hosts else ""


def _errors(found: Sequence[Finding]) -> Iterator[Finding]:
    for place, finding in enumerate(_best(found, "log-pattern", (Verdict.NEW, Verdict.EXPLODED))[:6]):
        level = str(finding.facts["level"] or "line")
        if finding.onset and (level in ("ERROR", "FATAL") or place < 2):
            what = "first" if finding.verdict is Verdict.NEW else "first in the window, more since"
            said = f"{what} {level}: {finding.subject[:90]}"
            yield _entry("first-error", finding.onset.at, said, 80.0 - place, basis=finding.basis[:20])


def _best(found: Sequence[Finding], code: str, verdicts: tuple[Verdict, ...]) -> list[Finding]:
    chosen = [finding for finding in found if finding.code == code and finding.verdict in verdicts]
    return sorted(chosen, key=lambda finding: (bool(finding.facts.get("rank")), -finding.score))


def _events(evidence: Evidence) -> Iterator[Finding]:
    """Tell the first alarm and restart of each kind, with how many followed."""
    groups: dict[tuple[str, str], list[Event]] = {}
    window = evidence.window
    for event in once(evidence.items(Event)):
        if window.start <= event.at < window.end:
            if event.kind == "restart" or event.state == "RESTART":
                groups.setdefault(("restart", event.service), []).append(event)
            elif event.kind == "state" and event.state in _BAD and event.state_type != "soft":
                groups.setdefault(("alarm", event.service), []).append(event)
            elif event.kind == "marker":
                groups.setdefault(("marker", event.output or event.service), []).append(event)
    for events in groups.values():
        events.sort(key=lambda event: event.at)
    told: dict[str, list[tuple[str, list[Event]]]] = {}
    for (kind, service), events in sorted(groups.items(), key=lambda group: group[1][0].at):
        told.setdefault(kind, []).append((service, events))
    for kind, each in told.items():
        for place, (service, events) in enumerate(each[:_FEW]):
            more = len(each) - _FEW if place == _FEW - 1 else 0
            basis = tuple(event.id for event in events[:20])
            said = _first(kind, service, events) + (f"; {phrase.count(more, 'other')} began later" if more > 0 else "")
            score = {"alarm": 62.0, "restart": 59.0}.get(kind, 50.0)
            yield _entry(kind, events[0].at, said, score, basis=basis)


def _first(kind: str, service: str, events: Sequence[Event]) -> str:
    """Say the first of a kind, and how many followed on how many hosts."""
    first, hosts = events[0], {event.host for event in events}
    if kind == "marker":
        return service[:120]
    where = f" on {phrase.count(len(hosts), 'host')}" if len(hosts) > 1 else ""
    more = f", {len(events)}{where} until the end" if len(events) > 1 else ""
    state = f" {first.state}" if kind == "alarm" else ""
    return f"first {kind}: {first.host} {service}{state}{more}".replace("  ", " ")
