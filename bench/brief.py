"""What a typical brief costs, from the start of the process to its end, beside its floor and the usual script.

30 panels of 4 series of 1,440 points, 10,000 log lines of 100 patterns, 200 commits; loopback servers with
baked answers (``peer.py``), a git repository. Every way takes its turn in each round:

- the floor: ``curl`` (8 at once) and ``git log``, everything thrown away
- ``opsbrief collect`` for the HTML page alone, and for page, Markdown and text with their PNGs
- ``sensible.py``: requests, eight threads, matplotlib, one regular expression a line

    python bench/brief.py [--rounds 9] [--cache FOLDER]

CPU is user and system time of the process and the programs it started. With ``--delay`` seconds before every
answer (0.2) the walls are compared with the source that took longest.
"""

import argparse
import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from measure import Cost, Ways, goal, middle, ratio, rounds, run, table
from peer import END, FIRST, HOSTS, PANELS, SINCE, name

BENCH = Path(__file__).resolve().parent
FLOOR, PAGE, ALL, USUAL = "curl and git log (floor)", "opsbrief, HTML", "opsbrief, HTML, md, txt, PNGs", "sensible.py"


def configuration(url: str, repository: Path) -> str:
    """Return the opsbrief.yaml of the typical brief."""
    metrics = [
        {"name": f"panel {number:02d}", "target": f"shop.panel{number:02d}.{{host}}.value"} for number in range(PANELS)
    ]
    document = {
        "version": 1,
        "sources": {
            "graphite": {"type": "graphite", "url": url},
            "logs": {"type": "elasticsearch", "url": url, "index": "logs"},
            "code": {"type": "git", "path": str(repository), "role": "infrastructure"},
        },
        "services": {"shop": {"hosts": [f"app{host + 1}" for host in range(HOSTS)], "metrics": metrics}},
    }
    return json.dumps(document, indent=1)  # JSON is YAML


def history() -> Iterator[bytes]:
    """Yield a fast-import stream: 1,500 files of 120 lines, 2,000 commits of which the last 200 are in the window."""
    chance = random.Random(4)
    files = {f"m{number % 30}/d{number % 7}/f{number}.py": _lines(chance, 120) for number in range(1500)}
    for number in range(2000):
        at = FIRST + 400 * (number - 1800)
        changed = list(files) if number == 0 else chance.sample(list(files), chance.randint(1, 4))
        yield b"commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 10\nchange %03d" % (
            at,
            number % 1000,
        )
        for path in changed:
            place = chance.randrange(100)
            files[path][place : place + chance.randint(0, 6)] = _lines(chance, chance.randint(1, 8))
            data = b"".join(files[path])
            yield b"\nM 100644 inline %b\ndata %d\n%b" % (path.encode(), len(data), data)
        yield b"\n"


def _lines(chance: random.Random, count: int) -> list[bytes]:
    return [b"    value_%x = call(%d)\n" % (chance.getrandbits(60), chance.getrandbits(20)) for _ in range(count)]


def repository(folder: Path) -> Path:
    """Make the repository unless it is there."""
    path = folder / "brief-1.git"
    if not path.exists():
        draft = Path(tempfile.mkdtemp(dir=folder)) / "git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(draft)], check=True)
        stream = b"".join(history())
        subprocess.run(["git", "fast-import", "--quiet"], cwd=draft, input=stream, check=True)
        subprocess.run(["git", "gc", "-q"], cwd=draft, check=True)
        draft.rename(path)
    return path


@contextmanager
def serving(delay: float = 0.0) -> Iterator[str]:
    """Yield the URL of a peer of our own."""
    argv = [sys.executable, str(BENCH / "peer.py"), "--delay", str(delay)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def floor(url: str, repo: Path, folder: Path) -> Callable[[], Cost]:
    """Return the floor: a request for each panel, the same questions to the log store, the same history."""
    requests = []
    for number in range(PANELS):
        targets = "&".join(f"target={name(number, host)}" for host in range(HOSTS))
        requests.append(("render", f"{targets}&from={FIRST - 1}&until={END - 1}&format=raw"))
    requests += [("logs/_search", '{"size": 0}'), ("logs/_field_caps?fields=log.level", "{}")]
    for begin, end in ((FIRST, SINCE), (SINCE, END)):
        span = json.dumps({"range": {"@timestamp": {"gte": begin * 1000, "lt": end * 1000}}})
        requests.append(("logs/_search", f'{{"size": 5000, "query": {span}}}'))
    entries = [
        f'url = "{url}/{path}"\ndata = {json.dumps(body)}\noutput = "/dev/null"\nsilent\n' for path, body in requests
    ]
    (folder / "curl").write_text("next\n".join(entries))
    log = f"git -C {repo} log --since={FIRST} --until={END} -z --raw --numstat HEAD"
    script = f"{log} >/dev/null & curl --parallel --parallel-max 8 --config {folder / 'curl'}; wait"
    return lambda: run(["sh", "-c", script])


def collect(url: str, repo: Path, folder: Path, formats: str) -> Callable[[], Cost]:
    """Return one run of opsbrief in a place of its own."""
    folder.mkdir()
    (folder / "opsbrief.yaml").write_text(configuration(url, repo))
    command = [str(Path(sys.executable).with_name("opsbrief")), "--config", str(folder / "opsbrief.yaml"), "collect"]
    times = [f"--{word}={datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}" for word, at in _ENDS]
    argv = [*command, *times, "--baseline=before:20h", f"--format={formats}", "-o", str(folder / "out")]
    mine = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}

    def once() -> Cost:
        shutil.rmtree(folder / "out", ignore_errors=True)
        return run(argv, {**os.environ, **mine})

    return once


