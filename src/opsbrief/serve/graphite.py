"""The series and events of a bundle in the words of graphite-web: what Grafana and our own source ask for."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from opsbrief.errors import WindowError
from opsbrief.model.evidence import Change, Event, Evidence, Series
from opsbrief.model.marking import TAG
from opsbrief.readers.graphite.target import Target, TargetError, levels, matcher, parse, spread
from opsbrief.serve.errors import AskedError
from opsbrief.timespec import Instant
from opsbrief.timespec import parse as instant
from opsbrief.transport.loopback import Question, Reply

_MOST = 1_000_000  # points of one answer
_CONSTANT = re.compile(r"\s*constantLine\(\s*(-?\d+(?:\.\d+)?)\s*\)\s*")
_FOLDS: Mapping[str, Callable[..., Any]] = {
    "max": np.nanmax,
    "min": np.nanmin,
    "sum": np.nansum,
    "last": lambda rows, axis: rows[:, -1] if axis else rows,
}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One series as it is answered: values from ``start``, one each ``step`` seconds."""

    name: str
    tags: Mapping[str, str]
    start: int
    step: int
    values: npt.NDArray[np.float64]


class Graphite:
    """Answers for Graphite."""

    def __init__(self, evidence: Evidence) -> None:
        """Index the series by name; a name has one series for each span of time."""
        self._series: dict[str, list[Series]] = {}
        for series in evidence.items(Series):
            self._series.setdefault(series.name, []).append(series)
        self._leaves = sorted(name for name in self._series if "(" not in name)
        self._functions = _asked(evidence)
        self._events = sorted(_events(evidence), key=lambda event: event["when"])
        self._routes: dict[str, Callable[[Question], object]] = {
            "/metrics/find": self._find,
            "/metrics/expand": self._expand,
            "/metrics/index.json": lambda _question: self._leaves,
            "/events/get_data": self._get_data,
            "/functions": lambda _question: {},
            "/version": lambda _question: "1.1.10",
            "/tags/autoComplete/tags": lambda _question: [],
            "/tags/autoComplete/values": lambda _question: [],
        }

    def answer(self, question: Question) -> Reply | None:
        """Return the answer, None for a path that is not Graphite's."""
        if question.path == "/render":
            return self._render(question)
        route = self._routes.get(question.path)
        return Reply(body=json.dumps(route(question)).encode()) if route else None

    # --- series -----------------------------------------------------------------------------------

    def _render(self, question: Question) -> Reply:
        now = datetime.now(UTC)
        since, until = (_time(question.get(name, usual), now) for name, usual in (("from", "-24h"), ("until", "now")))
        if since >= until:
            raise AskedError("from is not before until")
        form = question.get("format", "json")
        sheets = [sheet for text in question.all("target") for sheet in self._target(text, since, until)]
        if form == "raw":
            return Reply(body="".join(map(_raw, sheets)).encode(), media_type="text/plain")
        if form != "json":
            raise AskedError(f"only json and raw are answered, not {form}: pictures are in the bundle")
        most = question.get("maxDataPoints")
        points = max(1, int(most)) if most.isdigit() else _MOST
        return Reply(body=json.dumps([self._row(sheet, points) for sheet in sheets]).encode())

    def _row(self, sheet: _Sheet, most: int) -> dict[str, object]:
        values, step = sheet.values, sheet.step
        if len(values) > most:
            by = ceil(len(values) / most)
            values, step = _folded(values, by, self._series.get(sheet.name, [None])[0]), step * by
        times = range(sheet.start, sheet.start + step * len(values), step)
        pairs = [[None if isnan(value) else value, at] for value, at in zip(values.tolist(), times, strict=True)]
        return {"target": sheet.name, "tags": {"name": sheet.name, **sheet.tags}, "datapoints": pairs}

    def _target(self, text: str, since: int, until: int) -> Iterator[_Sheet]:
        if constant := _CONSTANT.fullmatch(text):  # how Grafana asks whether somebody is there
            yield _Sheet(text.strip(), {}, since + 1, until - since, np.array([float(constant[1])]))
            return
        try:
            names = self._names(parse(text.strip()))
        except TargetError as error:
            raise AskedError(f"{text}: {error}") from None
        for name in names:
            yield _cut(self._series[name], since, until)

    def _names(self, target: Target) -> Sequence[str]:
        if target.text in self._series:
            return (target.text,)
        if target.plain:
            return self._matching(target.text)
        if target.text in self._functions:
            return self._functions[target.text]
        known = ", ".join(self._functions) or "none"
        said = f"a bundle works out no functions; it has what was asked for when it was collected: {known}"
        raise AskedError(f"{target.functions[0]}(): {said}")

    def _matching(self, query: str) -> list[str]:
        wanted = matcher(query)
        return [name for name in self._leaves if wanted.match(name)]

    # --- names ------------------------------------------------------------------------------------

    def _find(self, question: Question) -> object:
        query = question.get("query", "*")
        try:
            wanted, deep = matcher(query), len(levels(query))
        except TargetError as error:
            raise AskedError(f"{query}: {error}") from None
        found: dict[str, bool] = {}
        for name in self._leaves:
            parts = name.split(".")
            path = ".".join(parts[:deep])
            if len(parts) >= deep and wanted.match(path):
                found[path] = found.get(path, False) or len(parts) == deep
        rows = sorted(found.items())
        if question.get("format") == "completer":
            return {
                "metrics": [
                    {"path": path if leaf else f"{path}.", "name": path.rpartition(".")[2], "is_leaf": str(int(leaf))}
                    for path, leaf in rows
                ]
            }
        return [
            {
                "id": path,
                "text": path.rpartition(".")[2],
                "leaf": int(leaf),
                "expandable": int(not leaf),
                "allowChildren": int(not leaf),
                "context": {},
            }
            for path, leaf in rows
        ]

    def _expand(self, question: Question) -> object:
        try:
            found = {query: self._matching(query) for query in question.all("query")}
        except TargetError as error:
            raise AskedError(str(error)) from None
        if question.get("groupByExpr", "0") in {"1", "true"}:
            return {"results": found}
        return {"results": sorted({name for names in found.values() for name in names})}

    # --- events -----------------------------------------------------------------------------------

    def _get_data(self, question: Question) -> object:
        now = datetime.now(UTC)
        since, until = (_time(question.get(name, usual), now) for name, usual in (("from", "0"), ("until", "now")))
        tags = set(question.get("tags").replace(",", " ").split())
        any_of = question.get("set") == "union"
        return [
            event
            for event in self._events
            if since <= event["when"] <= until
            and (not tags or (tags & {*event["tags"]} if any_of else tags <= {*event["tags"]}))
        ]


