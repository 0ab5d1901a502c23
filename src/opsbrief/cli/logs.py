"""``opsbrief logs``: which log patterns are news."""

from typing import Any

import click

from opsbrief.cli import kind, options, table
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode

_HEADINGS = {
    "verdict": "VERDICT",
    "level": "LEVEL",
    "before": "BEFORE/MIN",
    "after": "AFTER/MIN",
    "first_seen": "FIRST SEEN",
    "pattern": "PATTERN",
}


@click.command(
    epilog=f"""\b
Examples:
  opsbrief logs --since deploy
  opsbrief logs shop --since deploy --json

{options.TIMES}"""
)
@options.service
@options.window
@options.sources
@table.forms
@click.pass_obj
def command(settings: Settings, /, *, form: str | None, **given: Any) -> int:  # noqa: ANN401 - click's
    """Show which log patterns are new, exploded or vanished."""
    evidence, findings = kind.ask(settings, "logs", given)
    rows: list[table.Row] = [
        {
            "verdict": finding.verdict.value,
            "level": finding.facts.get("level"),
            "before": finding.facts.get("rate_before"),
            "after": finding.facts.get("rate_after"),
            "first_seen": table.short(finding.facts.get("first_seen"), evidence.window.zone),
            "pattern": finding.subject,
            "example": finding.facts.get("example"),
            "count": finding.facts.get("count"),
        }
        for finding in findings
        if finding.code == "log-pattern"
    ]
    for finding in findings:
        if finding.code in {"log-summary", "log-volume"}:
            settings.say(finding.headline)
    table.show(
        settings,
        table.Shape(form or "text", "logs"),
        _HEADINGS,
        rows,
        window=encode(evidence.window),
        gaps=[encode(gap) for gap in evidence.gaps],
    )
    return 3 if evidence.gaps else 0
