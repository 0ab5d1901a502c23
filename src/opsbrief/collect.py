"""Ask every source at once, each in a thread of its own, each under its own deadline.

Synchronous code in daemon threads: with requests, paramiko and git every call blocks anyway, and a
daemon thread that hangs in a name lookup does not keep the process alive. What a source yielded
before it failed or ran out of time is kept. A thread that does not stop is abandoned; its tray is
closed, so whatever it yields later is dropped.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from opsbrief import __version__
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Evidence, Gap, Item, LogSample, Outcome, Role, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Window
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline

T = TypeVar("T")

GRACE = 0.5  # seconds a source may take to notice that its time is over; absolute, for all together


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[T]):
    """One generator to run beside others."""

    name: str
    type: str = ""
    role: Role = ""
    gives: tuple[str, ...] = ()
    timeout: float
    start: Callable[[Deadline], Iterable[T | Gap]]


@dataclass(slots=True, kw_only=True)
class Tray(Generic[T]):
    """What one job has given so far. Closed by the runner, after which nothing is added."""

    job: Job[T]
    deadline: Deadline
    items: list[T] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    took: float = 0.0
    done: bool = False
    closed: bool = False
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened while collecting, for whoever shows it."""

    source: str
    state: str  # "running", "ok", "partial", "failed"
    items: int
    gaps: int
    took: float


Listener = Callable[[Progress], None]


