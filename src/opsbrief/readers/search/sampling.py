"""The lines of one question: all of them when they are few, else drawn so that no stretch is preferred."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import numpy as np

from opsbrief.errors import SourceError
from opsbrief.model.evidence import Histogram, LogRecord
from opsbrief.readers.search import cluster, query
from opsbrief.readers.search.cluster import Json
from opsbrief.readers.search.fields import Fields, Level
from opsbrief.readers.search.lines import Reader, leaf, severity
from opsbrief.readers.search.paging import Pager


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which lines: where, when, matching what, and in which fields their parts are."""

    index: str  # path segment, quoted
    fields: Fields
    time: str
    nanos: bool = False
    level: Level | None = None
    query: str = ""
    start: datetime
    end: datetime

    def matching(self, *extra: Json) -> Json:
        """Return the query of its lines."""
        return query.matching(self.time, self.start, self.end, self.query, extra)

    def body(self, matching: Json) -> Json:
        """Return a search that brings what a record needs of each line, and no more."""
        return {
            "query": matching,
            "_source": self.fields.names(),
            "docvalue_fields": [{"field": self.time, "format": "epoch_millis"}],
        }

    def by_time(self, order: str = "asc") -> list[Json]:
        """Return the order of time; where some indices keep nanoseconds all are compared in them."""
        by: Json = {"order": order, "unmapped_type": "date"}
        return [{self.time: {**by, "numeric_type": "date_nanos"} if self.nanos else by}]


@dataclass(slots=True)
class Drawn:
    """What became of a question."""

    total: int = 0
    exact: bool = True
    shards: int = 0
    histogram: Histogram | None = None
    records: list[LogRecord] = field(default_factory=list)
    how: str = ""  # in words: all lines, or which share of which
    seen: int = 0  # lines fetched
    undated: int = 0  # of them without a readable time
    broken: SourceError | None = None  # why reading ended early


def lines(
    pager: Pager, question: Question, matching: Json, sort: Sequence[Json], want: int | None = None
) -> Iterator[Json]:
    """Yield the hits one by one, a page at a time in memory."""
    for rows in pager.pages(question.index, question.body(matching), sort, want):
        yield from rows


def draw(pager: Pager, question: Question, limit: int, keep: Callable[[LogRecord], bool] | None = None) -> Drawn:
    """Ask for totals, histogram and at most ``limit`` lines.

    ``keep`` says which lines count. Where only a sample is read, totals and histogram are then
    estimates, each level scaled by the share of its lines that count, and marked as not exact.
    Raises SourceError when not even the totals can be had.
    """
    found, width = _first(pager, question, limit)
    drawn = Drawn(shards=cluster.shards(found))
    drawn.total, drawn.exact = cluster.total(found)
    volume = query.Volume(found, question.start, question.end, width)
    read: Counter[str] = Counter()
    reader = Reader(question.fields, question.time)
    try:
        for hit in _chosen(pager, question, found, volume, limit, drawn):
            drawn.seen += 1
            entry = reader.record(hit)
            if entry is None:
                drawn.undated += 1
                continue
            read[entry.severity_text] += 1
            if keep is None or keep(entry):
                drawn.records.append(entry)
    except SourceError as error:
        drawn.broken = error
    drawn.records.sort(key=lambda entry: entry.timestamp)
    drawn.histogram = volume.scaled({})
    if keep is not None:
        _discount(drawn, volume, read)
    return drawn


def _first(pager: Pager, question: Question, limit: int) -> tuple[Json, int]:
    """Ask for totals, histogram and the first lines in one go: for most services that is the whole answer."""
    width = query.step((question.end - question.start).total_seconds())
    body = question.body(query.at_random(question.matching()))
    body |= {"sort": [{"_score": "desc"}], "track_total_hits": True}
    for _attempt in range(4):
        body["aggs"] = query.volume(question.time, width, question.level, legacy=pager.old_interval)
        try:
            return pager.first(question.index, body, limit), width
        except SourceError as error:
            if "fixed_interval" in str(error) and not pager.old_interval:
                pager.old_interval = True
            elif "too_many_bucket" in str(error):
                width *= 10
            else:
                raise
    return pager.first(question.index, body, limit), width


