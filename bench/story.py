"""Whether all sources of the story together cost no more than the slowest of them and a second.

Seven servers that answer at once but for a delay of their own before every answer, two sources that are files
or a repository: ``opsbrief collect`` over all of them, then over each one alone, in turn in every round.
The series, lines and commits are those of ``brief.py``; Prometheus, Icinga DB Web, Monit and PuppetDB answer a
little of each kind. Goal: the wall of all together is within a second of that of the slowest alone.

    python bench/story.py [--rounds 5] [--cache FOLDER]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import peer
from brief import configuration, repository
from measure import Cost, goal, middle, rounds, run, table
from peer import END, FIRST, HOSTS, SINCE

#: Seconds before every answer of each server: a slow Graphite, a search engine that sorts, checks on old machines.
DELAYS = {"graphite": 0.4, "logs": 0.3, "prometheus": 0.15, "icinga": 0.5, "monit": 0.25, "puppetdb": 0.35}
FILES = ("code", "nagios")
TOGETHER = "all together"
NAMES = [f"app{host + 1}" for host in range(HOSTS)]


def told(at: int) -> str:
    """Return an instant as PuppetDB writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def icinga(path: str, _form: dict[str, list[str]]) -> Any:  # noqa: ANN401 - any JSON
    """Answer as Icinga DB Web does: each host fell and came back once after the release."""
    if path.endswith("/hosts"):
        return [{"name": host} for host in NAMES]
    if not path.endswith("/history"):
        return []
    rows = []
    for number, host in enumerate(NAMES):
        for state, minutes in ((2, 20), (0, 26)):
            change = {"state_type": "hard", "hard_state": str(state), "output": f"state {state}"}
            about = {"host": {"name": host}, "service": {"name": "http"}, "object_type": "service"}
            at = f"{SINCE + 60 * minutes + number}.000"
            rows.append({"event_type": "state_change", "event_time": at, **about, "state": change})
    return rows


def prometheus(_path: str, form: dict[str, list[str]]) -> Any:  # noqa: ANN401 - same
    """Answer a range query with one flat series a host."""
    start, end, step = (int(float(form[name][0])) for name in ("start", "end", "step"))
    values = [[at, "10"] for at in range(start, end + 1, step)]
    rows = [{"metric": {"__name__": "up", "instance": host}, "values": values} for host in NAMES]
    return {"status": "success", "data": {"resultType": "matrix", "result": rows}}


def puppetdb(path: str, _form: dict[str, list[str]]) -> Any:  # noqa: ANN401 - same
    """Answer as PuppetDB does: every node was looked at, and nothing on it was changed."""
    if path.endswith("/nodes"):
        return [{"certname": host, "report_timestamp": told(END - 900)} for host in NAMES]
    if not path.endswith("/reports"):
        return []
    return [
        {
            "hash": f"{host}-{at}", "certname": host, "start_time": told(at - 30), "end_time": told(at),
            "receive_time": told(at + 1), "status": "unchanged", "noop": False, "noop_pending": False,
            "cached_catalog_status": "not_used", "configuration_version": "9f3c2e1", "environment": "production",
            "corrective_change": False, "puppet_version": "7.9.0",
        }
        for host in NAMES for at in range(FIRST + 900, END, 1800)
    ]  # fmt: skip


