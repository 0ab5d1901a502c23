"""One source over many ticks: what is asked next, what has come so far, and whether it answers.

The first answer is about the whole window. From then on only the new stretch is asked, with some overlap
for what arrives late; weekly baselines are asked an hour ahead, since that past is complete. A source that
only knows changes (a repository) is asked about the whole window, but rarely.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opsbrief.collect import Job, Tray
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Event, Gap, Item, LogSample, Outcome, Reading, Release, Run, Series
from opsbrief.model.scope import Metric
from opsbrief.model.tick import SourceState, State
from opsbrief.model.window import Deploy, Window, utc
from opsbrief.source import DeployLog, Source
from opsbrief.transport.deadline import Deadline
from opsbrief.watch.lines import Heap, cut, edge
from opsbrief.watch.ring import SLOTS, Ring

OVERLAP = 120.0  # seconds asked again at least: lines and datapoints arrive late
AHEAD = timedelta(hours=1)  # of a weekly baseline, asked at once
RARELY = 300.0  # seconds between two questions to a source that only knows changes
QUIET = timedelta(minutes=5)  # without anything new before it is said
SHARE = 10.0  # a source that took t seconds is left alone for so many t: nobody is kept busy by being watched
SERIES = 3000  # kept of one source, the most recent ones
VALUES = 2_000_000  # of all its series, beyond which each new one gets less room
THINGS = 500  # events, changes and readings kept of one source

_STREAMS = frozenset({"metrics", "logs", "events"})
_LOST = frozenset({GapKind.UNREACHABLE, GapKind.TIMEOUT, GapKind.UNAUTHORIZED, GapKind.BUG})
_WHOLE = ("everything", "the rest")

Thing = Item | Metric | Deploy  # what a round of questions brings
Clean = Callable[[Any], Any]  # takes credentials out of items


class Asked:
    """What sources and deploy logs have in common: when to ask again, and what to say while they do not answer."""

    def __init__(self, kind: str, source: Source, *, rest: float = 0.0) -> None:
        """Take a source and the seconds that lie at least between two questions to it."""
        self.kind, self.source = kind, source
        self.answered: datetime | None = None
        self.status: SourceState = "ok"
        self.detail = ""
        self._rest = rest
        self._due: datetime | None = None
        self._running = False

    def due(self, now: datetime) -> bool:
        """Whether to ask now. A source that is still busy with the last question is not asked another one."""
        if self._running:
            self.status, self.detail = "stuck", "still busy with the question before"
            return False
        return self._due is None or now >= self._due

    def leash(self, every: float) -> float:
        """Return the seconds it may take: all at first, less once it has failed, so that it does not hold up others."""
        return (
            self.source.timeout if self.status in ("ok", "partial", "silent") else min(self.source.timeout, every / 2)
        )

    def settle(self, now: datetime, took: float, gaps: Iterable[Gap], *, empty: bool) -> bool:
        """Note how it went; return whether the answer was whole."""
        gaps = [gap for gap in gaps if gap.kind is not GapKind.SKIPPED]
        lost = next((gap for gap in gaps if _fatal(gap)), None)
        silent = gaps[0] if gaps and empty else None
        self._due = now + timedelta(seconds=0 if lost or silent else max(self._rest, SHARE * took))
        if failure := lost or silent:
            self.status, self.detail = "failed" if lost else "silent", failure.detail
            return False
        self.status = "partial" if gaps else "ok"
        self.detail = gaps[0].detail if gaps else ""
        self.answered = now
        return True

    def state(self, now: datetime) -> State:
        """Return how it is; that nothing new comes is only said when it lasts."""
        if self.status == "silent":
            since = self.newest()
            if since and now - since < QUIET:
                return State(source=self.source.name, state="ok", since=self.answered)
            return State(source=self.source.name, state="silent", since=since, detail=self.detail)
        return State(source=self.source.name, state=self.status, since=self.answered, detail=self.detail)

    def newest(self) -> datetime | None:
        """Return the time of the newest thing it gave."""
        return self.answered

    def _busy(self, items: Iterator[Any]) -> Iterator[Any]:
        """Pass items on, and know whether the thread that asks for them is still at it."""
        self._running = True
        try:
            yield from items
        finally:
            self._running = False


class Feed(Asked):
    """A source of evidence."""

    def __init__(self, kind: str, source: Source) -> None:
        """Take a source that has not been asked yet."""
        self._stream = bool(source.gives & _STREAMS)
        super().__init__(
            kind, source, rest=RARELY if source.gives and not source.gives - {"changes", "deploys"} else 0.0
        )
        self._rings: dict[tuple[str, str, str], Ring] = {}
        self._heaps: dict[tuple[str, str], Heap] = {}
        self._tails: dict[tuple[str, str], LogSample] = {}
        self._things: dict[tuple[object, ...], Item] = {}
        self._gaps: tuple[Gap, ...] = ()
        self.found: dict[str, Metric] = {}  # by the dashboard of the scope
        self._since: datetime | None = None  # where the last question began
        self._until: datetime | None = None  # end of the last whole answer; None: all is still to be asked
        self._weeks: datetime | None = None  # as far as weekly baselines are there, on the incident's clock
        self._asked: tuple[Window, Window | None] | None = None

    def job(self, window: Window, now: datetime, every: float) -> Job[Thing]:
        """Return the next question; ``window`` is the watch's, from its start on."""
        short, ahead = self._asked = self._windows(replace(window, end=now))

        def start(deadline: Deadline) -> Iterator[Item | Metric | Gap]:
            yield from self.source.collect(short, deadline)
            if ahead:
                labels = {label for label, _ in ahead.shifts}
                for item in self.source.collect(ahead, deadline):
                    if isinstance(item, (Series, LogSample)) and item.span in labels:
                        yield item

        return Job(
            name=self.source.name,
            type=self.kind,
            role=self.source.role,
            timeout=self.leash(every),
            start=lambda deadline: self._busy(start(deadline)),
        )

    def _windows(self, whole: Window) -> tuple[Window, Window | None]:
        """Return what to ask, and the stretch whose same hours of the weeks before are asked as well."""
        if not self._stream or self._until is None:
            return whole, None
        lag = max([OVERLAP, *(2.0 * ring.step for (span, _, _), ring in self._rings.items() if not span)])
        incident = [tail for (_, span), tail in self._tails.items() if span in ("", "incident")]
        begin = utc(edge(incident, self._until.timestamp() - lag))
        short = replace(whole, start=max(whole.start, begin, self._since or begin), before=timedelta(0), shifts=())
        if self._weeks is None or whole.end <= self._weeks or not whole.shifts:
            return short, None
        return short, replace(whole, start=self._weeks, before=timedelta(0), end=max(whole.end, self._weeks + AHEAD))

    def take(self, tray: Tray[Thing], now: datetime, clean: Clean) -> list[Event | Change]:
        """Keep what came; return events and changes that were not known, none the first time."""
        assert self._asked is not None  # noqa: S101 - job() comes first
        short, ahead = self._asked
        first = self._until is None
        answer: tuple[Thing, ...] = clean(tuple(tray.items))
        items: tuple[Item, ...] = tuple(item for item in answer if not isinstance(item, (Deploy, Metric)))
        self.found |= {item.name: item for item in answer if isinstance(item, Metric)}
        gaps: tuple[Gap, ...] = clean(tuple(gap for gap in tray.gaps if first or gap.span != "before"))
        whole = self.settle(now, tray.took, gaps, empty=not items)
        whole = self._lines([item for item in items if isinstance(item, LogSample)], short, whole=whole, first=first)
        for item in items:
            if isinstance(item, Series):
                self._series(item)
        fresh = self._note(items, whole=whole)
        self._gaps = gaps
        if whole:
            self._until = short.end
            self._weeks = self._weeks or short.end
        if ahead and self.status != "failed":
            self._weeks = ahead.end
        return [] if first else fresh

    def _lines(self, samples: list[LogSample], asked: Window, *, whole: bool, first: bool) -> bool:
        """Settle what will not be asked again; return whether every stretch that was asked is there."""
        came = {(s.query, s.span or "incident"): s for s in samples if s.end > s.start}
        whole = whole and all(key in came for key in self._tails if key[1] == "incident")
        for key, sample in came.items():
            tail = self._tails.pop(key, None)
            if key[1] == "incident":
                if tail and (part := cut(tail, asked.start)):
                    self._settle(key, part)
                self._tails[key] = sample
            elif whole or (self.status != "failed" and not first):
                self._settle(key, sample)
            elif first:  # will be asked again, but what is there is shown
                self._tails[key] = sample
        self._since = asked.start
        return whole

    def _settle(self, key: tuple[str, str], sample: LogSample) -> None:
        if key in self._heaps:
            self._heaps[key].add(sample)
        else:
            self._heaps[key] = Heap(sample)

    def _series(self, series: Series) -> None:
        key = (series.span, series.metric, series.name)
        ring = self._rings.pop(key, None)
        if ring is None:
            ring = Ring(series, max(512, min(SLOTS, VALUES // (len(self._rings) + 1))))
        else:
            ring.add(series)
        self._rings[key] = ring  # at the end: the first one is the one that has not come for longest
        if len(self._rings) > SERIES:
            del self._rings[next(iter(self._rings))]

    def newest(self) -> datetime | None:
        """Return the time of the newest datapoint or line."""
        ends = [ring.newest for (span, _, _), ring in self._rings.items() if not span]
        lines = [
            sample.records[-1].timestamp
            for sample in (*self._tails.values(), *(heap.sample for heap in self._heaps.values()))
            if sample.span in ("", "incident") and sample.records
        ]
        return max([*(utc(end) for end in ends if end), *lines], default=None)

    def _note(self, items: Iterable[Item], *, whole: bool) -> list[Event | Change]:
        found: dict[tuple[object, ...], Item] = {
            _key(item): item for item in items if not isinstance(item, (Series, LogSample))
        }
        fresh = [item for key, item in found.items() if key not in self._things and isinstance(item, (Event, Change))]
        if whole and not self._stream:
            self._things = found
        else:
            self._things |= found
        for key in list(self._things)[: -THINGS or None] if len(self._things) > THINGS else ():
            del self._things[key]
        return fresh

    @property
    def outcome(self) -> Outcome:
        """All that is known, as if it had come in one answer."""
        samples = [*(heap.sample for heap in self._heaps.values()), *self._tails.values()]
        series = [ring.series for ring in self._rings.values()]
        return Outcome(
            source=self.source.name,
            type=self.kind,
            role=self.source.role,
            gives=tuple(sorted(self.source.given)),
            items=(*series, *samples, *self._things.values()),
            gaps=self._gaps,
        )


class Log(Asked):
    """A deploy log: the deploys since the start of the window."""

    def __init__(self, kind: str, source: Source) -> None:
        """Take a deploy log that has not been asked yet."""
        super().__init__(kind, source)
        self.deploys: dict[tuple[datetime, str], Deploy] = {}

    def job(self, since: datetime, now: datetime, every: float) -> Job[Thing]:
        """Return the question for every deploy since ``since``."""

        def start(deadline: Deadline) -> Iterator[Deploy | Gap]:
            if isinstance(self.source, DeployLog):
                yield from self.source.deploys(since, now, deadline)

        return Job(
            name=self.source.name,
            type=self.kind,
            timeout=self.leash(every),
            start=lambda deadline: self._busy(start(deadline)),
        )

    def take(self, tray: Tray[Thing], now: datetime, clean: Clean) -> list[Deploy]:
        """Keep what came; return the deploys that were not known."""
        found = {(deploy.at, deploy.ref): deploy for deploy in clean(tuple(tray.items)) if isinstance(deploy, Deploy)}
        fresh = [deploy for key, deploy in found.items() if key not in self.deploys]
        self.settle(now, tray.took, tray.gaps, empty=False)
        self.deploys |= found
        for key in sorted(self.deploys)[: max(0, len(self.deploys) - THINGS)]:
            del self.deploys[key]
        return fresh


def _fatal(gap: Gap) -> bool:
    """Whether what is missing must be asked for again."""
    return gap.kind in _LOST or (gap.what in _WHOLE and gap.kind is not GapKind.TRUNCATED)


def _key(item: Item) -> tuple[object, ...]:
    """Return what makes two answers speak of the same thing."""
    match item:
        case Change():
            return "change", item.kind, item.at, item.ref
        case Event():
            return "event", item.kind, item.at, item.host, item.service, item.state
        case Release():
            return "release", item.base, item.head
        case Reading():
            return "reading", item.host, item.command
        case Run():
            return "run", item.host, item.at
    raise TypeError(type(item).__name__)
