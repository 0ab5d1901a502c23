"""SSH by paramiko: where there is no ssh program.

Its own client is not used: that one accepts what known_hosts revokes, and forgets TCP_NODELAY, which costs every
command 45 ms. Timeouts of paramiko are per read; the deadline here breaks the connection itself.
"""

import logging
import signal
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import paramiko

from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.dial import Dial
from opsbrief.transport.process import Finished
from opsbrief.transport.ssh import known, pump, words
from opsbrief.transport.ssh.route import Access, Hop, route

_CHUNK = 1 << 16
_STDERR = 1 << 16
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
# It writes tracebacks of what is told in one sentence here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_FAILURES = (paramiko.SSHException, OSError, EOFError, ValueError)


@contextmanager
def line(access: Access, host: str, deadline: Deadline) -> "Iterator[Library]":
    """Connect over every hop, each one's key checked; see ``ssh.connect``."""
    open_: list[paramiko.Transport] = []

    def hang_up() -> None:
        for transport in reversed(open_):
            transport.close()

    hops = route(access, host, deadline)
    try:
        with deadline.breakable(hang_up):
            for hop in hops:
                if hop.needs in ("ProxyCommand", "PKCS11Provider", "KnownHostsCommand", "IdentityAgent"):
                    said = f"the SSH configuration of {hop.where} has {hop.needs}, which paramiko does not do"
                    raise SourceError(GapKind.REJECTED, said, "set via: openssh")
                open_.append(_connect(hop, open_[-1] if open_ else None, deadline))
            yield Library(hops[-1], open_[-1])
    finally:
        hang_up()


def _connect(hop: Hop, through: paramiko.Transport | None, deadline: Deadline) -> paramiko.Transport:
    try:
        sock = _socket(hop, through, deadline)
        transport = paramiko.Transport(sock)
    except _FAILURES as error:
        raise _wrong(hop, error, deadline) from None
    ready = False
    try:
        # The caller breaks only what is connected already.
        with deadline.breakable(transport.close):
            _greet(transport, hop, deadline)
            _login(transport, hop, deadline)
        ready = True
    except _FAILURES as error:
        raise _wrong(hop, error, deadline) from None
    finally:
        if not ready:
            transport.close()
    return transport


def _greet(transport: paramiko.Transport, hop: Hop, deadline: Deadline) -> None:
    """Agree on keys, and believe the host only by known_hosts."""
    found = known.read(hop.known)
    _prefer(transport, known.types(found, hop.names))
    transport.banner_timeout = transport.handshake_timeout = deadline.remaining(words.CONNECT)
    transport.start_client(timeout=deadline.remaining(words.CONNECT))
    key = transport.get_remote_server_key()
    seen = known.verdict(found, hop.names, key.asbytes())
    if seen is not known.Known.YES:
        digest = b64encode(sha256(key.asbytes()).digest()).decode().rstrip("=")
        raise words.untrusted(hop, seen, f"{key.get_name()} SHA256:{digest}")


def _socket(hop: Hop, through: paramiko.Transport | None, deadline: Deadline) -> "socket.socket | paramiko.Channel":
    address, port = hop.address.strip("[]"), hop.port
    limit = deadline.remaining(words.CONNECT)
    if through is None:
        sock = socket.create_connection((address, port), timeout=limit)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    return through.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=limit)


def _prefer(transport: paramiko.Transport, types: list[str]) -> None:
    """Ask for a host key of a type that is known, as OpenSSH does: one of another type would look unknown."""
    wanted = [name for kind in types for name in (_RSA if kind == "ssh-rsa" else (kind,))]
    options = transport.get_security_options()
    there = list(options.key_types)
    options.key_types = [*(name for name in wanted if name in there), *(name for name in there if name not in wanted)]


def _login(transport: paramiko.Transport, hop: Hop, deadline: Deadline) -> None:
    tried = 0
    for key in _keys(hop):
        transport.auth_timeout = deadline.remaining(words.CONNECT)
        tried += 1
        try:
            transport.auth_publickey(hop.user, key)
        except paramiko.AuthenticationException:
            if not transport.is_active():  # it has hung up: too many keys
                raise words.translate(hop, "too many authentication failures") from None
            continue
        if transport.is_authenticated():
            return
    raise words.refused(hop, f" with {tried} keys" if tried > 1 else "")


def _keys(hop: Hop) -> Iterator[paramiko.PKey]:
    """Yield the keys of the agent, then those of the files; where a file was named, only that key of the agent."""
    if hop.agent:
        agent = paramiko.Agent()
        try:
            for key in agent.get_keys():
                # FIDO keys make paramiko's login break off (its issue 2299).
                if not key.get_name().startswith("sk-") and (not hop.only or any(_holds(f, key) for f in hop.keys)):
                    yield key
        finally:
            agent.close()
    for path in hop.keys:
        with suppress(*_FAILURES, TypeError, paramiko.pkey.UnknownKeyType):  # encrypted, or of a kind it cannot read
            yield paramiko.PKey.from_path(path)


