"""Every hit of a question, page by page, in the dialect that the cluster speaks.

A point in time with ``search_after`` where there is one, else a scroll. Lines of the same
millisecond are the normal case, so the sort needs a tie-breaker, and the right one: on OpenSearch
anything but ``_id`` silently loses lines across shards; Elasticsearch 8 refuses ``_id``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsbrief.errors import GapKind, SourceError
from opsbrief.readers.search.cluster import LENIENT, Cluster, Json, RefusedError
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:  # importing the transport costs more than the whole of --help
    from opsbrief.transport.http import Client

_KEEP = "1m"  # how long the cluster keeps a context that nobody closes: the process was killed
_FIRST = 500  # hits of a first page; the next ones follow from its size
_AIM = 2 << 20  # bytes of a page: bounds memory whatever the length of the lines


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one product opens and closes a point in time, and breaks ties in it."""

    path: str
    id: str
    close: str
    tie: str

    def closing(self, held: str) -> Json:
        """Return the body of the request that closes ``held``."""
        return {self.id: [held]} if self.id == "pit_id" else {self.id: held}


_ELASTIC = _Dialect("{index}/_pit", "id", "_pit", "_shard_doc")
_OPENSEARCH = _Dialect("{index}/_search/point_in_time", "pit_id", "_search/point_in_time", "_id")


class Pager:
    """Pages through questions to one cluster, and closes on it what it opened."""

    def __init__(self, cluster: Cluster, rescue: Callable[[Deadline], "Client"], page: int = 5000) -> None:
        """``rescue`` makes a client with a deadline of its own, to close a context when the time is over."""
        self.cluster = cluster
        self.most = page
        self._rescue = rescue
        self._known: _Dialect | None = None
        self._scroll = False
        self.old_interval = False  # histograms want "interval": versions before 7.2

    def first(self, index: str, body: Json, size: int) -> Json:
        """Ask once for at most ``size`` hits; fewer when the indices allow only smaller pages."""
        while True:
            size = min(size, self.most)
            try:
                return self.cluster.search(f"{index}/_search", {**body, "size": size})
            except RefusedError as error:
                self._shrink(error, size)

    def pages(self, index: str, body: Json, sort: Sequence[Json], want: int | None = None) -> Iterator[list[Json]]:
        """Yield lists of hits in the order of ``sort`` until ``want`` or all are given; holds one page at a time."""
        body = {**body, "sort": list(sort)}
        left = want
        for rows in self._raw(index, body, want):
            if left is not None and len(rows) >= left:
                yield rows[:left]
                return
            if left is not None:
                left -= len(rows)
            yield rows

    def _raw(self, index: str, body: Json, want: int | None) -> Iterator[list[Json]]:
        if want is not None and want <= self.most:
            rows: list[Json] = self.first(index, body, want)["hits"]["hits"]
            if want <= self.most:  # still: the indices allow pages of that size
                yield rows
                return
        opened = self._open(index)
        if opened is None:
            yield from self._scrolled(index, body)
            return
        dialect, held = opened
        given = False
        try:
            for rows in self._through(dialect, held, body):
                given = True
                yield rows
        except RefusedError as error:
            # Early points in time know no _shard_doc, and sorting by _id can be switched off.
            if given or error.status != 400:
                raise self._lost(error) from error
            self._scroll = True
            yield from self._scrolled(index, body)

    def _open(self, index: str) -> tuple[_Dialect, str] | None:
        """Open a point in time, or return None when there is none to be had."""
        # Version 6 would read the question as a document to store, and refuse only its emptiness.
        if self._scroll or self.cluster.legacy:
            return None
        likely = (_ELASTIC,) if self.cluster.elastic else (_OPENSEARCH, _ELASTIC)
        for dialect in (self._known,) if self._known else likely:
            try:
                found = self.cluster.ask(
                    "POST", dialect.path.format(index=index), params=[("keep_alive", _KEEP), *LENIENT]
                )
            except SourceError as error:
                # Not known here, or not permitted to this login; a scroll needs no right of its own.
                if not isinstance(error, RefusedError) and error.kind is not GapKind.UNAUTHORIZED:
                    raise
                continue
            held = found.get(dialect.id)
            if isinstance(held, str):
                self._known = dialect
                return dialect, held
        self._scroll = True
        return None

    def _through(self, dialect: _Dialect, held: str, body: Json) -> Iterator[list[Json]]:
        body = {**body, "sort": [*body["sort"], {dialect.tie: "asc"}], "track_total_hits": False}
        size = min(_FIRST, self.most)
        try:
            while True:
                body["pit"] = {"id": held, "keep_alive": _KEEP}
                before = self.cluster.tally.size
                found = self._page(body, size)
                held = found.get("pit_id") or held
                rows: list[Json] = found["hits"]["hits"]
                if rows:
                    yield rows
                size = min(size, self.most)  # what was really asked for
                if len(rows) < size:
                    return
                body["search_after"] = _cursor(rows, body)
                spent = max(1, self.cluster.tally.size - before)
                size = max(1, min(self.most, size * 4, size * _AIM // spent))
        finally:
            self._close("DELETE", dialect.close, dialect.closing(held))

    def _page(self, body: Json, size: int) -> Json:
        while True:
            size = min(size, self.most)
            try:
                return self.cluster.search("_search", {**body, "size": size}, params=(), more="pit_id")
            except RefusedError as error:
                self._shrink(error, size)

    def _scrolled(self, index: str, body: Json) -> Iterator[list[Json]]:
        held = ""
        size = min(_FIRST, self.most)
        try:
            params = (*LENIENT, ("scroll", _KEEP))
            found = self.cluster.search(f"{index}/_search", {**body, "size": size}, params, more="_scroll_id")
            while True:
                held = found.get("_scroll_id") or held
                rows: list[Json] = found["hits"]["hits"]
                if not rows:
                    return
                yield rows
                found = self.cluster.checked(
                    self.cluster.ask("POST", "_search/scroll", {"scroll": _KEEP, "scroll_id": held})
                )
        except RefusedError as error:
            raise self._lost(error) from error
        finally:
            if held:
                self._close("DELETE", "_search/scroll", {"scroll_id": [held]})

    def _close(self, method: str, path: str, body: Json) -> None:
        """Close a context on the server, also when the time is over; it would end by itself within a minute."""
        with suppress(SourceError):
            if not self.cluster.deadline.expired:
                self.cluster.http.request(method, path, json_body=body, allow=(404,))
                return
            with self._rescue(Deadline(2.0)) as http:
                http.request(method, path, json_body=body, allow=(404,))

    def _shrink(self, error: RefusedError, size: int) -> None:
        """Take the largest page that the cluster names, or raise the error."""
        if error.most is None or not 0 < error.most < size:
            raise error
        self.most = error.most

    @staticmethod
    def _lost(error: RefusedError) -> SourceError:
        if error.status != 404:
            return error
        return SourceError(
            GapKind.UNAVAILABLE, f"the cluster dropped the open search between two pages: {error.message}", "try again"
        )


def _cursor(rows: list[Json], body: Json) -> object:
    """Return where the next page starts; a server that does not move on would be asked for ever."""
    cursor = rows[-1].get("sort")
    if not isinstance(cursor, list) or cursor == body.get("search_after"):
        raise SourceError(GapKind.BAD_ANSWER, "gave a page of hits that does not say where the next one starts")
    return cursor
