"""The log lines of a bundle in the words of Elasticsearch: search, histogram, paging, field names."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from opsbrief.model.evidence import Evidence
from opsbrief.serve.aggs import aggregate, count
from opsbrief.serve.errors import AskedError
from opsbrief.serve.lines import TIME, Line, lines, samples
from opsbrief.serve.match import fitting
from opsbrief.transport.loopback import Question, Reply

Json = dict[str, Any]

VERSION = "8.19.0"
_PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
_MOST = 10_000  # hits of one page, as Elasticsearch has it
_DATE = {"type": "date", "searchable": True, "aggregatable": True, "metadata_field": False}
_WORD = {"type": "keyword", "searchable": True, "aggregatable": True, "metadata_field": False}


class Search:
    """Answers for Elasticsearch."""

    def __init__(self, evidence: Evidence) -> None:
        """Keep the lines; every source of logs is an index of its name."""
        self._lines = lines(evidence)
        self.indices = samples(evidence)
        self._fields = sorted({name for line in self._lines for name in line.fields})
        self._routes: dict[str, Callable[[str, Question], Json]] = {
            "_search": lambda index, question: self._search(index, _body(question), question),
            "_msearch": self._msearch,
            "_count": self._count,
            "_field_caps": self._field_caps,
            "_mapping": self._mapping,
            "_mappings": self._mapping,
            "_pit": self._pit,
        }

    def answer(self, question: Question) -> Reply:
        """Return the answer. Raises AskedError for what is not known here."""
        index, _, verb = question.path.strip("/").rpartition("/")
        if question.path == "/":
            return _reply(self._root())
        if question.path == "/_cluster/health":
            return _reply({"cluster_name": "opsbrief", "status": "green", "timed_out": False, "number_of_nodes": 1})
        if question.path.startswith("/_cat/indices"):
            return _reply([{"index": name, "status": "open", "health": "green"} for name in self.indices])
        if verb not in self._routes or index.startswith("_"):
            raise AskedError(f"nothing is known at {question.path}", 404, "resource_not_found_exception")
        return _reply(self._routes[verb](index, question))

    def _root(self) -> Json:
        version = {"number": VERSION, "build_flavor": "default", "lucene_version": "9.12.1"}
        return {"name": "opsbrief", "cluster_name": "opsbrief", "version": version, "tagline": "You Know, for Search"}

    def _named(self, index: str) -> list[str]:
        wanted = [part for part in index.split(",") if part]
        if not wanted or "_all" in wanted:
            return list(self.indices)
        return [name for name in self.indices if any(fnmatchcase(name, part) for part in wanted)]

    def _there(self, index: str, question: Question) -> list[str]:
        names = self._named(index)
        lenient = "true" in (question.get("ignore_unavailable"), question.get("allow_no_indices"))
        if not names and not lenient and "*" not in index:
            raise AskedError(f"no such index [{index}]", 404, "index_not_found_exception")
        return names

    def _search(self, index: str, body: Json, question: Question) -> Json:
        held = body.get("pit", {}).get("id", "") if isinstance(body.get("pit"), Mapping) else ""
        names = self._there(held.partition("|")[2] if held else index, question)
        fits = fitting(body.get("query"))
        found = [line for line in self._lines if line.source in names and fits(line)]
        made: Json = {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": len(names), "successful": len(names), "skipped": 0, "failed": 0},
            "hits": {
                "total": {"value": count(found), "relation": "eq"},
                "max_score": None,
                "hits": list(_page(found, body, question)),
            },
        }
        if asked := body.get("aggs", body.get("aggregations")):
            made["aggregations"] = aggregate(asked, found)
        return made | ({"pit_id": held} if held else {})

    def _msearch(self, index: str, question: Question) -> Json:
        rows = [row for row in question.body.decode("utf-8", "replace").split("\n") if row.strip()]
        answers: list[Json] = []
        for head, body in zip(map(_parsed, rows[::2]), map(_parsed, rows[1::2]), strict=False):
            named = head.get("index", index)
            options = Question(
                method="POST",
                path="",
                params=tuple((name, json.dumps(head[name])) for name in head if name.startswith(("allow", "ignore"))),
            )
            try:
                found = self._search(",".join(named) if isinstance(named, list) else named, body, options)
                answers.append({**found, "status": 200})
            except AskedError as error:
                answers.append(json.loads(error.reply().body))
        return {"took": 1, "responses": answers}

    def _count(self, index: str, question: Question) -> Json:
        names, fits = self._there(index, question), fitting(_body(question).get("query"))
        return {"count": count(line for line in self._lines if line.source in names and fits(line))}

    def _field_caps(self, index: str, question: Question) -> Json:
        wanted = question.get("fields", "*").split(",")
        names = [name for name in self._fields if any(fnmatchcase(name, part) for part in wanted)]
        caps = {name: {"date": _DATE} if name == TIME else {"keyword": _WORD} for name in names}
        return {"indices": self._there(index, question), "fields": caps}

    def _mapping(self, index: str, question: Question) -> Json:
        properties = {name: {"type": "date" if name == TIME else "keyword"} for name in self._fields}
        return {name: {"mappings": {"properties": properties}} for name in self._there(index, question)}

    def _pit(self, index: str, question: Question) -> Json:
        if question.method == "DELETE":
            return {"succeeded": True, "num_freed": 1}
        return {"id": f"opsbrief|{','.join(self._there(index, question))}"}


def _page(found: Sequence[Line], body: Json, question: Question) -> Iterator[Json]:
    size = int(str(body.get("size", question.get("size", "10"))))
    start = int(str(body.get("from", question.get("from", "0"))))
    if size < 0 or start < 0 or start + size > _MOST:
        said = "Result window is too large, from + size must be less than or equal to"
        raise AskedError(f"{said}: [{_MOST}] but was [{start + size}]", kind="illegal_argument_exception")
    keys, rows = _sorted(found, body, question)
    if after := body.get("search_after"):
        rows = list(_beyond(rows, keys, after))
    for line in rows[start : start + size]:
        yield line.hit() | ({"sort": [_value(line, name, body) for name, _down in keys]} if keys else {})


def _sorted(found: Sequence[Line], body: Json, question: Question) -> tuple[list[tuple[str, bool]], list[Line]]:
    """Return the keys of the order (name, whether it falls) and the lines in it; ties are in the order of time."""
    asked = body.get("sort") or [part.replace(":", " ").split()[0] for part in question.get("sort").split(",") if part]
    keys: list[tuple[str, bool]] = []
    for entry in asked if isinstance(asked, list) else [asked]:
        name, how = next(iter(entry.items())) if isinstance(entry, Mapping) else (entry, "")
        order = how.get("order", "") if isinstance(how, Mapping) else how
        keys.append((str(name), order == "desc" or (not order and name == "_score")))
    rows = list(found)
    for name, down in reversed(keys):
        rows.sort(key=lambda line: _value(line, name, body), reverse=down)
    return keys, rows


def _value(line: Line, name: str, body: Json) -> Any:  # noqa: ANN401 - a number or a word
    if name == TIME:
        return line.at
    if name == "_score":
        return _score(line, body)
    if name in {"_doc", "_shard_doc", "_id", "_seq_no"}:
        return line.number
    return line.get(name)


def _score(line: Line, body: Json) -> float:
    """Return 1, or with random_score a number that is drawn anew for each seed and the same each time."""
    scored = body.get("query", {}).get("function_score", {})
    if "random_score" not in scored:
        return 1.0
    seed = int(scored["random_score"].get("seed", 0))
    mixed = (line.number * 2_654_435_761 + seed * 40_503) & 0xFFFFFFFF
    mixed = ((mixed ^ mixed >> 16) * 0x45D9F3B) & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) / 2**32


def _beyond(rows: Sequence[Line], keys: Sequence[tuple[str, bool]], after: Sequence[Any]) -> Iterator[Line]:
    """Yield the lines behind a cursor."""
    if len(after) != len(keys):
        raise AskedError("search_after has another number of values than sort", kind="illegal_argument_exception")
    for line in rows:
        for (name, down), last in zip(keys, after, strict=True):
            mine = _value(line, name, {})
            other = type(mine)(last)
            if mine != other:
                if (mine < other) if down else (mine > other):
                    yield line
                break


def _body(question: Question) -> Json:
    body = _parsed(question.body.decode("utf-8", "replace")) if question.body.strip() else {}
    if words := question.get("q"):
        body["query"] = {"query_string": {"query": words}}
    return body


def _parsed(text: str) -> Json:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise AskedError("the body is no JSON", kind="parsing_exception") from None
    if not isinstance(body, dict):
        raise AskedError("the body is no JSON object", kind="parsing_exception")
    return body


def _reply(document: object) -> Reply:
    return Reply(body=json.dumps(document).encode(), headers=_PRODUCT)
