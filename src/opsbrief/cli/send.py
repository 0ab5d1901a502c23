"""``opsbrief send``: a finished bundle as a mail."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsbrief import bundle, pipeline
from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.errors import DeliveryError

if TYPE_CHECKING:
    from email.message import MIMEPart

    from opsbrief.config import Config
    from opsbrief.deliver import Letter
    from opsbrief.model.brief import Brief


@click.command(
    epilog="""\b
Examples:
  opsbrief send opsbrief-shop-20261120T164000Z --to dev@example.com
  opsbrief send opsbrief-shop-20261120T164000Z --dry-run
  opsbrief send opsbrief-shop-20261120T190000Z --reply opsbrief-shop-20261120T164000Z

The relay or sendmail is configured under deliver.mail. The same bundle gives the same mail, with the
same Message-ID; mails about one incident (service and start of the window) stand in one thread."""
)
@options.bundle
@click.option("--to", multiple=True, metavar="ADDR", help="Instead of the configured addresses. May be given twice.")
@click.option(
    "--reply",
    metavar="FIRST",
    type=click.Path(exists=True, path_type=Path),
    help="Answer the mail that this other bundle was sent with, under its subject.",
)
@click.option("--people", is_flag=True, help="Name the authors of commits.")
@click.option("--dry-run", "-n", is_flag=True, help="Show headers, parts with sizes and text; send nothing.")
@click.pass_obj
def command(
    settings: Settings, path: Path, to: tuple[str, ...], reply: Path | None, *, people: bool, dry_run: bool
) -> None:
    """Send the brief of a bundle by mail."""
    config = settings.load()
    to = options.split(to)
    if not dry_run:
        pipeline.sendable(config, to)
    brief = _brief(path, people=people)
    first = _brief(reply) if reply else None
    if dry_run:
        for row in _shown(pipeline.letter(config, brief, to, reply_to=first)):
            click.echo(row)
    else:
        deliver(settings, config, brief, path, to, reply_to=first)


def deliver(
    settings: Settings,
    config: "Config",
    brief: "Brief",
    path: Path,
    to: Sequence[str],
    *,
    reply_to: "Brief | None" = None,
) -> None:
    """Send and say who got it. Raises DeliveryError, with the command that sends it again."""
    start = ["opsbrief", *(["--config", settings.config] if settings.config else [])]
    again = shlex.join([*start, "send", str(path)])
    try:
        receipt = pipeline.send(config, brief, to, reply_to=reply_to, tell=settings.say)
    except DeliveryError as error:
        flags = "".join(f" --to {shlex.quote(one)}" for one in to)
        raise DeliveryError(
            error.message, f"{error.hint}\nthe bundle is whole; again: {again}{flags}".strip()
        ) from error
    settings.say(f"sent to {', '.join(receipt.accepted)} by {receipt.relay}, {len(receipt.letter.data) / 1e3:,.0f} kB")
    if receipt.letter.left_out:
        settings.say(f"left out, because it would have been too large: {'; '.join(receipt.letter.left_out)}")
    if receipt.refused:
        said = "\n".join(f"not sent to {one.address}: {one.reason}" for one in receipt.refused)
        flags = "".join(f" --to {shlex.quote(one.address)}" for one in receipt.refused)
        raise DeliveryError(said, f"the others have it; again: {again}{flags}")


def _brief(path: Path, *, people: bool = False) -> "Brief":
    _findings, brief, _artifacts = pipeline.again(bundle.read(path), (), people=people)
    return brief


def _shown(letter: "Letter") -> Iterator[str]:
    """Yield what would be sent: headers, the tree of parts with their sizes, the text."""
    from email import message_from_bytes, policy  # noqa: PLC0415 - only for --dry-run

    message = message_from_bytes(letter.data, policy=policy.default)
    yield from (f"{name}: {value}" for name, value in message.items() if name != "Content-Type")
    yield ""
    yield from _tree(message, 0)
    yield f"{len(letter.data):>9,} bytes in all"
    yield ""
    body = message.get_body(("plain",))
    yield body.get_content() if body else ""


def _tree(part: "MIMEPart", depth: int) -> Iterator[str]:
    size = "" if part.is_multipart() else f"{len(part.get_payload(decode=True)):,}"
    name = part.get_filename() or ""
    yield f"{size:>9} {'  ' * depth}{part.get_content_type()} {name}".rstrip()
    for inner in part.iter_parts():
        yield from _tree(inner, depth + 1)
