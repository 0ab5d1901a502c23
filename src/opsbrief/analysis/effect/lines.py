"""The log patterns that were new or exploded: gone, less, or still written since the fix."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from opsbrief import phrase, text
from opsbrief.analysis.effect import phases
from opsbrief.maths.effect import Estimate, Left, left, poisson
from opsbrief.maths.mining import ANY, Known, mask
from opsbrief.model.effect import Told
from opsbrief.model.evidence import Evidence, LogRecord, LogSample
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.window import Window

MOST = 5  # patterns that are new since the fix and told

_BAD = ("FATAL", "ERROR", "CRITICAL", "SEVERE")
_FEW = 3  # lines of a pattern that is new since the fix
_NONE = 3.69  # upper end of the interval of a count of 0
_WORDS = {Verdict.FIXED: Verdict.GONE, Verdict.BETTER: Verdict.LESS}


@dataclass(slots=True)
class Stretch:
    """One phase as far as logs tell: how many minutes of it were read, and one line's weight by level."""

    minutes: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    even: float = 1.0
    lines: list[tuple[str, LogRecord, float]] = field(default_factory=list)  # key, record, true lines it stands for
    basis: list[str] = field(default_factory=list)

    def weight(self, level: str) -> float:
        """Return how many true lines one line of a level stands for here."""
        return self.weights.get(level, self.even)

    def part(self, share: float) -> "Stretch":
        """Return a part of the stretch, without its lines."""
        return replace(self, minutes=self.minutes * share, lines=[])


@dataclass(slots=True)
class Count:
    """The lines of one pattern in one phase."""

    seen: int = 0
    true: float = 0.0
    records: list[LogRecord] = field(default_factory=list)

    def since(self, at: datetime) -> "Count":
        """Return the lines from an instant on."""
        records = [record for record in self.records if record.timestamp >= at]
        return Count(len(records), self.true * len(records) / max(1, self.seen), records)


def find(evidence: Evidence) -> Iterator[Finding]:
    """Yield one "effect-pattern" per pattern that the first brief told, then those that are new since the fix."""
    told = [each for each in evidence.first.told if each.finding.code == "log-pattern"] if evidence.first else []
    stretches = read(evidence)
    counts = _counted([each.finding.subject for each in told], stretches)
    for each, count in zip(told, counts, strict=True):
        yield _finding(each, count, stretches, evidence.window)
    yield from _fresh(stretches, evidence.window)


def read(evidence: Evidence) -> dict[str, Stretch]:
    """Return the lines of each phase; a sample that spans several of them is cut at their ends."""
    found = {name: Stretch() for name in phases.NAMES}
    covered: dict[tuple[str, str], float] = {}
    window = evidence.window
    edges = phases.edges(window)
    for sample in evidence.items(LogSample):
        if sample.span in dict(window.shifts):
            continue
        for name, (low, high) in edges.items():
            seconds = (min(high, sample.end) - max(low, sample.start)).total_seconds()
            if seconds > 0:
                covered[name, sample.query] = covered.get((name, sample.query), 0.0) + seconds / 60
                _take(found[name], sample)
        weights = sample.weights()
        for key, record in zip(mask([each.body for each in sample.records]), sample.records, strict=True):
            if name := phases.phase(record.timestamp, edges):
                found[name].lines.append((key, record, weights[record.severity_text]))
    for name, stretch in found.items():
        stretch.minutes = max((minutes for (mine, _), minutes in covered.items() if mine == name), default=0.0)
    return found


def _take(stretch: Stretch, sample: LogSample) -> None:
    stretch.weights |= sample.weights()
    stretch.even = max(stretch.even, sample.total / len(sample.records) if sample.records else 1.0)
    stretch.basis.append(sample.id)


class Shape:
    """A pattern as it stands in a finding: cut after some hundred characters, its variable places masked."""

    def __init__(self, subject: str) -> None:
        """Take the subject of a "log-pattern" finding."""
        body, self._cut, _ = subject.partition("… (+")
        self.words = body.split()
        if self._cut:
            self.words = self.words[:-1]  # the last one may be half a word

    def fits(self, words: Sequence[str]) -> bool:
        """Return whether a masked line is of this pattern."""
        if len(words) < len(self.words) or (len(words) > len(self.words) and not self._cut):
            return False
        return all(mine in (ANY, other) for mine, other in zip(self.words, words, strict=False))


