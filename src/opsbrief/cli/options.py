"""Options that several commands share, and how they become an Order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from opsbrief.pipeline import USUAL, Order

F = Callable[..., Any]

TIMES = (
    "T is ISO 8601 (2026-11-20T15:02+01:00), an age (2h, -90min, '2 days ago'), an hour (17:00, 'friday 15:00', "
    "'yesterday 14:00'), an epoch, or an anchor: deploy, deploy~1, deploy:2.14.0, tag:v2.14.0, commit:abc123, alert, "
    "alert:HOST!SERVICE, "
    "each with +30m or -30m behind it."
)


def service(function: F) -> F:
    """Add the optional SERVICE argument."""
    return click.argument("service", required=False)(function)


def bundle(function: F) -> F:
    """Add the BUNDLE argument: a folder, a .tgz or a .zip."""
    return click.argument("path", metavar="BUNDLE", type=click.Path(exists=True, path_type=Path))(function)


def window(function: F) -> F:
    """Add --since, --until and --baseline."""
    for option in (
        click.option(
            "--baseline",
            "-b",
            multiple=True,
            metavar="B",
            help="Compare with: before, before:6h, last-week, last-4-weeks, none. May be given twice.",
        ),
        click.option("--until", "-u", default="now", metavar="T", show_default=True, help="End of the window."),
        click.option("--since", "-s", required=True, metavar="T", help="Start of the window; see below."),
    ):
        function = option(function)
    return function


def sources(function: F) -> F:
    """Add --only, --skip and --timeout."""
    for option in (
        click.option("--timeout", type=click.FloatRange(min=0.1), metavar="S", help="Seconds each source may take."),
        click.option("--skip", multiple=True, metavar="SRC", help="Do not ask this source. May be given twice."),
        click.option("--only", multiple=True, metavar="SRC", help="Ask only this source. May be given twice."),
    ):
        function = option(function)
    return function


def share(function: F) -> F:
    """Add --share."""
    return click.option(
        "--share",
        type=click.Choice(["internal", "external"]),
        help="external: host-1, ip-1, mail-1, user-1 instead of names. Default: redact.share, else internal.",
    )(function)


def as_json(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")(function)


def order(**given: Any) -> Order:  # noqa: ANN401 - the options of whichever command
    """Make the Order from a command's options; comma lists are allowed wherever an option may repeat."""
    out = given.pop("out", None)
    formats = split(given.pop("formats", ()))
    return Order(
        service=given["service"],
        since=given["since"],
        until=given["until"],
        baseline=split(given["baseline"]),
        only=split(given.get("only", ())),
        skip=split(given.get("skip", ())),
        timeout=given.get("timeout"),
        people=given.get("people", False),
        host=given.get("host") or "",
        pack=given.get("pack") or "",
        share=given.get("share") or "",
        out=Path(out) if out else None,
        formats=formats or USUAL,
    )


def split(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return what repeated options and comma lists name, in order."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
