"""The lazy group of commands, and the one place where errors become exit codes."""

import importlib
import os
import signal
import sys
import traceback
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

import click

from opsbrief import __version__
from opsbrief.cli import menu
from opsbrief.cli.settings import Settings
from opsbrief.errors import OpsbriefError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Menu(click.Group):
    """Imports a command's module when the command is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names for help and completion."""
        return list(menu.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        """Return the command, or None when there is none of that name."""
        if cmd_name not in menu.names():
            return None
        command = importlib.import_module(f"opsbrief.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"opsbrief.cli.{cmd_name} has no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong name is answered with the nearest right one."""
        if args and args[0] not in menu.names():
            near = get_close_matches(args[0], menu.names(), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "'opsbrief -h' lists the commands"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        """Write the same help as the fast path does."""
        formatter.write(menu.text())


@click.group(cls=Menu, context_settings=CONTEXT)
@click.option("--config", "config", metavar="FILE", type=click.Path(), help="Use this configuration file.")
@click.option("-v", "--verbose", count=True, help="Say every request on standard error.")
@click.option("-q", "--quiet", is_flag=True, help="Say only errors.")
@click.option("--no-color", is_flag=True, help="No colours.")
@click.version_option(__version__, "-V", "--version", message="opsbrief %(version)s")
@click.pass_context
def group(ctx: click.Context, config: str | None, verbose: int, *, quiet: bool, no_color: bool) -> None:
    """From "something is wrong since the release" to a brief that a developer can act on."""
    ctx.obj = Settings(config=config, verbose=verbose, quiet=quiet, no_color=no_color)
    ctx.obj.start()


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; unwinds like Ctrl-C so that temporary files are removed."""

    def __init__(self, number: int) -> None:
        """Keep the signal for the exit code."""
        super().__init__(number)
        self.number = number


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with the exit code of DESIGN section 4."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    sys.exit(_code(argv))


def _code(argv: list[str] | None) -> int:  # noqa: PLR0911 - one return a way to end
    try:
        done: Any = group.main(argv, prog_name="opsbrief", complete_var="_OPSBRIEF_COMPLETE", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OpsbriefError as error:
        if "-vv" in sys.argv:
            traceback.print_exc()
        lines = [f"opsbrief: {line}" for line in error.message.splitlines()]
        if error.hint:
            lines.append(f"          {error.hint}")
        click.echo("\n".join(lines), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("opsbrief: interrupted", err=True)
        return 130
    except Terminated as signalled:
        return 128 + signalled.number
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        click.echo(f"opsbrief: {error.strerror or error}: {error.filename or 'standard output'}", err=True)
        return 1
    return done if isinstance(done, int) else 0


def _drop_output() -> None:
    """Give the interpreter nowhere to complain when it flushes at exit what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
