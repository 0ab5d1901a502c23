"""Answers of Prometheus's HTTP API and of what speaks it: VictoriaMetrics, Thanos, Mimir, the metric queries of Loki.

Pure. Values come as text ("1.5", "NaN", "+Inf") beside epoch seconds; a series that was stale or absent at an
instant simply has no pair for it, which is NaN here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import line

_HOSTS = ("host", "hostname", "instance", "node", "nodename", "exported_instance")  # labels that may name a host
_PORT = re.compile(r":\d{1,5}\Z")
_TEXT = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`"""
_SELECTOR = re.compile(rf"(?:[A-Za-z_:][\w:]*\s*)?\{{(?:[^{{}}\"'`]|{_TEXT})*\}}|[A-Za-z_:][\w:]*(?=\s*\[)")
_NAME = re.compile(r"\s*([A-Za-z_:][\w:]*)\s*(?=[-+*/%^=<>!]|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One series on the grid that was asked for; NaN = nothing there."""

    labels: Mapping[str, str]
    values: npt.NDArray[np.float64]
    infinite: int = 0  # how many values were infinite; they are NaN in ``values``


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A whole answer: its series, and what the server remarks about it."""

    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()  # something may be missing, or was read otherwise than meant
    partial: bool = False  # the server says itself that a part did not answer
    histograms: int = 0  # series that consist of native histograms, of which no number can be taken


def read(document: object, start: int, step: int, count: int) -> Told:
    """Return the answer to a range query for ``count`` instants from ``start`` on, ``step`` seconds apart.

    Raises SourceError: REJECTED or TIMEOUT when it says that it is none, BAD_ANSWER when it has another shape.
    """
    data = _data(document)
    result = data.get("result")
    kind = data.get("resultType")
    if kind != "matrix" or not isinstance(result, list):
        raise _odd(f"{line(str(kind), 40) or 'nothing'} instead of a matrix of series")
    rows = [_row(entry, start, step, count) for entry in result]
    histograms = sum(isinstance(entry, dict) and bool(entry.get("histograms")) for entry in result)
    return Told(
        rows=tuple(row for row in rows if row is not None),
        warnings=remarks(document),
        partial=isinstance(document, dict) and document.get("isPartial") is True,
        histograms=histograms,
    )


class Line(NamedTuple):
    """One log line of Loki: nanoseconds since the epoch, its text, and all its labels."""

    at: int
    text: str
    labels: Mapping[str, str]


def lines(document: object) -> list[Line]:
    """Return the lines of a log query of Loki, in the order of time. Raises SourceError as ``read`` does."""
    data = _data(document)
    result = data.get("result")
    if data.get("resultType") != "streams" or not isinstance(result, list):
        raise _odd(f"{line(str(data.get('resultType')), 40)} instead of streams of lines")
    found: list[Line] = []
    for entry in result:
        try:
            labels = {line(str(key), 100): line(str(value), 300) for key, value in entry["stream"].items()}
            found += [Line(int(pair[0]), str(pair[1]), labels) for pair in entry["values"]]
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
            raise _odd(f"lines that are not [time, text]: {line(repr(entry)[:2000], 80)}") from None
    return sorted(found, key=lambda one: one.at)


def refusal(status: int, body: bytes) -> SourceError:
    """Return why a server refused a query, from the JSON or the plain text it sent with a status of 400 or more."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("status") == "error":
        return _error(document)
    return SourceError(GapKind.REJECTED, f"the server refuses it: HTTP {status}: {line(body[:2000], 240)}")


def _error(document: Mapping[str, Any]) -> SourceError:
    said = line(str(document.get("error") or "no reason given"), 300)
    kind = str(document.get("errorType", ""))
    if kind in {"timeout", "canceled"}:
        return SourceError(GapKind.TIMEOUT, f"the server gave up: {said}", "ask for less, or raise its query timeout")
    if kind in {"unavailable", "internal"}:
        return SourceError(GapKind.UNAVAILABLE, f"the server fails on it: {said}")
    return SourceError(GapKind.REJECTED, f"the server refuses the query: {said}")


def _data(document: object) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise _odd(f"{line(repr(document), 80)}")
    if document.get("status") == "error":
        raise _error(document)
    data = document.get("data")
    if document.get("status") != "success" or not isinstance(data, dict):
        raise _odd(f"{line(repr(document), 80)}")
    return data


def _odd(what: str) -> SourceError:
    hint = "is this the base URL, without /api/v1 or /loki?"
    return SourceError(GapKind.BAD_ANSWER, f"answered {what}", hint)


def remarks(document: object) -> tuple[str, ...]:
    """Return the warnings and infos of an answer, each once."""
    found: dict[str, None] = {}
    for name in ("warnings", "infos"):
        said = document.get(name) if isinstance(document, dict) else None
        for text in said if isinstance(said, list) else ():
            found[line(str(text), 300)] = None
    return tuple(found)


def _row(entry: object, start: int, step: int, count: int) -> Row | None:
    """Lay one series on the grid; None when it has no values at all. Raises SourceError(BAD_ANSWER)."""
    if not isinstance(entry, dict) or not isinstance(entry.get("metric"), dict):
        raise _odd(f"a series without labels: {line(repr(entry), 80)}")
    pairs: Any = entry.get("values")
    if not pairs and entry.get("histograms"):
        return None
    try:
        times = np.array([float(pair[0]) for pair in pairs])
        given = np.array([float(pair[1]) for pair in pairs])  # float knows "NaN" and "+Inf"
        slots = np.rint((times - start) / step)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        raise _odd(f"values that are not [time, text]: {line(repr(entry), 80)}") from None
    inside = (slots >= 0) & (slots < count)  # NaN times are not inside either
    values = np.full(count, np.nan)
    values[slots[inside].astype(np.int64)] = given[inside]
    endless = np.isinf(values)
    values[endless] = np.nan
    labels = {line(str(key), 100): line(str(value), 300) for key, value in entry["metric"].items()}
    return Row(labels=labels, values=values, infinite=int(endless.sum()))


def named(labels: Mapping[str, str], expression: str) -> str:
    """Return a series' name: metric or expression, then the other labels in the order of their names."""
    rest = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in others(labels))
    head = labels.get("__name__") or expression
    return f"{head}{{{rest}}}" if rest else head


def others(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the labels beside the metric's own name, sorted."""
    yield from ((key, labels[key]) for key in sorted(labels) if key != "__name__")


def host_of(labels: Mapping[str, str], hosts: Sequence[str]) -> str:
    """Return which of ``hosts`` a series is of, else the host that its labels name, else nothing.

    ``instance`` is an address with a port; a host and its short name are taken for the same.
    """
    found = [_PORT.sub("", labels[key]).strip("[]") for key in _HOSTS if labels.get(key)]
    for host in hosts:
        if host in found:
            return host
    for host in hosts:
        for name in found:
            short = min(host, name, key=len)
            if max(host, name, key=len).startswith(f"{short}."):
                return host
    return found[0] if found else ""


def selector(expression: str) -> str:
    """Return the first selector of series in an expression, "" when none is plain to see."""
    found = _SELECTOR.search(expression)
    if found:
        return found.group().strip()
    found = _NAME.match(expression)
    return found[1] if found else ""
