"""Run a program without a shell, under a deadline, with its output capped."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.deadline import Deadline

_CHUNK = 1 << 16
_STDERR_CAP = 1 << 16


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended: its exit status and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


class Running:
    """A program under way; iterate over its standard output in chunks of bytes."""

    def __init__(self, popen: subprocess.Popen[bytes], deadline: Deadline) -> None:
        """Take over a started program; standard error is drained beside, so neither pipe can block."""
        self._popen = popen
        self._deadline = deadline
        self._stderr = bytearray()
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()

    def _read_stderr(self) -> None:
        with _pipe(self._popen.stderr) as pipe:  # closed here: whoever else closed it would race with the reading
            while chunk := pipe.read(_CHUNK):
                if len(self._stderr) < _STDERR_CAP:
                    self._stderr += chunk[: _STDERR_CAP - len(self._stderr)]

    def __iter__(self) -> Iterator[bytes]:
        """Yield output as it comes. Raises SourceError(TIMEOUT) when the deadline ends first."""
        pipe = _pipe(self._popen.stdout)
        while chunk := os.read(pipe.fileno(), _CHUNK):
            self._deadline.remaining()
            self._deadline.spend(size=len(chunk))
            yield chunk
        self._deadline.remaining()

    def wait(self) -> int:
        """Return the exit status (negative: the signal that ended it)."""
        try:
            status = self._popen.wait(self._deadline.remaining())
        except subprocess.TimeoutExpired:
            self._deadline.remaining(0)
            raise SourceError(GapKind.TIMEOUT, "the program did not end in time") from None
        self._drain.join(1)
        return status

    @property
    def stderr(self) -> bytes:
        """What it said on standard error so far (the first 64 KiB)."""
        return bytes(self._stderr)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:  # not reachable: every pipe is asked for in start()
        raise SourceError(GapKind.BUG, "a pipe is missing")
    return pipe


def _kill(popen: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)


@contextmanager
def start(
    argv: Sequence[str],
    deadline: Deadline,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    spare: bool = False,
) -> Iterator[Running]:
    """Start ``argv`` in a process group of its own; whatever happens, the group is gone afterwards.

    With ``spare``, what a program left running when it ended goes on: sendmail delivers in the background.

    Raises SourceError(UNAVAILABLE) when the program is missing or may not be run.
    """
    deadline.remaining()
    try:
        popen = subprocess.Popen(  # noqa: S603 - argv list, no shell: the caller names the program
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceError(
            GapKind.UNAVAILABLE, f"cannot run {argv[0]}: {error.strerror}", f"install {argv[0]} or put it on the PATH"
        ) from error
    deadline.spend(requests=1)
    try:
        with deadline.breakable(lambda: _kill(popen)):
            running = Running(popen, deadline)
            if stdin:
                feeder = threading.Thread(target=_feed, args=(_pipe(popen.stdin), stdin), daemon=True)
                feeder.start()
            yield running
    finally:
        if not (spare and popen.poll() is not None):
            _kill(popen)
        for pipe in (popen.stdout, popen.stdin):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        popen.wait()


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with suppress(OSError):  # a program may end without reading all it was given
        pipe.write(data)
        pipe.close()


def run(
    argv: Sequence[str],
    deadline: Deadline,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    cap: int = 64 << 20,
    spare: bool = False,
) -> Finished:
    """Run to the end and return what it printed, at most ``cap`` bytes (then ``truncated``).

    Raises SourceError: UNAVAILABLE when it cannot be started, TIMEOUT when the deadline ends first.
    """
    out = bytearray()
    with start(argv, deadline, env=env, cwd=cwd, stdin=stdin, spare=spare) as running:
        for chunk in running:
            out += chunk[: cap - len(out)]
            if len(out) >= cap:
                return Finished(-signal.SIGKILL, bytes(out), running.stderr, truncated=True)
        status = running.wait()
        return Finished(status, bytes(out), running.stderr)
