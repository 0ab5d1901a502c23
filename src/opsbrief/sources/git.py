"""Git: commits and tags of the window, the release diff, and deploys recorded as tags.

Role ``infrastructure``: was anything committed to the ground the service stands on? Role
``application``: what lies between the deployed version and the one before it? The repository is only
read, never fetched: what it cannot have heard of is said as a gap.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from math import ceil
from typing import ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Edit, FileStat, Gap, Item, Origin, Release
from opsbrief.model.window import Deploy, TimeKind, Window, utc
from opsbrief.readers.history import graph, record, release
from opsbrief.readers.history.command import Repository, Tag
from opsbrief.readers.history.walk import DeepError, Found, walk
from opsbrief.source import Source
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

_LATE = timedelta(minutes=15)  # a clone that heard from its remote so short before the window's end is not stale
_READ = 40  # commits of a branch whose lines are looked at for thresholds, the newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What files under a path belong to."""

    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Git(Source):
    """One repository on this machine, as a work tree or bare."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "deploys"})

    path: str = field(metadata={"help": "work tree or bare repository", "path": True})
    role: Literal["infrastructure", "application"] = field(metadata={"help": "what its commits change"})
    branches: tuple[str, ...] = field(
        default=(), metadata={"help": "branches to read; default: the one HEAD is on", "single": True}
    )
    first_parent: bool = field(default=False, metadata={"help": "only the branch itself, not inside what it merged"})
    only: tuple[str, ...] = field(
        default=(), metadata={"help": "globs; other files and their commits do not count", "single": True}
    )
    paths: Mapping[str, Place] = field(
        default_factory=dict, metadata={"help": 'whose a file is: {"manifests/shop/**": {services: [shop]}}'}
    )
    deploy_tags: str = field(default="v*", metadata={"help": "glob of the tags that are deploys"})
    tag_format: str = field(default="", metadata={"help": "tag of a deploy, as release-{ref}; default: REF, then vREF"})
    allow_owner: str = field(default="", metadata={"help": "user whose repository may be read although it is not ours"})
    limit: int = field(default=500, metadata={"help": "commits that are kept, the newest first"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield the release (role application), then the commits and tags of the window; see Source."""
        repository = self._open(deadline)
        yield from self._stale(repository, window)
        tags = repository.tags()
        tips, gaps = self._tips(repository)
        yield from gaps
        if self.role == "application":
            yield from self._release(repository, window, tags)
        seen: set[str] = set()
        for branch, tip in tips.items():
            yield from self._branch(repository, window, branch, tip, seen)
        yield from self._tags(window, tags)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the tags that are deploys; a lightweight tag has only the time of its commit."""
        for tag in self._open(deadline).tags():
            if since <= tag.at <= until and fnmatchcase(tag.name, self.deploy_tags):
                yield self._deploy(tag)

    def instant(self, kind: str, ref: str, deadline: Deadline) -> Deploy | None:
        """Return the tag or commit that ``ref`` names, with its time; None when there is none here."""
        repository = self._open(deadline)
        if kind == "tag":
            known = {tag.name: tag for tag in repository.tags()}
            return next((self._deploy(known[name]) for name in self._names(ref) if name in known), None)
        name = repository.resolve(ref) if kind == "commit" else None
        if name is None:
            return None
        commit = next(release.details(repository, [name], ("--",)))
        return Deploy(commit.committed_at, line(ref), commit.subject, self.name, TimeKind.COMMIT_TIME)

    def _open(self, deadline: Deadline) -> Repository:
        return Repository.open(self.path, deadline, self.allow_owner)

    def _deploy(self, tag: Tag) -> Deploy:
        return Deploy(tag.at, tag.name, tag.subject, self.name, tag.time_kind)

    def _names(self, ref: str) -> list[str]:
        """Return the names a deploy's ref may have as a tag, most likely first."""
        formats = (self.tag_format,) if self.tag_format else ("{ref}", "v{ref}")
        return [form.replace("{ref}", ref) for form in formats]

    def _origin(self, query: str) -> Origin:
        return Origin(source=self.name, query=query, url=self.path, fetched_at=_now())

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)

    def _stale(self, repository: Repository, window: Window) -> Iterator[Gap]:
        """Say it when the clone cannot know the window's last commits: "none" must not come from that."""
        heard = repository.fetched_at()
        if heard and heard < min(window.end, _now()) - _LATE:
            yield self._gap(
                f"commits pushed after {heard:%Y-%m-%d %H:%M} UTC",
                GapKind.UNAVAILABLE,
                f"{self.path} last heard from its remote then, before the end of the window",
                "git fetch it first",
            )

    def _tips(self, repository: Repository) -> tuple[dict[str, str], list[Gap]]:
        """Return the id of each configured branch, and a Gap for each that does not resolve."""
        tips, gaps = {}, []
        for branch in self.branches or (repository.head(),):
            if tip := (repository.resolve(f"refs/heads/{branch}") or repository.resolve(branch)):
                tips[line(branch)] = tip
            else:
                gaps.append(
                    self._gap(f"branch {line(branch)}", GapKind.REJECTED, "there is no such branch", "git branch -a")
                )
        if not tips:
            asked = ", ".join(map(line, self.branches)) or "HEAD"
            raise SourceError(
                GapKind.UNAVAILABLE, f"{self.path} has no commits on {asked}", "git branch -a lists what it has"
            )
        return tips, gaps

    def _branch(
        self, repository: Repository, window: Window, branch: str, tip: str, seen: set[str]
    ) -> Iterator[Item | Gap]:
        """Yield the commits of one branch in the window, newest first, and the last one before it."""
        found = self._walk(repository, window, tip)
        if repository.shallow and found.ended and not found.before:
            yield self._gap(
                f"commits before {utc(found.oldest):%Y-%m-%d %H:%M} UTC",
                GapKind.TRUNCATED,
                f"{self.path} is a shallow clone and its history ends there",
                "git fetch --unshallow",
            )
        fresh = [name for name in found.ids if name not in seen]
        if len(fresh) > self.limit:
            yield self._gap(
                f"{len(fresh) - self.limit:,} of {len(fresh):,} commits on {branch}",
                GapKind.TRUNCATED,
                f"the newest {self.limit:,} are kept",
                "raise limit, or narrow the window or only",
            )
        last = [name for name in self._last(repository, found) if name not in seen]
        seen.update(fresh, last)
        read = 0  # commits whose lines were looked at
        for commit in release.details(repository, [*fresh[: self.limit], *last], self._pathspec()):
            if commit.count > record.FILES:
                yield self._gap(
                    f"{commit.count - record.FILES:,} files of commit {commit.id[:12]}",
                    GapKind.TRUNCATED,
                    f"it touches {commit.count:,} files; {record.FILES:,} are kept",
                )
            if commit.files or not self.only:
                edits: tuple[Edit, ...] = ()
                paths = release.monitoring(repository, commit) if self.role == "infrastructure" else ()
                if paths and commit.id not in last and read < _READ:
                    edits = release.edits(repository, commit, paths)
                    read += 1
                yield self._change(
                    repository,
                    commit,
                    branch=branch,
                    first_parent=commit.id in found.chain or commit.id in last,
                    in_window=commit.id not in last,
                    landed=commit.id not in found.unlanded,
                    edits=edits,
                )

    def _walk(self, repository: Repository, window: Window, tip: str) -> Found:
        """Find the window's commits; deep in a big history through a commit-graph of our own."""
        start, end = ceil(window.whole.start.timestamp()), ceil(window.end.timestamp())
        ready = graph.reuse(repository, tip)
        try:
            return walk(repository, tip, start, end, first_parent=self.first_parent, deep=ready)
        except DeepError:
            graph.attach(repository, tip)
            return walk(repository, tip, start, end, first_parent=self.first_parent, deep=True)

    def _last(self, repository: Repository, found: Found) -> list[str]:
        """Return the last commit before the window, or with ``only`` the last that touched those paths."""
        if not self.only or not found.before:
            return [found.before] if found.before else []
        # From the branch's state at the start on, not from its tip: far fewer trees to compare.
        done = repository.run("rev-list", "-1", found.before, *self._pathspec())
        return done.stdout.decode().split()

    def _pathspec(self) -> tuple[str, ...]:
        return ("--", *(f":(top,glob){glob}" for glob in self.only))

    def _change(
        self,
        repository: Repository,
        commit: record.Commit,
        *,
        first_parent: bool,
        branch: str = "",
        in_window: bool = True,
        landed: bool = True,
        edits: tuple[Edit, ...] = (),
    ) -> Change:
        # Where a shallow clone ends, git shows the whole tree as added: not what this commit did.
        files = () if commit.id in repository.shallow else commit.files
        places = [place for glob, place in self.paths.items() if _touches(glob, files)]
        return Change(
            kind="commit",
            at=commit.committed_at,
            ref=commit.id,
            summary=commit.subject,
            role=self.role,
            files=files,
            edits=edits,
            merge=len(commit.parents) > 1,
            first_parent=first_parent,
            in_window=in_window,
            services=tuple(dict.fromkeys(name for place in places for name in place.services)),
            hosts=tuple(dict.fromkeys(name for place in places for name in place.hosts)),
            branch=branch,
            author=commit.author,
            authored_at=commit.authored_at,
            landed=landed,
            origin=self._origin(f"git show --stat {commit.id}"),
        )

    def _tags(self, window: Window, tags: Sequence[Tag]) -> Iterator[Change | Gap]:
        inside = [tag for tag in tags if window.whole.start <= tag.at < window.end]
        if len(inside) > self.limit:
            yield self._gap(
                f"{len(inside) - self.limit:,} tags",
                GapKind.TRUNCATED,
                f"the newest {self.limit:,} are kept",
                "raise limit",
            )
        for tag in inside[-self.limit :]:
            yield Change(
                kind="tag",
                at=tag.at,
                ref=tag.name,
                summary=tag.subject,
                role=self.role,
                time_kind=tag.time_kind,
                origin=self._origin(f"git show refs/tags/{tag.name}"),
            )

    def _release(self, repository: Repository, window: Window, tags: Sequence[Tag]) -> Iterator[Release | Gap]:
        """Yield what was deployed: from the version before to the one the window starts with."""

        def resolve(ref: str) -> release.Version | None:
            for name in [f"refs/tags/{tag}" for tag in self._names(ref)] + [ref] if ref else ():
                if found := repository.resolve(name):
                    return release.Version(line(name.removeprefix("refs/tags/")), found)
            return None

        known = [tag for tag in tags if fnmatchcase(tag.name, self.deploy_tags)]
        before = window.previous.ref if window.previous else ""
        pair = release.choose(known, window.start, window.anchor.ref, before, resolve)
        for ref in pair.unknown:
            yield self._gap(
                f"the deployed version {line(ref)}",
                GapKind.UNAVAILABLE,
                f"it is no tag, branch or commit of {self.path}",
                "set tag_format, or fetch the repository's tags",
            )
        if not pair.base or not pair.head:
            yield self._gap(
                "the release",
                GapKind.UNAVAILABLE,
                f"which two versions to compare is not known: no two tags match {self.deploy_tags!r} before the window",
                "set deploy_tags, or tag what is deployed",
            )
            return
        yield from self._between(repository, pair.base, pair.head, pair.notes)

    def _between(
        self, repository: Repository, base: release.Version, head: release.Version, notes: Sequence[str]
    ) -> Iterator[Release | Gap]:
        difference = release.between(repository, base.id, head.id, self.limit, self._pathspec())
        kept = difference.commits[: self.limit]
        cut = len(difference.commits) > self.limit or difference.count > record.FILES
        if cut:
            yield self._gap(
                "the rest of the release",
                GapKind.TRUNCATED,
                f"kept: the newest {len(kept):,} commits, {len(difference.files):,} of {difference.count:,} files",
                "raise limit",
            )
        if difference.files and not kept:
            notes = (*notes, "head lies before base: a rollback")
        yield Release(
            base=base.name,
            head=head.name,
            commits=tuple(
                self._change(repository, commit, first_parent=commit.id in difference.chain) for commit in kept
            ),
            files=difference.files,
            additions=difference.additions,
            complete=difference.complete and not cut,
            origin=self._origin("; ".join((f"git log {base.id}..{head.id}", f"git diff {base.id} {head.id}", *notes))),
        )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _touches(glob: str, files: Sequence[FileStat]) -> bool:
    """Return whether one of the files matches: ``*`` within a folder, ``**`` across, a bare folder means all in it."""
    pattern = _pattern(glob)
    return any(pattern.fullmatch(file.path) for file in files)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", glob.strip("/"))
    return re.compile("".join(parts.get(token) or re.escape(token) for token in tokens) + "(?:/.*)?", re.DOTALL)
