"""The questions to PuppetDB: projected, page by page, bounded, each answer with its origin."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Origin
from opsbrief.text import line

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

ROOT = "/pdb/query/v4"
PAGE = 1000  # rows in one answer
_HANDLED = (400, 404, 405)
_FIELD = re.compile(r"unknown '\w+' field '([\w?-]+)'|'([\w?-]+)' is not a queryable object")
_URL = "url is what stands before /pdb, as http://puppetdb.example.com:8080"
_ASKED = 600  # characters of a question that are shown

Row = Mapping[str, Any]
Query = Sequence[object]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one answer, and how many there are in all."""

    rows: Sequence[Row]
    total: int
    origin: Origin


class Ask:
    """Asks one PuppetDB. ``optional`` fields are done without where it is too old to know them."""

    def __init__(self, source: str, url: str, http: "Client", optional: frozenset[str]) -> None:
        """Keep the client; nothing is asked yet."""
        self._source = source
        self._url = url
        self._http = http
        self._optional = optional
        self._unknown: set[str] = set()
        self._method = "POST"

    def pages(
        self, what: str, fields: Sequence[str], where: Query, order: Sequence[tuple[str, str]], most: int
    ) -> Iterator[Page]:
        """Yield pages of ``what`` (nodes, reports, events) until ``most`` rows were read. Raises SourceError."""
        total, got = 0, 0
        while True:
            size = min(PAGE, most - got)
            answer, query = self._answer(what, fields, where, order, size, got)
            rows = _rows(answer)
            if not got:
                said = answer.headers.get("x-records", "")
                total = int(said) if said.isdigit() else 0
            got += len(rows)
            yield Page(rows, max(total, got), self._origin(what, query, answer))
            if len(rows) < size or got >= most:
                return

    def _answer(
        self, what: str, fields: Sequence[str], where: Query, order: Sequence[tuple[str, str]], size: int, offset: int
    ) -> "tuple[Answer, Mapping[str, object]]":
        while True:
            known = [name for name in fields if name not in self._unknown]
            body: dict[str, object] = {
                "query": ["extract", known, where] if where else ["extract", known],
                "limit": size,
                "offset": offset,
                "order_by": [{"field": name, "order": way} for name, way in order],
                "include_total": not offset,
            }
            answer = self._send(f"{ROOT}/{what}", body)
            if answer.status == 200:
                return answer, body
            error, field = _refusal(what, answer)
            if field not in self._optional or field in self._unknown:
                raise error
            self._unknown.add(field)

    def grouped(self, what: str, column: str, where: Query, most: int) -> Sequence[Row]:
        """Return the newest ``end_time`` (as "max") for each value of a column."""
        query = ["extract", [column, ["function", "max", "end_time"]], where, ["group_by", column]]
        answer = self._send(f"{ROOT}/{what}", {"query": query, "limit": most})
        if answer.status != 200:
            raise _refusal(what, answer)[0]
        return _rows(answer)

    def _send(self, path: str, body: Mapping[str, object]) -> "Answer":
        if self._method == "POST":
            answer = self._http.post(path, json_body=body, allow=_HANDLED)
            if answer.status != 405:
                return answer
            self._method = "GET"  # a proxy that lets nothing else through
        form = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in body.items()]
        return self._http.get(path, form, allow=_HANDLED)

    def _origin(self, what: str, query: Mapping[str, object], answer: "Answer") -> Origin:
        return Origin(
            source=self._source,
            query=f"{self._method} {ROOT}/{what} {line(json.dumps(query), _ASKED)}",
            url=f"{self._url}{ROOT}/{what}",
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            bytes=len(answer.body),
            digest=f"sha256:{sha256(answer.body).hexdigest()}",
        )


def _rows(answer: "Answer") -> list[Row]:
    found = answer.json()
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise SourceError(
            GapKind.BAD_ANSWER, f"answered no list of rows: {answer.excerpt()}", f"is it PuppetDB? {_URL}"
        )
    return found


def _refusal(what: str, answer: "Answer") -> tuple[SourceError, str]:
    """Return what a refusal means, and the field that it does not know, if that is it."""
    said = answer.excerpt()
    if answer.status == 404 or answer.media_type == "text/html":
        return SourceError(GapKind.REJECTED, f"there is no {ROOT}/{what} here: HTTP {answer.status}: {said}", _URL), ""
    if answer.status == 405:
        return SourceError(GapKind.REJECTED, f"neither POST nor GET of {ROOT} is let through: HTTP 405"), ""
    if unknown := _FIELD.search(said):
        name = unknown[1] or unknown[2]
        detail = f"it does not know the field {name} of {what}"
        return SourceError(GapKind.REJECTED, detail, "PuppetDB 5 and newer have it"), name
    return SourceError(GapKind.REJECTED, f"it refuses the question about {what}: {said}"), ""
