"""Against real journal files, read by the real journalctl."""

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.system import journal
from tests.system import sshd as sshd_server
from tests.system.conftest import absent
from tests.system.graphite import ordinary

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, LogSample, Outcome
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window, utc
from opsbrief.readers.journal import units
from opsbrief.source import Ssh
from opsbrief.sources.journald import Journald

pytestmark = pytest.mark.system
BEGIN = 1795390000
WINDOW = Window(
    start=utc(BEGIN), end=utc(BEGIN + 3600), anchor=Anchor("time", utc(BEGIN)), before=timedelta(hours=1),
    shifts=(("last-week", timedelta(days=7)),),
)  # fmt: skip
INIT = {"_SYSTEMD_UNIT": "init.scope", "UNIT": "shop.service", "_PID": 1, "_HOSTNAME": "app1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the journals of two hosts, of two weeks."""
    try:
        journal.install()
    except journal.MissingError as missing:
        absent("journal", missing)
    room = tmp_path_factory.mktemp("journal")
    week = 7 * 86400
    shop = [
        journal.entry(BEGIN - 2 * week, "long ago"),
        *(journal.entry(BEGIN - week + 10 * n, f"order {n} placed") for n in range(50)),
        *(journal.entry(BEGIN - 600 + 10 * n, f"order {n} placed") for n in range(60)),
        *(journal.entry(BEGIN + 10 * n, f"order {n} failed: pool exhausted", PRIORITY=3) for n in range(20)),
        journal.entry(BEGIN + 300, "Traceback\n  in pool\nEmpty", PRIORITY=2),
        journal.entry(BEGIN + 301, b"\x00\x1b[31m\xff", PRIORITY=4),
        journal.entry(BEGIN + 302, "y" * 9000, PRIORITY=4),
        journal.entry(BEGIN + 303, "not the shop's", _SYSTEMD_UNIT="cron.service", SYSLOG_IDENTIFIER="cron"),
        journal.entry(BEGIN + 400, "shop.service: Main process exited, code=killed, status=9/KILL", **INIT,
                      MESSAGE_ID=units.EXITED),
        journal.entry(BEGIN + 401, "shop.service: Failed with result 'signal'.", **INIT, MESSAGE_ID=units.FAILED),
        journal.entry(BEGIN + 402, "shop.service: Scheduled restart job, restart counter is at 3.", **INIT,
                      MESSAGE_ID=units.SCHEDULED, N_RESTARTS=3),
        journal.entry(BEGIN + 403, "Started shop.service.", **INIT, MESSAGE_ID=units.STARTED),
    ]  # fmt: skip
    other = [journal.entry(BEGIN + 5, "of the other host", _HOSTNAME="app2", _BOOT_ID="b" * 32)]
    journal.write(room / "app1.journal", shop)
    journal.write(room / "app2.journal", other)
    return room


def ask(path: object, **options: Any) -> Outcome:
    scope = Scope(hosts=("app1", "app2"))
    source = Journald(name="journal", path=str(path), scope=scope, **options)
    evidence, _ = collect([("journald", source)], WINDOW, scope)
    assert not evidence.outcomes[0].traceback, evidence.outcomes[0].traceback
    return evidence.outcomes[0]


def totals(outcome: Outcome) -> dict[str, int]:
    return {one.span: one.total for one in outcome.items if isinstance(one, LogSample)}


def test_the_lines_of_a_unit_are_counted_as_journalctl_counts_them(folder: Path) -> None:
    outcome = ask(folder, units=("shop.service",))
    assert totals(outcome) == {"incident": 28, "before": 60, "last-week": 50}
    assert outcome.gaps == ()
    said = subprocess.run(
        ["journalctl", f"--directory={folder}", "-o", "cat", "-u", "shop.service", f"--since=@{BEGIN}"],
        capture_output=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    assert said.count(b"pool exhausted") == 20
    sample = next(one for one in outcome.items if isinstance(one, LogSample) and one.span == "incident")
    bodies = [record.body for record in sample.records]
    assert "Traceback\n  in pool\nEmpty" in bodies
    assert "\\x00\\x1b[31m�" in bodies
    assert max(bodies, key=len).startswith("y" * 8000)
    assert {record.severity_text for record in sample.records} == {"INFO", "WARN", "ERROR", "FATAL"}


def test_every_host_of_a_folder_a_file_and_a_glob(folder: Path) -> None:
    assert totals(ask(folder))["incident"] == 29
    assert totals(ask(folder / "app1.journal"))["incident"] == 28
    assert totals(ask(folder / "*.journal"))["incident"] == 29
    assert totals(ask(folder, match=("_HOSTNAME=app2",)))["incident"] == 1
    assert totals(ask(folder, identifiers=("cron",)))["incident"] == 1


def test_what_became_of_the_unit(folder: Path) -> None:
    told = [
        (round(one.at.timestamp()) - BEGIN, one.host, one.service, one.kind, one.state)
        for one in ask(folder, units=("shop*",)).items
        if isinstance(one, Event)
    ]
    assert told == [
        (401, "app1", "shop", "state", "CRITICAL"),
        (402, "app1", "shop", "restart", "RESTART"),
        (403, "app1", "shop", "state", "OK"),
    ]


def test_a_journal_that_begins_late_is_a_gap(folder: Path) -> None:
    outcome = ask(folder / "app2.journal")
    assert "last-week" not in totals(outcome)
    assert {gap.kind for gap in outcome.gaps} == {GapKind.UNAVAILABLE}


def test_a_file_that_is_cut_off_and_one_that_is_no_journal(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.journal").write_bytes((folder / "app1.journal").read_bytes()[:100_000])
    assert ask(tmp_path / "cut.journal").gaps
    (tmp_path / "none.journal").write_bytes(b"no journal" * 1000)
    assert ask(tmp_path / "none.journal").gaps
    assert ask(tmp_path).gaps


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_files_that_may_not_be_read_are_not_read_as_silence(folder: Path, tmp_path: Path) -> None:
    room = tmp_path / "hidden"
    room.mkdir()
    shutil.copy(folder / "app1.journal", room)
    (room / "app1.journal").chmod(0)
    for path in (room, *room.parents):
        if path.owner() == "root" and path.is_relative_to(tmp_path.parents[1]):
            path.chmod(0o755)
    program = tmp_path / "journalctl"  # this test runs as root, who may read everything
    user = ordinary()
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid={user["user"]} --clear-groups journalctl "$@"\n')
    program.chmod(0o755)
    (gap,) = ask(room, program=str(program)).gaps
    assert gap.kind is GapKind.UNAUTHORIZED
    assert "systemd-journal" in gap.hint


@pytest.fixture(scope="module")
def abroad(folder: Path, sshd: sshd_server.Sshd) -> Path:
    """Return the folder with the journals where the account behind sshd may read it."""
    room = sshd.room / "journal"
    shutil.copytree(folder, room)
    for path in (room, *room.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    return room


def far(path: object, sshd: sshd_server.Sshd, hosts: tuple[str, ...] = ("127.0.0.1",), **options: Any) -> Outcome:
    return ask(path, ssh=Ssh(**sshd.options()), hosts=hosts, **options)  # type: ignore[arg-type]


def test_over_ssh_it_tells_the_same(abroad: Path, folder: Path, sshd: sshd_server.Sshd) -> None:
    here, there = ask(folder, units=("shop*",)), far(abroad, sshd, units=("shop*",))
    assert totals(there) == totals(here)
    assert [replace(one, origin=None, id="") for one in there.items if isinstance(one, Event)] == [
        replace(one, origin=None, id="") for one in here.items if isinstance(one, Event)
    ]
    assert there.gaps == ()
    assert totals(far(abroad / "app1.journal", sshd))["incident"] == 28
    assert totals(far(f"{abroad}/*.journal", sshd))["incident"] == 29


def test_a_host_that_cannot_be_reached_is_a_gap_beside_the_others(abroad: Path, sshd: sshd_server.Sshd) -> None:
    outcome = far(abroad, sshd, hosts=("127.0.0.1", "no-such-host.invalid"))
    assert totals(outcome)["incident"] == 29
    (gap,) = outcome.gaps
    assert gap.what == "the journal of no-such-host.invalid"


def test_a_host_without_a_journal_is_a_gap(sshd: sshd_server.Sshd) -> None:
    (gap,) = far("/no/such/journal", sshd).gaps
    assert "/no/such/journal" in gap.detail
    assert not totals(far("/no/such/journal", sshd))
