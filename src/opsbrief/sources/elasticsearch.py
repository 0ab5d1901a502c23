"""Log lines from Elasticsearch 6 to 9 and OpenSearch 1 to 3, over plain HTTP.

Features are probed, versions never compared: proxies hide them and OpenSearch lies about its own.
Counting is the cluster's work (one aggregation per stretch); the lines that come back are bounded.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, LogRecord, LogSample, Origin
from opsbrief.model.scope import Logs
from opsbrief.model.window import Deploy, Span, Window
from opsbrief.readers.search import fields as layouts
from opsbrief.readers.search import turns
from opsbrief.readers.search.cluster import Cluster, Tally
from opsbrief.readers.search.lines import Reader
from opsbrief.readers.search.paging import Pager
from opsbrief.readers.search.sampling import Drawn, Question, draw, lines
from opsbrief.readers.search.survey import Survey, iso
from opsbrief.source import Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

_FATAL = {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}  # asking on would end the same way
_DEPLOY_LINES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Elasticsearch(Web):
    """Indices, data streams or aliases that hold log lines."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs", "deploys"})

    index: str = field(
        default="logstash-*",
        metadata={"help": "index, alias, data stream; wildcards, comma lists; a date pattern (logstash-%Y.%m.%d, UTC)"},
    )
    fields: layouts.Layout = field(default="auto", metadata={"help": "layout of the documents"})
    time_field: str = field(default="", metadata={"help": "field of the time, when the layout's is not it"})
    message_field: str = field(default="", metadata={"help": "field of the message"})
    level_field: str = field(default="", metadata={"help": "field of the level"})
    host_field: str = field(default="", metadata={"help": "field of the host name"})
    service_field: str = field(default="", metadata={"help": "field of the service name"})
    limit: int = field(default=5000, metadata={"help": "lines fetched per query and stretch; totals are always true"})
    page: int = field(default=5000, metadata={"help": "most lines in one answer"})
    deploy_query: str = field(
        default="",
        metadata={
            "help": "query string of the lines a new version writes at start; without it: no deploys",
            "deploys": True,
        },
    )
    deploy_regex: str = field(
        default="",
        metadata={
            "help": "finds the group ref in such a line; without it service.version, or what follows the word version",
            "regex": True,
        },
    )

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield one sample per log query and stretch: the time before, the incident, the same hours of weeks before."""
        wanted = self.scope.logs or (Logs(),)
        with self.client(deadline) as http:
            ask = _Asking(self, Pager(Cluster(http, deadline), self.client, max(1, self.page)))
            for logs in wanted:
                if logs.source in {"", self.name}:
                    yield from ask.samples(logs, window)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield a deploy for the first line of each version in [since, until]; raise when it cannot be asked."""
        if not self.deploy_query:
            raise SourceError(GapKind.SKIPPED, f"{self.name} has no deploy_query", "set it, or take it off deploys")
        pattern = _pattern(self.deploy_regex) if self.deploy_regex else None
        if pattern and "ref" not in pattern.groupindex:
            raise SourceError(GapKind.REJECTED, "deploy_regex has no group named ref", "write it as (?P<ref>...)")
        with self.client(deadline) as http:
            ask = _Asking(self, Pager(Cluster(http, deadline), self.client, max(1, self.page)))
            # A millisecond more: the range ends before its end, a deploy at ``until`` counts.
            span = Span("", since, until + timedelta(milliseconds=1))
            yield from ask.deploys(span, pattern)

    def layout(self, logs: Logs) -> layouts.Fields:
        """Return where the parts of a line are looked for: the layout, then what the source and the query name."""
        return layouts.given(
            layouts.given(
                layouts.layout(self.fields),
                time=self.time_field,
                message=self.message_field,
                level=self.level_field,
                host=self.host_field,
                service=self.service_field,
            ),
            message=logs.message,
            level=logs.level,
            host=logs.host,
        )


