"""Render calls: which format the server speaks, what is wrong with an answer, which series spoils the rest."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import Span
from opsbrief.readers.graphite.answer import AnswerError, Points, raw, reason, rows
from opsbrief.readers.graphite.plan import Ask, halves

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

T = TypeVar("T")
Format = Literal["auto", "json", "raw"]

_AGAIN: Final = 100  # requests one collect may spend on finding bad series; the server is in trouble already
_POINTS: Final = "1000000"  # maxDataPoints: Metrictank thins json out to 800 points unless told otherwise
# How graphite-web says that a function does not like its arguments: status 500 and a traceback.
_ARGUMENT: Final = re.compile(r"(?:Type|Value|Key|Attribute|Index|ZeroDivision)Error\b")
_HANDLED: Final = (400, 404, 413, 414, 500)


class RefusedError(SourceError):
    """The server refused this request; a part of it may still succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What came of one request, or of one part of it: its series, or why there are none."""

    asks: tuple[Ask, ...]
    content: tuple[Points, ...] | SourceError
    query: str = ""  # the parameters beside the targets
    fetched_at: datetime | None = None
    size: int = 0
    digest: str = ""


def digest(body: bytes) -> str:
    """Return the digest of a raw answer as origins carry it."""
    return f"sha256:{sha256(body).hexdigest()}"


def bounds(span: Span) -> tuple[int, int]:
    """Return a span as whole epoch seconds [first, end)."""
    return ceil(span.start.timestamp()), ceil(span.end.timestamp())


class Render:
    """The render calls of one collect. Safe for several threads."""

    def __init__(self, http: "Client", form: Format) -> None:
        """Use ``http``; ``form`` is the configured format."""
        self._http = http
        self._raw = form != "json"
        self._sure = form == "raw"
        self._left = _AGAIN
        self._lock = threading.Lock()

    def fetch(self, span: Span, asks: tuple[Ask, ...]) -> list[Sheet]:
        """Fetch the asks for one span; what fails is divided until the bad series stand alone.

        Raises SourceError when the server as a whole is lost: no connection, no access, no /render.
        """
        try:
            return [self._ask(span, asks)]
        except SourceError as error:
            if error.kind in {GapKind.UNREACHABLE, GapKind.UNAUTHORIZED, GapKind.TIMEOUT}:
                raise
            divisible = isinstance(error, RefusedError) or error.kind is GapKind.TRUNCATED
            parts = halves(asks) if divisible and self._again(2) else ()
            if not parts:
                return [Sheet(asks=asks, content=error)]
        return [sheet for part in parts for sheet in self.fetch(span, part)]

    def _again(self, requests: int) -> bool:
        with self._lock:
            self._left -= requests
            return self._left >= 0

    def _ask(self, span: Span, asks: tuple[Ask, ...]) -> Sheet:
        # Copies of one glob may be aliased to one name; only json tells which path each one is.
        named = any("alias" in ask.target for ask in asks if not ask.plain)
        if not self._raw or (named and not self._sure):
            return self._read(span, asks, "json")
        try:
            return self._read(span, asks, "raw")
        except SourceError as error:
            if self._sure or not (isinstance(error, RefusedError) or error.kind is GapKind.BAD_ANSWER):
                raise
            refused = error
        try:
            sheet = self._read(span, asks, "json")
        except RefusedError:
            raise refused from None
        self._raw = False  # the server does not know raw, but json
        return sheet

    def _read(self, span: Span, asks: tuple[Ask, ...], form: str) -> Sheet:
        first, end = bounds(span)
        # Graphite answers for (from, until]. Integer epochs only: any other time depends on the server's zone.
        # noCache: a cache of theirs gives minutes-old points even when the window moves.
        rest = [("from", str(first - 1)), ("until", str(end - 1)), ("format", form), ("noCache", "1")]
        if form == "json":
            rest.append(("maxDataPoints", _POINTS))
        answer = self._http.post("/render", form=[*(("target", ask.target) for ask in asks), *rest], allow=_HANDLED)
        return Sheet(
            asks=asks,
            content=self._series(answer, form, end - first),
            query=" ".join(f"{key}={value}" for key, value in rest),
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            size=len(answer.body),
            digest=digest(answer.body),
        )

    def _series(self, answer: "Answer", form: str, seconds: int) -> tuple[Points, ...]:
        html = "html" in answer.media_type
        if answer.status == 404 and not html:
            return ()  # older carbonapi: nothing found
        if answer.status != 200:
            raise _refusal(answer)
        if html or (form == "raw" and answer.media_type not in {"text/plain", ""}):
            raise SourceError(
                GapKind.BAD_ANSWER,
                f"answered {answer.media_type or 'something'} to a request for {form}: {answer.excerpt()}"
                if html
                else f"answered {answer.media_type} to a request for {form}",
                "a login page or a proxy? check the URL and its path",
            )
        if form == "raw":
            return shaped(lambda: tuple(raw(answer.body)))
        document = answer.json()
        return shaped(lambda: tuple(rows(document, seconds)))


def shaped(read: Callable[[], T]) -> T:
    """Run a reader of an answer; what it cannot read becomes a SourceError."""
    try:
        return read()
    except AnswerError as error:
        raise SourceError(GapKind.BAD_ANSWER, f"answered {error}", "is this the URL of a Graphite server?") from None


def _refusal(answer: "Answer") -> SourceError:
    why = reason(answer.body, answer.media_type)
    if "unsupported path" in why:
        return SourceError(
            GapKind.UNREACHABLE,
            "this VictoriaMetrics has no /render: it knows Graphite's names but does not give out their values",
            "it needs a newer release (the open-source one of 1.79 has none) or the enterprise edition",
        )
    if answer.status == 404:
        return SourceError(
            GapKind.UNREACHABLE, f"no /render at {answer.url.rpartition('@')[2]}: HTTP 404", "check the path in the URL"
        )
    said = f"the server refuses it: HTTP {answer.status}: {why}"
    if answer.status in {413, 414, 500} and not _ARGUMENT.match(why):
        return RefusedError(GapKind.UNAVAILABLE, said.replace("refuses", "fails on"), "look into the server's own log")
    return RefusedError(GapKind.REJECTED, said, "check the target's functions and arguments")
