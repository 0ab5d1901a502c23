"""Questions to one cluster: refusals in a person's words, partial answers counted, every answer digested."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.readers.search.names import quoted
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:  # importing the transport costs more than the whole of --help
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

Json = dict[str, Any]

#: An index that is closed or not there is left out of the answer; what is missing is found by name (see missing).
LENIENT = (("ignore_unavailable", "true"), ("allow_no_indices", "true"), ("expand_wildcards", "open"))
_TAKEN = (400, 404, 405, 409, 413, 500)  # answered here, with the reason out of the body
_NOTHING = {"size": 0, "terminate_after": 1}
_ABSENT = re.compile("index_not_found|no such index|index_closed")
_ITSELF = "is this the URL of Elasticsearch or OpenSearch itself?"
_KEPT = "hits.total,hits.hits._source,hits.hits.fields,hits.hits.sort,_shards,timed_out,_clusters,aggregations"


class RefusedError(SourceError):
    """The cluster refused one question."""

    def __init__(self, kind: GapKind, message: str, hint: str, status: int, reason: str) -> None:
        """Keep status and the whole reason, by which callers know what they may try instead."""
        super().__init__(kind, message, hint)
        self.status = status
        self.reason = reason

    @property
    def most(self) -> int | None:
        """The largest page the cluster gives, when the question asked for more."""
        found = re.search(r"(?:Result window|Batch size) is too large.*?less than or equal to: \[(\d+)\]", self.reason)
        return int(found[1]) if found else None


@dataclass(slots=True)
class Tally:
    """What answers amounted to, for the origin of an item and the gaps beside it."""

    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    shortfalls: dict[str, None] = field(default_factory=dict)  # sentences, in order, each once

    def add(self, body: bytes) -> None:
        """Count one answer."""
        self.size += len(body)
        self.digest.update(body)


class Cluster:
    """One cluster behind one client, for the time of one ``collect``."""

    def __init__(self, http: "Client", deadline: Deadline) -> None:
        """Keep the client; nothing is asked yet."""
        self.http = http
        self.deadline = deadline
        self.tally = Tally()
        self.legacy = False  # counts hits as a bare number: Elasticsearch 6, which knows no point in time
        self.elastic = False  # says in a header that it is Elasticsearch

    def ask(self, method: str, path: str, body: object = None, params: Sequence[tuple[str, str]] = ()) -> Json:
        """Ask anything and return the JSON object of the answer. Raises RefusedError or SourceError."""
        answer = self.http.request(method, path, json_body=body, params=params, allow=_TAKEN)
        self.tally.add(answer.body)
        if answer.status >= 400:
            raise _refused(answer)
        self.elastic = self.elastic or answer.headers.get("x-elastic-product", "") == "Elasticsearch"
        found = answer.json()
        if not isinstance(found, dict):
            raise _foreign(answer)
        return found

    def search(self, path: str, body: Json, params: Sequence[tuple[str, str]] = LENIENT, more: str = "") -> Json:
        """Search, and return an answer whose ``hits.hits`` is a list; what is partial about it goes into the tally.

        ``path`` is "INDEX/_search" or "_search"; ``more`` names further parts of the answer to keep.
        """
        # A little less than there is: counts that stop early are worth more than an answer too late.
        budget = {"timeout": f"{max(1, int(self.deadline.remaining() * 800))}ms"}
        keep = ("filter_path", f"{_KEPT},{more}" if more else _KEPT)
        found = self.ask("POST", path, {**budget, **body}, [*params, keep])
        return self.checked(found)

    def checked(self, found: Json) -> Json:
        """Return a search answer with its shape checked and its shortfalls counted."""
        hits = found.setdefault("hits", {})
        rows = hits.setdefault("hits", []) if isinstance(hits, dict) else None
        if "_shards" not in found or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceError(
                GapKind.BAD_ANSWER,
                f"answered JSON that is no search result: {line(str(found), 200)}",
                _ITSELF,
            )
        self.legacy = self.legacy or isinstance(hits.get("total"), int)
        for sentence in shortfalls(found):
            self.tally.shortfalls[sentence] = None
        return found

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of ``names`` (wildcards, too) to which no index, alias or data stream answers."""
        if len(names) < 2:
            return [name for name in names if self._lost(name)]
        head = {"allow_no_indices": True, "ignore_unavailable": False, "expand_wildcards": "open"}
        pairs: list[Json] = [part for name in names for part in ({**head, "index": name}, _NOTHING)]
        try:
            answer = self.http.request(
                "POST",
                "_msearch",
                json_body=pairs,
                headers={"Content-Type": "application/x-ndjson"},
                params=[("filter_path", "responses._shards,responses.error")],
                allow=_TAKEN,
            )
            self.tally.add(answer.body)
            found = answer.json() if answer.status < 400 else None
        except SourceError as error:
            if error.kind is not GapKind.UNAUTHORIZED:
                raise
            found = None  # a proxy may let single searches through and nothing else
        parts_found = found.get("responses") if isinstance(found, Mapping) else None
        if not isinstance(parts_found, list) or len(parts_found) != len(names):
            return [name for name in names if self._lost(name)]
        return [name for name, part in zip(names, parts_found, strict=True) if self._empty(part)]

    def _lost(self, name: str) -> bool:
        params = (("allow_no_indices", "true"), ("expand_wildcards", "open"), ("filter_path", "_shards"))
        try:
            found = self.ask("POST", f"{quoted(name)}/_search", _NOTHING, params)
        except RefusedError as error:
            if _ABSENT.search(error.reason):
                return True
            raise
        return self._empty(found)

    @staticmethod
    def _empty(part: object) -> bool:
        """Whether one answer says that it went to no index; a refusal of another kind shows when lines are asked."""
        error = part.get("error") if isinstance(part, Mapping) else None
        return bool(_ABSENT.search(_reasons(error))) if error else isinstance(part, Mapping) and shards(dict(part)) == 0


