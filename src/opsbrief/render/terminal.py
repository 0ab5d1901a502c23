"""The first page on a terminal, in colour where it has colours.

Everything is a rich ``Text``: a string would be read as markup, and evidence may look like markup.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from opsbrief.model.brief import (
    Block,
    Brief,
    Figure,
    Gallery,
    Line,
    Paragraph,
    Scorecard,
    Section,
    Table,
    Timeline,
    Tone,
    Verbatim,
)

_STYLES: dict[Tone, str] = {"plain": "", "bad": "red", "good": "green", "unknown": "yellow", "muted": "dim"}
_SIGNS: dict[Tone, str] = {"plain": "", "bad": "■ ", "good": "● ", "unknown": "○ ", "muted": ""}
_LABEL = 13


def render(brief: Brief, console: Console) -> None:
    """Print the first page, and say which pages follow it in the other forms."""
    console.print(Text.assemble((f"{brief.service} · ", "bold"), (brief.headline, f"bold {_STYLES[brief.tone]}")))
    for section in brief.sections:
        if not section.folded:
            console.print()
            for part in _section(section):
                console.print(part, soft_wrap=False)
    later = [section.heading for section in brief.sections if section.folded]
    if later:
        console.print()
        console.print(Text(f"Also in brief.html, brief.md and brief.txt: {' · '.join(later)}", style="dim"))


def _section(section: Section) -> Iterator[RenderableType]:
    if section.heading and not isinstance(section.blocks[0], Scorecard):
        yield Text(section.heading, style="bold")
    for block in section.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[RenderableType]:
    match block:
        case Scorecard():
            yield _scorecard(block.lines)
        case Table():
            yield from _table(block)
        case Timeline():
            yield _timeline(block)
            yield from _cut(block.cut)
        case Figure():
            yield from _figure(block)
        case Gallery():
            for figure in block.figures:
                yield from _figure(figure)
        case Paragraph():
            yield _said(block.text, block.refs, style=_STYLES[block.tone])
        case Verbatim():
            yield from [_said(block.caption, block.refs)] if block.caption else []
            yield from (Padding(Text(line), (0, 0, 0, 4)) for line in block.lines)


def _scorecard(lines: Sequence[Line]) -> Grid:
    grid = Grid.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=_LABEL, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    above = ""
    for line in lines:
        label = "" if line.label == above else line.label.upper()
        above = line.label
        said = Text.assemble((_SIGNS[line.tone], _STYLES[line.tone]), line.text)
        if line.detail:
            said.append(f" – {line.detail}", style="dim")
        grid.add_row(Text(label, style="bold dim" if line.tone == "plain" else "bold"), _refs(said, line.refs))
    return grid


def _table(table: Table) -> Iterator[RenderableType]:
    """Yield a table of one line a row; the widest column gives way, and the ids stand in a column of their own."""
    if table.caption:
        yield Text(table.caption, style="dim")
    if table.rows:
        widest = max(range(len(table.columns)), key=lambda at: max(len(row[at].text) for row in table.rows))
        grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
        for at, column in enumerate(table.columns):
            ratio = 1 if at == widest else None
            grid.add_column(Text(column.heading), justify=column.align, no_wrap=True, overflow="ellipsis", ratio=ratio)
        grid.add_column(Text(""), style="dim", no_wrap=True)
        for row in table.rows:
            refs = Text(", ".join(ref for cell in row for ref in cell.refs))
            grid.add_row(*(Text(cell.text, style=_STYLES[cell.tone]) for cell in row), refs)
        yield grid
    yield from _cut(table.cut)


def _timeline(block: Timeline) -> Grid:
    grid = Grid.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=_LABEL, no_wrap=True, style="dim")
    grid.add_column(ratio=1, overflow="fold")
    for entry in block.entries:
        grid.add_row(Text(entry.at), _said(entry.text, entry.refs, style=_STYLES[entry.tone]))
    return grid


def _figure(figure: Figure) -> Iterator[RenderableType]:
    yield _said(figure.caption, figure.refs, style="dim")
    lines = figure.text or ((figure.chart.empty,) if figure.chart.empty else ())
    yield from (Text(f"  {line}", no_wrap=True, overflow="crop") for line in lines)


def _cut(amount: int) -> Iterator[Text]:
    if amount:
        yield Text(f"… and {amount:,} more", style="dim")


def _said(text: str, refs: Sequence[str], style: str = "") -> Text:
    return _refs(Text(text, style=style), refs)


def _refs(text: Text, refs: Sequence[str]) -> Text:
    if refs:
        text.append(f" [{', '.join(refs)}]", style="dim")
    return text
