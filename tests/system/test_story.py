"""The same story from the real servers and from the files gives the same brief.

The demo's whisper files go into a real Graphite, its deploys become Graphite events, its log lines
are loaded into Elasticsearch or OpenSearch; the installed command then asks the servers.
"""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.system.elastic import Server
from tests.system.graphite import Graphite

from opsbrief.demo import build, story
from opsbrief.demo.build import CONFIG

pytestmark = pytest.mark.system

END = datetime.now().astimezone().replace(microsecond=0)

SERVERS = """\
sources:
  graphite: {{type: graphite, url: "{graphite}", deploy_tags: [deploy, story]}}
  logs:
    type: elasticsearch
    url: "{url}"
    index: "{index}"
    timeout: 60
    limit: 20000
{login}
  puppet: {{type: git, path: repos/puppet, role: infrastructure}}
  shop: {{type: git, path: repos/shop, role: application, deploy_tags: "v*"}}
  agents: {{type: puppetreport, path: "reports/*/*.yaml"}}
  monit: {{type: monit, log: "monit/*.log", host: '([a-z0-9]+)\\.log'}}
  icinga: {{type: nagioslog, path: icinga.log}}

deploys: [graphite, shop]
"""
LOGIN = """\
    auth: {{user: "{user}", password: {{env: STORY_PASSWORD}}}}
    tls: {{ca_file: "{ca_file}"}}
"""


def lines(folder: Path) -> Iterator[dict[str, str]]:
    """Yield every record of the demo's log files as a shipper would send it."""
    head = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) (\w+) +(.*)")
    for path in sorted(folder.glob("*.log*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        record: dict[str, str] = {}
        for line in raw.decode().splitlines():
            if match := head.fullmatch(line):
                if record:
                    yield record
                day, clock, milli, level, message = match.groups()
                record = {
                    "@timestamp": f"{day}T{clock}.{milli}Z", "log.level": level, "message": message,
                    "host.name": path.name.split(".")[0], "service.name": "shop",
                }  # fmt: skip
            else:
                record["message"] += "\n" + line
        yield record


MAPPING = {
    "properties": {
        "@timestamp": {"type": "date"}, "message": {"type": "text"},
        "log": {"properties": {"level": {"type": "keyword"}}},
        "host": {"properties": {"name": {"type": "keyword"}}},
        "service": {"properties": {"name": {"type": "keyword"}}},
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the story's files once."""
    place = tmp_path_factory.mktemp("story")
    build(place / "files", END)
    return place / "files"


@pytest.fixture(scope="module")
def fed(graphite: Graphite, folder: Path) -> Graphite:
    """Feed Graphite with the story's series and deploys."""
    start = int(story.minutes(END)[0])
    for name, values in story.series(END):
        graphite.write_whisper(name, np.asarray(values), start)
    for row in (folder / "deploy.log").read_text().splitlines():
        at, ref, text = row.split("\t")
        graphite.event(text, datetime.fromisoformat(at).timestamp(), ["deploy", "story"], ref)
    return graphite


def collect(folder: Path, config: Path, out: Path, **env: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "opsbrief", "--config", str(config), "collect", "shop", "--since", "deploy"]
    done = subprocess.run(
        [*command, "--until", END.isoformat(), "--json", "-o", str(out)], cwd=folder, capture_output=True, text=True,
        check=False, env=os.environ | env, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def told(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a brief says, without where it comes from."""
    codes = {"shift", "impact", "log-pattern", "alibi"}
    return {
        f"{finding['code']} {finding['subject']}": (
            finding["verdict"], finding.get("shape"), sorted(finding.get("hosts", [])),
        )
        for finding in document["findings"]
        if finding["code"] in codes
    }  # fmt: skip


@pytest.fixture(scope="module")
def from_files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the files tell; all lines are read on both sides, because samples differ."""
    config = folder / "whole.yaml"
    config.write_text(CONFIG.replace("type: logfile,", "type: logfile, limit: 20000,"))
    return collect(folder, config, tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize("server", ["es8", "os2"])
def test_the_servers_tell_the_same_story_as_the_files(
    fed: Graphite, folder: Path, from_files: dict[str, Any], tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    search: Server = request.getfixturevalue(server)
    search.index("story-logs", shards=2, mappings=MAPPING)
    assert search.bulk("story-logs", lines(folder / "logs")) > 10_000
    login = LOGIN.format(user=search.user, ca_file=search.ca_file) if search.user else ""
    sources = SERVERS.format(graphite=fed.url, url=search.url, index="story-logs", login=login)
    config = folder / f"{server}.yaml"
    config.write_text("timezone: Europe/Berlin\n" + sources + CONFIG[CONFIG.index("services:") :])
    document = collect(folder, config, tmp_path, STORY_PASSWORD=search.password)
    assert document["window"]["anchor"]["ref"] == "2.14.0"
    assert document["gaps"] == []
    assert told(document) == told(from_files)
    assert document["headline"] == from_files["headline"]