def total(found: Json) -> tuple[int, bool]:
    """Return how many documents match and whether that is exact (partial answers never are)."""
    value = found["hits"].get("total")
    exact = not shortfalls(found)
    if isinstance(value, Mapping):
        exact, value = exact and value.get("relation", "eq") == "eq", value.get("value")
    if not isinstance(value, int) or value < 0:
        raise SourceError(GapKind.BAD_ANSWER, f"answered without a number of hits: {line(str(value), 80)}")
    return value, exact


def shards(found: Json) -> int:
    """Return how many shards a question went to; 0 means that no index matched."""
    return _number(found.get("_shards"), "total")


def shortfalls(found: Json) -> list[str]:
    """Return one sentence for each way in which an answer with HTTP 200 is not the whole answer."""
    said = []
    parts = found.get("_shards")
    if failed := _number(parts, "failed"):
        failures = parts.get("failures") if isinstance(parts, Mapping) else None
        reason = f": {_reasons({'failed_shards': failures})[:200]}" if failures else ""
        said.append(f"{failed} of {_number(parts, 'total')} shards failed{reason}")
    if found.get("timed_out") is True:
        said.append("the cluster stopped counting at its time limit")
    clusters = found.get("_clusters")
    if lost := _number(clusters, "skipped") + _number(clusters, "partial") + _number(clusters, "failed"):
        said.append(f"{lost} of {_number(clusters, 'total')} remote clusters skipped or partial")
    return said


def _number(node: object, name: str) -> int:
    value = node.get(name) if isinstance(node, Mapping) else None
    return value if isinstance(value, int) else 0


def _refused(answer: "Answer") -> RefusedError:
    try:
        said = answer.json()
    except SourceError:
        said = None
    reason = _reasons(said.get("error")) if isinstance(said, Mapping) else ""
    # Types are for programs, and what a parser was expecting is half a page of its tokens.
    words = re.sub(r"\s*Was expecting.*", "", re.sub(r"\b[a-z_]+_exception: ", "", reason), flags=re.DOTALL)
    shown = line(words, 300) or f"HTTP {answer.status}: {answer.excerpt()}"
    # Elasticsearch 6 answers 500 to some questions that it does not accept; they are not repeated for that.
    kind = GapKind.UNAVAILABLE if answer.status in {404, 500} else GapKind.REJECTED
    hint = "" if reason else _ITSELF
    return RefusedError(kind, f"refused: {shown}", hint, answer.status, reason or answer.excerpt())


def _reasons(error: object) -> str:
    """Return the first and the innermost reason of an error object: what failed, and why."""
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return ""
    first, inner = "", ""
    nodes = [
        error,
        *_objects(error.get("root_cause")),
        *(_at(shard, "reason") for shard in _objects(error.get("failed_shards"))),
    ]
    for start in nodes:
        node: object = start
        for _depth in range(10):
            if not isinstance(node, Mapping):
                break
            kind, reason = node.get("type", ""), node.get("reason")
            if isinstance(reason, str) and reason not in {"all shards failed", "Partial shards failure"}:
                first = first or f"{kind}: {reason}"
                inner = f"{kind}: {reason}"
            node = node.get("caused_by")
    return first if inner == first else f"{first}; {inner}"


def _objects(nodes: object) -> list[Mapping[str, Any]]:
    return [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []


def _at(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = node.get(name)
    return value if isinstance(value, Mapping) else {}


def _foreign(answer: "Answer") -> SourceError:
    return SourceError(
        GapKind.BAD_ANSWER,
        f"answered JSON of another shape: {answer.excerpt()}",
        _ITSELF,
    )
