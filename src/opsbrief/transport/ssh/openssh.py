"""SSH by the OpenSSH program: one connection, each command a process of its own.

The first command connects, and leaves a master behind with a control socket of our own, which the others go through
and which is ended with the ``with`` block. It never asks anybody anything and never believes a host that it does not
know, whatever the configuration says.
"""

import os
import re
import shlex
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import decode
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.dial import Dial
from opsbrief.transport.process import Finished
from opsbrief.transport.ssh import known, words
from opsbrief.transport.ssh.route import Access, Hop, environment, options, route

_RUN = "exec sh -s"
_IDLE = 10  # seconds after which a master ends that nobody ended
_FAILED = 255  # ssh's own; the frame of every command makes it another one
_LONGEST = 60  # characters of a folder for the socket; the path of a socket ends at 104, and ssh adds 17

#: Beside what a person configured. On the command line the first word counts, so the configuration cannot undo it.
_STRICT = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "NoHostAuthenticationForLocalhost=no", "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "PermitLocalCommand=no",
    "RemoteCommand=none", "RequestTTY=no", "Tunnel=no", "LogLevel=ERROR",
)  # fmt: skip


@contextmanager
def line(access: Access, host: str, deadline: Deadline) -> "Iterator[OpenSsh]":
    """Find the way to a host; the first command goes it, each hop's key checked. See ``ssh.connect``."""
    hops = route(access, host, deadline)
    short = len(tempfile.gettempdir()) <= _LONGEST
    with tempfile.TemporaryDirectory(prefix="opsbrief-", dir=None if short else "/tmp") as room:  # noqa: S108 - 0700
        master = Path(room) / "s"
        argv = ["ssh", *_options(access, hops, deadline), *options(access), "-T", "-o", "ControlMaster=auto"]
        argv += ["-o", f"ControlPath={_value(str(master))}", "-o", f"ControlPersist={_IDLE}", "--", host, _RUN]
        try:
            yield OpenSsh(hops, master, argv)
        finally:
            _end(master, host)


def _end(master: Path, host: str) -> None:
    """End the master behind a socket, and with it what goes through the jump hosts; the time may be over by then.

    Whom the socket names as its owner is the ssh that began to listen, which is gone: the master is its child.
    """
    if master.exists():
        with suppress(SourceError):  # it ends by itself, when it was idle for a while
            argv = ["ssh", "-F", os.devnull, "-o", f"ControlPath={_value(str(master))}", "-O", "exit", "--", host]
            process.run(argv, Deadline(2), cap=1 << 16, env=environment())


def _options(access: Access, hops: Sequence[Hop], deadline: Deadline) -> list[str]:
    said = [f"ConnectTimeout={max(1, int(deadline.remaining(words.CONNECT)))}"]
    if access.known_hosts:
        path = str(Path(access.known_hosts).expanduser())
        said += [f"UserKnownHostsFile={_value(path)}", "GlobalKnownHostsFile=/dev/null"]
    if access.key:
        said.append("IdentitiesOnly=yes")
    if not access.agent:
        said.append("IdentityAgent=none")
    if len(hops) > 1:  # what stands here undoes a ProxyJump of the configuration
        said.append(f"ProxyCommand={_through(access, hops[:-1], deadline)}")
    key = ["-i", str(Path(access.key).expanduser())] if access.key else []
    return [*key, *(part for one in (*_STRICT, *said) for part in ("-o", one))]


def _through(access: Access, way: Sequence[Hop], deadline: Deadline) -> str:
    """Return the command that connects through the hops: ProxyJump would pass none of our options to them."""
    last = way[-1]
    part = Access(config=access.config, user=last.user, port=last.port)
    argv = ["ssh", *_options(access, way, deadline), *options(part), "-W", "[%h]:%p", "--", last.host]
    # The outer ssh expands what it finds in here: %h and %p are for it, every other % is for the one inside.
    return shlex.join(one if one == "[%h]:%p" else one.replace("%", "%%") for one in argv)


def _value(path: str) -> str:
    """Return a path as the value of an option: in quotes, without tokens."""
    return f'"{path.replace("%", "%%")}"'


