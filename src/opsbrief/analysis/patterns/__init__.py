"""What do the logs say that they did not say before: patterns that are new, exploded or vanished."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from opsbrief import phrase, text
from opsbrief.analysis.patterns.place import Places
from opsbrief.analysis.patterns.tally import Pattern, Side, sides, tally, weeks
from opsbrief.model.evidence import Evidence, LogSample, Release
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.window import Window

MOST = 30  # patterns reported, the most telling first

_WEIGHTS = {"FATAL": 5.0, "ERROR": 4.0, "WARN": 2.0, "INFO": 1.0, "": 1.0, "DEBUG": 0.5, "TRACE": 0.3}
_LOUDER = 3.0  # times the baseline's rate that count as exploded
_SURE = 4.0  # standard errors (square-root scale) beyond the baseline's count
_MISSED = 8.0  # lines that would have been expected before a silence counts
_STARTING = timedelta(minutes=10)  # lines only this soon after the anchor are noise of starting


@dataclass(frozen=True, slots=True)
class News:
    """A pattern with what it is and how much it tells."""

    pattern: Pattern
    verdict: Verdict
    score: float
    before: float  # lines a minute, the higher of before and last weeks
    after: float
    week: float | None
    starting: bool
    sure: bool  # False: the baseline is a sample that could have missed it


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield "log-pattern" for the most telling patterns, then one "log-summary"."""
    found = sides(evidence.items(LogSample))
    if not found:
        return
    incident, baseline = found.get("incident"), [side for name, side in found.items() if name != "incident"]
    if incident is None or not any(side.minutes for side in baseline):
        yield _untold(found)
        return
    patterns = tally(found)
    news = [one for one in (_judge(pattern, found, evidence.window) for pattern in patterns) if one]
    news.sort(key=lambda one: (-one.score, one.pattern.text))
    places = Places(evidence.items(Release))
    for one in news[:MOST]:
        yield _finding(one, places, evidence.window, sampled=incident.sampled)
    yield _summary(found, patterns, news)


def _judge(pattern: Pattern, found: dict[str, Side], window: Window) -> News | None:
    """Decide what a pattern is, from rates and never from bare counts."""
    incident, past = found["incident"], weeks(found)
    after, before = float(pattern.rate["incident"]), float(pattern.rate["before"])
    week = max((float(pattern.rate[name]) for name in past), default=None)
    usual = max(before, week or 0.0)
    starting = _starting(pattern, window)
    one = News(pattern, Verdict.UNCHANGED, 0.0, before, after, week, starting, sure=True)
    weight = _WEIGHTS[pattern.level] * ((0.5 if pattern.level in ("ERROR", "FATAL") else 0.2) if starting else 1.0)
    seen = pattern.seen["incident"]
    if pattern.new and seen:
        sure = all(_would_show(after, side) for name, side in found.items() if name != "incident")
        score = 1.2 * weight * math.log2(1 + after * incident.minutes) * (1.0 if sure else 0.7)
        return replace(one, verdict=Verdict.NEW, score=round(score, 4), sure=sure)
    even = max(incident.total / incident.records, 1.0) if incident.records else 1.0
    share = after * incident.minutes / seen if seen else even  # true lines that one line of the sample stands for
    expected = usual * incident.minutes / share
    gained = 2 * (math.sqrt(seen + 0.375) - math.sqrt(expected + 1.375))
    if after >= _LOUDER * usual and gained >= _SURE:
        score = weight * math.log2(1 + (after - usual) * incident.minutes) * _spread_out(pattern)
        return replace(one, verdict=Verdict.EXPLODED, score=round(score, 4))
    lasting = min(before, week) if week is not None and before else before
    missing = lasting * incident.minutes / share
    if seen <= 0.05 * missing and missing >= _MISSED and pattern.seen["before"] >= _MISSED:
        score = 0.5 * weight * math.log2(1 + lasting * incident.minutes)
        return replace(one, verdict=Verdict.VANISHED, score=round(score, 4))
    return None


def _would_show(rate: float, side: Side) -> bool:
    """Whether a pattern of this rate would be in the sample of that stretch, had it been said there."""
    if not side.sampled:
        return True
    return rate * side.minutes * side.records / max(side.total, 1) >= 3


