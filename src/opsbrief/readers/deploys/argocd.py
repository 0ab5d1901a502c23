"""An Argo CD application as deploys: its history of what succeeded, and its last operation, which need not have."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from opsbrief.model.evidence import Origin
from opsbrief.model.window import TimeKind
from opsbrief.readers.deploys.entry import Bad, Entry, ShapeError, dig, moment, named, perhaps, table, word

_FAILED = frozenset({"Failed", "Error"})
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RANGE = re.compile(r"[*<>=~^|, ]|\.x\b", re.IGNORECASE)  # 1.4.*, >=2.0: what was deployed is in the revision


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What an application says about its past."""

    entries: tuple[Entry, ...]
    oldest: datetime | None  # of what is kept, where older syncs are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the syncs of one application are to be read."""

    name: str
    late: bool  # the end of a sync counts, where both are known
    names: bool  # its revisions are of the application itself, and so name a release


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sync:
    """One sync, of the history or the last operation."""

    revisions: tuple[str, ...]  # of each source: commits, or versions of Helm charts
    target: str  # what the application follows: a tag, a branch, HEAD
    started: datetime | None
    ended: datetime | None
    note: str
    failed: bool = False

    def entry(self, way: Way, origin: Origin) -> Entry:
        """Return it as a deploy of an application."""
        known = [(self.started, TimeKind.DEPLOY_START), (self.ended, TimeKind.DEPLOY_END)]
        at, kind = next((at, kind) for at, kind in (reversed(known) if way.late else known) if at)
        shown = ", ".join(named(one, one) for one in self.revisions)
        return Entry(
            at=at,
            ref=self._ref(way),
            note=f"{way.name}: {self.note}" + (f", revision {shown}" if shown else ""),
            kind=kind,
            origin=origin,
            succeeded=not self.failed,
            place=way.name,
            same=" ".join(self.revisions),
        )

    def _ref(self, way: Way) -> str:
        """Return what names the release: the tag that was followed to a commit, the commit, the version of a chart."""
        revision = next(iter(self.revisions), "") if way.names else ""
        exact = _COMMIT.fullmatch(revision) and not _RANGE.search(self.target)
        return named(self.target if exact else revision, revision)


def history(way: Way, document: object, origin: Origin, bad: Bad) -> History | None:
    """Return the deploys that an application tells of; None when the document is no application."""
    if not isinstance(document, Mapping) or not isinstance(document.get("metadata"), Mapping):
        return None
    past = dig(document, "status", "history")
    syncs: list[_Sync] = []
    first: tuple[int, datetime] | None = None
    for part in past if isinstance(past, list) else ():
        try:
            number, ended = _number(part), moment(dig(part, "deployedAt"))
            syncs.append(_past(part, f"sync {number}", ended))
        except ShapeError as error:
            bad.add(part, error)
            continue
        first = min(first or (number, ended), (number, ended))
    last = dig(document, "status", "operationState")
    try:
        syncs += _last(last)
    except ShapeError as error:
        bad.add(last, error)
    return History(
        entries=tuple(sync.entry(way, origin) for sync in syncs),
        oldest=first[1] if first and first[0] > 0 else None,
    )


def _number(part: object) -> int:
    number = table(part).get("id")
    if not isinstance(number, int):
        raise ShapeError("has no id")
    return number


def _past(part: object, note: str, ended: datetime) -> _Sync:
    """Return one entry of the history."""
    started = perhaps(dig(part, "deployStartedAt"))  # absent before Argo CD 1.9
    target = word(part, "source", "targetRevision")
    return _Sync(revisions=_revisions(part), target=target, started=started, ended=ended, note=note)


def _last(state: object) -> Iterator[_Sync]:
    """Yield the last operation, when it is a sync that the history does not hold.

    The history has no failed one, none that is under way, and none of a part of the resources.
    """
    sync = dig(state, "operation", "sync")
    phase = word(state, "phase")
    done = phase == "Succeeded" and not dig(sync, "resources")
    if not isinstance(sync, Mapping) or dig(sync, "dryRun") is True or done:
        return
    result = dig(state, "syncResult")
    notes = {"Succeeded": "part of the resources synced", "Running": "in progress", "Terminating": "being stopped"}
    yield _Sync(
        revisions=_revisions(result) or _revisions(sync),
        target=word(result, "source", "targetRevision"),
        started=moment(dig(state, "startedAt")),
        ended=perhaps(dig(state, "finishedAt")),
        note=notes.get(phase) or word(state, "message") or phase,
        failed=phase in _FAILED,
    )


def _revisions(part: object) -> tuple[str, ...]:
    several = dig(part, "revisions")
    if isinstance(several, list) and several:
        return tuple(word({"it": one}, "it") for one in several)
    one = word(part, "revision")
    return (one,) if one else ()
