"""A real Prometheus (from Debian's package, unpacked), with a history that is written before it starts."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.debian import unpacked
from tests.system.graphite import MissingError, await_answer, free_port, ordinary, serving

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "prometheus"

NOW = int(time.time()) // 3600 * 3600
WEEK = 7 * 86400
HOURS = 3


@dataclass(slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str


def install() -> Path:
    """Return the folder of Prometheus's programs in the cache, fetching them when they are not there yet."""
    home = unpacked(CACHE, "prometheus") / "usr" / "bin"
    if not (home / "prometheus").exists():
        raise MissingError(f"no prometheus in {home}")
    return home


def story() -> list[str]:
    """Return the last hours before NOW, and those a week earlier, of two hosts that are scraped every 15 seconds.

    ``shop_connections`` counts the scrapes of its stretch, 1000 higher on app2. ``shop_young`` is there for the last
    hour alone, ``shop_requests_total`` grows by one a second, ``shop_slow`` has a value every two minutes.
    """
    stretches = [range(end - HOURS * 3600, end, 15) for end in (NOW - WEEK, NOW)]
    lines = []
    for number, host in enumerate(("app1", "app2")):
        own = f'instance="{host}:9100",job="shop"'
        for times in stretches:
            lines += [f"shop_connections{{{own}}} {i + 1000 * number} {at}" for i, at in enumerate(times)]
    for times in stretches:
        lines += [f'shop_requests_total{{instance="app1:9100"}} {at - NOW + 2 * WEEK} {at}' for at in times]
    for times in stretches:
        lines += [f'shop_slow{{host="app1.example.com"}} {i} {at}' for i, at in enumerate(times[::8])]
    return lines + [f'shop_young{{instance="app1:9100"}} 7 {at}' for at in stretches[1] if at >= NOW - 3600]


@contextmanager
def running(samples: Sequence[str]) -> Iterator[Prometheus]:
    """Start Prometheus with samples as OpenMetrics writes them (name{label="x"} value seconds).

    Those of a name stand together, in the order of time. Raises MissingError when it cannot be had.
    """
    home = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-prometheus-", ignore_cleanup_errors=True) as name:
        room = Path(name)
        room.chmod(0o755)
        for folder in (room / "data", room / "run"):
            folder.mkdir()
        (room / "samples").write_text("\n".join([*samples, "# EOF", ""]))
        (room / "prometheus.yml").write_text("global: {}\n")
        for each in ("prometheus", "promtool"):  # the cache may lie where an ordinary user cannot look
            shutil.copy(home / each, room / each)
        if os.geteuid() == 0:
            shutil.chown(room / "data", "nobody", "nogroup")
        blocks = [room / "promtool", "tsdb", "create-blocks-from", "openmetrics", room / "samples", room / "data"]
        subprocess.run(blocks, check=True, capture_output=True, timeout=120, cwd=room, **ordinary())  # type: ignore[call-overload] # reason: user and group
        port = free_port()
        command = [
            str(room / "prometheus"),
            f"--config.file={room / 'prometheus.yml'}",
            f"--storage.tsdb.path={room / 'data'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with serving("prometheus", command, {"PATH": os.environ["PATH"]}, room):
            await_answer(f"http://127.0.0.1:{port}/-/ready", room / "run" / "prometheus.log")
            yield Prometheus(f"http://127.0.0.1:{port}")
