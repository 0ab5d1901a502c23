"""A real shipper between a real log file and a real server: what rsyslog ships, opsbrief reads back."""

import os
import threading
import time
import urllib.error
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.system import rsyslog
from tests.system.elastic import MissingError, Server

from opsbrief.collect import collect
from opsbrief.model.evidence import LogSample
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.sources.elasticsearch import Elasticsearch

pytestmark = pytest.mark.system


@pytest.fixture(scope="module", autouse=True)
def shipper() -> None:
    try:
        rsyslog.install()
    except MissingError as error:
        if {"all", "rsyslog"} & set(os.environ.get("OPSBRIEF_REQUIRE", "").split(",")):
            raise
        pytest.skip(str(error))


def _arrived(server: Server, count: int) -> int:
    """Wait until so many lines are visible, and return how many there are."""
    end = time.monotonic() + 30
    pause = threading.Event()
    found = 0
    while found < count and time.monotonic() < end:
        with suppress(urllib.error.HTTPError):
            server.call("POST", "/logstash-*/_refresh")
            found = server.call("GET", "/logstash-*/_count?q=program:shipped")["count"]
        pause.wait(0.2)
    return found


def _lines(first: int, last: int) -> list[str]:
    return [f"Pool exhausted, waiting for slot {number}\n" for number in range(first, last)]


def test_lines_that_rsyslog_ships_are_read_back(es8: Server) -> None:
    started = datetime.now(UTC) - timedelta(minutes=1)
    with TemporaryDirectory() as name:
        log = Path(name) / "shop.log"
        log.write_text("".join(_lines(0, 300)))
        with rsyslog.shipping(Path(name), log, es8.url, "shipped"):
            _arrived(es8, 300)
            with log.open("a") as file:  # the file grows while it is followed
                file.writelines(_lines(300, 500))
            assert _arrived(es8, 500) == 500, (Path(name) / "output").read_text()
    scope = Scope(logs=(Logs(query="program:shipped"),))
    source = Elasticsearch(name="logs", url=es8.url, index="logstash-*", scope=scope)
    end = datetime.now(UTC) + timedelta(minutes=1)
    window = Window(start=started, end=end, anchor=Anchor("time", started), before=timedelta(0))
    evidence, _ = collect([("elasticsearch", source)], window, scope)
    assert not evidence.gaps
    (sample,) = evidence.items(LogSample)
    assert sample.total == 500
    assert {f"{record.body.strip()}\n" for record in sample.records} == set(_lines(0, 500))
    assert {record.severity_text for record in sample.records} == {"ERROR"}
    assert {record.resource["service.name"] for record in sample.records} == {"shipped"}
