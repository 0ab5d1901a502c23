"""``opsbrief sources``: the types of source, what they give, and their options."""

import json
from typing import TYPE_CHECKING, Any

import click

from opsbrief.cli.settings import Settings

if TYPE_CHECKING:
    from opsbrief.config.option import Option


@click.command(
    epilog="""\b
Examples:
  opsbrief sources
  opsbrief sources graphite
  opsbrief sources elasticsearch --json"""
)
@click.argument("kind", metavar="[TYPE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def command(settings: Settings, *, kind: str | None, as_json: bool) -> None:
    """List the types of source and their options."""
    # Imported here: every type is, to look at its class, and numpy with them.
    from opsbrief import sources  # noqa: PLC0415 - see above
    from opsbrief.config.option import suggest  # noqa: PLC0415 - same

    known = sources.kinds()
    if kind is not None and kind not in known:
        raise click.UsageError(f"there is no type of source {kind!r}; {suggest(kind, known)}")
    found = [describe(name) for name in ([kind] if kind else known)]
    if as_json:
        click.echo(json.dumps({"format": "opsbrief.sources/1", "types": found}, ensure_ascii=False, indent=1))
    elif kind:
        click.echo(_detail(found[0]), nl=False)
    else:
        for one in found:
            click.echo(_summary(one), nl=False)
        settings.say("'opsbrief sources TYPE' tells what each option means and shows an example")


def describe(kind: str) -> dict[str, Any]:
    """Return what a type of source is: its one line, what it gives, its options."""
    from opsbrief import sources  # noqa: PLC0415 - imports the module of the type
    from opsbrief.config.option import options  # noqa: PLC0415 - same

    cls = sources.load(kind)
    own = [_row(option) for option in options(cls).values()]
    return {
        "type": kind,
        "about": (cls.__doc__ or "").strip().partition("\n")[0],
        "gives": sorted(cls.gives),
        # What every source has comes last: what makes this one special is what people look for.
        "options": sorted(own, key=lambda row: (not row["required"], row["name"] in _COMMON)),
    }


_COMMON = {"timeout", "auth", "tls", "proxy", "headers"}


def _row(option: "Option") -> dict[str, Any]:
    from opsbrief.config.option import nested, options, shown, word  # noqa: PLC0415 - loaded already

    inner = nested(option.hint)
    return {
        "name": option.key,
        "type": word(option.hint, option.field.metadata),
        "required": option.required,
        "default": None if option.required or inner else shown(option.default),
        "help": option.help,
        "options": [_row(one) for one in options(inner).values()] if inner else [],
    }


def _summary(one: dict[str, Any]) -> str:
    names = [f"{row['name']}*" if row["required"] else row["name"] for row in one["options"]]
    return f"{one['type']}: {one['about']}\n  gives    {', '.join(one['gives'])}\n  options  {', '.join(names)}\n"


def _detail(one: dict[str, Any]) -> str:
    lines = [f"{one['type']}: {one['about']}", f"gives: {', '.join(one['gives'])}", "", "options:"]
    for row in one["options"]:
        lines += _option(row, "  ")
    return "\n".join([*lines, "", "example:", *_example(one)]) + "\n"


def _option(row: dict[str, Any], indent: str) -> list[str]:
    notes = [row["type"]]
    if row["required"]:
        notes.append("required")
    elif row["default"] not in (None, "", [], {}):
        notes.append(f"default {json.dumps(row['default'], ensure_ascii=False)}")
    lines = [f"{indent}{row['name']:<{18 - len(indent)}}{row['help'] or '-'} ({'; '.join(notes)})"]
    for inner in row["options"]:
        lines += _option(inner, indent + "  ")
    return lines


def _example(one: dict[str, Any]) -> list[str]:
    """Return a YAML example with every required option, and credentials where the type takes some."""
    lines = ["  sources:", f"    {one['type']}:", f"      type: {one['type']}"]
    for row in one["options"]:
        if row["required"] or row["name"] == "path":
            lines.append(f"      {row['name']}: {_sample(row)}")
        elif row["name"] == "auth":
            lines.append("      auth: {user: opsbrief, password: {env: OPSBRIEF_PASSWORD}}")
    return lines


def _sample(row: dict[str, Any]) -> str:
    if row["type"].startswith("one of "):
        return str(row["type"]).removeprefix("one of ").split(", ")[0]
    if row["type"].startswith("a list of ") and row["name"] != "path":
        return "[PROGRAM, ARGUMENT]" if row["name"] == "command" else "[ONE, TWO]"
    samples = {"url": "https://host.example", "path": "/path/to/it"}
    return samples.get(row["name"]) or {"a path": "/path/to/it", "a whole number": "1"}.get(row["type"], "TEXT")