def failure(hops: Sequence[Hop], said: str) -> SourceError:
    """Return the error that the words of ssh stand for; of several hops, it is about the one they name."""
    rows = [row.strip() for row in said.splitlines() if row.strip() and not row.startswith("**")]
    text = "\n".join(rows).lower()
    hop = next((one for one in hops if any(name.lower() in text for name in one.names[:1])), hops[-1])
    if len(hops) > 1 and hop is hops[-1]:
        hop = next((one for one in hops[:-1] if one.host_name in text and hops[-1].host_name not in text), hop)
    if "revoked" in text:
        return words.untrusted(hop, known.Known.REVOKED)
    if "has changed" in text:
        return words.untrusted(hop, known.Known.CHANGED)
    if "key is known for" in text or "verification failed" in text:
        return words.untrusted(hop, known.Known.NO)
    if "permission denied (" in text:
        return words.refused(hop)
    return words.translate(hop, " ".join(rows))


class OpenSsh:
    """A connection by the OpenSSH program, until the ``with`` block of ``line`` ends."""

    def __init__(self, hops: Sequence[Hop], master: Path, argv: Sequence[str]) -> None:
        """Take the hops, the control socket that will be, and what connects."""
        self._hops = hops
        self._master = master
        self._first = argv
        self._forwards = 0
        self._through = [
            # Without the master it would connect anew, and with no configuration: a proxy that fails forbids it.
            "ssh", "-F", os.devnull, "-o", "ControlMaster=no", "-o", f"ControlPath={_value(str(master))}",
            "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-T",
        ]  # fmt: skip
        self._then = [*self._through, "--", hops[-1].host, _RUN]

    @property
    def connecting(self) -> float:
        """See Line."""
        return 0.0 if self._master.exists() else words.CONNECT * len(self._hops)

    def execute(self, stdin: bytes, deadline: Deadline, cap: int) -> Finished:
        """See Line."""
        connected = self._master.exists()
        argv = self._then if connected else self._first
        # What goes through the jump hosts belongs to the master, and is in the group of the first ssh.
        done = process.run(argv, deadline, stdin=stdin, cap=cap, env=environment(), spare=not connected)
        if done.status != _FAILED:
            return done
        said = decode(done.stderr)
        if "mux_client" in said and "refused" in said:
            raise words.translate(self._hops[-1], "session open refused by peer")
        if connected:
            raise SourceError(GapKind.UNREACHABLE, f"the connection to {self._hops[-1].where} broke", "")
        if len(self._hops) > 1:  # where a master is to stay, the words of the jump hosts are thrown away: ask once more
            alone = ["ssh", "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ControlPersist=no"]
            again = process.run([*alone, *self._first[1:]], deadline, cap=1 << 16, env=environment())
            said = decode(again.stderr) if again.status == _FAILED else said
        raise failure(self._hops, said)

    @contextmanager
    def forward(self, place: tuple[str, int], deadline: Deadline) -> Iterator[Dial]:
        """See Line. The master listens on a socket beside its own, in a folder that is ours alone."""
        if not self._master.exists():
            self.execute(b"exit 0\n", deadline, 1 << 16)  # connects; whether a shell is allowed there is no matter
        self._forwards += 1
        path = self._master.with_name(f"f{self._forwards}")
        listen = str(path).replace("%", "%%").replace("\\", "\\\\").replace(":", "\\:")
        argv = [*self._through, "-O", "forward", "-L", f"{listen}:{_place(place)}", "--", self._hops[-1].host]
        done = process.run(argv, deadline, cap=1 << 16, env=environment())
        if done.status:
            raise failure(self._hops, decode(done.stderr))

        held: list[socket.socket] = []

        def dial() -> socket.socket:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(deadline.remaining(words.CONNECT))
            try:
                sock.connect(str(path))
            except OSError:
                sock.close()
                raise
            held.append(sock)
            return sock

        try:
            yield dial
        except SourceError as error:
            if error.kind is not GapKind.UNREACHABLE:
                raise
            raise self._shut(place, deadline) or error from None
        finally:
            path.unlink(missing_ok=True)
            for sock in held:
                with suppress(OSError):  # it is closed already
                    sock.shutdown(socket.SHUT_RDWR)

    def _shut(self, place: tuple[str, int], deadline: Deadline) -> SourceError | None:
        """Return why a place lets nobody connect, None when it does: the master keeps to itself what it was told."""
        alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ControlPersist=no", "-o", "LogLevel=INFO"]
        argv = ["ssh", *alone, "-W", _place(place), *self._first[1:-1]]
        done = process.run(argv, deadline, cap=1 << 16, env=environment())
        said = re.search(r"open failed: ([^\r\n]*)", decode(done.stderr))
        if done.status != _FAILED or not said:
            return None
        reason = said[1].removeprefix("connect failed: ").removesuffix(": open failed")
        return words.shut(self._hops[-1], place, reason, forbidden="prohibited" in reason)


def _place(place: tuple[str, int]) -> str:
    return f"[{place[0].strip('[]')}]:{place[1]}"
