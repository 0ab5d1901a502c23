"""Which parts of a brief the body of a mail has: the first page always, later pages as far as they help."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from opsbrief import phrase
from opsbrief.model.brief import Block, Brief, Figure, Gallery, Paragraph, Section, Table, Timeline, Verbatim

BLOCKS = 16  # paragraphs, tables and examples of one later page
EXAMPLE = 400  # characters of a line shown as it was written


@dataclass(frozen=True, slots=True)
class Depth:
    """How much of a brief is shown."""

    pages: tuple[str, ...]  # later pages, by name; the others are only in the attachment
    graphs: int  # small ones, beside the one of the first page
    rows: int  # of a table or a timeline
    opening: bool = False  # nothing but the verdict and what it rests on, without a graph


DEPTHS = (  # the fullest first
    Depth(("metrics", "patterns", "commits", "other"), 4, 10),
    Depth(("patterns", "commits"), 0, 6),
    Depth((), 0, 10),
    Depth((), 0, 3, opening=True),
)


def to(brief: Brief, depth: Depth) -> tuple[Brief, tuple[str, ...]]:
    """Return ``brief`` as deep as asked for, and in a few words what is not in it any more."""
    first = [section for section in brief.sections if not section.folded]
    if depth.opening:
        first = [section for section in first if section.name in ("verdict", "coverage", "onward")] or first[:1]
    later = [section for section in brief.sections if section.folded and section.name in depth.pages]
    shown = tuple(_section(section, depth) for section in (*first, *later))
    left = [f"“{section.heading}”" for section in brief.sections if section.folded and section not in later]
    small = replace(brief, sections=shown)
    if missing := sum(1 for _ in brief.figures()) - sum(1 for _ in small.figures()):
        left.append(phrase.count(missing, "graph"))
    return small, tuple(left)


def _section(section: Section, depth: Depth) -> Section:
    blocks = section.blocks
    if section.folded and len(blocks) > BLOCKS:
        more = Paragraph(text=f"… and more: {phrase.count(len(blocks) - BLOCKS, 'part')} left out here.", tone="muted")
        blocks = (*blocks[:BLOCKS], more)
    return replace(section, blocks=tuple(part for block in blocks for part in _block(block, depth)))


def _block(block: Block, depth: Depth) -> Iterator[Block]:
    match block:
        case Table():
            yield replace(block, rows=block.rows[: depth.rows], cut=block.cut + max(0, len(block.rows) - depth.rows))
        case Timeline():
            kept = block.entries[: depth.rows]
            yield replace(block, entries=kept, cut=block.cut + len(block.entries) - len(kept))
        case Gallery():
            if depth.graphs:
                yield Gallery(figures=block.figures[: depth.graphs])
        case Figure():
            if not depth.opening:
                yield block
        case Verbatim():
            yield replace(block, lines=tuple(_short(line) for line in block.lines))
        case _:
            yield block


def _short(line: str) -> str:
    return line if len(line) <= EXAMPLE else f"{line[:EXAMPLE]}… (+{len(line) - EXAMPLE:,} characters)"


def slug(name: str) -> str:
    """Return a service's name as it may stand in file names and ids."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "all"
