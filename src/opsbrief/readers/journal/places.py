"""Where journalctl runs: on this machine, or on another one over SSH."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.ssh.shell import Shell

CAP = 16 << 20  # bytes of one answer of journalctl over SSH


class Running(Protocol):
    """A journalctl under way."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield what it prints."""

    def wait(self) -> int:
        """Return its status."""

    @property
    def stderr(self) -> bytes:
        """What it complained about."""


class Here:
    """The machine that this runs on: output is read as it comes."""

    of = ""
    cut = False

    def __init__(self, deadline: Deadline) -> None:
        """Take the time there is."""
        self._deadline = deadline
        self.seconds = deadline.seconds

    def start(self, argv: list[str]) -> AbstractContextManager[Running]:
        """Start journalctl, for a ``with`` block that ends it."""
        return process.start(argv, self._deadline)

    def first(self, argv: list[str]) -> list[str]:
        """Return what prints at least the first entry."""
        return argv  # it is ended behind that

    def files(self, name: str) -> list[str]:
        """Return the options for a path. Raises SourceError when nothing is there."""
        path = Path(name).expanduser()
        if has_magic(name) and (found := sorted(glob(str(path), recursive=True))):  # noqa: PTH207 - an absolute pattern
            return [f"--file={one}" for one in found]
        try:
            if path.is_dir():
                return [f"--directory={path}"]
            if path.is_file():
                return [f"--file={path}"]
        except OSError as error:
            raise SourceError(
                GapKind.UNAVAILABLE, f"{line(name)} cannot be read: {error.strerror}", "check path"
            ) from None
        raise SourceError(
            GapKind.UNAVAILABLE, f"there is no journal at {line(name)}", "check path: a file, glob or folder"
        )


class There:
    """Another host: what journalctl prints there is fetched whole, up to a limit."""

    def __init__(self, shell: "Shell", deadline: Deadline) -> None:
        """Take an open shell."""
        self._shell, self._deadline = shell, deadline
        self.of = f" of {line(shell.host)}"
        self.seconds = deadline.seconds
        self.cut = False

    @contextmanager
    def start(self, argv: list[str]) -> Iterator[Running]:
        """Run journalctl there. Raises SourceError, see ``Shell.run``."""
        done = self._shell.run(argv, cap=CAP, seconds=self._deadline.remaining())
        self.cut = done.truncated
        yield _Done(done.stdout, done.stderr, 0 if done.truncated else done.status)

    def first(self, argv: list[str]) -> list[str]:
        """Let only the first entry over the line; journalctl itself counts from the end."""
        return ["sh", "-c", '"$@" | head -n 1', "sh", *argv]

    def files(self, name: str) -> list[str]:
        """Return the options for a path there, where a pattern is left to journalctl."""
        return [f"--file={name}" if has_magic(name) or name.endswith(".journal") else f"--directory={name}"]


Place = Here | There


@dataclass(frozen=True, slots=True)
class _Done:
    stdout: bytes
    stderr: bytes
    status: int

    def __iter__(self) -> Iterator[bytes]:
        yield self.stdout

    def wait(self) -> int:
        """Return its status."""
        return self.status
