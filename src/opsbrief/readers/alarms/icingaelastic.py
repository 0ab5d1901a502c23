"""The documents that Icinga 2's ElasticsearchWriter leaves: state changes and notifications.

Measured with 2.13: its milliseconds are not padded (".5" is five of them, not five hundred), so a search engine dates
documents up to a second off: the range asked for is wider, and the time is read anew from the document. ``state`` is
that of the moment of writing, which may be changes later; the state that a document is about is in its check result. A
notification has the time of the check before it: of an acknowledgement or a downtime that is up to an interval early.
It posts with a mapping type, which Elasticsearch 7.17 takes and 8.19 refuses.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.readers.alarms.ask import Ask, Sort, dig, number, state, told, word
from opsbrief.readers.search.cluster import Cluster, shards, total
from opsbrief.readers.search.names import quoted

if TYPE_CHECKING:
    from opsbrief.transport.deadline import Deadline
    from opsbrief.transport.http import Client

_PAGE = 2000
_PAGES = 50
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$")
_SORTS: dict[float | None, Sort] = {0.0: "soft", 1.0: "hard"}
_SILENT = timedelta(minutes=15)  # without any check result
_TYPES = ("icinga2.event.statechange", "icinga2.event.notification")


def elastic(http: "Client", ask: Ask, index: str, deadline: "Deadline") -> Iterator[Event | Gap]:
    """Yield the events among the documents of an index pattern."""
    deadline.warn(
        "acknowledgements and downtimes are known only where a notification went out, dated by the check before"
    )
    cluster = Cluster(http, deadline)
    path = f"{quoted(index)}/_search"
    after: list[Any] | None = None
    for page in range(_PAGES):
        body = _body(ask, _TYPES, _PAGE, after)
        found = cluster.search(path, body)
        if page == 0 and shards(found) == 0:
            raise SourceError(
                GapKind.UNAVAILABLE, f"there is no index {index}", "index is that of the ElasticsearchWriter"
            )
        hits = found["hits"]["hits"]
        origin = ask.origin(
            f"POST /{path} type:({' OR '.join(_TYPES)}) from {ask.span.start:%FT%TZ} to {ask.span.end:%FT%TZ}",
            b"",
            path,
        )
        for hit in hits:
            source = hit.get("_source")
            if isinstance(source, Mapping) and (event := _event(ask, source, origin)):
                yield event
        after = hits[-1].get("sort") if hits else None
        if len(hits) < _PAGE or not after:
            break
    else:
        detail = f"only the first {_PAGE * _PAGES:,} documents are read"
        yield ask.gap("the newest alarms", GapKind.TRUNCATED, detail, "ask for a shorter window")
    for sentence in cluster.tally.shortfalls:
        yield ask.gap("some alarms", GapKind.TRUNCATED, sentence)
    doubts = [] if ask.found else list(_coverage(cluster, ask, path, index))
    yield from doubts or _edges(cluster, ask, path)


def _body(ask: Ask, types: tuple[str, ...], size: int, after: list[Any] | None = None) -> dict[str, Any]:
    start, end = (at.timestamp() for at in (ask.span.start, ask.span.end))
    span = {"gte": int((start - 2) * 1000), "lte": int((end + 2) * 1000), "format": "epoch_millis"}
    # "match" finds the type whether it is mapped as one word or as text.
    kinds = [{"match": {"type": {"query": type_, "operator": "and"}}} for type_ in types]
    body: dict[str, Any] = {
        "size": size,
        "query": {"bool": {"filter": [{"range": {"@timestamp": span}}], "should": kinds, "minimum_should_match": 1}},
        "sort": [{"@timestamp": "asc"}],
    }
    return {**body, "search_after": after} if after else body


def _coverage(cluster: Cluster, ask: Ask, path: str, index: str) -> Iterator[Gap]:
    """Yield a gap unless check results of the hosts show that Icinga wrote here all the time."""
    found = cluster.search(path, _body(ask, ("icinga2.event.checkresult",), 500))
    for hit in found["hits"]["hits"]:
        if ask.whose.host(word(dig(hit, "_source", "host"))):
            return
    if total(found)[0] == 0:
        yield ask.gap(
            "alarms", GapKind.UNAVAILABLE, f"{index} has no document of Icinga in this time, not even check results",
            "was the ElasticsearchWriter on?",
        )  # fmt: skip
    elif not ask.whose.seen:
        yield ask.unknown(f"the index {index}")


def _edges(cluster: Cluster, ask: Ask, path: str) -> Iterator[Gap]:
    """Yield a gap for what of the stretch lies before the oldest document, or behind the newest: checks are always on.

    A document a minute or more is written as long as Icinga and its writer run.
    """
    end = min(ask.span.end, datetime.now(UTC))
    found = []
    for order in ("asc", "desc"):
        until = {"range": {"@timestamp": {"lte": int((end.timestamp() + 2) * 1000), "format": "epoch_millis"}}}
        sort = [{"@timestamp": {"order": order}}]
        hits = cluster.search(path, {"size": 1, "query": {"bool": {"filter": [until]}}, "sort": sort})["hits"]["hits"]
        found += [at for hit in hits if (at := stamp(dig(hit, "_source", "@timestamp")))]
    if len(found) < 2:
        return  # there is nothing at all, which has been said
    oldest, newest = found
    if oldest - ask.span.start > _SILENT:
        yield ask.gap(
            f"alarms before {oldest:%Y-%m-%d %H:%M:%S} UTC", GapKind.UNAVAILABLE, "the oldest document is of then",
            "older indices may have been removed",
        )  # fmt: skip
    if end - newest > _SILENT and newest > ask.span.start:
        yield ask.gap(
            f"alarms after {newest:%Y-%m-%d %H:%M:%S} UTC", GapKind.UNAVAILABLE,
            "no document since then, not even check results", "do Icinga and its ElasticsearchWriter run?",
        )  # fmt: skip


def _event(ask: Ask, source: Mapping[str, Any], origin: Origin) -> Event | None:
    host, service = source.get("host"), source.get("service")
    output = source.get("check_result.output") or dig(source, "check_result", "output")
    at = stamp(source.get("@timestamp"))
    named, sort = _state(source)
    type_ = word(source.get("type"))
    if type_ == _TYPES[0]:
        return ask.event(
            at, host, service, "state", state=named, sort=sort, output=output, origin=origin
        ) if named else None  # fmt: skip
    if type_ == _TYPES[1]:
        kind, said = told(source.get("notification_type"), named)
        text = output if kind == "notification" else source.get("text") or source.get("comment")
        return ask.event(at, host, service, kind, state=said, output=text, author=source.get("author"), origin=origin)
    return None


def _state(source: Mapping[str, Any]) -> tuple[str, Sort]:
    """Return the state that a document is about, and whether it was hard."""
    service = bool(source.get("service"))
    after = source.get("check_result.vars_after") or dig(source, "check_result", "vars_after")
    found = number(dig(after, "state"))
    if found is not None:
        # Of a host it is the state of its check: UP for OK and WARNING.
        value = found if service else float(found > 1)
        sort: Sort = _SORTS.get(number(dig(after, "state_type")), "")
        return state(value, service=service), sort
    now, hard = number(source.get("state")), number(source.get("last_hard_state"))
    named = state(now, service=service)
    if not now or hard is None:  # of a recovery it cannot be told
        return named, ""
    return named, "hard" if now == hard or number(source.get("max_check_attempts")) == 1 else "soft"


def stamp(value: object) -> datetime | None:
    """Return the time of a document, its fraction read as a count of milliseconds up to three digits."""
    found = _STAMP.match(word(value))
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found[1] + (found[3] or "Z"))
    except ValueError:
        return None
    digits = found[2] or "0"
    micros = int(digits) * 1000 if len(digits) <= 3 else int(digits[:6].ljust(6, "0"))
    return at.astimezone(UTC) + timedelta(microseconds=micros)
