"""One run at a time: an advisory lock on a file, which the kernel lets go when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsbrief.errors import LockedError, OpsbriefError
from opsbrief.text import line

_PAUSE = 0.2  # seconds between two tries


@contextmanager
def held(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock on ``path`` (made when it is not there), waiting for it at most ``wait`` seconds.

    Raises LockedError when another run holds it for longer, OpsbriefError when the file cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OpsbriefError(
            f"the lock {path} cannot be made: {error.strerror}",
            "set XDG_STATE_HOME to a folder that this user can write",
        ) from error
    try:
        _take(handle, path, wait)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)  # for whoever waits; the lock itself is the kernel's
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, wait: float) -> None:
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            left = end - time.monotonic()
            if left <= 0:
                pid = line(os.pread(handle, 20, 0))
                who = f" (process {pid})" if pid.isdigit() else ""
                raise LockedError(
                    f"another run{who} holds the lock {path}", "wait for it with --wait SECONDS, or let it finish"
                ) from None
            time.sleep(min(_PAUSE, left))
        else:
            return
