"""``opsbrief verify``: is a bundle what it says."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from opsbrief import __version__, bundle, phrase
from opsbrief.cli import options
from opsbrief.cli.settings import Settings


@click.command(
    epilog="""\b
Examples:
  opsbrief verify opsbrief-shop-20261120T164000Z
  opsbrief verify opsbrief-shop-20261120T164000Z.tgz --json

Every file is compared with its digest; the evidence is analysed and rendered again, and every number and
every form of the brief compared with what is there. Exit codes: 0 all is as it should be; 1 it is not."""
)
@options.bundle
@options.as_json
@click.pass_obj
def command(settings: Settings, path: Path, *, as_json: bool) -> int:
    """Check the digests of a bundle and work out every number again."""
    from opsbrief.review.verify import verify  # noqa: PLC0415 - brings every renderer

    with bundle.opened(path) as store:
        report = verify(store, bundle.evidence(store))
    if as_json:
        document = {"format": "opsbrief.verify/1", "bundle": str(path), "ok": not report.differences, **asdict(report)}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return 1 if report.differences else 0
    for difference in report.differences:
        click.echo(difference)
    for note in report.notes:
        settings.say(note)
    if not report.recomputed:
        settings.say(
            f"made by opsbrief {report.version}, this is {__version__}: the digests were checked, the words were not "
            "made again, for another version may say the same in others"
        )
    elif not report.differences:
        settings.say(f"{report.numbers:,} numbers and every form of the brief worked out again: no difference")
    what = "as its manifest says" if not report.differences else phrase.count(len(report.differences), "difference")
    settings.say(f"{report.files} files, {report.bytes / 1e6:.2f} MB: {what}")
    return 1 if report.differences else 0