def _asked(evidence: Evidence) -> dict[str, list[str]]:
    """Return the series of each target with functions that the evidence was collected with."""
    found: dict[str, list[str]] = {}
    metrics = {metric.name or metric.target: metric for metric in evidence.scope.metrics}
    for series in evidence.items(Series):
        metric = metrics.get(series.metric)
        if metric is None or "(" not in metric.target:
            continue
        for host, forms in spread(metric.target, evidence.scope.hosts):
            for form in forms if host in {"", series.host} else ():
                names = found.setdefault(form, [])
                if series.name not in names:
                    names.append(series.name)
    return found


def _events(evidence: Evidence) -> Iterator[dict[str, Any]]:
    service = [evidence.scope.service] if evidence.scope.service else []
    number = 0
    for item in (*evidence.items(Change), *evidence.items(Event)):
        if isinstance(item, Change) and item.kind == "deploy":
            what, tags, ref = item.summary, ["deploy", *service], item.ref
        elif isinstance(item, Event) and item.kind == "marker":
            what, tags, ref = item.output, [item.state, TAG], ""
        else:
            continue
        number += 1
        data = json.dumps({"ref": ref}) if ref else ""
        yield {"id": number, "what": what, "when": int(item.at.timestamp()), "tags": tags, "data": data}


def _cut(pieces: Sequence[Series], since: int, until: int) -> _Sheet:
    """Return what all spans of one series know of (since, until], as Graphite answers."""
    near = max(pieces, key=lambda one: min(one.end, until + 1) - max(one.start, since + 1))
    step = near.step
    start = near.start - (near.start - since - 1) // step * step
    values = np.full(max(0, (until - start) // step + 1), np.nan)
    if len(values) > _MOST:
        raise AskedError(f"more than {_MOST:,} points: ask for a shorter time")
    for piece in (*(one for one in pieces if one is not near), near):
        if piece.step == step and (piece.start - start) % step == 0:
            first = (piece.start - start) // step
            low, high = max(0, first), min(len(values), first + len(piece.values))
            if low < high:
                values[low:high] = piece.values[low - first : high - first]
    return _Sheet(near.name, near.tags, start, step, values)


def _folded(values: npt.NDArray[np.float64], by: int, like: Series | None) -> npt.NDArray[np.float64]:
    rows = np.full(ceil(len(values) / by) * by, np.nan)
    rows[: len(values)] = values
    table = rows.reshape(-1, by)
    empty = np.isnan(table).all(axis=1)
    folded = np.full(len(table), np.nan)
    fold = _FOLDS.get(like.consolidation if like else "average", np.nanmean)
    folded[~empty] = fold(table[~empty], axis=1)
    return folded


def _raw(sheet: _Sheet) -> str:
    values = ",".join("None" if isnan(value) else repr(value) for value in sheet.values.tolist())
    return f"{sheet.name},{sheet.start},{sheet.start + sheet.step * len(sheet.values)},{sheet.step}|{values}\n"


def _time(text: str, now: datetime) -> int:
    """Return a time as Grafana and others send it as epoch seconds."""
    if text.strip().isdigit():
        return int(text)
    try:
        found = instant(text, now=now, zone=UTC)
    except WindowError as error:
        raise AskedError(str(error)) from None
    if not isinstance(found, Instant):
        raise AskedError(f"{text} is no time")
    return int(found.at.timestamp())
