"""The live screen of a watch: drawn in place on the alternate screen, with keys, following the window's size.

Asking happens in a thread, so that keys and the countdown go on while a source is slow. All that thread does
is put ticks into a queue; a byte in a pipe wakes the drawing, as a key, a resize and the second hand do.
"""

import os
import queue
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import FrameType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from opsbrief.collect import Progress
from opsbrief.model.tick import Tick
from opsbrief.render import live
from opsbrief.watch import Watch

_STYLES = {
    "plain": "",
    "bad": "red",
    "good": "green",
    "unknown": "yellow",
    "muted": "dim",
    "bold": "bold",
    "head-bad": "bold red",
    "head-good": "bold green",
    "head-unknown": "bold yellow",
    "head": "bold",
}
_QUIT = frozenset("qQ\x03\x04")
_LEAST = (20, 6)  # columns and rows below which only one line is drawn


class Screen:
    """One watch on one terminal."""

    def __init__(self, watch: Watch, console: Console, every: float, stop: Callable[[Tick], bool]) -> None:
        """Take what is watched, where it is drawn, the seconds between ticks, and what ends it."""
        self._watch, self._console, self._every, self._stop = watch, console, every, stop
        self._ticks: queue.SimpleQueue[Tick | None] = queue.SimpleQueue()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        self._go, self._end = threading.Event(), threading.Event()
        self._go.set()
        self._asking: dict[str, str] = {}
        self._due: datetime | None = None
        self._tick: Tick | None = None
        self._drawn: tuple[tuple[int, int, int], list[Text]] | None = None

    def run(self) -> Tick | None:
        """Draw until the rule, the reader or Ctrl-C ends it; return the last state."""
        threading.Thread(target=self._ask, name="watch", daemon=True).start()
        keys = sys.stdin.isatty()
        with _cbreak(keys), _resized(self._wake), suppress(KeyboardInterrupt), self._live() as drawing:
            while not self._end.is_set():
                drawing.update(self._draw(keys=keys), refresh=True)
                self._wait(keys=keys)
        self._end.set()
        return self._tick

    def _live(self) -> Live:
        return Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def _ask(self) -> None:
        """Run the loop in its thread; the last thing put is None, whatever happens."""
        try:
            for tick in self._watch.ticks(lambda: datetime.now(UTC), self._sleep, self._stop, self._listen):
                self._put(tick)
        finally:
            self._put(None)

    def _put(self, thing: Tick | None) -> None:
        self._ticks.put(thing)
        self._wake()

    def _listen(self, progress: Progress) -> None:
        self._asking[progress.source] = progress.state
        self._wake()

    def _sleep(self, seconds: float) -> None:
        self._asking = {}
        self._due = datetime.now(UTC) + timedelta(seconds=seconds)
        self._wake()
        self._end.wait(max(0.0, seconds))
        self._go.wait()
        self._due = None

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # the pipe is full of reasons to wake up already
            os.write(self._wake_in, b".")

    def _wait(self, *, keys: bool) -> None:
        """Wait for a tick, a key, a resize or the next second."""
        readers = [self._wake_out, *([sys.stdin.fileno()] if keys else [])]
        ready, _, _ = select.select(readers, [], [], 1.0)
        if self._wake_out in ready:
            os.read(self._wake_out, 4096)
        if keys and sys.stdin.fileno() in ready:
            self._key(os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace"))
        while not self._ticks.empty():
            self._take(self._ticks.get())

    def _key(self, pressed: str) -> None:
        if not pressed or _QUIT & set(pressed):  # nothing: the terminal is gone
            self._end.set()
            self._go.set()
        elif "p" in pressed or " " in pressed:
            if self._go.is_set():
                self._go.clear()
            else:
                self._go.set()

    def _take(self, thing: Tick | None) -> None:
        if thing is None:
            self._end.set()
        else:
            self._tick = thing
            if thing.turned:
                self._console.bell()

    def _draw(self, *, keys: bool) -> Group:
        width, height = self._console.size
        states = [name for name, state in list(self._asking.items()) if state == "running"]
        asking = f"asking {', '.join(states)}" if states else "asking" if self._due is None else ""
        paused = not self._go.is_set()
        status = live.status(self._tick, datetime.now(UTC), self._due, paused=paused, asking=asking, keys=keys)
        top = _text(status, width)
        if self._tick is None:
            return Group(top)
        if (width, height) < _LEAST or height < _LEAST[1]:
            return Group(_text(((live.line(self._tick), "plain"),), width))
        place = self._tick.number, width, height
        if self._drawn is None or self._drawn[0] != place:
            lines = live.screen(self._tick, width, height - 1)
            self._drawn = place, [_text(line, width) for line in lines]
        first, *rest = self._drawn[1]
        return Group(first, top, *rest)


def _text(line: live.Line, width: int) -> Text:
    said = Text(no_wrap=True, overflow="crop", end="\n")
    for words, style in line:
        said.append(words, _STYLES[style])
    said.truncate(width)
    return said


@contextmanager
def _cbreak(keys: bool) -> Iterator[None]:  # noqa: FBT001 - whether there is a keyboard
    """Let keys come one by one and unseen, and give the terminal back as it was whatever happens."""
    if not keys:
        yield
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def _resized(wake: Callable[[], None]) -> Iterator[None]:
    """Draw again when the window changes its size."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        wake()

    before = signal.signal(signal.SIGWINCH, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
