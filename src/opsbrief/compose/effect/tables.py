"""Before, during and after as tables: metrics and log patterns."""

from collections.abc import Sequence

from opsbrief import phrase, text
from opsbrief.compose.case import Case, message, real, refs, said
from opsbrief.compose.effect import ask
from opsbrief.model.brief import Cell, Column, Table, Tone
from opsbrief.model.finding import Finding, Verdict

HARMLESS = 2  # patterns that are no errors on the first page
ROWS = 60

_VAGUE = 2.0  # width of an interval of what is left that tells nothing


def table(case: Case) -> Table:
    """Return the effect on each metric: levels, slopes, and how much of the change is left."""
    found = ask.metrics(case)
    return Table(
        columns=(
            Column(heading="Metric"),
            Column(heading="Now"),
            Column(heading="Level", align="right"),
            Column(heading="Slope", align="right"),
            Column(heading="Left of it", align="right"),
        ),
        rows=tuple(_row(finding) for finding in found[:ROWS]),
        caption="What the first brief called changed: before the release → until the fix → since the fix",
        cut=max(0, len(found) - ROWS),
    )


def _row(finding: Finding) -> tuple[Cell, ...]:
    levels = [real(finding, f"level_{name}") for name in ("before", "during", "after")]
    low, high = real(finding, "left_low"), real(finding, "left_high")
    known = low is not None and high is not None and high - low <= _VAGUE
    share = f"{_percent(low)} to {_percent(high)}%" if low is not None and high is not None and known else "not known"
    return (
        Cell(text=text.line(finding.subject, 120), refs=refs(finding)),
        Cell(text=str(finding.verdict), tone=ask.TONES.get(finding.verdict, "plain")),
        Cell(
            text=" → ".join(map(phrase.number, levels[:2]))
            + f" → {phrase.number(levels[2], text.line(finding.unit, 20))}"
        ),
        Cell(text=_slope(finding)),
        Cell(text=share),
    )


def _percent(part: float) -> str:
    return f"{round(100 * part) + 0:,}"


def _slope(finding: Finding) -> str:
    during, after = real(finding, "slope_during"), real(finding, "slope_after")
    if during is None:
        return ""
    scale, unit = (1.0, "min") if abs(during) >= 0.05 else (60.0, "h")
    rounded = round(after * scale, 2) if after is not None else None
    now = "?" if rounded is None else phrase.signed(rounded) if rounded else "0"
    return f"{phrase.signed(round(during * scale, 2))} → {now}/{unit}"


def patterns(case: Case) -> tuple[Finding, ...]:
    """Return the patterns: errors before the rest, what is not gone before what is."""
    order = {"bad": 0, "unknown": 1, "plain": 1, "good": 2}

    def rank(finding: Finding) -> tuple[bool, int, float]:
        tone = ask.TONES.get(finding.verdict, "plain")
        return finding.facts.get("level") not in ask.ERRORS, order.get(tone, 1), -finding.score

    return tuple(sorted(case.all("effect-pattern"), key=rank))


def logs(case: Case, rows: int) -> Table | None:
    """Return ``rows`` patterns for the first page: errors, and of the others those that something can be told of."""
    errors = [f for f in patterns(case) if f.facts.get("level") in ask.ERRORS]
    others = [f for f in patterns(case) if f not in errors and f.verdict is not Verdict.CANNOT_TELL]
    shown = [*errors[: rows - HARMLESS], *others[:HARMLESS]]
    return rates(case, shown, cut=len(case.all("effect-pattern")) - len(shown)) if shown else None


def rates(case: Case, found: Sequence[Finding], cut: int) -> Table:
    """Return patterns with their rates in the three stretches."""
    return Table(
        columns=(
            Column(heading="What"),
            Column(heading="Level"),
            Column(heading="Pattern"),
            Column(heading="Per minute", align="right"),
            Column(heading="Last seen", align="right"),
        ),
        rows=tuple(_pattern(case, finding) for finding in found),
        caption="Per minute: before the release → until the fix → since the fix; what is no error is not counted",
        cut=cut,
    )


def _pattern(case: Case, finding: Finding) -> tuple[Cell, ...]:
    level = said(finding, "level", 12)
    tone: Tone = ask.TONES.get(finding.verdict, "plain") if level in ask.ERRORS else "plain"
    read = real(finding, "rate_after") is not None
    rates = " → ".join(phrase.number(real(finding, f"rate_{name}")) for name in ("before", "during", "after"))
    return (
        Cell(text=str(finding.verdict), tone=tone),
        Cell(text=level),
        Cell(text=message(finding, 160), code=True, refs=refs(finding)),
        Cell(text=rates),
        Cell(text=case.moment(finding.onset.at) if finding.onset else "not since" if read else ""),
    )
