"""Prometheus and what answers like it: VictoriaMetrics, Thanos, Mimir, Cortex.

Each metric's ``target`` is PromQL and is asked as a range query. A series keeps its last value for up to five minutes
after its last scrape unless it was marked as ended (Prometheus's own rule), so an outage may seem that much shorter.
Empty answers are ordinary there, also for names with a slip in them, so every query that brings nothing is a Gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Series
from opsbrief.model.scope import Metric
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers import matrix
from opsbrief.readers.matrix import Told
from opsbrief.source import Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_POINTS = 11_000  # of one series in one answer; Prometheus refuses more
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_USUAL = 60  # seconds between two values where nothing tells
_STRETCH = 600  # seconds in which samples are counted to learn how often they come
_STALE = 300  # seconds that an old value is repeated for
_RANGE = "/api/v1/query_range"
_HANDLED = (400, 404, 405, 422)
_FATAL = {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}  # asking on would end the same way
_NAMED = 5  # queries in one gap; the number of the others is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus(Web):
    """A Prometheus server, or one with its HTTP API: VictoriaMetrics, Thanos, Mimir."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics"})

    targets: tuple[str, ...] = field(
        default=(), metadata={"help": "more PromQL expressions, beside the metrics of the service"}
    )
    step: float | None = field(
        default=None,
        metadata={
            "help": "time between two values; default: that of the data, wider for more than 11,000",
            "duration": True,
        },
    )
    max_series: int = field(default=2000, metadata={"help": "most series to fetch for each span of time"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield the series of every metric for every span; see Source."""
        asked = [*self._wants()]
        yield from (entry for entry in asked if isinstance(entry, Gap))
        wants = [entry for entry in asked if isinstance(entry, _Want)]
        if not asked:
            yield self.gap(
                "everything",
                GapKind.SKIPPED,
                "no metric asks this source",
                "add metrics to the service, or name the sources that are its own: sources: [...]",
            )
        if wants:
            with self.client(deadline) as http:
                yield from _Asking(self, http, window, deadline).series(wants)

    def _wants(self) -> "Iterator[_Want | Gap]":
        """Yield what to ask for, the wide nets last; a Gap for what cannot be asked as it is written."""
        metrics = [metric for metric in self.scope.metrics if metric.source in {"", self.name}]
        metrics += [Metric(target=target) for target in self.targets]
        for metric in sorted(metrics, key=lambda one: one.rank):
            if "{host}" not in metric.target:
                yield _Want(metric, "", metric.target)
            elif not self.scope.hosts:
                detail = "it has {host}, but the service names no hosts"
                yield self.gap(f"query {line(metric.target, 200)}", GapKind.REJECTED, detail, "list them in hosts")
            else:
                for host in self.scope.hosts:
                    yield _Want(metric, host, metric.target.replace("{host}", host))

    def gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        """Return a gap of this source."""
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)


@dataclass(frozen=True, slots=True)
class _Want:
    """One metric for one host, or for none in particular."""

    metric: Metric
    host: str
    query: str


@dataclass(frozen=True, slots=True)
class _Grid:
    """The instants of one span that are asked about: ``count`` of them from ``start`` on."""

    start: int
    step: int
    count: int

    @classmethod
    def over(cls, span: Span, step: int) -> "_Grid":
        """Return every multiple of ``step`` in [start, end)."""
        first = ceil(span.start.timestamp() / step) * step
        return cls(first, step, max(0, ceil((span.end.timestamp() - first) / step)))

    def form(self, query: str) -> list[tuple[str, str]]:
        # nocache: VictoriaMetrics otherwise moves start and end to where its cache has them.
        last = self.start + max(0, self.count - 1) * self.step
        ends = [("start", str(self.start)), ("end", str(last)), ("step", str(self.step))]
        return [("query", query), *ends, ("nocache", "1")]


class _Asking:
    """One collect: asks, and keeps account of what did not come."""

    def __init__(self, source: Prometheus, http: "Client", window: Window, deadline: Deadline) -> None:
        self._source = source
        self._http = http
        self._deadline = deadline
        self._spans = list(window.spans())
        self._method = "POST"
        self._steps: dict[str, int] = {}
        self._order: dict[str, int] = {}
        self._seen: set[tuple[str, str]] = set()
        self._room = {span.label: source.max_series for span in self._spans}
        self._first: dict[str, int] = {}  # span -> earliest instant with any value
        self._notes: dict[tuple[GapKind, str, str], dict[str, list[str]]] = {}  # (kind, detail, hint) -> query -> spans

    def series(self, wants: "Sequence[_Want]") -> Iterator[Series | Gap]:
        self._order = {line(want.query, 200): place for place, want in enumerate(wants)}
        self._measure(wants)
        for net in (False, True):  # a wide net must not bring again what was asked for by name
            tasks = [(span, want) for span in self._spans for want in wants if want.metric.rank is net]
            for (span, want), result in side_by_side(self._ask, tasks, self._deadline):
                if isinstance(result, SourceError):
                    if result.kind in _FATAL:
                        raise result
                    self._note(result.kind, result.message, _advice(result), want, span)
                else:
                    yield from self._taken(span, want, *result)
        yield from self._gaps()

    # --- how dense --------------------------------------------------------------------------------

    def _measure(self, wants: "Sequence[_Want]") -> None:
        """Decide the step of every metric, by how often its data comes."""
        length = max(span.seconds for span in self._spans)
        least = next((step for step in _STEPS if length / step < _POINTS), _STEPS[-1])
        one_each = list({want.metric.target: want for want in wants}.values())
        if self._source.step is not None:
            wanted = max(1, round(self._source.step))
            self._steps = dict.fromkeys((want.metric.target for want in one_each), max(wanted, least))
            if least > wanted:
                detail = f"asked for every {least} s instead of every {wanted} s: {_POINTS:,} points are the most"
                self._notes[GapKind.TRUNCATED, detail, "take a shorter window or a wider step"] = {}
            return
        for want, found in side_by_side(self._interval, one_each, self._deadline):
            if isinstance(found, SourceError) and found.kind in _FATAL:
                raise found
            every = _USUAL if isinstance(found, SourceError) else found
            self._steps[want.metric.target] = max(every, least)

    def _interval(self, want: "_Want") -> int:
        """Return the seconds between two samples of a metric: by the fullest of a dozen short stretches."""
        selector = matrix.selector(want.query)
        if not selector:
            return _USUAL
        span = self._spans[0]
        grid = _Grid.over(span, max(_STRETCH, ceil(span.seconds / 12)))
        answer = self._send(_RANGE, grid.form(f"max(count_over_time({selector}[{_STRETCH}s]))"))
        if answer.status != 200:
            return _USUAL  # the query itself will tell what is wrong
        rows = matrix.read(answer.json(), grid.start, grid.step, grid.count).rows
        most = max((float(np.nanmax(row.values, initial=0.0)) for row in rows), default=0.0)
        # Both ends of a stretch may count, hence the tenth; a single sample tells no distance.
        return next((step for step in _STEPS if step >= 0.9 * _STRETCH / most), _USUAL) if most > 1 else _USUAL

    # --- asking -----------------------------------------------------------------------------------

    def _ask(self, task: "tuple[Span, _Want]") -> "tuple[_Grid, Answer, Told]":
        span, want = task
        grid = _Grid.over(span, self._steps[want.metric.target])
        answer = self._send(_RANGE, grid.form(want.query))
        if answer.status == 404 and not answer.body.lstrip().startswith(b"{"):
            raise SourceError(
                GapKind.UNREACHABLE,
                f"no {_RANGE} at {self._shown()}: HTTP 404",
                "check the path in the URL: it ends before /api/v1 (VictoriaMetrics cluster: .../select/0/prometheus)",
            )
        if answer.status != 200:
            raise matrix.refusal(answer.status, answer.body)
        return grid, answer, matrix.read(answer.json(), grid.start, grid.step, grid.count)

    def _send(self, path: str, form: list[tuple[str, str]]) -> "Answer":
        if self._method == "POST":
            answer = self._http.post(path, form=form, allow=_HANDLED)
            if answer.status != 405:
                return answer
            self._method = "GET"  # a proxy that lets nothing else through
        return self._http.get(path, form, allow=_HANDLED)

    def _shown(self) -> str:
        from opsbrief.transport.failure import bare  # noqa: PLC0415 - brings requests, which --help does not need

        return bare(self._source.url).rstrip("/")

    # --- what came --------------------------------------------------------------------------------

    def _taken(self, span: Span, want: "_Want", grid: _Grid, answer: "Answer", told: Told) -> Iterator[Series]:
        self._remarks(span, want, told)
        came = False
        for row in told.rows:
            there = np.flatnonzero(~np.isnan(row.values))
            came = came or there.size > 0 or row.infinite > 0
            if not there.size:
                continue
            first = grid.start + int(there[0]) * grid.step
            self._first[span.label] = min(first, self._first.get(span.label, first))
            name = matrix.named(row.labels, line(want.query, 300))
            if (span.label, name) in self._seen and want.metric.rank:
                continue
            self._seen.add((span.label, name))
            self._room[span.label] -= 1
            if self._room[span.label] >= 0:
                yield Series(
                    name=name,
                    start=grid.start,
                    step=grid.step,
                    values=row.values,
                    metric=want.metric.name or want.metric.target,
                    host=want.host or line(matrix.host_of(row.labels, self._source.scope.hosts), 200),
                    unit=want.metric.unit,
                    span=span.label,
                    tags=dict(matrix.others(row.labels)),
                    consolidation="last",
                    origin=self._origin(want, grid, answer),
                )
        if not came and not told.histograms:
            self._note(GapKind.UNAVAILABLE, "no series, or no value in this span", "", want, span)

    def _remarks(self, span: Span, want: "_Want", told: Told) -> None:
        for text in told.warnings:
            kind = GapKind.BAD_ANSWER if text.startswith("PromQL") else GapKind.TRUNCATED
            self._note(kind, f"the server remarks: {text}", "", want, span)
        if told.partial:
            detail = "the server says that its answer is partial: a part of it did not answer"
            self._note(GapKind.TRUNCATED, detail, "", want, span)
        if told.histograms:
            detail = f"{told.histograms:,} series are native histograms, which are no numbers"
            self._note(GapKind.REJECTED, detail, "take histogram_quantile or histogram_count of them", want, span)
        if endless := sum(row.infinite for row in told.rows):
            self._note(GapKind.BAD_ANSWER, f"{endless:,} infinite values taken as missing", "", want, span)

    def _origin(self, want: "_Want", grid: _Grid, answer: "Answer") -> Origin:
        asked = " ".join(f"{key}={line(value, 1000)}" for key, value in grid.form(want.query))
        return Origin(
            source=self._source.name,
            query=f"{self._method} {_RANGE} {asked}",
            url=f"{self._shown()}{_RANGE}",
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            bytes=len(answer.body),
            digest=f"sha256:{sha256(answer.body).hexdigest()}",
        )

    # --- what did not -----------------------------------------------------------------------------

    def _note(self, kind: GapKind, detail: str, hint: str, want: "_Want", span: Span) -> None:
        self._notes.setdefault((kind, detail, hint), {}).setdefault(line(want.query, 200), []).append(span.label)

    def _gaps(self) -> Iterator[Gap]:
        """Yield a gap for each thing that is amiss; queries that share it in the same spans share the gap."""
        for (kind, detail, hint), queries in sorted(self._notes.items()):  # answers come in any order
            if not queries:
                yield self._source.gap("the full resolution", kind, detail, hint)
            alike: dict[tuple[str, ...], list[str]] = {}
            for query in sorted(queries, key=self._order.__getitem__):
                places = {span.label: span.label in queries[query] for span in self._spans}
                alike.setdefault(tuple(label for label, here in places.items() if here), []).append(query)
            for spans, names in alike.items():
                yield self._source.gap(f"query {_some(names)}", kind, detail, hint, self._where(spans))
        yield from self._late()
        if (over := -min(self._room.values())) > 0:
            detail = f"{over:,} series dropped: the limit is {self._source.max_series:,} series in all"
            yield self._source.gap("the rest", GapKind.TRUNCATED, detail, "narrow the queries or raise max_series")

    def _late(self) -> Iterator[Gap]:
        """Yield a gap for each span whose data begins later than it does: retention, or a server that is younger."""
        for span in self._spans:
            first = self._first.get(span.label)
            if first is None or first - span.start.timestamp() <= _STALE + 5 * max(self._steps.values()):
                continue
            yield self._source.gap(
                f"everything before {utc(first):%Y-%m-%d %H:%M} UTC",
                GapKind.UNAVAILABLE,
                f"no series has a value before; the span begins at {span.start:%Y-%m-%d %H:%M} UTC",
                "older data may have been removed, or nothing was recorded yet",
                self._where((span.label,)),
            )

    def _where(self, labels: Sequence[str]) -> str:
        return "" if len(labels) == len(self._spans) else ", ".join(label or "window" for label in labels)


def _advice(error: SourceError) -> str:
    if error.kind is GapKind.REJECTED and "parse error" in error.message:
        return "is it PromQL? a metric for another source names it in source"
    return error.hint


def _some(names: Sequence[str]) -> str:
    """Return the first few names and the number of the others."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"
