"""What the options before the command say, shared by all commands through ``ctx.obj``."""

import logging
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from opsbrief.config import Config


@dataclass(kw_only=True)
class Settings:
    """The global options and the two streams: the product on stdout, talk on stderr."""

    config: str | None = None
    verbose: int = 0
    quiet: bool = False
    no_color: bool = False

    def start(self) -> None:
        """Switch logging on as asked for. Only our own loggers: others print paths and headers."""
        if self.verbose:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(message)s"))
            logger = logging.getLogger("opsbrief")
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)

    def load(self) -> "Config":
        """Read the configuration. Raises ConfigError with every mistake in it."""
        from opsbrief.config import load  # noqa: PLC0415 - only commands that need it pay for it

        return load([Path(self.config)] if self.config else None, os.environ)

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal that progress may be drawn on."""
        return sys.stderr.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    @cached_property
    def err(self) -> "Console":
        """The rich console on standard error."""
        return self._console(stderr=True)

    @cached_property
    def out(self) -> "Console":
        """The rich console on standard output."""
        return self._console(stderr=False)

    def _console(self, *, stderr: bool) -> "Console":
        from rich.console import Console  # noqa: PLC0415 - half of what --help may cost

        return Console(stderr=stderr, no_color=self.no_color or None, highlight=False, soft_wrap=False)

    def say(self, text: str) -> None:
        """Write one line of talk to standard error unless --quiet."""
        if not self.quiet:
            click.echo(text, err=True)
