"""Log lines from Grafana Loki: counted by the server, sampled evenly where they are many.

``query`` of a service's ``logs`` is LogQL: a stream selector and, if wanted, filters and parsers. Totals and the
histogram come from ``count_over_time``, so they are true also where not all lines are read; levels are those of
the labels (``detected_level`` of Loki 3, ``level``). Written after the answers that Loki's documentation shows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, LogSample, Origin
from opsbrief.model.scope import Logs
from opsbrief.model.window import Span, Window
from opsbrief.readers import matrix
from opsbrief.readers.lines.sample import stretches
from opsbrief.readers.loki.records import Reader
from opsbrief.readers.loki.volume import LEVELS, NANO, Grid, Volume, added, ends, form, quoted
from opsbrief.readers.matrix import Line
from opsbrief.readers.search.sampling import shares
from opsbrief.source import Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_RANGE = "/loki/api/v1/query_range"
_FATAL = {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}  # asking on would end the same way
_LABEL = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_MOST = re.compile(r"\(\d+ > (\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loki(Web):
    """A Grafana Loki server; several tenants: headers: {X-Scope-OrgID: NAME}."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs"})

    selector: str = field(
        default='{job=~".+"}', metadata={"help": "stream selector of log entries that have no query of their own"}
    )
    limit: int = field(default=5000, metadata={"help": "lines fetched per query and stretch; totals are always true"})
    page: int = field(default=5000, metadata={"help": "most lines in one answer; a server that allows less is obeyed"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a sample per log query and stretch: incident, the time before, the same hours of weeks before."""
        with self.client(deadline) as http:
            for entry in self.scope.logs or (Logs(),):
                if entry.source in {"", self.name}:
                    yield from _Asking(self, http, deadline, entry).samples(window)


class _Asking:
    """One log query: counts, then lines."""

    def __init__(self, source: Loki, http: "Client", deadline: Deadline, entry: Logs) -> None:
        self._source = source
        self._http = http
        self._deadline = deadline
        self._entry = entry
        self._page = max(1, source.page)
        ignored = "".join(f" !~ {quoted(regex)}" for regex in entry.ignore)
        self._query = (entry.query.strip() or source.selector) + ignored
        own = (entry.level,) if _LABEL.match(entry.level) else ()  # else it is a field inside the line
        self._labels = tuple(dict.fromkeys((*own, *LEVELS)))
        self._answers: list[tuple[str, int]] = []  # digest and size of each that a sample came from

    def samples(self, window: Window) -> Iterator[LogSample | Gap]:
        counted: list[tuple[Span, Volume]] = []
        for span in stretches(window):
            try:
                counted.append((span, self._volume(span)))
            except SourceError as error:
                if error.kind in _FATAL:
                    raise
                yield self._gap(error.kind, error.message, error.hint or _advice(error), span.label)
                if error.kind is GapKind.REJECTED:
                    return  # the same words would be refused for every stretch
        if counted and not any(volume.total for _, volume in counted):
            detail = "matches no line, neither in the incident nor in what it is compared with"
            yield self._gap(GapKind.UNAVAILABLE, detail, "check the stream selector: label names and values")
            return
        for span, volume in counted:
            if span.shift and not volume.total and not self._any(span):
                detail = "the streams have no line at all in these hours"
                yield self._gap(GapKind.UNAVAILABLE, detail, "older lines may have been removed", span.label)
            else:
                yield from self._sample(window, span, volume)

    # --- counting ----------------------------------------------------------------------------------

    def _volume(self, span: Span) -> Volume:
        """Count the lines of a stretch, per bucket and level."""
        grid = Grid.over(span)
        found = []
        for segment in grid.segments:
            answer = self._ask(segment.form(self._query, self._labels))
            found.append((segment, matrix.read(answer.json(), segment.first, segment.pace, segment.count).rows))
        return added(grid, found, self._labels)

    def _any(self, span: Span) -> bool:
        """Return whether the streams have any line in a stretch, whatever the rest of the query says."""
        selector = matrix.selector(self._query)
        if not selector:
            return False
        start, end = ends(span)
        return bool(matrix.lines(self._ask(form(selector, start * NANO, end * NANO, limit="1")).json()))

    # --- lines -------------------------------------------------------------------------------------

    def _sample(self, window: Window, span: Span, volume: Volume) -> Iterator[LogSample | Gap]:
        self._answers = []
        strata = list(volume.strata(self._query, self._source.limit))
        quotas = shares([stratum.total for stratum in strata], max(1, self._source.limit))
        shared = zip(strata, quotas, strict=True)
        tasks = [piece for stratum, quota in shared for piece in volume.pieces(stratum, quota, span)]
        drawn: list[Line] = []
        broken: SourceError | None = None
        try:
            for _task, result in side_by_side(lambda piece: self._read(*piece), tasks, self._deadline):
                if isinstance(result, SourceError):
                    broken = result
                else:
                    drawn += result
        except SourceError as error:  # out of time: what was counted and read is worth keeping
            broken = error
        drawn.sort(key=lambda one: one.at)
        reader = Reader(self._entry, self._source.scope.hosts, window, volume.label, drawn)
        how = f"all {volume.total:,} lines"
        if len(drawn) < volume.total:
            how = f"{len(drawn):,} of {volume.total:,} lines, the first of each of {len(tasks)} pieces"
        yield LogSample(
            query=self._entry.query,
            span=span.label,
            start=span.start,
            end=span.end,
            total=volume.total,
            total_is_exact=True,
            records=tuple(map(reader.record, drawn)),
            histogram=volume.histogram(),
            origin=Origin(
                source=self._source.name,
                query=f"{line(self._query, 1000)} of {span.label} - {how}",
                url=f"{self._shown()}{_RANGE}",
                fetched_at=datetime.now(UTC).replace(microsecond=0),
                bytes=sum(size for _, size in self._answers),
                digest=f"sha256:{sha256(''.join(digest for digest, _ in sorted(self._answers)).encode()).hexdigest()}",
            ),
        )
        if broken is not None:
            if broken.kind in _FATAL:
                raise broken
            yield self._gap(broken.kind, f"a part of the lines: {broken.message}", broken.hint, span.label)

    def _read(self, query: str, start: int, end: int, count: int) -> list[Line]:
        """Return the first ``count`` lines in [start, end), page by page."""
        found: list[Line] = []
        last: set[tuple[str, str]] = set()  # lines of the last instant, which the next page brings again
        while len(found) < count:
            wish = min(self._page, count - len(found) + len(last))
            page = self._lines(query, start, end, wish)
            fresh = [one for one in page if one.at > start or (one.text, str(one.labels)) not in last]
            found += fresh
            if len(page) < min(wish, self._page):  # which may have become less meanwhile
                break
            same = page[-1].at == start
            start = page[-1].at + (not fresh)  # a page full of one instant: what else it has cannot be reached
            last = {(one.text, str(one.labels)) for one in page if one.at == start} | (last if same else set())
        return found[:count]

    def _lines(self, query: str, start: int, end: int, count: int) -> list[Line]:
        while True:
            try:
                answer = self._ask(form(query, start, end, limit=str(min(count, self._page)), direction="forward"))
            except SourceError as error:
                found = _MOST.search(error.message) if "max entries" in error.message else None
                if not found or not 0 < int(found[1]) < min(count, self._page):
                    raise
                self._page = int(found[1])
                continue
            return matrix.lines(answer.json())

    # --- asking ------------------------------------------------------------------------------------

    def _ask(self, form: list[tuple[str, str]]) -> "Answer":
        try:
            answer = self._http.get(_RANGE, form, allow=(400, 404, 422))
        except SourceError as error:
            if error.kind is GapKind.UNAUTHORIZED and "no org id" in error.message:
                raise SourceError(
                    error.kind, error.message, "name the tenant: headers: {X-Scope-OrgID: NAME}"
                ) from None
            raise
        if answer.status == 404:
            raise SourceError(
                GapKind.UNREACHABLE, f"no {_RANGE} at {self._shown()}: HTTP 404", "the URL ends before /loki/api/v1"
            )
        if answer.status != 200:
            raise matrix.refusal(answer.status, answer.body)
        self._answers.append((sha256(answer.body).hexdigest(), len(answer.body)))
        return answer

    def _shown(self) -> str:
        from opsbrief.transport.failure import bare  # noqa: PLC0415 - brings requests, which --help does not need

        return bare(self._source.url).rstrip("/")

    def _gap(self, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        what = f"log query {line(self._query, 200)}"
        return Gap(source=self._source.name, what=what, kind=kind, detail=detail, hint=hint, span=span)


def _advice(error: SourceError) -> str:
    if "pipeline error" in error.message or "__error__" in error.message:
        return 'add | __error__="" behind the parser'
    if "parse error" in error.message:
        return "is it LogQL? a log entry for another source names it in source"
    return ""
