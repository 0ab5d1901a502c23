"""The HTML body of a mail: one column of tables with styles on every element.

Mail programs are not browsers: many drop style sheets, variables, anchors and folds, and cut a
body at about 100 KB. What is here is what all of them show (caniemail.com). Every string passes
``_say``; attributes are always quoted; the pictures are parts of the same message (cid:).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

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
    Tone,
    Verbatim,
)

WIDTH = 640  # pixels of the column
INNER = 600  # pixels a picture may take in it

_LINK = re.compile(r":(?=//)|\bwww(?=\.)|@(?=\w)", re.IGNORECASE)
_SANS = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:Consolas,Menlo,'DejaVu Sans Mono',monospace;font-size:12px"
_INKS: Mapping[Tone, str] = {
    "plain": "#1f2328",
    "bad": "#b3261e",
    "good": "#00694a",
    "unknown": "#7a4d00",
    "muted": "#59636e",
}
_SOFT = "color:#59636e"
_CELL = "padding:3px 6px 3px 0;border-bottom:1px solid #e3e6ea;vertical-align:top;font-size:13px;line-height:18px"
_TABLE = 'cellpadding="0" cellspacing="0" border="0" width="100%"'


def render(brief: Brief, pictures: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """Return the body; ``pictures`` maps a figure's name to the Content-ID of its picture.

    A figure without one is shown as text. ``notes`` stand at the end: what is attached, what was left out.
    """
    return "".join(_whole(brief, pictures, notes))


def _whole(brief: Brief, pictures: Mapping[str, str], notes: Sequence[str]) -> Iterator[str]:
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light">\n'  # the pictures are light; half a dark mail is unreadable
        '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">\n'
        f"<title>{escape(brief.title)}</title>\n</head>\n"
        '<body style="margin:0;padding:0;background-color:#f3f4f6">\n'
        f'<table role="presentation" {_TABLE} bgcolor="#f3f4f6"><tr><td align="center">\n'
        f'<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="{WIDTH}" bgcolor="#ffffff" '
        f'style="width:100%;max-width:{WIDTH}px;background-color:#ffffff"><tr>'
        f'<td style="padding:20px;{_SANS};color:{_INKS["plain"]};text-align:left">\n'
        f'<p style="margin:0 0 4px;font-size:13px;{_SOFT}">{_say(brief.service)}</p>\n'
        f'<h1 style="margin:0 0 16px;font-size:20px;line-height:26px;color:{_INKS[brief.tone]}">'
        f"{_say(brief.headline)}</h1>\n"
    )
    for section in brief.sections:
        yield from _section(section, pictures)
    if notes:
        yield f'<p style="margin:20px 0 0;padding-top:12px;border-top:1px solid #d0d7de;font-size:13px;{_SOFT}">'
        yield f"{'<br>'.join(_say(note) for note in notes)}</p>\n"
    yield "</td></tr></table>\n</td></tr></table>\n</body>\n</html>\n"


def _section(section: Section, pictures: Mapping[str, str]) -> Iterator[str]:
    if section.heading:
        rule = "border-top:1px solid #d0d7de;padding-top:14px;" if section.folded else ""
        yield f'<h2 style="margin:18px 0 6px;{rule}font-size:15px;line-height:20px">{_say(section.heading)}</h2>\n'
    for block in section.blocks:
        yield from _block(block, pictures)


def _block(block: Block, pictures: Mapping[str, str]) -> Iterator[str]:
    match block:
        case Scorecard():
            yield from _scorecard(block.lines)
        case Table():
            yield from _table(block)
        case Timeline():
            rows = ((entry.at, _said(entry.text, entry.refs, entry.tone)) for entry in block.entries)
            yield from _pairs(rows)
            yield _cut(block.cut)
        case Figure():
            yield from _figure(block, pictures, INNER)
        case Gallery():
            for figure in block.figures:
                yield from _figure(figure, pictures, INNER * 4 // 5)
        case Paragraph():
            said = _said(block.text, block.refs, block.tone)
            yield f'<p style="margin:6px 0;font-size:14px;line-height:20px">{said}</p>\n'
        case Verbatim():
            yield _caption(block.caption, block.refs) if block.caption else ""
            lines = "\n".join(_say(line) for line in block.lines)
            yield (
                f'<pre style="margin:4px 0 10px;padding:6px 8px;background-color:#f3f4f6;{_MONO};line-height:17px;'
                f'white-space:pre-wrap;word-break:break-word">{lines}</pre>\n'
            )


def _scorecard(lines: Sequence[Line]) -> Iterator[str]:
    above = ""
    rows = []
    for line in lines:
        detail = f' <span style="{_SOFT}">– {_say(line.detail)}</span>' if line.detail else ""
        rows.append(
            ("" if line.label == above else line.label, _said(line.text, (), line.tone) + detail + _refs(line.refs))
        )
        above = line.label
    yield from _pairs(rows)


def _pairs(rows: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield labels with what belongs to them; the second of a pair is already encoded."""
    yield f'<table {_TABLE} style="margin:0 0 8px">\n'
    for label, said in rows:
        yield (
            f'<tr><td width="100" style="width:100px;padding:2px 8px 2px 0;vertical-align:top;font-size:12px;'
            f'line-height:20px;{_SOFT}">{_say(label)}</td>'
            f'<td style="padding:2px 0;vertical-align:top;font-size:14px;line-height:20px">{said}</td></tr>\n'
        )
    yield "</table>\n"


