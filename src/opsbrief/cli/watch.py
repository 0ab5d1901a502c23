"""``opsbrief watch``: follow an incident live."""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from opsbrief import pipeline
from opsbrief.cli import collect, effect, options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.config import Config
from opsbrief.errors import WindowError
from opsbrief.resolve import explain
from opsbrief.timespec import Instant, length, parse

if TYPE_CHECKING:
    from opsbrief.model.tick import Tick
    from opsbrief.watch import Watch
    from opsbrief.watch.feed import Clean

_SETTLED = "settled"
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_SHORTEST = 1.0  # seconds between ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What ends a watch by itself."""

    settled: bool = False
    at: datetime | None = None

    def __call__(self, tick: "Tick") -> bool:
        return (self.settled and tick.settling.done) or (self.at is not None and datetime.now(UTC) >= self.at)


@click.command(
    epilog=f"""\b
Examples:
  opsbrief watch --since deploy
  opsbrief watch shop --since deploy --until settled
  opsbrief watch shop --since 'deploy~1' --fix deploy --until settled --every 1m
  opsbrief watch --since 2h --until 18:00 --json > ticks.jsonl

A deploy that is newer than the start is taken for the fix, unless --fix names one. "settled" holds when
in 5 ticks in a row everything that had changed for the worse is called fixed or gone, while new datapoints
come in; then the effect report is written, against --bundle or else a brief made of the time until the fix.
The wide net (metrics with rank) is not asked. Keys: p or blank pauses, q or Ctrl-C leaves; the last state
is said in one line. Without a terminal each tick is one line; --json makes it "opsbrief.tick/1".

{options.TIMES}

Exit codes: 0 watched until the end, or left by q or Ctrl-C; 2 usage or configuration; 4 no deploy found for
--since deploy or --fix deploy; after --until settled those of 'opsbrief effect'."""
)
@options.service
@options.window
@click.option("--every", default="30s", metavar="S", show_default=True, help="Time between ticks.")
@click.option("--fix", default="", metavar="T", help="When the fix went out; default: at the next deploy.")
@options.sources
@click.option(
    "--bundle",
    "first",
    type=click.Path(exists=True, path_type=Path),
    metavar="BUNDLE",
    help="The brief that the effect report answers; default: one is made.",
)
@click.option("--out", "-o", type=click.Path(file_okay=False), metavar="DIR", help="Folder for the effect report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a tick.")
@click.pass_obj
def command(
    settings: Settings,
    /,
    *,
    every: str,
    fix: str,
    first: Path | None,
    as_json: bool,
    until: str,
    **given: Any,  # noqa: ANN401 - click's
) -> int:
    """Watch live what changes, until it is settled or you leave."""
    from opsbrief.watch import Watch  # noqa: PLC0415 - numpy is not for --help
    from opsbrief.watch.plan import plan  # noqa: PLC0415 - same

    config = settings.load()
    order = options.order(until="now", **given)
    now = datetime.now(UTC)
    end = _end(until, now, ZoneInfo(config.timezone))
    seconds = _every(every)
    with progress(settings) as listen:
        what = plan(config, order, now=now, every=seconds, fix=fix, listen=listen)
    for line in explain(what.window):
        settings.say(line)
    last = _follow(settings, Watch(what, lambda: _cleaner(config)), seconds, end, as_json=as_json)
    if last is None or not (end.settled and last.settling.done):
        return 0
    return _report(settings, config, order, last, first, as_json=as_json)


def _follow(settings: Settings, watch: "Watch", every: float, end: _End, *, as_json: bool) -> "Tick | None":
    """Show every tick; return the last one."""
    if not as_json and settings.out.is_terminal and os.environ.get("TERM") != "dumb":
        from opsbrief.cli.screen import Screen  # noqa: PLC0415 - rich is only for terminals
        from opsbrief.render import live  # noqa: PLC0415 - same

        last = Screen(watch, settings.out, every, end).run()
        if last:
            click.echo(live.line(last))
        return last
    return _tell(watch, _json if as_json else _plain, end)


def _tell(watch: "Watch", form: Callable[["Tick"], str], end: _End) -> "Tick | None":
    """Print one line a tick; Ctrl-C ends it quietly, for each tick was whole."""
    last = None
    try:
        for tick in watch.ticks(lambda: datetime.now(UTC), lambda seconds: time.sleep(max(0.0, seconds)), end):
            last = tick
            click.echo(form(tick))
    except KeyboardInterrupt:
        click.echo("", err=True)
    return last


def _plain(tick: "Tick") -> str:
    from opsbrief.render import live  # noqa: PLC0415 - numpy is not for --help

    return live.line(tick)


def _json(tick: "Tick") -> str:
    from opsbrief.render import live  # noqa: PLC0415 - same

    return json.dumps(live.document(tick), ensure_ascii=False, allow_nan=False)


def _report(
    settings: Settings, config: Config, order: pipeline.Order, last: "Tick", first: Path | None, *, as_json: bool
) -> int:
    """Write the effect report, and before it the brief that it answers where none was named."""
    assert last.fix is not None  # noqa: S101 - nothing settles without a fix
    at = f"{last.fix.at:%Y-%m-%dT%H:%M:%SZ}"
    with progress(settings) as listen:
        if first is None:
            start = f"{last.start:%Y-%m-%dT%H:%M:%SZ}"
            since = order.since if order.since.startswith(("deploy:", "tag:", "commit:")) else start
            first = pipeline.collect(config, replace(order, since=since, until=at), listen=listen).bundle
            settings.say(f"the brief until the fix: {first}")
        result = pipeline.effect(config, first, replace(order, since=at, until="now", baseline=()), listen=listen)
    code = effect.code_of(result)
    if as_json:  # standard output holds ticks and nothing else
        settings.say(f"the effect report: {result.bundle}")
    else:
        collect.report(settings, result, code, as_json=False)
    return code


def _cleaner(config: Config) -> "Clean":
    from opsbrief.redact import Redactor  # noqa: PLC0415 - only where something is collected

    return Redactor(config.secrets(), {each.name: each.regex.pattern for each in config.redact.patterns}).value


def _every(text: str) -> float:
    seconds = length.duration(text).total_seconds()
    if seconds < _SHORTEST:
        raise WindowError(f"--every {text} is too short", f"at least {_SHORTEST:g} s; 30s is kind to the servers")
    return seconds


def _end(text: str, now: datetime, zone: ZoneInfo) -> _End:
    """Return what --until means here: a rule, or an instant that is still to come; "now" is no end at all."""
    if text in (_SETTLED, "now"):
        return _End(settled=text == _SETTLED)
    found = parse(text, now=now, zone=zone, end=True)
    if not isinstance(found, Instant):
        raise WindowError(f"--until {text} is no end for a watch", "give settled, an hour as 18:00, or now+2h")
    at = found.at
    if at <= now and _CLOCK.fullmatch(text.strip()):
        at = (at.astimezone(zone) + timedelta(days=1)).astimezone(UTC)  # the next time the clock shows it
    if at <= now:
        raise WindowError(f"--until {text} is {at:%Y-%m-%d %H:%M:%S} UTC, which is over", "give a time to come: now+2h")
    return _End(at=at)
