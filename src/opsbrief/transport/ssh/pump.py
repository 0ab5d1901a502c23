"""A channel of paramiko as a real socket: TLS and whoever waits for bytes need one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

_CHUNK = 1 << 16


@contextmanager
def pumped(channel: paramiko.Channel) -> Iterator[socket.socket]:
    """Yield a socket that reads and writes the channel, each direction with its own end; both are gone afterwards."""
    ours, theirs = socket.socketpair()
    channel.settimeout(None)

    def up() -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while chunk := theirs.recv(_CHUNK):
                channel.sendall(chunk)
            channel.shutdown_write()

    def down() -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while chunk := channel.recv(_CHUNK):
                theirs.sendall(chunk)
        with suppress(OSError):
            theirs.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=way, daemon=True) for way in (up, down)]
    for thread in threads:
        thread.start()
    try:
        yield ours
    finally:
        channel.close()
        with suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)  # wakes whoever waits there; closing would not
        for thread in threads:
            thread.join(1)
        theirs.close()