def _table(table: Table) -> Iterator[str]:
    yield _caption(table.caption, ()) if table.caption else ""
    if table.rows:
        sides = [column.align for column in table.columns]
        yield f'<table {_TABLE} style="margin:0 0 8px;border-collapse:collapse">\n<tr>'
        for column in table.columns:
            style = f"{_CELL};{_SOFT};font-weight:normal"
            yield f'<th align="{column.align}" scope="col" style="{style}">{_say(column.heading)}</th>'
        yield "</tr>\n"
        for row in table.rows:
            yield f"<tr>{''.join(_cell(cell, side) for cell, side in zip(row, sides, strict=True))}</tr>\n"
        yield "</table>\n"
    yield _cut(table.cut)


def _cell(cell: Cell, side: str) -> str:
    short = side == "right" or len(cell.text) <= 12  # words of such a cell break badly
    style = f"{_CELL};{'white-space:nowrap' if short else 'word-break:break-word'}"
    if cell.code and cell.text:
        return f'<td align="{side}" style="{style};{_MONO}">{_said(cell.text, cell.refs, cell.tone)}</td>'
    return f'<td align="{side}" style="{style}">{_said(cell.text, cell.refs, cell.tone)}</td>'


def _figure(figure: Figure, pictures: Mapping[str, str], width: int) -> Iterator[str]:
    if cid := pictures.get(figure.name):
        yield (
            f'<img src="cid:{escape(cid)}" width="{width}" alt="{escape(figure.alt)}" '
            f'style="display:block;width:100%;max-width:{width}px;height:auto;border:0;font-size:14px">\n'
        )
    else:
        lines = "\n".join(_say(line) for line in figure.text)
        yield f'<pre style="margin:4px 0;{_MONO};overflow:auto">{lines}</pre>\n' if lines else ""
    yield _caption(figure.caption, figure.refs)


def _caption(words: str, refs: Sequence[str]) -> str:
    return f'<p style="margin:4px 0 10px;font-size:13px;line-height:18px;{_SOFT}">{_say(words)}{_refs(refs)}</p>\n'


def _cut(amount: int) -> str:
    return _caption(f"… and {amount:,} more", ()) if amount else ""


def _said(words: str, refs: Sequence[str], tone: Tone) -> str:
    inner = _say(words)
    if tone != "plain" and words:
        inner = f'<span style="color:{_INKS[tone]}">{inner}</span>'
    return inner + _refs(refs)


def _refs(refs: Sequence[str]) -> str:
    return f' <span style="font-size:11px;{_SOFT}">[{escape(", ".join(refs))}]</span>' if refs else ""


def _say(words: str) -> str:
    """Encode words; a zero-width space keeps mail programs from making links of addresses found in evidence."""
    return _LINK.sub(r"\g<0>&#8203;", escape(words))
