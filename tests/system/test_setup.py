"""init and check against a real Graphite and a real Elasticsearch that asks for a password."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.system.elastic import Server
from tests.system.graphite import Graphite

pytestmark = pytest.mark.system


def run(*args: str, cwd: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with a bare environment."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "opsbrief", *args]
    return subprocess.run(
        command, cwd=cwd, env=clean | env, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def servers(graphite: Graphite, es7: Server) -> tuple[Graphite, Server]:
    """Return both with collectd's series of four hosts and ten log lines, all fresh."""
    now = int(time.time()) // 60 * 60
    for number in range(1, 5):
        for tail in ("load.load.shortterm", "tcpconns-8080-local.tcp_connections-ESTABLISHED", "cpu-0.cpu-idle"):
            graphite.write_whisper(f"fleet.web{number}.{tail}", np.arange(120.0), now - 119 * 60)
    es7.index("setup-logs")
    at = datetime.now(UTC) - timedelta(minutes=5)
    docs = [{"@timestamp": (at + timedelta(seconds=n)).isoformat(), "message": f"line {n}"} for n in range(10)]
    es7.bulk("setup-logs", docs)
    return graphite, es7


def test_init_probes_both_and_check_agrees(servers: tuple[Graphite, Server], tmp_path: Path) -> None:
    graphite, es7 = servers
    done = run(
        "init", "--service", "shop", "--graphite", graphite.url, "--elasticsearch", es7.url, "--index", "setup-logs",
        "--elasticsearch-user", "elastic", "--elasticsearch-password-env", "ES_PASSWORD",
        cwd=tmp_path, ES_PASSWORD=es7.password,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "opsbrief.yaml").read_text()
    assert es7.password not in text + done.stdout + done.stderr
    assert 'hosts: ["web{1..4}"]' in text
    assert "dashboard: collectd" in text
    checked = run("check", "--json", cwd=tmp_path, ES_PASSWORD=es7.password)
    document = json.loads(checked.stdout)
    found = {row["source"]: row["figures"] for row in document["sources"] if row["asked"] == "data"}
    assert (checked.returncode, document["exit"]) == (0, 0)
    assert found["graphite"]["dashboard"] == ["connections on 8080", "load", "CPU idle"]
    assert found["graphite"]["series"] == 12
    assert found["graphite"]["newest_point_age"] < 600
    assert found["logs"]["lines"] == 10


def test_check_says_who_does_not_let_us_in(servers: tuple[Graphite, Server], tmp_path: Path) -> None:
    text = (
        f"sources: {{logs: {{type: elasticsearch, url: '{servers[1].url}', index: setup-logs, "
        "auth: {user: elastic, password: {env: ES_PASSWORD}}}}"
    )
    (tmp_path / "opsbrief.yaml").write_text(text)
    wrong = run("check", cwd=tmp_path, ES_PASSWORD="hunter2")
    assert wrong.returncode == 3
    assert "unauthorized" in wrong.stdout
    assert "hunter2" not in wrong.stdout + wrong.stderr
    assert "the environment variable ES_PASSWORD is not set" in run("check", cwd=tmp_path).stdout