class Runner(Generic[T]):
    """Runs jobs side by side until all are done, out of time, or interrupted."""

    def __init__(self, jobs: Sequence[Job[T]], listen: Listener | None = None, grace: float = GRACE) -> None:
        """Take the jobs; nothing starts before ``run``."""
        self.trays = [Tray(job=job, deadline=Deadline(job.timeout)) for job in jobs]
        self.interrupted = False
        self._listen = listen
        self._grace = grace
        self._change = threading.Condition()

    def run(self) -> list[Tray[T]]:
        """Run all jobs and return their trays, in the order of the jobs.

        Ctrl-C ends the waiting, not the program: ``interrupted`` is set, what is there is returned.
        """
        for tray in self.trays:
            self._tell(tray, "running")
            threading.Thread(target=self._work, args=(tray,), name=tray.job.name, daemon=True).start()
        try:
            self._wait()
        except KeyboardInterrupt:
            self.interrupted = True
        for tray in self.trays:
            self._close(tray)
        return self.trays

    def _wait(self) -> None:
        """Wait for every tray; expire each deadline on time, and give up at deadline plus grace."""
        started = time.monotonic()
        with self._change:
            while True:
                now = time.monotonic() - started
                for tray in self.trays:
                    if not tray.done and now >= tray.job.timeout:
                        tray.deadline.expire()
                # The next moment something is due: a deadline, or the end of the grace after it.
                ends = [
                    tray.job.timeout + self._grace * (now >= tray.job.timeout) for tray in self.trays if not tray.done
                ]
                due = [end - now for end in ends if end > now]
                if not due:
                    return
                self._change.wait(min(due))

    def _work(self, tray: Tray[T]) -> None:
        started = time.monotonic()
        try:
            for item in tray.job.start(tray.deadline):
                if not self._put(tray, item):
                    return
        except SourceError as error:
            self._put(
                tray,
                Gap(
                    source=tray.job.name,
                    what="everything" if not tray.items else "the rest",
                    kind=error.kind,
                    detail=error.message,
                    hint=error.hint,
                ),
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a defect in one source must not cost the brief
            tray.traceback = traceback.format_exc()
            self._put(
                tray,
                Gap(
                    source=tray.job.name,
                    what="everything" if not tray.items else "the rest",
                    kind=GapKind.BUG,
                    detail=f"{type(error).__name__} in the source",
                    hint="a defect of opsbrief or a plug-in; the traceback is in the bundle",
                ),
            )
        with self._change:
            if not tray.closed:
                tray.took = time.monotonic() - started
                tray.done = True
            self._change.notify_all()
        self._tell(tray, "failed" if tray.gaps and not tray.items else "partial" if tray.gaps else "ok")

    def _put(self, tray: Tray[T], item: T | Gap) -> bool:
        with self._change:
            if tray.closed:
                return False
            if isinstance(item, Gap):
                tray.gaps.append(item)
            else:
                tray.items.append(item)
        if isinstance(item, Gap) or len(tray.items) % 50 == 1:
            self._tell(tray, "running")
        return True

    def _close(self, tray: Tray[T]) -> None:
        with self._change:
            tray.closed = True
            if tray.done:
                return
            tray.took = tray.job.timeout - tray.deadline.left
            kind, detail, hint = (
                (GapKind.SKIPPED, "interrupted before it was whole", "")
                if self.interrupted
                else (
                    GapKind.TIMEOUT,
                    f"not finished within {tray.job.timeout:g} s and did not stop; left behind",
                    "raise its timeout or ask for less",
                )
            )
            tray.gaps.append(
                Gap(
                    source=tray.job.name,
                    what="the rest" if tray.items else "everything",
                    kind=kind,
                    detail=detail,
                    hint=hint,
                )
            )
        tray.deadline.expire()
        self._tell(tray, "failed" if not tray.items else "partial")

    def _tell(self, tray: Tray[T], state: str) -> None:
        if self._listen:
            self._listen(Progress(tray.job.name, state, len(tray.items), len(tray.gaps), tray.took))


def collect(
    sources: Iterable[tuple[str, Source]],
    window: Window,
    scope: Scope,
    *,
    listen: Listener | None = None,
    count: int = 0,
) -> tuple[Evidence, bool]:
    """Ask every (type, source) about ``window``; return the evidence and whether Ctrl-C cut it short.

    ``count`` items have ids already: those of an evidence that this one is to be added to.
    """
    jobs = [_job(kind, source, window) for kind, source in sources]
    runner: Runner[Item | Metric] = Runner(jobs, listen)
    trays = runner.run()
    # Of what a dashboard found, only what gave something: names outlive the disks and ports that they are of.
    told = {item.metric for tray in trays for item in tray.items if isinstance(item, Series)}
    every = (item for tray in trays for item in tray.items if isinstance(item, Metric))
    scope = scope.joined(metric for metric in every if metric.name in told)
    outcomes = tuple(_number(trays, _order(window, scope), count))
    evidence = Evidence(
        window=window,
        scope=scope,
        outcomes=outcomes,
        collected_at=datetime.now(UTC).replace(microsecond=0),
        version=__version__,
    )
    return evidence, runner.interrupted


def _job(kind: str, source: Source, window: Window) -> Job[Item | Metric]:
    return Job(
        name=source.name,
        type=kind,
        role=source.role,
        gives=tuple(sorted(source.given)),
        timeout=source.timeout,
        start=lambda deadline: source.collect(window, deadline),
    )


def _order(window: Window, scope: Scope) -> Callable[[Item], tuple[object, ...]]:
    """Return the place of an item among those of its source: servers answer side by side, in any order.

    Series stand as their metrics are configured, spans as the window has them; what a source yields one after
    the other (commits, deploys) keeps its order, in front of them.
    """
    metrics = {metric.name or metric.target: place for place, metric in reversed([*enumerate(scope.metrics)])}
    spans = {span.label: place for place, span in enumerate(window.spans())}

    def key(item: Item) -> tuple[object, ...]:
        if isinstance(item, Series):
            place = metrics.get(item.metric, len(metrics))
            return (1, place, item.metric, spans.get(item.span, len(spans)), item.name, item.host, item.start)
        if isinstance(item, LogSample):
            return (2, item.query, item.start, item.span)
        return (0,)

    return key


def _number(
    trays: Iterable[Tray[Item | Metric]], order: Callable[[Item], tuple[object, ...]], count: int
) -> Iterator[Outcome]:
    """Turn trays into outcomes and give every item the id by which a brief refers to it, from ``count`` on."""
    for tray in trays:
        items = []
        for item in sorted((item for item in tray.items if not isinstance(item, Metric)), key=order):
            count += 1
            items.append(replace(item, id=f"E{count}"))
        yield Outcome(
            source=tray.job.name,
            type=tray.job.type,
            role=tray.job.role,
            gives=tray.job.gives,
            items=tuple(items),
            gaps=tuple(tray.gaps),
            took=round(tray.took, 3),
            requests=tray.deadline.requests,
            bytes=tray.deadline.bytes,
            traceback=tray.traceback,
            warnings=tuple(tray.deadline.warnings),
        )
