"""The first sentence about a fix: the word over all, since when, and what it is about."""

from opsbrief import phrase, text
from opsbrief.compose.case import Case, message
from opsbrief.compose.effect import ask
from opsbrief.model.brief import Tone
from opsbrief.model.finding import Finding, Verdict


def sentence(case: Case) -> tuple[str, Tone]:
    """Return the first sentence: the word over all, since when, and what it is about."""
    summary = ask.summary(case)
    lead = next(iter(ask.metrics(case)), None)
    verdict = summary.verdict if summary else Verdict.CANNOT_TELL
    about = _about(lead) if lead else _lines_about(case)
    since = f"since {ask.fixed(case)}"
    match verdict:
        case Verdict.TOO_EARLY:
            return f"too early to tell {since}: {about}", ask.TONES[verdict]
        case Verdict.BETTER:
            word = (
                "better, too early to say fixed,"
                if summary and summary.facts["needed_seconds"]
                else "better, not fixed,"
            )
            return f"{word} {since}: {about}", ask.TONES[verdict]
        case Verdict.CANNOT_TELL:
            return f"cannot tell what {ask.fixed(case)} did: {about}", ask.TONES[verdict]
    return f"{verdict} {since}: {about}", ask.TONES.get(verdict, "plain")


def _about(lead: Finding) -> str:  # noqa: PLR0911 - a clause a word
    """Return what the lead metric does now, in a clause."""
    subject = text.line(lead.subject, 60)
    up = lead.facts.get("direction") != "down"
    slope = lead.facts.get("kind") == "slope"
    moves = "rising" if up else "falling"
    now = phrase.number(lead.after, text.line(lead.unit, 20))
    match lead.verdict:
        case Verdict.FIXED:
            return f"{subject} no longer {moves}" if slope else f"{subject} back to {now}"
        case Verdict.BETTER if lead.facts.get("held") is not None:
            return f"{subject} no longer {moves}, but still at {now}"
        case Verdict.BETTER:
            return (
                f"{subject} {moves} less" if slope else f"{subject} {'lower' if up else 'higher'} than before the fix"
            )
        case Verdict.UNCHANGED:
            return f"{subject} still {moves}" if slope else f"{subject} still at {now}"
        case Verdict.WORSE:
            return f"{subject} {moves} faster" if slope else f"{subject} at {now}"
        case Verdict.TOO_EARLY:
            return f"{subject} not told yet"
    return text.line(lead.headline, 120).replace(": cannot tell, ", ": ", 1)


def _lines_about(case: Case) -> str:
    pattern = next((f for f in case.all("effect-pattern") if f.facts.get("level") in ask.ERRORS), None)
    return f"{pattern.verdict}: {message(pattern, 60)}" if pattern else "the first brief told no change for the worse"


def needed(case: Case) -> str:
    """Return the clause about the time that is still needed, "" when none is."""
    summary = ask.summary(case)
    return f"; {summary.detail}" if summary and summary.detail else ""
