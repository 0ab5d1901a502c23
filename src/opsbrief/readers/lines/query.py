"""A log query of lines that are read one by one: a text that must occur, or ``re:`` and a regular expression."""

import re
from collections.abc import Callable

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.scope import Logs
from opsbrief.text import LINE_CAP

_FOREIGN = re.compile(r"\A(?!re:)(?=.*(?:\b(?:AND|OR|NOT)\b|\b[a-z_.]+:\S))", re.DOTALL)


def test(entry: Logs) -> Callable[[bytes], bool] | None:
    """Return what decides whether a record belongs to a query; None when all do."""
    ignored = compiled("|".join(f"(?:{one})" for one in entry.ignore), "ignore") if entry.ignore else None
    if entry.query.startswith("re:"):
        wanted = compiled(entry.query[3:], "query")
        if ignored:
            return lambda raw: bool(wanted.search(text := clipped(raw))) and not ignored.search(text)
        return lambda raw: bool(wanted.search(clipped(raw)))
    needle = entry.query.encode()
    if ignored:
        return lambda raw: needle in raw and not ignored.search(clipped(raw))
    return (lambda raw: needle in raw) if needle else None


def foreign(query: str) -> bool:
    """Return whether a query is written as a search engine's: where it finds nothing, that says nothing."""
    return bool(_FOREIGN.search(query))


def clipped(raw: bytes) -> str:
    """Return the text of a record, as much of it as is looked at."""
    return raw[: 4 * LINE_CAP].decode("utf-8", "replace")[:LINE_CAP]


def compiled(pattern: str, option: str) -> re.Pattern[str]:
    """Return a configured pattern. Raises SourceError when it is none."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SourceError(
            GapKind.REJECTED, f"{option} is no regular expression: {error}", f"it reads {pattern!r}"
        ) from error
