"""One host over SSH: one connection, read-only commands, two ways behind one interface.

Of ``via``, "auto" takes the OpenSSH binary where there is one, else paramiko. Measured in a process of its own, both
take as long (paramiko connects faster and its import takes that away again), so what decides is that the binary
alone speaks FIDO keys, host certificates, ``ProxyCommand`` and all of a person's own configuration. With paramiko,
``ssh -G`` resolves that configuration where it can. In a process that connects to many hosts, paramiko is faster.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.ssh.route import Access, valid
from opsbrief.transport.ssh.shell import Line, Shell

__all__ = ["Access", "Shell", "connect"]


@contextmanager
def connect(access: Access, host: str, deadline: Deadline) -> Iterator[Shell]:
    """Connect, here or with the first command, and hang up in the end whatever happens.

    Either raises SourceError: UNREACHABLE for names, ports, routes and host keys that are unknown, changed or revoked;
    UNAUTHORIZED when no key lets us in; REJECTED for a host or an option that cannot be; TIMEOUT; BAD_ANSWER when
    it is no SSH that answers.
    """
    valid(host)
    if access.key and not Path(access.key).expanduser().is_file():
        raise SourceError(GapKind.REJECTED, f"there is no file {line(access.key)}", "check ssh.key")
    binary = shutil.which("ssh")
    if access.via == "openssh" and not binary:
        raise SourceError(GapKind.UNAVAILABLE, "there is no ssh program here", "install it, or set via: paramiko")
    way: Callable[[Access, str, Deadline], AbstractContextManager[Line]]
    if access.via == "paramiko" or not binary:
        from opsbrief.transport.ssh import library  # noqa: PLC0415 - paramiko costs a sixth of a second to import

        way = library.line
    else:
        from opsbrief.transport.ssh import openssh  # noqa: PLC0415 - only one of the two

        way = openssh.line
    with way(access, host, deadline) as found:
        yield Shell(host, found, deadline)
