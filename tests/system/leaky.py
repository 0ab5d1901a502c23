"""A small real application: it serves TCP connections and, while it is told to, never closes them.

    leaky.py MODE_FILE LOG_FILE CARBON_PORT [PORT]

It listens on PORT, without it on a free one. MODE_FILE holds "healthy" or "leaking". Once a second its clients open
four connections more, and the number of those really open goes to carbon as live.app1.connections. It logs what a
shop would log.
"""

import socket
import sys
import time
from contextlib import suppress
from pathlib import Path


def main(mode_file: str, log_file: str, carbon_port: str, port: str = "0") -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    server: list[socket.socket] = []
    clients: list[socket.socket] = []
    carbon = socket.create_connection(("127.0.0.1", int(carbon_port)))
    with Path(log_file).open("a", buffering=1) as log:
        for second in range(100_000):
            leaking = Path(mode_file).read_text() == "leaking"
            for _ in range(4):
                clients.append(socket.create_connection(listener.getsockname()))
                server.append(listener.accept()[0])
                log.write(f"INFO request {second} answered in {second % 40 + 3} ms\n")
                if leaking:
                    where = f"search-{second % 3}, handle {second:x}"
                    log.write(f"ERROR connection not released after response to {where}\n")
            # A healthy application keeps some forty open; a leaking one keeps them all.
            while not leaking and len(server) > 40 + second % 3:
                for held in (server, clients):
                    with suppress(OSError):
                        held.pop(0).close()
            carbon.sendall(f"live.app1.connections {len(server)} {int(time.time())}\n".encode())
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
