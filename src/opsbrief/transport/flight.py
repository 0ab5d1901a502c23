"""Several requests of one source in flight at once."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from opsbrief.errors import SourceError
from opsbrief.transport.deadline import Deadline

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    work: Callable[[T], R], tasks: Iterable[T], deadline: Deadline, width: int = 4
) -> Iterator[tuple[T, R | SourceError]]:
    """Yield (task, result or its SourceError) as each is done, at most ``width`` at a time.

    Daemon threads, because the ones of concurrent.futures are waited for at the end of the program, and
    one that hangs in a name lookup must not keep it alive. What is not started when the caller stops
    asking never starts. Raises SourceError when the deadline ends first, and any other exception of ``work``.
    """
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[T, R | Exception]] = queue.SimpleQueue()
    stop = threading.Event()
    count = 0
    for task in tasks:
        waiting.put(task)
        count += 1

    def run() -> None:
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((task, work(task)))
            except Exception as error:  # noqa: BLE001 - not kept: raised again in the caller's thread
                done.put((task, error))

    for number in range(min(width, count)):
        threading.Thread(target=run, name=f"{threading.current_thread().name}-{number + 1}", daemon=True).start()
    try:
        for _ in range(count):
            task, result = _next(done, deadline)
            if isinstance(result, Exception) and not isinstance(result, SourceError):
                raise result
            yield task, result
    finally:
        stop.set()


def _next(done: "queue.SimpleQueue[tuple[T, R | Exception]]", deadline: Deadline) -> tuple[T, R | Exception]:
    """Wait for one result, at most until the deadline, which ``expire`` may bring forward."""
    while True:
        try:
            return done.get(timeout=min(0.5, deadline.remaining()))
        except queue.Empty:
            continue