def _chosen(
    pager: Pager, question: Question, found: Json, volume: query.Volume, limit: int, drawn: Drawn
) -> Iterable[Json]:
    """Return the hits to read, and say in ``drawn.how`` which they are."""
    rows: list[Json] = found["hits"]["hits"]
    if drawn.total <= limit:
        drawn.how = f"all {drawn.total:,} lines"
        if len(rows) >= drawn.total:
            return rows
        return lines(pager, question, question.matching(), question.by_time())
    strata = _strata(question, volume, drawn.total)
    quotas = shares([count for _name, count, _extra in strata], limit)
    drawn.how = _said(strata, quotas) + ", drawn at random with a fixed seed"
    # The first answer is such a draw already: of all lines, so also of those that are not drawn apart.
    plain = rows if len(strata) == 1 else _others(rows, question.level)
    if len(plain) < quotas[-1]:
        return _drawn(pager, question, strata, quotas)
    return chain(_drawn(pager, question, strata[:-1], quotas[:-1]), plain[: quotas[-1]])


def _others(rows: Sequence[Json], level: Level | None) -> list[Json]:
    """Return the hits that are not drawn apart; none when documents do not show their level as the server does."""
    if level is None or not level.terms:
        return []
    apart = {name for names in query.FAVOURED for name in names}
    plain = [row for row in rows if severity(leaf(row, level.name)) not in apart]
    return plain if len(plain) < len(rows) else []


def _drawn(
    pager: Pager, question: Question, strata: "list[tuple[str, int, list[Json]]]", quotas: Sequence[int]
) -> Iterator[Json]:
    for (_name, _count, extra), quota in zip(strata, quotas, strict=True):
        if quota:
            matching = query.at_random(question.matching(*extra))
            yield from lines(pager, question, matching, [{"_score": "desc"}], quota)


def _strata(question: Question, volume: query.Volume, total: int) -> list[tuple[str, int, list[Json]]]:
    """Return (name, how many lines, filters) of what is drawn apart: rare levels first, the rest last."""
    strata: list[tuple[str, int, list[Json]]] = []
    apart: list[Json] = []
    if question.level is not None:
        for names in query.FAVOURED:
            if count := volume.of(names):
                only = volume.only(names, question.level)
                strata.append(("/".join(names), count, [only, *_without(apart)]))
                apart.append(only)
    rest = max(0, total - sum(count for _name, count, _extra in strata))
    strata.append(("other", rest, _without(apart)))
    return strata


def _without(filters: Sequence[Json]) -> list[Json]:
    return [{"bool": {"must_not": list(filters)}}] if filters else []


def shares(counts: Sequence[int], limit: int) -> list[int]:
    """Divide ``limit`` lines among groups of ``counts`` lines, rarest kind first.

    The first may take half, the second a quarter, the last what is left; what one does not
    need goes to the others. The sum is ``limit``, or all lines when they are fewer.
    """
    quotas = [min(count, limit >> place) for place, count in enumerate(counts[:-1], start=1)]
    quotas.append(min(counts[-1], limit - sum(quotas)))
    for place, count in enumerate(counts):
        quotas[place] += min(count - quotas[place], limit - sum(quotas))
    return quotas


def _said(strata: "list[tuple[str, int, list[Json]]]", quotas: Sequence[int]) -> str:
    parts = []
    for (name, count, _extra), quota in zip(strata, quotas, strict=True):
        if count:
            parts.append(f"all {count:,} {name}" if quota == count else f"{quota:,} of {count:,} {name}")
    return ", ".join(parts) + " lines"


def _discount(drawn: Drawn, volume: query.Volume, read: Counter[str]) -> None:
    """Take the lines that do not count out of total and histogram: exactly when all were read, else in proportion."""
    ignored = sum(read.values()) - len(drawn.records)
    if not ignored or drawn.histogram is None:
        return
    kept = Counter(entry.severity_text for entry in drawn.records)
    drawn.how += f"; {ignored:,} of them ignored as configured"
    if drawn.seen >= drawn.total:
        drawn.total = len(drawn.records)
        drawn.histogram = _counted(drawn.records, drawn.histogram)
        return
    drawn.histogram = volume.scaled({name: kept[name] / count for name, count in read.items()})
    drawn.total = sum(sum(row) for row in drawn.histogram.counts.values())
    drawn.exact = False


def _counted(records: Sequence[LogRecord], like: Histogram) -> Histogram:
    """Return the histogram of ``records`` on the grid of another."""
    slots = max((len(row) for row in like.counts.values()), default=1)
    levels = sorted({entry.severity_text for entry in records})
    rows = {name: np.zeros(slots, dtype=np.int64) for name in levels}
    for entry in records:
        slot = int((entry.timestamp.timestamp() - like.start) // like.step)
        rows[entry.severity_text][min(max(slot, 0), slots - 1)] += 1
    return Histogram(start=like.start, step=like.step, counts={name: tuple(row.tolist()) for name, row in rows.items()})
