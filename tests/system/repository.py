"""Git repositories for tests, made with the real git at known times."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

T0 = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # the deploy of every test


def hours(count: float) -> datetime:
    """Return the time so many hours after the deploy (negative: before)."""
    return T0 + timedelta(hours=count)


@dataclass(frozen=True)
class Repo:
    path: Path

    @classmethod
    def new(cls, path: Path, *options: str) -> "Repo":
        subprocess.run(["git", "init", "-q", "-b", "main", *options, str(path)], check=True, env=environment())
        return cls(path)

    def git(self, *args: str, at: datetime = T0, stdin: bytes = b"", author: str = "Ada") -> str:
        """Run git here at a time; return what it printed."""
        done = subprocess.run(
            ["git", *args], check=True, cwd=self.path, env=environment(at, author), input=stdin, capture_output=True
        )
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, at: datetime, subject: str, files: dict[str, str] | None = None, author: str = "Ada") -> str:
        """Write files, commit them at a time, return the id."""
        for name, text in (files or {subject: subject}).items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject, at=at, author=author)
        return self.git("rev-parse", "HEAD")

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return every file with its size and time of change, to see that nothing was touched."""
        found = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - names are strings here
                found[f"{folder}/{name}"] = (status.st_size, status.st_mtime_ns)
        return found


def environment(at: datetime = T0, author: str = "Ada") -> dict[str, str]:
    """Return the environment of a git that knows nobody's configuration."""
    stamp = f"{int(at.timestamp())} +0000"
    people = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", author), ("EMAIL", "a@example.org"), ("DATE", stamp))
    }
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        **people,
    }


@dataclass(frozen=True)
class Import:
    """One commit of a history for ``git fast-import``: its date, its parents (numbers of earlier ones), its files."""

    at: int
    parents: Sequence[int] = ()
    files: Sequence[tuple[str, bytes]] = ()
    subject: str = ""


def fast_import(repo: Repo, commits: Sequence[Import], ref: str = "refs/heads/main") -> list[str]:
    """Make all commits in one go; return their ids in this order."""
    out = bytearray()
    for number, commit in enumerate(commits, 1):
        subject = (commit.subject or f"commit {number}").encode()
        out += b"commit %b\nmark :%d\n" % (ref.encode(), number)
        for role in (b"author", b"committer"):
            out += b"%b Ada <a@example.org> %d +0000\n" % (role, commit.at)
        out += b"data %d\n%b\n" % (len(subject), subject)
        for index, parent in enumerate(commit.parents):
            out += b"%b :%d\n" % (b"merge" if index else b"from", parent + 1)
        if not commit.parents and number > 1:
            out += b"deleteall\n"
        for name, data in commit.files:
            out += b"M 100644 inline %b\ndata %d\n%b\n" % (name.encode(), len(data), data)
    marks = repo.path / ".git-marks"
    repo.git("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=bytes(out))
    pairs = sorted((int(mark[1:]), name) for mark, name in map(str.split, marks.read_text().splitlines()))
    marks.unlink()
    return [name for _, name in pairs]
