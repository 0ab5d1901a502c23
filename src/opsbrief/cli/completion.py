"""``opsbrief completion``: click's own completion, printed so that a shell can load it."""

import click
from click.shell_completion import get_completion_class


@click.command(
    epilog="""\b
Examples:
  opsbrief completion bash > ~/.local/share/bash-completion/completions/opsbrief
  opsbrief completion zsh > "${fpath[1]}/_opsbrief"
  opsbrief completion fish > ~/.config/fish/completions/opsbrief.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell."""
    kind = get_completion_class(shell)
    if kind is None:  # not reachable: the choices are click's own three
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "opsbrief", "_OPSBRIEF_COMPLETE").source())
