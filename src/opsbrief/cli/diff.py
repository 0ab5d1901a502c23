"""``opsbrief diff``: how two bundles differ."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsbrief import bundle
from opsbrief.cli import options
from opsbrief.cli.settings import Settings

if TYPE_CHECKING:
    from opsbrief.review.diff import Row


@click.command(
    epilog="""\b
Examples:
  opsbrief diff opsbrief-shop-20261113T164000Z opsbrief-shop-20261120T164000Z
  opsbrief diff yesterday.tgz today.tgz --json

Each line is one difference: what it is about, what A says, what B says ("-": it does not speak of it).
Levels are told from a tenth on. Ends with 0 whether the two differ or not."""
)
@click.argument("one", metavar="A", type=click.Path(exists=True, path_type=Path))
@click.argument("other", metavar="B", type=click.Path(exists=True, path_type=Path))
@options.as_json
@click.pass_obj
def command(settings: Settings, one: Path, other: Path, *, as_json: bool) -> None:
    """Show how two bundles differ: window, verdicts, levels, patterns, gaps."""
    from opsbrief.analysis import analyse  # noqa: PLC0415 - numpy is not for --help
    from opsbrief.review.diff import diff  # noqa: PLC0415 - same

    a, b = bundle.read(one), bundle.read(other)
    rows = list(diff(a, analyse(a), b, analyse(b)))
    if as_json:
        document = {"format": "opsbrief.diff/1", "a": str(one), "b": str(other), "rows": [asdict(row) for row in rows]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for text in _lines(rows):
        click.echo(text)
    if not rows:
        settings.say("no difference")


def _lines(rows: "Sequence[Row]") -> Iterator[str]:
    from opsbrief.review.diff import PARTS  # noqa: PLC0415 - as above

    for part in PARTS:
        mine = [row for row in rows if row.part == part]
        if mine:
            yield part.upper()
        for row in mine:
            yield f"  {row.what}: {row.a} → {row.b}"