class _Asking:
    """One walk through the questions to one cluster; remembers what was probed."""

    def __init__(self, source: Elasticsearch, pager: Pager) -> None:
        self.source = source
        self.pager = pager
        self.cluster = pager.cluster
        self.survey = Survey(pager.cluster, source.name, source.index)

    def samples(self, logs: Logs, window: Window) -> Iterator[LogSample | Gap]:
        """Yield the samples of one query, and a gap for each thing that is not there."""
        try:
            keep = _keeper(logs.ignore)
        except SourceError as error:
            yield self._gap(f"log query {_named(logs)}", error)
            return
        lines_found = answered = 0
        for span in _stretches(window):
            try:
                for item in self._stretch(logs, span, keep):
                    yield item
                    if isinstance(item, LogSample):
                        answered += 1
                        lines_found += item.total
            except SourceError as error:
                if error.kind in _FATAL:
                    raise
                yield self._gap(f"log query {_named(logs)}", error, span.label)
                if error.kind is GapKind.REJECTED:
                    return  # the same words would be refused for every stretch
        if answered and not lines_found:
            yield self._none(logs)

    def _stretch(self, logs: Logs, span: Span, keep: Callable[[LogRecord], bool] | None) -> Iterator[LogSample | Gap]:
        self.cluster.tally = Tally()
        path, gaps = self.survey.where(span)
        yield from gaps
        if not path:
            return
        question = self.survey.question(path, self.source.layout(logs), span, logs.query)
        question = replace(question, level=self.survey.level(question))
        drawn = draw(self.pager, question, max(1, self.source.limit), keep)
        yield self._sample(question, span, drawn)
        yield from self._shortfalls(question, span, drawn)
        if drawn.broken is not None:
            raise drawn.broken

    # --- what came back ---------------------------------------------------------------------------

    def _sample(self, question: Question, span: Span, drawn: Drawn) -> LogSample:
        from opsbrief.transport.failure import bare  # noqa: PLC0415 - brings requests, which --help does not need

        tally = self.cluster.tally
        stretch = f"{question.time}:[{iso(span.start)} TO {iso(span.end)}}}"
        asked = f"({question.query}) AND {stretch}" if question.query.strip() not in {"", "*"} else stretch
        return LogSample(
            query=question.query,
            span=span.label,
            start=span.start,
            end=span.end,
            total=drawn.total,
            total_is_exact=drawn.exact,
            records=tuple(drawn.records),
            histogram=drawn.histogram,
            origin=Origin(
                source=self.source.name,
                query=f"{line(asked, 2000)} - {drawn.how}",
                url=f"{bare(self.source.url).rstrip('/')}/{question.index}/_search",
                fetched_at=datetime.now(UTC),
                bytes=tally.size,
                digest=f"sha256:{tally.digest.hexdigest()}",
            ),
        )

    def _shortfalls(self, question: Question, span: Span, drawn: Drawn) -> Iterator[Gap]:
        what = f"lines of {line(question.query, 120) or 'all logs'}"
        for sentence in self.cluster.tally.shortfalls:
            yield Gap(
                source=self.source.name,
                what=what,
                kind=GapKind.TRUNCATED,
                detail=f"{line(sentence, 300)}; counts are lower bounds",
                hint="the rest is kept; look at the health of the cluster",
                span=span.label,
            )
        if drawn.undated:
            yield Gap(
                source=self.source.name,
                what=what,
                kind=GapKind.BAD_ANSWER,
                detail=f"{drawn.undated:,} of {drawn.seen:,} lines read have no readable {question.time}",
                hint="they count in the totals, but are not shown",
                span=span.label,
            )
        if drawn.records and not any(entry.body for entry in drawn.records):
            yield Gap(
                source=self.source.name,
                what=what,
                kind=GapKind.UNAVAILABLE,
                detail=f"none of {len(drawn.records):,} lines has a message in {', '.join(question.fields.message)}",
                hint="name the field in message_field",
                span=span.label,
            )

    def _none(self, logs: Logs) -> Gap:
        return Gap(
            source=self.source.name,
            what=f"log query {_named(logs)}",
            kind=GapKind.UNAVAILABLE,
            detail="matches no line, neither in the incident nor in what it is compared with",
            hint="the indices are there; check the query and its field names",
        )

    def _gap(self, what: str, error: SourceError, span: str = "") -> Gap:
        return Gap(
            source=self.source.name, what=what, kind=error.kind, detail=error.message, hint=error.hint, span=span
        )

    # --- deploys ----------------------------------------------------------------------------------

    def deploys(self, span: Span, pattern: re.Pattern[str] | None) -> Iterator[Deploy | Gap]:
        """Yield the first line of each version; a host that goes back to an older one makes a rollback."""
        source = self.source
        path, gaps = self.survey.where(span)
        if not path:
            raise SourceError(gaps[0].kind, f"{gaps[0].what}: {gaps[0].detail}", gaps[0].hint)
        question = self.survey.question(path, source.layout(Logs()), span, source.deploy_query)
        found: list[tuple[LogRecord, str]] = []
        seen = 0
        reader = Reader(question.fields, question.time)
        for hit in lines(self.pager, question, question.matching(), question.by_time("desc"), _DEPLOY_LINES):
            seen += 1
            entry = reader.record(hit)
            if entry and (version := turns.ref(entry, pattern)):
                found.append((entry, version))
        if seen and not found:
            where = "what deploy_regex looks for" if pattern else "a version"
            raise SourceError(
                GapKind.UNAVAILABLE, f"none of {seen:,} lines of deploy_query has {where}", "set deploy_regex"
            )
        yield from gaps
        found.reverse()
        cut = seen >= _DEPLOY_LINES
        # Where older lines were not read, nobody knows when the oldest version really came.
        yield from list(turns.turns(found, source.name))[1 if cut else 0 :]
        for sentence in self.cluster.tally.shortfalls:
            yield Gap(source=source.name, what="deploys", kind=GapKind.TRUNCATED, detail=line(sentence, 300))
        if cut:
            yield Gap(
                source=source.name,
                what="deploys",
                kind=GapKind.TRUNCATED,
                detail=f"only the newest {_DEPLOY_LINES:,} lines were read",
                hint="make deploy_query match only the line that a new version writes at its start",
            )


def _stretches(window: Window) -> Iterator[Span]:
    """Yield the time before, the incident, and the same hours as the incident of each week before."""
    if window.fix:  # each phase deserves lines of its own, however short it is
        yield from (span for span in window.phases() if span.seconds > 0)
        return
    if window.prior.seconds > 0:
        yield window.prior
    yield window.incident
    for label, shift in window.shifts:
        yield Span(label, window.start - shift, window.end - shift, shift)


def _named(logs: Logs) -> str:
    return repr(line(logs.query, 120)) if logs.query else "(all lines)"


def _pattern(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except re.error as error:
        raise SourceError(GapKind.REJECTED, f"{line(regex, 100)} is no regular expression: {error}") from error


def _keeper(ignore: tuple[str, ...]) -> Callable[[LogRecord], bool] | None:
    """Return which lines count, or None when all do."""
    patterns = [_pattern(regex) for regex in ignore]
    if not patterns:
        return None
    return lambda entry: not any(pattern.search(entry.body) for pattern in patterns)
