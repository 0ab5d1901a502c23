"""A service whose storage grows while somebody watches: whisper files, a log and a deploy log, a datapoint a second."""

import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from opsbrief.demo.whisper import write
from opsbrief.readers.graphite.whisper import ARCHIVE, HEADER, POINT

CONFIG = """\
timezone: UTC
sources:
  graphite: {type: whisper, path: whisper}
  logs: {type: logfile, path: "logs/*.log", zone: UTC}
  deploylog: {type: deploylog, path: deploy.log}
deploys: [deploylog]
services:
  shop:
    hosts: [app1, app2]
    metrics:
      - {name: connections, target: "collectd.{host}.connections", worse: up, unit: conn, limit: 400, key: true}
      - {name: p95, target: stats.p95, worse: up, unit: ms}
defaults: {out: briefs, baseline: [before]}
"""
POINTS = 7200
HOSTS = ("app1", "app2")


class Growing:
    """The storage of a leaking service, one second at a time."""

    def __init__(self, folder: Path, now: int, *, age: int = 240, before: int = 600) -> None:
        """Write what there is at ``now`` (epoch seconds): a release ``age`` seconds ago, ``before`` seconds of calm."""
        self.folder, self.now, self.release = folder, now, now - age
        self.fix: int | None = None
        self._rng = np.random.default_rng(7)
        (folder / "logs").mkdir(parents=True)
        (folder / "opsbrief.yaml").write_text(CONFIG)
        start = now - age - before
        times = range(start, now + 1)
        for name, values in self._series(list(times)).items():
            path = folder / "whisper" / f"{name.replace('.', '/')}.wsp"
            write(path, [(1, POINTS)], start, 1, np.array(values))
        (folder / "logs" / "app1.log").write_text("".join(self._line(at) for at in times))
        self._deploy(self.release, "2.0")

    def advance(self, now: int) -> None:
        """Append what happened since the last time."""
        times = list(range(self.now + 1, now + 1))
        for name, values in self._series(times).items():
            _append(self.folder / "whisper" / f"{name.replace('.', '/')}.wsp", times, values)
        with (self.folder / "logs" / "app1.log").open("a") as file:
            file.write("".join(self._line(at) for at in times))
        self.now = now

    def repair(self) -> None:
        """Roll the fix out now."""
        self.fix = self.now
        self._deploy(self.now, "2.1")

    def _deploy(self, at: int, ref: str) -> None:
        with (self.folder / "deploy.log").open("a") as file:
            file.write(f"{datetime.fromtimestamp(at, UTC).isoformat()}\t{ref}\tshop {ref}\n")

    def _leaks(self, at: int) -> bool:
        return at >= self.release and (self.fix is None or at < self.fix)

    def _series(self, times: list[int]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {
            f"collectd.{host}.connections": [
                20 + float(self._rng.normal(0, 1)) + (at - self.release if self._leaks(at) else 0) for at in times
            ]
            for host in HOSTS
        }
        return found | {"stats.p95": [120 + float(self._rng.normal(0, 4)) for _ in times]}

    def _line(self, at: int) -> str:
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S,000")
        usual = f"{stamp} INFO  GET /products/{at} 200\n"
        return usual + (f"{stamp} ERROR connection {at} not released\n" if self._leaks(at) else "")


def _append(path: Path, times: list[int], values: list[float]) -> None:
    """Store points as carbon does: each in the slot that its time has in the ring."""
    with path.open("r+b") as file:
        file.seek(HEADER.size)
        offset, step, points = ARCHIVE.unpack(file.read(ARCHIVE.size))
        file.seek(offset)
        base = np.frombuffer(file.read(POINT.itemsize), POINT)["time"][0]
        for at, value in zip(times, values, strict=True):
            file.seek(offset + (at - int(base)) // step % points * POINT.itemsize)
            file.write(struct.pack(">Ld", at, value))


def feeder(folder: Path, seconds: int, fix_after: int) -> "subprocess.Popen[bytes]":
    """Start a process that lets the storage in ``folder`` grow for so long, and rolls the fix out after a while."""
    return subprocess.Popen([sys.executable, str(Path(__file__)), str(folder), str(seconds), str(fix_after)])


if __name__ == "__main__":
    import time

    where, lasts, fixed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    begun = int(time.time())
    story = Growing(where, begun)
    while time.time() < begun + lasts:
        time.sleep(0.5)
        story.advance(int(time.time()))
        if story.fix is None and 0 <= fixed <= time.time() - begun:
            story.repair()
