"""One release in a digest: what can be said of it, and how much that tells."""

from collections.abc import Iterator

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import NEWS, does, said, where
from opsbrief.model.brief import Tone
from opsbrief.model.digest import Episode
from opsbrief.model.finding import Finding, Verdict, better

_BAD_LOGS = ("ERROR", "FATAL")


def name(episode: Episode) -> str:
    """Return what to call the release."""
    ref = text.line(episode.deploy.ref, 40) or "a release without a name"
    return f"{ref} (a rollback)" if episode.deploy.rollback else ref


def changed(episode: Episode) -> list[Finding]:
    """Return the configured metrics that changed, not for the better, the most telling first."""
    found = [f for f in _shifts(episode) if f.verdict is Verdict.CHANGED and not better(f)]
    return sorted(found, key=lambda f: (not f.facts.get("key"), not f.facts.get("impact"), -f.score))


def improved(episode: Episode) -> list[Finding]:
    """Return the configured metrics that changed for the better."""
    return [f for f in _shifts(episode) if better(f)]


def patterns(episode: Episode) -> list[Finding]:
    """Return the log patterns that are new, exploded or vanished, in the order of telling."""
    return sorted(
        (f for f in episode.findings if f.code == "log-pattern" and f.verdict in NEWS), key=lambda f: -f.score
    )


def errors(episode: Episode) -> list[Finding]:
    """Return the errors in the logs that are new or exploded."""
    return [f for f in patterns(episode) if said(f, "level") in _BAD_LOGS and f.verdict is not Verdict.VANISHED]


def unclear(episode: Episode) -> list[str]:
    """Return which kinds of evidence were asked for and cannot tell: "metrics", "logs"."""
    shifts, logs = _shifts(episode), [f for f in episode.findings if f.code == "log-summary"]
    found = ["metrics"] if shifts and all(f.verdict is Verdict.CANNOT_TELL for f in shifts) else []
    if episode.logs and all(f.verdict is Verdict.CANNOT_TELL for f in logs):
        found.append("logs")
    return found


def blind(episode: Episode) -> bool:
    """Return whether nothing could be compared: no metric and no log line, after or before."""
    told = [f for f in episode.findings if f.code in ("shift", "log-summary")]
    return all(f.verdict is Verdict.CANNOT_TELL for f in told)


def tone(episode: Episode) -> Tone:
    """Return bad when something changed, unknown when a kind of evidence cannot tell, else good."""
    if changed(episode) or errors(episode) or _louder(episode):
        return "bad"
    return "unknown" if blind(episode) or unclear(episode) else "good"


def telling(episode: Episode) -> float:
    """Return how much a release tells; 0 when nothing changed or nothing can be said."""
    metrics = sum(f.score * (2.0 if f.facts.get("key") or f.facts.get("impact") else 1.0) for f in changed(episode))
    return (
        metrics
        + 0.3 * sum(f.score for f in errors(episode))
        + sum(after - before for _, before, after in _louder(episode))
    )


def summary(episode: Episode, most: int = 2) -> str:
    """Return what was different after a release in one line."""
    moved = changed(episode)
    parts = [short(f) for f in moved[:most]]
    if len(moved) > most:
        parts.append(f"{len(moved) - most} more metrics")
    counts = {
        verdict: sum(f.verdict is verdict for f in errors(episode)) for verdict in (Verdict.NEW, Verdict.EXPLODED)
    }
    parts += [phrase.count(many, f"{verdict} error") + " in the logs" for verdict, many in counts.items() if many]
    parts += [f"{kind} {before} → {after}" for kind, before, after in _louder(episode)]
    length = phrase.duration((episode.end - episode.start).total_seconds())
    return "; ".join(parts or _calm(episode)) + ("" if episode.settled else f" (only {length} so far)")


def short(shift: Finding) -> str:
    """Return "connections rising on 8 of 8 hosts (18 → 158 conn)"."""
    place = f" on {where(shift)}" if where(shift) else ""
    levels = words.arrow(shift.before, shift.after, text.line(shift.unit, 20))
    return f"{text.line(shift.subject, 60)} {does(shift)}{place} ({levels})"


def _calm(episode: Episode) -> Iterator[str]:
    """Yield what can be said when nothing changed for the worse."""
    if blind(episode):
        yield f"cannot tell: {text.line(episode.cut, 80) or 'compared with nothing'}"
        return
    shifts = _shifts(episode)
    lost = sum(f.verdict is Verdict.CANNOT_TELL for f in shifts)
    for shift in improved(episode)[:2]:
        yield short(shift)
    if len(shifts) > lost:
        left = f", {lost} cannot be told" if lost else ""
        yield f"{'no other' if improved(episode) else 'no'} watched metric changed{left}"
    if any(f.code == "log-summary" and f.verdict is not Verdict.CANNOT_TELL for f in episode.findings):
        yield "no new error in the logs"
    for kind in unclear(episode):
        yield f"{kind}: cannot tell"


def _shifts(episode: Episode) -> list[Finding]:
    return [f for f in episode.findings if f.code == "shift" and not f.facts.get("rank")]


def _louder(episode: Episode) -> list[tuple[str, int, int]]:
    return [event for event in episode.events if event[2] > event[1]]
