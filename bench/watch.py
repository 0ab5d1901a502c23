"""What a watch costs: CPU between ticks and per tick on a terminal, and memory over ten thousand ticks.

    python bench/watch.py [SECONDS]

A story of the demo that goes on into the future is watched on a terminal of 80 by 24, every 30 s as a person would,
for SECONDS (90). CPU of the process (children too) is read from the kernel twice a second; a stretch without a
tick is "between ticks". Then the analysis is run over ten thousand ticks of a simulated clock.
"""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.world import World, plan

from opsbrief.demo.build import build
from opsbrief.watch import Watch

_HERTZ = os.sysconf("SC_CLK_TCK")
_TICK = re.compile(rb"tick ([0-9]+) at")


def spent(pid: int) -> float:
    """Return the CPU seconds of a process and the children it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _HERTZ


def resident(pid: int | str = "self") -> float:
    """Return the resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def live(seconds: float, every: int) -> None:
    """Watch a story on a terminal and print what it costs."""
    with tempfile.TemporaryDirectory() as folder:
        config = build(Path(folder) / "story", datetime.now(UTC) + timedelta(minutes=90))
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "opsbrief", "--config", str(config), "watch", "--since", "deploy"]
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        process = subprocess.Popen(
            [*command, "--every", f"{every}s"], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=config.parent
        )
        rows = _observe(process.pid, ours, seconds)
        os.write(ours, b"q")
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    os.read(ours, 65536)
        process.kill()
        process.wait()
    at, cpu, number = (np.array(column) for column in zip(*rows, strict=True))
    ticked = np.diff(number) > 0
    busy = ticked | np.roll(ticked, -1) | np.roll(ticked, 1)  # a tick is seen when it is over
    quiet = ~busy & (number[1:] > 0)
    between = float(np.diff(cpu)[quiet].sum() / np.diff(at)[quiet].sum())
    first = int(np.flatnonzero(number > 0)[0])
    later = int(number[-1]) - 1
    used = float(cpu[-1] - cpu[first])
    print(f"start and first tick   {cpu[first]:6.2f} s CPU, {at[first] - at[0]:.1f} s")
    print(f"between ticks          {100 * between:6.2f} % of one core, over {float(np.diff(at)[quiet].sum()):.0f} s")
    if later:
        print(f"each later tick        {(used - between * float(at[-1] - at[first])) / later:6.2f} s CPU")
    print(f"on the whole           {100 * used / float(at[-1] - at[first]):6.2f} % of one core, a tick every {every} s")


def _observe(pid: int, terminal: int, seconds: float) -> list[tuple[float, float, int]]:
    """Return (wall seconds, CPU seconds, number of the tick on the screen), twice a second."""
    rows, number, written = [], 0, 0
    begun = due = time.monotonic()
    while due - begun < seconds:
        due += 0.5
        while (left := due - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                heard = os.read(terminal, 65536)
                written += len(heard)
                number = max([number, *map(int, _TICK.findall(heard))])
        rows.append((time.monotonic() - begun, spent(pid), number))
    print(f"written to the terminal {written / seconds / 1024:5.1f} kB/s; resident {resident(pid):.0f} MB")
    return rows


def long(ticks: int) -> None:
    """Run the whole analysis over simulated days and print time and memory along the way."""
    world = World()
    watch = Watch(plan(world))
    print("\n   ticks   simulated   ms a tick   resident MB")
    begun = time.process_time()
    for number in range(1, ticks + 1):
        watch.tick(world.pass_(30))
        if number in (100, 1000, 2000, 5000, 10000):
            each = 1000 * (time.process_time() - begun) / number
            print(f"{number:8,}   {number * 30 / 3600:7.1f} h   {each:9.1f}   {resident():11.1f}", flush=True)


if __name__ == "__main__":
    live(float(sys.argv[1]) if len(sys.argv) > 1 else 90.0, 30)
    long(10000)
