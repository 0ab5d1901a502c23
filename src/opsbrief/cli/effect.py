"""``opsbrief effect``: before and after a fix."""

from pathlib import Path

import click

from opsbrief import bundle, pipeline
from opsbrief.cli import collect, options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.model.brief import Brief
from opsbrief.model.finding import Verdict
from opsbrief.model.window import Window
from opsbrief.resolve import explain


@click.command(
    epilog=f"""\b
Examples:
  opsbrief effect opsbrief-shop-20261120T164000Z --fix deploy
  opsbrief effect opsbrief-shop-20261120T164000Z --fix 17:20 --format html
  opsbrief effect opsbrief-shop-20261120T164000Z --fix deploy:2.14.1 --send dev@example.com
  opsbrief effect opsbrief-shop-20261120T164000Z --fix deploy --until '1h ago' --json

"fixed" is said only when the data leave no room for a fifth of the change; until then the time that
is still needed is said. The sources are those of the configuration, the series those of the bundle.

{options.TIMES}

Exit codes: 0 written, every source answered; 1 failed, as when the bundle is broken; 2 usage or
configuration, as a fix before the release; 3 written with gaps, or nothing can be told of the time
after the fix; 4 no deploy found for --fix deploy; 6 the condition of --fail-on holds."""
)
@click.argument("path", metavar="BUNDLE", type=click.Path(exists=True, path_type=Path))
@click.option("--fix", required=True, metavar="T", help="When the fix went out; see below.")
@click.option("--until", "-u", default="now", metavar="T", show_default=True, help="End of the time after the fix.")
@options.sources
@click.option("--format", "-f", "formats", multiple=True, help="html, md, txt, json, eml. Default: html,md,txt.")
@click.option("--out", "-o", type=click.Path(file_okay=False), metavar="DIR", help="Folder for the new bundle.")
@click.option("--pack", type=click.Choice(list(bundle.PACKS)), help="Write the bundle as one file of this kind.")
@click.option(
    "--send",
    is_flag=False,
    flag_value="",
    metavar="[TO]",
    help="Mail it too, as an answer to the first brief's mail: to TO (comma list), or to the configured addresses.",
)
@click.option("--people", is_flag=True, help="Name the authors of commits; without it no person is named.")
@click.option("--fail-on", type=click.Choice(["unfixed", "gaps"]), help="End with exit code 6 when this is so.")
@options.as_json
@click.pass_obj
def command(
    settings: Settings,
    /,
    *,
    path: Path,
    fix: str,
    send: str | None,
    fail_on: str | None,
    as_json: bool,
    **given: object,
) -> int:
    """Show what a fix did to everything that a brief called changed."""
    config = settings.load()
    order = options.order(service=None, since=fix, baseline=(), **given)
    to = options.split((send,)) if send else ()
    if send is not None:
        pipeline.sendable(config, to)
    with progress(settings) as listen:
        result = pipeline.effect(config, path, order, listen=listen, tell=lambda found: _tell(settings, found))
    code = 6 if fail_on and _holds(result, fail_on) else code_of(result)
    failed = collect.mail(settings, config, result, to, _brief(path)) if send is not None else None
    collect.report(settings, result, failed.exit_code if failed else code, as_json=as_json)
    if failed:
        raise failed
    return code


def _brief(path: Path) -> Brief:
    """Return the brief that is answered."""
    _findings, brief, _artifacts = pipeline.again(bundle.read(path), ())
    return brief


def _tell(settings: Settings, found: Window) -> None:
    for line in explain(found):
        settings.say(line)


def _verdict(result: pipeline.Result) -> Verdict:
    return next(finding.verdict for finding in result.findings if finding.code == "effect-summary")


def code_of(result: pipeline.Result) -> int:
    """Return 3 as well when every source answered and still nothing can be told."""
    return 3 if _verdict(result) is Verdict.CANNOT_TELL else result.exit_code


def _holds(result: pipeline.Result, condition: str) -> bool:
    return code_of(result) == 3 if condition == "gaps" else _verdict(result) is not Verdict.FIXED
