"""Jobs over the standard Executor interface: one service that fails costs the others nothing."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbrief.errors import ConfigError
from opsbrief.model.digest import Report
from opsbrief.weekly import fleet
from opsbrief.weekly.job import Job
from opsbrief.weekly.period import week

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
CONFIG = """
timezone: UTC
sources:
  releases: {type: deploylog, path: deploys.tsv}
services:
  shop: {hosts: [app1]}
"""
DEPLOYS = """\
2026-11-11T10:00:00Z\t1.0\tshop 1.0
2026-11-17T10:00:00Z\t1.1\tshop 1.1
2026-11-17T11:30:00Z\t1.2\tshop 1.2
2026-11-22T23:30:00Z\t1.3\tshop 1.3
2026-11-23T01:00:00Z\t2.0\tshop 2.0
"""


def jobs(folder: Path, *services: str) -> list[Job]:
    (folder / "opsbrief.yaml").write_text(CONFIG)
    (folder / "deploys.tsv").write_text(DEPLOYS)
    return [
        Job(
            files=(str(folder / "opsbrief.yaml"),), service=service, number=number, period=week(None, NOW, "UTC"),
            now=NOW, look=timedelta(hours=4),
        )
        for number, service in enumerate(services, 1)
    ]  # fmt: skip


def run(folder: Path, *services: str) -> dict[str, Report]:
    with ThreadPoolExecutor(2) as pool:
        return {report.service: report for report in fleet.run(jobs(folder, *services), pool)}


def test_a_service_that_fails_has_a_report_that_says_why(tmp_path: Path) -> None:
    reports = run(tmp_path, "nope", "shop")
    assert "there is no service 'nope'" in reports["nope"].error
    assert reports["shop"].error == ""


def test_the_releases_of_the_period_each_with_its_stretch(tmp_path: Path) -> None:
    report = run(tmp_path, "shop")["shop"]
    assert [(one.deploy.ref, one.end - one.start, one.cut) for one in report.episodes] == [
        ("1.1", timedelta(minutes=90), "1.2 followed, 1h 30m after it"),
        ("1.2", timedelta(hours=4), ""),
        ("1.3", timedelta(minutes=90), "2.0 followed, 1h 30m after it"),
    ]
    assert [one.previous.ref for one in report.episodes if one.previous] == ["1.0", "1.1", "1.2"]
    assert report.earlier == 1


def test_jobs_and_reports_travel_between_machines(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, "shop")
    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own bytes
    report = run(tmp_path, "shop")["shop"]
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - same


@pytest.mark.parametrize("address", ["", "here", "http://host:1", "tcp://host", "tcp://host:1/x", "tcp://a b:1"])
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no address"), fleet.dask(address):
        pass
