"""A real Icinga 2 (from Debian's packages, unpacked) as an ordinary user: its API and its compat log.

No check runs by itself: results are fed, with times of the past, as its API allows.
"""

import getpass
import grp
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from tests.system.debian import libraries, unpacked
from tests.system.graphite import MissingError, free_port, ordinary

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "icinga"
READER, BLIND, FEEDER, PASSWORD = "reader", "blind", "feeder", "s3cret-of-icinga"

_CONFIG = """
include <itl>
const NodeName = "testmaster"
const ZoneName = "testmaster"
const TicketSalt = ""
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object CheckerComponent "checker" {{ }}
object NotificationComponent "notification" {{ }}
object CompatLogger "compat" {{ log_dir = "{room}/compat" }}
object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {port} }}
object ApiUser "reader" {{ password = "{password}"; permissions = [ "objects/query/*", "status/query" ] }}
object ApiUser "blind" {{ password = "{password}"; permissions = [ "status/query" ] }}
object ApiUser "feeder" {{ password = "{password}"; permissions = [ "*" ] }}
object User "ops" {{ }}
object NotificationCommand "to-nowhere" {{ command = [ "/bin/true" ] }}
template Host "passive" {{
  check_command = "dummy"; enable_active_checks = false; max_check_attempts = 1
}}
template Service "passive" {{
  check_command = "dummy"; enable_active_checks = false; max_check_attempts = 3
}}
object Host "app01.shop.example" {{ import "passive" }}
object Host "app02.shop.example" {{ import "passive" }}
object Host "db01" {{ import "passive" }}
apply Service "http" {{ import "passive"; assign where true }}
apply Service "connections" {{ import "passive"; max_check_attempts = 1; assign where true }}
apply Notification "mail" to Service {{
  command = "to-nowhere"; users = [ "ops" ]; assign where true
}}
"""


