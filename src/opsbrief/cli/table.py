"""Rows for a terminal, for a pipe, as CSV and as JSON lines of one document."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from opsbrief.cli.settings import Settings

Row = Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows are printed: one of "text", "csv" and "json"."""

    form: str
    name: str  # of the JSON document: "opsbrief.NAME/1"


def forms(function: "click.decorators.FC") -> "click.decorators.FC":
    """Add --json and --csv."""
    function = click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")(function)
    return click.option("--json", "form", flag_value="json", help="Print one JSON document.")(function)


def show(settings: Settings, shape: Shape, headings: Mapping[str, str], rows: Sequence[Row], **more: object) -> None:
    """Print ``rows``; ``headings`` maps keys to column titles and says which columns a person sees.

    ``more`` are further members of the JSON document.
    """
    if shape.form == "json":
        document = {"format": f"opsbrief.{shape.name}/1", **more, "rows": list(rows)}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    elif shape.form == "csv":
        click.echo(_csv(headings, rows), nl=False)
    elif settings.out.is_terminal:
        _draw(settings, headings, rows)
    else:
        click.echo(_plain(headings, rows), nl=False)


def _csv(headings: Mapping[str, str], rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = list(dict.fromkeys([*headings, *(key for row in rows for key in row)]))
    writer.writerow(keys)
    writer.writerows([_inert(row.get(key)) for key in keys] for row in rows)
    return out.getvalue()


def _inert(value: str | float | None) -> str | float | None:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + value
    return value


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _plain(headings: Mapping[str, str], rows: Sequence[Row]) -> str:
    table = [list(headings.values()), *([_cell(row.get(key)) for key in headings] for row in rows)]
    widths = [min(60, max(len(row[column]) for row in table)) for column in range(len(headings))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines) + "\n"


def _draw(settings: Settings, headings: Mapping[str, str], rows: Sequence[Row]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only on a terminal
    from rich.text import Text  # noqa: PLC0415 - same

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in headings.values():
        table.add_column(Text(title), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(key))) for key in headings))
    settings.out.print(table)


def clock(at: datetime, zone: str) -> str:
    """Return an instant as a person in ``zone`` reads it."""
    return f"{at.astimezone(ZoneInfo(zone)):%a %d %b %H:%M:%S}"


def short(at: object, zone: str) -> str | None:
    """Return an ISO time as ``clock`` does; None for what is no time."""
    return clock(datetime.fromisoformat(at), zone) if isinstance(at, str) and at else None
