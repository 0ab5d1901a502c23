"""A real Graphite (carbon-cache and graphite-web from PyPI) and a real VictoriaMetrics (from Debian) on free ports.

``python -m tests.system.graphite install`` fills the cache and says what could not be had.

graphite-web 1.1.10 is the newest release there is, and it runs on CPython 3.8 to 3.11 only. Its packages go
into a plain folder, not a virtual environment, so that they can be used from anywhere. The server runs
with everything that has bitten clients before: a zone that is not UTC, an answer cache, a path before its URLs.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opsbrief.demo import whisper

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "graphite"
PACKAGES = (
    "graphite-web==1.1.10", "carbon==1.1.10", "whisper==1.1.10", "Django==3.0.14", "django-tagging==0.4.3",
    "Twisted==26.10.0", "txAMQP==0.8.2", "cairocffi==1.7.1", "pyparsing==3.3.3", "pytz==2026.6", "urllib3==2.8.0",
    "six==1.17.0", "cachetools==8.0.1", "gunicorn==27.0.1", "msgpack==1.2.4",
)  # fmt: skip
_PARTS = ("graphite/settings.py", "carbon/service.py", "whisper.py", "bin/carbon-cache.py", "conf")
PYTHON = "a CPython 3.11 (or 3.8 to 3.10) that user nobody may run: Debian 12's python3, or: uv python install 3.11"
PREFIX = "/graphite"
ZONE = "Europe/Prague"

_CARBON = """[cache]
STORAGE_DIR = {room}/store/
LOCAL_DATA_DIR = {room}/store/whisper/
CONF_DIR = {room}/conf/
LOG_DIR = {room}/store/log/
PID_DIR = {room}/run/
WHITELISTS_DIR = {room}/store/lists/
DATABASE = whisper
ENABLE_LOGROTATION = False
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
ENABLE_UDP_LISTENER = False
ENABLE_TAGS = True
GRAPHITE_URL = http://127.0.0.1:{web}{prefix}
CARBON_METRIC_INTERVAL = 0
"""
_SCHEMAS = """[live]
pattern = ^live\\.
retentions = 1s:1h,10s:1d
[default]
pattern = .*
retentions = 60s:8d,10m:60d
"""
_AGGREGATION = "[default]\npattern = .*\nxFilesFactor = 0.0\naggregationMethod = average\n"
# graphite-web 1.1.10 asks inspect for two functions that Python 3.11 no longer has.
_SETTINGS = """
SECRET_KEY = 'integration-tests-only'
TIME_ZONE = {zone!r}
URL_PREFIX = {prefix!r}
STORAGE_DIR = '{room}/store'
CONF_DIR = '{room}/conf'
LOG_DIR = '{room}/store/log/webapp'
CARBONLINK_HOSTS = ['127.0.0.1:{query}']
CACHES = {{'default': {{'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}}}
import inspect
if not hasattr(inspect, 'getargspec'):
    from collections import namedtuple
    _A = namedtuple('ArgSpec', 'args varargs keywords defaults')
    inspect.getargspec = lambda f: _A(*inspect.getfullargspec(f)[:4])
if not hasattr(inspect, 'formatargspec'):
    inspect.formatargspec = lambda args=(), varargs=None, keywords=None, defaults=None: (
        '(' + ', '.join(list(args) + (['*' + varargs] if varargs else [])) + ')')
"""


class MissingError(Exception):
    """A server that cannot be had on this machine; the message says what to install."""


# --- fetching -----------------------------------------------------------------------------------


def ordinary() -> dict[str, object]:
    """Return the options of Popen and run that make a program not run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def interpreter() -> str:
    """Return a Python that Graphite runs on, by its path."""
    names = ("python3.11", "/usr/bin/python3.11", "python3.10", "python3.9", "python3", "/usr/bin/python3")
    found = [path for name in names if (path := shutil.which(name))]
    if uv := shutil.which("uv"):
        command = [uv, "python", "find", "--no-project", ">=3.8,<3.12"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        found += asked.stdout.split()
    for path in found:
        with suppress(OSError, subprocess.SubprocessError):
            code = "import sys; print(sys.version_info[:2] >= (3, 8) and sys.version_info[:2] <= (3, 11))"
            asked = subprocess.run(
                [path, "-c", code], capture_output=True, text=True, check=False, timeout=30, cwd="/", **ordinary()
            )
            if asked.stdout.strip() == "True":
                return path
    raise MissingError(f"Graphite needs {PYTHON}")


def install() -> Path:
    """Return the folder of Graphite's packages in the cache, fetching them when they are not there yet."""
    python = interpreter()
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    home = CACHE / f"graphite-1.1.10-py{version.rpartition('.')[0]}"
    if home.is_dir():
        return home
    CACHE.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv")
    ways = [
        *([[uv, "pip", "install", "-q", "-p", python]] if uv else []),
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--use-pep517"],
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"],
    ]
    # Without it, both packages install themselves under /opt/graphite's layout where pip lets them.
    environment = {**os.environ, "GRAPHITE_NO_PREFIX": "True"}
    said = ""
    for way in ways:
        with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as name:
            room = Path(name) / "site"
            command = [*way, "--target", str(room), *PACKAGES]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=600, cwd=name, env=environment
            )
            if done.returncode == 0 and all((room / part).exists() for part in _PARTS):
                with suppress(OSError):  # another run was faster
                    room.rename(home)
                return home
            said = (done.stderr or done.stdout).strip()[-300:]
    raise MissingError(f"Graphite's packages cannot be fetched: {said}")


def victoria() -> Path:
    """Return Debian's victoria-metrics in the cache, unpacked from its package when it is not there yet."""
    program = CACHE / "victoria" / "usr" / "bin" / "victoria-metrics"
    if program.exists():
        return program
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingError("victoria-metrics is taken from Debian's package; there is no apt-get here")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as name:
        room = Path(name)
        command = ["apt-get", "download", "victoria-metrics"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=room)
        packages = [*room.glob("*.deb")]
        if not packages:
            raise MissingError(f"apt-get download victoria-metrics: {done.stderr.strip()[-200:]} (apt-get update?)")
        subprocess.run(["dpkg", "-x", packages[0], room / "root"], check=True, timeout=120)
        with suppress(OSError):  # another run was faster
            (room / "root").rename(CACHE / "victoria")
    return program


# --- running ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Graphite:
    """A running Graphite, and ways to feed it that do not use opsbrief's own sources."""

    url: str
    python: str
    site: Path  # its packages, the real whisper library among them
    store: Path  # its whisper files
    line_port: int
    room: Path

    def write_whisper(
        self,
        name: str,
        values: npt.NDArray[np.float64],
        start: int,
        *,
        step: int = 60,
        archives: Sequence[tuple[int, int]] = (),
    ) -> Path:
        """Write a whisper file under the server's storage; it is visible at once."""
        path = self.store / f"{name.replace('.', '/')}.wsp"
        whisper.write(path, archives or [(step, max(1500, len(values) + 60))], start, step, values)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Give a file and the new folders above it to the server's user."""
        if os.geteuid() == 0:
            for each in (path, *path.parents):
                if each == self.store:
                    break
                shutil.chown(each, "nobody", "nogroup")

    def send(self, lines: Sequence[str]) -> None:
        """Send plaintext lines ("name value time") to carbon."""
        with socket.create_connection(("127.0.0.1", self.line_port), timeout=10) as wire:
            wire.sendall("".join(f"{row}\n" for row in lines).encode())

    def event(self, what: str, when: float, tags: Sequence[str], data: str = "") -> None:
        """Write an event."""
        body = json.dumps({"what": what, "when": int(when), "tags": list(tags), "data": data}).encode()
        request = urllib.request.Request(  # noqa: S310 - the URL of a server on loopback
            f"{self.url}/events/", data=body, headers={"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - same

    def library(self, program: str, *arguments: str, given: str = "") -> str:
        """Run a Python program where the real whisper library can be imported; return what it prints."""
        environment = {"PYTHONPATH": str(self.site), "PATH": os.environ["PATH"]}
        command = [self.python, "-c", program, *arguments]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=True, timeout=120, env=environment, cwd="/"
        )
        return done.stdout


def free_port() -> int:
    """Return a port of loopback that nothing listens on.

    Not one of those that the kernel gives away: until the server that it is for listens, an outgoing connection of
    another test could take it.
    """
    while True:
        port = secrets.randbelow(20_000) + 11_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running() -> Iterator[Graphite]:
    """Start carbon-cache and graphite-web, wait until they answer, stop them at the end.

    Raises MissingError when they cannot be had.
    """
    python, site = interpreter(), install()
    with (
        tempfile.TemporaryDirectory(prefix="opsbrief-graphite-", ignore_cleanup_errors=True) as name,
        ExitStack() as end,
    ):
        room = Path(name)
        site = _reachable(site, room)
        ports = {key: free_port() for key in ("line", "pickle", "query", "web")}
        environment = _configure(room, site, ports)
        migrate = [python, "-m", "django", "migrate", "--run-syncdb"]
        made = subprocess.run(
            migrate, env=environment, cwd=room, capture_output=True, text=True, check=False, timeout=120, **ordinary()
        )
        if made.returncode:
            raise RuntimeError(f"graphite-web cannot make its database: {made.stderr[-1000:]}")
        carbon = [site / "bin/carbon-cache.py", f"--config={room}/conf/carbon.conf", f"--pidfile={room}/run/carbon.pid"]
        listen = ["-w", "1", "--preload", "--no-control-socket", "-b", f"127.0.0.1:{ports['web']}"]
        web = ["-m", "gunicorn", *listen, "graphite.wsgi:application"]
        for label, command in (("web", web), ("carbon", [*carbon, "--nodaemon", "start"])):
            end.enter_context(serving(label, [python, *map(str, command)], environment, room))
        url = f"http://127.0.0.1:{ports['web']}{PREFIX}"
        await_answer(f"{url}/version/", room / "run" / "web.log")
        _await_port(ports["line"], room / "run" / "carbon.log")
        yield Graphite(url, python, site, room / "store" / "whisper", ports["line"], room)


def _reachable(site: Path, room: Path) -> Path:
    """Return the packages where an ordinary user can read them: root's cache may be closed to them."""
    room.chmod(0o755)
    asked = subprocess.run(["test", "-r", site / "whisper.py"], check=False, cwd="/", **ordinary())
    if asked.returncode == 0:
        return site
    try:
        shutil.copytree(site, room / "site", copy_function=os.link)
    except (OSError, shutil.Error):  # another file system
        shutil.copytree(site, room / "site", dirs_exist_ok=True)
    return room / "site"


def _configure(room: Path, site: Path, ports: Mapping[str, int]) -> dict[str, str]:
    folders = [room / name for name in ("conf", "run", "store", "store/whisper", "store/log", "store/log/webapp")]
    for folder in folders:
        folder.mkdir()
    words = {"room": room, "zone": ZONE, "prefix": PREFIX, **ports}
    (room / "conf" / "carbon.conf").write_text(_CARBON.format(**words))
    (room / "conf" / "storage-schemas.conf").write_text(_SCHEMAS)
    (room / "conf" / "storage-aggregation.conf").write_text(_AGGREGATION)
    (room / "conf" / "gsettings.py").write_text(_SETTINGS.format(**words))
    shutil.copy(site / "conf" / "graphTemplates.conf.example", room / "conf" / "graphTemplates.conf")
    if os.geteuid() == 0:
        for folder in (room, *folders):
            shutil.chown(folder, "nobody", "nogroup")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(room),
        "PYTHONPATH": f"{site}:{room / 'conf'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
        "GRAPHITE_ROOT": str(room),
        "GRAPHITE_STORAGE_DIR": str(room / "store"),
        "GRAPHITE_CONF_DIR": str(room / "conf"),
        "GRAPHITE_SETTINGS_MODULE": "gsettings",
        "DJANGO_SETTINGS_MODULE": "graphite.settings",
    }


@contextmanager
def serving(
    label: str, command: Sequence[str], environment: Mapping[str, str], room: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server in a session of its own, its words in run/LABEL.log."""
    with (room / "run" / f"{label}.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=room,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **ordinary(),
        )
    try:
        yield process
    finally:
        for give_up in (process.terminate, process.kill):
            give_up()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
                break


def await_answer(url: str, log: Path, seconds: float = 60) -> None:
    """Wait until a URL answers 200."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - on loopback
            if answer.status == 200:
                return
        threading.Event().wait(0.1)
    raise RuntimeError(f"{url} does not answer: {log.read_text(errors='replace')[-2000:]}")


def _await_port(port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        threading.Event().wait(0.1)
    raise RuntimeError(f"carbon does not listen: {log.read_text(errors='replace')[-2000:]}")


@dataclass(slots=True)
class Victoria:
    """A running VictoriaMetrics."""

    url: str
    line_port: int

    def send(self, lines: Sequence[str]) -> None:
        """Send plaintext lines in Graphite's form and make them visible."""
        with socket.create_connection(("127.0.0.1", self.line_port), timeout=10) as wire:
            wire.sendall("".join(f"{row}\n" for row in lines).encode())
        until = time.monotonic() + 20
        while time.monotonic() < until:
            urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=10).close()  # noqa: S310 - on loopback
            with urllib.request.urlopen(f"{self.url}/metrics/find?query=*&format=completer", timeout=10) as answer:  # noqa: S310 - same
                if json.load(answer)["metrics"]:
                    return
            threading.Event().wait(0.2)
        raise RuntimeError("VictoriaMetrics does not show what it was sent")


@contextmanager
def running_victoria() -> Iterator[Victoria]:
    """Start VictoriaMetrics. Raises MissingError when it cannot be had."""
    program = victoria()
    with (
        tempfile.TemporaryDirectory(prefix="opsbrief-victoria-", ignore_cleanup_errors=True) as name,
        ExitStack() as end,
    ):
        room = Path(name)
        room.chmod(0o755)
        for folder in (room / "data", room / "run"):
            folder.mkdir()
        if os.geteuid() == 0:
            shutil.copy(program, room / "victoria-metrics")
            program = room / "victoria-metrics"
            shutil.chown(room / "data", "nobody", "nogroup")
        web, line = free_port(), free_port()
        command = [
            str(program),
            f"-storageDataPath={room / 'data'}",
            f"-httpListenAddr=127.0.0.1:{web}",
            f"-graphiteListenAddr=127.0.0.1:{line}",
            "-memory.allowedBytes=64MB",
        ]
        end.enter_context(serving("victoria", command, {"PATH": os.environ["PATH"]}, room))
        await_answer(f"http://127.0.0.1:{web}/health", room / "run" / "victoria.log")
        yield Victoria(f"http://127.0.0.1:{web}", line)


def main() -> int:
    """Fill the cache; return 1 when something could not be had."""
    if sys.argv[1:] != ["install"]:
        sys.stdout.write("usage: python -m tests.system.graphite install\n")
        return 2
    missing = 0
    for label, get in (("graphite", install), ("victoria-metrics", victoria)):
        try:
            where = get()
        except (MissingError, OSError, subprocess.SubprocessError) as error:
            missing = 1
            sys.stdout.write(f"{label}: missing: {error}\n")
        else:
            sys.stdout.write(f"{label}: in {where}\n")
    return missing


if __name__ == "__main__":
    sys.exit(main())