def _counted(subjects: Sequence[str], stretches: dict[str, Stretch]) -> list[dict[str, Count]]:
    """Return per pattern what was seen of it in each phase; a line counts for one pattern, the narrowest."""
    shapes = [Shape(subject) for subject in subjects]
    order = sorted(range(len(shapes)), key=lambda n: shapes[n].words.count(ANY))
    counts = [{name: Count() for name in phases.NAMES} for _ in subjects]
    known: dict[str, int | None] = {}
    for name, stretch in stretches.items():
        for key, record, weight in stretch.lines:
            if key not in known:
                words = text.line(key, 100_000).split()
                known[key] = next((n for n in order if shapes[n].fits(words)), None)
            place = known[key]
            if place is not None:
                count = counts[place][name]
                count.seen += 1
                count.true += weight
                count.records.append(record)
    return counts


def _finding(told: Told, count: dict[str, Count], stretches: dict[str, Stretch], window: Window) -> Finding:
    first = told.finding
    length = (phases.fix(window).at - window.start).total_seconds()
    times = sorted((record.timestamp - window.start).total_seconds() for record in count["during"].records)
    late = phases.delay(times, length)
    level = str(first.facts.get("level") or "")
    bursts = _bursts(times, late, length)
    found = {name: _estimate(count[name], stretches[name], level, bursts) for name in phases.NAMES}
    if late:  # the rate is that of the time in which it was written
        since, part = window.start + timedelta(seconds=late), 1 - late / length
        found["during"] = _estimate(count["during"].since(since), stretches["during"].part(part), level, bursts)
    before = found["before"] or _given(first.facts.get("rate_before"))
    during, after = found["during"], found["after"]
    answer = left(before, during, after) if before and during and after else None
    waited = phases.lasted(window).total_seconds() >= late
    if answer is None and after and during and during.value and not count["after"].seen:
        # Too few to be told from none: whether some would have come by now decides.
        due = during.value * stretches["after"].minutes / bursts
        verdict = Verdict.GONE if waited and due >= phases.AWAITED else Verdict.TOO_EARLY
    else:
        verdict = phases.verdict(answer, waited)
        verdict = _WORDS.get(verdict, verdict)
    facts: dict[str, float | int | str | None] = {
        "level": level,
        "first": first.id,
        "was": str(first.verdict),
        "rate_before": before.value if before else None,
        "rate_during": during.value if during else None,
        "rate_after": after.value if after else None,
        "rate_after_high": after.high if after else None,
        "count_during": count["during"].seen,
        "count_after": count["after"].seen,
        "left": answer.value if answer else None,
        "left_low": answer.low if answer else None,
        "left_high": answer.high if answer else None,
        "starting": first.facts.get("starting"),
        "needed_seconds": _needed(answer, before, during, stretches, level, bursts, late, window),
    }
    last = max((record.timestamp for record in count["after"].records), default=None)
    return Finding(
        code="effect-pattern",
        subject=first.subject,
        verdict=verdict,
        headline=_headline(verdict, facts, first),
        detail=_detail(verdict, facts, late, window),
        basis=tuple(dict.fromkeys(name for stretch in stretches.values() for name in stretch.basis)),
        score=first.score,
        onset=Onset(at=last, earliest=last, latest=last) if last else None,
        before=during.value if during else None,
        after=after.value if after else None,
        unit="/min",
        hosts=tuple(sorted({record.resource.get("host.name", "") for record in count["after"].records} - {""})),
        facts=facts,
    )


