"""Syncs of Argo CD applications. Written after Argo CD's API description (assets/swagger.json) and its source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Role
from opsbrief.model.window import Deploy, Window
from opsbrief.readers.deploys import argocd, entry
from opsbrief.readers.deploys.entry import Bad, Entry, Told
from opsbrief.source import Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.http import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoCD(Web):
    """Syncs of Argo CD applications: history, failed ones, the one under way."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "deploys"})

    applications: tuple[str, ...] = field(metadata={"help": "names of applications: [shop, shop-worker]"})
    project: str = field(
        default="", metadata={"help": "their project; then one that does not exist is told from no right"}
    )
    namespace: str = field(default="", metadata={"help": "where the applications live, when not beside Argo CD itself"})
    time: Literal["start", "end"] = field(
        default="start", metadata={"help": "which instant of a sync counts where both are known"}
    )

    repository: Literal["application", "configuration"] = field(
        default="configuration",
        metadata={
            "help": "what it holds; a commit, tag or chart of a configuration names no release of the application"
        },
    )

    @property
    def role(self) -> Role:
        """Syncs are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the syncs in [since, until], failed ones marked as such."""
        with self.client(deadline) as http:
            told = list(self._told(http, since))
        found = any(isinstance(one, Entry) and since <= one.at <= until for one in told)
        # That older ones are forgotten matters to who finds none.
        kept = (one for one in told if not (found and isinstance(one, Gap) and one.kind is GapKind.TRUNCATED))
        yield from entry.as_deploys(kept, since, until)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change for every sync in the window and the time before it."""
        whole = window.whole
        with self.client(deadline) as http:
            yield from entry.as_changes(self._told(http, whole.start), whole.start, whole.end)

    def _told(self, http: "Client", since: datetime) -> Iterator[Told]:
        bad = Bad(self.name, "sync")
        for name in self.applications:
            try:
                yield from self._application(http, name, since, bad)
            except SourceError as error:
                if error.kind in {GapKind.UNREACHABLE, GapKind.TIMEOUT} or len(self.applications) == 1:
                    raise
                yield self._gap(f"application {name}", error.kind, error.message, error.hint)
        yield from bad.gaps()

    def _application(self, http: "Client", name: str, since: datetime, bad: Bad) -> Iterator[Told]:
        path = f"/api/v1/applications/{quote(name, safe='')}"
        params = [("project", self.project)] if self.project else []
        params += [("appNamespace", self.namespace)] if self.namespace else []
        answer = http.get(path, params, allow=(403, 404))
        if answer.status == 404:
            detail = f"there is no application {name}, or this login may not see it: HTTP 404 says either"
            raise SourceError(GapKind.REJECTED, detail, "check applications, project and namespace")
        if answer.status == 403:
            raise SourceError(
                GapKind.UNAUTHORIZED,
                f"HTTP 403: {answer.excerpt()}",
                f"the token lacks the right to get applications, or there is none called {name}: Argo CD says the same",
            )
        origin = entry.origin(self.name, f"GET {path}", answer)
        document = answer.json()
        way = argocd.Way(name=name, late=self.time == "end", names=self.repository == "application")
        found = argocd.history(way, document, origin, bad)
        if found is None:
            raise SourceError(
                GapKind.BAD_ANSWER, f"answered no application: {line(repr(document), 120)}", "check the url"
            )
        yield from entry.with_rollbacks(found.entries)
        if found.oldest and found.oldest > since:
            detail = f"Argo CD keeps none from before {found.oldest:%Y-%m-%d %H:%M:%S} UTC"
            hint = "raise revisionHistoryLimit of the application"
            yield self._gap(f"older syncs of {name}", GapKind.TRUNCATED, detail, hint)

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)
