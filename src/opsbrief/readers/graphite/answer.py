"""What a server answers to ``/render``, as arrays.

Two formats: ``raw`` (``name,start,end,step|v,v,None``; a quarter of json's time and 2.4 times smaller)
and ``json``, the only one that every compatible server has. Missing points are NaN in both.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from opsbrief.text import line

_TAG = re.compile(r"<[^>]*>")
_TRACE = re.compile(r"<pre[^>]*>(.*?)</pre>", re.DOTALL | re.IGNORECASE)


class AnswerError(ValueError):
    """An answer that is not what its format promises; the message says what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """One series of an answer: ``values[i]`` (NaN = missing) belongs to ``start + i * step`` epoch seconds."""

    name: str
    start: int
    step: int
    values: npt.NDArray[np.float64]
    infinite: int = 0  # how many values were infinite; they are NaN in ``values``
    tags: Mapping[str, str] = field(default_factory=dict)


def raw(body: bytes) -> Iterator[Points]:
    """Yield the series of a ``format=raw`` answer. Raises AnswerError."""
    for row in body.decode("utf-8", "replace").splitlines():
        if not row.strip():
            continue
        head, bar, tail = row.rpartition("|")
        parts = head.rsplit(",", 3)  # the name itself may hold commas and parentheses
        if not bar or len(parts) != 4 or not all(part.strip().lstrip("-").isdigit() for part in parts[1:]):
            raise AnswerError(f"a line that is no series: {line(row, 120)}")
        start, end, step = (int(part) for part in parts[1:])
        values = _numbers(tail)
        if len(values) and step * len(values) != end - start:
            step = max(1, (end - start) // len(values))
        yield _points(parts[0], start, max(1, step), values, {})


def _numbers(text: str) -> npt.NDArray[np.float64]:
    if not text:
        return np.empty(0)
    try:
        # The fastest way the standard library has: its C parser builds the floats.
        return np.array(json.loads(f"[{text.replace('None', 'NaN')}]"), dtype=np.float64)
    except ValueError:
        pass
    try:  # inf and nan as Python writes them, or numbers as another server does
        return np.array([float(part.replace("None", "nan").replace("null", "nan")) for part in text.split(",")])
    except ValueError:
        raise AnswerError(f"values that are no numbers: {line(text, 80)}") from None


def rows(document: object, alone: int) -> Iterator[Points]:
    """Yield the series of a parsed ``format=json`` answer.

    ``alone`` is the step in seconds to assume for a series of one point. Raises AnswerError.
    """
    if not isinstance(document, list):
        raise AnswerError(f"not a list of series: {line(repr(document), 120)}")
    for entry in document:
        if not isinstance(entry, dict) or not isinstance(entry.get("datapoints"), list):
            raise AnswerError(f"a series without datapoints: {line(repr(entry), 120)}")
        tags = entry.get("tags") or {}
        if not isinstance(tags, dict):
            tags = {}
        try:
            # One pass for each column: null becomes NaN, 1e9999 becomes infinity.
            values = np.array([point[0] for point in entry["datapoints"]], dtype=np.float64)
            times = np.array([point[1] for point in entry["datapoints"]], dtype=np.int64)
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            raise AnswerError(f"datapoints that are not [value, time]: {line(repr(entry), 120)}") from None
        start, step, values = grid(times, values, alone)
        words = {str(key): str(value) for key, value in tags.items()}
        yield _points(str(entry.get("target", "")), start, step, values, words)


def grid(
    times: npt.NDArray[np.int64], values: npt.NDArray[np.float64], alone: int
) -> tuple[int, int, npt.NDArray[np.float64]]:
    """Return (start, step, values) with every point on a regular grid; left-out points become NaN."""
    if len(times) == 0:
        return 0, max(1, alone), values
    if len(times) == 1:
        return int(times[0]), max(1, alone), values
    apart = np.diff(times)
    if (apart == apart[0]).all() and apart[0] > 0:
        return int(times[0]), int(apart[0]), values
    times, first = np.unique(times, return_index=True)  # sorted, the first of equal times
    values = values[first]
    if len(times) == 1:
        return int(times[0]), max(1, alone), values
    step = int(np.gcd.reduce(np.diff(times)))
    slots = (times - times[0]) // step
    # Times without a common grid would ask for any amount of memory.
    if slots[-1] >= 10 * len(times) + 100_000:
        raise AnswerError("times that lie on no regular grid")
    full = np.full(int(slots[-1]) + 1, np.nan)
    full[slots] = values
    return int(times[0]), step, full


def _points(name: str, start: int, step: int, values: npt.NDArray[np.float64], tags: Mapping[str, str]) -> Points:
    endless = np.isinf(values)
    count = int(endless.sum())
    if count:
        values = np.where(endless, np.nan, values)
    return Points(name=name, start=start, step=step, values=values, infinite=count, tags=tags)


def reason(body: bytes, media_type: str) -> str:
    """Return why a server refused, in one line: the last line of a traceback, else the text of the page."""
    text = body[:200_000].decode("utf-8", "replace")
    if "html" in media_type or text.lstrip()[:1] == "<":
        trace = _TRACE.search(text)
        text = html.unescape(_TAG.sub(" ", trace.group(1) if trace else text))
        if trace:
            text = next((row for row in reversed(text.splitlines()) if row.strip()), "")
    return line(text, 240) or "no reason given"
