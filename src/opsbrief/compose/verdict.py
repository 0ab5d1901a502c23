"""The lines a reader sees first: what changed, what is ruled out, what cannot be told."""

from collections.abc import Iterator
from dataclasses import replace

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import TONES, Case, detail, does, message, refs, said, where, whole
from opsbrief.model.brief import Line, Tone
from opsbrief.model.evidence import Evidence, LogSample
from opsbrief.model.finding import Finding, Verdict, better

COVERAGE = 100  # characters of what "ruled out" rests on
CHANGED = 3  # metrics named on the first page; the others are counted


def logged(evidence: Evidence) -> bool:
    """Return whether any source was asked for log lines, answered or not, or gave some."""
    return any("logs" in outcome.gives for outcome in evidence.outcomes) or any(evidence.items(LogSample))


def headline(case: Case) -> tuple[str, Tone]:
    """Return the brief's first sentence and its tone."""
    about, tone = lead(case)
    return f"{about}{_alibi(case)}", tone


def _alibi(case: Case) -> str:
    """Return the infrastructure's part of the first sentence.

    Where commits are ruled out but nobody read what was applied, what is known is said instead of a verdict.
    """
    alibi = case.first("alibi")
    if alibi is None:
        return ""
    subject = text.line(alibi.subject, 40)
    if alibi.verdict is not Verdict.CANNOT_TELL:
        return f"; {subject} {alibi.verdict}"
    known = alibi.facts.get("commits") == str(Verdict.RULED_OUT)
    return f"; {words.cut(alibi.headline.split(';')[0], 60)}" if known else f"; {subject}: cannot tell"


def lead(case: Case) -> tuple[str, Tone]:
    """Return what the brief is about in one clause: a metric, else a log pattern, else nothing, else cannot tell."""
    if shift := case.lead:
        place = f" on {where(shift)}" if where(shift) else ""
        return f"{text.line(shift.subject, 60)} {does(shift)} since {case.since}{place}", TONES[shift.verdict]
    if pattern := next((f for f in case.patterns if said(f, "level") in ("ERROR", "FATAL")), None):
        return f"{pattern.verdict} error in the logs since {case.since}: {message(pattern, 60)}", "bad"
    if earlier := next((f for f in case.shifts if f.verdict is Verdict.BEGAN_BEFORE), None):
        return f"{text.line(earlier.subject, 60)} {does(earlier)}, but from before {case.since}", "unknown"
    if any(f.verdict is Verdict.UNCHANGED for f in case.shifts):
        return f"no watched metric changed since {case.since}", "good"
    wide = case.first("wide-net")
    if wide and wide.verdict is Verdict.UNCHANGED:
        return (
            f"none of {phrase.count(whole(wide, 'looked_at'), 'series', 'series')} changed since {case.since}",
            "good",
        )
    return f"cannot tell what changed since {case.since}", "unknown"


def verdicts(case: Case) -> Iterator[Line]:
    """Say what changed, what is ruled out, whether users feel it, what cannot be told, how sure that is."""
    yield from _changed(case)
    alibis = case.all("alibi")
    for alibi in [f for f in alibis if f.verdict is not Verdict.CANNOT_TELL]:
        yield replace(_line(str(alibi.verdict).capitalize(), alibi), detail=detail(alibi, COVERAGE))
    yield from _users(case)
    # Its headline says what is missing; what was looked at stands on a page of its own.
    for alibi in [f for f in alibis if f.verdict is Verdict.CANNOT_TELL]:
        again = next((clause for clause in alibi.detail.split("; ") if clause.startswith("ask again")), "")
        yield replace(_line("Cannot tell", alibi), detail=text.line(again, 60))
    yield from _unclear(case)
    for shift in [f for f in case.shifts if f.verdict is Verdict.BEGAN_BEFORE and not f.facts.get("rank")][:2]:
        yield replace(_line("Began before", shift), detail="")
    for placebo in case.all("placebo")[:1]:
        yield Line(label="How sure", text=text.line(placebo.headline), refs=refs(placebo))


def _felt(shift: Finding) -> bool:
    """Return whether a metric is one for the line about users only."""
    return bool(shift.facts.get("impact")) and not shift.facts.get("key")


def _changed(case: Case) -> Iterator[Line]:
    """Name the configured metrics that changed; the wide net is only counted, unless it alone caught something."""
    moved = [f for f in case.shifts if f.verdict is Verdict.CHANGED and not _felt(f)]
    told = [f for f in moved if not f.facts.get("rank")][:CHANGED] or moved[:1]
    for number, shift in enumerate(told):
        line = _line("Changed", shift)
        yield replace(line, detail="") if number else line
    if rest := [f for f in moved if f not in told]:
        more = phrase.count(len(rest), "more metric")
        names = words.listing([text.middle(text.line(f.subject), 40) for f in rest], 4)
        yield Line(label="Changed", text=f"and {more}: {names}", refs=tuple(r for f in rest[:3] for r in refs(f)))
    still = sum(f.verdict is Verdict.UNCHANGED for f in case.shifts)
    if still and not moved:
        watched = phrase.count(len(case.shifts), "watched metric")
        yield Line(label="Unchanged", text=f"{still} of {watched}", tone="good")


def _unclear(case: Case) -> Iterator[Line]:
    """Say what cannot be told of metrics and logs: many metrics in one line."""
    unclear = [f for f in case.shifts if f.verdict is Verdict.CANNOT_TELL and not _felt(f)]
    if len(unclear) > 1:
        watched = phrase.count(len(case.shifts), "watched metric")
        names = words.listing([text.line(f.subject, 40) for f in unclear], 4)
        ids = tuple(ref for f in unclear[:3] for ref in refs(f))
        said_ = f"{len(unclear)} of {watched} without enough data: {names}"
        yield Line(label="Cannot tell", text=said_, refs=ids, tone="unknown")
    else:
        yield from (_line("Cannot tell", shift) for shift in unclear)
    for finding in case.all("log-summary"):
        if finding.verdict is Verdict.CANNOT_TELL:
            yield _line("Cannot tell", finding)
    asked = case.scope.logs or logged(case.evidence)
    if asked and not case.all("log-summary"):
        yield Line(label="Cannot tell", text="what is new in the logs: no line was read", tone="unknown")


def _users(case: Case) -> Iterator[Line]:
    """Say whether users feel it, by the metrics that were configured to tell: those that say yes, else all together."""
    told = list(case.all("impact")) or [f for f in case.shifts if f.facts.get("impact")]
    bad = [f for f in told if f.verdict is Verdict.CHANGED and not better(f)]
    calm = [f for f in told if f.verdict is Verdict.UNCHANGED or better(f)]
    for finding in bad[:CHANGED]:
        line = _line("Users", finding)
        yield replace(line, text=f"affected ({line.text})", detail="")
    if calm and not bad:
        said_ = "; ".join(text.line(f.headline) for f in calm[:CHANGED])
        ids = tuple(ref for f in calm[:CHANGED] for ref in refs(f))
        yield Line(label="Users", text=f"not visibly affected ({said_})", refs=ids, tone="good")
    for finding in [f for f in told if f not in bad and f not in calm][:1]:
        yield replace(_line("Users", finding), detail="")


def _line(label: str, finding: Finding) -> Line:
    return Line(
        label=label,
        text=text.line(finding.headline).removeprefix("cannot tell "),
        detail=detail(finding),
        refs=refs(finding),
        tone="good" if better(finding) else TONES.get(finding.verdict, "plain"),
    )
