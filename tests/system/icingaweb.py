"""Everywhere that the history of a real Icinga 2 lives, as an ordinary user (all from Debian's packages, unpacked).

Icinga 2 writes to Redis and, through its IDO, to PostgreSQL; the Icinga DB daemon takes it from Redis to PostgreSQL;
Icinga Web shows both with Icinga DB Web and the monitoring module, on PHP's own server. Icinga's ElasticsearchWriter
posts to whatever listens at the port it is given.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from tests.system import icinga
from tests.system.debian import unpacked
from tests.system.graphite import MissingError, free_port, ordinary

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "icingaweb"
READER, BLIND, STRANGER, PASSWORD = "reader", "blind", "stranger", "s3cret-of-the-web"

_PACKAGES = (
    "icinga2-ido-pgsql", "icingadb", "redis-server", "redis-tools", "postgresql-15", "postgresql-client-15",
    "icingaweb2", "icingaweb2-common", "icingaweb2-module-monitoring", "icingadb-web", "php-icinga",
    "icinga-php-library", "icinga-php-thirdparty", "php8.2-cli", "php8.2-common", "php8.2-pgsql", "php8.2-curl",
    "php8.2-intl", "php8.2-xml", "php8.2-mbstring",
)  # fmt: skip
_NEEDED = (
    "usr/bin", "usr/sbin", "usr/lib/php", "usr/lib/postgresql",
    "usr/share/php", "usr/share/icinga-php", "usr/share/icingaweb2", "usr/share/icingadb",
    "usr/share/icinga2-ido-pgsql", "usr/share/postgresql",
)  # fmt: skip
_EXTENSIONS = (
    "ctype", "curl", "pdo", "dom", "fileinfo", "gettext", "iconv", "intl", "mbstring", "pdo_pgsql", "pgsql", "posix",
    "simplexml", "tokenizer", "xml", "xmlreader", "xmlwriter",
)  # fmt: skip
_FEATURES = """
apply Service "flappy" {{
  import "passive"; enable_flapping = true; assign where host.name == "app01.shop.example"
}}
object IcingaDB "icingadb" {{ host = "127.0.0.1"; port = {redis} }}
library "db_ido_pgsql"
object IdoPgsqlConnection "ido" {{
  host = "127.0.0.1"; port = "{sql}"; user = "opsbrief"; password = "any"; database = "ido"
}}
"""
_WRITER = """
object ElasticsearchWriter "elastic" {{
  host = "127.0.0.1"; port = "{port}"; index = "icinga2"; flush_interval = 1s; {more}
}}
"""
_DAEMON = """
database: {{type: pgsql, host: 127.0.0.1, port: {sql}, database: icingadb, user: opsbrief, password: any}}
redis: {{host: 127.0.0.1, port: {redis}}}
logging: {{output: console}}
"""
_SITE = {
    "config.ini": '[global]\nshow_stacktraces = "0"\nconfig_resource = "web"\n[logging]\nlog = "none"\n',
    "resources.ini": "".join(
        f'[{name}]\ntype = "db"\ndb = "pgsql"\nhost = "127.0.0.1"\nport = "{{sql}}"\ndbname = "{name}"\n'
        'username = "opsbrief"\npassword = "any"\ncharset = "utf8"\n'
        for name in ("web", "icingadb", "ido")
    ),
    "authentication.ini": '[users]\nbackend = "db"\nresource = "web"\n',
    "roles.ini": (
        f'[readers]\nusers = "{READER}"\npermissions = "module/icingadb,module/monitoring"\n'
        f'[blind]\nusers = "{BLIND}"\npermissions = "module/icingadb,module/monitoring"\n'
        'icingadb/filter/objects = "host.name=elsewhere"\nmonitoring/filter/objects = "host_name=elsewhere"\n'
    ),
    "modules/icingadb/config.ini": '[icingadb]\nresource = "icingadb"\n',
    "modules/icingadb/redis.ini": '[redis1]\nhost = "127.0.0.1"\nport = "{redis}"\n',
    "modules/monitoring/backends.ini": '[ido]\ntype = "ido"\nresource = "ido"\n',
    "modules/monitoring/config.ini": '[security]\nprotected_customvars = "*pw*"\n',
}


@dataclass(frozen=True)
class Site:
    """The running servers."""

    icinga: icinga.Icinga
    room: Path
    web: int
    sql: int
    programs: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    def ask(self, database: str, query: str) -> str:
        """Return what PostgreSQL answers, without decoration."""
        return _sql(self.room, self.sql, database, "-tAc", query)

    def stop(self, name: str) -> None:
        """End one of the programs for good."""
        _end(self.programs[name])


def install() -> Path:
    """Return the folder with everything unpacked."""
    icinga.install()
    return unpacked(CACHE, *_PACKAGES)


@contextmanager
def running(elastic: tuple[int, str] | None = None) -> Iterator[Site]:
    """Start everything; ``elastic`` is the port that Icinga's writer posts to, and more settings of it.

    Raises MissingError when it cannot be had or does not start.
    """
    install()
    sql, redis, web = free_port(), free_port(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="opsbrief-icingaweb-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        room = Path(name)
        _lay(room, sql, redis)
        _database(room, sql, stack)
        command = [room / "usr/bin/redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--dir", room]
        _start(room, stack, "redis", command)
        site = _site(room, web)
        _start(room, stack, "php", site, ICINGAWEB_CONFIGDIR=room / "web", ICINGAWEB_STORAGEDIR=room / "storage",
               ICINGAWEB_LIBDIR=room / "usr/share/icinga-php", PHP_CLI_SERVER_WORKERS="3")  # fmt: skip
        features = _FEATURES.format(redis=redis, sql=sql)
        if elastic:
            features += _WRITER.format(port=elastic[0], more=elastic[1])
        core = stack.enter_context(icinga.running(features, _libraries(room)))
        daemon = _start(room, stack, "icingadb", [room / "usr/sbin/icingadb", "-c", room / "icingadb.yml"])
        found = Site(core, room, web, sql, {"icingadb": daemon})
        _await(found, "Icinga DB Web", "icingadb/hosts?format=json", "app01")
        _await(found, "the monitoring module", "monitoring/list/hosts?format=json", "app01")
        yield found


def until(done: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def _lay(room: Path, sql: int, redis: int) -> None:
    """Lay out a folder that an ordinary user may read: the cache lies below a home."""
    home = CACHE / "root"
    for folder in (*_NEEDED, _libraries(home).relative_to(home)):
        (room / folder).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", home / folder, room / folder], check=True, timeout=60)
    ports = {"sql": sql, "redis": redis}
    for path, text in _SITE.items():
        (room / "web" / path).parent.mkdir(parents=True, exist_ok=True)
        (room / "web" / path).write_text(text.format(**ports))
    for folder in ("web/enabledModules", "sessions", "storage", "sql"):
        (room / folder).mkdir()
    for module in ("icingadb", "monitoring"):
        (room / "web/enabledModules" / module).symlink_to(room / "usr/share/icingaweb2/modules" / module)
    (room / "icingadb.yml").write_text(_DAEMON.format(**ports))
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody:nogroup", room], check=True, timeout=60)


def _libraries(room: Path) -> Path:
    """Return the folder of the shared libraries, which is named by the kind of machine."""
    return next((room / "usr/lib").glob("*-linux-gnu*"))


def _environment(room: Path, **more: object) -> dict[str, str]:
    own = {name: str(value) for name, value in more.items()}
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(_libraries(room)), **own}


def _run(room: Path, command: list[object], text: str | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=room,
        input=text,
        env=_environment(room),
        **ordinary(),
    )  # type: ignore[call-overload] # reason: user and group only for root
    if done.returncode:
        raise MissingError(f"{command[0]}: {(done.stdout + done.stderr)[-600:]}")
    return str(done.stdout).strip()


def _sql(room: Path, port: int, database: str, *arguments: object) -> str:
    psql = room / "usr/lib/postgresql/15/bin/psql"
    return _run(room, [psql, "-qX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", port, "-U", "opsbrief", "-d",
                       database, *arguments])  # fmt: skip


def _database(room: Path, port: int, stack: ExitStack) -> None:
    """Start a PostgreSQL of our own and make the three databases."""
    programs = room / "usr/lib/postgresql/15/bin"
    _run(room, [programs / "initdb", "-D", room / "sql/data", "-U", "opsbrief", "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8", "--no-sync"])  # fmt: skip
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB", "jit": "off",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    _start(room, stack, "postgres", [programs / "postgres", "-D", room / "sql/data", *options])
    until(lambda: _answers(room, port), f"PostgreSQL starts: {_said(room, 'postgres')}")
    share = room / "usr/share"
    for database, schema in (
        ("icingadb", share / "icingadb/schema/pgsql/schema.sql"),
        ("ido", share / "icinga2-ido-pgsql/schema/pgsql.sql"),
        ("web", share / "icingaweb2/schema/pgsql.schema.sql"),
    ):
        _sql(room, port, "postgres", "-c", f"CREATE DATABASE {database}")
        first = ("-c", "CREATE EXTENSION IF NOT EXISTS citext") if database == "icingadb" else ()
        _sql(room, port, database, *first, "-f", schema)
    hashed = _run(room, [*_php(room), "-r", f"echo password_hash('{PASSWORD}', PASSWORD_BCRYPT, ['cost' => 4]);"])
    for user in (READER, BLIND, STRANGER):
        row = f"INSERT INTO icingaweb_user (name, active, password_hash) VALUES ('{user}', 1, '{hashed}')"  # noqa: S608 - ours
        _sql(room, port, "web", "-c", row)


def _answers(room: Path, port: int) -> bool:
    with suppress(MissingError):
        return _sql(room, port, "postgres", "-tAc", "SELECT 1") == "1"
    return False


def _php(room: Path) -> list[object]:
    """Return PHP's command line; of this machine's own PHP nothing is read."""
    (folder,) = (path for path in (room / "usr/lib/php").iterdir() if path.name.isdigit())
    extensions = [part for name in _EXTENSIONS for part in ("-d", f"extension={name}.so")]
    return [room / "usr/bin/php8.2", "-n", "-d", f"extension_dir={folder}", *extensions, "-d", "date.timezone=UTC"]


def _site(room: Path, port: int) -> list[object]:
    router = room / "usr/share/php/Icinga/Application/webrouter.php"
    include = f"include_path=.:{room / 'usr/share/php'}"
    public = room / "usr/share/icingaweb2/public"
    return [*_php(room), "-d", include, "-d", f"session.save_path={room / 'sessions'}", "-d", "memory_limit=512M",
            "-S", f"127.0.0.1:{port}", "-t", public, router]  # fmt: skip


def _start(room: Path, stack: ExitStack, name: str, command: list[object], **more: object) -> "subprocess.Popen[bytes]":
    """Start a program that is ended with the stack."""
    said = stack.enter_context((room / f"{name}.said").open("wb"))
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=said,
        stderr=said,
        cwd=room,
        env=_environment(room, **more),
        start_new_session=True,
        **ordinary(),
    )  # type: ignore[call-overload] # reason: user and group only for root
    stack.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 2)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _said(room: Path, name: str) -> str:
    return (room / f"{name}.said").read_text(errors="replace")[-600:]


def _await(site: Site, what: str, path: str, word: str) -> None:
    """Wait until a page shows the word."""
    end, last = time.monotonic() + 60, ""
    while time.monotonic() < end:
        with suppress(requests.ConnectionError):
            answer = requests.get(
                f"{site.url}/{path}", auth=(READER, PASSWORD), headers={"Accept": "application/json"}, timeout=20
            )
            last = f"{answer.status_code} {answer.text[:800]}"
            if answer.status_code == 200 and word in answer.text:
                return
        time.sleep(0.1)
    raise MissingError(f"{what}: {last}; {_said(site.room, 'php')} {_said(site.room, 'icingadb')}")
