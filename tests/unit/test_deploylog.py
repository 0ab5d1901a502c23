"""Deploys from files and commands: every format, every way a line can be wrong."""

import os
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbrief.errors import GapKind, SourceError, WindowError
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.readers.marks import Bad, Reader, moment
from opsbrief.source import DeployLog
from opsbrief.sources.deploylog import DeployLines
from opsbrief.transport.deadline import Deadline

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
AT = datetime(2026, 3, 6, 16, 4, 12, tzinfo=UTC)
ISO = "2026-03-06T17:04:12+01:00"


def ask(folder: Path, lines: Sequence[str], **options: Any) -> tuple[list[Deploy], list[Gap]]:
    """Write the lines to a file and return the deploys and gaps that come of it."""
    path = folder / "deploy.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return both(DeployLines(name="log", path=str(path), **options))


def both(source: DeployLines) -> tuple[list[Deploy], list[Gap]]:
    found = list(source.deploys(SINCE, UNTIL, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def one(folder: Path, line: str, **options: Any) -> Deploy:
    deploys, gaps = ask(folder, [line], **options)
    assert not gaps
    assert len(deploys) == 1
    return deploys[0]


def test_it_is_a_deploy_log() -> None:
    assert isinstance(DeployLines(name="log", path="x"), DeployLog)


@pytest.mark.parametrize(
    "line",
    [
        f"{ISO}\t2.14.0\tshop to 8 hosts",
        f"{ISO} 2.14.0 shop to 8 hosts",
        "2026-03-06 16:04:12\t2.14.0\tshop to 8 hosts",
        "1772813052\t2.14.0\tshop to 8 hosts",
        "Fri Mar 6 17:04:12 2026 +0100\t2.14.0\tshop to 8 hosts",
        f'{{"time": "{ISO}", "version": "2.14.0", "message": "shop to 8 hosts"}}',
        f'{{"at": "{ISO}", "id": "2.14.0", "text": "shop to 8 hosts"}}',
        '{"timestamp": 1772813052, "ref": "2.14.0", "note": "shop to 8 hosts"}',
        '{"when": 1772813052000.0, "tag": "2.14.0", "what": "shop to 8 hosts"}',
    ],
)
def test_the_same_deploy_in_many_forms(tmp_path: Path, line: str) -> None:
    assert one(tmp_path, line) == Deploy(AT, "2.14.0", "shop to 8 hosts", "log")


def test_capistrano_knows_the_start_in_utc(tmp_path: Path) -> None:
    lines = [
        "Branch main (at 9f3c2e1) deployed as release 20260306160412 by ops",
        "ops rolled back to release 20260305",
    ]
    for zone in ("UTC", "America/St_Johns"):
        deploys, gaps = ask(tmp_path, lines, format="capistrano", zone=zone)
        note = "Branch main (at 9f3c2e1) deployed as release 20260306160412"
        assert deploys == [Deploy(AT, "9f3c2e1", note, "log", TimeKind.DEPLOY_START)]
        assert "line 2" in gaps[0].detail


def test_capistrano_calls_a_deploy_of_a_tag_by_its_version(tmp_path: Path) -> None:
    deploys, _ = ask(tmp_path, ["Branch v2.14.0 (at 9f3c2e1) deployed as release 20260306160412 by "])
    assert [one.ref for one in deploys] == ["v2.14.0"]


CAPISTRANO = [
    "Branch main (at aaaaaaa) deployed as release 20260306160412 by ops",
    "Branch main (at bbbbbbb) deployed as release 20260306170412 by ops",
    "ops rolled back to release 20260306160412",
    "Branch main (at ccccccc) deployed as release 20260306190412 by ops",
    " rolled back to release 20260306160412",
]


def left(path: Path, at: datetime, target: str = "") -> None:
    """Leave what Capistrano leaves: a symlink, or an archive."""
    if target:
        path.symlink_to(f"/srv/shop/releases/{target}")
    else:
        path.write_bytes(b"tar")
    os.utime(path, (at.timestamp(), at.timestamp()), follow_symlinks=False)


def test_a_rollback_of_capistrano_has_the_time_of_what_it_left_on_the_disk(tmp_path: Path) -> None:
    left(tmp_path / "rolled-back-release-20260306170412.tar.gz", AT + timedelta(hours=2))
    left(tmp_path / "current", AT + timedelta(hours=4), "20260306160412")
    deploys, gaps = ask(tmp_path, CAPISTRANO)
    assert gaps == []
    assert [(one.at - AT, one.ref, one.rollback, str(one.time_kind)) for one in deploys] == [
        (timedelta(hours=0), "aaaaaaa", False, "deploy start"),
        (timedelta(hours=1), "bbbbbbb", False, "deploy start"),
        (timedelta(hours=2), "aaaaaaa", True, "deploy end"),
        (timedelta(hours=3), "ccccccc", False, "deploy start"),
        (timedelta(hours=4), "aaaaaaa", True, "deploy end"),
    ]
    assert deploys[-1].note == "rolled back to release 20260306160412"


def test_a_rollback_of_capistrano_without_a_witness_is_a_gap_between_two_times(tmp_path: Path) -> None:
    deploys, gaps = ask(tmp_path, CAPISTRANO)
    assert [one.rollback for one in deploys] == [False, False, False]
    assert [gap.kind for gap in gaps] == [GapKind.UNAVAILABLE] * 2
    said = "it was after 2026-03-06 17:04:12 UTC and before 2026-03-06 19:04:12 UTC"
    assert (said in gaps[0].detail, "before" in gaps[1].detail) == (True, False)


@pytest.mark.parametrize(("hours", "target"), [(2.5, "20260306160412"), (4, "20260306190412"), (4, "20260306150000")])
def test_a_witness_that_cannot_be_of_the_rollback_is_not_believed(tmp_path: Path, hours: float, target: str) -> None:
    left(tmp_path / "current", AT + timedelta(hours=hours), target)
    assert len(ask(tmp_path, CAPISTRANO)[1]) == 2


def test_rollbacks_before_what_is_asked_for_are_no_gap(tmp_path: Path) -> None:
    (tmp_path / "deploy.log").write_text("\n".join(CAPISTRANO[:4]))
    log = DeployLines(name="log", path=str(tmp_path / "deploy.log"))
    assert list(log.deploys(AT + timedelta(hours=3.5), UNTIL, Deadline(20))) == []


def test_a_pattern_with_named_groups(tmp_path: Path) -> None:
    pattern = r"^(?P<time>\S+) \[(?P<status>\w+)\] (?P<ref>\S+): (?P<note>.*)"
    found = one(tmp_path, f"{ISO} [FAILED] 2.14.0: no space left", pattern=pattern)
    assert (found.ref, found.note, found.succeeded) == ("2.14.0", "no space left", False)


def test_field_names_of_json_can_be_given(tmp_path: Path) -> None:
    line = f'{{"meta": {{"done": "{ISO}"}}, "image": "shop:2.14.0", "time": "nonsense"}}'
    found = one(tmp_path, line, fields={"time": "meta.done", "ref": "image"})
    assert (found.at, found.ref) == (AT, "shop:2.14.0")


@pytest.mark.parametrize(
    ("said", "succeeded", "kind"),
    [
        ("success", True, TimeKind.DEPLOY_END),
        ("failed", False, TimeKind.DEPLOY_END),
        ("FAILURE", False, TimeKind.DEPLOY_END),
        ("cancelled", False, TimeKind.DEPLOY_END),
        ("running", True, TimeKind.DEPLOY_START),
        ("whatever", True, TimeKind.EVENT_TIME),
    ],
)
def test_the_status_tells_success_and_which_instant(tmp_path: Path, said: str, succeeded: bool, kind: TimeKind) -> None:  # noqa: FBT001 - a column of the table
    for line in (f"{ISO}\t2.14.0\ttext\t{said}", f'{{"time": "{ISO}", "result": "{said}"}}'):
        found = one(tmp_path, line)
        assert (found.succeeded, found.time_kind) == (succeeded, kind)


def test_a_boolean_status_counts(tmp_path: Path) -> None:
    assert not one(tmp_path, f'{{"time": "{ISO}", "status": false}}').succeeded


@pytest.mark.parametrize("note", ["rollback to 2.13.2", "Rolled back", "automatic rollback", "rolled back to 2.13"])
def test_rollbacks_are_recognised(tmp_path: Path, note: str) -> None:
    assert one(tmp_path, f"{ISO}\t2.13.2\t{note}").rollback


@pytest.mark.parametrize("note", ["fix rollback of transactions", "fix failed logins", "add retry on failure"])
def test_release_notes_are_not_taken_for_a_rollback_or_a_failure(tmp_path: Path, note: str) -> None:
    found = one(tmp_path, f"{ISO}\t2.14.0\t{note}")
    assert (found.rollback, found.succeeded) == (False, True)


def test_a_note_that_begins_with_failed_is_a_failure(tmp_path: Path) -> None:
    assert not one(tmp_path, f"{ISO}\t2.14.0\tfailed: no space left").succeeded


def test_a_start_gives_way_to_its_end(tmp_path: Path) -> None:
    lines = [
        "2026-03-06T17:00Z\t2.14.0\t\tstarted",
        "2026-03-06T17:20Z\t2.14.0\t\tfailed",
        "2026-03-06T18:00Z\t2.14.0\t\tstarted",
        "2026-03-06T18:20Z\t2.14.0\t\tsuccess",
        "2026-03-06T19:00Z\t2.14.1\t\tstarted",
    ]
    deploys, _ = ask(tmp_path, lines)
    assert [(f"{deploy.at:%H:%M}", deploy.succeeded, str(deploy.time_kind)) for deploy in deploys] == [
        ("17:20", False, "deploy end"),
        ("18:20", True, "deploy end"),
        ("19:00", True, "deploy start"),
    ]


def test_the_kind_of_time_can_be_said(tmp_path: Path) -> None:
    assert one(tmp_path, f"{ISO}\t1", time="deploy end").time_kind is TimeKind.DEPLOY_END
    assert one(tmp_path, f'{{"time": "{ISO}", "kind": "deploy_start"}}').time_kind is TimeKind.DEPLOY_START


def test_a_time_without_offset_is_on_the_clock_of_the_zone(tmp_path: Path) -> None:
    assert one(tmp_path, "2026-03-06 17:04:12\t1", zone="Europe/Berlin").at == AT


def test_bad_lines_are_one_gap_and_cost_no_good_one(tmp_path: Path) -> None:
    lines = [
        "\ufeff# written by hand",
        "",
        f"{ISO}\t2.14.0\tgood",
        "garbage\x1b[31m",
        "yesterday 14:00\t2.14.1\trelative",
        '{"time": ',
        '{"no": "time"}',
        "[1, 2]",
        "2026-03-29 02:30:00\t2.15\tskipped by the clocks",
        f"{ISO}\t2.14.0\tgood",
    ]
    deploys, (gap,) = ask(tmp_path, lines, zone="Europe/Berlin")
    assert len(deploys) == 2
    assert gap.kind is GapKind.BAD_ANSWER
    assert gap.what.startswith("6 lines of ")
    assert gap.detail.startswith("line 4, ")
    assert "\x1b" not in gap.detail


def test_windows_line_ends_and_control_characters(tmp_path: Path) -> None:
    assert one(tmp_path, f"{ISO}\t2.14.0\tevil \x1b]0;title\x07 text\r").note == "evil \\x1b]0;title\\x07 text"


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    lines = [f"2026-0{month}-06T12:00Z\t{month}" for month in (2, 3, 4)]
    deploys, gaps = ask(tmp_path, lines)
    assert [deploy.ref for deploy in deploys] == ["3"]
    assert not gaps


def failure(source: DeployLines) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(source.deploys(SINCE, UNTIL, Deadline(20)))
    return caught.value


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    error = failure(DeployLines(name="log", path=str(tmp_path / "no.log")))
    assert error.kind is GapKind.UNAVAILABLE
    assert "TIME, TAB, VERSION" in error.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert failure(DeployLines(name="log", path=str(tmp_path))).kind is GapKind.REJECTED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "deploy.log"
    path.touch(mode=0)
    assert failure(DeployLines(name="log", path=str(path))).kind is GapKind.UNAUTHORIZED


def test_a_glob_reads_every_file_and_names_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{ISO}\t1\n")
    (tmp_path / "b.log").write_text(f"{ISO}\t2\n")
    (tmp_path / "c.log").mkdir()
    deploys, (gap,) = both(DeployLines(name="log", path=str(tmp_path / "*.log")))
    assert {deploy.ref for deploy in deploys} == {"1", "2"}
    assert "c.log is not a file" in gap.detail


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "x", "command": ("y",)},
        {"path": "x", "format": "regex"},
        {"path": "x", "pattern": "(?P<time>.)", "format": "json"},
        {"path": "x", "pattern": "no group"},
        {"path": "x", "pattern": "("},
        {"path": "x", "zone": "Mars/Olympus"},
        {"path": "x", "fields": {"colour": "blue"}},
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any]) -> None:
    assert failure(DeployLines(name="log", **options)).kind is GapKind.REJECTED


