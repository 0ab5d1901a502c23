"""Evidence to files: what a bundle holds, and what its manifest says of it."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring as _QUOTED  # noqa: N812 - a quoted string, as _DUMP writes it
from typing import Any

import numpy as np

from opsbrief.codec import encode, pretty, stamp
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import Evidence, LogRecord, LogSample, Series

FORMAT = "opsbrief.bundle/1"
_NONE: Any = ()  # stands for the values, which live in series.npy
_DUMP = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def name(service: str, at: datetime, kind: str = "") -> str:
    """Return the folder name of a bundle: opsbrief-SERVICE-20261120T164000Z, with a kind opsbrief-SERVICE-KIND-..."""
    slug = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")[:40] or "all"
    return f"opsbrief-{slug}-{f'{kind}-' if kind else ''}{at:%Y%m%dT%H%M%SZ}"


def files(evidence: Evidence, artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Return everything a bundle holds: the evidence as files, then the artifacts, then the manifest."""
    found = [*_evidence_files(evidence), *artifacts]
    found.append(Artifact("manifest.json", "application/json", _document(_manifest(evidence, found))))
    return found


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
        yield Artifact("evidence/logs.jsonl", "application/x-ndjson", "".join(_log_lines(logs)).encode())
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


def _log_lines(logs: Iterable[LogSample]) -> Iterator[str]:
    for sample in logs:
        yield _DUMP({**encode(replace(sample, records=())), "records": len(sample.records)}) + "\n"
        yield from map(log_line, sample.records)


def log_line(record: LogRecord) -> str:
    """Return one record as a line of JSON: what ``encode`` gives, at a quarter of the cost, for there are thousands."""
    level = f',"severity_text":{_QUOTED(record.severity_text)}' if record.severity_text else ""
    attributes = f',"attributes":{_object(tuple(record.attributes.items()))}' if record.attributes else ""
    resource = f',"resource":{_object(tuple(record.resource.items()))}' if record.resource else ""
    at = stamp(record.timestamp)
    return f'{{"timestamp":"{at}","body":{_QUOTED(record.body)}{level}{attributes}{resource}}}\n'


@lru_cache(1024)
def _object(pairs: tuple[tuple[str, str], ...]) -> str:
    return _DUMP(dict(pairs))


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
    return pretty(data).encode() + b"\n"


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join([_DUMP(row) + "\n" for row in rows]).encode()
