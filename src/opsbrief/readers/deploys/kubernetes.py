"""Kubernetes workloads and the revisions they keep, as deploys.

A revision is a ReplicaSet of a Deployment, or a ControllerRevision of a StatefulSet or DaemonSet. It is made when its
rollout starts. One that is rolled back to is not made again: it gets a new number and keeps its old time, so the time
of a rollback comes from the workload itself, where that is still known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from opsbrief.model.evidence import Event, Origin
from opsbrief.model.window import TimeKind
from opsbrief.readers.deploys.entry import Entry, ShapeError, dig, moment, perhaps, table, word

_REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"
_CAUSE = "kubernetes.io/change-cause"
_HASHES = ("pod-template-hash", "controller-revision-hash", "pod-template-generation")  # labels of a template
_MOVING = frozenset({"", "latest", "stable", "edge", "nightly", "main", "master"})  # tags that name no release
_NAMED = re.compile(r'ReplicaSet "([^"]+)"|replica set "([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the newest rollout of a Deployment is: its condition Progressing."""

    revision: str  # name of the ReplicaSet it speaks of
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet."""

    kind: str
    name: str
    uid: str
    edited: datetime | None  # when somebody last changed what owns its template
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One template that a workload had or has."""

    name: str
    owner: str  # uid of the workload
    created: datetime
    number: int
    earlier: tuple[int, ...]  # numbers it had before it was rolled back to
    template: Mapping[str, Any]
    cause: str

    def core(self) -> tuple[object, ...]:
        """Return the template without what only makes it differ from an equal one."""
        meta = dig(self.template, "metadata")
        labels = {key: value for key, value in _table(dig(meta, "labels")).items() if key not in _HASHES}
        notes = {key: value for key, value in _table(dig(meta, "annotations")).items() if not _restart(key)}
        return labels, notes, self.template.get("spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A rollback that nobody remembers the time of; it was between these two."""

    after: datetime
    before: datetime | None
    what: str


@dataclass(frozen=True, slots=True)
class _Stint:
    """A revision while it was the newest one."""

    number: int
    revision: Revision
    first: bool
    last: bool


def workload(kind: str, part: object) -> Workload:
    """Return one workload of a list. Raises ShapeError."""
    found = table(part)
    name, uid = word(found, "metadata", "name"), word(found, "metadata", "uid")
    if not name or not uid:
        raise ShapeError("has no name or no uid")
    return Workload(kind=kind, name=name, uid=uid, edited=_edited(found), progress=_progress(found))


def revision(part: object) -> Revision | None:
    """Return one ReplicaSet or ControllerRevision of a list, None when it belongs to no workload. Raises ShapeError."""
    found = table(part)
    owners = _parts(dig(found, "metadata", "ownerReferences"))
    owner = next((word(one, "uid") for one in owners if dig(one, "controller") is True), "")
    if not owner:
        return None
    notes = _table(dig(found, "metadata", "annotations"))
    template = dig(found, "spec", "template") or dig(found, "data", "spec", "template")
    number = found.get("revision")  # of a ControllerRevision
    if not isinstance(number, int):
        said = _numbers(notes.get(_REVISION))
        if not said:
            raise ShapeError("has no revision number")
        number = said[0]
    # Older controllers also write the present number there whenever an annotation changes.
    earlier = {*_numbers(notes.get(_HISTORY))}
    return Revision(
        name=word(found, "metadata", "name"),
        owner=owner,
        created=moment(dig(found, "metadata", "creationTimestamp")),
        number=number,
        earlier=tuple(sorted(one for one in earlier if one < number)),
        template=_table(template),
        cause=word(notes, _CAUSE),
    )


def told(
    one: Workload, kept: Iterable[Revision], origin: Origin, *, container: str = "", late: bool = False
) -> Iterator[Entry | Event | Lost]:
    """Yield the deploys, restarts and forgotten rollbacks of one workload, in the order of its revisions."""
    stints = _stints(kept)
    before: _Stint | None = None
    for stint in stints:
        at, kind = _moment(one, stint, stints, late=late)
        if at is None:
            yield _lost(one, stint, stints)
        elif before and stint.first and before.revision.core() == stint.revision.core():
            said = f"{one.kind} {one.name} restarted: revision {stint.number} differs in nothing but that"
            yield Event(at=at, host="", service=one.name, state="RESTART", kind="restart", output=said, origin=origin)
        else:
            entry = _entry(one, stint, at, kind, container, origin)
            cause = _cause(stint, before)
            yield replace(entry, note=f"{entry.note}, {cause}") if cause else entry
        before = stint


def tag(image: str) -> str:
    """Return the tag of an image that names a release, else the beginning of its digest, else ""."""
    name, _, digest = image.partition("@")
    label = name.rpartition("/")[2].partition(":")[2]
    return digest.partition(":")[2][:12] if label in _MOVING else label


def _stints(kept: Iterable[Revision]) -> list[_Stint]:
    pairs = [(number, one) for one in kept for number in {*one.earlier, one.number}]
    found = sorted(pairs, key=lambda pair: (pair[0], pair[1].created))
    newest = found[-1][0] if found else 0
    first: set[str] = set()
    stints = []
    latest: datetime | None = None
    for number, one in found:
        # A ControllerRevision remembers no earlier number; that it is older than one before it tells the same.
        again = one.name in first or (latest is not None and one.created < latest)
        first.add(one.name)
        stints.append(_Stint(number, one, not again, number == newest))
        latest = max(latest or one.created, one.created)
    return stints


def _moment(one: Workload, stint: _Stint, stints: Sequence[_Stint], *, late: bool) -> tuple[datetime | None, TimeKind]:
    """Return when a stint began (or, if ``late``, ended rolling out), and which instant that is."""
    progress = one.progress if stint.last and one.progress and one.progress.revision == stint.revision.name else None
    ended = progress.at if progress and progress.reason == "NewReplicaSetAvailable" else None
    if late and ended:
        return ended, TimeKind.DEPLOY_END
    if stint.first:
        return stint.revision.created, TimeKind.DEPLOY_START
    if not stint.last:
        return None, TimeKind.EVENT_TIME
    newest = max(other.revision.created for other in stints)
    edited = one.edited if one.edited and one.edited >= newest else None
    if edited and (progress is None or edited <= progress.at):
        return edited, TimeKind.EVENT_TIME
    if ended:
        return ended, TimeKind.DEPLOY_END
    return (progress.at if progress else None), TimeKind.EVENT_TIME


def _entry(one: Workload, stint: _Stint, at: datetime, kind: TimeKind, container: str, origin: Origin) -> Entry:
    image = _image(one, stint.revision, container)
    reason = ""
    if stint.last and one.progress and one.progress.revision == stint.revision.name:
        reason = one.progress.reason
    state = "in progress" if reason in {"NewReplicaSetCreated", "ReplicaSetUpdated", "FoundNewReplicaSet"} else ""
    failed = reason == "ProgressDeadlineExceeded"
    notes = [image, f"revision {stint.number}", state, "deadline exceeded" if failed else ""]
    return Entry(
        at=at,
        ref=tag(image) if image else "",
        note=f"{one.name}: {', '.join(filter(None, notes))}",
        kind=kind,
        origin=origin,
        succeeded=not failed,
        rollback=not stint.first,
        place=f"{one.kind}/{one.name}",
        same=stint.revision.name,
    )


def _cause(stint: _Stint, before: _Stint | None) -> str:
    """Return the change-cause of a stint, where it is news: the annotation stays on the workload and is copied on."""
    cause = stint.revision.cause if stint.number == stint.revision.number else ""
    return "" if before and before.revision.cause == cause else cause


def _lost(one: Workload, stint: _Stint, stints: Sequence[_Stint]) -> Lost:
    older = [other.revision.created for other in stints if other.first and other.number < stint.number]
    newer = [other.revision.created for other in stints if other.first and other.number > stint.number]
    what = f"the time of the rollback of {one.kind} {one.name} to revision {stint.number}"
    return Lost(after=max(older, default=stint.revision.created), before=min(newer, default=None), what=what)


def _image(one: Workload, found: Revision, container: str) -> str:
    """Return the image of the container that was asked for, else of the workload's namesake, else of the first."""
    containers = dig(found.template, "spec", "containers")
    images = {
        word(part, "name"): word(part, "image", cap=400) for part in _parts(containers) if isinstance(part, Mapping)
    }
    return images.get(container or one.name) or ("" if container else next(iter(images.values()), ""))


def _progress(found: Mapping[str, Any]) -> Progress | None:
    for part in _parts(dig(found, "status", "conditions")):
        if word(part, "type") != "Progressing":
            continue
        match = _NAMED.search(word(part, "message", cap=400))
        at = perhaps(dig(part, "lastUpdateTime") or dig(part, "lastTransitionTime"))
        if match and at:
            return Progress(revision=match[1] or match[2], reason=word(part, "reason"), at=at)
    return None


def _edited(found: Mapping[str, Any]) -> datetime | None:
    """Return when an owner of the template last changed something: at or after the last change of the template."""
    parts = _parts(dig(found, "metadata", "managedFields"))
    owners = [part for part in parts if dig(part, "fieldsV1", "f:spec", "f:template") is not None]
    times = [at for part in owners if not dig(part, "subresource") and (at := perhaps(dig(part, "time")))]
    return max(times, default=None)


def _numbers(said: object) -> list[int]:
    return [int(one) for one in str(said).split(",") if re.fullmatch("[0-9]{1,18}", one)]


def _parts(found: object) -> Sequence[Any]:
    return found if isinstance(found, list) else ()


def _table(part: object) -> Mapping[str, Any]:
    return part if isinstance(part, Mapping) else {}


def _restart(key: str) -> bool:
    return key.rpartition("/")[2] == "restartedAt"
