"""How long the first page is as plain text, and what gives way so that it stays one page.

The verdicts, the gaps and the coverage never give way: rows of the logs' table and instants of the timeline do, and
each says how many are left out. They stand in full on later pages.
"""

from collections.abc import Callable, Iterable
from textwrap import wrap

from opsbrief.model.brief import Block, Figure, Paragraph, Scorecard, Section, Table, Timeline

PAGE = 45  # lines of text, without blank ones
WIDTH = 78
_LABEL = 14
#: Rows of the logs and instants of the timeline, from what a quiet brief shows to the least that still tells.
_ROOM = ((10, 7), (8, 7), (6, 7), (6, 6), (5, 6), (4, 6), (4, 5), (3, 5), (3, 4), (3, 3))

LEAST = _ROOM[-1][0]
Page = Callable[[int, int], tuple[Section, ...]]


def fitted(title: str, page: Page) -> tuple[Section, ...]:
    """Return the sections that ``page(rows, instants)`` gives with the largest numbers that fit, else the smallest."""
    for rows, instants in _ROOM:
        sections = page(rows, instants)
        if len(wrap(title, WIDTH)) + height(sections) <= PAGE:
            break
    return sections


def height(sections: Iterable[Section]) -> int:
    """Return how many lines of text, without blank ones, the sections take as the text renderer lays them out."""
    return sum(_height(section.heading, block) for section in sections for block in section.blocks)


def _height(heading: str, block: Block) -> int:
    match block:
        case Scorecard():
            beside = WIDTH - _LABEL
            said = (
                f"{line.text}{f' – {line.detail}' if line.detail else ''}{_refs(line.refs)}" for line in block.lines
            )
            return sum(_lines(each, beside) for each in said)
        case Table():
            return _lines(f"{heading}: {block.caption}", WIDTH) + len(block.rows) + bool(block.cut)
        case Timeline():
            told = [f"{entry.at} {entry.text}{_refs(entry.refs)}" for entry in block.entries]
            return _lines(" · ".join(told + [f"… and {block.cut} more"] * bool(block.cut)), WIDTH - _LABEL)
        case Figure():
            return _lines(block.caption + _refs(block.refs), WIDTH) + len(block.text)
        case Paragraph():
            return _lines(block.text + _refs(block.refs), WIDTH)
    return 0


def _refs(refs: tuple[str, ...]) -> str:
    return f" [{', '.join(refs)}]" if refs else ""


def _lines(text: str, width: int) -> int:
    return max(1, len(wrap(text, width, break_on_hyphens=False)))
