"""A small world whose clock a test turns: sources that answer for any window, and may die, hang or be late."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Histogram, Item, LogRecord, LogSample, Origin, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Deploy, Span, TimeKind, Window
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline
from opsbrief.watch.plan import Plan

DEPLOY = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCOPE = Scope(
    service="shop", metrics=(Metric(target="conn", name="conn", worse="up", unit="conn", limit=400, key=True),)
)


@dataclass
class World:
    """The clock, what is wrong with the sources, and what they were asked."""

    now: datetime = DEPLOY + HOUR
    late: float = 20.0  # seconds until a line or datapoint can be read
    dead: bool = False
    hangs: bool = False  # until ``free`` is set
    free: threading.Event = field(default_factory=threading.Event)
    fix: datetime | None = None
    asked: deque[tuple[str, Window]] = field(default_factory=lambda: deque(maxlen=2000))
    level: Callable[[float], float] = lambda minutes: 20 + max(0.0, minutes) * 2

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def ask(self, name: str, window: Window) -> None:
        self.asked.append((name, window))
        if self.hangs:
            self.free.wait(60)
        if self.dead:
            raise SourceError(GapKind.UNREACHABLE, f"{name} refuses connections")

    def windows(self, name: str) -> list[Window]:
        return [window for who, window in self.asked if who == name]

    def value(self, at: float) -> float:
        """Return connections: 20 and a little noise, rising from the deploy on until the fix."""
        noise = 3 * np.sin(at / 97) + 2 * np.sin(at / 31)
        if self.fix and at >= self.fix.timestamp():
            return float(20 + noise)
        return float(self.level((at - DEPLOY.timestamp()) / 60) + noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter(Source):
    """One series, a datapoint a minute."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics"})
    world: World

    def collect(self, window: Window, _deadline: Deadline) -> Iterator[Item | Gap]:
        self.world.ask(self.name, window)
        for span in window.spans():
            start = -(-int(span.start.timestamp()) // 60) * 60
            last = min(span.end.timestamp(), self.world.now.timestamp() - self.world.late)
            values = np.array([self.world.value(at) for at in range(start, int(last), 60)], dtype=np.float64)
            if len(values):
                yield Series(name="conn", start=start, step=60, values=values, metric="conn", host="app1",
                             span=span.label, origin=Origin(source=self.name, query="conn"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Source):
    """A line every ten seconds; since the deploy every sixth one is an error, until the fix."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs"})
    world: World

    def collect(self, window: Window, _deadline: Deadline) -> Iterator[Item | Gap]:
        self.world.ask(self.name, window)
        for span in (Span("incident", window.start, window.end), window.prior):
            yield self._sample(span)
        for label, shift in window.shifts:
            yield self._sample(Span(label, window.start - shift, window.end - shift, shift))

    def _sample(self, span: Span) -> LogSample:
        start, end = span.start.timestamp(), span.end.timestamp()
        seen = min(end, self.world.now.timestamp() - self.world.late)
        times = range(-(-int(np.ceil(start)) // 10) * 10, int(np.ceil(seen)), 10)
        records = tuple(self._record(at) for at in times)
        first = int(start) // 60 * 60
        counts: dict[str, list[int]] = {}
        for record in records:
            row = counts.setdefault(record.severity_text, [0] * max(1, -(-(int(np.ceil(end)) - first) // 60)))
            row[(int(record.timestamp.timestamp()) - first) // 60] += 1
        return LogSample(
            query="", span=span.label, start=span.start, end=span.end, total=len(records), total_is_exact=True,
            records=records, origin=Origin(source=self.name, query=""),
            histogram=Histogram(start=first, step=60, counts={level: tuple(row) for level, row in counts.items()}),
        )  # fmt: skip

    def _record(self, at: int) -> LogRecord:
        when = datetime.fromtimestamp(at, UTC)
        bad = at % 60 == 30 and when >= DEPLOY and not (self.world.fix and when >= self.world.fix)
        body = f"connection {at} not released" if bad else f"GET /products/{at} 200"
        return LogRecord(timestamp=when, body=body, severity_text="ERROR" if bad else "INFO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms(Source):
    """A restart every twenty minutes since the deploy, until the fix."""

    gives: ClassVar[frozenset[str]] = frozenset({"events"})
    world: World

    def collect(self, window: Window, _deadline: Deadline) -> Iterator[Item | Gap]:
        self.world.ask(self.name, window)
        first = -(-int(window.start.timestamp()) // 1200) * 1200
        end = min(window.end, self.world.fix or window.end)
        for at in range(max(first, int(DEPLOY.timestamp())), int(end.timestamp()), 1200):
            yield Event(at=datetime.fromtimestamp(at, UTC), host="app1", service="shop", state="RESTART",
                        kind="restart", origin=Origin(source=self.name, query=""))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploys(Source):
    """The release, its tag before, and the fix once it is out."""

    gives: ClassVar[frozenset[str]] = frozenset({"deploys"})
    world: World
    kind: TimeKind = TimeKind.EVENT_TIME

    def collect(self, window: Window, _deadline: Deadline) -> Iterator[Item | Gap]:
        self.world.ask(self.name, window)
        yield from ()

    def deploys(self, since: datetime, until: datetime, _deadline: Deadline) -> Iterator[Deploy | Gap]:
        self.world.ask(self.name, window())
        known = [(DEPLOY, "2.0"), *([(self.world.fix, "2.1")] if self.world.fix else [])]
        yield from (Deploy(at, ref, "", self.name, self.kind) for at, ref in known if since <= at <= until)


def window(weeks: int = 1) -> Window:
    """Return the watch's window: its end is that of the first question and moves on."""
    return Window(
        start=DEPLOY,
        end=DEPLOY + HOUR,
        anchor=Anchor("deploy", DEPLOY, "2.0", "", "deploys", TimeKind.EVENT_TIME),
        before=2 * HOUR,
        shifts=tuple((f"{week}-weeks-ago", timedelta(weeks=week)) for week in range(1, weeks + 1)),
    )


def plan(world: World, *, fix: Anchor | None = None, ticks: int = 5, timeout: float = 5.0, alarms: bool = True) -> Plan:
    """Return a plan with every source of the world; restarts are rare, and whether they stopped takes hours to tell."""
    kinds = (Meter, Lines, *([Alarms] if alarms else []), Deploys)
    sources = [
        (kind.__name__.lower(), kind(name=kind.__name__.lower(), world=world, timeout=timeout)) for kind in kinds
    ]
    return Plan(window=window(), scope=SCOPE, sources=sources, logs=sources[-1:], every=30.0, fix=fix, ticks=ticks)
