"""SSH by the OpenSSH program: one connection (a control socket of our own), each command through it.

It never asks anybody anything and never believes a host it does not know, whatever the configuration says.
"""

import os
import shlex
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import decode
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.process import Finished, Running
from opsbrief.transport.ssh import known, words
from opsbrief.transport.ssh.route import Access, Hop, environment, options, route

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
    """Connect over every hop, each one's key checked; see ``ssh.connect``."""
    hops = route(access, host, deadline)
    short = len(tempfile.gettempdir()) <= _LONGEST
    with tempfile.TemporaryDirectory(prefix="opsbrief-", dir=None if short else "/tmp") as room:  # noqa: S108 - 0700
        socket = Path(room) / "s"
        argv = ["ssh", *_options(access, hops, deadline), *options(access), "-M", "-N", "-T"]
        argv += ["-o", f"ControlPath={_value(str(socket))}", "-o", "ControlPersist=no", "--", host]
        # Its own time is the whole deadline; only the wait for its socket is short.
        with process.start(argv, deadline, env=environment()) as master:
            _await(master, socket, hops, deadline)
            yield OpenSsh(hops[-1], str(socket))


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


def _await(master: Running, socket: Path, hops: Sequence[Hop], deadline: Deadline) -> None:
    """Wait until the master listens. Raises SourceError when it ends instead."""
    pause = 0.002
    while not socket.exists():
        if master.ended:
            master.wait()
            raise failure(hops, decode(master.stderr))
        deadline.remaining()
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)


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

    def __init__(self, hop: Hop, socket: str) -> None:
        """Take the control socket of a master that runs."""
        self._hop = hop
        self._argv = [
            # Without the master it would connect anew, and with no configuration: a proxy that fails forbids it.
            "ssh", "-F", os.devnull, "-o", "ControlMaster=no", "-o", f"ControlPath={_value(socket)}",
            "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-T",
            "--", hop.host, "exec sh -s",
        ]  # fmt: skip

    def execute(self, stdin: bytes, deadline: Deadline, cap: int) -> Finished:
        """See Line."""
        done = process.run(self._argv, deadline, stdin=stdin, cap=cap, env=environment())
        if done.status == _FAILED:
            said = decode(done.stderr)
            if "mux_client" in said and "refused" in said:
                raise words.translate(self._hop, "session open refused by peer")
            raise SourceError(GapKind.UNREACHABLE, f"the connection to {self._hop.where} broke", "")
        return done