def monit(path: str, _form: dict[str, list[str]]) -> bytes:
    """Answer as Monit does: its status, and the page with its log."""
    if path.endswith("/_viewlog"):
        stamp = datetime.fromtimestamp(SINCE + 1500, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        early = datetime.fromtimestamp(FIRST - 60, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        lines = f"[{early}] info     : Starting Monit 5.33.0 daemon\n[{stamp}] info     : 'app' trying to restart\n"
        return f"<html><body><textarea cols=120>{lines}</textarea></body></html>".encode()
    service = (
        f'<service type="3"><name>app</name><collected_sec>{END}</collected_sec><status>0</status><monitor>1</monitor>'
    )
    server = "<server><version>5.33.0</version><uptime>99999</uptime><localhostname>app1</localhostname></server>"
    return f'<?xml version="1.0"?><monit>{server}{service}<pid>9</pid><uptime>99999</uptime></service></monit>'.encode()


ANSWERS: dict[str, Callable[[str, dict[str, list[str]]], Any]] = {
    "icinga": icinga,
    "monit": monit,
    "prometheus": prometheus,
    "puppetdb": puppetdb,
}


class Story(peer.Baked):
    """The answers of all servers; the first part of the path says whose."""

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, bytes]:
        """Wait as long as that server takes, then answer."""
        name, _, rest = target.lstrip("/").partition("/")
        time.sleep(DELAYS[name])
        if name not in ANSWERS:
            return super().answer(method, f"/{rest}", body)
        parts = urlsplit(f"/{rest}")
        found = ANSWERS[name](parts.path, parse_qs(parts.query or body.decode()))
        return ("text/xml", found) if isinstance(found, bytes) else ("application/json", json.dumps(found).encode())


@contextmanager
def serving() -> Iterator[str]:
    """Yield the base URL of the servers, in a process of their own."""
    argv = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def serve() -> None:
    """Serve until the input ends; the port is the first line of the output."""
    peer.Handler.baked = Story()
    with peer.Server(("127.0.0.1", 0), peer.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


def settings(url: str, repo: Path, folder: Path) -> Path:
    """Write the configuration of the story and the log of its Nagios; return the configuration."""
    log = folder / "nagios.log"
    entries = [f"[{FIRST - 60}] Nagios 4.4.6 starting... (PID=9)"]
    entries += [
        f"[{SINCE + 1200 + at}] SERVICE ALERT: {host};pool;CRITICAL;HARD;3;full" for at, host in enumerate(NAMES)
    ]
    log.write_text("\n".join(entries) + "\n")
    document = json.loads(configuration(f"{url}/graphite", repo))
    document["sources"]["logs"]["url"] = f"{url}/logs"
    document["sources"] |= {
        "nagios": {"type": "nagioslog", "path": str(log)},
        "prometheus": {"type": "prometheus", "url": f"{url}/prometheus", "targets": ["up"]},
        "icinga": {"type": "icinga", "url": f"{url}/icinga", "history": "icingadb"},
        "monit": {"type": "monit", "url": f"{url}/monit"},
        "puppetdb": {"type": "puppetdb", "url": f"{url}/puppetdb"},
    }
    for metric in document["services"]["shop"]["metrics"]:
        metric["source"] = "graphite"
    path = folder / "opsbrief.yaml"
    path.write_text(json.dumps(document))
    return path


def ways(config: Path, folder: Path) -> dict[str, Callable[[], Cost]]:
    """Return a run over all sources, and one over each alone."""
    times = [
        f"--{word}={datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}" for word, at in (("since", SINCE), ("until", END))
    ]
    mine = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}

    def way(*only: str) -> Callable[[], Cost]:
        out = folder / ("-".join(only) or "all")
        argv = [sys.executable, "-m", "opsbrief", "--config", str(config), "collect", *times, "--baseline=before:20h"]
        argv += ["--format=html", "-o", str(out), *(f"--only={name}" for name in only)]

        def once() -> Cost:
            subprocess.run(["rm", "-rf", str(out)], check=True)
            return run(argv, {**os.environ, **mine}, allow=(0, 3))  # 3: what fakes do not know is a gap

        return once

    return {TOGETHER: way(), **{name: way(name) for name in (*DELAYS, *FILES)}}


def whole(folder: Path) -> None:
    """Stop unless every source brought something."""
    manifest = json.loads((bundle_of(folder) / "manifest.json").read_text())
    print("items:", ", ".join(f"{source['name']} {source['items']:,}" for source in manifest["sources"]))
    if any(not source["items"] for source in manifest["sources"]):
        raise SystemExit(f"a source brought nothing: the measurement is worth nothing; gaps: {manifest['gaps']}")


def bundle_of(folder: Path) -> Path:
    """Return the bundle of the run over all sources."""
    (found,) = (folder / "all").glob("opsbrief-*")
    return found


def main() -> None:
    """Serve, or measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="keep the repository in this folder for the next time")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    with tempfile.TemporaryDirectory(prefix="opsbrief-bench-") as path, serving() as url:
        folder = Path(path)
        rows = rounds(ways(settings(url, repository(options.cache or folder), folder), folder), options.rounds)
        whole(folder)
    table(rows, TOGETHER)
    slowest = max((name for name in rows[0] if name != TOGETHER), key=lambda name: middle(rows, name, "wall"))
    alone = sum(middle(rows, name, "wall") for name in rows[0] if name != TOGETHER)
    over = statistics.median(row[TOGETHER].wall - row[slowest].wall for row in rows)
    print(
        f"\nload {os.getloadavg()[0]:.1f}; the slowest alone is {slowest}; one after the other they take {alone:.1f} s"
    )
    more = statistics.median(row[TOGETHER].cpu - row[slowest].cpu for row in rows)
    print(f"what all together compute beyond it, which an idle machine can take at most: {more:.2f} s of CPU")
    goal(f"wall of all together beyond {slowest} alone", over, 1.0, " s")


if __name__ == "__main__":
    main()
