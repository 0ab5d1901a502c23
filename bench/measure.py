"""What the benches share: the cost of a finished process, rounds in which every way takes its turn, one table."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process and the children it waited for took: CPU and wall seconds, and the largest peak in MB."""

    cpu: float
    wall: float
    peak: float


def run(argv: Sequence[str], env: Mapping[str, str] | None = None, allow: Sequence[int] = (0,)) -> Cost:
    """Run a program to its end, its output thrown away. Stops the bench when it fails.

    Python may keep what it compiled, as an installed package does: a source that is edited here costs a
    compilation in the round that does not count, and not in each.
    """
    env = {name: value for name, value in (env or os.environ).items() if name != "PYTHONDONTWRITEBYTECODE"}
    with Path(os.devnull).open("r+b") as nothing:
        started = time.perf_counter()
        process = subprocess.Popen(argv, env=env, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE)
        with process.stderr or nothing as errors:
            said = errors.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allow:
        raise SystemExit(f"{' '.join(argv)[:300]} ended with {process.returncode}: {said.decode()[-1000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


Ways = Mapping[str, Callable[[], Cost]]


def rounds(ways: Ways, count: int) -> list[dict[str, Cost]]:
    """Let every way take its turn ``count`` times, after one turn that is not counted; return the rounds."""
    found = []
    for number in range(-1, count):
        row = {name: way() for name, way in ways.items()}
        if number >= 0:
            found.append(row)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def ratio(rows: Sequence[Mapping[str, Cost]], name: str, floor: str) -> float:
    """Return the median of the per-round ratios of CPU time."""
    return statistics.median(row[name].cpu / row[floor].cpu for row in rows)


def middle(rows: Sequence[Mapping[str, Cost]], name: str, what: str = "cpu") -> float:
    """Return the median of ``what`` (cpu, wall or peak)."""
    return statistics.median(getattr(row[name], what) for row in rows)


def table(rows: Sequence[Mapping[str, Cost]], floor: str) -> None:
    """Print medians, and CPU as a multiple of ``floor``."""
    print(f"{'':44} {'CPU ms':>8} {'x floor':>8} {'wall ms':>8} {'peak MB':>8}")
    for name in rows[0]:
        cpu, wall, peak = (middle(rows, name, what) for what in ("cpu", "wall", "peak"))
        print(f"{name:44} {cpu * 1000:8.1f} {ratio(rows, name, floor):8.2f} {wall * 1000:8.0f} {peak:8.0f}")


def goal(what: str, value: float, most: float, unit: str = "") -> None:
    """Print one figure beside its goal."""
    print(f"{'reached' if value <= most else 'MISSED '}  {what}: {value:.2f}{unit} (goal: at most {most:g}{unit})")
