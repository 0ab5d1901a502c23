"""Where every figure comes from: findings to evidence, evidence to the request that fetched it."""

from opsbrief import text
from opsbrief.compose import words
from opsbrief.compose.case import Case
from opsbrief.model.brief import Cell, Column, Paragraph, Section, Table
from opsbrief.model.evidence import Item, Origin

ROWS = 200

_UNCITED = frozenset(("series", "timeline"))  # findings that no line of the page refers to


def section(case: Case) -> Section:
    """Return the last page: what each [F…] rests on, and who said each [E…]."""
    how = Paragraph(
        text="[F…] is a finding and rests on evidence [E…]; evidence leads to the request that fetched it. In the "
        "folder of this brief, “opsbrief show . E1” prints one whole, “opsbrief verify .” recomputes all.",
    )
    return Section(
        name="receipts",
        heading="Receipts: where every figure comes from",
        blocks=(how, _findings(case), _origins(case)),
        folded=True,
    )


def _findings(case: Case) -> Table:
    held = [finding for finding in case.findings if finding.id and finding.code not in _UNCITED]
    return Table(
        columns=(Column(heading="Finding"), Column(heading="Says"), Column(heading="Rests on")),
        rows=tuple(
            (
                Cell(text=finding.id, anchors=(finding.id,)),
                Cell(text=f"{text.line(finding.subject, 80)}: {finding.verdict}"),
                Cell(text=runs(finding.basis)),
            )
            for finding in held[:ROWS]
        ),
        caption="Findings",
        cut=max(0, len(held) - ROWS),
    )


def _origins(case: Case) -> Table:
    """Return one row per request: items that came with one answer stand together."""
    groups: dict[Origin, list[Item]] = {}
    for outcome in case.evidence.outcomes:
        for item in outcome.items:
            groups.setdefault(item.origin, []).append(item)
    return Table(
        columns=(
            Column(heading="Evidence"),
            Column(heading="Source"),
            Column(heading="Request"),
            Column(heading="Fetched", align="right"),
            Column(heading="Read", align="right"),
            Column(heading="Digest"),
        ),
        rows=tuple(_origin(origin, items) for origin, items in list(groups.items())[:ROWS]),
        caption="Evidence",
        cut=max(0, len(groups) - ROWS),
    )


def _origin(origin: Origin, items: list[Item]) -> tuple[Cell, ...]:
    ids = [item.id for item in items if item.id]
    asked = words.unique((text.line(origin.query, 300), text.line(origin.url, 300)))
    fetched = origin.fetched_at
    return (
        Cell(text=runs(ids), anchors=tuple(ids)),
        Cell(text=text.line(origin.source, 60)),
        Cell(text=" ".join(asked), code=True),
        Cell(text=f"{fetched:%H:%M:%S} UTC" if fetched else ""),
        Cell(text=words.size(origin.bytes) if origin.bytes else ""),
        Cell(text=text.line(origin.digest, 80).removeprefix("sha256:")[:12], code=True),
    )


def runs(ids: list[str] | tuple[str, ...], most: int = 12) -> str:
    """Return ids with their runs folded: "E1–E8, E11"."""
    parts: list[list[str]] = []
    for name in ids:
        number = name[1:]
        last = parts[-1][-1] if parts else ""
        follows = last[:1] == name[:1] and number.isdecimal() and last[1:].isdecimal()
        if follows and int(number[:9]) == int(last[1:][:9]) + 1:
            parts[-1].append(name)
        else:
            parts.append([name])
    folded = [run[0] if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in parts]
    shown = ", ".join(text.line(part, 40) for part in folded[:most])
    return f"{shown} and {len(folded) - most} more" if len(folded) > most else shown