_ENDS = (("since", SINCE), ("until", END))


def bundle(folder: Path) -> Path:
    """Return the one bundle that a run left."""
    (found,) = (folder / "out").glob("opsbrief-*")
    return found


def whole(folder: Path) -> None:
    """Stop unless the brief has everything: a run that failed early would be cheap."""
    manifest = json.loads((bundle(folder) / "manifest.json").read_text())
    items = {source["name"]: source["items"] for source in manifest["sources"]}
    lines = sum(1 for _ in (bundle(folder) / "evidence" / "logs.jsonl").open()) - 2
    page = (bundle(folder) / "brief.html").read_text()
    found = {**items, "lines": lines, "charts": page.count("<svg"), "gaps": len(manifest["gaps"])}
    print("in the brief:", ", ".join(f"{value:,} {key}" for key, value in found.items()))
    if items["graphite"] != PANELS * HOSTS or items["code"] < 200 or lines != 10_000 or manifest["gaps"]:
        raise SystemExit("the brief is not whole: the measurement is worth nothing")


def delayed(folder: Path, repo: Path, delay: float, count: int) -> None:
    """Print what the waiting for slow servers costs beyond the slowest source."""
    with serving(delay) as url:
        ways: Ways = {PAGE: collect(url, repo, folder / "slow", "html")}
        extra, walls = [], []
        for _ in range(count):
            wall = ways[PAGE]().wall
            manifest = json.loads((bundle(folder / "slow") / "manifest.json").read_text())
            slowest = max(manifest["sources"], key=lambda source: source["took"])
            walls.append(wall)
            extra.append(wall - slowest["took"])
    middle_wall, over = statistics.median(walls), statistics.median(extra)
    print(f"\n{delay * 1000:g} ms before every answer: {middle_wall:.2f} s wall, of it the slowest source", end=" ")
    print(f"({slowest['name']}) {middle_wall - over:.2f} s in {slowest['requests']} requests")
    goal("wall beyond the slowest source", over, 0.5, " s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--cache", type=Path, help="keep the repository in this folder for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opsbrief-bench-") as path:
        folder = Path(path)
        repo = repository(options.cache or folder)
        with serving() as url:
            (folder / "usual").mkdir()
            script = [sys.executable, str(BENCH / "sensible.py"), url, str(repo), str(folder / "usual")]
            ways = {
                FLOOR: floor(url, repo, folder),
                PAGE: collect(url, repo, folder / "page", "html"),
                ALL: collect(url, repo, folder / "all", "html,md,txt"),
                USUAL: lambda: run(script),
            }
            rows = rounds(ways, options.rounds)
        whole(folder / "page")
        pages = {PAGE: bundle(folder / "page") / "brief.html", USUAL: folder / "usual" / "brief.html"}
        sizes = {name: len(gzip.compress(page.read_bytes(), 6)) / 1e6 for name, page in pages.items()}
        load = " ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{options.rounds} rounds, medians; Python {sys.version.split()[0]}, load {load}\n")
        table(rows, FLOOR)
        drawn = statistics.median(row[ALL].cpu - row[PAGE].cpu for row in rows)
        print()
        goal("HTML beside the floor", ratio(rows, PAGE, FLOOR), 5, " x")
        goal("HTML beside sensible.py", ratio(rows, PAGE, USUAL), 0.1, " x")
        goal("PNGs, Markdown and text on top", drawn, 1.5, " s CPU")
        goal("peak of the whole run", max(middle(rows, PAGE, "peak"), middle(rows, ALL, "peak")), 250, " MB")
        goal("HTML gzipped", sizes[PAGE], 0.4, " MB")
        print(f"        (sensible.py's page: {sizes[USUAL]:.2f} MB)")
        delayed(folder, repo, options.delay, max(3, options.rounds // 2))


if __name__ == "__main__":
    main()