def test_a_command_prints_lines() -> None:
    source = DeployLines(name="log", command=(sys.executable, "-c", f"print('{ISO}\\t2.14.0\\t$HOME; true')"))
    deploys, gaps = both(source)
    assert [(deploy.ref, deploy.note) for deploy in deploys] == [("2.14.0", "$HOME; true")]
    assert not gaps


def test_a_command_that_fails_says_why() -> None:
    error = failure(DeployLines(name="log", command=(sys.executable, "-c", "raise SystemExit('no such job')")))
    assert error.kind is GapKind.UNAVAILABLE
    assert "status 1: no such job" in error.message
    assert failure(DeployLines(name="log", command=("/no/such/program",))).kind is GapKind.UNAVAILABLE


def test_a_command_that_hangs_ends_with_the_deadline() -> None:
    source = DeployLines(name="log", command=(sys.executable, "-c", "import time; time.sleep(60)"))
    deadline = Deadline(0.3)
    clock = threading.Timer(0.4, deadline.expire)  # the collector's part
    clock.start()
    with pytest.raises(SourceError) as caught:
        list(source.deploys(SINCE, UNTIL, deadline))
    clock.join()
    assert caught.value.kind is GapKind.TIMEOUT


def long(path: Path, first: datetime, count: int, *, newest_first: bool = False) -> None:
    """Write one deploy a minute, with a note that makes the file several megabytes."""
    lines = [f"{first + timedelta(minutes=at):%Y-%m-%dT%H:%M:%SZ}\t1.0.{at}\t{'x' * 80}" for at in range(count)]
    path.write_text("\n".join(reversed(lines) if newest_first else lines) + "\n")


