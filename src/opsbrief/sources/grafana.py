"""Grafana's annotations: deploys that somebody drew into the graphs, and marks that go there.

Asked through ``/api/annotations``, which every Grafana since 4.6 serves; Grafana 13 calls it deprecated beside its
new ``/apis`` and goes on serving it. Written after Grafana's documentation and its source.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Role
from opsbrief.model.marking import TAG, Marking
from opsbrief.model.window import Deploy, Window
from opsbrief.readers.deploys import entry
from opsbrief.readers.deploys.entry import Bad, Told
from opsbrief.readers.deploys.grafana import Annotation, annotation, written
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.http import Client

_PATH = "/api/annotations"
_PAGES = 20  # requests at most for one stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana(Web):
    """Annotations of Grafana that mark deploys; marks can be written there too."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "events", "deploys"})

    deploy_tags: tuple[str, ...] = field(
        default=("deploy",), metadata={"help": "tags that an annotation carries, all of them, when it marks a deploy"}
    )
    deploy_ref: str = field(
        default="",
        metadata={
            "help": "regular expression that finds the version in an annotation; group 'ref' or the first",
            "regex": True,
        },
    )
    dashboard: str = field(default="", metadata={"help": "only annotations of the dashboard with this UID"})
    org: int = field(default=0, metadata={"help": "id of the organization, where the login has several"})
    time: Literal["start", "end"] = field(
        default="start", metadata={"help": "which end of an annotation that is a region is the deploy's time"}
    )
    page: int = field(default=1000, metadata={"help": "annotations asked for at once"})

    @property
    def role(self) -> Role:
        """Deploys are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the annotations with ``deploy_tags`` in [since, until]."""
        with self.client(deadline) as http:
            yield from entry.as_deploys(self._told(http, since, until), since, until)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change per deploy in the window and the time before it, an Event for a note or a fix."""
        whole = window.whole
        with self.client(deadline) as http:
            yield from entry.as_changes(self._told(http, whole.start, whole.end), whole.start, whole.end)
            yield from entry.as_changes(self._remarks(http, whole.start, whole.end), whole.start, whole.end)

    def mark(self, marking: Marking, deadline: Deadline) -> str:
        """Write an annotation; never asked again by itself, for it might be written twice."""
        body = written(marking, self.deploy_tags, self.dashboard)
        with self.client(deadline) as http:
            answer = http.post(_PATH, json_body=body, headers=self._org(), repeatable=False)
        number = entry.dig(answer.json(), "id")
        if not isinstance(number, int):
            raise SourceError(
                GapKind.BAD_ANSWER,
                f"does not say that it wrote the annotation: {answer.excerpt()}",
                "look into Grafana before writing it again",
            )
        return f"annotation {number} with the tags {' '.join(body['tags'])} in {entry.shown(self.url)}"

    def _told(self, http: "Client", since: datetime, until: datetime) -> Iterator[Told]:
        pattern = self._pattern()
        for found in self._annotations(http, since, until, self.deploy_tags):
            if isinstance(found, Gap):
                yield found
            elif not found[0].alert:
                yield found[0].entry(pattern, found[1], late=self.time == "end")

    def _remarks(self, http: "Client", since: datetime, until: datetime) -> Iterator[Told]:
        for found in self._annotations(http, since, until, (TAG,)):
            if isinstance(found, Gap):
                yield found
            elif remark := found[0].remark(self.scope.service, found[1]):
                yield remark

    def _annotations(
        self, http: "Client", since: datetime, until: datetime, tags: tuple[str, ...]
    ) -> Iterator[tuple[Annotation, Origin] | Gap]:
        """Yield what overlaps [since, until], the one that ends last first.

        There is no page number: the answer has those that end last, so the next question stops where the last one
        of this answer ended. Regions that reach over that instant come again and are known by their ids.
        """
        start, stop, limit = int(since.timestamp() * 1000), int(until.timestamp() * 1000) + 1, max(1, self.page)
        seen: set[int] = set()
        bad = Bad(self.name, "annotation")
        for _ in range(_PAGES):
            params = [("from", str(start)), ("to", str(stop)), *(("tags", tag) for tag in tags), ("limit", str(limit))]
            if self.dashboard:
                params.append(("dashboardUID", self.dashboard))
            answer = http.get(_PATH, params, headers=self._org())
            found = entry.rows(answer.json(), "annotations")
            query = f"GET {_PATH} " + " ".join(map("=".join, params))
            origin = entry.origin(self.name, query, answer)
            read = []
            for part in found:
                try:
                    read.append(annotation(part))
                except entry.ShapeError as error:
                    bad.add(part, error)
            # Asked again here: a tag key:value also matches by its key alone in some versions.
            fresh = [one for one in read if one.id not in seen]
            seen |= {one.id for one in fresh}
            yield from ((one, origin) for one in fresh if {*tags} <= {*one.tags})
            if len(found) < limit or not read:
                yield from bad.gaps()
                return
            ended = round(min(one.end for one in read).timestamp() * 1000)
            if ended >= stop:  # a page full of what ends in one millisecond, or of long regions
                limit *= 2
            stop = min(stop, ended)
        yield from bad.gaps()
        yield Gap(
            source=self.name,
            what="older annotations",
            kind=GapKind.TRUNCATED,
            detail=f"only the newest {len(seen):,} were read",
            hint="name more deploy_tags, or a dashboard",
        )

    def _org(self) -> dict[str, str]:
        return {"X-Grafana-Org-Id": str(self.org)} if self.org else {}

    def _pattern(self) -> re.Pattern[str] | None:
        try:
            return re.compile(self.deploy_ref) if self.deploy_ref else None
        except re.error as error:
            raise SourceError(GapKind.REJECTED, f"deploy_ref is no regular expression: {error}") from None
