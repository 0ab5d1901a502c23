"""The journal, by lines as journalctl prints them; the real one is in tests/system."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Gap, LogSample, Outcome
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Span, Window, utc
from opsbrief.readers.journal import entries, units
from opsbrief.sources.journald import Journald
from opsbrief.transport.deadline import Deadline

BEGIN = 1795390000
WINDOW = Window(
    start=utc(BEGIN), end=utc(BEGIN + 3600), anchor=Anchor("time", utc(BEGIN)), before=timedelta(hours=1)
)  # fmt: skip
Ask = Callable[..., Outcome]
#: Prints the lines of a file in a span and with the fields asked for, as journalctl would.
PROGRAM = """#!{python}
import json, sys
since, until, ids, units = 0.0, 1e18, [], []
for argument in sys.argv[1:]:
    name, _, value = argument.partition("=")
    if name == "--since": since = float(value[1:])
    if name == "--until": until = float(value[1:])
    if name == "MESSAGE_ID": ids.append(value)
    if name == "--unit": units.append(value)
for text in open({lines!r}, "rb").read().split(b"\\n"):
    try:
        row = json.loads(text)
        at = int(row["__REALTIME_TIMESTAMP"]) / 1e6
    except Exception:
        row, at = {{}}, since
    if ids and row.get("MESSAGE_ID") not in ids or units and row.get("_SYSTEMD_UNIT") not in units: continue
    if text and since <= at <= until: sys.stdout.buffer.write(text + b"\\n")
