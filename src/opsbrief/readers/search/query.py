"""Bodies of searches, and what their aggregations say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Histogram
from opsbrief.readers.search.cluster import Json
from opsbrief.readers.search.fields import Level
from opsbrief.readers.search.lines import SPELLINGS, severity

_BUCKETS = 1500  # of a histogram; the cluster's own limit is 10,000 or more, levels included
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_SEED = 20_391  # any number, always the same: the same question gives the same lines
_FAR = 2**60  # no time in milliseconds and no number of lines is larger
FAVOURED = (("FATAL", "ERROR"), ("WARN",))  # levels drawn apart when not all lines are read, rarest first


def milliseconds(at: datetime) -> int:
    """Return epoch milliseconds, the precision of the range filters."""
    return round(at.timestamp() * 1000)


def matching(time: str, start: datetime, end: datetime, query: str = "", extra: Sequence[Json] = ()) -> Json:
    """Return the query of all lines in [start, end) that the query string finds."""
    span = {"gte": milliseconds(start), "lt": milliseconds(end), "format": "epoch_millis"}
    found: list[Json] = [{"range": {time: span}}, *extra]
    if query.strip() not in {"", "*"}:
        found.append({"query_string": {"query": query, "analyze_wildcard": True}})
    return {"bool": {"filter": found}}


def at_random(query: Json) -> Json:
    """Return ``query`` with a pseudo-random score that is the same at every asking."""
    return {
        "function_score": {
            "query": query,
            "random_score": {"seed": _SEED, "field": "_seq_no"},
            "boost_mode": "replace",
        }
    }


def step(seconds: float) -> int:
    """Return the bucket width in seconds for a stretch: a minute, wider when it is long."""
    return next((width for width in _STEPS if seconds / width <= _BUCKETS), _STEPS[-1])


def volume(time: str, width: int, level: Level | None, *, legacy: bool = False) -> Json:
    """Return the aggregation of lines per bucket and level. ``legacy`` is the word of Elasticsearch 6."""
    per: Json = {
        "date_histogram": {
            "field": time,
            "interval" if legacy else "fixed_interval": f"{width}s",
            "min_doc_count": 1,
        }
    }
    if level is not None:
        per["aggs"] = {"level": _split(level)}
    return {"volume": per}


def _split(level: Level) -> Json:
    if level.terms:
        return {"terms": {"field": level.field, "size": 50}}
    return {"filters": {"filters": {name: _words(level, words) for name, words in SPELLINGS.items()}}}


def _words(level: Level, words: Sequence[str]) -> Json:
    return {"match": {level.field: " ".join(words)}}


def coverage(levels: Sequence[Level]) -> Json:
    """Return the aggregation that counts, for each candidate, the lines that have it."""
    return {str(at): {"filter": {"exists": {"field": level.field}}} for at, level in enumerate(levels)}


def best(found: Json, levels: Sequence[Level]) -> Level | None:
    """Return the candidate that most lines have, the first of equals; None when no line has any."""
    counts = [_count(_part(found.get("aggregations"), str(at))) for at in range(len(levels))]
    return levels[counts.index(max(counts))] if any(counts) else None


class Volume:
    """A histogram being read: lines per bucket and level, and how the levels are spelled on the server."""

    def __init__(self, found: Json, start: datetime, end: datetime, width: int) -> None:
        """Read the aggregation "volume" of an answer. Raises SourceError(BAD_ANSWER) when it has another shape."""
        first = int(start.timestamp()) // width * width
        slots = max(1, -(-int(np.ceil(end.timestamp()) - first) // width))
        self.start, self.width = first, width
        self.spelled: dict[str, list[Any]] = {}
        self._counts: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {}
        buckets = _part(found.get("aggregations"), "volume").get("buckets", [])
        for bucket in buckets if isinstance(buckets, list) else []:
            key = bucket.get("key") if isinstance(bucket, Mapping) else None
            if not isinstance(key, int | float) or not abs(key) < _FAR:
                raise SourceError(GapKind.BAD_ANSWER, "answered a histogram without times")
            slot = int(key / 1000 - first) // width
            if 0 <= slot < slots:
                self._add(bucket, slot, slots)

    def _add(self, bucket: Mapping[str, Any], slot: int, slots: int) -> None:
        rest = _count(bucket)
        inner = _part(bucket, "level").get("buckets")
        pairs = inner.items() if isinstance(inner, Mapping) else ((_key(one), one) for one in inner or ())
        for key, one in pairs:
            name, count = severity(key), min(_count(one), rest)  # a line with two levels counts once
            if name and count:
                if key not in self.spelled.setdefault(name, []):
                    self.spelled[name].append(key)
                self._row(name, slots)[slot] += count
                rest -= count
        if rest:
            self._row("", slots)[slot] += rest

    def _row(self, name: str, slots: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        return self._counts.setdefault(name, np.zeros(slots, dtype=np.int64))

    def of(self, names: Sequence[str]) -> int:
        """Return how many lines have one of these levels."""
        return int(sum(self._counts[name].sum() for name in names if name in self._counts))

    def scaled(self, share: Mapping[str, float]) -> Histogram:
        """Return the histogram, each level times its ``share`` (1 when it is not named)."""
        counts = {
            name: tuple(np.rint(row * share.get(name, 1.0)).astype(int).tolist())
            for name, row in sorted(self._counts.items())
        }
        return Histogram(start=self.start, step=self.width, counts=counts)

    def only(self, names: Sequence[str], level: Level) -> Json:
        """Return the filter of lines with one of these levels, in the server's spelling."""
        spelled = [key for name in names for key in self.spelled.get(name, ())]
        if level.terms:
            return {"terms": {level.field: spelled}}
        return _words(level, [word for name in names for word in SPELLINGS[name]])


def _part(node: object, name: str) -> Mapping[str, Any]:
    value = node.get(name) if isinstance(node, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _key(bucket: object) -> Any:  # noqa: ANN401 - a JSON scalar
    return bucket.get("key", "") if isinstance(bucket, Mapping) else ""


def _count(bucket: object) -> int:
    value = bucket.get("doc_count") if isinstance(bucket, Mapping) else None
    return value if isinstance(value, int) and 0 < value < _FAR else 0
