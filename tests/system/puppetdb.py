"""A real PuppetDB with its PostgreSQL (from Debian's packages, unpacked) as an ordinary user, fed by its own commands.

PuppetDB comes as Clojure source, which every start compiles anew: 35 to 45 seconds of CPU. Compiling it once, which
costs about as much as one such start, makes each further one a matter of 11. So the machine that runs the tests once
loses nothing by it, ``scripts/test`` compiles beside the downloads of the other servers, and the start of the server
runs beside the first tests (``Ahead``).
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from tests.system.debian import libraries, unpacked
from tests.system.graphite import MissingError, await_answer, free_port, ordinary, serving

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "puppetdb"

_JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # the better compiler never pays for itself here
_COMPILED = (
    "puppetlabs.puppetdb.core", "puppetlabs.puppetdb.cli.services", "puppetlabs.puppetdb.pdb-routing",
    "puppetlabs.puppetdb.dashboard", "puppetlabs.trapperkeeper.main",
    "puppetlabs.trapperkeeper.services.webserver.jetty9-service",
    "puppetlabs.trapperkeeper.services.webrouting.webrouting-service",
    "puppetlabs.trapperkeeper.services.metrics.metrics-service",
    "puppetlabs.trapperkeeper.services.status.status-service",
    "puppetlabs.trapperkeeper.services.scheduler.scheduler-service",
    "puppetlabs.trapperkeeper.services.authorization.authorization-service",
)  # fmt: skip
_SETTINGS = """[global]
vardir = {room}/var
logging-config = {room}/logback.xml
[database]
subname = //127.0.0.1:{database}/postgres
username = postgres
password = none
gc-interval = 0
[command-processing]
threads = 2
[jetty]
host = 127.0.0.1
port = {port}
ssl-host = 127.0.0.1
ssl-port = {tls}
ssl-key = {room}/tls/localhost.key
ssl-cert = {room}/tls/localhost.crt
ssl-ca-cert = {room}/tls/ca.crt
client-auth = want
[nrepl]
enabled = false
[puppetdb]
disable-update-checking = true
certificate-allowlist = {room}/allowed
"""
_LOGBACK = """<configuration><appender name="S" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%d %-5p [%c{2}] %m%n</pattern></encoder></appender><root level="info"><appender-ref ref="S"/></root>
</configuration>
"""
READER, STRANGER = "reader", "stranger"  # client certificates: one that may read, one that may not

Resource = tuple[str, str, Sequence[Mapping[str, Any]]]  # type, title, events


@dataclass(frozen=True)
class PuppetDb:
    """The running server."""

    room: Path
    port: int
    tls: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secure(self) -> str:
        return f"https://localhost:{self.tls}"

    def certificate(self, name: str) -> dict[str, str]:
        """Return the options of Trust for a client with a certificate."""
        own = self.room / "tls"
        return {"ca_file": f"{own}/ca.crt", "cert": f"{own}/{name}.crt", "key": f"{own}/{name}.key"}

    def store(self, *reports: Mapping[str, Any]) -> None:
        """Feed reports, as ``report`` makes them, and wait until they can be asked for."""
        with requests.Session() as session:
            for one in reports:
                self._command(session, "store_report", 8, one)
        self.settle(reports)

    def deactivate(self, certname: str) -> None:
        """Say that a node is gone."""
        body = {"certname": certname, "producer_timestamp": stamp(datetime.now(UTC))}
        self._command(requests, "deactivate_node", 3, body)
        self._until(lambda: self.ask("nodes", ["=", ["node", "active"], False]) != [], "the node is still active")

    def facts(self, certname: str) -> None:
        """Make a node known that has never sent a report."""
        body = {
            "certname": certname, "environment": "production", "values": {"kernel": "Linux"}, "producer": "puppet",
            "producer_timestamp": stamp(datetime.now(UTC)),
        }  # fmt: skip
        self._command(requests, "replace_facts", 5, body)
        self._until(lambda: self.ask("nodes", ["=", "certname", certname]) != [], "the node is not known")

    def ask(self, what: str, query: object) -> list[dict[str, Any]]:
        answer = requests.post(f"{self.url}/pdb/query/v4/{what}", json={"query": query}, timeout=30)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def _command(self, session: Any, name: str, version: int, body: Mapping[str, Any]) -> dict[str, Any]:
        query = {
            "command": name, "version": str(version), "certname": body["certname"],
            "producer-timestamp": body["producer_timestamp"],
        }  # fmt: skip
        answer = session.post(f"{self.url}/pdb/cmd/v1", params=query, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def settle(self, reports: Sequence[Mapping[str, Any]]) -> None:
        """Wait until reports are stored: the queue of commands is worked off behind the answer."""
        uuids = [one["transaction_uuid"] for one in reports]
        query = ["extract", [["function", "count"]], ["in", "transaction_uuid", ["array", uuids]]]
        self._until(lambda: self.ask("reports", query)[0]["count"] == len(uuids), "the reports are not stored")

    def _until(self, done: Any, otherwise: str, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done():
                return
            time.sleep(0.05)
        raise AssertionError(f"{otherwise}: {(self.room / 'run' / 'puppetdb.log').read_text()[-1000:]}")


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def report(
    certname: str, end: datetime, version: str, *resources: Resource, status: str = "", **more: Any
) -> dict[str, Any]:
    """Return a report as an agent's server sends it, of a run that took 20 seconds."""
    start = end - timedelta(seconds=20)
    told = [event["status"] for _, _, events in resources for event in events]
    status = status or ("failed" if "failure" in told else "changed" if "success" in told else "unchanged")
    return {
        "certname": certname, "environment": "production", "puppet_version": "7.23.0", "report_format": 12,
        "configuration_version": version, "start_time": stamp(start), "end_time": stamp(end),
        "producer_timestamp": stamp(end), "producer": "puppet.example.com", "transaction_uuid": str(uuid4()),
        "catalog_uuid": str(uuid4()), "code_id": None, "cached_catalog_status": "not_used", "status": status,
        "noop": False, "noop_pending": False, "corrective_change": None, "job_id": None, "type": "agent", "logs": [],
        "metrics": [],
        "resources": [_resource(certname, start, *one) for one in resources],
        **more,
    }  # fmt: skip


