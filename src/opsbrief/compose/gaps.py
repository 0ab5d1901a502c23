"""What is missing from the evidence, said so that a person can act on it."""

from collections.abc import Iterator

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import Case
from opsbrief.errors import GapKind
from opsbrief.model.brief import Cell, Column, Line, Section, Table
from opsbrief.model.evidence import Gap

LINES = 8  # gaps named on the first page; alike ones are one line

#: A gap's kind as said to a person.
KINDS = {
    GapKind.UNREACHABLE: "unreachable",
    GapKind.TIMEOUT: "too slow",
    GapKind.UNAUTHORIZED: "not allowed",
    GapKind.REJECTED: "refused the question",
    GapKind.UNAVAILABLE: "not available",
    GapKind.BAD_ANSWER: "answered nonsense",
    GapKind.TRUNCATED: "cut short",
    GapKind.SKIPPED: "not asked",
    GapKind.BUG: "a defect of opsbrief",
}


def alike(gaps: tuple[Gap, ...]) -> list[list[Gap]]:
    """Return the gaps in groups that differ only in what is missing, whole sources first."""
    groups: dict[tuple[str, GapKind, str, str], list[Gap]] = {}
    for gap in gaps:
        groups.setdefault((gap.source, gap.kind, gap.detail, gap.hint), []).append(gap)
    return sorted(groups.values(), key=lambda group: group[0].what != "everything")


def missing(case: Case) -> Iterator[Line]:
    """Yield a line per group of gaps; when there are many, the rest by the name of their source.

    Before them stands what a reader must know of answers that came whole.
    """
    for outcome in case.evidence.outcomes:
        for warning in outcome.warnings:
            said = f"{text.line(outcome.source, 60)}: {text.line(warning, 300)}"
            yield Line(label="Note", text=said, tone="unknown")
    groups = alike(case.evidence.gaps)
    for group in groups[:LINES]:
        yield Line(label="Missing", text=_said(group), detail=words.cut(group[0].hint, 240), tone="unknown")
    if rest := groups[LINES:]:
        sources = words.unique(text.line(group[0].source, 40) for group in rest)
        more = phrase.count(len(rest), "more gap")
        said = f"and {more} in {words.listing(sources)}"
        yield Line(label="Missing", text=said, detail="all under Sources", tone="unknown")


def _said(group: list[Gap]) -> str:
    gap = group[0]
    names = words.unique(_what(gap) for gap in group)
    why = f"{KINDS[gap.kind]}: {words.cut(gap.detail, 240)}"
    return f"{text.line(gap.source, 60)}: {words.listing(names, 4)} ({why})"


def _what(gap: Gap) -> str:
    what = words.cut(gap.what, 90)
    return what if not gap.span or gap.span in what else f"{what} ({text.line(gap.span, 30).replace('-', ' ')})"


def section(case: Case) -> Section:
    """Return the page that lists every source with its cost, and every gap there is."""
    tables = [_sources(case)]
    if case.evidence.gaps:
        tables.append(_gaps(case.evidence.gaps))
    return Section(name="sources", heading="Sources and what is missing", blocks=tuple(tables), folded=True)


def _sources(case: Case) -> Table:
    return Table(
        columns=(
            Column(heading="Source"),
            Column(heading="Type"),
            Column(heading="Answer"),
            Column(heading="Items", align="right"),
            Column(heading="Gaps", align="right"),
            Column(heading="Took", align="right"),
            Column(heading="Requests", align="right"),
            Column(heading="Read", align="right"),
        ),
        rows=tuple(
            (
                Cell(text=text.line(outcome.source, 60)),
                Cell(text=f"{text.line(outcome.type, 40)}{f', {outcome.role}' if outcome.role else ''}"),
                Cell(text=outcome.status, tone="good" if outcome.status == "ok" else "unknown"),
                Cell(text=f"{len(outcome.items):,}"),
                Cell(text=f"{len(outcome.gaps):,}"),
                Cell(text=words.took(outcome.took)),
                Cell(text=f"{outcome.requests:,}"),
                Cell(text=words.size(outcome.bytes)),
            )
            for outcome in case.evidence.outcomes
        ),
        caption="Every source that was asked",
    )


def _gaps(gaps: tuple[Gap, ...], most: int = 200) -> Table:
    return Table(
        columns=(
            Column(heading="Source"),
            Column(heading="Missing"),
            Column(heading="Why"),
            Column(heading="What to do"),
        ),
        rows=tuple(
            (
                Cell(text=text.line(gap.source, 60)),
                Cell(text=_what(gap)),
                Cell(text=f"{KINDS[gap.kind]}: {text.line(gap.detail)}", tone="unknown"),
                Cell(text=text.line(gap.hint)),
            )
            for gap in gaps[:most]
        ),
        caption="Everything that was asked for and is not there",
        cut=max(0, len(gaps) - most),
    )
