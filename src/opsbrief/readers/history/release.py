"""What lies between two deployed versions: which two, their commits, files and added lines."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Addition, Edit, FileStat
from opsbrief.readers.history import record
from opsbrief.readers.history.command import DIFF, Repository, Tag
from opsbrief.text import line
from opsbrief.transport.process import Running

_ADDED, _ADDED_EACH = 5000, 500  # added lines that are kept, in all and of one file
_FILES, _EDITS = 20, 200  # of one commit to the configuration of monitoring
_DETAILS = ("-z", "--raw", "--numstat", "--encoding=UTF-8", "--no-notes", "--diff-merges=first-parent", record.FORMAT)
_PATCH = ("-r", "-p", "-U0", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/")

#: Paths that are likely to hold the thresholds of a monitoring system.
MONITORING = re.compile(
    r"icinga|nagios|naemon|nrpe|monit|prometheus|alert|zabbix|check_?mk|sensu|grafana|collectd|threshold|hiera"
    r"|(?:^|/)(?:conf\.d|objects|checks|rules)/|(?:^|/)data/.*\.ya?ml$|rules?\.ya?ml$|\.(?:cfg|conf)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Version:
    """One deployed version: how it is called and the commit it is."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The version before and the deployed one, and how they were found where that needed a guess."""

    base: Version | None
    head: Version | None
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # refs a deploy log gave that are none here


@dataclass(frozen=True, slots=True)
class Difference:
    """What head has and base has not."""

    commits: tuple[record.Commit, ...]  # newest first
    chain: frozenset[str]  # ids of those on head's own line, not inside what it merged
    files: tuple[FileStat, ...]
    count: int  # files there really are
    additions: tuple[Addition, ...]
    complete: bool  # all additions are there


def details(repository: Repository, names: Sequence[str], pathspec: Sequence[str]) -> Iterator[record.Commit]:
    """Yield the commits of these ids, in this order, with their files under ``pathspec``; one process for all."""
    if not names:
        return
    argv = ("log", "--no-walk=unsorted", "--stdin", *_DETAILS, *DIFF, *pathspec)
    with repository.stream(*argv, stdin="".join(f"{name}\n" for name in names).encode()) as running:
        yield from record.commits(running)
        _check(running, "git log")


def monitoring(repository: Repository, commit: record.Commit) -> tuple[str, ...]:
    """Return the files of a commit that look like the configuration of monitoring; of a merge its commits have them."""
    if len(commit.parents) != 1 or commit.id in repository.shallow:
        return ()
    return tuple(stat.path for stat in commit.files if stat.status == "M" and MONITORING.search(stat.path))[:_FILES]


def edits(repository: Repository, commit: record.Commit, paths: Sequence[str]) -> tuple[Edit, ...]:
    """Return the lines of these files in which the commit changed a number: a threshold, perhaps."""
    pathspec = ("--", *(f":(top,literal){path}" for path in paths))
    with repository.stream("diff-tree", *_PATCH, *DIFF, commit.parents[0], commit.id, *pathspec) as running:
        return record.edits(running, most=_EDITS)


def choose(
    tags: Sequence[Tag], start: datetime, head: str, base: str, resolve: Callable[[str], Version | None]
) -> Pair:
    """Return the two versions: as the deploy logs name them, else by the deploy tags (oldest first)."""
    unknown = tuple(ref for ref in (head, base) if ref and not resolve(ref))
    notes = []
    new, old = resolve(head), resolve(base)
    if new is None and (before := [tag for tag in tags if tag.at <= start]):
        new = Version(before[-1].name, before[-1].commit)
        notes.append("head is the last deploy tag at or before the window's start")
    if old is None and new is not None:
        until = min((tag.at for tag in tags if tag.commit == new.id), default=start)
        if earlier := [tag for tag in tags if tag.at <= until and tag.commit != new.id]:
            old = Version(earlier[-1].name, earlier[-1].commit)
            notes.append("base is the deploy tag before it")
    return Pair(old, new, tuple(notes), unknown)


def between(repository: Repository, base: str, head: str, limit: int, pathspec: Sequence[str]) -> Difference:
    """Return what ``head`` has and ``base`` has not; at most ``limit`` commits and one to show there are more."""
    argv = ("log", f"--max-count={limit + 1}", *_DETAILS, *DIFF, head, f"^{base}", *pathspec)
    with repository.stream(*argv) as running:
        commits = tuple(record.commits(running))
        _check(running, "git log")
    with repository.stream("diff-tree", "-r", "-z", "--raw", "--numstat", *DIFF, base, head, *pathspec) as running:
        files, count = record.files(running)
        _check(running, "git diff-tree")
    with repository.stream("diff-tree", *_PATCH, *DIFF, base, head, *pathspec) as running:
        additions, whole = record.additions(running, most=_ADDED, each=_ADDED_EACH)
    return Difference(commits, _chain(commits, head), files, count, additions, whole)


def _chain(commits: Sequence[record.Commit], head: str) -> frozenset[str]:
    """Return the ids on the line of first parents from ``head``."""
    parents = {commit.id: commit.parents for commit in commits}
    chain = set()
    while head in parents:
        chain.add(head)
        head = parents[head][0] if parents[head] else ""
    return frozenset(chain)


def _check(running: Running, command: str) -> None:
    if running.wait():
        said = line(running.stderr).removeprefix("fatal: ")
        raise SourceError(
            GapKind.BAD_ANSWER, f"{command} failed: {said}", "an incomplete or damaged repository; try git fsck"
        )