def event(
    message: str, status: str = "success", prop: str | None = "content", old: str = "", new: str = "", after: float = 5
) -> dict[str, Any]:
    """Return one event, ``after`` seconds behind the start of the run."""
    return {
        "status": status, "property": prop, "old_value": old, "new_value": new, "message": message, "name": "x",
        "corrective_change": False, "after": after,
    }  # fmt: skip


def _resource(
    _certname: str, start: datetime, kind: str, title: str, events: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    at = stamp(start + timedelta(seconds=5))
    own = [
        {key: value for key, value in one.items() if key != "after"}
        | {"timestamp": stamp(start + timedelta(seconds=one["after"]))}
        for one in events
    ]
    return {
        "resource_type": kind, "resource_title": title, "file": "/etc/puppetlabs/code/app/init.pp", "line": 3,
        "timestamp": at, "skipped": False, "events": own, "corrective_change": False,
        "containment_path": ["Stage[main]", "App", f"{kind}[{title}]"],
    }  # fmt: skip


NOW = datetime.now(UTC).replace(microsecond=0)
#: A fleet of twenty nodes with fifty runs each, every tenth of which changed something.
CROWD = [
    report(
        f"many{number}.example", NOW - timedelta(minutes=115 - step * 2), "ac9785273a10dddc076af5842eb519951091ca86",
        *([] if step % 10 else [("File", "/etc/app.conf", [event("content changed 'a' to 'b'")])]),
    )
    for step in range(50) for number in range(20)
]  # fmt: skip


# --- fetching -----------------------------------------------------------------------------------


def install() -> Path:
    """Return the folder of both servers' files in the cache, PuppetDB compiled."""
    if not shutil.which("java"):
        raise MissingError("PuppetDB needs a Java 17: apt-get install openjdk-17-jre-headless")
    if not shutil.which("openssl"):
        raise MissingError("the certificates need openssl")
    home = unpacked(CACHE, "puppetdb", "postgresql-15")
    if not (CACHE / "compiled.jar").exists():
        _compile(home)
    return home


def _jars(home: Path) -> list[Path]:
    """Return the jars that PuppetDB names, and those that they name; all written as if they lay below /usr/share."""
    own, system = home / "usr" / "share" / "java", Path("/usr/share/java")
    found: dict[Path, None] = {}

    def add(jar: Path) -> None:
        if jar in found:
            return
        found[jar] = None
        with zipfile.ZipFile(jar) as file:
            names = file.namelist()
            manifest = file.read("META-INF/MANIFEST.MF").decode() if "META-INF/MANIFEST.MF" in names else ""
        listed = re.search(r"^Class-Path: (.*)$", re.sub(r"\r?\n ", "", manifest), re.MULTILINE)
        for entry in listed[1].split() if listed else ():
            name = Path(entry).name
            if re.fullmatch(r"clojure(-1[.0-9]*)?\.jar", name):  # its link is made when the package is installed
                name = next((one.name for one in own.glob("clojure-1*.jar")), name)
            places = (own / name, home / entry.lstrip("/"), system / name)
            if there := next((place for place in places if place.exists()), None):
                add(there.resolve())

    add(home / "usr" / "share" / "puppetdb" / "puppetdb.jar")
    return list(found)


def _compile(home: Path) -> None:
    """Compile PuppetDB into a jar."""
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as name:
        room = Path(name)
        classes = room / "classes"
        classes.mkdir()
        path = ":".join(["classes", *map(str, _jars(home))])
        code = f'(binding [*compile-path* "classes"] (doseq [n (quote [{" ".join(_COMPILED)}])] (compile n)))'
        command = [*_JAVA, "-Xmx512m", "-cp", path, "clojure.main", "-e", code]
        done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise MissingError(f"PuppetDB cannot be compiled: {done.stderr.strip()[-400:]}")
        with zipfile.ZipFile(room / "jar", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as jar:
            for file in classes.rglob("*.class"):
                jar.write(file, file.relative_to(classes))
        (room / "jar").rename(CACHE / "compiled.jar")


# --- running ------------------------------------------------------------------------------------


@contextmanager
def running() -> Iterator[PuppetDb]:
    """Start both. Raises MissingError when they cannot be had or do not start."""
    home = install()
    with (
        tempfile.TemporaryDirectory(prefix="opsbrief-puppetdb-", ignore_cleanup_errors=True) as name,
        ExitStack() as end,
    ):
        server = PuppetDb(Path(name), free_port(), free_port())
        database = free_port()
        path = _prepare(server, home, database)
        _database(server.room, database, end)
        command = [
            *_JAVA, "-Xmx192m", "-cp", path, "clojure.main", "-m", "puppetlabs.puppetdb.core", "services",
            "--config", f"{server.room}/conf.d", "--bootstrap-config", f"{server.room}/bootstrap.cfg",
            "--restart-file", f"{server.room}/run/restarts",
        ]  # fmt: skip
        end.enter_context(serving("puppetdb", command, {"PATH": os.environ["PATH"]}, server.room))
        log = server.room / "run" / "puppetdb.log"
        await_answer(f"{server.url}/status/v1/simple", log, 240)  # 503 while it starts
        yield server


def _prepare(server: PuppetDb, home: Path, database: int) -> str:
    """Lay out a folder that an ordinary user may read: the cache lies below a home. Return the class path."""
    room = server.room
    for folder in ("conf.d", "var", "run", "tls", "java", "data"):
        (room / folder).mkdir()
    jars = [CACHE / "compiled.jar", *_jars(home)]
    for jar in jars:
        _place(jar, room / "java" / jar.name)
    for folder in ("lib", "usr/lib", "usr/share/postgresql"):
        if (home / folder).is_dir():
            shutil.copytree(home / folder, room / folder, copy_function=_place, symlinks=True)
    _certificates(room / "tls")
    settings = home / "etc" / "puppetdb"
    shutil.copy(settings / "bootstrap.cfg", room / "bootstrap.cfg")
    shutil.copy(settings / "conf.d" / "auth.conf", room / "conf.d" / "auth.conf")
    (room / "conf.d" / "all.ini").write_text(
        _SETTINGS.format(room=room, database=database, port=server.port, tls=server.tls)
    )
    (room / "logback.xml").write_text(_LOGBACK)
    (room / "allowed").write_text(f"{READER}\n")
    if os.geteuid() == 0:
        for path in (room, *(room / name for name in ("conf.d", "var", "run", "data")), *(room / "tls").iterdir()):
            os.chown(path, 65534, 65534)
    return ":".join(str(room / "java" / jar.name) for jar in jars)


def _place(source: str | Path, target: str | Path) -> None:
    """Link a file, or copy it where it lies on another disk."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _database(room: Path, port: int, end: ExitStack) -> None:
    """Start a PostgreSQL of its own, which need not outlive anything."""
    programs = next(room.glob("usr/lib/postgresql/*/bin"))
    environment = libraries(room) | {"LC_ALL": "C.UTF-8", "HOME": str(room)}
    options: dict[str, Any] = {
        "capture_output": True, "timeout": 120, "cwd": room, "env": environment, **ordinary(),
    }  # fmt: skip
    data = str(room / "data")
    made = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*made, "--locale=C.UTF-8"], check=True, **options)
    subprocess.run(
        [programs / "postgres", "--single", "-D", data, "postgres"],
        input=b"create extension pg_trgm;\n",
        check=True,
        **options,
    )
    fast = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "jit=off")
    command = [
        str(programs / "postgres"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
        "-c", f"unix_socket_directories={room / 'run'}", *(part for one in fast for part in ("-c", one)),
    ]  # fmt: skip
    end.enter_context(serving("postgres", command, environment, room))


def _certificates(folder: Path) -> None:
    """Make a CA, a certificate of this machine, and those of two clients."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder, timeout=60)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=test-ca",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("localhost", READER, STRANGER):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", "t.csr")  # fmt: skip
        openssl("x509", "-req", "-in", "t.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "san", "-out", f"{name}.crt")  # fmt: skip


class Ahead:
    """Starts the server in a thread of its own, beside whatever runs until somebody needs it."""

    def __init__(self, *, crowd: bool) -> None:
        self._crowd = crowd  # whether somebody needs it: other reports wait behind it
        self._up = threading.Event()
        self._over = threading.Event()
        self._server: PuppetDb | None = None
        self._lost: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with running() as self._server:
                self._up.set()
                if self._crowd:
                    self._server.store(*CROWD)
                self._over.wait()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever needs the server
            self._lost = error
        finally:
            self._up.set()

    def server(self) -> PuppetDb:
        """Wait until it runs. Raises what kept it from it."""
        self._up.wait()
        if self._lost:
            raise self._lost
        assert self._server
        return self._server

    def stop(self) -> None:
        self._over.set()
        self._thread.join(300)  # it may still be starting, and must not be left behind
