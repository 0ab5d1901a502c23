"""The part of Elasticsearch's query language that log viewers and our own source use."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opsbrief.errors import WindowError
from opsbrief.serve import words
from opsbrief.serve.errors import AskedError
from opsbrief.serve.lines import TIME, milliseconds
from opsbrief.timespec import Instant, parse

Test = words.Test
_DEPTH = 30


def fitting(query: object, depth: int = 0) -> Test:
    """Return what tells whether a line fits. Raises AskedError for a query that is not understood."""
    if query in (None, {}):
        return lambda _line: True
    if not isinstance(query, Mapping) or len(query) != 1 or depth > _DEPTH:
        raise AskedError("a query must be an object with one key", kind="parsing_exception")
    ((name, body),) = query.items()
    make = _KNOWN.get(name)
    if make is None:
        raise AskedError(f"unknown query [{name}]; a bundle knows {', '.join(_KNOWN)}", kind="parsing_exception")
    try:
        return make(body, depth + 1)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise AskedError(f"[{name}] cannot be read: {error}", kind="parsing_exception") from None


def when(value: object, form: str = "") -> float:
    """Return a time of a range as epoch milliseconds: a number, ISO 8601, or now-1h."""
    text = str(value)
    if isinstance(value, int | float) or text.lstrip("-").isdigit():
        return float(text) * (1000 if form == "epoch_second" else 1)
    try:
        found = parse(text.replace("||", ""), now=datetime.now(UTC), zone=UTC)
    except WindowError as error:
        raise AskedError(str(error), kind="parse_exception") from None
    if not isinstance(found, Instant):
        raise AskedError(f"{text} is no time", kind="parse_exception")
    return float(milliseconds(found.at))


def _bool(body: Mapping[str, Any], depth: int) -> Test:
    must, may, never = (
        [fitting(one, depth) for name in names for one in _listed(body.get(name, []))]
        for names in (("must", "filter"), ("should",), ("must_not",))
    )
    least = int(str(body.get("minimum_should_match", 0 if must or not may else 1)).rstrip("%"))
    return lambda line: (
        all(one(line) for one in must)
        and not any(one(line) for one in never)
        and (not least or sum(one(line) for one in may) >= least)
    )


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _range(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, ends),) = body.items()
    if name != TIME:
        raise AskedError(f"a range is known of {TIME} alone, not of [{name}]", kind="query_shard_exception")
    form = str(ends.get("format", ""))
    low = max([when(ends[key], form) + (key == "gt") for key in ("gte", "gt", "from") if ends.get(key) is not None],
              default=float("-inf"))  # fmt: skip
    high = min([when(ends[key], form) + (key != "lt") for key in ("lte", "lt", "to") if ends.get(key) is not None],
               default=float("inf"))  # fmt: skip
    return lambda line: low <= line.at < high


def _query_string(body: Mapping[str, Any], _depth: int) -> Test:
    return words.fitting(str(body["query"]))


def _match(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, value),) = body.items()
    wanted = str(value["query"] if isinstance(value, Mapping) else value).split()
    every = isinstance(value, Mapping) and str(value.get("operator", "or")).lower() == "and"
    patterns = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in wanted]
    many = all if every else any
    return lambda line: many(pattern.search(line.get(name)) for pattern in patterns)


def _phrase(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, value),) = body.items()
    wanted = str(value["query"] if isinstance(value, Mapping) else value)
    return lambda line: words.contains(line.get(name), wanted.replace("*", "?"))


def _term(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, value),) = body.items()
    wanted = str(value["value"] if isinstance(value, Mapping) else value)
    return lambda line: line.get(name) == wanted


def _terms(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, values),) = ((key, value) for key, value in body.items() if key != "boost")
    wanted = {str(value) for value in values}
    return lambda line: line.get(name) in wanted


def _wildcard(body: Mapping[str, Any], _depth: int) -> Test:
    ((name, value),) = body.items()
    text = str(next(iter(value.values())) if isinstance(value, Mapping) else value)
    if text.count("*") > 4:  # more would let the pattern try too many ways
        return lambda line: words.contains(line.get(name), text)
    pattern = re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)
    return lambda line: bool(pattern.fullmatch(line.get(name)))


def _inner(body: Mapping[str, Any], depth: int) -> Test:
    return fitting(body.get("query", body.get("filter")), depth)


_KNOWN: dict[str, Callable[[Any, int], Test]] = {
    "bool": _bool,
    "range": _range,
    "query_string": _query_string,
    "simple_query_string": _query_string,
    "match": _match,
    "match_phrase": _phrase,
    "match_all": lambda _body, _depth: lambda _line: True,
    "match_none": lambda _body, _depth: lambda _line: False,
    "term": _term,
    "terms": _terms,
    "wildcard": _wildcard,
    "prefix": lambda body, depth: _wildcard({name: f"{value}*" for name, value in body.items()}, depth),
    "exists": lambda body, _depth: lambda line: bool(line.get(body["field"])),
    "ids": lambda body, _depth: lambda line: str(line.number) in body["values"],
    "function_score": _inner,
    "constant_score": _inner,
}
