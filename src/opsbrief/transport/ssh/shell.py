"""What is run on the other side, and how: never a terminal, never a prompt, always under a limit."""

import io
import re
import shlex
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import decode, line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.dial import Dial
from opsbrief.transport.process import Finished
from opsbrief.transport.ssh.route import valid

SECONDS = 10.0  # a command may take, when nobody says otherwise
CAP = 4 << 20  # bytes of output that are kept
FILES = 64 << 20  # bytes of files, all together
_SLACK = 3.0  # seconds for the other side's own limit to end a command before ours does
_TIMED_OUT = 124

#: Scripts come by standard input, whatever the login shell is; the braces make ``sh`` read all of it first. Where
#: there is a ``timeout``, nothing is left running when we hang up. 255 is what ssh itself says when it fails.
_FRAME = """{{
LC_ALL=C; LANG=C; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export LC_ALL LANG PATH
t=; timeout -k 1 1 true 2>/dev/null && t='timeout -k 1 {seconds:g}'
$t {command}
s=$?; [ $s -eq 255 ] && s=254; exit $s
}} </dev/null
"""


class Line(Protocol):
    """A connection to one host, by whichever way."""

    @property
    def connecting(self) -> float:
        """Seconds that the next command may need to connect first."""

    def execute(self, stdin: bytes, deadline: Deadline, cap: int) -> Finished:
        """Run ``sh -s`` with this input; keep at most ``cap`` bytes of output, drain both streams.

        Raises SourceError when the deadline or the connection ends first.
        """

    def forward(self, place: tuple[str, int], deadline: Deadline) -> AbstractContextManager[Dial]:
        """See ``Shell.forward``."""


