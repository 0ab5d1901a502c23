"""Grafana's annotations as deploys."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsbrief.model.evidence import Event, Origin
from opsbrief.model.marking import Marking
from opsbrief.model.window import TimeKind
from opsbrief.readers.deploys.entry import Entry, ShapeError, dig, table
from opsbrief.readers.graphite import events
from opsbrief.readers.graphite.events import Marker
from opsbrief.text import line

_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>")  # an annotation's text may be HTML


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotation: an instant, or a region with a start and an end."""

    id: int
    start: datetime
    end: datetime
    text: str
    tags: tuple[str, ...]
    alert: bool  # written by an alert rule, not by somebody who deploys

    @property
    def region(self) -> bool:
        """Whether it has a length."""
        return self.end > self.start

    def entry(self, pattern: re.Pattern[str] | None, origin: Origin, *, late: bool) -> Entry:
        """Return it as a deploy; of a region the end if ``late``, else the start."""
        marker = self._marker()
        kind = TimeKind.EVENT_TIME
        if self.region:
            kind = TimeKind.DEPLOY_END if late else TimeKind.DEPLOY_START
        return Entry(
            at=self.end if late else self.start,
            ref=marker.ref(pattern),
            note=marker.what,
            kind=kind,
            origin=origin,
            succeeded=marker.succeeded,
            rollback=marker.rollback,
        )

    def remark(self, service: str, origin: Origin) -> Event | None:
        """Return the note or fix that opsbrief wrote as this annotation, if it is one about the service."""
        kind = events.remark(self._marker(), service)
        if not kind:
            return None
        return Event(at=self.start, host="", service="", state=kind, kind="marker", output=self.text, origin=origin)

    def _marker(self) -> Marker:
        return Marker(at=self.start, what=self.text, data="", tags=self.tags)


def annotation(part: object) -> Annotation:
    """Return one annotation of an answer. Raises ShapeError."""
    found = table(part)
    number, tags = found.get("id"), found.get("tags") or ()
    if not isinstance(number, int) or not isinstance(tags, Sequence):
        raise ShapeError("has no id or odd tags")
    start = _instant(found.get("time"))
    end = _instant(found["timeEnd"]) if found.get("timeEnd") else start  # 0 or absent before Grafana 6.4
    text = found.get("text")
    return Annotation(
        id=number,
        start=start,
        end=max(start, end),
        text=line(_MARKUP.sub(" ", text)) if isinstance(text, str) else "",
        tags=tuple(line(str(tag), 200) for tag in tags),
        alert=bool(dig(found, "alertId")),
    )


def written(marking: Marking, deploy_tags: Sequence[str], dashboard: str) -> Mapping[str, Any]:
    """Return the body of the POST that writes a mark as an annotation."""
    body = events.written(marking, deploy_tags)
    text = marking.text
    if marking.ref and marking.ref not in text:
        text = f"{marking.ref}: {text}"
    found = {"time": round(marking.at.timestamp() * 1000), "tags": body["tags"], "text": text}
    return {**found, "dashboardUID": dashboard} if dashboard else found


def _instant(said: object) -> datetime:
    if not isinstance(said, int | float) or isinstance(said, bool):
        raise ShapeError("has no time")
    try:
        return datetime.fromtimestamp(said / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise ShapeError("has an impossible time") from None
