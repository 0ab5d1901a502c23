"""Both dialects of the log, archives, other people's hosts, damaged lines."""

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsbrief.errors import SourceError
from opsbrief.model.evidence import Event, Gap
from opsbrief.model.scope import Scope, called
from opsbrief.model.window import Deploy, Span, TimeKind, utc
from opsbrief.readers.alarms import nagios
from opsbrief.readers.alarms.whose import Whose
from opsbrief.sources.nagioslog import NagiosLog
from opsbrief.transport.deadline import Deadline

BEGIN = 1795390000
SPAN = Span("", utc(BEGIN), utc(BEGIN + 3600))
ICINGA = """\
[1795389000] LOG VERSION: 2.0
[1795390100] CURRENT SERVICE STATE: app01;http;CRITICAL;HARD;1;old
[1795390830] SERVICE ALERT: app01;http;CRITICAL;SOFT;1;CRITICAL - Socket timeout; after 10 seconds
[1795390832] SERVICE ALERT: app01;http;CRITICAL;HARD;1;CRITICAL - Socket timeout after 10 seconds
[1795390832] SERVICE NOTIFICATION: ops;app01;http;CRITICAL;to-file;CRITICAL - Socket timeout after 10 seconds
[1795390832] SERVICE NOTIFICATION: lena;app01;http;CRITICAL;to-file;CRITICAL - Socket timeout after 10 seconds
[1795390833] SERVICE NOTIFICATION: ops;app01;http;ACKNOWLEDGEMENT;to-file;out;mira;looking, monit restarts it
[1795390840] SERVICE ALERT: db01;pg;CRITICAL;HARD;1;not ours
[1795390900] SERVICE DOWNTIME ALERT: app01;http;STARTED; Checkable has entered a period of scheduled downtime.
[1795390950] SERVICE FLAPPING ALERT: app01;http;STARTED; Checkable appears to have started flapping
[1795391000] HOST ALERT: app01;DOWN;HARD;1;ping failed
"""
NAGIOS = """\
[1795390251] SERVICE NOTIFICATION: ops;app01;http;CRITICAL;notify-file;CRITICAL - Socket timeout
[1795390251] SERVICE ALERT: app01;http;CRITICAL;HARD;3;CRITICAL - Socket timeout
[1795390255] PASSIVE SERVICE CHECK: app01;http;0;the state before
[1795390260] EXTERNAL COMMAND: ACKNOWLEDGE_SVC_PROBLEM;app01;http;2;1;1;mira;looking; monit restarts it
[1795390260] SERVICE NOTIFICATION: ops;app01;http;ACKNOWLEDGEMENT (CRITICAL);notify-file;out;mira;looking; monit
[1795390270] EXTERNAL COMMAND: SCHEDULE_HOST_DOWNTIME;app01;1;2;1;0;7200;mira;deploy
[1795390280] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS
"""


def read(path: Path | str, span: Span = SPAN, hosts: tuple[str, ...] = ("app01",), **options: Any) -> list[Event | Gap]:
    source = NagiosLog(name="nagios", path=str(path), scope=Scope(hosts=hosts), **options)
    return list(source.alarms(span, "UTC", Deadline(10)))


def brief(items: list[Event | Gap]) -> list[tuple[int, str, str, str]]:
    events = (one for one in items if isinstance(one, Event))
    return [(int(one.at.timestamp()) - BEGIN, one.kind, one.state, one.state_type) for one in events]


def test_the_dialect_of_icinga(tmp_path: Path) -> None:
    (tmp_path / "icinga.log").write_text(ICINGA)
    assert brief(read(tmp_path / "icinga.log")) == [
        (830, "state", "CRITICAL", "soft"),
        (832, "state", "CRITICAL", "hard"),
        (832, "notification", "CRITICAL", ""),
        (833, "acknowledgement", "", ""),
        (900, "downtime", "STARTED", ""),
        (950, "flapping", "STARTED", ""),
        (1000, "state", "DOWN", "hard"),
    ]


