"""GitHub's deployments and their statuses as deploys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from opsbrief.model.evidence import Origin
from opsbrief.readers.deploys.entry import Entry, ShapeError, moment, named, table, word
from opsbrief.readers.deploys.forge import Course

_FAILED = frozenset({"failure", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A request to deploy; whether that happened is told by its statuses alone."""

    id: int
    created: datetime
    updated: datetime
    ref: str
    sha: str
    environment: str
    task: str
    note: str


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a deployment at one instant."""

    state: str  # error, failure, inactive, in_progress, queued, pending, success
    at: datetime
    note: str


def deployment(part: object) -> Deployment:
    """Return one deployment of a list. Raises ShapeError."""
    found = table(part)
    number = found.get("id")
    if not isinstance(number, int):
        raise ShapeError("has no id")
    created = moment(found.get("created_at"))
    return Deployment(
        id=number,
        created=created,
        updated=moment(found.get("updated_at") or found.get("created_at")),
        ref=word(found, "ref"),
        sha=word(found, "sha"),
        environment=word(found, "environment"),
        task=word(found, "task"),
        note=word(found, "description", cap=400),
    )


def status(part: object) -> Status:
    """Return one status of a list. Raises ShapeError."""
    found = table(part)
    return Status(word(found, "state"), moment(found.get("created_at")), word(found, "description", cap=400))


def entry(one: Deployment, told: Sequence[Status], origin: Origin, *, late: bool) -> Entry | None:
    """Return a deployment with its statuses as a deploy; None when nothing was deployed yet.

    A deployment that succeeded becomes inactive when the next one succeeds, so the newest status says little.
    """
    states = sorted(told, key=lambda status: status.at)
    succeeded = next((status for status in states if status.state == "success"), None)
    failed = next((status for status in reversed(states) if status.state in _FAILED), None)
    end = succeeded or failed
    begun = [status for status in states if status.state == "in_progress" and (end is None or status.at <= end.at)]
    if not end and not begun:
        return None
    course = Course(begun[-1].at if begun else None, end.at if end else None, one.created)
    at, kind = course.instant(late=late)
    said = one.note or (end or begun[-1]).note or one.ref
    notes = [
        one.environment,
        said,
        *(["in progress"] if not end else []),
        *([one.task] if one.task != "deploy" else []),
    ]
    return Entry(
        at=at,
        ref=named(one.ref, one.sha),
        note=": ".join(filter(None, [notes[0], ", ".join(filter(None, notes[1:]))])),
        kind=kind,
        origin=origin,
        succeeded=bool(succeeded) or not failed,
        rollback="rollback" in one.task.casefold(),
        place=one.environment,
        same=one.sha or one.ref,
    )