def _holds(path: str, key: paramiko.PKey) -> bool:
    """Whether a file has this key, by the public half that also an encrypted file begins with, or the .pub beside."""
    wanted = key.asbytes()
    for name in (path, f"{path}.pub"):
        with suppress(OSError, ValueError):
            rows = Path(name).read_text("ascii").split("\n")
            body = rows[0].split()[1] if name.endswith(".pub") else "".join(row for row in rows if "-" not in row)
            if wanted in b64decode(body):
                return True
    return False


def _wrong(hop: Hop, error: BaseException, deadline: Deadline) -> SourceError:
    if isinstance(error, SourceError):
        return error
    if deadline.expired:
        return SourceError(GapKind.TIMEOUT, f"{hop.where} was not ready within {deadline.seconds:g} s")
    if isinstance(error, socket.gaierror):
        return words.translate(hop, "could not resolve")
    if isinstance(error, paramiko.ChannelException):
        return words.translate(hop, f"open failed: {error.text}")
    if isinstance(error, TimeoutError):
        return words.translate(hop, "timed out")
    said = str(error) or type(error).__name__
    if "No existing session" in said or "handshake" in said.lower():
        said = "timed out"
    return words.translate(hop, said)


class Library:
    """A connection by paramiko, until the ``with`` block of ``line`` ends."""

    def __init__(self, hop: Hop, transport: paramiko.Transport) -> None:
        """Take what is connected and logged in."""
        self._hop = hop
        self._transport = transport

    @property
    def connecting(self) -> float:
        """See Line."""
        return 0.0

    def execute(self, stdin: bytes, deadline: Deadline, cap: int) -> Finished:
        """See Line."""
        try:
            channel = self._session(deadline)
            with channel, deadline.breakable(channel.close):
                channel.settimeout(deadline.remaining())
                channel.exec_command("sh -s")
                channel.sendall(stdin)
                channel.shutdown_write()
                return self._drain(channel, deadline, cap)
        except _FAILURES as error:
            if deadline.expired or isinstance(error, TimeoutError):
                raise SourceError(GapKind.TIMEOUT, f"{self._hop.where} did not answer in time") from None
            raise _wrong(self._hop, error, deadline) from None

    @contextmanager
    def forward(self, place: tuple[str, int], deadline: Deadline) -> Iterator[Dial]:
        """See Line."""
        with ExitStack() as pumps:

            def dial() -> socket.socket:
                limit = deadline.remaining(words.CONNECT)
                try:
                    channel = self._transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=limit)
                except paramiko.ChannelException as error:
                    forbidden = error.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
                    raise words.shut(self._hop, place, error.text, forbidden=forbidden) from None
                except _FAILURES as error:
                    if "opening channel" in str(error):  # it waits for the place, which says nothing
                        raise words.shut(self._hop, place, "no answer", forbidden=False) from None
                    raise _wrong(self._hop, error, deadline) from None
                return pumps.enter_context(pump.pumped(channel))

            yield dial

    def _session(self, deadline: Deadline) -> paramiko.Channel:
        """Open a session; a host that allows only one needs a moment to end the one before."""
        for pause in (0.05, 0.1, 0.2, 0.4):
            try:
                return self._transport.open_session(timeout=deadline.remaining())
            except paramiko.ChannelException:
                time.sleep(deadline.remaining(pause))
        return self._transport.open_session(timeout=deadline.remaining())

    def _drain(self, channel: paramiko.Channel, deadline: Deadline, cap: int) -> Finished:
        """Read both streams at once: a full one would stop the other. The status comes when both have ended."""
        out, errors = bytearray(), bytearray()
        beside = threading.Thread(target=_beside, args=(channel, errors), daemon=True)
        beside.start()
        while chunk := channel.recv(_CHUNK):
            deadline.spend(size=len(chunk))
            out += chunk[: cap - len(out)]
            if len(out) >= cap:
                return Finished(-signal.SIGKILL, bytes(out), bytes(errors), truncated=True)
            channel.settimeout(deadline.remaining())
        beside.join(deadline.remaining())
        if not channel.status_event.wait(deadline.remaining()):
            deadline.remaining(0)
            raise TimeoutError
        status = channel.exit_status
        deadline.remaining()
        if status < 0 and not self._transport.is_active():
            raise EOFError
        return Finished(status, bytes(out), bytes(errors))


def _beside(channel: paramiko.Channel, into: bytearray) -> None:
    with suppress(*_FAILURES):
        while chunk := channel.recv_stderr(_CHUNK):
            into += chunk[: _STDERR - len(into)]
