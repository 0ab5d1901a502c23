"""A real collectd (from Debian's package, unpacked): it watches this machine and writes where it is told.

``python -m tests.system.collectd`` writes the names of each layout to tests/recorded/collectd.

One process has as many ``write_graphite`` nodes as there are layouts, each with its own options and, where a
layout leaves room for it, its own prefix. It is an ordinary user's and has no files but those in its room.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.debian import libraries, unpacked
from tests.system.graphite import MissingError, ordinary, serving

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "collectd"
RECORDED = Path(__file__).parent.parent / "recorded" / "collectd"
HOST = "app01.example.com"
PLUGINS = (
    "contextswitch", "cpu", "df", "disk", "entropy", "fhcount", "interface", "irq", "load", "memory", "processes",
    "protocols", "swap", "tcpconns", "uptime", "users", "vmem",
)  # fmt: skip

#: The options of write_graphite that change names, each as one node writes them.
LAYOUTS: Mapping[str, Mapping[str, str]] = {
    "plain": {"Prefix": '"collectd."'},
    "no-prefix": {},
    "glued-prefix": {"Prefix": '"collectd"'},
    "dots": {"Prefix": '"servers."', "EscapeCharacter": '"."'},
    "preserved": {"Prefix": '"kept."', "PreserveSeparator": "true"},
    "postfix": {"Prefix": '"metrics."', "Postfix": '".collectd"'},
    "separate": {"Prefix": '"separate."', "SeparateInstances": "true"},
    "with-ds": {"Prefix": '"withds."', "AlwaysAppendDS": "true"},
    "dropped": {"Prefix": '"dropped."', "DropDuplicateFields": "true"},
    "tags": {"UseTags": "true"},
    "counters": {"Prefix": '"counters."', "StoreRates": "false"},
    "reversed": {"Prefix": '"reversed."', "ReverseHost": "true"},
    "all": {"Prefix": '"all."', "SeparateInstances": "true", "AlwaysAppendDS": "true", "DropDuplicateFields": "true"},
}

#: Names of which there are hundreds alike: a few of them tell as much.
_DULL = re.compile(
    r"protocol_counter(?!.*(RetransSegs|ListenDrops|CurrEstab))|irq(?!.*NMI)|vmpage_number(?!.*dirty)|ifb"
)


@dataclass(slots=True)
class Collectd:
    """A running collectd and the folders it writes RRD and CSV files to."""

    rrd: Path
    csv: Path
    home: Path

    def types(self) -> dict[str, list[tuple[str, str]]]:
        """Return the data sources of each type, as (name, kind): the types.db that it uses."""
        found = {}
        for row in (self.home / "usr/share/collectd/types.db").read_text().splitlines():
            name, _, rest = row.partition("\t" if "\t" in row else " ")
            if rest.strip() and not row.startswith("#"):
                parts = [part.strip().split(":") for part in rest.split(",")]
                found[name.strip()] = [(part[0], part[1]) for part in parts]
        return found

    def rrdtool(self, *arguments: str) -> str:
        """Run the real rrdtool; return what it prints."""
        program = self.home / "usr" / "bin" / "rrdtool"
        environment = libraries(self.home) | {"LC_ALL": "C", "TZ": "UTC"}
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout


def install() -> Path:
    """Return the folder with collectd and rrdtool in the cache, fetching them when they are not there yet."""
    home = unpacked(CACHE, "collectd-core", "rrdtool")
    if not (home / "usr" / "sbin" / "collectd").exists():
        raise MissingError(f"no collectd in {home}")
    return home


def _node(name: str, port: int, options: Mapping[str, str]) -> str:
    lines = "".join(f"    {key} {value}\n" for key, value in options.items())
    return f'  <Node "{name}">\n    Host "127.0.0.1"\n    Port "{port}"\n    Protocol "tcp"\n{lines}  </Node>\n'


def configuration(
    room: Path, home: Path, nodes: Sequence[tuple[str, int, Mapping[str, str]]], *,
    host: str = HOST, port: int = 8080, files: bool = False, percent: bool = False, names: str = "python3",
) -> str:  # fmt: skip
    """Return a collectd.conf that samples once a second; ``port`` is the one whose connections are counted."""
    plugins = [*PLUGINS, *(["rrdtool", "csv"] if files else []), *(["write_graphite"] if nodes else [])]
    graphite = "".join(_node(*node) for node in nodes)
    usage = "ValuesPercentage true\n  ReportByCpu false" if percent else ""
    return f"""\
