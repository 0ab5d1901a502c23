"""A Graphite and an Elasticsearch on one loopback port, every answer baked beforehand.

They answer what opsbrief, curl and the scripts beside it really ask, in the form that graphite-web 1.1 and
Elasticsearch 8 document, and cost next to nothing themselves. What the real ones cost or how fast they are
is not measured with it:

- ``POST /render`` for any of 30 panels x 4 hosts x 1,440 points, ``format=raw`` or ``json``
- ``_field_caps``, ``_search`` with counts and a histogram over 10,000 lines of 100 patterns
- a point in time over 1,000,000 hits, for ``fetch.py``
- ``/bytes/N``

    python bench/peer.py [--delay 0.2]      prints its port, serves until its input ends
"""

import argparse
import json
import random
import re
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

PANELS, HOSTS, POINTS = 30, 4, 1440
END = 1_795_186_800  # 2026-11-20T15:00:00Z
FIRST, SINCE = END - POINTS * 60, END - 4 * 3600  # 20 hours before the release, four after it
LINES = 5_000  # before the release, and as many after it
HITS = 1_000_000
STREAM = "stream"  # the index of the million
_SHARDS = b'"_shards":{"total":1,"successful":1,"skipped":0,"failed":0}'


def name(panel: int, host: int) -> str:
    """Return the name of a series."""
    return f"shop.panel{panel:02d}.app{host + 1}.value"


def series() -> dict[str, list[float | None]]:
    """Return the values of every series: noise on a slow wave; every sixth panel moves at the release."""
    chance = random.Random(1)
    found: dict[str, list[float | None]] = {}
    at = (SINCE - FIRST) // 60
    for panel in range(PANELS):
        level = chance.uniform(20, 400)
        for host in range(HOSTS):
            walk, row = 0.0, []
            for place in range(POINTS):
                walk = 0.98 * walk + chance.gauss(0, level * 0.01)
                jump = level * 0.6 * (panel % 6 == 0 and place >= at)
                value = level + walk + jump + chance.gauss(0, level * 0.03)
                row.append(None if chance.random() < 0.002 else round(value, 3))
            found[name(panel, host)] = row
    return found


def hits() -> Iterator[tuple[int, str, bytes]]:
    """Yield (epoch ms, level, hit as JSON) of every line: 100 patterns, five of them only after the release."""
    chance = random.Random(2)
    words = [
        "cart",
        "order",
        "payment",
        "session",
        "stock",
        "price",
        "user",
        "cache",
        "queue",
        "worker",
        "index",
        "mail",
    ]
    verbs = ["loaded", "stored", "sent", "rejected", "retried", "expired", "closed", "opened", "checked", "merged"]
    kinds = []
    for number in range(100):
        level = "ERROR" if number % 20 == 19 else "WARN" if number % 10 == 4 else "INFO"
        text = f"{chance.choice(words)} {chance.choice(words)} {chance.choice(verbs)} step{chr(97 + number % 26)}"
        parts = (" id={}", " after {} ms", " from 10.{}.0.7", " attempt {} of 5", " size {} bytes")
        kinds.append((level, f"{text} in {chance.choice(words)}" + "".join(chance.sample(parts, 3))))
    weights = [1 / (1 + number % 95) for number in range(100)]
    for begin, end, share in ((FIRST, SINCE, weights[:95] + [0] * 5), (SINCE, END, weights)):
        for _ in range(LINES):
            at = chance.randrange(begin * 1000, end * 1000)
            level, text = chance.choices(kinds, share)[0]
            body = text.format(*(chance.randrange(10 ** chance.randint(2, 6)) for _ in range(3)))
            yield at, level, _hit(at, level, body, f"app{chance.randint(1, HOSTS)}")


def _hit(at: int, level: str, body: str, host: str) -> bytes:
    iso = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {
        "@timestamp": iso,
        "message": body,
        "log": {"level": level, "logger": "shop.web"},
        "host": {"name": host},
        "service": {"name": "shop"},
    }
    return json.dumps({"_source": document, "fields": {"@timestamp": [str(at)]}, "sort": [0.5]}).encode()


