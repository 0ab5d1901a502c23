"""What happens while sources are asked: one line a source on a terminal, nothing elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opsbrief import phrase
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
    began: dict[str, float] = {}

    def draw() -> Table:
        table = Table.grid(padding=(0, 2))
        for state in list(states.values()):
            mark, style = _MARK[state.state]
            took = state.took or time.monotonic() - began[state.source]
            items = phrase.count(state.items, "item") if state.items or state.state != "running" else ""
            table.add_row(
                Text(mark, style),
                Text(state.source),
                Text(items, "dim"),
                Text(phrase.count(state.gaps, "gap") if state.gaps else "", "yellow"),
                Text(f"{took:.1f} s"),
            )
        return table

    with Live(get_renderable=draw, console=settings.err, refresh_per_second=8, transient=True):

        def listen(state: Progress) -> None:
            if state.source not in states or states[state.source].state != "running":
                began[state.source] = time.monotonic()
            states[state.source] = state

        yield listen
