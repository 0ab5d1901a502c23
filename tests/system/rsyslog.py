"""A real shipper: Debian's rsyslog with omelasticsearch, installed or unpacked into the cache."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.system.elastic import CACHE, MissingError, ordinary

PACKAGES = ("rsyslog", "rsyslog-elasticsearch", "libestr0", "libfastjson4", "liblognorm5")
CONFIG = """
module(load="imfile" mode="inotify")
module(load="omelasticsearch")
global(workDirectory="{room}")
template(name="index" type="string" string="logstash-%$year%.%$month%.%$day%")
template(name="doc" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="level" name="syslogseverity-text" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
input(type="imfile" file="{log}" tag="{tag}" severity="{severity}" facility="local0" freshStartTail="off")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="doc" searchIndex="index"
       dynSearchIndex="on" searchType="" bulkmode="on" errorFile="{room}/errors" action.resumeRetryCount="-1")
"""


def _under(root: Path) -> tuple[Path, Path] | None:
    """Return program and module folder below ``root``, where both are there."""
    program = next((path for path in (root / "usr/sbin/rsyslogd", root / "sbin/rsyslogd") if path.exists()), None)
    module = next(iter(root.glob("usr/lib/*/rsyslog/omelasticsearch.so")), None)
    return (program, module.parent) if program and module else None


def install() -> tuple[Path, Path]:
    """Return program and module folder: the installed ones, or Debian's packages unpacked into the cache."""
    cached = CACHE.parent / "rsyslog"
    found = _under(Path("/")) or _under(cached)
    if found is None and shutil.which("apt-get") and shutil.which("dpkg"):
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as name:
            room = Path(name)
            command = ["apt-get", "download", "-q", *PACKAGES]
            subprocess.run(command, cwd=room, capture_output=True, timeout=300, check=False)
            for package in room.glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, room / "root"], capture_output=True, timeout=60, check=False)
            with suppress(OSError):  # nothing came, or another run was faster
                (room / "root").rename(cached)
        found = _under(cached)
    if found is None:
        raise MissingError("rsyslog: apt-get install rsyslog rsyslog-elasticsearch")
    return found


@contextmanager
def shipping(room: Path, log: Path, url: str, tag: str, severity: str = "error") -> Iterator[None]:
    """Ship ``log`` into the server at ``url`` while the block runs, as an ordinary user who owns ``room``.

    Lines go to logstash-YYYY.MM.DD of local time, with the program ``tag``.
    """
    program, modules = install()
    if modules.is_relative_to(CACHE.parent):  # root's cache may be closed to an ordinary user
        shutil.copytree(CACHE.parent / "rsyslog", room / "rsyslog", symlinks=True)
        program, modules = (
            room / "rsyslog" / path.relative_to(CACHE.parent / "rsyslog") for path in (program, modules)
        )
    port = url.rpartition(":")[2]
    config = room / "rsyslog.conf"
    config.write_text(CONFIG.format(room=room, log=log, port=port, tag=tag, severity=severity))
    room.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(room, "nobody", "nogroup")
    command = [*ordinary(), str(program), "-n", "-f", str(config), "-i", str(room / "pid"), "-M", str(modules)]
    environment = {"LD_LIBRARY_PATH": str(modules.parent), "PATH": os.environ["PATH"]}
    with (room / "output").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