def test_the_dialect_of_nagios(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text("[1795389000] Nagios 4.4.6 starting... (PID=1)\n" + NAGIOS)
    found = read(tmp_path / "nagios.log")
    assert brief(found) == [
        (251, "notification", "CRITICAL", ""),
        (251, "state", "CRITICAL", "hard"),
        (260, "acknowledgement", "", ""),
        (270, "downtime", "SCHEDULED", ""),
        (280, "marker", "", ""),
    ]
    said = [one.output for one in found if isinstance(one, Event)]
    assert said[2] == "looking; monit restarts it"


def test_a_semicolon_in_the_output_stays(tmp_path: Path) -> None:
    (tmp_path / "icinga.log").write_text(ICINGA)
    first = read(tmp_path / "icinga.log")[0]
    assert isinstance(first, Event)
    assert first.output == "CRITICAL - Socket timeout; after 10 seconds"


def test_no_person_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(ICINGA)
    (tmp_path / "b.log").write_text(NAGIOS)
    outputs = str([(one.output, one.state) for one in read(tmp_path / "*.log") if isinstance(one, Event)])
    assert "mira" not in outputs
    assert "lena" not in outputs


def test_archives_count_by_what_they_hold_and_copies_once(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text(NAGIOS)
    (tmp_path / "nagios-11-24-2026-00.log").write_text(NAGIOS)
    with gzip.open(tmp_path / "nagios-11-23-2026-00.log.gz", "wt") as archive:
        archive.write(ICINGA)
    found = read(tmp_path / "*.log*")
    assert len(brief(found)) == 12
    assert not [one for one in found if isinstance(one, Gap)]


def test_a_log_that_begins_too_late_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text(NAGIOS)
    gaps = [one for one in read(tmp_path / "nagios.log") if isinstance(one, Gap)]
    assert [gap.what for gap in gaps] == [f"alarms before {utc(1795390251):%Y-%m-%d %H:%M:%S} UTC"]


def test_hosts_that_are_called_otherwise_are_said(tmp_path: Path) -> None:
    (tmp_path / "icinga.log").write_text(ICINGA)
    (gap,) = read(tmp_path / "icinga.log", hosts=("web1", "web2"))
    assert isinstance(gap, Gap)
    assert "app01, db01" in gap.detail


def test_more_hosts_by_pattern_and_checks_by_name(tmp_path: Path) -> None:
    (tmp_path / "icinga.log").write_text(ICINGA)
    source = NagiosLog(
        name="nagios",
        path=str(tmp_path / "icinga.log"),
        scope=Scope(hosts=("web1",)),
        hosts=("app*",),
        services=("pg",),
    )
    found = list(source.alarms(SPAN, "UTC", Deadline(10)))
    assert [row[2] for row in brief(found)] == ["DOWN"]  # a host's own state is no check


def test_a_pause_of_the_monitoring_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text(
        "[1795389000] x\n[1795390600] Caught SIGTERM, shutting down...\n[1795390601] Successfully shutdown... (PID=1)\n"
        "[1795391900] Nagios 4.4.6 starting... (PID=2)\n"
    )
    (gap,) = read(tmp_path / "nagios.log")
    assert isinstance(gap, Gap)
    assert gap.detail == "the monitoring did not run"


def test_a_big_log_is_searched_and_only_the_window_is_read(tmp_path: Path) -> None:
    path = tmp_path / "nagios.log"
    with path.open("w") as file:
        for second in range(BEGIN - 100_000, BEGIN + 100_000):
            file.write(f"[{second}] SERVICE ALERT: app01;http;OK;HARD;1;{'fine ' * 4}\n")
    deadline = Deadline(10)
    source = NagiosLog(name="nagios", path=str(path), scope=Scope(hosts=("app01",)))
    found = list(source.alarms(SPAN, "UTC", deadline))
    assert len(found) == 3600
    assert deadline.bytes < path.stat().st_size / 10


def test_an_old_archive_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text(NAGIOS)
    old = tmp_path / "nagios-old.log"
    old.write_text("[1700000000] SERVICE ALERT: app01;http;OK;HARD;1;x\n" * 100_000)
    os.utime(old, (1700000000, 1700000000))
    deadline = Deadline(10)
    source = NagiosLog(name="nagios", path=str(tmp_path / "*.log"), scope=Scope(hosts=("app01",)))
    assert all(isinstance(one, Event) for one in source.alarms(SPAN, "UTC", deadline))
    assert deadline.bytes < 100_000


@pytest.mark.parametrize(
    "text",
    [
        b"[1795390830] SERVICE ALERT: app01;http",
        b"[1795390830] SERVICE ALERT:",
        b"[1795390830] EXTERNAL COMMAND: ",
        b"[1795390830] EXTERNAL COMMAND: ACKNOWLEDGE_SVC_PROBLEM",
        b"[1795390830] HOST NOTIFICATION: a;b",
        b"[1795390830] SOMETHING ELSE: a;b;c",
        b"[1795390830] \xff\xfe\x00",
        b"[1795390830] ",
    ],
)
def test_a_damaged_line_is_no_event_or_one_without_words(text: bytes) -> None:
    found = nagios.entry(text)
    assert found is None or (isinstance(found, nagios.Entry) and found.output == "")


def test_names_of_hosts() -> None:
    assert called("app1.shop.example", ("app1", "app10")) == "app1"
    assert called("app10", ("app1", "app10")) == "app10"
    assert called("APP1", ("app1.shop.example",)) == "app1.shop.example"
    assert called("xapp1", ("app1",)) == ""
    whose = Whose(("app1",), more=("lb*",))
    assert [whose.host(name) for name in ("app1", "lb2", "db1")] == ["app1", "lb2", ""]
    assert Whose(()).host("any") == "any"


def test_every_event_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "nagios.log").write_text(NAGIOS)
    events = [one for one in read(tmp_path / "nagios.log") if isinstance(one, Event)]
    assert all(one.origin.digest.startswith("sha256:") and one.origin.url.endswith("nagios.log") for one in events)
    assert all(one.at.tzinfo is UTC for one in events)
    assert events[0].at - datetime.fromtimestamp(BEGIN, UTC) == timedelta(seconds=251)


def deploys(path: Path, text: str, **options: Any) -> list[tuple[int, str, str, bool]]:
    path.write_text(text)
    source = NagiosLog(name="nagios", path=str(path), scope=Scope(hosts=("app01",)), **options)
    found = list(source.deploys(utc(BEGIN), utc(BEGIN + 3600), Deadline(10)))
    assert all(isinstance(one, Deploy) and one.time_kind is TimeKind.DEPLOY_START for one in found)
    return [
        (int(one.at.timestamp()) - BEGIN, one.ref, one.note, one.rollback) for one in found if isinstance(one, Deploy)
    ]  # fmt: skip


def test_a_downtime_planned_for_a_deploy_is_one_at_its_planned_begin(tmp_path: Path) -> None:
    plan = "EXTERNAL COMMAND: SCHEDULE_"
    text = f"""\
[{BEGIN - 7200}] {plan}HOST_DOWNTIME;app01;{BEGIN + 60};{BEGIN + 660};1;0;7200;jenkins;deploy 2.14.0; shop
[{BEGIN - 7200}] {plan}SVC_DOWNTIME;app01;http;{BEGIN + 90};{BEGIN + 660};1;0;7200;jenkins;deploy 2.14.0; shop
[{BEGIN + 60}] HOST DOWNTIME ALERT: app01;STARTED; Host has entered a period of scheduled downtime
[{BEGIN + 500}] {plan}HOST_DOWNTIME;app01;{BEGIN + 500};{BEGIN + 660};1;0;7200;mira;new disk
[{BEGIN + 900}] {plan}HOST_DOWNTIME;db01;{BEGIN + 900};{BEGIN + 1660};1;0;7200;jenkins;deploy of others
[{BEGIN + 950}] {plan}HOST_DOWNTIME;app01;soon;{BEGIN + 1660};1;0;7200;jenkins;deploy 2.15.0
[{BEGIN + 960}] {plan}HOST_DOWNTIME;app01
[{BEGIN + 970}] {plan}HOST_DOWNTIME;app01;{BEGIN + 1000};{BEGIN + 1660};1;0;7200;jenkins;deploy: rollback to 2.13.9
"""
    expected = [
        (60, "2.14.0", "downtime: deploy 2.14.0; shop", False),
        (1000, "2.13.9", "downtime: deploy: rollback to 2.13.9", True),
    ]
    assert deploys(tmp_path / "log", text, deploys_="deploy*") == expected
    assert deploys(tmp_path / "log", text, deploys_="jenkins") == expected
    assert deploys(tmp_path / "log", text, deploys_=("nothing", "new*"))[0][1:3] == ("", "downtime: new disk")


def test_deploys_need_to_be_told_which_they_are(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="which downtime is a deploy"):
        deploys(tmp_path / "log", ICINGA)
    with pytest.raises(SourceError, match="deploy_ref"):
        deploys(tmp_path / "log", ICINGA, deploys_="x", deploy_ref="(")
