"""``opsbrief collect``: the main job."""

import json
from pathlib import Path

import click

from opsbrief import bundle, pipeline
from opsbrief.cli import gaps, options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.config import Config
from opsbrief.errors import DeliveryError
from opsbrief.model.brief import Brief
from opsbrief.model.window import Window
from opsbrief.resolve import explain
from opsbrief.source import Look


@click.command(
    epilog=f"""\b
Examples:
  opsbrief collect --since deploy
  opsbrief collect shop --since deploy --format html -o /var/www/briefs
  opsbrief collect shop --since deploy --send dev@example.com
  opsbrief collect --since 'friday 15:00' --until 'friday 18:00' --json

{options.TIMES}

Exit codes: 0 written, every source answered; 1 failed; 2 usage or configuration;
3 written with gaps; 4 no deploy found for --since deploy; 6 the condition of --fail-on holds."""
)
@options.service
@options.window
@options.sources
@click.option("--host", metavar="HOST", help="Look at this host over SSH. Default: the one that deviates most.")
@click.option("--format", "-f", "formats", multiple=True, help="html, md, txt, json, eml. Default: html,md,txt.")
@click.option("--out", "-o", type=click.Path(file_okay=False), metavar="DIR", help="Folder for the bundle.")
@options.share
@click.option("--pack", type=click.Choice(list(bundle.PACKS)), help="Write the bundle as one file of this kind.")
@click.option(
    "--send",
    is_flag=False,
    flag_value="",
    metavar="[TO]",
    help="Mail it too: to TO (comma list), or to the configured addresses.",
)
@click.option("--people", is_flag=True, help="Name the authors of commits; without it no person is named.")
@click.option("--dry-run", "-n", is_flag=True, help="Resolve the window, say what would be asked, and stop.")
@click.option("--fail-on", type=click.Choice(["changed", "gaps"]), help="End with exit code 6 when this is so.")
@options.as_json
@click.pass_obj
def command(
    settings: Settings, /, *, dry_run: bool, fail_on: str | None, as_json: bool, send: str | None, **given: object
) -> int:
    """Gather the evidence since an instant and write the brief."""
    config = settings.load()
    order = options.order(**given)
    to = options.split((send,)) if send else ()
    if send is not None:
        pipeline.sendable(config, to)
    if dry_run:
        return _rehearse(settings, config, order)
    with progress(settings) as listen:
        result = pipeline.collect(config, order, listen=listen, tell=lambda found: _tell(settings, found))
    code = 6 if fail_on and _holds(result, fail_on) else result.exit_code
    failed = mail(settings, config, result, to) if send is not None else None
    report(settings, result, failed.exit_code if failed else code, as_json=as_json)
    if failed:
        raise failed
    return code


def mail(
    settings: Settings,
    config: Config,
    result: pipeline.Result,
    to: tuple[str, ...],
    reply_to: Brief | None = None,
) -> DeliveryError | None:
    """Send the brief; a failure is told after everything else, for the bundle is there whatever happens."""
    from opsbrief.cli import send  # noqa: PLC0415 - only for --send

    try:
        send.deliver(settings, config, result.brief, result.bundle, to, reply_to=reply_to)
    except DeliveryError as error:
        return error
    return None


def _tell(settings: Settings, found: Window) -> None:
    for line in explain(found):
        settings.say(line)


def _rehearse(settings: Settings, config: Config, order: pipeline.Order) -> int:
    """Say what a run would ask; only the deploy logs are really asked."""
    _tell(settings, pipeline.window(config, order))
    for kind, source in pipeline.active(config, order, look=True):
        about = ""
        if isinstance(source, Look):
            about = f" about {source.host or 'the host that the analysis chooses'}"
        click.echo(f"would ask {source.name} ({kind}){about} within {source.timeout:g} s")
    return 0


def _holds(result: pipeline.Result, condition: str) -> bool:
    if condition == "gaps":
        return result.exit_code == 3
    return any(finding.code == "shift" and finding.verdict == "changed" for finding in result.findings)


def report(settings: Settings, result: pipeline.Result, code: int, *, as_json: bool) -> None:
    """Say what became of a run on standard error and where it is on standard output, or all of it as JSON."""
    if as_json:
        from opsbrief.render import data  # noqa: PLC0415 - only for --json

        click.echo(
            json.dumps(
                data.collected(
                    result.evidence,
                    result.findings,
                    result.brief,
                    result.bundle,
                    [artifact.name for artifact in result.artifacts],
                    code,
                ),
                ensure_ascii=False,
                indent=1,
            )
        )
        return
    gaps.tell(settings, result.evidence)
    if result.interrupted:
        settings.say("interrupted: this is the brief of what was there")
    settings.say(result.brief.pager)
    click.echo(_product(result))


def _product(result: pipeline.Result) -> Path:
    """Return what a person opens next: the page if there is one, else the bundle."""
    if result.bundle.is_file():
        return result.bundle
    names = [artifact.name for artifact in result.artifacts]
    for name in ("brief.html", "brief.md", "brief.txt", "brief.eml"):
        if name in names:
            return result.bundle / name
    return result.bundle
