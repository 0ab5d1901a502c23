"""Entries become series and events of a span."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from math import ceil
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from opsbrief.model.evidence import Event, Origin, Series
from opsbrief.model.scope import Metric
from opsbrief.model.window import Span, utc
from opsbrief.readers.declared.rows import Point, Reader
from opsbrief.readers.marks import Bad

_SLOTS = 50_000  # of one series; times a second apart over weeks would ask for any amount of memory
_NOW = 300  # a value of now belongs to a window that ended so many seconds ago at most
_ALONE = 60  # step of a series of one value

Kind = Literal["state", "restart", "notification", "acknowledgement", "downtime", "flapping", "marker"]


def series(
    points: Iterable[Point], span: Span, metrics: Sequence[Metric], origin: Origin, now: datetime
) -> Iterator[Series]:
    """Yield one series for each name and host that has a value in the span.

    A value without a time is one of ``now`` and stands in the last slot of a window that has just ended. ``metrics``
    are those that ask this very source: their targets are globs on names.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in points:
        at = _place(span, now) if point.at is None else point.at
        if at is not None and span.start.timestamp() <= at < span.end.timestamp():
            found.setdefault((point.name or origin.source, point.host), []).append((at, point.value))
    for (name, host), pairs in found.items():
        metric = next((one for one in metrics if takes(one, name, host)), None)
        start, step, values = grid(pairs, span)
        if not np.isnan(values).all():
            yield Series(
                name=name,
                start=start,
                step=step,
                values=values,
                metric=(metric.name or metric.target) if metric else name,
                host=host,
                unit=metric.unit if metric else "",
                span=span.label,
                consolidation="last",
                origin=origin,
            )


def takes(metric: Metric, name: str, host: str) -> bool:
    """Return whether a metric's target, a glob on names, means a series."""
    return fnmatchcase(name, metric.target.replace("{host}", host or "*"))


def _place(span: Span, now: datetime) -> float | None:
    late = (now - span.end).total_seconds()
    if span.label or late > _NOW:
        return None
    return min(now.timestamp(), span.end.timestamp() - 1)


def grid(pairs: Sequence[tuple[float, float]], span: Span) -> tuple[int, int, npt.NDArray[np.float64]]:
    """Return (start, step, values) of a regular grid over the span; slots without a value are NaN, the last counts.

    The step is what all times have in common, else the usual distance between two of them.
    """
    first, end = ceil(span.start.timestamp()), ceil(span.end.timestamp())
    ordered = sorted(pairs, key=lambda pair: pair[0])
    times = np.array([int(at) for at, _ in ordered], dtype=np.int64)
    apart = np.diff(np.unique(times))
    step = int(np.gcd.reduce(apart)) if apart.size else _ALONE
    if apart.size and apart.sum() // step > 10 * len(times):
        step = int(np.median(apart))
    step = max(1, step, ceil((end - first) / _SLOTS))
    start = int(times[0]) - (int(times[0]) - first) // step * step
    values = np.full(max(1, ceil((end - start) / step)), np.nan)
    for at, (_, value) in zip(times, ordered, strict=True):
        values[(int(at) - start) // step] = value
    return start, step, values


def events(
    entries: Iterable[object], reader: Reader, span: Span, origin: Origin, host: str, bad: Bad
) -> Iterator[Event]:
    """Yield an event for each entry with a time in the span."""
    for number, entry in enumerate(entries, 1):
        try:
            at = utc(reader.instant(reader.part(entry, "time")))
        except (ValueError, OverflowError, OSError) as error:
            bad.add(number, str(entry), str(error))
            continue
        if span.start <= at < span.end:
            state = reader.words(entry, "state", 60)
            yield Event(
                at=at,
                host=host or reader.words(entry, "host", 200),
                service=reader.words(entry, "service", 200),
                state=state.upper(),
                kind=next((kind for kind in get_args(Kind) if kind.upper() == state.upper()), "state"),
                output=reader.words(entry, "text", 2000),
                origin=origin,
            )
