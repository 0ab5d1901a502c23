"""A real Monit (from Debian's package, unpacked) as an ordinary user, and an application that it restarts.

The application answers HTTP until it is told to hang; Monit sees that in its next cycles and restarts it.
"""

import base64
import http.client
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.system.debian import libraries, unpacked
from tests.system.graphite import MissingError, free_port, interpreter, ordinary

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "monit"
ADMIN, PASSWORD = "admin", "CANARY-of-monit"
VIEWER, LOOK = "viewer", "only-looks"

_CONFIG = """
set daemon 1
set log {room}/monit.log
set pidfile {room}/monit.pid
set idfile {room}/monit.id
set statefile {room}/monit.state
set mmonit http://127.0.0.1:9/collector
set mail-format {{ from: monit@example.com }}
set httpd port {port} and use address 127.0.0.1
  allow {admin}:{password}
  allow {viewer}:{look} read-only
check process app with pidfile {room}/app.pid
  start program = "{room}/start" with timeout 2 seconds
  stop program = "{room}/stop"
  if failed host 127.0.0.1 port {app} protocol http with timeout 1 seconds for 2 cycles then restart
check program connections with path "{room}/count"
  if status != 0 then alert
"""
# Forks away, because Monit waits for its start program.
_APP = """
import http.server, os, pathlib, sys, time
room, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
if os.fork():
    sys.exit(0)
os.setsid()
(room / "app.pid").write_text(str(os.getpid()))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if (room / "hang").exists():
            time.sleep(600)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


@dataclass(frozen=True)
class Monit:
    """The running server, its application, and where it writes."""

    room: Path
    port: int
    app: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.room / "monit.log"

    def hang(self) -> None:
        """Let the application hang until Monit stops it."""
        (self.room / "hang").touch()

    def overflow(self) -> None:
        """Let the checked program fail for some cycles."""
        flag = self.room / "established"
        flag.write_text("500")
        flag.chmod(0o644)
        self.await_log("status failed", 2)
        flag.unlink()

    def status(self) -> str:
        """Return the status as who may only look gets it."""
        pair = base64.b64encode(f"{VIEWER}:{LOOK}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with closing(connection):
            connection.request("GET", "/_status?format=xml", headers={"Authorization": f"Basic {pair}"})
            return connection.getresponse().read().decode()

    def await_log(self, words: str, count: int = 1, seconds: float = 40) -> None:
        """Wait until the log has the words so often."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.log.exists() and self.log.read_text(errors="replace").count(words) >= count:
                return
            time.sleep(0.1)
        raise AssertionError(f"no {words!r} in {self.log.read_text(errors='replace')[-2000:]}")


def install() -> Path:
    """Return Monit's program in the cache."""
    return unpacked(CACHE, "monit") / "usr" / "bin" / "monit"


@contextmanager
def running(app: str = _APP, files: Mapping[str, str] | None = None) -> Iterator[Monit]:
    """Start Monit and its application. Raises MissingError when it cannot be had or does not start.

    ``app`` is a program that is called with a folder and the port on which it is to answer, and that leaves its
    process id there as ``app.pid``; ``files`` are written into the folder before.
    """
    program = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-monit-", ignore_cleanup_errors=True) as name:
        server = Monit(Path(name), free_port(), free_port())
        _prepare(server, program, {"app.py": app, **(files or {})})
        command = [server.room / "monit", "-c", server.room / "monitrc", "-I"]
        with (server.room / "said").open("wb") as said:
            process = subprocess.Popen(
                command, stdout=said, stderr=said, cwd=server.room, env=libraries(CACHE / "root"), **ordinary()
            )  # type: ignore[call-overload] # reason: user and group only for root
        try:
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(10)
            with suppress(OSError, ValueError):
                os.kill(int((server.room / "app.pid").read_text()), 9)


def _prepare(server: Monit, program: Path, files: Mapping[str, str]) -> None:
    room = server.room
    (room / "monit").write_bytes(program.read_bytes())
    for name, content in files.items():
        (room / name).write_text(content)
    (room / "start").write_text(
        f"#!/bin/sh\nrm -f {room}/hang\nexec {interpreter()} {room}/app.py {room} {server.app}\n"
    )
    (room / "stop").write_text(f"#!/bin/sh\nkill -9 $(cat {room}/app.pid)\nrm -f {room}/app.pid\n")
    (room / "count").write_text(
        f"#!/bin/sh\necho established=$(cat {room}/established 2>/dev/null || echo 20)\n[ ! -e {room}/established ]\n"
    )
    settings = _CONFIG.format(
        room=room, port=server.port, app=server.app, admin=ADMIN, password=PASSWORD, viewer=VIEWER, look=LOOK
    )
    (room / "monitrc").write_text(settings)
    for path in (room, *room.iterdir()):
        path.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    (room / "monitrc").chmod(0o600)


def _await(server: Monit, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{server.app}", timeout=1).close()
            server.await_log("is running with pid", seconds=10)
            return
        time.sleep(0.05)
    raise MissingError(f"Monit does not start: {(server.room / 'said').read_text()[-500:]}")
