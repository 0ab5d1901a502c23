"""A commit-graph of our own beside a big history, so that a window deep in it costs milliseconds.

It lives in an empty bare repository in the user's cache folder that borrows the objects of the real
one (``objects/info/alternates``): the user's repository stays untouched, and none of its
configuration is read on the way. It holds ids and dates of commits, no content.
"""

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from opsbrief.errors import SourceError
from opsbrief.readers.history.command import Repository, environment
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

_STALE = 2000  # commits since the graph was written from which on it is written again
_SHARE = 0.5  # of the time left that making it may take


def attach(repository: Repository, tip: str, folder: Path | None = None) -> bool:
    """Make ``repository`` read history through a commit-graph that covers ``tip``; False when that cannot be.

    Nothing depends on it but speed: no cache folder, no time, a shallow clone, and the repository's
    own commit-graph (then there is nothing to gain) all mean False.
    """
    if not worthwhile(repository):
        return False
    place = _place(repository, folder)
    with suppress(OSError, SourceError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(place.parent)
        if not place.exists():
            _make(repository, tip, place)
        elif place.stat().st_uid == os.geteuid():
            _refresh(repository, tip, place)
        else:
            return False
        if place.exists():
            repository.graph = str(place)
    return bool(repository.graph)


def reuse(repository: Repository, tip: str, folder: Path | None = None) -> bool:
    """Attach the graph only if there already is one."""
    return worthwhile(repository) and _place(repository, folder).exists() and attach(repository, tip, folder)


def worthwhile(repository: Repository) -> bool:
    """Return whether git could use a graph here and has none yet."""
    info = Path(repository.objects) / "info"
    own = (info / "commit-graph").exists() or (info / "commit-graphs").exists()
    return not own and not repository.shallow and "\n" not in repository.objects


def _place(repository: Repository, folder: Path | None) -> Path:
    key = hashlib.sha256(os.fsencode(repository.objects)).hexdigest()[:32]
    return (folder or user_cache_path("opsbrief") / "git") / key


def _make(repository: Repository, tip: str, place: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix="new-", dir=place.parent))
    try:
        init = ("init", "--quiet", "--bare", "--template=", f"--object-format={repository.object_format}", str(work))
        process.run(["git", *init], repository.deadline, env=environment(str(work.parent)))
        (work / "objects" / "info").mkdir(exist_ok=True)
        (work / "objects" / "info" / "alternates").write_text(f"{repository.objects}\n", "utf-8", "surrogateescape")
        if _write(repository, tip, work):
            with suppress(OSError):  # another run was faster: its graph is as good
                work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refresh(repository: Repository, tip: str, place: Path) -> None:
    known = (place / "tip").read_text("ascii").strip()
    if known == tip:
        return
    before = repository.graph
    repository.graph = str(place)
    counted = repository.run("rev-list", "--count", f"--max-count={_STALE}", tip, f"^{known}")
    repository.graph = before
    if counted.status or int(counted.stdout) >= _STALE:  # far behind, or the history was rewritten
        _write(repository, tip, place)


def _write(repository: Repository, tip: str, place: Path) -> bool:
    """Write the graph for everything behind ``tip``; False when it did not work in the time there is."""
    deadline = Deadline(repository.deadline.remaining() * _SHARE)
    argv = ["git", "--git-dir", str(place), "commit-graph", "write", "--stdin-commits", "--no-progress"]
    done = process.run(argv, deadline, env=environment(str(place.parent)), stdin=f"{tip}\n".encode())
    repository.deadline.spend(requests=1)
    if done.status:
        return False
    (place / "tip").write_text(tip, "ascii")
    return True


def _sweep(folder: Path) -> None:
    """Remove what a killed run left behind more than an hour ago."""
    for stray in folder.glob("new-*"):
        with suppress(OSError):
            if stray.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(stray, ignore_errors=True)
