"""Git as it may be run on a repository one does not trust.

A repository's own configuration can name programs (fsmonitor, textconv, external diff, signature
check, hooks) and a partial clone can fetch behind one's back. The switches below turn each of these
off; refs are resolved to ids before anything else sees them, so that none can be read as an option.
"""

import os
import pwd
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import TimeKind, utc
from opsbrief.text import line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

_ID = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\n?\Z")
# What git check-ref-format refuses, and with it every revision expression (":/text", "a..b", "x@{1}", "x~3").
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/$|\.lock$|^@$")

_SAFE = tuple(
    part
    for setting in (
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.pager=cat",
        "core.attributesFile=/dev/null",
        "core.alternateRefsCommand=",
        "core.commitGraph=true",
        "core.quotePath=false",
        "diff.external=",
        "diff.orderFile=/dev/null",
        "diff.noprefix=false",
        "diff.mnemonicPrefix=false",
        "log.showSignature=false",
        "log.showRoot=true",
        "log.follow=false",
        "log.mailmap=false",
        "gpg.program=false",
        "protocol.allow=never",
        "safe.bareRepository=all",  # the user named this path; the switches here are the protection
    )
    for part in ("-c", setting)
)
#: For every command that prints a diff.
DIFF = (
    "--no-textconv",
    "--no-ext-diff",
    "--no-color",
    "--no-relative",
    "--submodule=short",
    "--ignore-submodules=none",
    "--find-renames",
    "-l400",
    "--diff-algorithm=myers",
)
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT")