Hostname "{host}"
FQDNLookup false
BaseDir "{room}"
PluginDir "{home}/usr/lib/collectd"
TypesDB "{home}/usr/share/collectd/types.db"
Interval 1
{"".join(f"LoadPlugin {plugin}{chr(10)}" for plugin in plugins)}
<Plugin tcpconns>
  ListeningPorts false
  LocalPort "{port}"
  AllPortsSummary true
</Plugin>
<Plugin cpu>
  {usage}
</Plugin>
<Plugin df>
  MountPoint "/"
  MountPoint "/dev/shm"
  ValuesPercentage true
</Plugin>
<Plugin fhcount>
  ValuesPercentage true
</Plugin>
<Plugin processes>
  Process "{names}"
</Plugin>
{f"<Plugin write_graphite>{chr(10)}{graphite}</Plugin>" if nodes else ""}
{
        f'''<Plugin rrdtool>
  DataDir "{room}/rrd"
  CacheTimeout 0
  CacheFlush 1
</Plugin>
<Plugin csv>
  DataDir "{room}/csv"
</Plugin>'''
        if files
        else ""
    }
"""


@contextmanager
def running(
    nodes: Sequence[tuple[str, int, Mapping[str, str]]] = (), *,
    host: str = HOST, port: int = 8080, files: bool = False, percent: bool = False, names: str = "python3",
) -> Iterator[Collectd]:  # fmt: skip
    """Start collectd with write_graphite nodes of (name, carbon port, options). Raises MissingError.

    ``files``: it also writes RRD and CSV files; ``percent``: the CPU as shares of all cores; ``names``: the
    process whose threads and descriptors it counts.
    """
    home = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-collectd-", ignore_cleanup_errors=True) as name:
        room = Path(name)
        room.chmod(0o755)
        home = _reachable(home, room)
        for folder in ("run", "rrd", "csv"):
            (room / folder).mkdir()
            if os.geteuid() == 0:
                shutil.chown(room / folder, "nobody", "nogroup")
        text = configuration(room, home, nodes, host=host, port=port, files=files, percent=percent, names=names)
        (room / "collectd.conf").write_text(text)
        command = [str(home / "usr/sbin/collectd"), "-f", "-C", str(room / "collectd.conf")]
        with serving("collectd", command, libraries(home), room) as process:
            yield Collectd(room / "rrd", room / "csv", home)
            process.kill()  # asked to end, it writes for ten seconds what nobody reads


def _reachable(home: Path, room: Path) -> Path:
    """Return the programs where an ordinary user can read them: root's cache may be closed to them."""
    asked = subprocess.run(["test", "-r", home / "usr/sbin/collectd"], check=False, cwd="/", **ordinary())  # type: ignore[call-overload] # reason: user and group
    if asked.returncode == 0:
        return home
    try:
        shutil.copytree(home, room / "root", symlinks=True, copy_function=os.link)
    except (OSError, shutil.Error):  # another file system
        shutil.copytree(home, room / "root", symlinks=True, dirs_exist_ok=True)
    return room / "root"


class Sink:
    """A port that takes lines as carbon does and keeps their names."""

    def __init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.names: set[str] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(wire,), daemon=True).start()

    def _read(self, wire: socket.socket) -> None:
        with wire, wire.makefile("r", errors="replace") as lines:
            for row in lines:
                self.names.add(row.rsplit(" ", 2)[0])

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


def record(folder: Path, seconds: float = 8) -> dict[str, int]:
    """Write the names of each layout, sorted, to FOLDER/LAYOUT.txt; return how many each has."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    with ExitStack() as end, socket.create_server(("127.0.0.1", 0)) as listener:
        sinks = {name: Sink() for name in LAYOUTS}
        for sink in sinks.values():
            end.callback(sink.close)
        nodes = [(name, sinks[name].port, options) for name, options in LAYOUTS.items()]
        port = int(listener.getsockname()[1])
        with running(nodes, port=port):
            time.sleep(seconds)
        share = Sink()
        end.callback(share.close)
        with running([("percent", share.port, {"Prefix": '"collectd."'})], port=port, percent=True):
            time.sleep(seconds / 2)
    for name, found in (*((name, sink.names) for name, sink in sinks.items()), ("percent", share.names)):
        rows = sorted(re.sub(rf"([-.=]){port}-", r"\g<1>8080-", row) for row in found if not _DULL.search(row))
        (folder / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))
        counts[name] = len(rows)
    return counts


if __name__ == "__main__":
    sys.stdout.write(f"{record(RECORDED)}\n")
