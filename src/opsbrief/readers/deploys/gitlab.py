"""GitLab's deployments as deploys."""

from dataclasses import dataclass
from datetime import datetime

from opsbrief.model.evidence import Origin
from opsbrief.readers.deploys.entry import Entry, ShapeError, dig, moment, named, perhaps, table, word
from opsbrief.readers.deploys.forge import Course

_STATES = frozenset({"success", "failed", "canceled", "running"})  # of these something was at least begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment with the job that did it, where a job did."""

    id: int
    status: str  # created, running, success, failed, canceled, skipped, blocked
    course: Course
    updated: datetime
    ref: str
    tag: bool | None  # whether ref is a tag; None: not said
    sha: str
    environment: str
    job: str

    def entry(self, origin: Origin, *, late: bool) -> Entry | None:
        """Return it as a deploy; None when it has not begun: a manual job that waits, one that was skipped."""
        course = self.course
        if self.status not in _STATES or (self.status == "canceled" and not course.started):
            return None
        if self.status == "running":
            course = Course(course.started, None, course.created)
        at, kind = course.instant(late=late)
        state = {"running": "in progress", "canceled": "canceled"}.get(self.status, "")
        job = f"job {self.job}" if self.job else ""
        what = ", ".join(filter(None, [self.ref, job, state]))
        return Entry(
            at=at,
            ref=self.ref if self.tag else named("" if self.tag is False and self.sha else self.ref, self.sha),
            note=f"{self.environment}: {what}",
            kind=kind,
            origin=origin,
            succeeded=self.status in {"success", "running"},
            place=self.environment,
            same=self.sha or self.ref,
        )


def deployment(part: object) -> Deployment:
    """Return one deployment of a list. Raises ShapeError."""
    found = table(part)
    number = found.get("id")
    if not isinstance(number, int):
        raise ShapeError("has no id")
    created = moment(found.get("created_at"))
    ended = perhaps(found.get("finished_at")) or perhaps(dig(found, "deployable", "finished_at"))
    tag = dig(found, "deployable", "tag")
    return Deployment(
        id=number,
        status=word(found, "status"),
        course=Course(perhaps(dig(found, "deployable", "started_at")), ended, created),
        updated=moment(found.get("updated_at") or found.get("created_at")),
        ref=word(found, "ref"),
        tag=tag if isinstance(tag, bool) else None,
        sha=word(found, "sha"),
        environment=word(found, "environment", "name"),
        job=word(found, "deployable", "name"),
    )
