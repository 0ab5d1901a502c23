"""What a window deep in a big history costs: opsbrief's git source against a bare ``git rev-list``.

A history of 50,000 commits is made with ``git fast-import``; the window is a week, four fifths of the way
down. All ways take their turn in every round; figures are CPU time of git and of Python together,
medians, and medians of the ratios to ``git rev-list --count HEAD`` within a round. The interpreter's own
start is not in it: a brief pays it once for all sources.

    python bench/git.py [--rounds 9] [--commits 50000] [--repo FOLDER]
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbrief.model.evidence import Change
from opsbrief.model.window import Anchor, Window
from opsbrief.sources.git import Git
from opsbrief.transport.deadline import Deadline

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
EVERY = 3000  # seconds between two commits


def history(count: int) -> Iterator[bytes]:
    """Yield a fast-import stream: a branch with short topics merged into it, a few files a commit."""
    chance = random.Random(count)
    start = int(END.timestamp()) - count * EVERY
    main = topic = 0
    for number in range(1, count + 1):
        who = b"Ada <ada@example.org> %d +0000" % (start + number * EVERY)
        text = b"commit %d: %d" % (number, chance.getrandbits(60))
        merge = topic and chance.random() < 0.3
        on_topic = not merge and (chance.random() < 0.4)
        yield b"commit refs/heads/main\nmark :%d\nauthor %b\ncommitter %b\ndata %d\n%b\n" % (
            number, who, who, len(text), text,
        )  # fmt: skip
        parent = topic if on_topic and topic else main
        if parent:
            yield b"from :%d\n" % parent
        if merge:
            yield b"merge :%d\n" % topic
        for _ in range(1 if merge else chance.randint(1, 4)):
            name = b"d%d/e%d/f%d" % (chance.randint(0, 19), chance.randint(0, 9), chance.randint(0, 4))
            data = b"%x\n" % chance.getrandbits(400) * chance.randint(1, 6)
            yield b"M 100644 inline %b\ndata %d\n%b\n" % (name, len(data), data)
        if on_topic:
            topic = number
        else:
            main, topic = number, 0 if merge else topic
    yield b"reset refs/heads/main\nfrom :%d\n" % main


def build(folder: Path, count: int) -> Path:
    """Make the repository unless it is there; it has no commit-graph."""
    path = folder / f"history-{count}.git"
    if not path.exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        with subprocess.Popen(["git", "fast-import", "--quiet", "--force"], cwd=path, stdin=subprocess.PIPE) as process:
            for part in history(count):
                process.stdin.write(part)  # type: ignore[union-attr]  # asked for above
            process.stdin.close()  # type: ignore[union-attr]  # same
        subprocess.run(["git", "-c", "gc.writeCommitGraph=false", "gc", "-q"], cwd=path, check=True)
    return path


def cost(work: Callable[[], object]) -> float:
    """Return the CPU seconds of ``work``, its child processes included."""

    def now() -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    before = now()
    work()
    return now() - before


def ways(path: Path, graphed: Path, window: Window, scratch: Path) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name; the first is the floor."""
    span = (f"--since={int(window.whole.start.timestamp())}", f"--until={int(window.end.timestamp())}")

    def git(*args: str, at: Path = path) -> Callable[[], object]:
        return lambda: subprocess.run(["git", *args], cwd=at, check=True, stdout=subprocess.DEVNULL)

    def source(cache: str, *, fresh: bool = False, **options: object) -> Callable[[], object]:
        def ask() -> None:
            if fresh:
                shutil.rmtree(scratch / cache, ignore_errors=True)
            os.environ["XDG_CACHE_HOME"] = str(scratch / cache)
            asked = Git(name="bench", path=str(path), role="infrastructure", limit=5000, **options)  # type: ignore[arg-type]  # options vary
            found = [item for item in asked.collect(window, Deadline(120)) if isinstance(item, Change)]
            if not found:
                raise SystemExit("nothing found: the measurement is worth nothing")

        return ask

    (scratch / "none").write_text("no folder, so no cache")
    return {
        "git rev-list --count HEAD (floor)": git("rev-list", "--count", "HEAD"),
        "the same with a commit-graph": git("rev-list", "--count", "HEAD", at=graphed),
        "git log --raw --numstat of the window": git("log", *span, "--raw", "--numstat", "HEAD"),
        "opsbrief, graph there": source("warm"),
        "opsbrief, first time (makes it)": source("cold", fresh=True),
        "opsbrief, no cache possible": source("none"),
        "git log ... -- d3": git("log", *span, "--raw", "--numstat", "HEAD", "--", "d3"),
        "opsbrief, only: d3/**": source("warm", only=("d3/**",)),
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--commits", type=int, default=50_000)
    parser.add_argument("--repo", type=Path, help="keep the history in this folder for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opsbrief-bench-") as name:
        scratch = Path(name)
        path = build(options.repo or scratch, options.commits)
        graphed = scratch / "graphed.git"
        subprocess.run(["git", "clone", "-q", "--bare", "--shared", str(path), str(graphed)], check=True)
        subprocess.run(["git", "commit-graph", "write", "--reachable", "--no-progress"], cwd=graphed, check=True)
        start = END - timedelta(seconds=int(options.commits * 0.8) * EVERY)
        window = Window(
            start=start, end=start + timedelta(days=4), anchor=Anchor("time", start), before=timedelta(days=3)
        )
        before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        asked = ways(path, graphed, window, scratch)
        asked["opsbrief, graph there"]()
        rows = [{name: cost(work) for name, work in asked.items()} for _ in range(options.rounds)]
        touched = before != {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    floor = next(iter(asked))
    print(f"{options.commits:,} commits, {options.rounds} rounds; CPU seconds, git and Python")
    for way in asked:
        ratio = statistics.median(row[way] / row[floor] for row in rows)
        print(f"{way:40} {statistics.median(row[way] for row in rows):7.3f} s {ratio:6.2f} x")
    print(f"the repository itself: {'CHANGED' if touched else 'untouched'}")


if __name__ == "__main__":
    main()
