"""``opsbrief window``: only resolve and explain."""

import json

import click

from opsbrief import pipeline
from opsbrief.cli import options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode
from opsbrief.resolve import explain


@click.command(
    epilog=f"""\b
Examples:
  opsbrief window --since deploy
  opsbrief window shop --since 'deploy~1' --until deploy

{options.TIMES}"""
)
@options.service
@options.window
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="S", help="Seconds each deploy log may take.")
@options.as_json
@click.pass_obj
def command(settings: Settings, /, *, as_json: bool, **given: object) -> None:
    """Resolve --since and --until and explain how."""
    config = settings.load()
    with progress(settings) as listen:
        found = pipeline.window(config, options.order(**given), listen=listen)
    if as_json:
        click.echo(json.dumps({"format": "opsbrief.window/1", **encode(found)}, ensure_ascii=False, indent=1))
        return
    for line in explain(found):
        click.echo(line)