def _bursts(times: Sequence[float], late: float, length: float) -> float:
    """Return by how much lines come in bursts: variance over mean of the lines a minute, at least 1."""
    minutes = int((length - late) // 60)
    if minutes < 4:
        return 1.0
    rows = np.bincount([int((at - late) // 60) for at in times if late <= at < late + 60 * minutes], minlength=minutes)
    return float(max(1.0, rows.var() / rows.mean())) if rows.mean() > 0 else 1.0


def _estimate(count: Count, stretch: Stretch, level: str, bursts: float) -> Estimate | None:
    """Return true lines a minute in a phase; bursts widen the interval, a sample scales it."""
    if not stretch.minutes:
        return None
    each = count.true / count.seen if count.seen else stretch.weight(level)
    low, high = (bound * bursts * each / stretch.minutes for bound in poisson(count.seen / bursts))
    return Estimate(count.true / stretch.minutes, low, high, count.seen)


def _given(rate: float | str | None) -> Estimate | None:
    return Estimate(float(rate), float(rate), float(rate), 0) if isinstance(rate, int | float) else None


def _needed(
    answer: Left | None,
    before: Estimate | None,
    during: Estimate | None,
    stretches: dict[str, Stretch],
    level: str,
    bursts: float,
    late: float,
    window: Window,
) -> float | None:
    """Return how many seconds from now until so few lines would be news; None where time does not help."""
    if answer is None or before is None or during is None:
        return None
    lasted = phases.lasted(window).total_seconds()
    waiting = max(0.0, late - lasted)
    if not answer.open:
        return waiting if answer.word in ("fixed", "better") else 0.0
    excess = 0.2 * (during.value - before.value)
    minutes = _NONE * bursts * stretches["after"].weight(level) / excess if excess > 0 else 0.0
    return max(waiting, 60 * minutes - lasted, 60.0)


def _headline(verdict: Verdict, facts: dict[str, float | int | str | None], first: Finding) -> str:
    level = f"{facts['level']} " if facts["level"] else ""
    rates = " → ".join(
        phrase.number(value) if isinstance(value := facts[name], float) else "not read"
        for name in ("rate_before", "rate_during", "rate_after")
    )
    return f"{verdict} {level}{rates}/min: {text.line(first.subject, 120)}"


def _detail(verdict: Verdict, facts: dict[str, float | int | str | None], late: float, window: Window) -> str:
    notes = []
    high, needed = facts["rate_after_high"], facts["needed_seconds"]
    if not facts["count_after"] and isinstance(high, float) and verdict is not Verdict.CANNOT_TELL:
        notes.append(f"none since the fix: at most {phrase.number(high)}/min")
    if verdict is Verdict.TOO_EARLY and late > phases.lasted(window).total_seconds():
        notes.append(f"began only {phrase.duration(late)} after the release")
    if verdict in (Verdict.TOO_EARLY, Verdict.LESS) and isinstance(needed, float) and needed:
        notes.append(f"~ {phrase.duration(max(60.0, needed))} more needed")
    if verdict is Verdict.CANNOT_TELL:
        notes.append("its lines were not read" if facts["rate_after"] is None else "too few lines to compare with")
    return "; ".join(notes)


def _fresh(stretches: dict[str, Stretch], window: Window) -> Iterator[Finding]:
    """Yield the error patterns that nobody wrote before the fix."""
    if not all(stretches[name].minutes for name in ("during", "after")):
        return
    known = Known({key for name in ("before", "during") for key, _, _ in stretches[name].lines})
    seen: Counter[str] = Counter()
    kept: dict[str, LogRecord] = {}
    for key, record, weight in _bad(stretches["after"].lines):
        if not known.covers(key):
            seen[key] += max(1, round(weight))
            kept.setdefault(key, record)
    for key, count in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]:
        if count >= _FEW:
            yield _new(key, count, kept[key], stretches["after"], window)


def _bad(lines: Iterable[tuple[str, LogRecord, float]]) -> Iterator[tuple[str, LogRecord, float]]:
    return (line for line in lines if line[1].severity_text.upper() in _BAD)


def _new(key: str, count: int, record: LogRecord, stretch: Stretch, window: Window) -> Finding:
    rate = count / stretch.minutes
    at = phrase.clock(record.timestamp, window.zone, window.start)
    return Finding(
        code="effect-pattern",
        subject=text.line(key, 300),
        verdict=Verdict.NEW,
        headline=f"new {record.severity_text} since the fix, {phrase.number(rate)}/min: {text.line(key, 120)}",
        detail=f"first {at}",
        basis=tuple(stretch.basis),
        score=2.0,
        onset=Onset(at=record.timestamp, earliest=record.timestamp, latest=record.timestamp),
        before=0.0,
        after=rate,
        unit="/min",
        facts={
            "level": record.severity_text,
            "first": None,
            "rate_before": 0.0,
            "rate_during": 0.0,
            "rate_after": rate,
            "count_after": count,
            "needed_seconds": 0.0,
            "starting": 0,
        },
    )