@dataclass(frozen=True)
class Icinga:
    """The running server."""

    room: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def ca(self) -> str:
        return str(self.room / "data" / "certs" / "ca.crt")

    @property
    def log(self) -> Path:
        return self.room / "compat" / "icinga.log"

    def act(self, action: str, **options: Any) -> None:
        """Do something as its own interface would."""
        answer = requests.post(
            f"{self.url}/v1/actions/{action}", json=options, auth=(FEEDER, PASSWORD), verify=self.ca, timeout=10,
            headers={"Accept": "application/json"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    def result(self, host: str, service: str, status: int, at: float, output: str) -> None:
        """Feed the result of a check that ran at ``at``."""
        name = f"{host}!{service}" if service else host
        self.act(
            "process-check-result", type="Service" if service else "Host", exit_status=status, plugin_output=output,
            execution_start=at, execution_end=at,
            filter=f'{"service" if service else "host"}.__name == "{name}"',
        )  # fmt: skip
        self._taken("services" if service else "hosts", name, at)

    def _taken(self, kind: str, name: str, at: float, seconds: float = 10) -> None:
        """Wait until a result is taken in: a busy Icinga may take the next one first otherwise."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = requests.get(
                f"{self.url}/v1/objects/{kind}/{name}", params={"attrs": "last_check"}, auth=(FEEDER, PASSWORD),
                verify=self.ca, timeout=10,
            )  # fmt: skip
            if answer.ok and answer.json()["results"][0]["attrs"]["last_check"] >= at - 0.5:
                return
            time.sleep(0.05)
        raise AssertionError(f"Icinga did not take in the result of {name} at {at}")

    def await_log(self, words: str, seconds: float = 20) -> None:
        """Wait until the compat log has the words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.log.exists() and words in self.log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(f"no {words!r} in the compat log")


def install() -> Path:
    """Return Icinga's program in the cache."""
    home = unpacked(CACHE, "icinga2-bin", "icinga2-common")
    for program in home.glob("usr/lib/*/icinga2/sbin/icinga2"):
        return program
    raise MissingError("the package icinga2-bin holds no program")


@contextmanager
def running(features: str = "", more: Path | None = None) -> Iterator[Icinga]:
    """Start Icinga 2, with more settings and a folder of more libraries.

    Raises MissingError when it cannot be had or does not start.
    """
    program = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-icinga-", ignore_cleanup_errors=True) as name:
        server = Icinga(Path(name), free_port())
        _prepare(server, program, features, more)
        with (server.room / "said").open("wb") as said:
            process = subprocess.Popen(
                _command(server), stdout=said, stderr=said, cwd=server.room, env=libraries(server.room / "lib"),
                **ordinary(),  # type: ignore[call-overload] # reason: user and group only for root
            )  # fmt: skip
        try:
            _await(server, process)
            yield server
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def _command(server: Icinga) -> list[str]:
    room = server.room
    root = os.geteuid() == 0
    user = "nobody" if root else getpass.getuser()
    group = "nogroup" if root else grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    places = {
        "DataDir": "data", "LogDir": "log", "CacheDir": "cache", "SpoolDir": "spool", "InitRunDir": "run",
        "ConfigDir": "etc", "ZonesDir": "etc/zones.d", "PidPath": "run/icinga2.pid", "StatePath": "data/icinga2.state",
        "ModAttrPath": "data/modified-attributes.conf", "ObjectsPath": "cache/icinga2.debug",
        "VarsPath": "cache/icinga2.vars",
    }  # fmt: skip
    defined = [part for key, path in places.items() for part in ("-D", f"Configuration.{key}={room / path}")]
    run_as = ["-D", f"Configuration.RunAsUser={user}", "-D", f"Configuration.RunAsGroup={group}"]
    include = ["-I", str(room / "include")]
    return [str(room / "icinga2"), "daemon", "-c", str(room / "etc" / "icinga2.conf"), *include, *defined, *run_as]


def _prepare(server: Icinga, program: Path, features: str, more: Path | None) -> None:
    """Lay out a folder that an ordinary user may read: the cache lies below a home."""
    room, home = server.room, CACHE / "root"
    for folder in (
        "run/cmd",
        "log/crash",
        "compat/archives",
        "cache",
        "spool",
        "data/certs",
        "data/api",
        "etc/zones.d",
    ):
        (room / folder).mkdir(parents=True)
    (room / "icinga2").write_bytes(program.read_bytes())
    (room / "icinga2").chmod(0o755)
    subprocess.run(["cp", "-r", home / "usr" / "share" / "icinga2" / "include", room / "include"], check=True)
    (room / "lib").mkdir()
    for library in (*home.rglob("lib*.so*"), *(more.rglob("lib*.so*") if more else ())):
        (room / "lib" / library.name).write_bytes(library.read_bytes())
    _certificates(room / "data")
    settings = _CONFIG.format(room=room, port=server.port, password=PASSWORD)
    (room / "etc" / "icinga2.conf").write_text(settings + features)
    if os.geteuid() == 0:
        for path in (room, *room.rglob("*")):
            os.chown(path, 65534, 65534)


def _certificates(data: Path) -> None:
    """Make a CA and a certificate of this machine, as Icinga's own wizard does."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=data, timeout=60)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=test-ca",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", "ca.key", "-out", "certs/ca.crt")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=testmaster",
            "-keyout", "certs/testmaster.key", "-out", "t.csr")  # fmt: skip
    (data / "san").write_text("subjectAltName=DNS:localhost,DNS:testmaster,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "t.csr", "-CA", "certs/ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "san", "-out", "certs/testmaster.crt")  # fmt: skip


def _await(server: Icinga, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with suppress(requests.ConnectionError):
            answer = requests.get(
                f"{server.url}/v1/objects/services", auth=(FEEDER, PASSWORD), verify=server.ca, timeout=5,
                headers={"Accept": "application/json"},
            )  # fmt: skip
            if answer.status_code == 200:
                return
        time.sleep(0.1)
    raise MissingError(f"Icinga does not start: {(server.room / 'said').read_text()[-800:]}")
