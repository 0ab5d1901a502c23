"""A bundle as a server: our own sources read it back, and Grafana's questions are answered."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import CLEAN, Run

Json = dict[str, Any]


class Served:
    """The command, running."""

    def __init__(self, bundle: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "opsbrief", "serve", str(bundle)], env=CLEAN, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        self.findings: Json = json.loads((bundle / "findings.json").read_text())

    @property
    def window(self) -> tuple[int, int]:
        times = (self.findings["window"][end] for end in ("start", "end"))
        start, end = (int(time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))) - time.timezone for at in times)
        return start, end

    def ask(self, path: str, body: object = None, **headers: str) -> Any:
        """Return the parsed answer; ``body`` is a form (pairs), text, or an object for JSON."""
        data = None
        if isinstance(body, list):
            data, headers = urllib.parse.urlencode(body).encode(), {"Content-Type": FORM, **headers}
        elif body is not None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data=data, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - same
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()


FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def whole(opsbrief: Run, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of the story with every log line, not a sample."""
    config = story / "whole.yaml"
    text = (story / "opsbrief.yaml").read_text()
    assert "type: logfile" in text
    config.write_text(text.replace("type: logfile", "type: logfile, limit: 100000"))
    folder = tmp_path_factory.mktemp("whole")
    args = ("--config", config, "collect", "--since", "deploy", "-f", "txt", "-o", folder)
    done = opsbrief(*args, "--only", "graphite,logs,deploylog", cwd=story)
    assert done.returncode in {0, 3}, done.stderr
    return Path(done.stdout.strip()).parent


@pytest.fixture(scope="module")
def served(whole: Path) -> Iterator[Served]:
    server = Served(whole)
    yield server
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0
    assert server.process.stdout
    assert server.process.stderr
    server.process.stdout.close()
    server.process.stderr.close()


def test_our_own_sources_read_the_bundle_back(opsbrief: Run, story: Path, served: Served, tmp_path: Path) -> None:
    services = (story / "opsbrief.yaml").read_text().partition("\nservices:")[2]
    (tmp_path / "opsbrief.yaml").write_text(
        f"timezone: UTC\nsources:\n  graphite: {{type: graphite, url: '{served.url}', deploy_tags: [deploy, shop]}}\n"
        f"  logs: {{type: elasticsearch, url: '{served.url}', index: logs, limit: 100000}}\nservices:{services}"
    )
    start, end = served.window
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    done = opsbrief("collect", "--since", "deploy", "--until", until, "--json", "-f", "txt", cwd=tmp_path)
    again = json.loads(done.stdout)
    assert again["window"]["anchor"]["ref"] == "2.14.0"
    assert again["window"]["start"] == served.findings["window"]["start"], start
    codes = {"shift", "series", "impact", "wide-net", "log-volume", "log-pattern", "log-summary", "placebo"}
    one, other = (
        [
            (row["code"], row["subject"], row["verdict"], row["before"], row["after"], row["shape"], row["hosts"])
            for row in found["findings"]
            if row["code"] in codes
        ]
        for found in (served.findings, again)
    )
    assert other == one
    assert len(one) > 20


def test_grafana_finds_its_way_through_the_names(served: Served) -> None:
    # As its Graphite data source asks, when it is tested and when a query is put together.
    start, end = served.window
    (constant,) = served.ask("/render", [("target", "constantLine(100)"), ("from", "-24h"), ("until", "now"),
                                         ("format", "json"), ("maxDataPoints", "300")])  # fmt: skip
    assert constant["datapoints"][0][0] == 100
    nodes = served.ask(f"/metrics/find?from={start}&until={end}&query=stats.*")
    assert [(node["text"], node["expandable"]) for node in nodes] == [("shop", 1), ("timers", 1)]
    (leaf,) = served.ask("/metrics/find", [("query", "stats.shop.http_5xx"), ("from", str(start))])
    assert (leaf["leaf"], leaf["expandable"]) == (1, 0)
    assert served.ask("/functions") == {}
    assert served.ask("/version") == "1.1.10"
    assert served.ask("/metrics/expand?query=stats.shop.*") == {
        "results": ["stats.shop.http_5xx", "stats.shop.requests"]
    }


def test_grafana_draws_a_panel(served: Served) -> None:
    start, end = served.window
    form = [("target", "stats.shop.requests"), ("target", "stats.none.*"), ("from", str(start)), ("until", str(end)),
            ("format", "json"), ("maxDataPoints", "40"), ("requestId", "Q1")]  # fmt: skip
    (series,) = served.ask("/render", form)
    assert series["target"] == "stats.shop.requests"
    assert 20 <= len(series["datapoints"]) <= 40
    assert all(start < at <= end + 600 for _, at in series["datapoints"])
    (fine,) = served.ask("/render", [pair for pair in form if pair[0] != "maxDataPoints"])
    values = [value for value, _ in fine["datapoints"] if value is not None]
    coarse = [value for value, _ in series["datapoints"] if value is not None]
    assert min(values) <= min(coarse) <= max(coarse) <= max(values)


def test_grafana_marks_the_deploy(served: Served) -> None:
    start, end = served.window
    (event,) = served.ask(f"/events/get_data?from={start - 60}&until={end}&tags=deploy")
    assert event["when"] == start
    assert event["tags"] == ["deploy", "shop"]
    assert served.ask(f"/events/get_data?from={start + 1}&until={end}&tags=deploy") == []
    assert served.ask("/events/get_data?tags=deploy%20other") == []


