"""Whisper files on disk: the series of a Graphite server, without the server.

Equal to what the server would answer, except for points that carbon still holds in memory. So this is a
source of history: the end of its data is said when it lies before the end of the window.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Series
from opsbrief.model.scope import Metric
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers.collectd.survey import Survey, stretches, survey
from opsbrief.readers.graphite.answer import Points
from opsbrief.readers.graphite.folder import Folder, Found
from opsbrief.readers.graphite.plan import Ask, Want, globs, plan, wants
from opsbrief.readers.graphite.tally import Tally
from opsbrief.readers.graphite.target import host_of, tags_of
from opsbrief.readers.graphite.whisper import WhisperError, header, recover
from opsbrief.source import Source
from opsbrief.text import clean, line
from opsbrief.transport.deadline import Deadline

_LATE = 300  # seconds the data may end before the window does, without a word about it
_STEPS = 3  # and so many steps of the newest series: a point of ten minutes is written when they are over


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper(Source):
    """A folder of whisper files (.wsp): the series of a Graphite server without the server."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics"})

    path: str = field(metadata={"help": "folder that holds the .wsp files, carbon's storage/whisper", "path": True})
    targets: tuple[str, ...] = field(default=(), metadata={"help": "more targets, beside the metrics of the service"})
    max_series: int = field(default=2000, metadata={"help": "most series to read"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        """Yield the series of every span, from each file that a target matches."""
        root = Path(self.path).expanduser()
        if not root.is_dir():
            raise SourceError(
                GapKind.UNAVAILABLE, f"there is no folder {line(str(root))}", "path is the folder with the .wsp files"
            )
        asked: list[Want] = []
        for want in wants(self._metrics(), self.scope.hosts, self.name):
            if isinstance(want, Gap):
                yield want
            elif not want.targets[0].plain:
                yield self._function(want)
            else:
                asked.append(want)
        folder = Folder(root)
        found = self._survey(folder, asked)
        yield from found.metrics
        yield from found.gaps
        asked += found.wants
        known = {text: [one.name for one in folder.find(text)] for text in globs(asked) if text not in found.known}
        noise, said = found.noise(known, asked)
        laid = plan(asked, {**known, **found.known}, self.max_series, self.name, noise)
        yield from laid.gaps
        found.caught(laid)
        reading = _Reading(self, folder, Tally(self.name, asked, laid, window, self.max_series), found)
        for note in filter(None, (*found.notes, said, *reading.raw(window))):
            deadline.warn(note)
        for span in window.spans():
            for ask in (ask for group in laid.groups for ask in group):
                deadline.remaining()
                yield from reading.ask(ask, span)
        yield from found.silent(self.name)
        yield from folder.gaps(self.name)
        yield from reading.gaps(window)

    def find(self, query: str, _deadline: Deadline) -> tuple[str, ...]:
        """Return the names on the last level of ``query`` (globs allowed), sorted; a branch ends with a dot."""
        return Folder(Path(self.path).expanduser()).names(query)

    def _survey(self, folder: Folder, own: list[Want]) -> Survey:
        """Return what the dashboard of the scope finds here; nothing where it has none."""
        board = self.scope.dashboard
        if board is None:
            return Survey()

        def listed(queries: Sequence[str], level: Literal["all", "leaves"]) -> Iterator[str]:
            for query in queries:
                names = folder.names(query)
                yield from (name.rstrip(".") for name in names if level == "all" or not name.endswith("."))

        return survey(board, self.scope.hosts, self.name, listed, own, lambda _hosts: ())

    def _metrics(self) -> Iterator[Metric]:
        mine = (metric for metric in self.scope.metrics if metric.source in {"", self.name})
        yield from (metric for metric in mine if not metric.found)
        yield from (Metric(target=target) for target in self.targets)

    def _function(self, want: Want) -> Gap:
        return Gap(
            source=self.name,
            what=f"series {line(want.text)}",
            kind=GapKind.REJECTED,
            detail=f"files know no functions: {line(want.targets[0].functions[0], 60)}()",
            hint="ask for the plain series; opsbrief does the arithmetic itself",
        )


class _Reading:
    """Reads the files of one collect."""

    def __init__(self, source: Whisper, folder: Folder, tally: Tally, survey_: Survey) -> None:
        self._source = source
        self._survey = survey_
        self._folder = folder
        self._tally = tally
        self._now = int(time.time())
        self._newest = 0
        self._step = 0  # of the newest point

    def raw(self, window: Window) -> Iterator[str]:
        """Learn from a few busy counters of each place whether counters are stored raw; yield what is to be said."""
        for where, voters in self._survey.voters().items():
            for span in stretches(window):
                data = []
                for found in filter(None, map(self._folder.file, voters)):
                    with suppress(WhisperError, OSError):  # said where the series itself is read
                        if part := self._read(found, span):
                            data.append(part[0].values)
                if (said := self._survey.judge(where, data)) is not None:
                    yield said
                    break

    def ask(self, ask: Ask, span: Span) -> Iterator[Series]:
        """Yield the series of one ask that have a datapoint in ``span``."""
        for name in ask.names:
            found = self._folder.file(name)
            if found is None:
                continue
            try:
                part = self._read(found, span)
            except (WhisperError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                refused = SourceError(GapKind.BAD_ANSWER, f"no readable whisper file: {line(reason or 'unknown')}")
                self._tally.failed(span, [Ask(target=name, want=ask.want, names=(name,))], refused)
                continue
            if part is None:
                continue
            points, size, aggregation = part
            if self._tally.takes(span, ask.want, points, again=False):
                there = np.flatnonzero(np.isfinite(points.values))
                last = points.start + int(there[-1]) * points.step
                self._newest, self._step = max((self._newest, self._step), (last, points.step))
                series = self._series(found, ask.want, span, points, size, aggregation)
                yield self._survey.dress(series, ask.want.metric)

    def _read(self, found: Found, span: Span) -> tuple[Points, int, str] | None:
        fd = os.open(found.path, os.O_RDONLY)
        try:
            head = header(fd)
            first, end = ceil(span.start.timestamp()), ceil(span.end.timestamp())
            part = recover(fd, head, first - 1, end - 1, self._now)
        finally:
            os.close(fd)
        if part is None:
            return None
        endless = np.isinf(part.values)
        values = np.where(endless, np.nan, part.values) if endless.any() else part.values
        points = Points(name=found.name, start=part.start, step=part.step, values=values, infinite=int(endless.sum()))
        return points, part.size, head.aggregation

    def _series(self, found: Found, want: Want, span: Span, points: Points, size: int, aggregation: str) -> Series:
        name = clean(found.name, 1000)
        return Series(
            name=name,
            start=points.start,
            step=points.step,
            values=points.values,
            metric=want.metric.name or want.metric.target,
            host=want.host or line(host_of(found.name, self._source.scope.hosts), 200),
            unit=want.metric.unit,
            span=span.label,
            tags={line(key, 100): line(value) for key, value in tags_of(found.name).items()},
            consolidation=aggregation,
            origin=Origin(
                source=self._source.name,
                query=f"whisper {name} from={span.start.isoformat()} until={span.end.isoformat()}",
                url=clean(found.path, 1000),
                fetched_at=utc(self._now),
                bytes=size,
                digest=f"sha256:{sha256(points.values.tobytes()).hexdigest()}",
            ),
        )

    def gaps(self, window: Window) -> Iterator[Gap]:
        """Yield what is missing, and where the data ends when that is before the end of the window."""
        yield from self._tally.gaps()
        end = min(self._now, int(window.end.timestamp()))
        if self._newest and end - self._newest > max(_LATE, _STEPS * self._step):
            yield Gap(
                source=self._source.name,
                what="the newest points",
                kind=GapKind.TRUNCATED,
                detail=f"the data ends at {utc(self._newest):%Y-%m-%d %H:%M:%S} UTC,"
                f" {(end - self._newest) // 60} min before the end of the window",
                hint="points that carbon still holds in memory are not on disk",
            )
