"""One budget of seconds shared by all calls of a source, and the meter of what they cost."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opsbrief.errors import GapKind, SourceError


class Deadline:
    """Seconds left for a source, counted from the moment it is made.

    Transports ask ``remaining`` before and during every wait. A wait that cannot ask (a peer that
    drips header bytes) registers how to break it with ``breakable``; whoever watches the clock
    (collect) calls ``expire`` at the end, which breaks every such wait.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the budget now."""
        self.seconds = seconds
        self.requests = 0
        self.bytes = 0
        self.warnings: list[str] = []
        self._clock = clock
        self._end = clock() + seconds
        self._breakers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._expired = False

    @property
    def expired(self) -> bool:
        """Whether the time is over or ``expire`` was called."""
        return self._expired or self._clock() >= self._end

    @property
    def left(self) -> float:
        """Seconds left on the clock, 0 when it has run out; never raises."""
        return max(0.0, self._end - self._clock())

    def remaining(self, most: float | None = None) -> float:
        """Return the seconds left, at most ``most``. Raise SourceError(TIMEOUT) when none is."""
        left = self._end - self._clock()
        if self._expired or left <= 0:
            raise SourceError(GapKind.TIMEOUT, f"not finished within {self.seconds:g} s")
        return left if most is None else min(left, most)

    def spend(self, *, requests: int = 0, size: int = 0) -> None:
        """Count what was asked and what came back, for the cost shown in the brief."""
        with self._lock:
            self.requests += requests
            self.bytes += size

    def warn(self, message: str) -> None:
        """Note, once, what whoever reads the brief must know although every answer came."""
        with self._lock:
            if message not in self.warnings:
                self.warnings.append(message)

    @contextmanager
    def breakable(self, breaker: Callable[[], None]) -> Iterator[None]:
        """Run a wait that ``expire`` can break by calling ``breaker`` from another thread."""
        with self._lock:
            late = self._expired
            self._breakers.append(breaker)
        try:
            if late:
                self.remaining()
            yield
        finally:
            with self._lock:
                self._breakers.remove(breaker)

    def expire(self) -> None:
        """End the budget at once and break every wait that is under way."""
        with self._lock:
            self._expired = True
            breakers = list(self._breakers)
        for breaker in breakers:
            breaker()
