"""Readers of alarms on arbitrary bytes: they end, and never say what no line says."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbrief.errors import SourceError
from opsbrief.model.evidence import Event
from opsbrief.model.scope import Scope
from opsbrief.model.window import Span, utc
from opsbrief.readers.alarms import monit, nagios, status
from opsbrief.sources.nagioslog import NagiosLog
from opsbrief.transport.deadline import Deadline

NAMES = st.sampled_from(
    ["SERVICE ALERT", "HOST ALERT", "SERVICE NOTIFICATION", "HOST NOTIFICATION", "EXTERNAL COMMAND",
     "SERVICE DOWNTIME ALERT", "HOST FLAPPING ALERT", "CURRENT SERVICE STATE"]
)  # fmt: skip
UNSAFE = {chr(code) for code in range(32)} | {"\x7f", "\x9b", "\u202e"}
BEGIN = 1795390000


@given(NAMES, st.binary(max_size=200))
def test_any_tail_of_a_line_of_nagios_is_read_or_refused(name: str, tail: bytes) -> None:
    found = nagios.entry(f"[{BEGIN}] {name}: ".encode() + tail.replace(b"\n", b""))
    if isinstance(found, nagios.Entry):
        assert not set(found.output + found.state) & UNSAFE


@given(st.binary(max_size=300), st.sampled_from(["error", "info", "warning", ""]))
def test_any_line_of_monit_is_read_or_refused(tail: bytes, level: str) -> None:
    text = b"[2026-11-22T23:50:15+0000] " + level.encode() + b" : 'app' " + tail
    assert monit.reader(UTC, datetime(2026, 11, 23, tzinfo=UTC))(0.0)(text)
    tale = monit.Tale()
    if found := monit.record(text):
        for told in tale.tell(0.0, found):
            assert not set(told.output + told.service) & UNSAFE


@given(st.lists(st.sampled_from(["fail", "warn", "ok", "restart"]), max_size=60))
def test_an_alarm_is_told_when_it_begins_and_when_it_ends(steps: list[str]) -> None:
    words = {
        "fail": ("error", "'app' failed protocol test"),
        "warn": ("warning", "'app' failed protocol test"),
        "ok": ("info", "'app' connection succeeded to x"),
        "restart": ("info", "'app' trying to restart"),
    }
    tale = monit.Tale()
    told = [one for at, step in enumerate(steps) for one in tale.tell(float(at), monit.Record(*words[step], host=""))]
    states = [one.state for one in told if one.kind == "state"]
    assert all(one != two for one, two in pairwise(states))
    assert states[:1] != ["OK"]
    assert sum(one.kind == "restart" for one in told) == steps.count("restart")
    wrong = [step for step in steps if step != "restart"]
    assert (bool(states) and states[-1] != "OK") == (bool(wrong) and wrong[-1] != "ok")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_status_or_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        status.parse(b"<monit>" + body)


@given(
    st.lists(
        st.tuples(st.integers(0, 7200), st.sampled_from(["app1", "app2", "db1"]), st.sampled_from(["OK", "CRITICAL"])),
        max_size=40, unique=True,
    )
)  # fmt: skip
def test_exactly_the_lines_of_the_window_and_hosts_come_out(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]]
) -> None:
    path = Path(tmp_path_factory.mktemp("nagios")) / "nagios.log"
    lines = [(0, "x", "OK"), *sorted(rows)]
    path.write_text(
        "".join(f"[{BEGIN + at}] SERVICE ALERT: {host};http;{state};HARD;1;o\n" for at, host, state in lines)
    )
    source = NagiosLog(name="n", path=str(path), scope=Scope(hosts=("app1", "app2")))
    items = source.alarms(Span("", utc(BEGIN + 1800), utc(BEGIN + 3600)), "UTC", Deadline(10))
    told = [(int(one.at.timestamp()) - BEGIN, one.host, one.state) for one in items if isinstance(one, Event)]
    assert told == [row for row in sorted(rows) if 1800 <= row[0] < 3600 and row[1] != "db1"]
