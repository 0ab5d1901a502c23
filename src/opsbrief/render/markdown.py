"""Markdown for GitHub, GitLab and plain reading: what evidence says is text there, and nothing else.

Evidence may hold anything: pipes, fences, links, mentions, mathematics, HTML. Two encodings keep it text:
``inline`` turns every character that could mean something into a character reference, ``fence`` makes
a fence longer than any run of backticks inside. Words that trackers turn into links or messages after
Markdown is done (@name, #12, http://, www.) are broken by a zero-width space.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

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

_BREAK = "&#8203;"  # zero-width space

#: Characters that can begin markup anywhere in a line, or end a cell.
_ACTIVE = re.compile(
    r"""[&<>|\\`*\[\]{}$^!=]  # entities, tags, cells, escapes, code, emphasis, links, mathematics, highlights
      | ~(?!\s) | (?<![^\W_])_ | _(?![^\W_]) # struck words; an underscore inside a word is only a letter
      | ^(?:[-+](?=\s|$|[-\s]*$)           # what makes a list item or a rule at the start of a line
      |     (?<=^)\d{1,9}(?=[.)](?:\s|$)))  # and a numbered item
      | [@#]                              # mentions and issues
      | :(?=//) | (?<=\bwww)\.            # addresses
      | [\n\r\t]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TONES = {"bad": "🔴 ", "good": "🟢 ", "unknown": "🟡 "}


def render(brief: Brief, images: Mapping[str, str]) -> str:
    """Return the brief as Markdown; ``images`` maps a figure's name to the relative path of its picture."""
    parts = [f"# {inline(f'{brief.service}: {brief.headline}')}"]
    for section in brief.sections:
        parts += _section(section, images)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, images: Mapping[str, str]) -> Iterator[str]:
    """Yield one section; the later pages are folded away where the reader knows how, headings where not."""
    if section.folded:
        yield f"<details>\n<summary><b>{inline(section.heading)}</b></summary>"
    elif section.heading:
        yield f"## {inline(section.heading)}"
    for block in section.blocks:
        yield from _block(block, images)
    if section.folded:
        yield "</details>"


def _block(block: Block, images: Mapping[str, str]) -> Iterator[str]:
    match block:
        case Scorecard():
            yield _scorecard(block.lines)
        case Table():
            yield from _table(block)
        case Timeline():
            yield from _timeline(block)
        case Figure():
            yield from _figure(block, images)
        case Gallery():
            for figure in block.figures:
                yield from _figure(figure, images)
        case Paragraph():
            yield f"{inline(block.text)}{_refs(block.refs)}"
        case Verbatim():
            if block.caption:
                yield f"{inline(block.caption)}{_refs(block.refs)}"
            yield fence("\n".join(block.lines))


def inline(text: str) -> str:
    """Return ``text`` so that Markdown shows exactly it, on one line, inside a cell or not."""
    return _ACTIVE.sub(_encode, text)


def _encode(match: re.Match[str]) -> str:
    char = match.group()
    if char in "\n\r\t":
        return " "
    if char in "@#":
        return f"&#{ord(char)};{_BREAK}"
    if char in ":.":
        return f"{char}{_BREAK}"
    if char.isdigit():
        return f"&#{ord(char[0])};{char[1:]}"
    return f"&#{ord(char)};"


def code(text: str) -> str:
    """Return ``text`` as a code span where that is safe, also inside a table cell; encoded otherwise."""
    plain = text.strip() and text == text.strip() and not set(text) & set("`|\n\r\t\\")
    return f"`{text}`" if plain else inline(text)


def fence(content: str) -> str:
    """Return ``content`` in a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    bars = "`" * max(3, longest + 1)
    return f"{bars}text\n{content}\n{bars}"


def _scorecard(lines: Sequence[Line]) -> str:
    """Return a table without headings: labels left, sentences right."""
    rows, above = ["| | |", "| --- | --- |"], ""
    for line in lines:
        label = "" if line.label == above else f"**{inline(line.label)}**"
        above = line.label
        detail = f" – {inline(line.detail)}" if line.detail else ""
        rows.append(f"| {label} | {_TONES.get(line.tone, '')}{inline(line.text)}{detail}{_refs(line.refs)} |")
    return "\n".join(rows)


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield inline(table.caption)
    if table.rows:
        heads = " | ".join(inline(column.heading) for column in table.columns)
        rule = " | ".join("---:" if column.align == "right" else "---" for column in table.columns)
        rows = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
        yield "\n".join([f"| {heads} |", f"| {rule} |", *rows])
    if table.cut:
        yield f"… and {table.cut:,} more"


def _cell(cell: Cell) -> str:
    return f"{code(cell.text) if cell.code else inline(cell.text)}{_refs(cell.refs)}"


def _timeline(block: Timeline) -> Iterator[str]:
    yield "\n".join(f"- **{inline(entry.at)}** {inline(entry.text)}{_refs(entry.refs)}" for entry in block.entries)
    if block.cut:
        yield f"… and {block.cut:,} more"


def _figure(figure: Figure, images: Mapping[str, str]) -> Iterator[str]:
    """Yield the picture with the finding as its description; without a picture, the graph as text."""
    if path := images.get(figure.name):
        yield f"![{inline(figure.alt)}]({path})"
    elif figure.text:
        yield fence("\n".join(figure.text))
    yield f"*{inline(figure.caption)}*{_refs(figure.refs)}" if figure.caption.strip() else inline(figure.alt)


def _refs(refs: Sequence[str]) -> str:
    return f" <sub>[{inline(', '.join(refs))}]</sub>" if refs else ""