def test_grafana_counts_log_lines(served: Served) -> None:
    # As its Elasticsearch data source asks: one header and one body a query, NDJSON.
    start, end = served.window
    span = {"range": {"@timestamp": {"gte": start * 1000, "lte": end * 1000, "format": "epoch_millis"}}}
    search = {"bool": {"filter": [span, {"query_string": {"analyze_wildcard": True, "query": "log.level:ERROR"}}]}}
    per_minute = {
        "date_histogram": {
            "field": "@timestamp", "fixed_interval": "30s", "min_doc_count": 0, "format": "epoch_millis",
            "extended_bounds": {"min": start * 1000, "max": end * 1000},
        }
    }  # fmt: skip
    head = {"search_type": "query_then_fetch", "ignore_unavailable": True, "index": "logs"}
    body = {"size": 0, "query": search, "aggs": {"2": per_minute}}
    answer = served.ask("/_msearch?max_concurrent_shard_requests=5", f"{json.dumps(head)}\n{json.dumps(body)}\n")
    (found,) = answer["responses"]
    buckets = found["aggregations"]["2"]["buckets"]
    assert sum(bucket["doc_count"] for bucket in buckets) == found["hits"]["total"]["value"] > 100
    assert (end - start) // 30 <= len(buckets) <= (end - start) // 30 + 2
    assert {after["key"] - before["key"] for before, after in pairwise(buckets)} == {30_000}


def test_grafana_shows_log_lines(served: Served) -> None:
    body = {
        "size": 500, "query": {"bool": {"filter": [{"query_string": {"query": '"not released after response"'}}]}},
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}],
        "fields": ["*"], "script_fields": {}, "highlight": {"fields": {"*": {}}},
    }  # fmt: skip
    hits = served.ask("/logs/_search", body)["hits"]["hits"]
    times = [hit["sort"][0] for hit in hits]
    assert len(hits) == 500
    assert times == sorted(times, reverse=True)
    assert all("not released after response" in hit["_source"]["message"] for hit in hits)
    more = served.ask("/logs/_search", {**body, "search_after": hits[-1]["sort"]})["hits"]["hits"]
    assert not {hit["_id"] for hit in hits} & {hit["_id"] for hit in more}
    assert more[0]["sort"] <= hits[-1]["sort"]
    mapping = served.ask("/logs/_mapping")["logs"]["mappings"]["properties"]
    assert mapping["@timestamp"] == {"type": "date"}


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("log.level:ERROR AND timeout", True),
        ("log.level:(WARN OR ERROR) AND NOT released", True),
        ("+timeout -released", True),
        ("message:*pool*main*", True),
        ("host.name:app? AND _exists_:log.level", True),
        ('"timeout waiting for connection"', True),
        ("log.level:ERROR AND NOT log.level:ERROR", False),
        ("nosuchword", False),
        ("nosuchfield:x OR nosuchword", False),
    ],
)
def test_query_strings(served: Served, words: str, *, fits: bool) -> None:
    found = served.ask("/logs/_count", {"query": {"query_string": {"query": words}}})
    assert (found["count"] > 0) is fits


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/render?target=sumSeries(stats.*.*)", None, 400, "works out no functions"),
        ("/render?target=stats.(", None, 400, "is no name of a function"),
        ("/render?target=a&from=never", None, 400, "never"),
        ("/render?target=a&format=png", None, 400, "pictures are in the bundle"),
        ("/none/_search", {}, 404, "index_not_found_exception"),
        ("/logs/_search", {"query": {"regexp": {}}}, 400, "unknown query [regexp]"),
        ("/logs/_search", {"query": {"range": 7}}, 400, "cannot be read"),
        ("/logs/_search", {"query": {"query_string": {"query": "(" * 5000}}}, 400, "nested too deep"),
        ("/logs/_search", {"query": {"query_string": {"query": "a AND"}}}, 400, "Failed to parse"),
        ("/logs/_search", {"size": "many"}, 400, "cannot be read"),
        ("/logs/_search", {"size": 99999}, 400, "less than or equal to: [10000]"),
        ("/logs/_search", {"aggs": {"x": {"geo_bounds": {}}}}, 400, "unknown aggregation"),
        ("/logs/_search", "[" * 100_000, 400, "no JSON"),
        ("/logs/_doc/1", {"message": "new"}, 404, "nothing is known"),
        ("/_bulk", "{}", 404, "nothing is known"),
        ("/../../etc/passwd", None, 404, "nothing is known"),
    ],
)
def test_what_is_not_understood_is_said_and_nothing_is_changed(
    served: Served, path: str, body: object, status: int, said: str
) -> None:
    code, text = served.ask(path, body)
    assert code == status
    assert said in text
    assert "Traceback" not in text


def test_only_this_machine_is_answered(served: Served) -> None:
    code, _ = served.ask("/", Host="evil.example")
    assert code == 403
    code, _ = served.ask("/", Host="127.0.0.1.evil.example:80")
    assert code == 403
    port = int(served.url.rpartition(":")[2])
    listening = Path("/proc/net/tcp").read_text() if os.path.exists("/proc/net/tcp") else ""  # noqa: PTH110 - read at once
    assert not listening or f"0100007F:{port:04X}" in listening


def test_a_taken_port_is_a_sentence(opsbrief: Run, served: Served, whole: Path) -> None:
    done = opsbrief("serve", whole, "--port", served.url.rpartition(":")[2])
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing can be served at 127.0.0.1" in done.stderr
