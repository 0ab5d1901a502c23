"""``opsbrief alarms``: what monitoring said, and what was restarted."""

from typing import Any

import click

from opsbrief.cli import kind, options, table
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode, stamp
from opsbrief.model.evidence import Event

_HEADINGS = {
    "at": "TIME",
    "source": "SOURCE",
    "host": "HOST",
    "service": "SERVICE",
    "what": "WHAT",
    "output": "OUTPUT",
}


@click.command(
    epilog=f"""\b
Examples:
  opsbrief alarms --since 6h
  opsbrief alarms shop --since deploy --hard --csv
  opsbrief collect --since alert:app1!http        (any HOST!SERVICE of the list)

{options.TIMES}"""
)
@options.service
@options.window
@options.sources
@click.option("--hard", is_flag=True, help="Only hard states and restarts.")
@table.forms
@click.pass_obj
def command(settings: Settings, /, *, hard: bool, form: str | None, **given: Any) -> int:  # noqa: ANN401 - click's
    """Show alarms, acknowledgements, downtimes and restarts in the window."""
    evidence, _ = kind.ask(settings, "alarms", given)
    told = [event for event in evidence.items(Event) if not hard or _hard(event)]
    rows: list[table.Row] = [
        {
            "at": table.clock(event.at, evidence.window.zone),
            "source": event.origin.source,
            "host": event.host,
            "service": event.service,
            "what": _what(event),
            "output": event.output,
            "kind": event.kind,
            "state": event.state,
            "state_type": event.state_type,
            "iso": stamp(event.at),
        }
        for event in sorted(told, key=lambda event: event.at)
    ]
    table.show(
        settings,
        table.Shape(form or "text", "alarms"),
        _HEADINGS,
        rows,
        window=encode(evidence.window),
        gaps=[encode(gap) for gap in evidence.gaps],
    )
    return 3 if evidence.gaps else 0


def _hard(event: Event) -> bool:
    return event.kind == "restart" or (event.kind == "state" and event.state_type != "soft")


def _what(event: Event) -> str:
    """Return kind and state in two words: "CRITICAL (soft)", "downtime STARTED", "restart"."""
    if event.kind == "state":
        return event.state + (" (soft)" if event.state_type == "soft" else "")
    return event.kind if event.kind == "restart" else f"{event.kind} {event.state}".strip()