def test_of_a_big_sorted_file_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deploy.log"
    count = 60_000
    long(path, UNTIL - timedelta(minutes=count), count)
    deadline = Deadline(20)
    source = DeployLines(name="log", path=str(path))
    since = UNTIL - timedelta(minutes=15_000)
    found = list(source.deploys(since, UNTIL, deadline))
    assert len(found) == 15_000
    assert deadline.bytes < path.stat().st_size / 2


def test_a_big_file_that_is_sorted_the_other_way_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "deploy.log"
    count = 30_000
    long(path, UNTIL - timedelta(minutes=count), count, newest_first=True)
    found = list(DeployLines(name="log", path=str(path)).deploys(UNTIL - timedelta(minutes=100), UNTIL, Deadline(20)))
    assert len(found) == 100


def test_collect_gives_a_change_per_deploy_of_the_window_and_the_time_before(tmp_path: Path) -> None:
    path = tmp_path / "deploy.log"
    path.write_text(
        f"{ISO}\t2.14.0\tshop\n2026-03-06T14:00Z\t2.13\t\tfailed\n2026-03-05T14:00Z\t2.12\n"
        '{"time": "2026-03-06T17:00Z", "version": "2.14.1", "hosts": ["app1", "app2"]}\n'
    )
    window = Window(start=AT, end=AT + timedelta(hours=3), anchor=Anchor("time", AT), before=timedelta(hours=3))
    found = [
        one for one in DeployLines(name="log", path=str(path)).collect(window, Deadline(5)) if isinstance(one, Change)
    ]
    assert [(change.ref, change.summary, change.hosts) for change in found] == [
        ("2.13", "failed: deploy 2.13", ()),
        ("2.14.0", "shop", ()),
        ("2.14.1", "deploy 2.14.1", ("app1", "app2")),
    ]
    assert {change.origin.source for change in found} == {"log"}
    assert all(change.kind == "deploy" and change.origin.digest.startswith("sha256:") for change in found)


@pytest.mark.parametrize(
    "said", ["now", "2h", "17:00", "yesterday", "friday 17:00", "deploy", "today 12:00", "", "5", "inf"]
)
def test_a_log_may_not_say_relative_times(said: str) -> None:
    with pytest.raises(WindowError):
        moment(said, ZoneInfo("UTC"))


@given(st.text(), st.sampled_from(["auto", "tsv", "json", "capistrano"]))
def test_any_line_is_a_mark_or_counted(line: str, way: str) -> None:
    bad = Bad()
    marks = list(Reader(format=way).read([(1, line)], bad))
    assert len(marks) + bad.count == (0 if not line.strip() or line.lstrip().startswith("#") else 1)
