"""One self-contained HTML file: no network, no script, readable without its style sheet.

Plain functions instead of templates: a template engine costs 67 ms of import, ten times what this
page takes. The rule that keeps it safe: every string of the brief passes ``escape`` (quotes
included), attributes are always quoted, and the only values that are put in as they are, are the
drawings and their style sheet, which the pipeline makes from numbers and escapes by itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from html import escape

from opsbrief.model.brief import (
    Block,
    Brief,
    Cell,
    Entry,
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
from opsbrief.render.html.style import CSS

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_ID = re.compile(r"[EF]\d{1,9}")


def render(brief: Brief, drawings: Mapping[str, str], drawing_css: str = "") -> str:
    """Return the page; ``drawings`` maps a figure's name to its SVG, ``drawing_css`` styles all of them."""
    return "".join(_Page(brief, drawings).whole(drawing_css))


class _Page:
    """One page being written; knows which ids it explains, so that only those become links."""

    def __init__(self, brief: Brief, drawings: Mapping[str, str]) -> None:
        self._brief = brief
        self._drawings = drawings
        self._known = frozenset(_anchors(brief))

    def whole(self, drawing_css: str) -> Iterator[str]:
        brief = self._brief
        yield (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
            f'<meta name="generator" content="opsbrief {escape(brief.version)}">\n'
            f"<title>{escape(brief.title)}</title>\n<style>{CSS}{drawing_css}</style>\n</head>\n<body>\n"
            f'<header>\n<p class="service">{escape(brief.service)}</p>\n'
            f'<h1 class="{brief.tone}">{escape(brief.headline)}</h1>\n</header>\n<main>\n'
        )
        folded = False
        for section in brief.sections:
            if section.folded and not folded:
                folded = True
                yield '<h2 class="later">Later pages</h2>\n'
            yield from self._section(section)
        at = brief.collected_at.astimezone(UTC)
        yield (
            f"</main>\n<footer>\n<p>opsbrief {escape(brief.version)} · evidence of "
            f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M:%S} UTC</time></p>\n'
            "</footer>\n</body>\n</html>\n"
        )

    def _section(self, section: Section) -> Iterator[str]:
        name = escape(section.name)
        if section.folded:
            yield f'<details id="s-{name}">\n<summary><h3>{escape(section.heading)}</h3></summary>\n'
            yield '<div class="page">\n'
        else:
            yield f'<section id="s-{name}">\n'
            yield f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
        for block in section.blocks:
            yield from self._block(block)
        yield "</div>\n</details>\n" if section.folded else "</section>\n"

    def _block(self, block: Block) -> Iterator[str]:
        match block:
            case Scorecard():
                yield from self._scorecard(block.lines)
            case Table():
                yield from self._table(block)
            case Timeline():
                yield '<ol class="timeline">\n'
                yield from (self._entry(entry) for entry in block.entries)
                yield f"</ol>\n{_cut(block.cut)}"
            case Figure():
                yield self._figure(block)
            case Gallery():
                yield '<div class="gallery">\n'
                yield from (self._figure(figure) for figure in block.figures)
                yield "</div>\n"
            case Paragraph():
                yield f'<p class="{block.tone}">{escape(block.text)}{self._refs(block.refs)}</p>\n'
            case Verbatim():
                if block.caption:
                    yield f'<p class="caption">{escape(block.caption)}{self._refs(block.refs)}</p>\n'
                lines = "\n".join(escape(line) for line in block.lines)
                yield f"<pre>{lines}</pre>\n"

    def _scorecard(self, lines: Sequence[Line]) -> Iterator[str]:
        """Yield the lines as a description list; lines under one label are its descriptions."""
        above: str | None = None
        yield "<dl>\n"
        for line in lines:
            if line.label != above:
                yield f"{'' if above is None else '</div>'}<div>\n<dt>{escape(line.label)}</dt>\n"
                above = line.label
            detail = f' <span class="detail">– {escape(line.detail)}</span>' if line.detail else ""
            yield f'<dd class="{line.tone}">{escape(line.text)}{detail}{self._refs(line.refs)}</dd>\n'
        yield "</div></dl>\n"

    def _table(self, table: Table) -> Iterator[str]:
        name = escape(table.caption or "Table")
        if not table.rows:
            yield f'<p class="caption">{name}</p>\n' if table.caption else ""
            return
        yield f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table>\n'
        yield f"<caption>{name}</caption>\n" if table.caption else ""
        yield "<thead><tr>"
        ends = ["end" if column.align == "right" else "" for column in table.columns]
        for column, side in zip(table.columns, ends, strict=True):
            yield f'<th scope="col"{_class(side)}>{escape(column.heading)}</th>'
        yield "</tr></thead>\n<tbody>\n"
        for row in table.rows:
            yield "<tr>"
            for cell, side in zip(row, ends, strict=True):
                yield self._cell(cell, side)
            yield "</tr>\n"
        yield f"</tbody>\n</table></div>\n{_cut(table.cut)}"

    def _cell(self, cell: Cell, side: str) -> str:
        anchors = "".join(f'<span id="{name}"></span>' for name in cell.anchors if _ID.fullmatch(name))
        tone = "id" if anchors and len(cell.text) < 16 else "" if cell.tone == "plain" else cell.tone
        text = f"<code>{escape(cell.text)}</code>" if cell.code and cell.text else escape(cell.text)
        return f"<td{_class(side, tone)}>{anchors}{text}{self._refs(cell.refs)}</td>"

    def _entry(self, entry: Entry) -> str:
        return (
            f'<li class="{entry.tone}"><b>{escape(entry.at)}</b> '
            f"<span>{escape(entry.text)}{self._refs(entry.refs)}</span></li>\n"
        )

    def _figure(self, figure: Figure) -> str:
        """Return the drawing with its caption; without a drawing, the graph as text."""
        drawing = self._drawings.get(figure.name) or f"<pre>{escape(chr(10).join(figure.text))}</pre>"
        caption = f"<figcaption>{escape(figure.caption)}{self._refs(figure.refs)}</figcaption>\n"
        return f'<figure aria-label="{escape(figure.alt)}">\n{drawing}\n{caption}</figure>\n'

    def _refs(self, refs: Sequence[str]) -> str:
        """Return the ids behind a statement, small; those that this page explains are links."""
        if not refs:
            return ""
        shown = ", ".join(f'<a href="#{ref}">{ref}</a>' if ref in self._known else escape(ref) for ref in refs)
        return f' <span class="ref">[{shown}]</span>'


def _anchors(brief: Brief) -> Iterator[str]:
    """Yield every id that a cell of the brief explains."""
    for section in brief.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                for row in block.rows:
                    for cell in row:
                        yield from (name for name in cell.anchors if _ID.fullmatch(name))


def _cut(amount: int) -> str:
    return f'<p class="caption">… and {amount:,} more</p>\n' if amount else ""


def _class(*names: str) -> str:
    held = " ".join(name for name in names if name)
    return f' class="{held}"' if held else ""
