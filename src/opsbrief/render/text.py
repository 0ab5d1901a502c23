"""Plain text: for a mail's text part, a chat, a pager, a terminal without colours.

The first page gives each table row one line and hangs everything else beside its label, so that it
stays within a page; the later pages wrap.
"""

import textwrap
from collections.abc import Iterator, Sequence

from opsbrief.model.brief import (
    Block,
    Brief,
    Cell,
    Figure,
    Gallery,
    Line,
    Paragraph,
    Scorecard,
    Section,
    Table,
    Timeline,
    Verbatim,
)

LABEL = 14  # columns of a label
GAP = 2  # blanks between columns of a table
ROWS = 6  # lines a wrapped cell may take

_CLOSE = frozenset(("where", "timeline", "coverage", "onward"))  # sections of the first page without a blank line above


def render(brief: Brief, width: int = 78) -> str:
    """Return the whole brief as text of at most ``width`` columns (lines of code may be longer)."""
    lines = _wrap(f"{brief.service} · {brief.headline}", width)
    for section in brief.sections:
        lines += _later(section, width) if section.folded else _first(section, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _first(section: Section, width: int) -> Iterator[str]:
    """Yield a section of the first page; its heading is the label of what has none."""
    if section.name not in _CLOSE:
        yield ""
    for block in section.blocks:
        match block:
            case Table():
                label = f"{section.heading.upper()}: " if section.heading else ""
                yield from _wrap(f"{label}{block.caption}".removesuffix(": "), width)
                yield from _rows(block, width)
            case Timeline():
                said = " · ".join(f"{entry.at} {entry.text}{_refs(entry.refs)}" for entry in block.entries)
                more = f" · … and {block.cut:,} more" if block.cut else ""
                yield from _hang(section.heading.upper(), f"{said}{more}", width)
            case _:
                yield from _block(block, width)


def _later(section: Section, width: int) -> Iterator[str]:
    yield from ("", "", "─" * width, section.heading.upper())
    for block in section.blocks:
        yield ""
        yield from _block(block, width)


def _block(block: Block, width: int) -> Iterator[str]:
    match block:
        case Scorecard():
            yield from _scorecard(block.lines, width)
        case Table():
            yield from _table(block, width)
        case Timeline():
            yield from _timeline(block, width)
        case Figure():
            yield from _figure(block, width)
        case Gallery():
            for number, figure in enumerate(block.figures):
                yield from [""] if number else []
                yield from _figure(figure, width, f"{figure.chart.title} – ")
        case Paragraph():
            yield from _wrap(block.text + _refs(block.refs), width)
        case Verbatim():
            yield from _wrap(block.caption + _refs(block.refs), width) if block.caption else ()
            yield from (f"    {line}" for line in block.lines)


def _scorecard(lines: Sequence[Line], width: int) -> Iterator[str]:
    above = ""
    for line in lines:
        label = "" if line.label == above else line.label.upper()
        above = line.label
        detail = f" – {line.detail}" if line.detail else ""
        yield from _hang(label, line.text + detail + _refs(line.refs), width)


def _hang(label: str, text: str, width: int, indent: int = LABEL) -> list[str]:
    """Return ``text`` wrapped beside a label."""
    first = f"{label:<{indent}}" if len(label) < indent else f"{label} "
    return _wrap(text, width, first, " " * indent)


def _figure(figure: Figure, width: int, title: str = "") -> Iterator[str]:
    yield from _wrap(title + figure.caption + _refs(figure.refs), width)
    for line in figure.text or ((figure.chart.empty,) if figure.chart.empty else ()):
        yield f"  {line}"


def _timeline(block: Timeline, width: int) -> Iterator[str]:
    column = max((len(entry.at) for entry in block.entries), default=0) + GAP
    for entry in block.entries:
        yield from _hang(entry.at, entry.text + _refs(entry.refs), width, column)
    yield from _cut(block.cut)


def _rows(table: Table, width: int) -> Iterator[str]:
    """Yield one line a row, without headings; the widest cells are cut, but never their ids."""
    widths = _fit([[_cell(cell) for cell in row] for row in table.rows], width)
    for row in table.rows:
        yield _aligned(table, [_within(cell, room) for cell, room in zip(row, widths, strict=True)], widths)
    yield from _cut(table.cut)


def _table(table: Table, width: int) -> Iterator[str]:
    """Yield a table whose cells wrap."""
    yield from _wrap(table.caption, width) if table.caption else ()
    grid = [[column.heading for column in table.columns]] + [[_cell(cell) for cell in row] for row in table.rows]
    widths = _fit(grid, width)
    for row in grid if table.rows else ():
        wrapped = [_wrap(cell, room)[:ROWS] for cell, room in zip(row, widths, strict=True)]
        for at in range(max(len(cell) for cell in wrapped)):
            yield _aligned(table, [cell[at] if at < len(cell) else "" for cell in wrapped], widths)
    yield from _cut(table.cut)


def _within(cell: Cell, room: int) -> str:
    """Return a cell in at most ``room`` columns."""
    refs = _refs(cell.refs)
    return cell.text + refs if len(cell.text + refs) <= room else f"{cell.text[: max(0, room - len(refs) - 1)]}…{refs}"


def _aligned(table: Table, row: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(
        part.rjust(room) if column.align == "right" else part.ljust(room)
        for part, room, column in zip(row, widths, table.columns, strict=True)
    )


def _fit(grid: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return column widths: as wide as needed; where the page is too narrow, the widest columns give way."""
    widths = [max(1, *(len(row[at]) for row in grid)) for at in range(len(grid[0]))] if grid else []
    room = max(width - GAP * (len(widths) - 1), len(widths))
    while sum(widths) > room:
        widest = max(widths)
        second = max((own for own in widths if own < widest), default=0)
        most = [at for at, own in enumerate(widths) if own == widest]
        # Down to the next widest in one step, but not further than the page asks for.
        target = max(second, widest - -(-(sum(widths) - room) // len(most)), 1)
        for at in most:
            widths[at] = max(target, widths[at] - (sum(widths) - room))
    return widths


def _cut(amount: int) -> Iterator[str]:
    if amount:
        yield f"… and {amount:,} more"


def _cell(cell: Cell) -> str:
    return cell.text + _refs(cell.refs)


def _refs(refs: Sequence[str]) -> str:
    return f" [{', '.join(refs)}]" if refs else ""


def _wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return ``text`` in lines of ``width`` columns; never an empty list."""
    lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return lines or [first]