def environment(ceiling: str) -> dict[str, str]:
    """Return the environment git runs in: ours without any GIT_* of the caller, nothing that asks or fetches."""
    return {key: os.environ[key] for key in _KEPT if key in os.environ} | {
        "LC_ALL": "C",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_CEILING_DIRECTORIES": ceiling,  # never a repository further up than the path that was configured
    }


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag that leads to a commit."""

    name: str
    commit: str
    at: datetime
    annotated: bool  # then ``at`` is when it was tagged, else when the commit was made
    subject: str

    @property
    def time_kind(self) -> TimeKind:
        """Which instant ``at`` is."""
        return TimeKind.TAG_TIME if self.annotated else TimeKind.COMMIT_TIME


@dataclass(slots=True)
class Repository:
    """A repository that was found, may be read, and is asked with hardened commands only."""

    path: Path
    deadline: Deadline
    objects: str = ""  # absolute path of the object store
    common: Path = field(default_factory=Path)  # what all its work trees share: refs, config, shallow
    shallow: frozenset[str] = frozenset()  # commits whose parents were cut off
    object_format: str = "sha1"
    graph: str = ""  # git directory of our own cache that has a commit-graph; empty: ask the repository itself
    _trust: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str, deadline: Deadline, allow_owner: str = "") -> "Repository":
        """Find the repository at ``path`` (a work tree or a bare one), or raise SourceError with the reason."""
        try:
            # Not Path.resolve: before Python 3.13 it raises RuntimeError for a loop of links.
            real = Path(os.path.realpath(Path(path).expanduser(), strict=True))
        except OSError as error:
            raise SourceError(GapKind.UNAVAILABLE, f"cannot open {path}: {error.strerror}", "check its path") from error
        repository = cls(real, deadline, _trust=_trusted(real, allow_owner) if allow_owner else ())
        asked = ("--path-format=absolute", "--git-common-dir", "--git-path", "objects", "--show-object-format")
        done = repository.refs("rev-parse", *asked, "--is-shallow-repository")
        if done.status:
            raise _refusal(path, done.stderr)
        common, objects, form, shallow = done.stdout.decode("utf-8", "surrogateescape").splitlines()[:4]
        repository.common, repository.objects, repository.object_format = Path(common), objects, form
        if shallow == "true":
            try:
                cut = (repository.common / "shallow").read_text("ascii", "replace")
            except OSError as error:
                raise SourceError(GapKind.UNAUTHORIZED, f"cannot read {path}/shallow: {error.strerror}") from error
            repository.shallow = frozenset(cut.split())
        return repository

    def _argv(self, graph: str, args: tuple[str, ...]) -> list[str]:
        where = ("--git-dir", graph) if graph else ("-C", str(self.path))
        return ["git", "--no-pager", "--no-optional-locks", *where, *_SAFE, *self._trust, *args]

    def refs(self, *args: str) -> process.Finished:
        """Run a command about refs or configuration, which only the repository itself has."""
        return process.run(self._argv("", args), self.deadline, env=self._env())

    def run(self, *args: str, stdin: bytes = b"") -> process.Finished:
        """Run a command about commits, given by id, to its end; its exit status is the caller's to judge."""
        return process.run(self._argv(self.graph, args), self.deadline, env=self._env(), stdin=stdin)

    @contextmanager
    def stream(self, *args: str, stdin: bytes = b"") -> Iterator[process.Running]:
        """Start a command about commits and give its output as it comes; leaving the block ends it."""
        argv = self._argv(self.graph, args)
        with process.start(argv, self.deadline, env=self._env(), stdin=stdin) as running:
            yield running

    def _env(self) -> dict[str, str]:
        return environment(str(self.path.parent))

    def resolve(self, ref: str) -> str | None:
        """Return the id of the commit that ``ref`` (a branch, tag or id) names; None when there is none."""
        if not ref or _NO_REF.search(ref):
            return None
        done = self.refs("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return done.stdout.decode().strip() if done.status == 0 and _ID.match(done.stdout) else None

    def head(self) -> str:
        """Return the branch HEAD is on; when it is on none, the remote's default branch, else "HEAD"."""
        for ref in ("HEAD", "refs/remotes/origin/HEAD"):
            done = self.refs("symbolic-ref", "--quiet", ref)
            name = done.stdout.decode("utf-8", "replace").strip()
            if done.status == 0 and self.resolve(name):
                return name.removeprefix("refs/heads/").removeprefix("refs/remotes/")
        return "HEAD"

    def tags(self) -> list[Tag]:
        """Return all tags that lead to commits, oldest first."""
        fields = ("refname:strip=2", "objecttype", "objectname", "*objecttype", "*objectname", "creatordate:unix")
        form = "%00".join(f"%({name})" for name in (*fields, "contents:subject")) + "%00"
        done = self.refs("for-each-ref", f"--format={form}", "refs/tags")
        if done.status:
            raise SourceError(GapKind.BAD_ANSWER, f"the tags cannot be read: {line(done.stderr)}", "try git fsck")
        cells = done.stdout.split(b"\0")[:-1]
        rows = [cells[index : index + 7] for index in range(0, len(cells) - 6, 7)]
        return sorted(filter(None, map(_tag, rows)), key=lambda tag: tag.at)

    def fetched_at(self) -> datetime | None:
        """Return when it last heard from a remote; None when it has none (then it is the original itself)."""
        if self.refs("config", "--get-regexp", r"^remote\..*\.url$").status:
            return None
        logs = self.common / "logs" / "refs" / "remotes"
        heard = [self.common / "FETCH_HEAD", self.common / "packed-refs", *logs.glob("*/*")]
        times = []
        for path in heard:
            with suppress(OSError):  # not there, or replaced this very moment
                times.append(path.stat().st_mtime)
        return utc(max(times)) if times else None


def _tag(row: Sequence[bytes]) -> Tag | None:
    name, kind, own, target_kind, target, when, subject = row
    annotated = kind == b"tag"
    if b"commit" not in (kind, target_kind) or not when.strip():
        return None
    return Tag(
        name=line(name.lstrip(b"\n")),
        commit=(target if annotated else own).decode(),
        at=utc(int(when)),
        annotated=annotated,
        subject=line(subject),
    )


def _trusted(path: Path, owner: str) -> tuple[str, ...]:
    """Return the switch that lets git read a repository of ``owner``, once it is seen to be theirs."""
    try:
        uid = int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise SourceError(
            GapKind.REJECTED, f"allow_owner: there is no user {owner!r} here", "give a name or uid"
        ) from None
    allowed = {uid, os.geteuid()}
    for place in (path, path / ".git"):
        if place.exists() and (found := place.stat().st_uid) not in allowed:
            raise SourceError(
                GapKind.UNAUTHORIZED,
                f"{place} belongs to uid {found}, not to {owner}",
                "check allow_owner of this source",
            )
    return ("-c", f"safe.directory={path}", "-c", f"safe.directory={path / '.git'}")


def _refusal(path: str, stderr: bytes) -> SourceError:
    said = line(stderr)
    if "dubious ownership" in said:
        return SourceError(
            GapKind.UNAUTHORIZED,
            f"git refuses to read {path}: it belongs to another user",
            "if that user is trusted, set allow_owner: NAME for this source",
        )
    if "not a git repository" in said:
        return SourceError(GapKind.UNAVAILABLE, f"{path} is no Git repository", "give a work tree or a bare repository")
    return SourceError(GapKind.REJECTED, f"git cannot read {path}: {said.removeprefix('fatal: ')}")
