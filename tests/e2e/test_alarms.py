"""``opsbrief alarms`` and ``--since alert`` as people call them, on a log of Nagios and one of Monit."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.conftest import Run

CONFIG = """
timezone: Europe/Berlin
sources:
  nagios: {type: nagioslog, path: "nagios*.log"}
  monit: {type: monit, log: monit.log, host: app1}
services:
  shop: {hosts: "app{1..2}"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a configuration and two hours of logs until now."""
    now = int(time.time())
    lines = [
        (now - 86400 * 2, "LOG ROTATION: DAILY"),
        (now - 3000, "SERVICE ALERT: app1;http;CRITICAL;SOFT;1;=timeout"),
        (now - 2900, "SERVICE ALERT: app1;http;CRITICAL;HARD;3;=timeout"),
        (now - 2800, "SERVICE ALERT: app1;http;OK;HARD;3;fine"),
        (now - 100, "SERVICE ALERT: db1;pg;CRITICAL;HARD;3;not ours"),
    ]
    (tmp_path / "nagios.log").write_text("".join(f"[{at}] {text}\n" for at, text in lines))
    monit = [(now - 86400 * 2, "'app' process is running with pid 1"), (now - 2850, "'app' trying to restart")]
    (tmp_path / "monit.log").write_text(
        "".join(f"[{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S%z}] info     : {text}\n" for at, text in monit)
    )
    (tmp_path / "opsbrief.yaml").write_text(CONFIG)
    return tmp_path


def test_alarms_in_three_forms(opsbrief: Run, place: Path) -> None:
    plain, table, document = (
        opsbrief("alarms", "--since", "2h", *form, cwd=place) for form in ((), ("--csv",), ("--json",))
    )
    assert plain.returncode == 0, plain.stderr
    assert [row.split()[-2] for row in plain.stdout.splitlines()[1:]][1] == "CRITICAL"
    assert "'=timeout" in table.stdout
    rows = json.loads(document.stdout)["rows"]
    assert [(row["source"], row["host"], row["what"]) for row in rows] == [
        ("nagios", "app1", "CRITICAL (soft)"),
        ("nagios", "app1", "CRITICAL"),
        ("monit", "app1", "restart"),
        ("nagios", "app1", "OK"),
    ]


def test_only_what_is_hard(opsbrief: Run, place: Path) -> None:
    done = opsbrief("alarms", "--since", "2h", "--hard", "--json", cwd=place)
    assert [row["what"] for row in json.loads(done.stdout)["rows"]] == ["CRITICAL", "restart", "OK"]


def test_a_window_since_the_alarm(opsbrief: Run, place: Path) -> None:
    done = opsbrief("window", "--since", "alert", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    anchor = json.loads(done.stdout)["anchor"]
    assert (anchor["kind"], anchor["ref"], anchor["source"]) == ("alert", "app1!http", "nagios")
    assert opsbrief("window", "--since", "alert:db1!pg", cwd=place).returncode == 0
    nobody = opsbrief("window", "--since", "alert:app2", cwd=place)
    assert nobody.returncode == 4
    assert "no hard problem of app2" in nobody.stderr


def test_the_brief_tells_alarm_and_restart(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "2h", "--format", "txt", "-o", tmp_path / "out", cwd=place)
    text = Path(done.stdout.strip()).read_text()
    assert "first alarm: app1 http CRITICAL" in " ".join(text.split())
    assert "first restart: app1 app" in " ".join(text.split())
