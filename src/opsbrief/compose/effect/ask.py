"""What the pages about a fix ask of their material."""

from opsbrief import text
from opsbrief.compose.case import Case
from opsbrief.model.brief import Tone
from opsbrief.model.effect import First
from opsbrief.model.finding import Finding, Verdict

TONES: dict[Verdict, Tone] = {
    **dict.fromkeys((Verdict.FIXED, Verdict.GONE), "good"),
    **dict.fromkeys((Verdict.UNCHANGED, Verdict.WORSE, Verdict.NEW), "bad"),
    **dict.fromkeys((Verdict.BETTER, Verdict.LESS, Verdict.TOO_EARLY, Verdict.CANNOT_TELL), "unknown"),
}
ERRORS = ("ERROR", "FATAL", "CRITICAL", "SEVERE")


def first(case: Case) -> First:
    """Return what the first brief told."""
    assert case.evidence.first is not None  # noqa: S101 - compose sends only such evidence here
    return case.evidence.first


def fixed(case: Case) -> str:
    """Return the fix with its time: "2.14.1 (Mon 08:30)", "the fix (Mon 08:30)"."""
    fix = case.window.fix
    assert fix is not None  # noqa: S101 - whoever has a first brief has a fix
    at = f"{case.clock.weekday(fix.at)} {case.clock.time(fix.at, seconds=False)}"
    return f"{text.line(fix.ref, 40) or 'the fix'} ({at})"


def metrics(case: Case) -> tuple[Finding, ...]:
    """Return the effect on each metric, the configured ones first, the lead of the first brief before all."""
    return tuple(sorted(case.all("effect"), key=lambda f: (bool(f.facts.get("rank")), -f.score)))


def summary(case: Case) -> Finding | None:
    """Return the word over all."""
    return case.first("effect-summary")
