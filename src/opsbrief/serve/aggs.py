"""Aggregations over lines: the volume in time, terms, filters, a few numbers.

A bundle may hold a sample of the lines; each then counts as many as it stands for.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from opsbrief.codec import stamp
from opsbrief.serve.errors import AskedError
from opsbrief.serve.lines import TIME, Line
from opsbrief.serve.match import fitting, when

Json = dict[str, Any]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_CALENDAR = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d", "week": "1w"}
_BUCKETS = 20_000
_DEPTH = 10


def count(lines: Iterable[Line]) -> int:
    """Return how many true lines these stand for."""
    return round(sum(line.weight for line in lines))


def aggregate(asked: Mapping[str, Any], lines: Sequence[Line], depth: int = 0) -> Json:
    """Return the aggregations of some lines. Raises AskedError for one that is not understood."""
    found = {}
    for name, body in asked.items():
        if not isinstance(body, Mapping) or depth > _DEPTH:
            raise AskedError(f"[{name}] is no aggregation", kind="parsing_exception")
        inner = body.get("aggs", body.get("aggregations", {}))
        kinds = [key for key in body if key not in {"aggs", "aggregations", "meta"}]
        make = _KNOWN.get(kinds[0]) if len(kinds) == 1 else None
        if make is None:
            known = ", ".join(_KNOWN)
            raise AskedError(f"unknown aggregation in [{name}]; a bundle knows {known}", kind="parsing_exception")
        try:
            found[name] = make(body[kinds[0]], lines, partial(_deeper, inner, depth + 1))
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise AskedError(f"[{name}] cannot be read: {error}", kind="parsing_exception") from None
    return found


Deeper = Callable[[Sequence[Line]], Json]


def _deeper(asked: Mapping[str, Any], depth: int, lines: Sequence[Line]) -> Json:
    return aggregate(asked, lines, depth)


def _bucket(lines: Sequence[Line], deeper: Deeper) -> Json:
    return {"doc_count": count(lines), **deeper(lines)}


def _date_histogram(body: Mapping[str, Any], lines: Sequence[Line], deeper: Deeper) -> Json:
    if body.get("field") != TIME:
        raise AskedError(f"a date_histogram is known of {TIME} alone", kind="illegal_argument_exception")
    asked = body.get("fixed_interval") or body.get("calendar_interval") or body.get("interval")
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d|w)", _CALENDAR.get(str(asked), str(asked)))
    if not found or not int(found[1]):
        raise AskedError(f"the interval [{asked}] is not known here", kind="illegal_argument_exception")
    width = int(found[1]) * _UNITS[found[2]]
    offset = 4 * _UNITS["d"] if found[2] == "w" else 0  # weeks begin on a Monday, the epoch on a Thursday
    slots: dict[int, list[Line]] = {}
    for line in lines:
        slots.setdefault((line.at - offset) // width, []).append(line)
    if int(body.get("min_doc_count", 0)) == 0:
        ends = body.get("extended_bounds") or {}
        keys = [*slots, *(int(when(ends[end]) - offset) // width for end in ("min", "max") if end in ends)]
        if keys and max(keys) - min(keys) > _BUCKETS:
            raise AskedError(f"more than {_BUCKETS:,} buckets", kind="too_many_buckets_exception")
        slots = {key: slots.get(key, []) for key in range(min(keys), max(keys) + 1)} if keys else {}
    return {
        "buckets": [{**_key(slot * width + offset), **_bucket(some, deeper)} for slot, some in sorted(slots.items())]
    }


def _key(at: int) -> Json:
    return {"key": at, "key_as_string": stamp(datetime.fromtimestamp(at / 1000, UTC))}


def _terms(body: Mapping[str, Any], lines: Sequence[Line], deeper: Deeper) -> Json:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        if value := line.get(body["field"]):
            groups.setdefault(value, []).append(line)
    by_key = "_key" in str(body.get("order", "")) or "_term" in str(body.get("order", ""))
    ordered = sorted(groups.items(), key=lambda pair: (0 if by_key else -count(pair[1]), pair[0]))
    size = int(body.get("size", 10)) or len(ordered)
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(count(some) for _, some in ordered[size:]),
        "buckets": [{"key": key, **_bucket(some, deeper)} for key, some in ordered[:size]],
    }


def _filters(body: Mapping[str, Any], lines: Sequence[Line], deeper: Deeper) -> Json:
    asked = body["filters"]
    if isinstance(asked, Mapping):
        return {"buckets": {name: _filter(query, lines, deeper) for name, query in asked.items()}}
    return {"buckets": [_filter(query, lines, deeper) for query in asked]}


def _filter(query: object, lines: Sequence[Line], deeper: Deeper) -> Json:
    fits = fitting(query)
    return _bucket([line for line in lines if fits(line)], deeper)


def _value_count(body: Mapping[str, Any], lines: Sequence[Line], _deeper: Deeper) -> Json:
    return {"value": count(line for line in lines if line.get(body["field"]))}


def _cardinality(body: Mapping[str, Any], lines: Sequence[Line], _deeper: Deeper) -> Json:
    return {"value": len({line.get(body["field"]) for line in lines} - {""})}


def _end(pick: Callable[[Iterable[int]], int]) -> Callable[[Mapping[str, Any], Sequence[Line], Deeper], Json]:
    def find(body: Mapping[str, Any], lines: Sequence[Line], _deeper: Deeper) -> Json:
        if body.get("field") != TIME:
            raise AskedError(f"the log lines of a bundle have no number but {TIME}", kind="illegal_argument_exception")
        if not lines:
            return {"value": None}
        at = pick(line.at for line in lines)
        return {"value": float(at), "value_as_string": _key(at)["key_as_string"]}

    return find


_KNOWN: dict[str, Callable[[Any, Sequence[Line], Deeper], Json]] = {
    "date_histogram": _date_histogram,
    "terms": _terms,
    "filters": _filters,
    "filter": _filter,
    "value_count": _value_count,
    "cardinality": _cardinality,
    "min": _end(min),
    "max": _end(max),
}
