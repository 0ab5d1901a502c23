"""The bundle: a folder with the evidence and every form of the brief, whole or not at all.

It is written beside its place, synced, and renamed; whoever is killed in between leaves a
``.opsbrief-*`` folder that the next run sweeps away, never half a bundle. Folders are 0700 and
files 0600 whatever the umask, and no file name comes from data.

    brief.html brief.md brief.txt graphs/*.png     the brief
    findings.json                                  verdicts and numbers
    evidence/evidence.json                         window, scope, sources, gaps
    evidence/series.npy + series.jsonl             all points in one array; one line a series
    evidence/logs.jsonl                            a sample, then its records, one line each
    evidence/items.jsonl                           changes, releases, events, readings
    manifest.json                                  what is in here, with sizes and digests
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from opsbrief.codec import decode, encode, stamp
from opsbrief.errors import BundleError
from opsbrief.model.artifact import Artifact
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
    Series,
)
from opsbrief.model.scope import Scope
from opsbrief.model.window import Window
from opsbrief.swap import swap

FORMAT = "opsbrief.bundle/1"
_SWEEP_AFTER = 3600.0  # seconds; younger leftovers may belong to a run that is still going
_CAP = 1 << 30  # bytes of one file that are read back
_TYPES: dict[str, type[Change | Release | Event | Reading]] = {
    "change": Change,
    "release": Release,
    "event": Event,
    "reading": Reading,
}


def name(service: str, at: datetime) -> str:
    """Return the folder name of a bundle: opsbrief-SERVICE-20261120T164000Z."""
    slug = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")[:40] or "all"
    return f"opsbrief-{slug}-{at:%Y%m%dT%H%M%SZ}"


def files(evidence: Evidence, artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Return everything a bundle holds: the evidence as files, then the artifacts, then the manifest."""
    found = [*_evidence_files(evidence), *artifacts]
    found.append(Artifact("manifest.json", "application/json", _document(_manifest(evidence, found))))
    return found


def write(
    parent: Path, folder: str, content: Sequence[Artifact], forbidden: Sequence[str] = (), *, renew: bool = False
) -> Path:
    """Write ``content`` as ``parent/folder`` and return that path (with -2, -3, ... when it is taken).

    With ``renew``, one that opsbrief wrote there before is replaced. ``forbidden`` are the configured
    secrets: a file that holds one is never published.
    Raises BundleError when the place cannot be written; what was there before is untouched.
    """
    _gate(content, forbidden)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        with _building(parent) as draft:
            for artifact in content:
                _put(draft / artifact.name, artifact.data)
            _sync(draft)
            return _renew(draft, parent / folder) if renew else _publish(draft, parent, folder)
    except OSError as error:
        raise BundleError(
            f"the bundle cannot be written in {parent}: {error.strerror or error}",
            "nothing was changed there; choose another folder with -o",
        ) from error


