"""What the analysis may say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """The words of a finding. There is no word for blame."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    BEGAN_BEFORE = "began before"  # changed, but the onset lies before the anchor
    NEW = "new"
    EXPLODED = "exploded"
    VANISHED = "vanished"
    RULED_OUT = "ruled out"
    NOT_RULED_OUT = "not ruled out"
    CANNOT_TELL = "cannot tell"
    CONFIRMED = "confirmed"  # what a graph says, by a look at the host itself
    NOT_CONFIRMED = "not confirmed"
    # of a fix:
    FIXED = "fixed"
    BETTER = "better"
    WORSE = "worse"
    GONE = "gone"  # log patterns, alarms, restarts
    LESS = "less"
    TOO_EARLY = "too early"


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When something began: the best estimate and the interval it lies in."""

    at: datetime
    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer to one question, with the evidence ids it rests on."""

    code: str  # stable and lint-like: "shift", "log-pattern", "alibi", "timeline", ...
    subject: str  # metric, pattern, "infrastructure"
    verdict: Verdict
    headline: str  # one sentence a person can say aloud
    detail: str = ""
    basis: tuple[str, ...] = ()  # ids of evidence items
    score: float = 0.0  # for ranking inside one code; larger = tell first
    onset: Onset | None = None
    before: float | None = None
    after: float | None = None
    unit: str = ""
    shape: str = ""  # step, ramp, sawtooth, spike, drop, silent, noisier, "" = not asked
    hosts: tuple[str, ...] = ()
    facts: Mapping[str, float | int | str | None] = field(default_factory=dict)
    id: str = ""


def better(shift: Finding) -> bool:
    """Return whether a metric changed in the direction that is not its worse one."""
    return shift.verdict is Verdict.CHANGED and shift.facts.get("worse") == "good"


def telling(shift: Finding) -> tuple[object, ...]:
    """Sort key of metrics in the order of telling: changed, worse, key, configured, of users last, strong."""
    order = {Verdict.CHANGED: 0, Verdict.BEGAN_BEFORE: 1, Verdict.CANNOT_TELL: 2}
    return (
        order.get(shift.verdict, 3),
        better(shift),
        not shift.facts.get("key"),
        bool(shift.facts.get("rank")),
        bool(shift.facts.get("impact")),
        -shift.score,
    )


def lead(findings: Iterable[Finding]) -> Finding | None:
    """Return the metric that a brief is about: of those that changed the first in the order of telling."""
    moved = [f for f in findings if f.code == "shift" and f.verdict is Verdict.CHANGED]
    return min(moved, key=telling, default=None)
