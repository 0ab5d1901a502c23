"""A small real application that Monit watches: it serves TCP connections and, while it is told to, never closes them.

    leaky.py ROOM HEALTH

ROOM/mode holds "healthy", "leaking" or "holding", ROOM/service the port that it serves on. Once a second its clients
open four connections more, eight while it leaks, none while it only holds what it has; how many are open stands in
ROOM/open. With more than ``LIMIT`` it no longer answers on the port HEALTH, so that Monit restarts it. ROOM/shop.log
gets what a shop would log. It forks away, because Monit waits for its start program; with 0 for HEALTH it does not, and
nobody can ask it.
"""

import http.server
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

LIMIT = 200
USUAL = 40  # connections that a healthy one keeps


def main(room: Path, health: int) -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", int((room / "service").read_text())), backlog=1024)
    server: list[socket.socket] = []
    clients: list[socket.socket] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while len(server) > LIMIT:
                time.sleep(0.1)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing: the log is the application's."""

    if health:
        answers = http.server.ThreadingHTTPServer(("127.0.0.1", health), Answer)
        threading.Thread(target=answers.serve_forever, daemon=True).start()
    with (room / "shop.log").open("a", buffering=1) as log:
        for second in range(100_000):
            mode = (room / "mode").read_text()
            leaking = mode != "healthy"
            for _ in range({"healthy": 4, "leaking": 8}.get(mode, 0)):
                clients.append(socket.create_connection(listener.getsockname()))
                server.append(listener.accept()[0])
                log.write(f"INFO request {second} answered in {second % 40 + 3} ms\n")
                if leaking:
                    where = f"search-{second % 3}, handle {second:x}"
                    log.write(f"ERROR connection not released after response to {where}\n")
            while not leaking and len(server) > USUAL + second % 3:
                for held in (server, clients):
                    with suppress(OSError):
                        held.pop(0).close()
            (room / "open").write_text(str(len(server)))
            time.sleep(1)


if __name__ == "__main__":
    place, port = Path(sys.argv[1]), int(sys.argv[2])
    if port and os.fork():
        sys.exit(0)
    if port:
        os.setsid()
        (place / "app.pid").write_text(str(os.getpid()))
    main(place, port)
