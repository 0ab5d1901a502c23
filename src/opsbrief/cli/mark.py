"""``opsbrief mark``: write down when something was done."""

import json
from typing import TYPE_CHECKING, cast

import click

from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode

if TYPE_CHECKING:
    from opsbrief.remember import Kind


@click.command(
    epilog="""\b
Examples:
  opsbrief mark deploy '2.14.1 to 8 hosts'
  opsbrief mark fix 'pool limit lowered to 250' --at 16:12 --service shop
  opsbrief mark note 'customers report slow search' --to graphite

The first version or commit id in a deploy's text is its name. Marks go to the sources that the configuration
lists under marks; the next brief shows fixes and notes in its timeline and knows the deploy. What was written
is printed, one place a line. Exit codes: 0 written everywhere; 1 not everywhere; 2 nowhere to write to."""
)
@click.argument("kind", type=click.Choice(["deploy", "fix", "note"]))
@click.argument("text")
@click.option("--at", default="now", metavar="T", show_default=True, help="When it was: any time that --since takes.")
@click.option("--service", metavar="SERVICE", help="Whose mark it is; default: the only service.")
@click.option("--to", multiple=True, metavar="SRC", help="Only into this source. May be given twice.")
@options.as_json
@click.pass_obj
def command(
    settings: Settings, kind: str, text: str, at: str, service: str | None, to: tuple[str, ...], *, as_json: bool
) -> int:
    """Write a deploy, a fix or a note to Graphite, Grafana or a deploy log."""
    from opsbrief.remember import mark  # noqa: PLC0415 - after --help

    config = settings.load()
    if not text.strip():
        raise click.UsageError("TEXT is empty; say in a few words what was done")
    done = mark(config, cast("Kind", kind), text, at=at, service=service, to=options.split(to))
    for failed in done.failed:
        settings.say(f"not written to {failed.source}: {failed.error}")
    if as_json:
        document = {
            "format": "opsbrief.mark/1",
            **encode(done.marking),
            "written": done.written,
            "failed": {failed.source: str(failed.error) for failed in done.failed},
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        for where in done.written.values():
            click.echo(where)
    return 1 if done.failed else 0
