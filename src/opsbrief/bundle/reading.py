"""A bundle back to evidence. What it says is checked like any other text from outside."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opsbrief.bundle.content import FORMAT
from opsbrief.bundle.store import Store, store
from opsbrief.codec import decode
from opsbrief.errors import BundleError
from opsbrief.model.effect import First
from opsbrief.model.evidence import (
    Change,
    Event,
    Evidence,
    Item,
    LogRecord,
    LogSample,
    Outcome,
    Reading,
    Release,
    Run,
    Series,
)
from opsbrief.model.scope import Scope
from opsbrief.model.window import Window
from opsbrief.text import clean, line

_NONE: Any = ()  # stands for the values, which live in series.npy
_TYPES: dict[str, type[Change | Release | Event | Reading | Run]] = {
    "change": Change,
    "release": Release,
    "event": Event,
    "reading": Reading,
    "run": Run,
}
#: What our own writer never lets into JSON: the escapes of control characters and what text.clean makes visible.
_FOREIGN = re.compile(
    r"\\u00(?:0[0-8bcefBCEF]|1|7[fF]|[89])|\\u(?:061[cC]|20[0-6]|[fF][eE][fF]{2}|[dD][89a-fA-F])"
    "|[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One file as the manifest has it."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself."""

    version: str  # of the opsbrief that wrote it
    files: tuple[Listed, ...]


def read(path: Path) -> Evidence:
    """Read the evidence back, out of a folder, a .tgz or a .zip.

    Raises BundleError when it is no bundle, broken, not to be trusted, or of a newer format.
    """
    with opened(path) as found:
        return evidence(found)


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """Open a bundle and check its format; whatever goes wrong with its files is a BundleError in one sentence."""
    try:
        found = store(path)
        form = _object(found, "manifest.json").get("format")
        if form != FORMAT:
            raise BundleError(f"{path} is a bundle of the format {form!r}", f"this opsbrief reads {FORMAT}")
        yield found
    except FileNotFoundError as error:
        raise BundleError(
            f"{path} is no whole bundle: {Path(error.filename).name} is missing",
            "give the folder that 'opsbrief collect' printed",
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise BundleError(f"{path} is broken: {line(str(error), 300)}") from error


def manifest(found: Store) -> Manifest:
    """Return what the manifest lists. Raises what ``opened`` makes a BundleError of."""
    data = _object(found, "manifest.json")
    rows = tuple(decode(Listed, row) for row in data["files"])
    if len({row.name for row in rows}) != len(rows):
        raise ValueError("manifest.json lists a file twice")
    return Manifest(str(data["version"]), rows)


def evidence(found: Store) -> Evidence:
    """Return the evidence in a store. Raises what ``opened`` makes a BundleError of."""
    head = _object(found, "evidence/evidence.json")
    items = {item.id: item for item in _items(found)}
    outcomes = tuple(
        replace(
            decode(Outcome, {key: item for key, item in data.items() if key != "items"}),
            items=tuple(items[key] for key in data.get("items", ())),
        )
        for data in head["outcomes"]
    )
    return Evidence(
        window=decode(Window, head["window"]),
        scope=decode(Scope, head["scope"]),
        outcomes=outcomes,
        collected_at=datetime.fromisoformat(head["collected_at"]),
        version=head["version"],
        redactions=head["redactions"],
        first=decode(First, head["first"]) if "first" in head else None,
    )


def _items(found: Store) -> Iterator[Item]:
    names = found.names()
    if "evidence/series.jsonl" in names:
        values = _array(found.get("evidence/series.npy"))
        for data in _parsed(found, "evidence/series.jsonl"):
            start, points = data.pop("offset"), data.pop("points")
            cut = values[start : start + points]
            if start < 0 or len(cut) != points:
                raise ValueError("series.npy does not hold all points of series.jsonl")
            yield replace(decode(Series, {**data, "values": _NONE}), values=cut)
    if "evidence/logs.jsonl" in names:
        lines = _parsed(found, "evidence/logs.jsonl")
        for data in lines:
            records = tuple(decode(LogRecord, record) for record in islice(lines, data["records"]))
            if len(records) != data["records"]:
                raise ValueError("logs.jsonl ends too early")
            yield replace(decode(LogSample, {**data, "records": []}), records=records)
    if "evidence/items.jsonl" in names:
        for data in _parsed(found, "evidence/items.jsonl"):
            yield decode(_TYPES[data.pop("type")], data)


def _array(data: bytes) -> npt.NDArray[np.float64]:
    """Return the array of a .npy file of one row of float64; memory for what its head claims is never asked for."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError("series.npy is no array that opsbrief writes")
    shape, _order, kind = np.lib.format.read_array_header_1_0(file)
    values = np.frombuffer(data, dtype="<f8", offset=file.tell()) if kind == np.dtype("<f8") else None
    if values is None or shape != values.shape:
        raise ValueError("series.npy is no whole array of numbers")
    return values.astype(np.float64)


def _object(found: Store, name: str) -> dict[str, Any]:
    data = _json(found.get(name).decode())
    if not isinstance(data, dict):
        raise TypeError(f"{name} is no object")
    return data


def _parsed(found: Store, name: str) -> Iterator[dict[str, Any]]:
    text = found.get(name).decode()
    foreign = bool(_FOREIGN.search(text))
    for row in text.split("\n"):
        if row:
            data = json.loads(row)
            yield _cleaned(data) if foreign else data


def _json(text: str) -> Any:  # noqa: ANN401 - JSON is any shape
    data = json.loads(text)
    return _cleaned(data) if _FOREIGN.search(text) else data


def _cleaned(data: Any) -> Any:  # noqa: ANN401 - JSON is any shape
    """Return JSON with every string in it made safe to show: this bundle was not written by opsbrief."""
    if isinstance(data, str):
        return clean(data, len(data))
    if isinstance(data, Mapping):
        return {clean(key): _cleaned(item) for key, item in data.items()}
    return [_cleaned(item) for item in data] if isinstance(data, list) else data
