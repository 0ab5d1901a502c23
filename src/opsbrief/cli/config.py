"""``opsbrief config``: the configuration, its origin, its schema, its place."""

import json
import os
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING, Any

import click

from opsbrief.cli.settings import Settings

if TYPE_CHECKING:
    from opsbrief.config.check import Setting

_DOCUMENTS = ("collect", "diff", "findings", "rows", "show", "tick", "verify", "weekly", "window")


@click.group(
    epilog="""\b
Examples:
  opsbrief config show
  opsbrief config show --origin
  opsbrief config schema > opsbrief.schema.json
  opsbrief config path"""
)
def command() -> None:
    """Show the configuration, its origin, or its JSON Schema."""


@command.command()
@click.option("--origin", is_flag=True, help="Print where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def show(settings: Settings, *, origin: bool, as_json: bool) -> None:
    """Print every effective value; secrets stay references."""
    config = settings.load()
    if as_json:
        rows = [{"path": _dotted(item), "value": item.value, "origin": item.where} for item in config.settings]
        files = [str(path) for path in config.files]
        document = {"format": "opsbrief.config/1", "files": files, "config": nest(config.settings), "values": rows}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    elif origin:
        click.echo("\n".join(_origins(config.settings)))
    else:
        click.echo(_yaml(nest(config.settings)), nl=False)


@command.command()
@click.argument("document", required=False, type=click.Choice(_DOCUMENTS))
def schema(document: str | None) -> None:
    """Print the JSON Schema of opsbrief.yaml, for editors, or of a DOCUMENT that --json prints.

    \b
    In an editor with a YAML language server, the first line of opsbrief.yaml may name it:
    # yaml-language-server: $schema=opsbrief.schema.json
    DOCUMENT: collect (collect --json), findings (findings.json of a bundle), rows (metrics, logs, changes, alarms,
    deploys), window, show, verify, diff, tick (watch --json, one a line), weekly (and digest.json).
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    if document:
        click.echo((resources.files("opsbrief") / "schemas" / f"{document}.json").read_text(encoding="utf-8"), nl=False)
        return
    from opsbrief.config.schema import schema as make  # noqa: PLC0415 - imports every type of source

    click.echo(json.dumps(make(), ensure_ascii=False, indent=1))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def path(settings: Settings, *, as_json: bool) -> None:
    """Print which files are read, the strongest first, and where else was looked."""
    from pathlib import Path  # noqa: PLC0415 - kept with the import below, which needs it

    from opsbrief.config.layers import find  # noqa: PLC0415 - only commands that need it pay for it

    files = [Path(settings.config)] if settings.config else None
    found, searched = find(files, os.environ, Path.cwd())
    read = [str(file.path) for file in found if file.path and file.path.is_file()]
    if as_json:
        document = {"format": "opsbrief.paths/1", "files": read, "searched": [str(place) for place in searched]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for name in read:
        click.echo(name)
    for place in searched:
        if str(place) not in read:
            settings.say(f"not there: {place}")


def nest(settings: "Iterable[Setting]") -> dict[str, Any]:
    """Return the values as the mapping that a YAML file with all of them would hold."""
    root: dict[str, Any] = {}
    for item in settings:
        place: Any = root
        for part, after in zip(item.path, item.path[1:], strict=False):
            place = _child(place, part, [] if isinstance(after, int) else {})
        _child(place, item.path[-1], item.value)
    return root


def _child(place: Any, part: str | int, fresh: Any) -> Any:  # noqa: ANN401 - nested lists and mappings
    if isinstance(part, int):
        if part == len(place):
            place.append(fresh)
        return place[part]
    return place.setdefault(part, fresh)


def _dotted(item: "Setting") -> str:
    from opsbrief.config.tree import dotted  # noqa: PLC0415 - only commands that need it pay for it

    return dotted(item.path)


def _origins(settings: "Iterable[Setting]") -> list[str]:
    rows = [(_dotted(item), json.dumps(item.value, ensure_ascii=False), item.where) for item in settings]
    wide = min(56, max(len(path) for path, _, _ in rows))
    middle = min(44, max(len(value) for _, value, _ in rows))
    return [f"{path:<{wide}}  {value:<{middle}}  {where}" for path, value, where in rows]


def _yaml(values: dict[str, Any]) -> str:
    import yaml  # noqa: PLC0415 - only commands that need it pay for it

    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=110)
