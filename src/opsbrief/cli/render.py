"""``opsbrief render``: the same brief again, from the bundle alone."""

import sys
from pathlib import Path

import click

from opsbrief import bundle, pipeline
from opsbrief.cli import options
from opsbrief.cli.settings import Settings

_PLACES = {"html": "brief.html", "md": "brief.md", "txt": "brief.txt", "json": "findings.json", "eml": "brief.eml"}


@click.command(
    epilog="""\b
Examples:
  opsbrief render opsbrief-shop-20261120T164000Z
  opsbrief render opsbrief-shop-20261120T164000Z --format md -o /tmp/brief

Without -o: txt goes to the terminal, md, html, json and eml (a draft for a mail program) to standard output."""
)
@options.bundle
@click.option("--format", "-f", "form", type=click.Choice(list(_PLACES)), help="Default: for the terminal.")
@click.option("--out", "-o", type=click.Path(file_okay=False, path_type=Path), help="Write the files into this folder.")
@click.option("--people", is_flag=True, help="Name the authors of commits.")
@click.pass_obj
def command(settings: Settings, path: Path, form: str | None, out: Path | None, *, people: bool) -> None:
    """Write the brief of a bundle again, offline."""
    evidence = bundle.read(path)
    _findings, brief, artifacts = pipeline.again(evidence, (form,) if form else (), people=people)
    if out:
        for file in bundle.extract(out, artifacts):
            click.echo(file)
    elif form:
        wanted = next(artifact for artifact in artifacts if artifact.name == _PLACES[form])
        sys.stdout.buffer.write(wanted.data)
    else:
        from opsbrief.render import terminal  # noqa: PLC0415 - rich only where it is used

        terminal.render(brief, settings.out)
