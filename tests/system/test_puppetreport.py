"""Puppet's report files on another host, read through a real sshd."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system import sshd as sshd_server

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Run
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.puppet import report, ruby
from opsbrief.source import Ssh
from opsbrief.sources.puppetreport import PuppetReport
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system
RECORDED = Path(__file__).parents[1] / "recorded" / "puppet"
HERE, NOWHERE = "127.0.0.1", "127.0.0.2"  # nobody listens on the second
NAMES = ("created", "changed", "failed", "drift")
ENDS = [report.report(ruby.load((RECORDED / f"{name}.yaml").read_bytes(), Deadline(30)))[0].end for name in NAMES]
WINDOW = Window(
    start=ENDS[1] - timedelta(seconds=1), end=ENDS[3] + timedelta(minutes=1),
    anchor=Anchor("time", ENDS[1]), before=timedelta(0),
)  # fmt: skip


@pytest.fixture
def store(sshd: sshd_server.Sshd) -> Path:
    """Return a store of the recorded reports that the user of sshd may read."""
    folder = sshd.room / "reports"
    shutil.rmtree(folder, ignore_errors=True)
    node = folder / "app01.example.com"
    node.mkdir(parents=True)
    for name, end in zip(NAMES, ENDS, strict=True):
        path = node / f"{end:%Y%m%d%H%M}-{name}.yaml"  # a store keeps one a minute, these are closer
        shutil.copy(RECORDED / f"{name}.yaml", path)
        os.utime(path, (end.timestamp(), end.timestamp()))
    shutil.copy(RECORDED / "drift.yaml", folder / "last_run_report.yaml")
    shutil.copy(RECORDED / "drift.summary.yaml", folder / "last_run_summary.yaml")
    for path in folder.rglob("*.yaml"):
        path.chmod(0o644)
    return folder


def read(**options: object) -> tuple[list[Run], list[Change], list[Gap]]:
    found = list(PuppetReport(name="puppet", **options).collect(WINDOW, Deadline(30)))  # type: ignore[arg-type] # reason: options of any type
    runs = [one for one in found if isinstance(one, Run)]
    return runs, [one for one in found if isinstance(one, Change)], [one for one in found if isinstance(one, Gap)]


@pytest.mark.parametrize("via", ["openssh", "paramiko"])
def test_the_store_of_a_server_is_read_as_if_it_were_here(sshd: sshd_server.Sshd, store: Path, via: str) -> None:
    scope = Scope(hosts=("app01",))
    ssh = Ssh(**sshd.options(via=via))  # type: ignore[arg-type] # reason: options of any type
    runs, changes, gaps = read(path=f"{store}/*/*.yaml", host=HERE, ssh=ssh, scope=scope)
    assert [(run.host, run.status, run.in_window) for run in runs] == [
        ("app01", "changed", False), ("app01", "changed", True), ("app01", "failed", True), ("app01", "changed", True)
    ]  # fmt: skip
    here = read(path=f"{store}/*/*.yaml", scope=scope)
    assert [(one.ref, one.at, one.state) for one in changes] == [(one.ref, one.at, one.state) for one in here[1]]
    assert gaps == here[2] == []
    assert runs[1].origin.url == f"{HERE}:{next(store.glob('*/*-changed.yaml'))}"
    assert runs[1].origin.digest == here[0][1].origin.digest


def test_the_last_report_and_the_summary_of_each_host_are_one_run(sshd: sshd_server.Sshd, store: Path) -> None:
    ssh = Ssh(**sshd.options())  # type: ignore[arg-type] # reason: options of any type
    paths = (f"{store}/last_run_report.yaml", f"{store}/last_run_summary.yaml")
    scope = Scope(hosts=(HERE,))
    (run,), changes, _ = read(path=paths[0], ssh=ssh, scope=scope, nodes=("app01",))
    assert (run.host, run.status, len(changes)) == ("app01.example.com", "changed", 1)
    (run,), changes, gaps = read(path=paths[1], ssh=ssh, scope=scope)
    assert (run.host, run.changed, changes) == (HERE, 1, [])
    assert "the resources of 127.0.0.1" in [gap.what for gap in gaps]


def test_a_host_that_cannot_be_reached_is_named_beside_the_others(sshd: sshd_server.Sshd, store: Path) -> None:
    ssh = Ssh(**sshd.options())  # type: ignore[arg-type] # reason: options of any type
    path = f"{store}/last_run_summary.yaml"
    runs, _, gaps = read(path=path, ssh=ssh, scope=Scope(hosts=(HERE, NOWHERE)))
    assert [run.host for run in runs] == [HERE]
    (lost,) = [gap for gap in gaps if gap.what == f"reports on {NOWHERE}"]
    assert lost.kind is GapKind.UNREACHABLE
    assert f"node {NOWHERE}" in [gap.what for gap in gaps]
    with pytest.raises(SourceError) as raised:
        read(path=path, ssh=ssh, scope=Scope(hosts=(NOWHERE,)))
    assert raised.value.kind is GapKind.UNREACHABLE
    with pytest.raises(SourceError, match="no file matches") as raised:
        read(path=f"{store}/none.yaml", ssh=ssh, scope=Scope(hosts=(HERE,)))
    assert raised.value.kind is GapKind.UNAVAILABLE
