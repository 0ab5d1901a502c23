"""Puppet's report files, by those that a real Puppet 7.23 wrote (tests/recorded/puppet), and what else lies there."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Run
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.readers.puppet import report, ruby
from opsbrief.sources.puppetreport import PuppetReport
from opsbrief.transport.deadline import Deadline

RECORDED = Path(__file__).parents[1] / "recorded" / "puppet"
CONFIG = "File[/srv/recorded/target/app.conf]"
Found = tuple[list[Run], list[Change], list[Gap]]


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.yaml").read_bytes()


def time_of(name: str) -> datetime:
    return report.report(ruby.load(recorded(name), Deadline(10)))[0].end


def around(at: datetime, minutes: float = 1) -> Window:
    """Return a window of so many minutes on each side of ``at``, half of it the incident."""
    wide = timedelta(minutes=minutes)
    return Window(start=at, end=at + wide, anchor=Anchor("time", at), before=wide)


def read(path: Path | str, window: Window, hosts: tuple[str, ...] = ("app01",), **options: object) -> Found:
    source = PuppetReport(name="puppet", path=str(path), scope=Scope(hosts=hosts), **options)  # type: ignore[arg-type] # reason: options of any type
    found = list(source.collect(window, Deadline(30)))
    runs = [one for one in found if isinstance(one, Run)]
    return runs, [one for one in found if isinstance(one, Change)], [one for one in found if isinstance(one, Gap)]


def one(name: str) -> Found:
    """Read one recorded report, with a window around it."""
    return read(RECORDED / f"{name}.yaml", around(time_of(name)))


def test_an_intended_change_is_told_with_its_commit_and_its_resources() -> None:
    (run,), changes, (gap,) = one("changed")
    assert (run.host, run.status, run.changed, run.failed, run.agent) == ("app01", "changed", 2, 0, False)
    assert re.fullmatch("[0-9a-f]{40}", run.version)
    assert [(change.ref, change.state, change.version) for change in changes] == [
        (CONFIG, "applied", run.version), ("Exec[reload]", "applied", run.version)
    ]  # fmt: skip
    assert re.fullmatch(r"content changed '\{sha256\}\w{12}…' to '\{sha256\}\w{12}…'", changes[0].summary)
    assert changes[1].summary == "Triggered 'refresh' from 1 event"
    assert gap.what == "the run before the window of node app01"


def test_a_run_ends_as_long_after_its_start_as_its_metrics_say() -> None:
    told = ruby.load(recorded("changed"), Deadline(10))
    found, _ = report.report(told)
    assert timedelta(0) < found.end - found.start < timedelta(seconds=10)
    assert ruby.dig(told, "time").startswith(found.start.isoformat()[:26])  # nine digits of a second, of which six stay


def test_a_failing_run_is_one_that_changed_other_things_all_the_same() -> None:
    (run,), changes, _ = one("failed")
    assert (run.status, run.changed, run.failed) == ("failed", 2, 1)
    assert {change.ref: change.state for change in changes} == {
        CONFIG: "applied", "Exec[reload]": "applied", "Exec[migrate]": "failed"
    }  # fmt: skip
    assert "'/bin/false' returned 1" in next(change.summary for change in changes if change.state == "failed")


def test_a_noop_run_says_what_it_would_have_done() -> None:
    (run,), (change,), _ = one("noop")
    assert (run.status, run.noop, run.pending, run.changed) == ("unchanged", True, True, 0)
    assert (change.ref, change.state) == (CONFIG, "noop")
    assert "should be '0600' (noop)" in change.summary


def test_puppet_apply_puts_back_what_was_changed_by_hand_and_does_not_say_so() -> None:
    (run,), (change,), _ = one("drift")
    assert (run.agent, change.corrective) == (False, False)


def test_the_agent_says_so_and_that_its_catalog_is_an_old_one() -> None:
    (run,), (change,), _ = one("agent-corrective")
    assert (run.agent, run.cached, change.ref, change.corrective) == (True, True, CONFIG, True)
    assert change.summary.endswith("(corrective)")
    (run,), changes, _ = one("agent-unchanged")
    assert (run.status, run.failed, changes) == ("unchanged", 0, [])  # 18 lines of its log are errors of Facter


@pytest.mark.parametrize(
    ("name", "status", "counts", "agent"),
    [
        ("created", "changed", (1, 0), False),
        ("unchanged", "unchanged", (0, 0), False),
        ("failed", "failed", (2, 1), False),
        ("agent-corrective", "changed", (1, 0), True),
    ],
)
def test_a_summary_tells_the_version_and_how_many(
    name: str, status: str, counts: tuple[int, int], *, agent: bool
) -> None:
    at = time_of(name)
    (run,), changes, gaps = read(RECORDED / f"{name}.summary.yaml", around(at))
    assert (run.host, run.status, (run.changed, run.failed), run.agent) == ("app01", status, counts, agent)
    assert abs(run.at - at) < timedelta(seconds=8)
    assert len(run.version) == 40
    assert changes == []
    assert any("does not name them" in gap.detail for gap in gaps) == any(counts)


def test_the_summary_of_a_noop_run_was_not_applied() -> None:
    (run,), _, _ = read(RECORDED / "noop.summary.yaml", around(time_of("noop")))
    assert (run.noop, run.pending, run.status) == (True, True, "unchanged")


def test_the_summary_of_a_run_without_a_catalog_failed(tmp_path: Path) -> None:
    path = tmp_path / "last_run_summary.yaml"
    path.write_text("---\nversion:\n  config:\n  puppet: 7.23.0\ntime:\n  last_run: 1795760964\n")
    (run,), _, _ = read(path, around(datetime.fromtimestamp(1795760964, UTC)))
    assert (run.status, run.version, run.stated) == ("failed", "", "")


def test_a_summary_of_nobody_in_particular_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last_run_summary.yaml"
    path.write_bytes(recorded("changed.summary"))
    _, _, gaps = read(path, around(time_of("changed")), hosts=("app01", "app02"))
    assert "a summary does not say whose it is" in {gap.detail for gap in gaps}


def test_a_report_and_its_copy_and_its_summary_are_one_run(tmp_path: Path) -> None:
    for name in ("app01/202611270656.yaml", "last_run_report.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(recorded("changed"))
    (tmp_path / "last_run_summary.yaml").write_bytes(recorded("changed.summary"))
    runs, changes, _ = read(tmp_path, around(time_of("changed")))
    assert (len(runs), len(changes)) == (1, 2)


# --- stores ---------------------------------------------------------------------------------------

BEGIN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def stored(folder: Path, node: str, minutes: float, status: str = "unchanged", named: str = "") -> Path:
    """Write a small report of a run that began so many minutes after BEGIN, as the server names it."""
    at = BEGIN + timedelta(minutes=minutes)
    path = folder / node / (named or f"{at:%Y%m%d%H%M}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"--- !ruby/object:Puppet::Transaction::Report\nhost: {node}\ntime: '{at.isoformat()}'\n"
        f"configuration_version: ac9785273a10dddc076af5842eb519951091ca86\nstatus: {status}\n"
        "metrics:\n  time:\n    values:\n    - - total\n      - Total\n      - 12.5\n"
    )
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


WINDOW = Window(
    start=BEGIN + timedelta(hours=12), end=BEGIN + timedelta(hours=13), anchor=Anchor("time", BEGIN),
    before=timedelta(hours=1),
)  # fmt: skip


def test_of_a_big_store_only_the_files_around_the_window_are_read(tmp_path: Path) -> None:
    for node in ("app01.example", "app02.example"):
        for step in range(96):
            stored(tmp_path, node, step * 15)
    deadline = Deadline(30)
    source = PuppetReport(name="puppet", path=str(tmp_path), scope=Scope(hosts=("app01", "app02")))
    found = list(source.collect(WINDOW, deadline))
    runs = [run for run in found if isinstance(run, Run)]
    assert len(runs) == len(found) == 2 * (8 + 1)
    assert {run.at for run in runs if not run.in_window} == {BEGIN + timedelta(minutes=645, seconds=12.5)}
    size = (tmp_path / "app01.example" / "202611201200.yaml").stat().st_size
    assert deadline.bytes < 2 * 20 * size  # of 192 files those of the window and an hour on each side


def test_the_last_run_before_the_window_is_found_however_long_ago(tmp_path: Path) -> None:
    stored(tmp_path, "app01.example", 0)
    stored(tmp_path, "app01.example", 20, status="changed")
    (run,), _, gaps = read(tmp_path, WINDOW)
    assert (run.in_window, run.status, gaps) == (False, "changed", [])


def test_a_copy_is_read_by_its_content_whatever_its_time_and_name(tmp_path: Path) -> None:
    path = stored(tmp_path, "app01.example", 700, named="copied.yaml")
    os.utime(path)
    (run,), _, _ = read(tmp_path, WINDOW)
    assert run.at == BEGIN + timedelta(minutes=700, seconds=12.5)


def test_a_limit_of_files_keeps_the_newest_and_is_said(tmp_path: Path) -> None:
    for step in range(60):
        stored(tmp_path, "app01.example", 660 + step)
    runs, _, gaps = read(tmp_path, WINDOW, max_reports=10)
    assert len(runs) == 10
    assert min(run.at for run in runs) > BEGIN + timedelta(minutes=708)
    assert "10 of 60 files of the window were read, the newest" in [gap.detail for gap in gaps]


def test_a_node_without_a_report_is_named_and_others_are_left_alone(tmp_path: Path) -> None:
    stored(tmp_path, "app01.example", 600)
    stored(tmp_path, "db1.example", 700)
    runs, _, (gap,) = read(tmp_path, WINDOW, hosts=("app01", "app02"))
    assert [run.host for run in runs] == ["app01"]
    assert (gap.what, gap.detail) == ("node app02", "no report of it among the files")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("--- !ruby/object:Puppet::Transaction::Report\nhost: app01\n", "has no host, time and status"),
        ("--- !python/object/apply:os.system ['true']\n", "has the tag !python/object/apply:os.system"),
        ("a: &a [*a, *b]\n", "refers to nothing"),
        ("[" * 1000, "is nested deeper than 64 levels"),
        ("host: {a: b\n", "is no YAML: "),
        ("just words", "has no host, time and status"),
    ],
)
def test_a_file_that_is_no_report_is_named_with_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    stored(tmp_path, "app01.example", 600)
    (tmp_path / "bad.yaml").write_text(content)
    runs, _, (gap,) = read(tmp_path, WINDOW)
    assert len(runs) == 1
    assert gap.kind is GapKind.BAD_ANSWER
    assert gap.what.endswith("bad.yaml")
    assert said in gap.detail


def test_many_references_are_not_followed_without_end() -> None:
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    told = ruby.load(f"l0: &l0 x\n{layers}".encode(), Deadline(5))  # shared, not copied
    assert isinstance(told, dict)
    with pytest.raises(SourceError, match="more references"):
        ruby.load(f"a: &a x\nb: [{', '.join(['*a'] * 30_000)}]".encode(), Deadline(5))


def test_texts_stay_texts_and_bytes_become_texts() -> None:
    told = ruby.load(b"sha: 1234567e12\nno: no\nnone:\nempty: ''\nraw: !binary |\n  w6TD\n", Deadline(5))
    assert told == {"sha": "1234567e12", "no": "no", "none": None, "empty": "", "raw": "ä�"}


def test_the_words_of_old_rubies_are_understood(tmp_path: Path) -> None:
    path = stored(tmp_path, "app01.example", 700)
    path.write_text(path.read_text().replace("status: unchanged", "status: !ruby/sym unchanged\nnoop: true"))
    (run,), _, _ = read(tmp_path, WINDOW)
    assert (run.status, run.noop) == ("unchanged", True)


def test_a_package_in_the_reports_is_a_deploy(tmp_path: Path) -> None:
    for number, node in enumerate(("app01.example", "app02.example")):
        path = stored(tmp_path, node, 700 + 20 * number, status="changed")
        at = BEGIN + timedelta(minutes=700 + 20 * number)
        path.write_text(
            path.read_text() + "resource_statuses:\n  Package[shop]:\n    title: shop\n    resource_type: Package\n"
            "    containment_path: ['Stage[main]', 'Shop', 'Package[shop]']\n    events:\n"
            "    - {property: ensure, previous_value: 2.13.0, desired_value: 2.14.0, status: success,\n"
            f"       message: \"ensure changed '2.13.0' to '2.14.0'\", time: '{at.isoformat()}'}}\n"
        )
    source = PuppetReport(
        name="puppet", path=str(tmp_path), rollouts=("Package[shop]",), scope=Scope(hosts=("app01", "app02"))
    )
    found = list(source.deploys(BEGIN, BEGIN + timedelta(days=1), Deadline(10)))
    (deploy,) = [one for one in found if isinstance(one, Deploy)]
    assert (deploy.at, deploy.ref) == (BEGIN + timedelta(minutes=700), "2.14.0")
    assert deploy.note == "Package[shop] 2.13.0 → 2.14.0 on 2 nodes, first app01, last app02 20m later"
    (change,) = [one for one in source.collect(WINDOW, Deadline(10)) if isinstance(one, Change)]
    assert (change.kind, change.role, change.hosts) == ("deploy", "application", ("app01", "app02"))


def test_of_a_month_of_reports_only_those_that_changed_something_are_read_for_deploys(tmp_path: Path) -> None:
    for step in range(400):
        stored(tmp_path, "app01.example", step * 30)
    bad = stored(tmp_path, "app01.example", 45)
    bad.write_text(bad.read_text() + "\x01")  # would be refused, were it read
    source = PuppetReport(name="puppet", path=str(tmp_path), rollouts=("Package[shop]",), scope=Scope(hosts=("app01",)))
    assert list(source.deploys(BEGIN, BEGIN + timedelta(days=30), Deadline(10))) == []


def test_what_could_be_read_in_time_is_told(tmp_path: Path) -> None:
    for step in range(30):
        stored(tmp_path, "app01.example", 660 + step * 3)
    clock = iter(range(10_000))
    source = PuppetReport(name="puppet", path=str(tmp_path), scope=Scope(hosts=("app01",)))
    found = list(source.collect(WINDOW, Deadline(60, clock=lambda: float(next(clock)))))  # every look costs a second
    runs = [one for one in found if isinstance(one, Run)]
    (gap,) = [one for one in found if isinstance(one, Gap) and one.kind is GapKind.TIMEOUT]
    assert 0 < len(runs) < 30
    assert gap.detail == f"{len(runs)} of 30 files of the window were read in time, the newest"
    assert max(run.at for run in runs) == BEGIN + timedelta(minutes=747, seconds=12.5)


def test_by_ssh_without_a_host_it_says_so() -> None:
    source = PuppetReport(name="puppet", path="/x", host="puppet.example")
    assert source.given == {"changes", "runs"}
    from opsbrief.source import Ssh  # noqa: PLC0415 - only here

    with pytest.raises(SourceError, match="has no hosts"):
        list(PuppetReport(name="puppet", path="/x", ssh=Ssh()).collect(WINDOW, Deadline(5)))
