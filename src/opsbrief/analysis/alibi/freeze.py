"""The agreed freeze: no commit and nothing applied on its days."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import DAY, Ground, Part
from opsbrief.model.evidence import Change
from opsbrief.model.finding import Verdict
from opsbrief.model.scope import weekdays


def look(ground: Ground, parts: Sequence[Part]) -> Part | None:
    """Return whether it was kept, by what the parts before read; None where no day of it lies in the window."""
    try:
        days = weekdays(ground.evidence.scope.infrastructure.freeze)
    except ValueError:  # the configuration refuses it, a bundle may still hold it
        return None
    window = ground.evidence.window
    zone = phrase.zone(window.zone)
    if not days or not any(at.astimezone(zone).weekday() in days for at in _daily(window.start, window.end)):
        return None
    since = _began(window.start.astimezone(zone), days)
    made = [
        change for change in (*(c for c in ground.commits if c.kind == "commit"), *_applied(ground))
        if since <= change.at < window.end and change.at.astimezone(zone).weekday() in days
    ]  # fmt: skip
    agreed = f"freeze {ground.evidence.scope.infrastructure.freeze}"
    if made:
        kinds = {"commit": 0, "resource": 0}
        for change in made:
            kinds[change.kind] += 1
        told = " and ".join(phrase.count(many, kind) for kind, many in kinds.items() if many)
        said = f"{agreed} broken: {told} during it"
        first = min(made, key=lambda change: change.at)
        coverage = (f"broken first at {ground.clock(first.at)} by {first.ref[: 10 if first.kind == 'commit' else 60]}",)
        return Part(
            kind="freeze",
            verdict=Verdict.NOT_RULED_OUT,
            said=said,
            brief=said,
            coverage=coverage,
            basis=tuple(change.id for change in made[:20]),
            # What broke it days before the window is told, but it says little of what began in the window.
            weighs=any(change.at >= ground.suspect - DAY for change in made),
        )
    verdicts = {part.kind: part.verdict for part in parts}
    if all(verdicts.get(kind) is Verdict.RULED_OUT for kind in ("commits", "versions", "resources")):
        said = f"{agreed} kept"
        coverage = ("no commit and no change applied during the freeze",)
        return Part(kind="freeze", verdict=Verdict.RULED_OUT, said=said, brief=said, coverage=coverage)
    seen = f"{agreed}: no commit seen during it" if verdicts.get("commits") is Verdict.RULED_OUT else ""
    # What was not read is said by its own part, and weighs there.
    coverage = (seen or f"{agreed}: cannot tell whether it was kept",)
    return Part(kind="freeze", verdict=Verdict.CANNOT_TELL, said="", coverage=coverage, weighs=False)


def _applied(ground: Ground) -> list[Change]:
    return [c for c in ground.evidence.items(Change) if c.kind == "resource" and c.state != "noop"]


def _daily(start: datetime, end: datetime) -> list[datetime]:
    """Return an instant of every day between two."""
    return [start + DAY * number for number in range(min(7, (end - start).days + 1))] + [end - timedelta(seconds=1)]


def _began(start: datetime, days: frozenset[int]) -> datetime:
    """Return the midnight at which the freeze began that goes on at ``start``, or ``start`` when none does."""
    day = start
    while day.weekday() in days and start - day < 6 * DAY and (day - DAY).weekday() in days:
        day -= DAY
    return datetime.combine(day.date(), time(), start.tzinfo) if day.weekday() in days else start
