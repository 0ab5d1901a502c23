"""``opsbrief show``: the receipt of a number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from opsbrief import bundle
from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode
from opsbrief.model.evidence import Evidence, Item, LogSample, Reading, Release, Run, Series


@click.command(
    epilog="""\b
Examples:
  opsbrief show opsbrief-shop-20261120T164000Z          the bundle: sources, cost, gaps, ids
  opsbrief show opsbrief-shop-20261120T164000Z E12      source, request, time, rows and digest of one id
  opsbrief show opsbrief-shop-20261120T164000Z F3       a finding and the evidence it rests on"""
)
@options.bundle
@click.argument("ident", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(settings: Settings, path: Path, ident: str | None, *, as_json: bool) -> None:  # noqa: ARG001 - click's
    """Show where a number of a brief comes from."""
    evidence = bundle.read(path)
    document = _item(evidence, ident) if ident else _whole(evidence)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        for row in _lines(document):
            click.echo(row)


def _whole(evidence: Evidence) -> dict[str, Any]:
    return {
        "format": "opsbrief.show/1",
        "window": encode(evidence.window),
        "sources": [
            {
                "name": outcome.source,
                "type": outcome.type,
                "status": outcome.status,
                "took": outcome.took,
                "requests": outcome.requests,
                "bytes": outcome.bytes,
                "ids": f"{outcome.items[0].id}..{outcome.items[-1].id}" if outcome.items else "",
            }
            for outcome in evidence.outcomes
        ],
        "gaps": [encode(gap) for gap in evidence.gaps],
        "redactions": dict(evidence.redactions),
    }


def _item(evidence: Evidence, ident: str) -> dict[str, Any]:
    for outcome in evidence.outcomes:
        for item in outcome.items:
            if item.id == ident:
                return {
                    "format": "opsbrief.item/1",
                    "id": ident,
                    "type": type(item).__name__.lower(),
                    "what": _what(item),
                    "origin": encode(item.origin),
                    **_rows(item),
                }
    from opsbrief.analysis import analyse  # noqa: PLC0415 - only when a finding is asked for

    for finding in analyse(evidence):
        if finding.id == ident:
            return {"format": "opsbrief.finding/1", **encode(finding)}
    raise click.UsageError(f"there is no {ident} in this bundle; without an id, the ids of every source are listed")


def _what(item: Item) -> str:
    if isinstance(item, Series):
        return f"series {item.name}" + (f", {item.span}" if item.span else "")
    if isinstance(item, LogSample):
        return f"log lines, {item.span}"
    if isinstance(item, Release):
        return f"release {item.base}..{item.head}"
    if isinstance(item, Reading):
        return f"{item.command} on {item.host}"
    if isinstance(item, Run):
        return f"{item.status} run on {item.host}"
    return str(getattr(item, "summary", "") or getattr(item, "output", ""))


def _rows(item: Item) -> dict[str, Any]:
    """Return how much an item is and, where they are few, its values."""
    if isinstance(item, Series):
        known = item.values[item.values == item.values]
        return {
            "start": item.start,
            "step": item.step,
            "points": len(item.values),
            "with_value": len(known),
            "minimum": float(known.min()) if len(known) else None,
            "maximum": float(known.max()) if len(known) else None,
        }
    if isinstance(item, LogSample):
        return {"total": item.total, "total_is_exact": item.total_is_exact, "records": len(item.records)}
    return {"item": {key: value for key, value in encode(item).items() if key not in {"origin", "id", "author"}}}


def _lines(document: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}{key}:"
            for row in value:
                yield f"{indent}  - " + ", ".join(
                    f"{name}: {item}" for name, item in row.items() if item not in ("", None)
                )
        elif key != "format":
            yield f"{indent}{key}: {value}"