def _starting(pattern: Pattern, window: Window) -> bool:
    """Whether all lines fall into the first minutes of an incident that went on for longer."""
    if pattern.first is None or pattern.last is None or pattern.seen["incident"] < 1:
        return False
    length = window.end - window.start
    return length > 3 * _STARTING and pattern.last - window.start <= _STARTING


def _spread_out(pattern: Pattern) -> float:
    """Less for what came in one burst: 0.5 for a single minute, 1 from three minutes on."""
    return min(1.0, 0.25 + 0.25 * len(pattern.minutes))


def _finding(one: News, places: Places, window: Window, *, sampled: bool) -> Finding:
    pattern = one.pattern
    at, code = places.of(pattern.text) if one.verdict is Verdict.NEW else ("", "")
    first = pattern.first
    onset = Onset(at=first, earliest=window.start if sampled else first, latest=first) if first else None
    hosts = tuple(sorted(name for name in pattern.hosts if name))
    usual = max(one.before, one.week or 0.0)
    level = f"{pattern.level} " if pattern.level else ""
    shown = f"{phrase.number(usual)} → {phrase.number(one.after)}/min"
    return Finding(
        code="log-pattern",
        subject=text.line(pattern.text, 300),
        verdict=one.verdict,
        headline=f"{one.verdict} {level}{shown}: {text.line(pattern.text, 120)}",
        detail="; ".join(_notes(one, at)),
        basis=tuple(pattern.basis),
        score=one.score,
        onset=onset if one.verdict is not Verdict.VANISHED else None,
        before=one.before,
        after=one.after,
        unit="/min",
        hosts=hosts,
        facts={
            "level": pattern.level,
            "rate_before": one.before,
            "rate_after": one.after,
            "rate_last_week": one.week,
            "count": pattern.seen["incident"],
            "first_seen": first.isoformat() if first else None,
            "example": text.line(pattern.example, 400),
            "hosts": len(hosts),
            "starting": int(one.starting),
            "sure": int(one.sure),
            "code_at": at or None,
            "code_text": text.line(code, 200) or None,
        },
    )


def _notes(one: News, at: str) -> Iterator[str]:
    if one.starting:
        yield "only in the first minutes: may be noise of starting"
    if not one.sure:
        yield "the baseline is a sample that could have missed it"
    if at:
        yield f"text appears in {at}, new in this release"


def _summary(found: dict[str, Side], patterns: Sequence[Pattern], news: Sequence[News]) -> Finding:
    incident = found["incident"]
    counts = {
        verdict: sum(one.verdict is verdict for one in news)
        for verdict in (Verdict.NEW, Verdict.EXPLODED, Verdict.VANISHED)
    }
    seen = sum(pattern.seen["incident"] > 0 for pattern in patterns)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    notes = [f"{name}: {side.records:,} of {side.total:,} lines read" for name, side in found.items() if side.sampled]
    return Finding(
        code="log-summary",
        subject="log patterns",
        verdict=Verdict.CHANGED if news else Verdict.UNCHANGED,
        headline=f"{phrase.count(incident.total, 'line')}, {phrase.count(seen, 'pattern')}: {told}",
        detail="; ".join(notes),
        basis=tuple(sample.id for side in found.values() for sample in side.samples),
        facts={
            "lines": incident.total,
            "lines_read": incident.records,
            "patterns": seen,
            "new": counts[Verdict.NEW],
            "exploded": counts[Verdict.EXPLODED],
            "vanished": counts[Verdict.VANISHED],
            "reported": min(MOST, len(news)),
        },
    )


def _untold(found: dict[str, Side]) -> Finding:
    side = found.get("incident")
    missing = "nothing to compare with: no lines of before or of last week" if side else "no lines of the incident"
    return Finding(
        code="log-summary",
        subject="log patterns",
        verdict=Verdict.CANNOT_TELL,
        headline=f"cannot tell what is new in the logs, {missing}",
        basis=tuple(sample.id for one in found.values() for sample in one.samples),
        facts={"lines": side.total if side else 0, "lines_read": side.records if side else 0},
    )
