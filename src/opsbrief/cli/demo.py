"""``opsbrief demo``: the story of a bad release, on real local storage."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from opsbrief import pipeline
from opsbrief.cli import options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.errors import WindowError


@click.command(
    epilog="""\b
Examples:
  opsbrief demo
  opsbrief demo -o /tmp/story && cd /tmp/story && opsbrief logs --since deploy

It needs no server, no configuration and no network: only git. It opens nothing by itself."""
)
@click.option(
    "--out",
    "-o",
    default="opsbrief-demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the story; must be new or empty.",
)
@click.option("--at", metavar="T", help="Let the story end at this ISO time instead of now.")
@click.option("--format", "-f", "formats", multiple=True, help="html, md, txt, json, eml. Default: html,md,txt.")
@click.pass_obj
def command(settings: Settings, out: Path, at: str | None, formats: tuple[str, ...]) -> int:
    """Build the story of a bad release on this disk and write its brief."""
    from opsbrief.config import load  # noqa: PLC0415 - only once it is needed
    from opsbrief.demo import build  # noqa: PLC0415 - same

    end = _end(at)
    settings.say(f"building the story in {out}/: whisper files, logs, repositories, Puppet's reports, alarms, deploys")
    config = load([build(out, end)], {})
    settings.say(f"$ cd {out} && opsbrief collect shop --since deploy" + (f" --until {at}" if at else ""))
    order = pipeline.Order(service="shop", since="deploy", until=end.isoformat() if at else "now", out=out / "briefs")
    if formats:
        order = replace(order, formats=options.split(formats))
    with progress(settings) as listen:
        result = pipeline.collect(config, order, now=end, listen=listen)
    settings.say(result.brief.pager)
    settings.say(f"the graphs and the evidence are beside it; 'opsbrief render {result.bundle}' reads it here")
    click.echo(result.bundle / "brief.html" if "html" in order.formats else result.bundle)
    return result.exit_code


def _end(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        end = datetime.fromisoformat(at)
    except ValueError:
        raise WindowError(f"--at {at!r} is no ISO time", "for example 2026-11-20T17:40+01:00") from None
    if end.tzinfo is None:
        raise WindowError(f"--at {at!r} has no offset", f"for example {at}+01:00")
    return end.astimezone(UTC)
