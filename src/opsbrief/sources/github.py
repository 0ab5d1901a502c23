"""Deployments of a GitHub repository: each with its statuses, since one that was created need not have succeeded.

Written after GitHub's OpenAPI description; github.com and GitHub Enterprise (``url: https://HOST/api/v3``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Role
from opsbrief.model.window import Deploy, Window
from opsbrief.readers.deploys import entry, forge, github
from opsbrief.readers.deploys.entry import Bad, Entry, Told
from opsbrief.readers.deploys.github import Deployment
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

_PAGES = 20
_WAITED = timedelta(days=30)  # how long a deployment may have waited for an approval before it began
_RUNS = timedelta(days=1)  # how long one may take, in case that its statuses do not touch it
_KNOWN = 10  # older deployments that are asked as well, so that what they deployed is known when it comes back
_REPOSITORY = re.compile(r"(?!\.+/)[\w.-]+/(?!\.+\Z)[\w.-]+", re.ASCII)
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub(Web):
    """Deployments of a GitHub repository and what became of them."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "deploys"})

    url: str = field(
        default="https://api.github.com",
        metadata={"help": "base URL; GitHub Enterprise: https://HOST/api/v3", "url": True},
    )
    repository: str = field(metadata={"help": "OWNER/NAME"})
    environments: tuple[str, ...] = field(metadata={"help": "those that count, with * and ?: [production]"})
    time: Literal["start", "end"] = field(
        default="start", metadata={"help": "which instant of a deploy counts where both are known"}
    )
    most: int = field(default=100, metadata={"help": "deployments whose statuses are asked for, the newest ones"})

    @property
    def role(self) -> Role:
        """Deploys are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the deploys in [since, until], failed ones marked as such."""
        with self.client(deadline) as http:
            yield from entry.as_deploys(self._told(http, since, until, deadline), since, until)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change for every deploy in the window and the time before it."""
        whole = window.whole
        with self.client(deadline) as http:
            told = self._told(http, whole.start, whole.end, deadline)
            yield from entry.as_changes(told, whole.start, whole.end)

    def _told(self, http: "Client", since: datetime, until: datetime, deadline: Deadline) -> Iterator[Told]:
        if not _REPOSITORY.fullmatch(self.repository):
            raise SourceError(GapKind.REJECTED, f"{self.name}: repository is not OWNER/NAME", "write octocat/hello")
        bad = Bad(self.name, "deployment")
        listed: list[Deployment] = []
        yield from self._list(http, since, bad, listed)
        begin = since - _RUNS
        asked = [one for one in listed if one.created <= until and max(one.created, one.updated) >= begin]
        older = [one for one in listed if max(one.created, one.updated) < begin]
        again = {one.sha for one in asked} & {one.sha for one in older}  # perhaps rolled back to; a request each
        known = older[:_KNOWN] if again else []
        yield from self._cut(asked)
        found: list[Entry] = []
        tasks = asked[: max(1, self.most)] + known
        broken: SourceError | None = None
        silent = 0
        try:
            for one, result in side_by_side(lambda one: self._asked(http, one, bad), tasks, deadline):
                if isinstance(result, SourceError):
                    broken = broken or result
                elif result[1]:
                    found.append(result[1])
                elif not result[0] and since <= one.created <= until:
                    silent += 1
        except SourceError as error:  # out of time: what was read is worth keeping
            broken = error
        yield from entry.with_rollbacks(found)
        yield from bad.gaps()
        if silent:
            yield self._silent(silent)
        if broken:
            raise broken

    def _list(self, http: "Client", since: datetime, bad: Bad, listed: list[Deployment]) -> Iterator[Gap]:
        """Fill ``listed``, newest first, with what may have been deployed since; yield what is missing."""
        seen: set[int] = set()
        pages = forge.Pages(lambda page: self._page(http, page), _PAGES)
        for answer in pages:
            fresh = []
            for part in entry.rows(answer.json(), "deployments"):
                try:
                    one = github.deployment(part)
                except entry.ShapeError as error:
                    bad.add(part, error)
                    continue
                if one.id not in seen:  # deployments that were made meanwhile push others to the next page
                    seen.add(one.id)
                    fresh.append(one)
            listed += [one for one in fresh if forge.fits(one.environment, self.environments)]
            if fresh and all(one.created < since - _WAITED for one in fresh):
                return
        if pages.more:
            yield self._gap("older deployments", GapKind.TRUNCATED, f"only the newest {len(seen):,} were listed")
        elif not listed:
            hint = "check the names in environments"
            where = ", ".join(self.environments)
            yield self._gap("everything", GapKind.UNAVAILABLE, f"nothing was ever deployed to {where}", hint)

    def _page(self, http: "Client", page: int) -> "Answer":
        params = [("per_page", str(forge.PAGE)), ("page", str(page))]
        if environment := forge.only(self.environments):
            params.append(("environment", environment))
        return self._get(http, f"/repos/{self.repository}/deployments", params)

    def _asked(self, http: "Client", one: Deployment, bad: Bad) -> tuple[int, Entry | None]:
        """Return how many statuses a deployment has and the deploy that they make of it."""
        path = f"/repos/{self.repository}/deployments/{one.id}/statuses"
        answer = self._get(http, path, [("per_page", str(forge.PAGE))])
        told = []
        for part in entry.rows(answer.json(), "statuses"):
            try:
                told.append(github.status(part))
            except entry.ShapeError as error:
                bad.add(part, error)
        origin = entry.origin(self.name, f"GET {path}", answer)
        return len(told), github.entry(one, told, origin, late=self.time == "end")

    def _get(self, http: "Client", path: str, params: list[tuple[str, str]]) -> "Answer":
        answer = http.get(path, params, headers=_HEADERS, allow=(403, 404, 429))
        return forge.accepted(answer, f"repository {self.repository}")

    def _cut(self, asked: list[Deployment]) -> Iterator[Gap]:
        rest = asked[max(1, self.most) :]
        if rest:
            detail = f"{len(rest)} made at or before {rest[0].created:%Y-%m-%d %H:%M:%S} UTC were not asked"
            yield self._gap("older deployments", GapKind.TRUNCATED, detail, "raise most, or name fewer environments")

    def _silent(self, count: int) -> Gap:
        detail = f"{count} deployment{'s' * (count > 1)} without any status: created, but nobody said whether deployed"
        hint = "let the pipeline post a status (success, failure) to each deployment"
        return self._gap("deployments without a status", GapKind.UNAVAILABLE, detail, hint)

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)
