"""``opsbrief weekly``: every release of the week in one digest, for cron."""

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from opsbrief import phrase, pipeline, text, weekly
from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.config import Config
from opsbrief.errors import DeliveryError
from opsbrief.model.digest import Report
from opsbrief.render import digest
from opsbrief.timespec.length import duration, spell
from opsbrief.weekly import ledger, lock, period

_SERVICES = 8  # that the block about gaps names
_LEAST, _MOST = timedelta(minutes=10), timedelta(days=2)  # of the time after a release that is looked at
_PAGES = ("brief.html", "brief.md", "brief.txt")


@click.command(
    epilog="""\b
Examples:
  opsbrief weekly
  opsbrief weekly shop billing --week 2026-W47
  opsbrief weekly --since 7d --format txt
  opsbrief weekly --cron --only-if-changed --jitter 10m -o /var/lib/opsbrief

The folder is called after the period (opsbrief-weekly-2026-W47); a second run replaces it in one step.
What earlier digests have told is kept in the state folder of the user and not told again.

Exit codes: 0 written, or nothing was news; 1 failed; 2 usage or configuration; 3 written with gaps;
5 another run holds the lock."""
)
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--week", metavar="WEEK", help="An ISO week, 2026-W47. Default: the last whole week.")
@click.option("--since", "-s", metavar="T", help="From this time until now, instead of a week.")
@click.option("--look", metavar="L", default="4h", show_default=True, help="How long to look after each release.")
@click.option("--format", "-f", "formats", multiple=True, help="html, md, txt, json. Default: html,md,txt.")
@click.option(
    "--out", "-o", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the digest."
)
@click.option(
    "--send",
    is_flag=False,
    flag_value="",
    metavar="[TO]",
    help="Mail it too: to TO (comma list), or to the configured addresses.",
)
@click.option("--only-if-changed", is_flag=True, help="Write nothing when nothing is news.")
@click.option("--cron", is_flag=True, help="Say nothing on success, one short block when something is missing.")
@click.option("--wait", metavar="L", default="0s", help="Wait so long for another run to finish.")
@click.option("--jitter", metavar="L", default="0s", help="Start up to so much later, by chance.")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="S", help="Seconds each source may take.")
@click.option(
    "--workers", type=click.IntRange(0, 64), metavar="N", default=0, help="Processes. Default: one for each CPU."
)
@click.option("--scheduler", metavar="ADDRESS", default="", help="Use the Dask cluster of this scheduler.")
@options.as_json
@click.pass_obj
def command(
    settings: Settings,
    /,
    *,
    send: str | None,
    cron: bool,
    wait: str,
    jitter: str,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options above
) -> int:
    """Sum up every release of the week, for cron."""
    settings.quiet = settings.quiet or cron
    config = settings.load()
    to = options.split((send,)) if send else ()
    if send is not None:
        pipeline.sendable(config, to)
    weekly.chosen(config, given["services"])
    patience, delay = duration(wait).total_seconds(), duration(jitter).total_seconds()
    _order(config, datetime.now(UTC), **given)  # what is wrong with it is said at once
    time.sleep(random.SystemRandom().uniform(0, delay))
    book = ledger.place(config.files)
    with lock.held(book.with_suffix(".lock"), patience):
        now = datetime.now(UTC)
        order = _order(config, now, **given)
        result = weekly.run(config, order, book, now=now, tell=lambda report: _tell(settings, report))
        refused = _mail(settings, config, result, to) if send is not None and result.folder else ""
        weekly.remember(result, book)
    _say(settings, result, cron=cron, as_json=as_json)
    if refused:
        raise DeliveryError(refused, "the others have it")
    return result.exit_code


def _order(config: Config, now: datetime, **given: Any) -> weekly.Order:  # noqa: ANN401 - the options above
    week, since, look = given.pop("week"), given.pop("since"), duration(given.pop("look"))
    if week and since:
        raise click.UsageError("--week and --since exclude each other")
    if not _LEAST <= look <= _MOST:
        raise click.UsageError(f"--look is between {spell(_LEAST)} and {spell(_MOST)}")
    return weekly.Order(
        period=period.since(since, now, config.timezone) if since else period.week(week, now, config.timezone),
        look=look,
        formats=options.split(given.pop("formats")) or pipeline.USUAL,
        **given,
    )


def _tell(settings: Settings, report: Report) -> None:
    name = report.service or "all services"
    told = f"{phrase.count(len(report.episodes), 'release')}, {phrase.count(len(report.missing), 'gap')}"
    settings.say(f"{name}: {report.error or told}")


def _mail(settings: Settings, config: Config, result: weekly.Result, to: tuple[str, ...]) -> str:
    """Send the digest; return who was refused. Raises DeliveryError when nobody took it: it is told again then."""
    try:
        receipt = pipeline.send(config, result.brief, to, auto=True, tell=settings.say)
    except DeliveryError as error:
        again = f"the digest is in {result.folder}; the same command sends it again"
        raise DeliveryError(error.message, f"{error.hint}\n{again}".strip()) from error
    settings.say(f"sent to {', '.join(receipt.accepted)} by {receipt.relay}")
    return "\n".join(f"not sent to {one.address}: {one.reason}" for one in receipt.refused)


def _say(settings: Settings, result: weekly.Result, *, cron: bool, as_json: bool) -> None:
    """Report the end of a run: the product on standard output, for cron only what is missing."""
    if cron and result.exit_code:
        click.echo("\n".join(_missing(result)), err=True)
    if as_json and not cron:
        document = digest.data(result.digest, result.brief)
        folder = str(result.folder) if result.folder else None
        document |= {"folder": folder, "artifacts": list(result.names), "exit": result.exit_code}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    elif result.folder and not cron:
        for line in _missing(result) if result.exit_code else ():
            settings.say(line)
        settings.say(result.brief.pager)
        click.echo(next((result.folder / name for name in _PAGES if name in result.names), result.folder))
    elif settings.live:
        settings.say("nothing is news, so nothing was written")


def _missing(result: weekly.Result) -> Iterator[str]:
    """Yield one short block: how many services, the first gaps of each, where the digest is."""
    reports = [report for report in result.digest.reports if report.error or report.missing]
    every = phrase.count(len(result.digest.reports), "service")
    yield f"opsbrief weekly {result.digest.period.name}: something is missing for {len(reports)} of {every}"
    for report in reports[:_SERVICES]:
        gaps = report.missing
        first = f"{gaps[0].source}: {gaps[0].detail}" if gaps else ""
        more = f" (and {phrase.count(len(gaps) - 1, 'more gap')})" if len(gaps) > 1 else ""
        yield f"  {report.service or 'all services'}: {text.line(report.error or first, 160)}{more}"
    if len(reports) > _SERVICES:
        yield f"  and {len(reports) - _SERVICES} more"
    if result.folder:
        yield f"  {result.folder}"