class Shell:
    """Runs commands on one host, one after the other, over one connection."""

    def __init__(self, host: str, over: Line, deadline: Deadline) -> None:
        """Take an open connection."""
        self.host = host
        self._line = over
        self._deadline = deadline

    def run(self, argv: Sequence[str], *, cap: int = CAP, seconds: float = SECONDS) -> Finished:
        """Run one program; every argument reaches it as it is, whatever is in it.

        126 and 127 are the statuses of a program that may not be run or is not there, 128 + N of one that signal
        N ended. Raises SourceError, TIMEOUT also when the program took longer than ``seconds``.
        """
        return self._run(shlex.join(argv), argv[0], cap, seconds)

    def script(self, text: str, *, cap: int = CAP, seconds: float = SECONDS, keep: bool = False) -> Finished:
        """Run a script of POSIX ``sh``: several commands for one round trip. Ends and raises as ``run`` does.

        With ``keep``, what it printed before its time was over is returned, with the status 124.
        """
        return self._run(shlex.join(["sh", "-c", text]), "the script", cap, seconds, keep=keep)

    def files(
        self, patterns: Sequence[str], *, cap: int = FILES, since: float | None = None, seconds: float = 30.0
    ) -> Iterator[tuple[str, float, bytes]]:
        """Yield path, time of last change (epoch) and content of each file that the patterns of paths match.

        ``*``, ``?`` and ``[...]`` mean what they mean to a shell, a leading ``~/`` is the home there; nothing else
        is special. With ``since`` (epoch), only files changed since then, by GNU find and tar. Files that cannot be
        read are left out and said as a warning. Raises SourceError: UNAVAILABLE when nothing matches, TRUNCATED
        after ``cap`` bytes, and as ``run`` does.
        """
        named = line(", ".join(patterns), 200)
        tar = 'tar -chPf - -- "$@"'
        if since is not None:
            tar = f'find -L "$@" -prune -type f -newermt @{since:.0f} -print0 | tar -chPf - --null -T -'
        # Of a pattern that nothing matches, the pattern is left.
        each = 'do [ -f "$f" ] && set -- "$@" "$f"; done; [ $# -eq 0 ] && exit 66; '
        done = self.script(
            f"set --; for f in {' '.join(_glob(one) for one in patterns)}; {each}{tar}", cap=cap, seconds=seconds
        )
        if done.status == 66:
            raise SourceError(GapKind.UNAVAILABLE, f"no file matches {named} on {line(self.host)}", "check the path")
        said = line(done.stderr, 300)
        if done.status in (126, 127):
            raise SourceError(GapKind.UNAVAILABLE, f"files of {line(self.host)} cannot be packed: {said}", "needs tar")
        found = 0
        try:
            with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r:") as packed:
                for one in packed:
                    content = packed.extractfile(one)
                    data = content.read() if content else b""
                    if one.islnk() or len(data) == one.size:  # two names of one file are packed once
                        found += 1
                        yield one.name, float(one.mtime), data
        except (tarfile.TarError, EOFError, OSError):  # cut off in the middle, or nothing at all
            pass
        if done.truncated:
            raise SourceError(
                GapKind.TRUNCATED, f"{named} on {line(self.host)} are more than {cap >> 20} MiB", "name fewer files"
            )
        if said and "denied" in said and not found:
            raise SourceError(GapKind.UNAUTHORIZED, f"{named} on {line(self.host)} may not be read: {said}", "")
        if said:
            self._deadline.warn(f"{line(self.host)}: {said}")

    def forward(self, host: str, port: int) -> AbstractContextManager[Dial]:
        """Return, for a ``with`` block, what connects to a host and port as this host sees them: 127.0.0.1 is itself.

        No port is opened on this machine, so nobody else on it gets there. When the block ends, so do the
        connections. It raises SourceError: REJECTED for a host that cannot be, UNREACHABLE when the place lets
        nobody connect, UNAVAILABLE when this host forwards nothing; OpenSSH says so only after the connection
        was used in vain, then in place of the SourceError that this gave.
        """
        valid(host)
        return self._line.forward((host, port), self._deadline)

    def _run(self, command: str, what: str, cap: int, seconds: float, *, keep: bool = False) -> Finished:
        seconds = min(seconds, max(0.1, self._deadline.remaining()))
        script = _FRAME.format(seconds=seconds, command=command).encode()
        own = Deadline(min(seconds + _SLACK + self._line.connecting, self._deadline.remaining()))
        try:
            with self._deadline.breakable(own.expire):
                done = self._line.execute(script, own, cap)
        except SourceError as error:
            if error.kind is not GapKind.TIMEOUT:
                raise
            self._deadline.remaining()
            raise self._late(what, seconds) from None
        finally:
            self._deadline.spend(requests=1, size=own.bytes)
        if done.status == _TIMED_OUT and not keep:
            raise self._late(what, seconds)
        return done

    def _late(self, what: str, seconds: float) -> SourceError:
        return SourceError(
            GapKind.TIMEOUT, f"{line(what, 80)} did not end within {seconds:.3g} s on {line(self.host)}", ""
        )


_MAGIC = re.compile(r"[*?]|\[[^\]/]*\]")


def _glob(pattern: str) -> str:
    """Return a pattern of paths for ``sh``: the signs of a pattern as they are, everything else quoted."""
    head, rest = ("~/", pattern[2:]) if pattern.startswith("~/") else ("", pattern)
    if not head and not rest.startswith("/"):
        rest = f"./{rest}"  # a path may begin with a dash
    parts, at = [], 0
    for match in _MAGIC.finditer(rest):
        parts += [shlex.quote(rest[at : match.start()]) if match.start() > at else "", _sign(match.group())]
        at = match.end()
    return head + "".join(parts) + (shlex.quote(rest[at:]) if at < len(rest) else "")


def _sign(sign: str) -> str:
    """Return ``*``, ``?`` and simple sets as they are, ``[*]`` as a star that is meant, the rest quoted."""
    if meant := re.fullmatch(r"\[([\[*?])\]", sign):
        return shlex.quote(meant[1])
    return sign if re.fullmatch(r"[*?]|\[[\w!^.,-]+\]", sign) else shlex.quote(sign)


def said(finished: Finished) -> str:
    """Return the first line that a command wrote to standard error, safe to show."""
    return line(next((row for row in decode(finished.stderr).splitlines() if row.strip()), ""), 300)
