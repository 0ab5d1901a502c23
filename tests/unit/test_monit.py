"""Monit's words, old and new, and its status, hostile ones too."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.contract.peer import answer, peer

from opsbrief.codec import encode
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Span
from opsbrief.readers.alarms import monit, status
from opsbrief.sources.monit import Monit
from opsbrief.transport.deadline import Deadline

BERLIN = ZoneInfo("Europe/Berlin")
SPAN = Span("", datetime(2026, 11, 22, 23, 0, tzinfo=UTC), datetime(2026, 11, 23, 1, 0, tzinfo=UTC))
# Real lines of 5.33, paths shortened.
LOG = """\
[2026-11-22T22:50:15+0000] info     : 'app' process is running with pid 21526
[2026-11-22T23:50:21+0000] warning  : 'app' failed protocol test [HTTP] at [127.0.0.1]:31080/ -- HTTP: Error
[2026-11-22T23:50:24+0000] error    : 'app' failed protocol test [HTTP] at [127.0.0.1]:31080/ -- HTTP: Error
[2026-11-22T23:50:24+0000] info     : 'app' trying to restart
[2026-11-22T23:50:24+0000] info     : 'app' stop: '/app/stop.sh'
[2026-11-22T23:50:25+0000] info     : 'app' start: '/app/start.sh'
[2026-11-22T23:50:26+0000] error    : 'app' failed protocol test [HTTP] at [127.0.0.1]:31080/ -- HTTP: Error
[2026-11-22T23:50:32+0000] info     : 'app' connection succeeded to [127.0.0.1]:31080/ [TCP/IP]
[2026-11-22T23:50:34+0000] error    : 'connections' status failed (2) -- established=500