sys.stderr.write({said!r})
sys.exit({status})
"""


def entry(second: float, message: object, **fields: object) -> dict[str, object]:
    return {
        "__REALTIME_TIMESTAMP": str(round((BEGIN + second) * 1e6)), "__CURSOR": "s=1", "_BOOT_ID": "a" * 32,
        "MESSAGE": message, "PRIORITY": "6", "_HOSTNAME": "app1.shop.example", "_SYSTEMD_UNIT": "shop.service",
        "SYSLOG_IDENTIFIER": "shop", "_PID": "4711", **fields,
    }  # fmt: skip


def said(second: float, what: str, message: str, unit: str = "shop.service", **fields: object) -> dict[str, object]:
    """Return what systemd itself says of a unit."""
    return entry(second, message, _SYSTEMD_UNIT="init.scope", _PID="1", UNIT=unit, MESSAGE_ID=what, **fields)


OLD = entry(-90_000, "the oldest")


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(
        *rows: dict[str, object] | bytes, stderr: str = "", status: int = 0, logs: tuple[Logs, ...] = (), **options: Any
    ) -> Outcome:
        lines, program = tmp_path / "lines", tmp_path / "journalctl"
        lines.write_bytes(
            b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
        )
        program.write_text(PROGRAM.format(python=sys.executable, lines=str(lines), said=stderr, status=status))
        program.chmod(0o755)
        scope = Scope(hosts=("app1",), logs=logs)
        source = Journald(name="journal", program=str(program), scope=scope, **options)
        evidence, _ = collect([("journald", source)], WINDOW, scope)
        assert not evidence.outcomes[0].traceback, evidence.outcomes[0].traceback
        return evidence.outcomes[0]

    return run


def samples(outcome: Outcome) -> dict[str, LogSample]:
    return {one.span: one for one in outcome.items if isinstance(one, LogSample)}


def told(outcome: Outcome) -> list[tuple[float, str, str, str, str]]:
    return [
        (round(one.at.timestamp() - BEGIN, 3), one.host, one.service, one.kind, one.state)
        for one in outcome.items
        if isinstance(one, Event)
    ]


def test_lines_are_counted_by_stretch_minute_and_level(ask: Ask) -> None:
    rows = [
        entry(-30, "fine"),
        *(entry(60 * n, f"slow {n}", PRIORITY="4") for n in range(10)),
        entry(599, "bad", PRIORITY="3"),
    ]
    found = samples(ask(OLD, *rows))
    assert {span: one.total for span, one in found.items()} == {"incident": 11, "before": 1}
    histogram = found["incident"].histogram
    assert histogram
    assert {name: sum(row) for name, row in histogram.counts.items()} == {"WARN": 10, "ERROR": 1}
    last = found["incident"].records[-1]
    assert (last.body, last.severity_text, last.resource["host.name"]) == ("bad", "ERROR", "app1.shop.example")
    assert (last.resource["service.name"], last.attributes["unit"]) == ("shop", "shop.service")
    assert all(one.total_is_exact for one in found.values())


def test_messages_that_are_bytes_or_lists_or_of_many_lines_are_text(ask: Ask) -> None:
    rows = [
        entry(1, [98, 105, 110, 27, 255]),
        entry(2, "Traceback\n  File\nBoom"),
        entry(3, ["first", "second"]),
        entry(4, None),
        entry(5, [[98, 121], "x"]),
        entry(6, "x" * 40_000),
    ]
    bodies = [record.body for record in samples(ask(OLD, *rows))["incident"].records]
    assert bodies[:5] == ["bin\\x1b�", "Traceback\n  File\nBoom", "first", "", "by"]
    assert bodies[5].startswith("xxx")
    assert "+7,232 bytes" in bodies[5]


def test_only_a_sample_of_many_lines_is_kept(ask: Ask) -> None:
    found = samples(ask(OLD, *(entry(n, f"line {n}") for n in range(2000)), limit=100))["incident"]
    assert found.total == 2000
    assert 50 <= len(found.records) <= 100
    assert found.records[-1].timestamp - found.records[0].timestamp > timedelta(seconds=1900)


def test_a_query_is_a_text_or_a_regular_expression(ask: Ask) -> None:
    rows = [entry(1, "GET /cart 500"), entry(2, "GET /cart 200"), entry(3, "GET /health 500")]
    assert samples(ask(OLD, *rows, logs=(Logs(query="/cart"),)))["incident"].total == 2
    assert samples(ask(OLD, *rows, logs=(Logs(query="re:5\\d\\d", ignore=("health",)),)))["incident"].total == 1


def test_a_query_of_a_search_engine_is_not_read_as_silence(ask: Ask) -> None:
    outcome = ask(OLD, entry(-1, "x"), entry(1, "x"), logs=(Logs(query="service:shop AND level:error"),))
    assert [gap.kind for gap in outcome.gaps] == [GapKind.REJECTED]
    assert not samples(outcome)


def test_a_unit_that_fell_silent_has_zero_lines_and_one_that_is_unknown_a_gap(ask: Ask) -> None:
    others = entry(10, "x", _SYSTEMD_UNIT="cron.service")
    outcome = ask(OLD, entry(-10, "x"), others, units=("shop.service",))
    assert {span: one.total for span, one in samples(outcome).items()} == {"incident": 0, "before": 1}
    assert outcome.gaps == ()
    outcome = ask(OLD, entry(-10, "x"), others, units=("shpo.service",))
    assert ["has this name" in gap.detail for gap in outcome.gaps] == [True]
    assert not samples(outcome)


def test_hours_without_any_entry_are_a_gap_not_silence(ask: Ask) -> None:
    outcome = ask(OLD, entry(-10, "x"))
    assert [(gap.span, gap.kind) for gap in outcome.gaps] == [("incident", GapKind.UNAVAILABLE)]
    assert "no entry at all" in outcome.gaps[0].detail


def test_a_journal_that_begins_after_the_window_says_so(ask: Ask) -> None:
    outcome = ask(entry(600, "first"), entry(700, "second"))
    assert {gap.span for gap in outcome.gaps} == {"", "incident", "before"}
    assert samples(outcome)["incident"].start == utc(BEGIN + 600)
    assert "before" not in samples(outcome)


def test_an_empty_journal_is_a_gap(ask: Ask) -> None:
    (gap,) = ask().gaps
    assert (gap.kind, gap.what) == (GapKind.UNAVAILABLE, "everything")
    assert "no journal files were found" in gap.detail


def test_a_partial_view_is_a_gap_not_silence(ask: Ask) -> None:
    hint = "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups\n"
    gaps = ask(OLD, entry(-1, "x"), entry(1, "x"), stderr=hint).gaps
    assert {gap.kind for gap in gaps} == {GapKind.UNAUTHORIZED}
    assert all("systemd-journal" in gap.hint for gap in gaps)
    (gap,) = ask(stderr="No journal files were opened due to insufficient permissions.\n", status=1).gaps
    assert gap.kind is GapKind.UNAUTHORIZED


def test_a_damaged_file_among_others_is_a_gap(ask: Ask) -> None:
    outcome = ask(OLD, entry(1, "x"), stderr="Journal file /var/log/journal/x is truncated, ignoring file.\n")
    assert {gap.kind for gap in outcome.gaps} == {GapKind.UNAVAILABLE}
    assert not samples(outcome)["incident"].total_is_exact


def test_lines_that_are_no_json_or_too_long_are_said(ask: Ask) -> None:
    long = json.dumps(entry(2, "x" * (entries.LONGEST + 100_000))).encode()
    outcome = ask(OLD, entry(-1, "x"), entry(1, "x"), b"{broken", b'{"__REALTIME_TIMESTAMP": []}', long, entry(3, "y"))
    assert samples(outcome)["incident"].total == 2
    assert {gap.kind for gap in outcome.gaps} == {GapKind.BAD_ANSWER}


def test_restarts_and_failures_of_a_unit(ask: Ask) -> None:
    rows = [
        said(10, units.EXITED, "shop.service: Main process exited, code=killed, status=9/KILL"),
        said(10.1, units.FAILED, "shop.service: Failed with result 'signal'."),
        said(10.2, units.SCHEDULED, "Scheduled restart job", N_RESTARTS="2"),
        said(10.5, units.STARTED, "Started Shop."),
        said(900, units.STARTED, "Started Shop."),
        said(910, units.STARTED, "Started Backup.", unit="backup.service"),
    ]
    outcome = ask(OLD, *rows, units=("shop*",))
    assert told(outcome) == [
        (10.1, "app1", "shop", "state", "CRITICAL"),
        (10.2, "app1", "shop", "restart", "RESTART"),
        (10.5, "app1", "shop", "state", "OK"),
        (900, "app1", "shop", "restart", "RESTART"),
    ]
    first, again, *_ = (one.output for one in outcome.items if isinstance(one, Event))
    assert "before: shop.service: Main process exited" in first
    assert "restarted by systemd, its counter is at 2" in again


def test_of_all_units_only_failures_and_restarts_by_systemd_are_told(ask: Ask) -> None:
    rows = [
        said(1, units.STARTED, "Started Daily apt activities.", unit="apt-daily.service"),
        said(2, units.START_FAILED, "Failed to start Shop."),
        said(3, units.OUT_OF_MEMORY, "A process of this unit has been killed by the OOM killer.", unit="db.service"),
        said(4, units.BOOTED, "Startup finished in 3s", unit=""),
        # Anybody may write a message id; systemd is the process 1.
        entry(5, "Failed", MESSAGE_ID=units.FAILED, UNIT="ssh.service", _PID="4711"),
    ]
    assert told(ask(OLD, *rows)) == [
        (2, "app1", "shop", "state", "CRITICAL"),
        (3, "app1", "db", "state", "CRITICAL"),
        (4, "app1", "", "restart", "RESTART"),
    ]


def test_lines_that_journald_suppressed_are_a_gap(ask: Ask) -> None:
    lost = entry(30, "Suppressed 4123 messages from shop.service", MESSAGE_ID=units.SUPPRESSED, N_DROPPED="4123")
    outcome = ask(OLD, entry(1, "x"), entry(-1, "y"), lost)
    (gap,) = outcome.gaps
    assert gap.kind is GapKind.TRUNCATED
    assert "4,123 lines of shop.service" in gap.what
    assert {span: one.total_is_exact for span, one in samples(outcome).items()} == {"incident": False, "before": True}


def test_failures_are_alarms_for_since_alert(tmp_path: Path, ask: Ask) -> None:
    ask(OLD, said(10, units.FAILED, "shop.service: Failed with result 'signal'."))
    source = Journald(name="journal", program=str(tmp_path / "journalctl"), scope=Scope(hosts=("app1",)))
    (event,) = source.alarms(Span("", utc(BEGIN), utc(BEGIN + 60)), "UTC", Deadline(10))
    assert isinstance(event, Event)
    assert (event.host, event.service, event.state, event.state_type) == ("app1", "shop", "CRITICAL", "hard")


@pytest.mark.parametrize("match", ["shop", "_hostname=app1", "--merge", "_HOSTNAME="])
def test_a_match_is_a_field_and_its_value(ask: Ask, match: str) -> None:
    (gap,) = ask(OLD, match=(match,)).gaps
    assert gap.kind is GapKind.REJECTED


def test_a_program_that_is_missing_is_said() -> None:
    found = list[Gap]()
    source = Journald(name="journal", program="/no/such/journalctl")
    evidence, _ = collect([("journald", source)], WINDOW, Scope())
    found.extend(evidence.gaps)
    assert [gap.kind for gap in found] == [GapKind.UNAVAILABLE]