def extract(folder: Path, content: Iterable[Artifact]) -> Iterator[Path]:
    """Write single files into ``folder``, each whole or not at all; yield where each one is."""
    for artifact in content:
        path = folder / artifact.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            _put(draft, artifact.data)
            draft.replace(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
        yield path


def read(path: Path) -> Evidence:
    """Read the evidence back. Raises BundleError when it is no bundle, broken, or of a newer format."""
    try:
        manifest = json.loads(_get(path / "manifest.json"))
        if manifest.get("format") != FORMAT:
            raise BundleError(
                f"{path} is a bundle of the format {manifest.get('format')!r}", f"this opsbrief reads {FORMAT}"
            )
        return _read_evidence(path / "evidence")
    except FileNotFoundError as error:
        raise BundleError(
            f"{path} is no whole bundle: {Path(error.filename).name} is missing",
            "give the folder that 'opsbrief collect' printed",
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleError(f"{path} is broken: {error}") from error


def _evidence_files(evidence: Evidence) -> Iterator[Artifact]:
    series, logs, items = [], [], []
    for outcome in evidence.outcomes:
        for item in outcome.items:
            if isinstance(item, Series):
                series.append(item)
            elif isinstance(item, LogSample):
                logs.append(item)
            else:
                items.append({"type": type(item).__name__.lower(), **encode(item)})
    yield Artifact("evidence/evidence.json", "application/json", _document(_head(evidence)))
    if series:
        yield from _series_files(series)
    if logs:
        yield Artifact("evidence/logs.jsonl", "application/x-ndjson", _lines(_log_lines(logs)))
    if items:
        yield Artifact("evidence/items.jsonl", "application/x-ndjson", _lines(items))


def _head(evidence: Evidence) -> dict[str, Any]:
    return {
        "format": "opsbrief.evidence/1",
        "version": evidence.version,
        "collected_at": stamp(evidence.collected_at),
        "window": encode(evidence.window),
        "scope": encode(evidence.scope),
        "redactions": dict(evidence.redactions),
        **({"first": encode(evidence.first)} if evidence.first else {}),
        "outcomes": [
            {**encode(replace(outcome, items=())), "items": [item.id for item in outcome.items]}
            for outcome in evidence.outcomes
        ],
    }


def _series_files(series: Sequence[Series]) -> Iterator[Artifact]:
    lines = []
    offset = 0
    for one in series:
        fields = encode(replace(one, values=_NONE))
        fields.pop("values", None)
        lines.append({**fields, "offset": offset, "points": len(one.values)})
        offset += len(one.values)
    store = io.BytesIO()
    np.save(store, np.concatenate([one.values for one in series]).astype("<f8", copy=False), allow_pickle=False)
    yield Artifact("evidence/series.npy", "application/octet-stream", store.getvalue())
    yield Artifact("evidence/series.jsonl", "application/x-ndjson", _lines(lines))


_NONE: Any = ()  # stands for the values, which live in series.npy


def _log_lines(logs: Iterable[LogSample]) -> Iterator[dict[str, Any]]:
    for sample in logs:
        yield {**encode(replace(sample, records=())), "records": len(sample.records)}
        for record in sample.records:
            yield encode(record)


def _read_evidence(folder: Path) -> Evidence:
    head = json.loads(_get(folder / "evidence.json"))
    found: dict[str, Item] = {item.id: item for item in _read_items(folder)}
    outcomes = tuple(
        replace(
            decode(Outcome, {key: item for key, item in data.items() if key != "items"}),
            items=tuple(found[key] for key in data.get("items", ())),
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


def _read_items(folder: Path) -> Iterator[Item]:
    if (folder / "series.jsonl").exists():
        values = np.load(io.BytesIO(_get(folder / "series.npy")), allow_pickle=False)
        for data in _parsed(folder / "series.jsonl"):
            start, points = data.pop("offset"), data.pop("points")
            yield replace(decode(Series, {**data, "values": _NONE}), values=values[start : start + points])
    if (folder / "logs.jsonl").exists():
        lines = _parsed(folder / "logs.jsonl")
        for data in lines:
            records = tuple(decode(LogRecord, next(lines)) for _ in range(data["records"]))
            yield replace(decode(LogSample, {**data, "records": []}), records=records)
    if (folder / "items.jsonl").exists():
        for data in _parsed(folder / "items.jsonl"):
            yield decode(_TYPES[data.pop("type")], data)


def _parsed(path: Path) -> Iterator[dict[str, Any]]:
    for line in _get(path).splitlines():
        yield json.loads(line)


def _manifest(evidence: Evidence, content: Iterable[Artifact]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": evidence.version,
        "service": evidence.scope.service,
        "collected_at": stamp(evidence.collected_at),
        "window": {"start": stamp(evidence.window.start), "end": stamp(evidence.window.end)},
        "sources": [
            {
                "name": outcome.source,
                "type": outcome.type,
                "status": outcome.status,
                "items": len(outcome.items),
                "gaps": len(outcome.gaps),
                "took": outcome.took,
                "requests": outcome.requests,
                "bytes": outcome.bytes,
            }
            for outcome in evidence.outcomes
        ],
        "gaps": [encode(gap) for gap in evidence.gaps],
        "redactions": dict(evidence.redactions),
        "files": [
            {
                "name": artifact.name,
                "type": artifact.media_type,
                "size": len(artifact.data),
                "digest": "sha256:" + hashlib.sha256(artifact.data).hexdigest(),
            }
            for artifact in content
        ],
    }


def _document(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"


_DUMP = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join([_DUMP(row) + "\n" for row in rows]).encode()


def _gate(content: Iterable[Artifact], forbidden: Sequence[str]) -> None:
    needles = [secret.encode() for secret in forbidden if len(secret) >= 4]
    for artifact in content:
        if any(needle in artifact.data for needle in needles):
            raise BundleError(
                f"{artifact.name} would hold a configured secret; nothing was written",
                "this is a defect of the redaction: please report it",
            )


def _get(path: Path) -> bytes:
    if path.stat().st_size > _CAP:
        raise BundleError(f"{path.name} is larger than {_CAP >> 20} MiB; not read")
    return path.read_bytes()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
        file.write(data)
        file.flush()
        os.fsync(handle)
    os.chmod(path, 0o600)  # noqa: PTH101 - whatever the umask took away or left


@contextmanager
def _building(parent: Path) -> Iterator[Path]:
    """Yield a private folder beside the place; it is gone afterwards unless it was renamed."""
    draft = Path(tempfile.mkdtemp(prefix=f".opsbrief-{os.getpid()}-", dir=parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, parent: Path, folder: str) -> Path:
    for count in range(1, 1000):
        target = parent / (folder if count == 1 else f"{folder}-{count}")
        # An empty folder would be replaced by rename; a bundle is never empty, so that is harmless.
        with suppress(OSError):
            draft.rename(target)
            _sync(parent)
            return target
        if not target.exists():
            draft.rename(target)  # not taken, so the rename failed for another reason: let it say so
    raise BundleError(f"{parent / folder} is taken a thousand times over")


def _renew(draft: Path, target: Path) -> Path:
    """Put ``draft`` in the place of ``target``; whoever looks sees the old folder or the new one, never none.

    The caller removes what is left where the draft was.
    """
    if not os.path.lexists(target):
        draft.rename(target)
    elif not target.is_symlink() and (target / "manifest.json").is_file():
        swap(draft, target)
    else:
        raise BundleError(f"{target} is there and was not written by opsbrief", "move it away, or name another folder")
    _sync(target.parent)
    return target


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(parent: Path) -> None:
    """Remove what killed runs left behind: our prefix, an hour old, and its process gone."""
    for leftover in parent.glob(".opsbrief-*-*"):
        with suppress(OSError, ValueError):
            pid = int(leftover.name.split("-")[1])
            if time.time() - leftover.lstat().st_mtime > _SWEEP_AFTER and not _alive(pid):
                shutil.rmtree(leftover)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
