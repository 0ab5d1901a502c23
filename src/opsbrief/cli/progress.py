"""What happens while sources are asked: one line a source on a terminal, nothing elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from opsbrief.cli.settings import Settings
from opsbrief.collect import Listener, Progress

_MARK = {"ok": ("✓", "green"), "partial": ("!", "yellow"), "failed": ("✗", "red"), "running": ("…", "dim")}


@contextmanager
def progress(settings: Settings) -> Iterator[Listener | None]:
    """Yield a listener that draws on standard error while it is a terminal, else None."""
    if not settings.live:
        yield None
        return
    from rich.live import Live  # noqa: PLC0415 - only where somebody watches
    from rich.table import Table  # noqa: PLC0415 - same
    from rich.text import Text  # noqa: PLC0415 - same

    states: dict[str, Progress] = {}

    def draw() -> Table:
        table = Table.grid(padding=(0, 2))
        for state in list(states.values()):
            mark, style = _MARK[state.state]
            took = f"{state.took:.1f} s" if state.took else ""
            gaps = f"{state.gaps} gap{'s' * (state.gaps != 1)}" if state.gaps else ""
            table.add_row(
                Text(mark, style),
                Text(state.source),
                Text(f"{state.items} items", "dim"),
                Text(gaps, "yellow"),
                Text(took),
            )
        return table

    with Live(get_renderable=draw, console=settings.err, refresh_per_second=8, transient=True):

        def listen(state: Progress) -> None:
            states[state.source] = state

        yield listen
