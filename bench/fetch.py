"""What fetching costs: a big answer beside a raw socket, and a million log lines in how much memory.

    python bench/fetch.py [--rounds 15] [--megabytes 32]

CPU time of this process, interleaved, medians of per-round ratios. The raw socket asks by hand and receives into
one buffer of the right size; opsbrief's client keeps clock, cap and errors, and gives the bytes to its caller.
The million lines come through the paging of the elasticsearch source (a point in time, pages as it chooses them)
from a peer that serves baked pages, in a process of its own; each becomes a log record and is dropped.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from brief import serving
from measure import goal
from peer import END, FIRST, HITS, STREAM

from opsbrief.readers.search.cluster import Cluster
from opsbrief.readers.search.fields import layout
from opsbrief.readers.search.lines import record
from opsbrief.readers.search.paging import Pager
from opsbrief.readers.search.sampling import Question, lines
from opsbrief.sources.elasticsearch import Elasticsearch
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.http import Client


def raw(url: str, size: int) -> Callable[[], int]:
    """Return the floor: one connection, one request, everything received into one buffer."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()

    def fetch() -> int:
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(request)
            done, view = 0, memoryview(bytearray(size + 4096))
            while done < size:
                done += connection.recv_into(view[done:])
        return done

    return fetch


def cost(work: Callable[[], int], least: int) -> float:
    started = time.process_time()
    if work() < least:
        raise SystemExit("not all of it came")
    return time.process_time() - started


def fetching(url: str, size: int, count: int) -> None:
    """Print the client's cost beside the raw socket's."""
    floor = raw(f"{url}/bytes/{size}", size)
    with Client(url, Deadline(600), cap=size + 1) as http:
        ways = {"raw": floor, "opsbrief": lambda: len(http.get(f"/bytes/{size}").body)}
        for work in ways.values():
            work()
        rows = [{name: cost(work, size) for name, work in ways.items()} for _ in range(count)]
    mine, theirs = (statistics.median(row[name] for row in rows) * 1000 for name in ("opsbrief", "raw"))
    print(f"{size / 1e6:.0f} MB: opsbrief {mine:.1f} ms CPU, raw socket {theirs:.1f} ms")
    goal(f"fetching {size / 1e6:.0f} MB", statistics.median(row["opsbrief"] / row["raw"] for row in rows), 1.2, " x")


def memory(field: str) -> float:
    """Return a figure of this process in MB: VmRSS now, VmHWM at the most so far."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")) / 1024


def stream(url: str) -> None:
    """Read every hit of the peer's million, and print what it took. Runs in a process of its own."""
    source = Elasticsearch(name="bench", url=url, index=STREAM)
    fields, deadline = layout("auto"), Deadline(600)
    span = (datetime.fromtimestamp(at, UTC) for at in (FIRST, END))
    question = Question(index=STREAM, fields=fields, time="@timestamp", start=next(span), end=next(span))
    with source.client(deadline) as http:
        cluster = Cluster(http, deadline)
        if cluster.missing([STREAM]):  # asked first by the source too; says which product it is
            raise SystemExit("the peer does not know its own index")
        pager = Pager(cluster, source.client)
        idle, started = memory("VmRSS"), time.process_time()
        found = (
            record(hit, fields, "@timestamp")
            for hit in lines(pager, question, question.matching(), [{"@timestamp": "asc"}])
        )
        count = sum(each is not None for each in found)
    spent = time.process_time() - started
    if count != HITS:
        raise SystemExit(f"{count} of {HITS} hits came")
    print(f"{count:,} hits: {spent:.1f} s CPU, {1e6 * spent / count:.1f} us each; idle process {idle:.0f} MB")
    goal("memory above the idle process", memory("VmHWM") - idle, 64, " MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--stream", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        stream(options.stream)
        return
    with serving() as url:
        for megabytes in sorted({10, options.megabytes}):
            fetching(url, megabytes << 20, options.rounds)
        subprocess.run([sys.executable, __file__, "--stream", url], check=True)


if __name__ == "__main__":
    main()
