"""The examples for cron and systemd: what they call is there, and systemd understands them."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from opsbrief.cli.weekly import command

FOLDER = Path(__file__).parents[2] / "examples" / "cron"


def calls() -> list[list[str]]:
    """Return the arguments behind ``weekly`` in every example."""
    unit, table = (FOLDER / name for name in ("opsbrief-weekly.service", "crontab"))
    lines = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    lines += [line for line in table.read_text().splitlines() if line[:1].isdigit()]
    return [shlex.split(line.partition(" weekly ")[2]) for line in lines]


def test_every_option_that_the_examples_use_is_there() -> None:
    assert len(calls()) == 2
    for arguments in calls():
        given = command.make_context("weekly", arguments).params
        assert given["cron"]
        assert given["only_if_changed"]
        assert given["send"] == ""
        assert given["wait"] == "30m"


def test_both_examples_start_at_the_same_time_and_spread_over_ten_minutes() -> None:
    timer = (FOLDER / "opsbrief-weekly.timer").read_text()
    assert "OnCalendar=Mon *-*-* 06:30" in timer
    assert "RandomizedDelaySec=10min" in timer
    assert "Persistent=true" in timer
    assert "\n30 6 * * 1 " in (FOLDER / "crontab").read_text()
    assert "--jitter 10m" in (FOLDER / "crontab").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    units = [tmp_path / f"opsbrief-weekly.{kind}" for kind in ("timer", "service")]
    for unit in units:
        shutil.copy(FOLDER / unit.name, unit)
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
