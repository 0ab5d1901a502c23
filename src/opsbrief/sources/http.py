"""Any URL that answers JSON: what it holds is declared in the YAML, by paths into the answer.

A check of some tool, a queue's depth, the incidents of a status page: one entry in ``sources`` instead of a
program. Only the configured URL is asked; nothing in an answer is followed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Reading
from opsbrief.model.window import Span, Window
from opsbrief.readers.declared import items, places
from opsbrief.readers.declared.path import MOST
from opsbrief.readers.declared.rows import NAMES, Point, Reader, paced, reader
from opsbrief.readers.marks import Bad
from opsbrief.source import Web
from opsbrief.text import clean, line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_FATAL = {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}  # asking on would end the same way
_TEXT = 65_536  # characters of a reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Http(Web):
    """Any URL that answers JSON, as series, events or a reading."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics", "events", "readings"})

    form: Literal["series", "events", "reading"] = field(
        metadata={
            "help": "what the answer is: values over time (or one of now), things that happened, a text",
            "key": "as",
        }
    )
    pick: str = field(
        default="", metadata={"help": "path to the entries: $.data[*]; default: the list that the answer is, or itself"}
    )
    fields: dict[str, str] = field(
        default_factory=dict, metadata={"help": f"paths inside an entry for {', '.join(NAMES)}; default: usual names"}
    )
    method: Literal["GET", "POST"] = field(default="GET", metadata={"help": "how to ask"})
    body: object = field(
        default=None,
        metadata={"help": "JSON to send with POST; in it and in url: {from} {until} {host}, {from_ms} {from_iso}"},
    )
    zone: str = field(default="UTC", metadata={"help": "zone of times that are written without an offset"})

    @property
    def given(self) -> frozenset[str]:
        """One of them, as configured."""
        return frozenset({{"series": "metrics", "events": "events", "reading": "readings"}[self.form]})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield what the answer holds of every span (series) or of the window; see Source."""
        way = reader(self.pick, self.fields, self.zone)
        asked = places.places([self.url, self.body])
        if places.HOST in asked and not self.scope.hosts:
            detail = "the url or body has {host}, but the service names no hosts"
            yield self._gap("everything", GapKind.REJECTED, detail, "list them in hosts")
            return
        spans = [*window.spans()] if self.form == "series" else [window.whole]
        groups = [[span] for span in spans] if asked & places.TIMES else [spans]  # else one answer serves all
        tasks = [(group, host) for group in groups for host in (self.scope.hosts if places.HOST in asked else ("",))]
        base = urlsplit(self.url)
        site = replace(self, url=urlunsplit((base.scheme, base.netloc, "", "", "")))
        with site.client(deadline) as http:
            for (group, host), result in side_by_side(lambda task: self._ask(http, *task), tasks, deadline):
                if isinstance(result, SourceError):
                    if result.kind in _FATAL or len(tasks) == 1:
                        raise result
                    label = group[0].label if len(groups) > 1 else ""
                    yield self._gap(f"answer for {host or 'the span'}", result.kind, result.message, result.hint, label)
                else:
                    yield from self._read(way, result, group, host, deadline)

    def _ask(self, http: "Client", group: Sequence[Span], host: str) -> "tuple[Answer, str]":
        parts = urlsplit(self.url)
        known = places.values(group[0], host)
        path = places.fill(
            parts.path + (f"?{parts.query}" if parts.query else ""), known, lambda one: quote(one, safe="")
        )
        if self.method == "GET":
            return http.get(path), f"GET {line(path, 1000)}"
        body = places.filled(self.body, known)
        return http.post(path, json_body=body), f"POST {line(path, 1000)} {line(json.dumps(body), 1000)}"

    def _read(
        self, way: Reader, asked: "tuple[Answer, str]", group: Sequence[Span], host: str, deadline: Deadline
    ) -> Iterator[Item | Gap]:
        answer, query = asked
        now = datetime.now(UTC).replace(microsecond=0)
        origin = Origin(
            source=self.name,
            query=query,
            url=self._shown(),
            fetched_at=now,
            bytes=len(answer.body),
            digest=f"sha256:{sha256(answer.body).hexdigest()}",
        )
        if self.form == "reading":
            yield from self._reading(way, answer, origin, host, now)
            return
        entries = way.entries(answer.json())
        if len(entries) > MOST:
            yield self._gap("the rest of the entries", GapKind.TRUNCATED, f"only the first {MOST:,} were read")
        bad = Bad()
        if self.form == "events":
            yield from items.events(paced(entries[:MOST], deadline), way, group[0], origin, host, bad)
        else:
            yield from self._series(list(way.points(paced(entries[:MOST], deadline), host, bad)), group, origin, now)
        if bad.count:
            what = f"{bad.count:,} of {max(bad.count, len(entries)):,} entries"
            yield self._gap(what, GapKind.BAD_ANSWER, bad.first.replace("line ", "entry "), "set pick and fields")
        elif not entries and self.pick:
            yield self._gap("everything", GapKind.UNAVAILABLE, f"the answer has nothing at {line(self.pick, 200)}")

    def _series(
        self, points: list[Point], group: Sequence[Span], origin: Origin, now: datetime
    ) -> Iterator[Item | Gap]:
        mine = [metric for metric in self.scope.metrics if metric.source == self.name]
        for span in group:
            found = list(items.series(points, span, mine, origin, now))
            yield from found
            present = bool(span.label) and all(point.at is None for point in points)  # values of now have no last week
            if not found and points and not present:
                detail = "the answer has no value of these hours"
                yield self._gap("series", GapKind.UNAVAILABLE, detail, span=span.label or "window")
        if not points:
            return
        names = {(point.name or self.name, point.host) for point in points}
        for metric in mine:
            if not any(items.takes(metric, *one) for one in names):
                detail = "no series of the answer has such a name"
                hint = f"there are: {', '.join(sorted(line(name, 60) for name, _ in names)[:5])}"
                yield self._gap(f"series {line(metric.target, 200)}", GapKind.UNAVAILABLE, detail, hint)

    def _reading(
        self, way: Reader, answer: "Answer", origin: Origin, host: str, now: datetime
    ) -> Iterator[Reading | Gap]:
        if (
            way.pick
            or answer.media_type in {"application/json", "text/html", ""}
            or answer.body[:1] in {b"<", b"{", b"["}
        ):
            found = way.pick.pick(answer.json()) if way.pick else [answer.json()]
        else:
            found = [answer.text()]  # a status in plain words
        if not found or found in ([None], [""]):
            yield self._gap("everything", GapKind.UNAVAILABLE, "the answer has nothing there", "check pick")
            return
        said = "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in found)
        yield Reading(
            host=host or line(urlsplit(self.url).hostname or "", 200),
            command=origin.query,
            exit_status=0,
            stdout=clean(said, _TEXT),
            stderr="",
            at=now,
            origin=origin,
        )

    def _shown(self) -> str:
        from opsbrief.transport.failure import bare  # noqa: PLC0415 - brings requests, which --help does not need

        return bare(self.url)

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)