class Baked:
    """All answers, in memory."""

    def __init__(self) -> None:
        """Make them; the same every time."""
        self.raw: dict[str, bytes] = {}
        self.json: dict[str, bytes] = {}
        for key, row in series().items():
            values = ",".join("None" if value is None else str(value) for value in row)
            self.raw[key] = f"{key},{FIRST},{END},60|{values}\n".encode()
            points = [[value, FIRST + 60 * place] for place, value in enumerate(row)]
            entry = {"target": key, "tags": {"name": key}, "datapoints": points}
            self.json[key] = json.dumps(entry).encode()
        lines = sorted(hits(), key=lambda line: line[0])
        self.stretches = {
            (FIRST, SINCE): self._stretch([line for line in lines if line[0] < SINCE * 1000]),
            (SINCE, END): self._stretch([line for line in lines if line[0] >= SINCE * 1000]),
        }
        self.caps = json.dumps(
            {
                "indices": ["logs"],
                "fields": {
                    "@timestamp": {"date": {"type": "date", "searchable": True, "aggregatable": True}},
                    "log.level": {"keyword": {"type": "keyword", "searchable": True, "aggregatable": True}},
                },
            }
        ).encode()
        body = "connection pool exhausted after {} ms for shop-db-1.example, 32 of 32 in use"
        self.page = [_hit(FIRST * 1000 + at, "ERROR", body.format(at), "app1") for at in range(5000)]
        self.bytes: dict[int, bytes] = {}

    @staticmethod
    def _stretch(lines: list[tuple[int, str, bytes]]) -> bytes:
        random.Random(3).shuffle(lines)  # they come in the order of a random score
        minutes: dict[int, Counter[str]] = {}
        for at, level, _ in lines:
            minutes.setdefault(at // 60_000 * 60_000, Counter())[level] += 1
        buckets = [
            {
                "key_as_string": str(key),
                "key": key,
                "doc_count": sum(counts.values()),
                "level": {
                    "doc_count_error_upper_bound": 0,
                    "sum_other_doc_count": 0,
                    "buckets": [{"key": level, "doc_count": count} for level, count in counts.most_common()],
                },
            }
            for key, counts in sorted(minutes.items())
        ]
        return b'{"timed_out":false,%b,"hits":{"total":{"value":%d,"relation":"eq"},"hits":[%b]},"aggregations":%b}' % (
            _SHARDS,
            len(lines),
            b",".join(hit for _, _, hit in lines),
            json.dumps({"volume": {"buckets": buckets}}).encode(),
        )

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, bytes]:
        """Return (media type, body) for one request."""
        parts = urlsplit(target)
        if parts.path == "/render":
            return self._render(parse_qsl(body.decode() or parts.query))
        if parts.path.startswith("/bytes/"):
            size = int(parts.path.rpartition("/")[2])
            return "application/octet-stream", self.bytes.setdefault(size, b"0123456789abcdef" * (size // 16))
        return "application/json", self._elastic(method, parts.path, json.loads(body or b"{}"))

    def _render(self, form: list[tuple[str, str]]) -> tuple[str, bytes]:
        targets = [self._named(value) for key, value in form if key == "target"]
        if ("format", "raw") in form:
            return "text/plain", b"".join(self.raw[key] for keys in targets for key in keys)
        return "application/json", b"[" + b", ".join(self.json[key] for keys in targets for key in keys) + b"]"

    def _named(self, target: str) -> list[str]:
        pattern = re.compile(re.escape(target).replace(r"\*", "[^.]*"))
        return [target] if target in self.raw else [key for key in self.raw if pattern.fullmatch(key)]

    def _elastic(self, method: str, path: str, body: dict[str, Any]) -> bytes:
        if path.endswith("/_pit"):
            return b'{"id":"baked"}'
        if method == "DELETE":
            return b'{"succeeded":true,"num_freed":1}'
        if path.endswith("/_field_caps"):
            return self.caps
        if body.get("size") == 0:
            return b"{%b}" % _SHARDS
        if "pit" in body:
            return self._page(body)
        span = next(match for match in re.findall(r'"gte": (\d+)\d{3}, "lt": (\d+)\d{3}', json.dumps(body)))
        return self.stretches[int(span[0]), int(span[1])]

    def _page(self, body: dict[str, Any]) -> bytes:
        done = body.get("search_after", [0, 0])[1]
        rows = self.page[: min(body["size"], HITS - done)]
        if rows:
            rows[-1] = rows[-1].replace(b'"sort": [0.5]', b'"sort": [%d, %d]' % (FIRST, done + len(rows)))
        return b'{"pit_id":"baked","timed_out":false,%b,"hits":{"hits":[%b]}}' % (_SHARDS, b",".join(rows))


class Handler(socketserver.StreamRequestHandler):
    """HTTP/1.1 as far as the clients of the benches need it."""

    baked: ClassVar[Baked]
    delay: ClassVar[float] = 0.0
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer requests until the client closes."""
        while line := self.rfile.readline():
            method, target, _ = line.decode().split()
            size = 0
            while (header := self.rfile.readline().strip().lower()) != b"":
                if header.startswith(b"content-length:"):
                    size = int(header.partition(b":")[2])
                if header.startswith(b"expect:"):
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            kind, body = self.baked.answer(method, target, self.rfile.read(size))
            if self.delay:
                time.sleep(self.delay)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            self.connection.sendall(head.encode() + b"X-elastic-product: Elasticsearch\r\n\r\n")
            self.connection.sendall(body)


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    options = parser.parse_args()
    Handler.baked, Handler.delay = Baked(), options.delay
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
