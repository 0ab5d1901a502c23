"""A real sshd (from Debian's package, unpacked) as an ordinary user, who logs in as ``ops``.

sshd looks up who logs in; libnss-wrapper shows it a list of users of our own, so that whoever runs the tests gets in
as ``ops``, with a shell and a home, and nothing of this machine is changed. Keys are made anew for each run.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.system.debian import unpacked
from tests.system.graphite import MissingError, free_port, ordinary

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "sshd"
USER = "ops"
WORDS = "CANARY-of-the-key"  # of the encrypted key

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {room}/host_ed25519
HostKey {room}/host_rsa
PidFile {room}/sshd-{port}.pid
AuthorizedKeysFile {room}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
LogLevel VERBOSE
MaxSessions {sessions}
AllowTcpForwarding {forwarding}
"""


_SHELL = """#!/bin/sh
sed 's#/var/log/dpkg.log#{room}/dpkg.log#g' | /bin/sh -c "$2"
"""


@dataclass(frozen=True)
class Sshd:
    """The running server and everything that its visitors need."""

    room: Path
    port: int

    @property
    def key(self) -> Path:
        return self.room / "id_ed25519"

    @property
    def encrypted(self) -> Path:
        """A key that is encrypted; its public half is let in too."""
        return self.room / "id_encrypted"

    @property
    def stranger(self) -> Path:
        """A key that is not let in."""
        return self.room / "id_stranger"

    @property
    def known_hosts(self) -> Path:
        return self.room / f"known_hosts-{self.port}"

    @property
    def log(self) -> str:
        return (self.room / f"sshd-{self.port}.log").read_text(errors="replace")

    def hang_up(self) -> None:
        """End the processes that serve its visitors, not the one that listens."""
        listens = int((self.room / f"sshd-{self.port}.pid").read_text())
        for child in reversed([*_below(listens)]):
            with suppress(ProcessLookupError):
                os.kill(child, 9)

    def host_key(self, kind: str = "ed25519") -> str:
        """Return type and key, as in known_hosts."""
        return " ".join((self.room / f"host_{kind}.pub").read_text().split()[:2])

    def options(self, **more: object) -> dict[str, object]:
        """Return the fields of ``Ssh`` that lead to it."""
        return {
            "user": USER, "port": self.port, "key": str(self.key), "known_hosts": str(self.known_hosts),
            "config": os.devnull, "agent": False, **more,
        }  # fmt: skip


def _below(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        with suppress(OSError):
            yield from _below(int(child))


def install() -> Path:
    """Return the folder of sshd's files in the cache."""
    if not shutil.which("ssh-keygen"):
        raise MissingError("needs ssh and ssh-keygen (openssh-client)")
    return unpacked(CACHE, "openssh-server", "libnss-wrapper")


@contextmanager
def running(
    *, sessions: int = 10, room: Path | None = None, packages: str | None = None, forwarding: str = "yes"
) -> Iterator[Sshd]:
    """Start sshd, in the ``room`` of another one where both are to share their keys. Raises MissingError.

    ``packages`` is what visitors find in place of this machine's package log, which tells what the tests installed.
    """
    root = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-sshd-", ignore_cleanup_errors=True) as name:
        server = Sshd(room or Path(name), free_port())
        if packages is not None:
            (server.room / "dpkg.log").write_text(packages)
            (server.room / "shell").write_text(_SHELL.format(room=server.room))
        if room is None:
            _keys(server.room)
            _program(root, server.room / "program")
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {server.host_key()}\n")
        config = server.room / f"sshd_config-{server.port}"
        settings = _CONFIG.format(room=server.room, port=server.port, sessions=sessions, forwarding=forwarding)
        config.write_text(settings)
        _give(server.room)
        log = server.room / f"sshd-{server.port}.log"
        # A process group of its own: sshd forks a process for each visitor.
        command = [server.room / "program/sshd", "-D", "-f", config, "-E", log]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=_environment(server.room), start_new_session=True, **ordinary()
        )  # type: ignore[call-overload] # reason: user and group only for root
        try:
            _await(log, process)
            yield server
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, 15)
            process.terminate()
            process.wait(10)


def _program(root: Path, folder: Path) -> None:
    """Copy what runs to where an ordinary user may run it: root's cache is root's alone."""
    folder.mkdir()
    for path in (root / "usr/sbin/sshd", *root.rglob("lib*.so*")):
        shutil.copy(path, folder / path.name)


def _keys(room: Path) -> None:
    for name, kind, words in (
        ("host_ed25519", "ed25519", ""), ("host_rsa", "rsa", ""), ("id_ed25519", "ed25519", ""),
        ("id_encrypted", "ed25519", WORDS), ("id_stranger", "ed25519", ""), ("ca", "ed25519", ""),
    ):  # fmt: skip
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", words, "-C", name, "-f", room / name], check=True, timeout=60
        )
    lets_in = [(room / f"{name}.pub").read_text() for name in ("id_ed25519", "id_encrypted")]
    (room / "authorized_keys").write_text("".join(lets_in))


def _give(room: Path) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    shell = room / "shell" if (room / "shell").exists() else "/bin/sh"
    (room / "passwd").write_text(f"{USER}:x:{owner[0]}:{owner[1]}::{room}:{shell}\n")
    (room / "group").write_text(f"{USER}:x:{owner[1]}:\n")
    for path in room.iterdir():
        if not path.is_dir():
            path.chmod(0o700 if path.name == "shell" else 0o600)
        if os.geteuid() == 0 and not path.name.startswith("id_"):
            os.chown(path, *owner)
    if os.geteuid() == 0:
        os.chown(room, *owner)
    room.chmod(0o711)


def _environment(room: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": str(room / "program"),
        "LD_PRELOAD": str(room / "program/libnss_wrapper.so"),
        "NSS_WRAPPER_PASSWD": str(room / "passwd"),
        "NSS_WRAPPER_GROUP": str(room / "group"),
    }


def _await(log: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and "Server listening" in log.read_text(errors="replace"):
            return
        time.sleep(0.02)
    raise MissingError(f"sshd does not start: {log.read_text(errors='replace')[-500:] if log.exists() else ''}")
