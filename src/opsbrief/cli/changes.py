"""``opsbrief changes``: commits, tags and deploys in the window."""

from typing import Any

import click

from opsbrief.cli import kind, options, table
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode
from opsbrief.model.evidence import Change

_HEADINGS = {"at": "TIME", "source": "SOURCE", "role": "ROLE", "kind": "KIND", "ref": "REF", "summary": "SUMMARY"}


@click.command(
    epilog=f"""\b
Examples:
  opsbrief changes --since deploy
  opsbrief changes shop --since 'yesterday 12:00' --csv

{options.TIMES}"""
)
@options.service
@options.window
@options.sources
@click.option("--people", is_flag=True, help="Name the authors of commits.")
@table.forms
@click.pass_obj
def command(settings: Settings, /, *, people: bool, form: str | None, **given: Any) -> int:  # noqa: ANN401 - click's
    """Show commits, tags and deploys in the window."""
    evidence, findings = kind.ask(settings, "changes", given)
    headings = _HEADINGS | ({"author": "AUTHOR"} if people else {})
    found = sorted(evidence.items(Change), key=lambda change: change.at)
    rows: list[table.Row] = [
        {
            "at": table.clock(change.at, evidence.window.zone),
            "source": change.origin.source,
            "role": change.role,
            "kind": change.kind if change.in_window else f"{change.kind} (last before the window)",
            "ref": change.ref[:12],
            "summary": change.summary,
            "files": len(change.files),
            **({"author": change.author} if people else {}),
        }
        for change in found
    ]
    for finding in findings:
        if finding.code in {"alibi", "release"}:
            settings.say(f"{finding.subject}: {finding.verdict.value}: {finding.headline}")
    table.show(
        settings,
        table.Shape(form or "text", "changes"),
        headings,
        rows,
        window=encode(evidence.window),
        gaps=[encode(gap) for gap in evidence.gaps],
    )
    return 3 if evidence.gaps else 0
