"""Graphite: series by /render, names by /metrics, deploys by /events.

For graphite-web, carbonapi, Metrictank (Grafana Cloud) and VictoriaMetrics. Status 200 proves nothing there:
a missing series, a target with a slip in it or a truncated file all give 200. So what is wanted is known
before it is asked for, and what does not come is a Gap.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap, Item, Origin, Series
from opsbrief.model.marking import TAG, Marking
from opsbrief.model.scope import Metric
from opsbrief.model.window import Deploy, Span, TimeKind, Window
from opsbrief.readers.collectd.survey import Survey, stretches, survey
from opsbrief.readers.graphite import events, names
from opsbrief.readers.graphite.answer import AnswerError, Points
from opsbrief.readers.graphite.plan import Ask, Takers, Want, globs, plan, wants
from opsbrief.readers.graphite.render import Render, Sheet, bounds, digest, shaped
from opsbrief.readers.graphite.tally import Tally
from opsbrief.readers.graphite.target import host_of, tags_of
from opsbrief.source import Web
from opsbrief.text import clean, line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_JSON = frozenset({"metrictank", "victoriametrics"})  # the dialects that do not know the raw format


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphite(Web):
    """A Graphite server, or one that speaks its language: carbonapi, Metrictank, VictoriaMetrics."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics", "changes", "events", "deploys"})

    targets: tuple[str, ...] = field(default=(), metadata={"help": "more targets, beside the metrics of the service"})
    max_series: int = field(default=2000, metadata={"help": "most series to fetch for each span of time"})
    dialect: Literal["auto", "graphite", "carbonapi", "metrictank", "victoriametrics"] = field(
        default="auto",
        metadata={"help": "which server it is; VictoriaMetrics also wants its step: headers: {Storage-Step: 60s}"},
    )
    format: Literal["auto", "json", "raw"] = field(default="auto", metadata={"help": "how series are sent"})
    deploy_tags: tuple[str, ...] = field(
        default=(), metadata={"help": "tags that an event carries, all of them, when it marks a deploy"}
    )
    deploy_ref: str = field(
        default="",
        metadata={
            "help": "regular expression that finds the version in an event; group 'ref' or the first",
            "regex": True,
        },
    )

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        """Yield the series of every span, and the deploy events of the window when ``deploy_tags`` is set."""
        asked = [*wants(self._metrics(), self.scope.hosts, self.name)]
        yield from (entry for entry in asked if isinstance(entry, Gap))
        series = [entry for entry in asked if isinstance(entry, Want)]
        if not asked and not self.deploy_tags and not self.scope.dashboard:
            yield Gap(
                source=self.name,
                what="everything",
                kind=GapKind.SKIPPED,
                detail="no metric asks this source",
                hint="add metrics to the service, or name the sources that are its own: sources: [...]",
            )
        with self.client(deadline) as http:
            if self.deploy_tags:
                yield from self._changes(http, window)
            found = self._survey(http, series)
            yield from found.metrics
            yield from found.gaps
            if wanted := [*series, *found.wants]:
                yield from self._series(http, wanted, found, window, deadline)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the events tagged as deploys (``deploy_tags``, else "deploy") in [since, until]."""
        pattern = self._pattern()
        with self.client(deadline) as http:
            for marker in self._markers(http, since, until)[0]:
                if since <= marker.at <= until:
                    yield Deploy(
                        at=marker.at,
                        ref=marker.ref(pattern),
                        note=marker.what,
                        source=self.name,
                        time_kind=TimeKind.EVENT_TIME,
                        succeeded=marker.succeeded,
                        rollback=marker.rollback,
                    )

    def mark(self, marking: Marking, deadline: Deadline) -> str:
        """Write an event, and return how it can be seen; never asked again by itself, for it might be written twice."""
        body = events.written(marking, self._tags())
        with self.client(deadline) as http:
            answer = http.post("/events/", json_body=body, repeatable=False, allow=(400, 404, 405))
        if answer.status >= 300:
            raise self._missing()
        return f"event with the tags {' '.join(body['tags'])} in {self._shown()}"

    def find(self, query: str, deadline: Deadline) -> tuple[str, ...]:
        """Return the names on the last level of ``query`` (globs allowed), sorted; a branch ends with a dot."""
        with self.client(deadline) as http:
            answer = http.get("/metrics/find", [("query", query), ("format", "completer")], allow=(400, 404, 500))
            if answer.status != 200:
                raise SourceError(GapKind.REJECTED, f"{self._shown()} does not list metrics: HTTP {answer.status}")
            return shaped(lambda: names.found(answer.json(), query))

    def _metrics(self) -> Iterator[Metric]:
        mine = (metric for metric in self.scope.metrics if metric.source in {"", self.name})
        yield from (metric for metric in mine if not metric.found)
        yield from (Metric(target=target) for target in self.targets)

    # Series

    def _survey(self, http: "Client", own: Sequence[Want]) -> Survey:
        """Return what the dashboard of the scope finds here; nothing where it has none."""
        board = self.scope.dashboard
        if board is None:
            return Survey()

        def listed(queries: Sequence[str], level: Literal["all", "leaves"]) -> Iterator[str]:
            answered = self._expand(http, queries, leaves=level == "leaves")
            return (name.rstrip(".") for names_ in answered.values() for name in names_)

        return survey(board, self.scope.hosts, self.name, listed, own, lambda hosts: self._tagged(http, hosts))

    def _tagged(self, http: "Client", hosts: Sequence[str]) -> tuple[str, ...]:
        """Return the names with tags of some hosts; none where the server keeps no tags."""
        pattern = "|".join(re.escape(name) for host in hosts for name in (host, host.partition(".")[0]))
        answer = http.get("/tags/findSeries", [("expr", f"host=~^({pattern})$")], allow=(400, 404, 405, 500, 501))
        if answer.status != 200 or not answer.body.lstrip().startswith(b"["):
            return ()
        found = answer.json()
        return tuple(str(name) for name in found) if isinstance(found, list) else ()

    def _series(
        self, http: "Client", asked: Sequence[Want], found: Survey, window: Window, deadline: Deadline
    ) -> Iterator[Item | Gap]:
        known = {**self._expand(http, [text for text in globs(asked) if text not in found.known]), **found.known}
        noise, said = found.noise(known, asked)
        laid = plan(asked, known, self.max_series, self.name, noise)
        yield from laid.gaps
        render = Render(http, "json" if self.dialect in _JSON else self.format)
        found.caught(laid)
        for note in filter(None, (*found.notes, said, *self._raw(render, found, window))):
            deadline.warn(note)
        tally = Tally(self.name, asked, laid, window, self.max_series)
        tasks = [(span, group) for span in window.spans() for group in laid.groups]
        for (span, _group), result in side_by_side(lambda task: render.fetch(*task), tasks, deadline):
            if isinstance(result, SourceError):
                raise result
            for sheet in result:
                if isinstance(sheet.content, SourceError):
                    tally.failed(span, sheet.asks, sheet.content)
                else:
                    yield from self._items(sheet, sheet.content, span, tally, found)
        yield from tally.gaps()
        yield from found.silent(self.name)

    @staticmethod
    def _raw(render: Render, found: Survey, window: Window) -> Iterator[str]:
        """Learn from a few busy counters of each place whether counters are stored raw; yield what is to be said."""
        for where, voters in found.voters().items():
            want = Want(metric=Metric(target=where), host="", targets=())
            asks = tuple(Ask(target=name, want=want, names=(name,)) for name in voters)
            for span in stretches(window):
                sheets = render.fetch(span, asks)
                data = [one.values for sheet in sheets if isinstance(sheet.content, tuple) for one in sheet.content]
                if (said := found.judge(where, data)) is not None:
                    yield said
                    break

    def _expand(self, http: "Client", queries: Sequence[str], *, leaves: bool = True) -> Mapping[str, tuple[str, ...]]:
        """Return which series the globs stand for; nothing where the server cannot say, so that they go blindly."""
        known: dict[str, tuple[str, ...]] = {}
        for at in range(0, len(queries), 500):
            known |= self._listed(http, queries[at : at + 500], leaves=leaves)
        return known

    @staticmethod
    def _listed(http: "Client", queries: Sequence[str], *, leaves: bool) -> dict[str, tuple[str, ...]]:
        form = [*(("query", query) for query in queries), ("groupByExpr", "1"), ("leavesOnly", str(int(leaves)))]
        answer = http.post("/metrics/expand", form=form, allow=(400, 404, 405, 500, 501))
        if answer.status != 200 or answer.body.lstrip()[:1] not in {b"{", b"["}:
            return {}
        try:
            return names.expanded(answer.json(), queries)
        except (AnswerError, SourceError):
            return {}  # /render will tell what kind of server this is

    def _items(
        self, sheet: Sheet, content: Sequence[Points], span: Span, tally: Tally, found: Survey
    ) -> Iterator[Series]:
        takers = Takers(sheet.asks)
        again = not sheet.asks[0].plain
        seen: dict[str, int] = {}
        for points in content:
            cut = _within(points, span)
            for ask in takers.of(points.name):
                want = ask.want
                if not tally.takes(span, want, cut, again=again):
                    continue
                name = clean(points.name, 1000)
                path = points.tags.get("name", points.name)
                if again:
                    seen[name] = seen.get(name, 0) + 1
                    if seen[name] > 1:  # alias() on a glob: one name for several series
                        name = f"{name} ({clean(path, 1000) if path != points.name else seen[name]})"
                series = Series(
                    name=name,
                    start=cut.start,
                    step=cut.step,
                    values=cut.values,
                    metric=want.metric.name or want.metric.target,
                    host=want.host or line(host_of(path, self.scope.hosts), 200),
                    unit=want.metric.unit,
                    span=span.label,
                    tags=_tags(points),
                    origin=self._origin(sheet, ask),
                )
                yield found.dress(series, want.metric)

    def _origin(self, sheet: Sheet, ask: Ask) -> Origin:
        """Return the request that brought a series, with its own target and the number of the others."""
        others = f" (and {len(sheet.asks) - 1} more)" if len(sheet.asks) > 1 else ""
        return Origin(
            source=self.name,
            query=f"POST /render target={clean(ask.target, 1000)}{others} {sheet.query}",
            url=f"{self._shown()}/render",
            fetched_at=sheet.fetched_at,
            bytes=sheet.size,
            digest=sheet.digest,
        )

    def _shown(self) -> str:
        """Return the base URL without user and password."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))

    # Events

    def _changes(self, http: "Client", window: Window) -> Iterator[Change | Event | Gap]:
        span, pattern = window.whole, self._pattern()
        try:
            found, answer = self._markers(http, span.start, span.end)
            remarks = self._markers(http, span.start, span.end, (TAG,))
        except SourceError as error:
            if error.kind in {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}:
                raise
            yield Gap(source=self.name, what="deploy events", kind=error.kind, detail=error.message, hint=error.hint)
            return
        origin = self._said(span, self._tags(), answer)
        for marker in found:
            if span.start <= marker.at < span.end:
                yield Change(
                    kind="deploy",
                    at=marker.at,
                    ref=marker.ref(pattern),
                    summary=marker.what,
                    role="application",
                    origin=origin,
                )
        origin = self._said(span, (TAG,), remarks[1])
        for marker in remarks[0]:
            kind = events.remark(marker, self.scope.service)
            if kind and span.start <= marker.at < span.end:
                yield Event(
                    at=marker.at, host="", service="", state=kind, kind="marker", output=marker.what, origin=origin
                )

    def _said(self, span: Span, tags: Sequence[str], answer: "Answer") -> Origin:
        ends = " ".join(map("=".join, _ends(span.start, span.end)))
        return Origin(
            source=self.name,
            query=f"GET /events/get_data {ends} tags={' '.join(tags)}",
            url=f"{self._shown()}/events/get_data",
            fetched_at=datetime.now(UTC),
            bytes=len(answer.body),
            digest=digest(answer.body),
        )

    def _markers(
        self, http: "Client", since: datetime, until: datetime, tags: Sequence[str] = ()
    ) -> tuple[tuple[events.Marker, ...], "Answer"]:
        """Return the events with all the tags. Integer times only: anything else depends on the server's zone."""
        if self.dialect not in {"auto", "graphite"}:
            raise self._missing()
        wanted = tags or self._tags()
        answer = http.get("/events/get_data", [*_ends(since, until), ("tags", " ".join(wanted))], allow=(400, 404))
        if answer.status != 200:
            raise self._missing()
        found = shaped(lambda: tuple(events.markers(answer.json())))
        # graphite-web forgets about a tag that no event ever had, and so gives the deploys of other services.
        return tuple(marker for marker in found if {*wanted} <= {*marker.tags}), answer

    def _missing(self) -> SourceError:
        return SourceError(
            GapKind.REJECTED,
            f"{self._shown()} has no /events",
            "only graphite-web keeps events, carbonapi and VictoriaMetrics do not; use another deploy log",
        )

    def _tags(self) -> tuple[str, ...]:
        return self.deploy_tags or ("deploy",)

    def _pattern(self) -> re.Pattern[str] | None:
        try:
            return re.compile(self.deploy_ref) if self.deploy_ref else None
        except re.error as error:
            raise SourceError(GapKind.REJECTED, f"deploy_ref is no regular expression: {error}") from None


def _ends(since: datetime, until: datetime) -> list[tuple[str, str]]:
    """Return a stretch of time as the two parameters of an event query, in whole seconds, ends included."""
    return [("from", str(int(since.timestamp()))), ("until", str(ceil(until.timestamp())))]


def _within(points: Points, span: Span) -> Points:
    """Return the points of [start, end) alone: servers differ in whether they include the ends."""
    first, end = bounds(span)
    skip = max(0, -((points.start - first) // points.step)) if points.start < first else 0
    stop = max(skip, min(len(points.values), -((points.start - end) // points.step)))
    if skip == 0 and stop == len(points.values):
        return points
    return replace(points, start=points.start + skip * points.step, values=points.values[skip:stop])


def _tags(points: Points) -> dict[str, str]:
    """Return the tags in the name and beside it, without the one that only repeats the name."""
    found = {**tags_of(points.name), **points.tags}
    return {line(key, 100): line(value) for key, value in found.items() if (key, value) != ("name", points.name)}