and a line that the program printed
[2026-11-22T23:50:38+0000] info     : 'connections' status succeeded (0) -- established=20
[2026-11-22T23:50:44+0000] error    : 'app' service restarted 3 times within 13 cycles(s) - alert
[2026-11-22T23:51:36+0000] error    : 'app' process PID changed from 21980 to 23038
[2026-11-22T23:58:39+0000] info     : 'app' restart on user request
[2026-11-22T23:58:41+0000] info     : 'app' restart action done
[2026-11-23T00:36:00+0000] error    : 'app' process PID changed from 23038 to 24000
[2026-11-23T00:40:00+0000] error    : 'vm' cpu usage of 99.0% matches resource limit [cpu usage > 90.0%]
[2026-11-23T00:41:00+0000] info     : 'vm' cpu usage check succeeded [current cpu usage = 12.0%]
"""


def read(log: Path | str, span: Span = SPAN, hosts: tuple[str, ...] = ("app1",), **options: Any) -> list[Event | Gap]:
    source = Monit(name="monit", log=str(log), scope=Scope(hosts=hosts), **options)
    return list(source.alarms(span, "Europe/Berlin", Deadline(10)))


def brief(items: list[Event | Gap]) -> list[tuple[str, str, str]]:
    return [(f"{one.at:%H:%M:%S}", one.service, one.state) for one in items if isinstance(one, Event)]


def test_a_log_is_told_by_its_transitions(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(LOG)
    assert brief(read(tmp_path / "monit.log")) == [
        ("23:50:21", "app", "WARNING"),
        ("23:50:24", "app", "CRITICAL"),
        ("23:50:24", "app", "RESTART"),
        ("23:50:32", "app", "OK"),
        ("23:50:34", "connections", "CRITICAL"),
        ("23:50:38", "connections", "OK"),
        ("23:58:39", "app", "RESTART"),
        ("00:36:00", "app", "RESTART"),
        ("00:40:00", "vm", "CRITICAL"),
        ("00:41:00", "vm", "OK"),
    ]


def test_a_restart_says_why_and_by_whom(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(LOG)
    said = [one.output for one in read(tmp_path / "monit.log") if isinstance(one, Event) and one.kind == "restart"]
    assert said == [
        "restarted by Monit after: failed protocol test [HTTP] at [127.0.0.1]:31080/ -- HTTP: Error",
        "restart on user request",
        "not by Monit: process PID changed from 23038 to 24000",
    ]


def test_what_was_wrong_before_the_window_is_no_alarm_in_it(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(LOG)
    late = Span("", datetime(2026, 11, 22, 23, 50, 25, tzinfo=UTC), SPAN.end)
    assert brief(read(tmp_path / "monit.log", late))[0] == ("23:50:32", "app", "OK")


def test_only_the_services_that_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(LOG)
    assert {row[1] for row in brief(read(tmp_path / "monit.log", services=("conn*",)))} == {"connections"}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"[2026-11-22T23:50:15+0100] info : x", datetime(2026, 11, 22, 22, 50, 15, tzinfo=UTC)),
        (b"[2026-11-22T23:50:15] info : x", datetime(2026, 11, 22, 23, 50, 15, tzinfo=BERLIN)),
        (b"[UTC Nov 22 23:50:15] info : x", datetime(2026, 11, 22, 23, 50, 15, tzinfo=UTC)),
        (b"[CET Nov  2 23:50:15] info : x", datetime(2026, 11, 2, 23, 50, 15, tzinfo=BERLIN)),
        (b"[CET Dec 31 23:50:15] info : x", datetime(2025, 12, 31, 23, 50, 15, tzinfo=BERLIN)),
        (b"[CEST Oct 25 02:30:00] info : x", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (b"[CET Oct 25 02:30:00] info : x", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        (b"Nov 22 23:50:15 app1 monit[123]: 'x' y", datetime(2026, 11, 22, 23, 50, 15, tzinfo=BERLIN)),
        (b"2026-11-22T23:50:15.123+01:00 app1 monit[1]: 'x' y", datetime(2026, 11, 22, 22, 50, 15, tzinfo=UTC)),
        (b"Nov 22 23:50:15 app1 sshd[123]: 'x' y", None),
        (b"[XXX Foo 22 23:50:15] info : x", None),
        (b"[UTC Nov 31 23:50:15] info : x", None),
        (b"", None),
    ],
)
def test_stamps_of_every_age(head: bytes, expected: datetime | None) -> None:
    stamp = monit.reader(BERLIN, SPAN.end)(SPAN.end.timestamp())
    assert stamp(head) == (expected.timestamp() if expected else None)


def test_syslog_lines_name_their_host_and_lack_the_level(tmp_path: Path) -> None:
    (tmp_path / "syslog").write_text(
        "Nov 23 00:50:15 app2 cron[1]: x\n"
        "Nov 23 00:50:21 app2 monit[9]: 'app' failed protocol test [HTTP] at 1\n"
        "Nov 23 00:50:24 app2 monit[9]: 'app' trying to restart\n"
        "Nov 23 00:50:32 app2 monit[9]: 'app' connection succeeded to 1\n"
    )
    found = read(tmp_path / "syslog", hosts=("app1", "app2"))
    assert [row[2] for row in brief(found)] == ["CRITICAL", "RESTART", "OK"]
    assert {one.host for one in found if isinstance(one, Event)} == {"app2"}


def test_the_path_names_the_host(tmp_path: Path) -> None:
    for host in ("app1", "app2"):
        (tmp_path / host).mkdir()
        (tmp_path / host / "monit.log").write_text(LOG)
    found = read(tmp_path / "*" / "monit.log", host=r"([a-z0-9]+)/monit\.log")
    assert {one.host for one in found if isinstance(one, Event)} == {"app1", "app2"}


def test_a_time_in_which_monit_did_not_run_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(
        "[2026-11-22T22:00:00+0000] info     : Starting Monit 5.33.0 daemon with http interface at [*]:2812\n"
        "[2026-11-22T23:10:00+0000] info     : 'vm' Monit 5.33.0 stopped\n"
        "[2026-11-22T23:40:00+0000] info     : 'vm' Monit 5.33.0 started\n"
    )
    (gap,) = read(tmp_path / "monit.log")
    assert isinstance(gap, Gap)
    assert gap.detail == "Monit did not run"
    assert "23:10:00 UTC to 2026-11-22 23:40:00" in gap.what


def test_a_log_that_begins_too_late_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "monit.log").write_text(LOG[LOG.index("[2026-11-22T23:58") :])
    gaps = [one for one in read(tmp_path / "monit.log") if isinstance(one, Gap)]
    assert [gap.what for gap in gaps] == ["alarms before 2026-11-22 23:58:39 UTC"]


def test_a_rule_that_gives_up_is_told_once() -> None:
    tale = monit.Tale()
    record = monit.Record("error", "'app' service restarted 5 times within 5 cycles(s) - unmonitor", "")
    told = [one for at in range(5) for one in tale.tell(at, record)]
    assert [(one.kind, one.service) for one in told] == [("marker", "app")]


XML = """<?xml version="1.0" encoding="ISO-8859-1"?><monit><server><version>5.33.0</version><uptime>20</uptime>\
<localhostname>app1.shop.example</localhostname><credentials><username>admin</username>\
<password>CANARY-9</password></credentials></server>\
<service type="3"><name>app</name><collected_sec>1795391640</collected_sec><status>32</status><monitor>1</monitor>\
<pid>9</pid><uptime>95</uptime></service>\
<service type="7"><name>débit</name><collected_sec>1795391640</collected_sec><status>0</status><monitor>1</monitor>\
<program><output><![CDATA[établi=20]]></output></program></service></monit>"""


def present(body: bytes, folder: Path) -> list[Event | Gap]:
    (folder / "status.xml").write_bytes(body)
    source = Monit(name="monit", path=str(folder / "status.xml"), scope=Scope(hosts=("app1", "app2")))
    return list(source.alarms(SPAN, "UTC", Deadline(10)))


def test_the_status_tells_what_is_wrong_and_when_a_process_began(tmp_path: Path) -> None:
    alarm, restart, gap = present(XML.encode(), tmp_path)
    assert isinstance(alarm, Event)
    assert isinstance(restart, Event)
    assert (alarm.host, alarm.service, alarm.state, alarm.output) == (
        "app1", "app", "CRITICAL", "connection, says Monit's status",
    )  # fmt: skip
    assert restart.kind == "restart"
    assert alarm.at - restart.at == timedelta(seconds=95)
    assert isinstance(gap, Gap)
    assert "only the present" in gap.detail


def test_the_password_of_the_status_is_not_kept(tmp_path: Path) -> None:
    assert "CANARY-9" not in str(status.parse(XML.encode()))
    assert "CANARY-9" not in str([encode(one) for one in present(XML.encode(), tmp_path)])


def test_the_status_is_utf8_whatever_it_says() -> None:
    assert status.parse(XML.encode()).services[1].output == "établi=20"
    assert status.parse(XML.encode("iso-8859-1")).services[1].output == "établi=20"


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE monit [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><monit>&b;</monit>',
        b'<!DOCTYPE monit SYSTEM "file:///etc/passwd"><monit/>',
        b"<html><body>login</body></html>",
        b"<monit>" + b"<a>" * 100,
        b"<monit>&unknown;</monit>",
        b"<monit><service>",
        b"\x00\x01",
        b"",
    ],
)
def test_a_hostile_status_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        status.parse(body)
    assert caught.value.kind is GapKind.BAD_ANSWER


def test_a_status_with_odd_numbers_is_read_as_far_as_it_goes() -> None:
    body = (
        b"<monit><service type='3'><name>a</name><collected_sec>x</collected_sec><uptime>-1</uptime></service></monit>"
    )
    (service,) = status.parse(body).services
    assert (service.at, service.uptime, service.status) == (None, None, 0)


def test_the_page_of_the_log_is_unescaped() -> None:
    assert monit.viewed(b"<p><textarea rows=1>[x] 'a' &lt;b&gt;\n</textarea>") == b"[x] 'a' <b>\n"
    assert monit.viewed(b"<p>log is off</p>") == b""


@pytest.mark.parametrize(("minutes", "words"), [(5, "ahead of"), (-5, "behind"), (0, "")])
def test_a_clock_that_is_off_by_minutes_loses_no_alarm_and_is_said(minutes: int, words: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    there = now + timedelta(minutes=minutes)
    body = XML.replace("1795391640", str(int(there.timestamp()) - 5)).encode()
    serve = answer(body, "200 OK", "text/xml", f"Date: {format_datetime(there, usegmt=True)}")
    with peer(
        lambda sock, request: (serve if b"_status" in request else answer(b"", "404 Not Found"))(sock, request)
    ) as at:
        source = Monit(name="monit", url=at.url, scope=Scope(hosts=("app1",)))
        found = list(source.alarms(Span("", now - timedelta(hours=1), now), "UTC", Deadline(10)))
    events = [(one.state, round((now - one.at).total_seconds())) for one in found if isinstance(one, Event)]
    assert [(state, abs(late - wanted) <= 5) for (state, late), wanted in zip(events, (5, 100), strict=True)] == [
        ("CRITICAL", True), ("RESTART", True),
    ]  # fmt: skip
    said = [one.detail for one in found if isinstance(one, Gap) and "exact times" in one.what]
    assert ([words in one for one in said] == [True]) if words else said == []
