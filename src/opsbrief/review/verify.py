"""Is a bundle what it says: digests of its files, and every number worked out again from its evidence.

The evidence is analysed, composed and rendered anew, and each file compared with the one that is there,
byte for byte. Another version of opsbrief may say things differently, so its words are then left alone
and only the digests count.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opsbrief import __version__, bundle, pipeline
from opsbrief.bundle import Manifest, Store
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import Evidence
from opsbrief.text import line

_MOST = 20  # differences told of one file
_FORMS = {"brief.html": "html", "brief.md": "md", "brief.txt": "txt", "brief.eml": "eml"}
_SHOWN = 60  # characters of a value


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be."""

    file: str
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.file}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a verification."""

    files: int
    bytes: int
    numbers: int  # in findings.json, worked out again
    version: str  # of the opsbrief that wrote the bundle
    recomputed: bool  # whether this version is the same, so that every file was made again
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()  # what differs without being wrong


def verify(found: Store, evidence: Evidence) -> Report:
    """Compare a bundle with its manifest and with what its evidence gives now."""
    listed = bundle.manifest(found)
    differences = [*_digests(found, listed)]
    same = listed.version == __version__
    again = {artifact.name: artifact.data for artifact in _again(found, evidence)} if same else {}
    wrong = {difference.file for difference in differences}
    changed = [name for name in again if name in found.names() and found.get(name) != again[name]]
    redrawn = [name for name in changed if name.endswith(".png") and _alike(found.get(name), again[name])]
    for name in changed:
        # The mail holds the drawings, so it cannot be the same when they are not.
        if name not in redrawn and not (redrawn and name == "brief.eml" and name not in wrong):
            differences += _differing(name, found.get(name), again[name], told=name in wrong)
    return Report(
        files=len(listed.files),
        bytes=sum(file.size for file in listed.files),
        numbers=_numbers(json.loads(again.get("findings.json", b"null"))),
        version=listed.version,
        recomputed=same,
        differences=tuple(differences),
        notes=tuple(f"{name}: drawn by another matplotlib or with other fonts; it shows the same" for name in redrawn),
    )


def _digests(found: Store, listed: Manifest) -> Iterator[Difference]:
    names = set(found.names())
    for file in listed.files:
        if file.name not in names:
            yield Difference(line(file.name, 100), "is missing")
            continue
        data = found.get(file.name)
        if len(data) != file.size:
            yield Difference(file.name, f"has {len(data):,} bytes, the manifest says {file.size:,}")
        elif f"sha256:{hashlib.sha256(data).hexdigest()}" != file.digest:
            yield Difference(file.name, "is not the file that the manifest's digest was made of")
    for name in sorted(names - {file.name for file in listed.files} - {"manifest.json"}):
        yield Difference(line(name, 100), "is not in the manifest")


def _again(found: Store, evidence: Evidence) -> Sequence[Artifact]:
    """Make every file again; the names of people are on the page only where they were asked for."""
    names = found.names()
    formats = [form for name, form in _FORMS.items() if name in names]
    made: list[Artifact] = []
    for people in (False, True):
        made = bundle.files(evidence, pipeline.again(evidence, formats, people=people)[2])
        briefs = [artifact for artifact in made if artifact.name in _FORMS]
        if all(found.get(artifact.name) == artifact.data for artifact in briefs):
            return made
    return bundle.files(evidence, pipeline.again(evidence, formats)[2])


def _alike(one: bytes, other: bytes) -> bool:
    from opsbrief.render import png  # noqa: PLC0415 - loads matplotlib, which only a difference needs here

    return png.alike(one, other)


def _differing(name: str, there: bytes, made: bytes, *, told: bool) -> Iterator[Difference]:
    if name.endswith(".json"):
        try:
            old = json.loads(there)
        except (ValueError, RecursionError):
            yield Difference(name, "is no JSON")
            return
        new = json.loads(made)
        if name == "manifest.json" and isinstance(old, dict):
            old["files"] = new["files"]  # each of them is told itself
        lines = [Difference(name, what) for what in islice(_walk("", old, new), _MOST + 1)]
        yield from lines[:_MOST]
        if len(lines) > _MOST:
            yield Difference(name, "and more")
        if lines or told or old == new:
            return
    elif name.endswith((".html", ".md", ".txt", ".jsonl")):
        old, new = there.decode("utf-8", "replace").splitlines(), made.decode().splitlines()
        at = next((at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(old))
        yield Difference(name, f"line {at + 1} is not what the evidence gives")
        return
    if not told:
        yield Difference(name, "is not what the evidence gives")


def _walk(path: str, old: Any, new: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield one line for each leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _walk(f"{path}.{line(key, 60)}".lstrip("."), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            named = one.get("id") or one.get("name") if isinstance(one, Mapping) else None
            yield from _walk(f"{path}[{line(str(named or at), 60)}]", one, other)
    elif old != new or type(old) is not type(new):
        yield f"{path} is {_shown(old)}, the evidence gives {_shown(new)}"


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, list | dict):
        return f"{len(value)} entries"
    return line(json.dumps(value, ensure_ascii=False), _SHOWN)


def _numbers(document: Any) -> int:  # noqa: ANN401 - any JSON
    if isinstance(document, Mapping):
        return sum(_numbers(value) for value in document.values())
    if isinstance(document, list):
        return sum(_numbers(value) for value in document)
    return int(isinstance(document, int | float) and not isinstance(document, bool))
