"""The alibi from real servers: commits from a real Git repository, runs from a real PuppetDB, one brief."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.system.puppetdb import NOW, PuppetDb, event, report
from tests.system.repository import Repo

import opsbrief
from opsbrief.model.brief import Brief
from opsbrief.model.finding import Finding
from opsbrief.render import text

pytestmark = pytest.mark.system

CONFIG = """
timezone: UTC
defaults: {{baseline: [before:3h]}}
sources:
  manifests: {{type: git, path: {repo}, role: infrastructure}}
  puppet: {{type: puppetdb, url: "{url}"}}
services:
  shop:
    hosts: [{hosts}]
    infrastructure: {{freeze: mon-sun, paths: [modules/shop, icinga]}}
"""


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


class Story:
    """An afternoon of two nodes whose agents run every half an hour; the release was an hour and a half ago."""

    def __init__(self, folder: Path, puppetdb: PuppetDb, name: str) -> None:
        self.folder, self.puppetdb = folder, puppetdb
        self.nodes = (f"{name}1", f"{name}2")
        self.repo = Repo.new(folder / "manifests")
        self.old = self.repo.commit(
            ago(9000), "As it was", {"modules/shop/init.pp": "a\n", "icinga/a.conf": "max = 3\n"}
        )

    def runs(self, last: str = "", **more: object) -> list[dict[str, object]]:
        """Return the runs of both nodes, from the release on with ``last`` where that is given."""
        return [
            report(f"{node}.shop.example", ago(at), last if last and at < 90 else self.old, **more)
            for node in self.nodes
            for at in (295, 265, 235, 205, 175, 145, 115, 85, 55, 25)
        ]

    def collect(self) -> tuple[Finding, Brief, str]:
        """Return the alibi, the brief and its first page."""
        hosts = ", ".join(self.nodes)
        config = self.folder / "opsbrief.yaml"
        config.write_text(CONFIG.format(repo=self.repo.path, url=self.puppetdb.url, hosts=hosts))
        result = opsbrief.collect(
            "shop", since=ago(90).isoformat(), until=NOW.isoformat(), config=config, out=self.folder, formats=["txt"]
        )
        (found,) = (one for one in result.findings if one.code == "alibi")
        page = text.render(result.brief)
        return found, result.brief, " ".join(page.split("─" * 20)[0].split())


def test_quiet_servers_rule_the_infrastructure_out_with_their_coverage(tmp_path: Path, puppetdb: PuppetDb) -> None:
    story = Story(tmp_path, puppetdb, "quiet")
    puppetdb.store(*story.runs())
    found, brief, page = story.collect()
    assert "infrastructure ruled out" in brief.headline, found.headline
    assert "2 of 2 nodes reported; 0 changed resources" in page
    assert "packages outside Puppet not looked at" in page


def test_a_commit_of_something_else_is_excused_where_git_shows_it_all(tmp_path: Path, puppetdb: PuppetDb) -> None:
    story = Story(tmp_path, puppetdb, "other")
    new = story.repo.commit(ago(100), "For the mail service", {"modules/mail/init.pp": "b\n"})
    puppetdb.store(*story.runs(last=new))
    found, brief, _ = story.collect()
    assert "infrastructure ruled out" in brief.headline, f"{found.headline}; {found.detail}"
    assert "its commits touch none of the paths that matter" in found.detail


def test_drift_that_is_put_back_is_never_ruled_out(tmp_path: Path, puppetdb: PuppetDb) -> None:
    story = Story(tmp_path, puppetdb, "drift")
    runs = [one for one in story.runs() if one["end_time"] != story.runs()[-1]["end_time"]]
    motd = ("File", "/etc/shop.conf", [event("content changed 'a' to 'b' (corrective)")])
    last = [report(f"{node}.shop.example", ago(25), story.old, *([motd] * (node == "drift1"))) for node in story.nodes]
    puppetdb.store(*runs, *last)
    found, brief, page = story.collect()
    assert "infrastructure not ruled out" in brief.headline
    assert "File[/etc/shop.conf] put back (drift) on drift1" in found.headline
    assert "Puppet put back what was changed by hand on drift1: File[/etc/shop.conf]" in page


def test_a_version_and_a_threshold_that_arrived_are_told(tmp_path: Path, puppetdb: PuppetDb) -> None:
    story = Story(tmp_path, puppetdb, "moved")
    new = story.repo.commit(ago(100), "Fewer alarms", {"icinga/a.conf": "max = 5\n"})
    puppetdb.store(*story.runs(last=new))
    found, _, page = story.collect()
    assert f"version {story.old[:10]} → {new[:10]} on moved1, moved2" in found.headline
    assert "1 commit since" in found.headline
    assert "THRESHOLDS max changed 3 → 5" in page
    assert f"Puppet went to {new[:10]} on 2 of 2 nodes" in page


def test_a_node_that_fell_silent_cannot_be_told(tmp_path: Path, puppetdb: PuppetDb) -> None:
    story = Story(tmp_path, puppetdb, "silent")
    puppetdb.store(*(one for one in story.runs() if one["certname"] != "silent2.shop.example"))
    found, brief, _ = story.collect()
    assert brief.headline.endswith(("cannot tell", found.headline.split(";")[0]))
    assert "silent2" in f"{found.headline} {found.detail}"
    assert found.verdict.value == "cannot tell"
