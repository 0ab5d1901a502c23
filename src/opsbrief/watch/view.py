"""From the evidence so far to what a tick says: one row a metric, the news of the logs, the first sentence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from opsbrief import phrase, text
from opsbrief.analysis import analyse, effect, impact, patterns, shift
from opsbrief.analysis.effect.total import counts
from opsbrief.compose.case import TONES, Case, does, message, real, said, where
from opsbrief.compose.verdict import lead
from opsbrief.model.brief import Tone
from opsbrief.model.chart import Moment
from opsbrief.model.effect import First, Told
from opsbrief.model.evidence import Event, Evidence, LogSample, Series
from opsbrief.model.finding import Finding, Verdict, better
from opsbrief.model.tick import News, Row
from opsbrief.model.window import utc

ROWS = 24  # metrics shown
NEWS = 12  # log patterns shown
MARKS = 100  # restarts and alarms drawn, the newest
STEPS = (shift.find, impact.find, patterns.find)  # of the analysis; the rest is for a brief, not for every half minute

_EFFECTS: Mapping[Verdict, Tone] = {
    Verdict.FIXED: "good",
    Verdict.BETTER: "good",
    Verdict.UNCHANGED: "bad",
    Verdict.WORSE: "bad",
}

_WORDS: Mapping[Verdict, str] = {Verdict.TOO_EARLY: "too early to tell", Verdict.UNCHANGED: "as before the fix"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one look at the evidence says."""

    headline: str
    tone: Tone
    rows: tuple[Row, ...] = ()
    news: tuple[News, ...] = ()
    marks: tuple[Moment, ...] = ()
    fixed: bool = False  # everything that had changed for the worse is called fixed
    waits: str = ""  # why it is not


def look(evidence: Evidence) -> View:
    """Judge the evidence as it stands; where ``evidence.first`` is there, what became of what it told."""
    case = Case(evidence, analyse(evidence, STEPS), people=False)
    effects = analyse(evidence, (effect.find,)) if evidence.first and evidence.window.fix else ()
    since = {found.subject: found for found in effects if found.code == "effect"}
    headline, tone = _since(case, effects) if effects else lead(case)
    total = next((found for found in effects if found.code == "effect-summary"), None)
    return View(
        headline=headline,
        tone=tone,
        rows=tuple(_row(case, found, since.get(found.subject)) for found in case.shifts[:ROWS]),
        news=tuple(_news(case)),
        marks=tuple(_marks(case)),
        fixed=total is not None and total.verdict is Verdict.FIXED,
        waits=_waits(effects, total),
    )


def first(evidence: Evidence) -> First:
    """Return what the evidence told until its end, to measure a fix against."""
    case = Case(evidence, analyse(evidence, STEPS), people=False)
    told = [found for found in case.shifts if found.verdict is Verdict.CHANGED and not better(found)]
    told += [found for found in case.patterns if found.verdict is not Verdict.VANISHED]
    return First(
        bundle="",
        headline=lead(case)[0],
        collected_at=evidence.collected_at,
        end=evidence.window.end,
        told=tuple(
            Told(finding=found, series=tuple(case.series[name].name for name in found.basis if name in case.series))
            for found in told
        ),
    )


def _row(case: Case, found: Finding, since: Finding | None) -> Row:
    series = [case.series[name] for name in found.basis if name in case.series]
    shown = _farthest(series, down=found.facts.get("direction") == "down")
    values = shown.values if shown else np.empty(0)
    there = np.flatnonzero(np.isfinite(values))
    left = real(found, "minutes_left")
    changed = found.verdict in (Verdict.CHANGED, Verdict.BEGAN_BEFORE)
    return Row(
        name=text.line(found.subject, 60),
        verdict=found.verdict,
        does=does(found) if changed else str(found.verdict),
        tone=_EFFECTS.get(since.verdict, "unknown") if since else "good" if better(found) else TONES[found.verdict],
        before=since.before if since else found.before,
        after=since.after if since else found.after,
        now=float(values[there[-1]]) if len(there) else None,
        unit=text.line(found.unit, 12),
        hosts=where(found),
        key=bool(found.facts.get("key")),
        left=left * 60 if left is not None and found.verdict is Verdict.CHANGED and since is None else None,
        limit=real(found, "limit"),
        effect=since.verdict if since else None,
        series=shown.name if shown else "",
        host=shown.host if shown else "",
        start=shown.start if shown else 0,
        step=shown.step if shown else 1,
        values=values.copy(),  # the ring goes on changing
        newest=max(filter(None, map(_newest, series)), default=None),
    )


def _farthest(series: Iterable[Series], *, down: bool) -> Series | None:
    """Return the series that went furthest."""
    told = [one for one in series if np.isfinite(one.values).any()]
    return min(
        told, key=lambda one: float(np.nanmin(one.values)) if down else -float(np.nanmax(one.values)), default=None
    )


def _newest(series: Series) -> datetime | None:
    there = np.flatnonzero(np.isfinite(series.values))
    return utc(series.start + series.step * int(there[-1])) if len(there) else None


def _news(case: Case) -> Iterator[News]:
    samples = list(case.evidence.items(LogSample))
    for found in case.patterns[:NEWS]:
        yield News(
            text=message(found, 200),
            verdict=found.verdict,
            level=said(found, "level", 8),
            before=found.before or 0.0,
            after=found.after or 0.0,
            first=found.onset.at if found.onset else None,
            last=samples[-1].end if samples else None,
        )


def _marks(case: Case) -> Iterator[Moment]:
    events = sorted(case.evidence.items(Event), key=lambda event: event.at)
    for event in events[-MARKS:]:
        if event.kind == "restart":
            yield Moment("restart", event.at, text.line(event.host, 60))
        elif event.kind == "state" and event.state_type != "soft" and event.state in ("WARNING", "CRITICAL", "DOWN"):
            yield Moment("alarm", event.at, text.line(f"{event.host} {event.service}", 60))


def _since(case: Case, effects: Sequence[Finding]) -> tuple[str, Tone]:
    """Return the first sentence after a fix: what became of each metric that had changed."""
    fix = case.window.fix
    told = [found for found in effects if found.code in ("effect", "effect-other")]
    total = next(found for found in effects if found.code == "effect-summary")
    words = [f"{text.line(found.subject, 40)} {_WORDS.get(found.verdict, found.verdict)}" for found in told[:4]]
    name = f"fix {text.line(fix.ref, 40)}".strip() if fix else "the fix"
    when = f" ({case.moment(fix.at, seconds=False)})" if fix else ""
    return f"since {name}{when}: {', '.join(words) or text.line(total.headline, 80)}", _EFFECTS.get(
        total.verdict, "unknown"
    )


def _waits(effects: Sequence[Finding], total: Finding | None) -> str:
    """Return what keeps the fix from being called one."""
    if total is None or total.verdict is Verdict.FIXED:
        return ""
    good = (Verdict.FIXED, Verdict.GONE)
    open_ = [found for found in effects if counts(found) and found.verdict not in good]
    if not open_:
        return "no change to measure it by"
    needed = real(total, "needed_seconds")
    more = f", ~ {phrase.duration(needed)} more needed" if needed else ""
    rest = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
    return f"{message(open_[0], 40)} {open_[0].verdict}{rest}{more}"
