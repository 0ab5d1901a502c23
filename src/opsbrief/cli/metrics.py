"""``opsbrief metrics``: which metrics changed."""

from typing import Any

import click

from opsbrief.cli import kind, options, table
from opsbrief.cli.settings import Settings
from opsbrief.codec import encode

_HEADINGS = {
    "metric": "METRIC",
    "verdict": "VERDICT",
    "before": "BEFORE",
    "after": "AFTER",
    "unit": "UNIT",
    "shape": "SHAPE",
    "began": "BEGAN",
    "hosts": "HOSTS",
}


@click.command(
    epilog=f"""\b
Examples:
  opsbrief metrics --since deploy
  opsbrief metrics shop --since 2h --all --csv > metrics.csv

{options.TIMES}"""
)
@options.service
@options.window
@options.sources
@click.option("--all", "every", is_flag=True, help="One row a series, unchanged ones too.")
@table.forms
@click.pass_obj
def command(settings: Settings, /, *, every: bool, form: str | None, **given: Any) -> int:  # noqa: ANN401 - click's
    """Show which metrics changed since an instant."""
    evidence, findings = kind.ask(settings, "metrics", given)
    zone = evidence.window.zone
    code = "series" if every else "shift"
    rows: list[table.Row] = [
        {
            "metric": finding.subject,
            "verdict": finding.verdict.value,
            "before": finding.before,
            "after": finding.after,
            "unit": finding.unit,
            "shape": finding.shape,
            "began": table.clock(finding.onset.at, zone) if finding.onset else None,
            "hosts": " ".join(finding.hosts),
            "headline": finding.headline,
        }
        for finding in findings
        if finding.code == code
    ]
    table.show(
        settings,
        table.Shape(form or "text", "metrics"),
        _HEADINGS,
        rows,
        window=encode(evidence.window),
        gaps=[encode(gap) for gap in evidence.gaps],
    )
    return 3 if evidence.gaps else 0
