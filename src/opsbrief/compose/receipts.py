"""Where every figure comes from: findings to evidence, evidence to the request that fetched it."""

from collections.abc import Hashable

from opsbrief import text
from opsbrief.compose import words
from opsbrief.compose.case import Case
from opsbrief.model.brief import Cell, Column, Paragraph, Section, Table
from opsbrief.model.evidence import Item, Series

ROWS = 200

_UNCITED = frozenset(("series", "timeline"))  # findings that no line of the page refers to


def section(case: Case) -> Section:
    """Return the last page: what each [F…] rests on, and who said each [E…]."""
    how = Paragraph(
        text="[F…] is a finding and rests on evidence [E…]; evidence leads to the request that fetched it. In the "
        "folder of this brief, “opsbrief show . E1” prints any of them whole, offline.",
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
                Cell(text=f"{words.cut(finding.subject, 80)}: {finding.verdict}"),
                Cell(text=runs(finding.basis)),
            )
            for finding in held[:ROWS]
        ),
        caption="Findings",
        cut=max(0, len(held) - ROWS),
    )


def _origins(case: Case) -> Table:
    """Return one row per request; series of one metric and span stand together, however many requests they took."""
    groups: dict[Hashable, list[Item]] = {}
    for outcome in case.evidence.outcomes:
        for item in outcome.items:
            alike = (item.origin.source, item.metric, item.span) if isinstance(item, Series) else item.origin
            groups.setdefault(alike, []).append(item)
    return Table(
        columns=(
            Column(heading="Evidence"),
            Column(heading="Source"),
            Column(heading="Request"),
            Column(heading="Fetched", align="right"),
            Column(heading="Read", align="right"),
            Column(heading="Digest"),
        ),
        rows=tuple(_origin(items) for items in list(groups.values())[:ROWS]),
        caption="Evidence",
        cut=max(0, len(groups) - ROWS),
    )


def _origin(items: list[Item]) -> tuple[Cell, ...]:
    ids = [item.id for item in items if item.id]
    origins = list(dict.fromkeys(item.origin for item in items))
    first, fetched = origins[0], origins[0].fetched_at
    asked = words.cut(first.query or first.url, 240)
    more = f" and {len(origins) - 1:,} more" if len(origins) > 1 else ""
    read = sum(origin.bytes for origin in origins)
    digest = text.line(first.digest, 80).removeprefix("sha256:")[:12]
    return (
        Cell(text=runs(ids), anchors=tuple(ids)),
        Cell(text=text.line(first.source, 60)),
        Cell(text=f"{asked}{more}", code=True),
        Cell(text=f"{fetched:%H:%M:%S} UTC" if fetched else ""),
        Cell(text=words.size(read) if read else ""),
        Cell(text=f"{len(origins):,} digests" if len(origins) > 1 else digest, code=len(origins) == 1),
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
