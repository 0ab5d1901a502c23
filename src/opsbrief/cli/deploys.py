"""``opsbrief deploys``: what the deploy logs know."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from opsbrief.cli import table
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode, stamp
from opsbrief.pipeline import TIMEOUT
from opsbrief.resolve import history
from opsbrief.timespec import Instant, parse

_HEADINGS = {"at": "TIME", "ref": "REF", "source": "SOURCE", "time_kind": "KIND OF TIME", "state": "", "note": "NOTE"}


@click.command(
    epilog="""\b
Examples:
  opsbrief deploys
  opsbrief deploys shop --since 90d --json
  opsbrief collect --since deploy:2.14.0        (any REF of the list)"""
)
@click.argument("service", required=False)
@click.option("--since", "-s", default="30d", show_default=True, metavar="T", help="How far back to look.")
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(min=1), help="Newest rows to show.")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="S", help="Seconds each deploy log may take.")
@table.forms
@click.pass_obj
def command(
    settings: Settings, /, *, service: str | None, since: str, limit: int, timeout: float | None, form: str | None
) -> int:
    """List the deploys that the deploy logs know."""
    config = settings.load()
    now = datetime.now(UTC)
    zone = ZoneInfo(config.timezone)
    start = parse(since, now=now, zone=zone)
    if not isinstance(start, Instant):
        raise click.UsageError("--since of this command is a time, not an anchor")
    logs = config.deploy_logs(config.service(service))
    with progress(settings) as listen:
        found, gaps = history(
            logs,
            start.at,
            now + timedelta(minutes=5),
            timeout=timeout or config.defaults.timeout or TIMEOUT,
            listen=listen,
        )
    rows: list[table.Row] = [
        {
            "at": table.clock(deploy.at, config.timezone),
            "ref": deploy.ref,
            "source": deploy.source,
            "time_kind": deploy.time_kind.value,
            "note": deploy.note,
            "iso": stamp(deploy.at),
            "state": "rollback" if deploy.rollback else "" if deploy.succeeded else "failed",
        }
        for deploy in found[:limit]
    ]
    table.show(settings, table.Shape(form or "text", "deploys"), _HEADINGS, rows, gaps=[encode(gap) for gap in gaps])
    if len(found) > limit:
        settings.say(f"{len(found) - limit} older ones are not shown (-n {len(found)} shows all)")
    for gap in gaps:
        settings.say(f"gap: {gap.source}: {gap.detail}" + (f" ({gap.hint})" if gap.hint else ""))
    return 3 if gaps else 0 if found else 4
