"""Deployments of a GitLab project. Written after GitLab's documentation and its source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Role
from opsbrief.model.window import Deploy, Window
from opsbrief.readers.deploys import entry, forge, gitlab
from opsbrief.readers.deploys.entry import Bad, Entry, Told
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_BACK = timedelta(days=14)  # older deployments that are read as well: what they deployed may come back


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLab(Web):
    """Deployments of a GitLab project."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "deploys"})

    url: str = field(
        default="https://gitlab.com", metadata={"help": "base URL of GitLab, without /api/v4", "url": True}
    )
    project: str = field(metadata={"help": "number or path: GROUP/NAME"})
    environments: tuple[str, ...] = field(metadata={"help": "those that count, with * and ?: [production]"})
    time: Literal["start", "end"] = field(
        default="start", metadata={"help": "which instant of a deploy counts where both are known"}
    )
    most: int = field(default=2000, metadata={"help": "deployments read for one stretch of time, the newest ones"})

    @property
    def role(self) -> Role:
        """Deploys are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the deploys in [since, until], failed ones marked as such."""
        with self.client(deadline) as http:
            yield from entry.as_deploys(self._told(http, since), since, until)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change for every deploy in the window and the time before it."""
        whole = window.whole
        with self.client(deadline) as http:
            yield from entry.as_changes(self._told(http, whole.start), whole.start, whole.end)

    def _told(self, http: "Client", since: datetime) -> Iterator[Told]:
        """Yield what was touched since: a manual job may deploy long after its deployment was created."""
        bad = Bad(self.name, "deployment")
        found: dict[int, Entry | None] = {}
        params = [
            ("order_by", "updated_at"),
            ("sort", "desc"),
            ("updated_after", f"{(since - _BACK).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        ]
        oldest, broken = None, None
        pages = forge.Pages(lambda page: self._page(http, page, params), self._pages())
        try:
            for answer in pages:
                origin = entry.origin(self.name, f"GET {self._path()} " + " ".join(map("=".join, params)), answer)
                for part in entry.rows(answer.json(), "deployments"):
                    try:
                        one = gitlab.deployment(part)
                        told = one.entry(origin, late=self.time == "end")
                    except entry.ShapeError as error:
                        bad.add(part, error)
                        continue
                    oldest = one.updated
                    # The first answer about one is the newest: what is touched meanwhile comes again.
                    found.setdefault(one.id, told if forge.fits(one.environment, self.environments) else None)
        except SourceError as error:  # what came before is worth keeping
            if not found:
                raise
            broken = error
        yield from entry.with_rollbacks(one for one in found.values() if one)
        yield from bad.gaps()
        if broken:
            raise broken
        if pages.more and oldest and oldest > since:
            detail = f"only the newest {len(found):,} were read, back to {oldest:%Y-%m-%d %H:%M:%S} UTC"
            yield self._gap("older deployments", GapKind.TRUNCATED, detail, "raise most, or name one environment")
        if not found and not entry.rows(self._page(http, 1, []).json(), "deployments"):
            where = ", ".join(self.environments)
            detail = f"nothing was ever deployed to {where}"
            yield self._gap("everything", GapKind.UNAVAILABLE, detail, "check the names in environments")

    def _pages(self) -> int:
        return max(1, -(-self.most // forge.PAGE))

    def _page(self, http: "Client", page: int, params: list[tuple[str, str]]) -> "Answer":
        asked = [*params, ("per_page", str(forge.PAGE)), ("page", str(page))]
        if environment := forge.only(self.environments):
            asked.append(("environment", environment))
        answer = http.get(self._path(), asked, allow=(403, 404, 429))
        return forge.accepted(answer, f"project {self.project}")

    def _path(self) -> str:
        prefix = "" if self.url.rstrip("/").endswith("/api/v4") else "/api/v4"
        return f"{prefix}/projects/{quote(self.project, safe='')}/deployments"

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)
