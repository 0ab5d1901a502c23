import bz2
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, LogRecord, LogSample
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.readers.lines import level, stamp
from opsbrief.sources.logfile import LogFile
from opsbrief.transport.deadline import Deadline

T0 = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 2, tzinfo=UTC)
MARCH_2024 = datetime(2024, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def window(zone: str = "UTC", weeks: int = 0) -> Window:
    return Window(
        start=T0,
        end=T0 + timedelta(hours=1),
        anchor=Anchor("deploy", T0),
        before=timedelta(hours=1),
        zone=zone,
        shifts=tuple((("last-week", "2-weeks-ago")[number], WEEK * (number + 1)) for number in range(weeks)),
    )


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def plain(moment: datetime, text: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} {text}\n"


def ask(
    path: object, asked: Window | None = None, *entries: Logs, seconds: float = 30, **options: object
) -> list[LogSample | Gap]:
    source = LogFile(name="logs", path=path, scope=Scope(logs=entries), **options)  # type: ignore[arg-type]  # options vary
    return [item for item in source.collect(asked or window(), Deadline(seconds)) if isinstance(item, LogSample | Gap)]


def samples(items: Sequence[LogSample | Gap]) -> dict[str, LogSample]:
    return {item.span: item for item in items if isinstance(item, LogSample)}


def gaps(items: Sequence[LogSample | Gap]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


def incident(path: Path, text: str, **options: object) -> tuple[LogRecord, ...]:
    path.write_text(text, encoding="utf-8")
    return samples(ask(str(path), None, **options))["incident"].records  # type: ignore[arg-type]  # options vary


def test_lines_go_to_the_stretch_they_were_written_in(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    moments = [at(-WEEK.total_seconds() / 60), at(-90), at(-60), at(-0.001), at(0), at(59.9), at(60)]
    path.write_text("".join(plain(moment, f"INFO line {number}") for number, moment in enumerate(moments)))
    found = samples(ask(str(path), window(weeks=1)))
    assert {label: [record.body for record in sample.records] for label, sample in found.items()} == {
        "incident": ["line 4", "line 5"],
        "before": ["line 2", "line 3"],
        "last-week": ["line 0"],
    }
    assert found["last-week"].start == T0 - WEEK
    assert found["incident"].records[1].timestamp == at(59.9)


def test_a_stretch_that_nobody_asked_for_is_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "shop.log"
    path.write_text("".join(f"{at(minute).isoformat()} INFO served\n" for minute in range(60)))
    items = ask(str(path), replace(window(), before=timedelta(0)))
    assert ([*samples(items)], gaps(items)) == (["incident"], [])


def test_the_histogram_counts_every_line_by_minute_and_level(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    rows = [(0, "INFO"), (0.5, "ERROR"), (1, "WARNING"), (1.2, "ERROR"), (59, "FATAL"), (59.5, "nothing")]
    path.write_text(plain(at(-200), "INFO x") + "".join(plain(at(minute), f"{word} text") for minute, word in rows))
    sample = samples(ask(str(path)))["incident"]
    assert sample.histogram
    assert (sample.histogram.start, sample.histogram.step) == (int(T0.timestamp()), 60)
    flat = {
        name: [index for index, count in enumerate(row) for _ in range(count)]
        for name, row in sample.histogram.counts.items()
    }
    assert flat == {"INFO": [0], "ERROR": [0, 1], "WARN": [1], "FATAL": [59], "": [59]}
    assert (sample.total, sample.total_is_exact) == (6, True)


FORMS = {
    "logback": ("2026-11-20 15:02:11,123 ERROR [exec-1] c.e.Shop - boom", 131.123, "ERROR", "[exec-1] c.e.Shop - boom"),
    "iso": ("2026-11-20T15:02:11.123456Z INFO boom", 131.123456, "INFO", "boom"),
    "iso offset": ("2026-11-20T16:02:11+01:00 boom", 131, "", "boom"),
    "iso offset, blank": ("2026-11-20 16:02:11 +0100 [warn] boom", 131, "WARN", "boom"),
    "brackets": ("[2026-11-20 15:02:11] production.ERROR: boom", 131, "ERROR", "production.ERROR: boom"),
    "level first": ("ERROR 2026-11-20 15:02:11,5 boom", 131.5, "ERROR", "boom"),
    "logfmt": (
        'time="2026-11-20T15:02:11Z" level=warning msg="boom"', 131, "WARN", 'time=" " level=warning msg="boom"',
    ),
    "ruby": ("I, [2026-11-20T15:02:11.123456 #12]  INFO -- : boom", 131.123456, "INFO", "I, #12]  INFO -- : boom"),
    "python": ("2026-11-20 15:02:11,123 - shop - WARNING - boom", 131.123, "WARN", "shop - WARNING - boom"),
    "postgres": ("2026-11-20 15:02:11.123 UTC [12] ERROR:  boom", 131.123, "ERROR", "[12] ERROR:  boom"),
    "nginx error": ("2026/11/20 15:02:11 [error] 12#0: *1 boom", 131, "ERROR", "12#0: *1 boom"),
    "apache error": (
        "[Fri Nov 20 15:02:11.123456 2026] [core:error] [pid 1] boom", 131.123456, "ERROR", "[pid 1] boom",
    ),
    "access log": (
        '10.0.0.1 - - [20/Nov/2026:16:02:11 +0100] "GET /x HTTP/1.1" 200 12', 131, "",
        '10.0.0.1 - - "GET /x HTTP/1.1" 200 12',
    ),
    "syslog": ("Nov 20 15:02:11 app1 shop[12]: boom", 131, "", "boom"),
    "syslog with priority": ("<11>Nov 20 15:02:11 app1 shop: boom", 131, "ERROR", "boom"),
    "RFC 5424": ('<12>1 2026-11-20T15:02:11.5Z app1 shop 12 ID47 [a b="\\"]"] boom', 131.5, "WARN", "boom"),
    "rsyslog": ("2026-11-20T15:02:11.5+00:00 app1 shop[12]: boom", 131.5, "", "boom"),
    "klog": ("E1120 15:02:11.123456       1 main.go:12] boom", 131.123456, "ERROR", "1 main.go:12] boom"),
    "epoch": ("1795186931 INFO boom", 131, "INFO", "boom"),
    "epoch ms": ("1795186931123 INFO boom", 131.123, "INFO", "boom"),
    "epoch fraction": ("1795186931.25 INFO boom", 131.25, "INFO", "boom"),
    "tomcat": ("20-Nov-2026 15:02:11.123 SEVERE [main] boom", 131.123, "ERROR", "[main] boom"),
    "java": ("Nov 20, 2026 3:02:11 PM shop.Main run", 131, "", "shop.Main run"),
    "dotted": ("20.11.2026 15:02:11 WARN boom", 131, "WARN", "boom"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_stamps(name: str, tmp_path: Path) -> None:
    text, seconds, severity, body = FORMS[name]
    path = tmp_path / "app.log"
    path.write_text(f"{text}\n{text} again\n")
    os.utime(path, (at(30).timestamp(),) * 2)
    first, _ = samples(ask(str(path)))["incident"].records
    assert first.timestamp == T0 + timedelta(seconds=seconds)
    assert (first.severity_text, first.body) == (severity, body)


def test_syslog_gives_host_and_program(tmp_path: Path) -> None:
    (record,) = incident(tmp_path / "syslog", "Nov 20 15:02:11 app1 shop[12]: boom\n")
    assert record.resource == {"host.name": "app1", "service.name": "shop"}
    assert record.attributes["process.pid"] == "12"


@pytest.mark.parametrize(
    ("text", "around", "latest", "wanted"),
    [
        ("Nov 20 15:00:00", T0, T0, T0),
        ("Dec 31 23:00:00", NEW_YEAR, NEW_YEAR, datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("Jan  5 00:00:00", T0, T0, datetime(2026, 1, 5, tzinfo=UTC)),  # not next January: the file was written before
        ("Nov 20 15:00:00", datetime(2024, 11, 21, tzinfo=UTC), T0, datetime(2024, 11, 20, 15, tzinfo=UTC)),
        ("Feb 29 12:00:00", MARCH_2024, MARCH_2024, datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_year_that_is_not_written(text: str, around: datetime, latest: datetime, wanted: datetime) -> None:
    clock = stamp.Clock(UTC, around, latest)
    assert stamp.SYSLOG.read(clock, text.encode(), None) == wanted.timestamp()


def test_stamps_without_an_offset_are_of_the_configured_zone_else_of_the_window(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("2026-11-20 16:02:11 INFO boom\n")
    assert samples(ask(str(path), window("Europe/Berlin")))["incident"].records[0].timestamp == at(2) + timedelta(
        seconds=11
    )
    path.write_text("2026-11-20 10:02:11 INFO boom\n")
    found = samples(ask(str(path), window("Europe/Berlin"), zone="America/New_York"))
    assert found["incident"].records[0].timestamp == at(2) + timedelta(seconds=11)
    with pytest.raises(SourceError, match="no time zone 'Mars'"):
        ask(str(path), zone="Mars")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" INFO x", "INFO"), (" [error] x", "ERROR"), (" level=warn x", "WARN"), ("<CRITICAL>", "FATAL"),
        (" no error found", ""), (" ERRORS 3", ""), (" MY_ERROR", ""), (" |WARN | x", "WARN"), (" x\n ERROR", ""),
        (" [core:debug] x", "DEBUG"), (' lvl="eror"', ""), (" NOTICE: x", "INFO"), (" INFORMATION x", "INFO"), ("", ""),
    ],
)  # fmt: skip
def test_levels_in_lines(text: str, wanted: str) -> None:
    block = text.encode()
    assert level.find(block, 0, len(block)) == wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("warning", "WARN"), ("E", "ERROR"), (30, "INFO"), ("50", "ERROR"), (60, "FATAL"), (3, "ERROR"), ("6", "INFO"),
        (20, "DEBUG"), ("?", ""), (None, ""), (True, ""), (-4, ""), (9, ""),
    ],
)  # fmt: skip
def test_levels_as_words_and_numbers(word: str | float | None, wanted: str) -> None:
    assert level.normal(word) == wanted


def test_a_stack_trace_is_one_record(tmp_path: Path) -> None:
    trace = (
        "java.lang.IllegalStateException: no connection\n\tat a.b.C.d(C.java:1)\n"
        "Caused by: java.net.SocketException: closed\n\t... 12 more\n"
    )
    python = 'Traceback (most recent call last):\n  File "x.py", line 2, in y\nKeyError: 2026\n'
    text = plain(at(1), "ERROR boom") + trace + plain(at(2), "ERROR other") + python + plain(at(3), "INFO fine")
    records = incident(tmp_path / "app.log", text)
    assert [record.body for record in records] == [f"boom\n{trace.rstrip()}", f"other\n{python.rstrip()}", "fine"]


ECS = {"@timestamp": "2026-11-20T15:02:11.123Z", "message": "boom", "log.level": "error", "host": {"name": "app1"}}
EVENTS = {
    "ecs dotted": ECS,
    "ecs nested": {**ECS, "log": {"level": "ERROR"}},
    "logstash": {"@timestamp": ECS["@timestamp"], "@version": "1", "message": "boom", "level": "ERROR", "host": "app1"},
    "filebeat": {
        "@timestamp": ECS["@timestamp"], "message": "boom", "log": {"level": "error", "file": {"path": "/x"}},
        "host": {"name": "app1"}, "agent": {"hostname": "other"},
    },
    "bunyan": {"time": "2026-11-20T15:02:11.123Z", "msg": "boom", "level": 50, "hostname": "app1", "v": 0},
    "pino": {"time": 1795186931123, "msg": "boom", "level": 50, "hostname": "app1"},
    "seconds": {"ts": 1795186931.123, "msg": "boom", "level": "error", "host": "app1"},
    "offset": {"timestamp": "2026-11-20T16:02:11.123+01:00", "message": "boom", "severity": "Error", "host": "app1"},
    "docker": {"log": "ERROR boom\n", "stream": "stderr", "time": "2026-11-20T15:02:11.123000000Z", "host": "app1"},
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_json_lines(name: str, tmp_path: Path) -> None:
    (record,) = incident(tmp_path / "app.log", json.dumps(EVENTS[name]) + "\n")
    assert abs(record.timestamp - (at(2) + timedelta(seconds=11, milliseconds=123))) < timedelta(milliseconds=1)
    assert record.severity_text == "ERROR"
    assert record.body.removeprefix("ERROR ") == "boom"
    assert record.resource["host.name"] == "app1"


def test_json_with_names_of_ones_own_and_a_trace(tmp_path: Path) -> None:
    event = {
        "when": "2026-11-20 15:02:11",
        "what": "boom",
        "how": "warn",
        "where": "db1",
        "error": {"stack_trace": "at x"},
        "n": {"m": 3},
    }
    path = tmp_path / "app.log"
    path.write_text(json.dumps(event) + "\nnot json\n")
    entry = Logs(message="what", level="how", host="where")
    (record,) = samples(ask(str(path), None, entry, time_field="when"))["incident"].records
    assert (record.body, record.severity_text, record.resource) == (
        "boom\nat x\nnot json",
        "WARN",
        {"host.name": "db1"},
    )
    assert record.attributes == {"n.m": "3", "log.file.name": "app.log"}


def test_a_configured_pattern(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("#7 20261120T150211 db1 <warn> boom\n  more\n#8 20261120T150311 db2 <x> bang\n")
    options = {
        "pattern": r"#\d+ (?P<time>\S+) (?P<host>\S+) <(?P<level>\w+)> (?P<message>.*)",
        "time_format": "%Y%m%dT%H%M%S",
    }
    one, two = samples(ask(str(path), None, **options))["incident"].records  # type: ignore[arg-type]  # options vary
    assert (one.body, one.severity_text, one.resource, one.timestamp) == (
        "boom\n  more", "WARN", {"host.name": "db1"}, at(2) + timedelta(seconds=11),
    )  # fmt: skip
    assert (two.body, two.severity_text) == ("bang", "")
    path.write_text("app1 at 2026-11-20 15:02:11.25: boom\nnothing\n")
    (record,) = samples(ask(str(path), None, pattern=r"(?P<host>\w+) at (?P<time>[^:]*:\d\d:[\d.]+)"))[
        "incident"
    ].records
    assert record.timestamp == at(2) + timedelta(seconds=11.25)
    assert record.body == "app1 at 2026-11-20 15:02:11.25: boom\nnothing"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pattern": "(?P<time>"}, "no regular expression"),
        ({"pattern": r"(\d+)"}, "no group 'time'"),
        ({"host": "("}, "no regular expression"),
    ],
)
def test_wrong_options_are_refused_in_words(options: dict[str, str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(1), "INFO x"))
    with pytest.raises(SourceError, match=words) as refused:
        ask(str(path), **options)  # type: ignore[arg-type]  # options vary
    assert refused.value.kind is GapKind.REJECTED


def test_queries_and_ignored_lines(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(
        plain(at(-400), "x")
        + "".join(
            plain(at(number), text)
            for number, text in enumerate(["INFO a", "WARN b c", "ERROR b", "ERROR [b]\n\tat c"])
        )
    )
    for entry, wanted in (
        (Logs(), 4),
        (Logs(query="b"), 3),
        (Logs(query="[b]"), 1),
        (Logs(query="re:ERROR|WARN"), 3),
        (Logs(query="re:(?s)ERROR.*at c"), 1),
        (Logs(ignore=("b c", r"\[b\]")), 2),
        (Logs(query="re:b", ignore=("WARN",)), 2),
        (Logs(query="nowhere"), 0),
    ):
        sample = samples(ask(str(path), None, entry))["incident"]
        assert (sample.total, sample.query) == (wanted, entry.query)
    two = ask(str(path), None, Logs(query="b"), Logs(query="INFO"), Logs(query="x", source="other"))
    assert [item.query for item in two if isinstance(item, LogSample)] == ["b", "INFO"]


def test_a_query_meant_for_elasticsearch_is_not_a_zero(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(-59), "INFO key:value") + plain(at(10), "INFO y"))
    for query in ("service:shop", "shop AND NOT health"):
        items = ask(str(path), None, Logs(query=query))
        assert not samples(items)
        assert {gap.kind for gap in gaps(items)} == {GapKind.REJECTED}
    found = samples(ask(str(path), None, Logs(query="key:value")))
    assert (found["before"].total, found["incident"].total) == (1, 0)
    assert samples(ask(str(path), None, Logs(query="re:a:b")))["before"].total == 0


def test_a_sample_is_bounded_even_and_always_the_same(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("".join(plain(at(-60 + number * 120 / 20000), f"INFO number {number}") for number in range(20000)))
    first, again = samples(ask(str(path), limit=100)), samples(ask(str(path), limit=100))
    sample = first["incident"]
    assert sample.records == again["incident"].records
    assert (sample.total, len(sample.records)) == (10000, 100)
    numbers = [int(record.body.split()[-1]) for record in sample.records]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    assert max(steps) <= 2 * min(steps)
    assert numbers[0] < 10200
    assert numbers[-1] > 19800


def test_rotated_and_packed_files_are_one_log(tmp_path: Path) -> None:
    packed = {"app.log.3.xz": lzma.compress, "app.log.2.bz2": bz2.compress, "app.log-20261120.gz": gzip.compress}
    for index, (name, pack) in enumerate(packed.items()):
        (tmp_path / name).write_bytes(pack(plain(at(-50 + index), f"INFO {name}").encode()))
    (tmp_path / "app.log.1").write_text(plain(at(-10), "INFO app.log.1"))
    (tmp_path / "app.log").write_text(plain(at(10), "INFO app.log"))
    found = samples(ask(str(tmp_path / "app.log*")))
    assert [record.body for record in found["before"].records] == [*packed, "app.log.1"]
    assert [record.body for record in found["incident"].records] == ["app.log"]


def test_a_file_is_counted_once_however_often_it_is_met(tmp_path: Path) -> None:
    text = plain(at(1), "INFO x")
    (tmp_path / "app.log.1").write_text(text)
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(text.encode()))  # being packed right now
    (tmp_path / "link.log").symlink_to("app.log.1")
    sample = samples(ask((str(tmp_path / "app.log*"), str(tmp_path / "link.log"))))["incident"]
    assert sample.total == 1


def test_hosts_come_from_the_path_or_are_fixed(tmp_path: Path) -> None:
    for host in ("app1", "app2"):
        (tmp_path / f"{host}.log").write_text(plain(at(1), "INFO x"))
    pattern = str(tmp_path / "*.log")
    for option, wanted in ((r"([a-z0-9]+)\.log", {"app1", "app2"}), ("all", {"all"})):
        records = samples(ask(pattern, host=option))["incident"].records
        assert {record.resource["host.name"] for record in records} == wanted


def test_what_the_files_do_not_reach_is_a_gap_and_no_zero(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(-30), "INFO x") + plain(at(10), "INFO y"))
    items = ask(str(path), window(weeks=1))
    found = samples(items)
    assert set(found) == {"before", "incident"}
    assert found["before"].start == at(-30), "the stretch begins where the file does, so that rates are right"
    assert [(gap.span, gap.kind) for gap in gaps(items)] == [
        ("before", GapKind.UNAVAILABLE),
        ("last-week", GapKind.UNAVAILABLE),
    ]
    assert "the oldest line is of 2026-11-20 14:30:00 UTC" in gaps(items)[0].detail
    assert "glob" in gaps(items)[0].hint


def test_a_query_that_finds_nothing_in_hours_that_have_lines_is_a_zero(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(-59), "INFO x") + plain(at(10), "INFO y"))
    assert samples(ask(str(path), None, Logs(query="z")))["incident"].total == 0


def big(path: Path, lines: int = 200_000) -> None:
    """Write a day of lines, 20 MB, that ends an hour after the window."""
    start = at(120) - timedelta(days=1)
    with path.open("w") as file:
        for number in range(lines):
            moment = start + timedelta(seconds=86400 * number / lines)
            file.write(
                plain(
                    moment, f"INFO [exec-{number % 40}] c.e.shop.Access - GET /api/v2/products/{number} 200 {'x' * 20}"
                )
            )


def test_a_big_file_is_searched_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    big(path)
    source = LogFile(name="logs", path=str(path))
    deadline = Deadline(60)
    found = samples([item for item in source.collect(window(), deadline) if isinstance(item, LogSample)])
    truth = [row[:19] for row in path.read_text().splitlines()]
    for label, start in (("before", at(-60)), ("incident", T0)):
        first, last = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (start, start + timedelta(hours=1)))
        assert found[label].total == sum(first <= row < last for row in truth)
    assert deadline.bytes < path.stat().st_size / 5


def test_a_big_file_out_of_order_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    big(path)
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[100_000:] + rows[:100_000]))
    again = samples(ask(str(path)))
    path.write_text("".join(rows))
    assert {label: sample.total for label, sample in again.items()} == {
        label: sample.total for label, sample in samples(ask(str(path))).items()
    }


def test_lines_a_little_out_of_order_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    chance = random.Random(3)
    moments = sorted(
        (at(-240 + 400 * number / 60_000) for number in range(60_000)),
        key=lambda moment: moment.timestamp() + chance.uniform(0, 50),
    )
    path.write_text("".join(plain(moment, f"INFO {'x' * 60}") for moment in moments))
    assert samples(ask(str(path)))["incident"].total == sum(T0 <= moment < at(60) for moment in moments)


def test_a_line_of_ten_megabytes_is_cut_and_the_next_one_found(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(1), "INFO a") + plain(at(2), "ERROR " + "x" * 10_000_000) + plain(at(3), "INFO b"))
    records = samples(ask(str(path)))["incident"].records
    assert [record.body[:3] for record in records] == ["a", "xxx", "b"]
    assert len(records[1].body) < 9000
    assert "(+" in records[1].body


def test_junk_between_lines_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    junk = os.urandom(300_000) + b"\n" + b"\0" * 100_000 + b"\n2026-13-45 99:99:99 ERROR no such time\n"
    path.write_bytes(plain(at(1), "INFO a").encode() + junk + plain(at(2), "INFO \x1b[31m \u202e b").encode())
    records = samples(ask(str(path)))["incident"].records
    assert [record.severity_text for record in records] == ["INFO", "INFO"]
    assert "\x1b" not in records[1].body
    assert "\u202e" not in records[1].body


@pytest.mark.parametrize("content", ["", "\n\n", "no stamp at all\n", "\0" * 9000])
def test_files_that_cannot_be_used_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "bad.log").write_text(content)
    (tmp_path / "good.log").write_text(plain(at(-59), "INFO y") + plain(at(1), "INFO x"))
    items = ask(str(tmp_path / "*.log"))
    assert samples(items)["incident"].total == 1
    assert [Path(gap.what).name for gap in gaps(items)] == ["bad.log"]


