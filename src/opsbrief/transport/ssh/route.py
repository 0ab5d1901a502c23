"""Which way a host is reached: what a person's own SSH configuration makes of its name, hop by hop."""

import getpass
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import decode, line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

MOST = 8  # hops
_HOST = re.compile(r"[A-Za-z0-9_.:%\[\]][A-Za-z0-9_.:%\[\]-]{0,254}\Z")
_USER = re.compile(r"[A-Za-z0-9_.\\@+$][A-Za-z0-9_.\\@+$-]{0,127}\Z")
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?/?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to get in; what is empty is left to the person's own SSH configuration."""

    user: str = ""
    port: int = 0
    key: str = ""
    jump: tuple[str, ...] = ()
    config: str = ""
    known_hosts: str = ""
    agent: bool = True
    via: Literal["auto", "paramiko", "openssh"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One host on the way, resolved."""

    host: str  # as it was asked for
    address: str
    port: int
    user: str
    keys: tuple[str, ...] = ()  # files that are there
    known: tuple[str, ...] = ()  # files
    alias: str = ""  # HostKeyAlias
    agent: bool = True
    only: bool = False  # of the agent's keys, only those whose files are among ``keys``
    needs: str = ""  # what of its configuration only OpenSSH can do

    @property
    def names(self) -> tuple[str, ...]:
        """How known_hosts calls it: with its port where that is not 22; then also without."""
        name = self.alias or self.host_name
        return (name,) if self.port == 22 or self.alias else (f"[{name}]:{self.port}", name)

    @property
    def host_name(self) -> str:
        """The resolved address, without brackets."""
        return self.address.strip("[]").lower()

    @property
    def where(self) -> str:
        """How a person calls it."""
        name = line(self.host, 100)
        return name if self.port == 22 else f"{name} (port {self.port})"


def valid(host: str) -> None:
    """Refuse what is no name of a host, before any program sees it. Raises SourceError(REJECTED)."""
    if not _HOST.match(host):
        said = f"{line(host, 80)!r} is no name of a host"
        raise SourceError(GapKind.REJECTED, said, "a name begins with a letter or a digit")


def route(access: Access, host: str, deadline: Deadline) -> list[Hop]:
    """Return the hops to a host, itself the last. Raises SourceError(REJECTED) for a way that cannot be gone."""
    return _route(access, host, deadline, access.jump)


def _route(access: Access, host: str, deadline: Deadline, jump: Sequence[str], depth: int = 0) -> list[Hop]:
    hop, configured = _resolve(access, host, deadline)
    chain = list(jump) or configured
    if depth > MOST or len(chain) > MOST:
        raise SourceError(
            GapKind.REJECTED, f"the way to {hop.where} leads over more than {MOST} hosts", "check ProxyJump"
        )
    way: list[Hop] = []
    for place, one in enumerate(chain):
        found = _JUMP.match(one)
        if not found:
            said = f"{line(one, 80)!r} is no jump host"
            raise SourceError(GapKind.REJECTED, said, "write HOST, USER@HOST or HOST:PORT")
        name = found["host"].strip("[]")
        valid(name)
        part = replace(access, user=found["user"] or "", port=int(found["port"] or 0), jump=())
        # Only the first is reached by its own configured way: the others by the one before it.
        if place == 0:
            way += _route(part, name, deadline, (), depth + 1)
        else:
            way.append(_resolve(part, name, deadline)[0])
    return [*way, hop]


def _resolve(access: Access, host: str, deadline: Deadline) -> tuple[Hop, list[str]]:
    """Return one host as its configuration has it, and the jump hosts that this names."""
    if access.user and not _USER.match(access.user):
        raise SourceError(GapKind.REJECTED, f"{line(access.user, 80)!r} is no user name", "")
    found = asked(access, host, deadline) if shutil.which("ssh") else _read(access, host, deadline)

    def one(name: str, default: str = "") -> str:
        value = found.get(name, [default])[0]
        return default if value.lower() == "none" else value

    keys = [access.key] if access.key else found.get("identityfile", [])
    known = [access.known_hosts] if access.known_hosts else [
        path for name in ("userknownhostsfile", "globalknownhostsfile") for path in one(name).split()
    ]  # fmt: skip
    names = {"proxycommand": "ProxyCommand", "certificatefile": "CertificateFile", "pkcs11provider": "PKCS11Provider",
             "knownhostscommand": "KnownHostsCommand"}  # fmt: skip
    needs = next((called for name, called in names.items() if one(name)), "")
    agent = one("identityagent", "none" if found.get("identityagent") else "SSH_AUTH_SOCK")
    if agent not in ("none", "SSH_AUTH_SOCK", os.environ.get("SSH_AUTH_SOCK", "")) and access.agent:
        needs = needs or "IdentityAgent"
    port = one("port", "22")
    hop = Hop(
        host=host, address=one("hostname", host), port=access.port or (int(port) if port.isdigit() else 22),
        user=access.user or one("user") or getpass.getuser(), keys=tuple(_there(keys)), known=tuple(known),
        alias=one("hostkeyalias"), agent=access.agent and agent != "none",
        only=bool(access.key) or one("identitiesonly") == "yes", needs=needs,
    )  # fmt: skip
    return hop, [part for part in one("proxyjump").split(",") if part]


def options(access: Access) -> list[str]:
    """Return the options of ssh that say what to read and as whom."""
    said = []
    if access.config:
        said += ["-F", str(Path(access.config).expanduser())]
    if access.user:
        said += ["-l", access.user]
    if access.port:
        said += ["-p", str(access.port)]
    return said


def asked(access: Access, host: str, deadline: Deadline) -> Mapping[str, list[str]]:
    """Return what ``ssh -G`` makes of a name: Include, Match and tokens as only OpenSSH knows them."""
    done = process.run(["ssh", "-G", *options(access), "--", host], deadline, cap=1 << 20, env=environment())
    if done.status:
        said = line(done.stderr, 300)
        raise SourceError(GapKind.REJECTED, f"the SSH configuration cannot be used: {said}", "try: ssh -G HOST")
    found: dict[str, list[str]] = {}
    for row in decode(done.stdout).splitlines():
        name, _, value = row.partition(" ")
        found.setdefault(name.lower(), []).append(value.strip().strip('"'))
    return found


def environment() -> dict[str, str]:
    """Return the environment of ssh: its words in English, and nothing to ask a person with."""
    left = ("DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS", "LANGUAGE")
    return {name: value for name, value in os.environ.items() if name not in left} | {
        "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never",
    }  # fmt: skip


def _read(access: Access, host: str, deadline: Deadline) -> Mapping[str, list[str]]:
    """Read the configuration without OpenSSH; what paramiko does not understand in it is said."""
    import paramiko  # noqa: PLC0415 - slow to import

    home = Path("~/.ssh").expanduser()
    path = Path(access.config).expanduser() if access.config else home / "config"
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        if access.config:
            said = f"cannot read {line(str(path))}: {error.strerror}"
            raise SourceError(GapKind.UNAVAILABLE, said, "check ssh.config") from None
        text = ""
    if re.search(r"^\s*(include|match)\b", text, re.IGNORECASE | re.MULTILINE):
        # paramiko passes over Include and takes a Match that it does not know for one that fits.
        deadline.warn(
            f"{line(str(path))} has Include or Match, which only the ssh program reads; only Host is followed"
        )
        text = re.split(r"^\s*match\b.*$", text, maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)[0]
    try:
        found: dict[str, str | list[str]] = dict(paramiko.SSHConfig.from_text(text).lookup(host))
    except (paramiko.SSHException, KeyError, ValueError) as error:
        raise SourceError(GapKind.REJECTED, f"{line(str(path))} cannot be used: {line(str(error))}", "") from None
    defaults = {
        "identityfile": [str(home / f"id_{kind}") for kind in ("ed25519", "ecdsa", "rsa")],
        "userknownhostsfile": [f"{home}/known_hosts {home}/known_hosts2"],
        "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts"],
    }
    return defaults | {name: [value] if isinstance(value, str) else list(value) for name, value in found.items()}


def _there(keys: Sequence[str]) -> list[str]:
    paths = [Path(key).expanduser() for key in keys]
    return [str(path) for path in paths if path.is_file()]
