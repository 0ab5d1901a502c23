"""The lines a reader sees first: what changed, what is ruled out, what cannot be told."""

from collections.abc import Iterator
from dataclasses import replace

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import TONES, Case, better, detail, does, message, refs, said, where
from opsbrief.model.brief import Line, Tone
from opsbrief.model.finding import Finding, Verdict

CHANGED = 3  # metrics named on the first page; the others are counted


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
    return f"cannot tell what changed since {case.since}", "unknown"


def verdicts(case: Case) -> Iterator[Line]:
    """Say what changed, what is ruled out, whether users feel it, what cannot be told, how sure that is."""
    felt = [f for f in case.shifts if f.facts.get("impact") and not f.facts.get("key")]
    moved = [f for f in case.shifts if f.verdict is Verdict.CHANGED and f not in felt]
    for number, shift in enumerate(moved[:CHANGED]):
        line = _line("Changed", shift)
        yield replace(line, detail="") if number else line
    if len(moved) > CHANGED:
        names = words.listing([text.line(f.subject, 40) for f in moved[CHANGED:]], 4)
        more = phrase.count(len(moved) - CHANGED, "more metric")
        yield Line(label="Changed", text=f"and {more}: {names}", tone="muted")
    if case.shifts and not moved:
        still = sum(f.verdict is Verdict.UNCHANGED for f in case.shifts)
        watched = phrase.count(len(case.shifts), "watched metric")
        yield Line(label="Unchanged", text=f"{still} of {watched}", tone="good")
    for alibi in case.all("alibi"):
        yield _line(str(alibi.verdict).capitalize(), alibi)
    yield from _users(case)
    unclear = [f for f in case.shifts if f.verdict is Verdict.CANNOT_TELL and f not in felt]
    for finding in [*unclear[:2], *(f for f in case.all("log-summary") if f.verdict is Verdict.CANNOT_TELL)]:
        yield _line("Cannot tell", finding)
    for shift in [f for f in case.shifts if f.verdict is Verdict.BEGAN_BEFORE and not f.facts.get("rank")][:2]:
        yield replace(_line("Began before", shift), detail="")
    for placebo in case.all("placebo")[:1]:
        yield Line(label="How sure", text=text.line(placebo.headline), refs=refs(placebo))


def _users(case: Case) -> Iterator[Line]:
    """Say whether users feel it, by each metric that was configured to tell."""
    felt = {Verdict.UNCHANGED: "not visibly affected", Verdict.CHANGED: "affected"}
    told = case.all("impact") or [f for f in case.shifts if f.facts.get("impact")]
    for number, finding in enumerate(told[:2]):
        line = _line("Users", finding)
        opening = "" if number or better(finding) else felt.get(finding.verdict, "")
        yield replace(line, text=f"{opening} ({line.text})" if opening else line.text, detail="")


def _line(label: str, finding: Finding) -> Line:
    return Line(
        label=label,
        text=text.line(finding.headline).removeprefix("cannot tell "),
        detail=detail(finding),
        refs=refs(finding),
        tone="good" if better(finding) else TONES.get(finding.verdict, "plain"),
    )