def test_a_packed_file_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=whole, mode="wb") as file:
        chance = random.Random(1)
        file.write("".join(plain(at(number / 1000), f"INFO {chance.random()}") for number in range(50_000)).encode())
    path = tmp_path / "app.log.1.gz"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    items = ask(str(path))
    sample = samples(items)["incident"]
    assert 1000 < sample.total < 50_000
    assert not sample.total_is_exact
    assert GapKind.TRUNCATED in {gap.kind for gap in gaps(items)}


def test_pipes_and_files_that_vanish_are_gaps_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    items = ask((str(tmp_path / "pipe.log"), str(tmp_path / "gone.log")))
    assert {gap.kind for gap in gaps(items)} == {GapKind.UNAVAILABLE}
    assert len(items) == 2
    with pytest.raises(SourceError, match="no file matches"):
        ask(str(tmp_path / "*.nothing"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(plain(at(1), "INFO x"))
    path.chmod(0)
    assert [gap.kind for gap in gaps(ask(str(path)))] == [GapKind.UNAUTHORIZED]


def test_when_the_time_runs_out_what_was_counted_is_kept_and_called_inexact(tmp_path: Path) -> None:
    rows = "".join(plain(at(number / 20_000), "INFO x" + "y" * 80) for number in range(100_000)).encode()
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(rows, 1))
    ticks = iter(range(10**6))
    deadline = Deadline(50, clock=lambda: float(next(ticks)))
    source = LogFile(name="logs", path=str(tmp_path / "app.log.gz"))
    items = [item for item in source.collect(window(), deadline) if isinstance(item, LogSample | Gap)]
    sample = samples(items)["incident"]
    assert 0 < sample.total < 100_000
    assert not sample.total_is_exact
    assert GapKind.TIMEOUT in {gap.kind for gap in gaps(items)}


def test_deploys_are_lines_that_match(tmp_path: Path) -> None:
    path = tmp_path / "deploy.log"
    path.write_text(
        plain(at(-9000), "INFO deployed shop 2.12.0") + plain(at(-30), "INFO deployed shop 2.13.0 to 8 hosts")
        + plain(at(-5), "INFO started") + plain(at(0), "INFO deployed shop 2.14.0")
    )  # fmt: skip
    source = LogFile(name="logs", path=str(path), deploy_regex=r"deployed shop (?P<ref>[\d.]+)")
    found = list(source.deploys(at(-1000), at(0), Deadline(9)))
    assert found == [
        Deploy(at(-30), "2.13.0", "deployed shop 2.13.0 to 8 hosts", "logs", TimeKind.LOG_TIME),
        Deploy(at(0), "2.14.0", "deployed shop 2.14.0", "logs", TimeKind.LOG_TIME),
    ]
    with pytest.raises(SourceError, match="which line is a deploy"):
        list(LogFile(name="logs", path=str(path)).deploys(at(-9), at(0), Deadline(9)))


def test_a_daylight_saving_change_is_read_in_its_zone() -> None:
    clock = stamp.Clock(ZoneInfo("Europe/Berlin"), T0, T0)
    read = stamp.FORMS[0].read
    summer, winter = (read(clock, text, None) for text in (b"2026-10-25 01:30:00", b"2026-10-25 03:30:00"))
    assert winter - summer == 3 * 3600
