"""The time grammar against a corpus: now is Tuesday 2026-03-10 15:00 in Berlin (14:00 UTC)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from opsbrief.errors import WindowError
from opsbrief.timespec import CAP, Instant, Reference, Shift, duration, parse, spell

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 10, 15, tzinfo=BERLIN)

# What is typed, and the right answer on the clocks of Berlin.
RIGHT = {
    # Graphite
    "-1h": "2026-03-10 14:00",
    "-90min": "2026-03-10 13:30",
    "-5m": "2026-03-10 14:55",
    "-2d": "2026-03-08 15:00",
    "-1w": "2026-03-03 15:00",
    "-30s": "2026-03-10 14:59:30",
    "-36hours": "2026-03-09 03:00",
    "17:00_20260306": "2026-03-06 17:00",
    "noon_20260306": "2026-03-06 12:00",
    "17:00_yesterday": "2026-03-09 17:00",
    "noon yesterday": "2026-03-09 12:00",
    "midnight": "2026-03-10 00:00",
    "midnight+90min": "2026-03-10 01:30",
    "20260306": "2026-03-06 00:00",
    # Grafana
    "now": "2026-03-10 15:00",
    "now-1h": "2026-03-10 14:00",
    "now - 1h": "2026-03-10 14:00",
    "NOW-3H": "2026-03-10 12:00",
    "now-1d/d": "2026-03-09 00:00",
    "now/d": "2026-03-10 00:00",
    "now/d+6h": "2026-03-10 06:00",
    "now-90m/h": "2026-03-10 13:00",
    "now/w": "2026-03-09 00:00",
    "now-1h-30m": "2026-03-10 13:30",
    "now+5m": "2026-03-10 15:05",
    # git
    "2 hours ago": "2026-03-10 13:00",
    "2.hours.ago": "2026-03-10 13:00",
    "an hour ago": "2026-03-10 14:00",
    "three days ago": "2026-03-07 15:00",
    "1 week ago": "2026-03-03 15:00",
    "last friday 17:00": "2026-03-06 17:00",
    "last.friday.17:00": "2026-03-06 17:00",
    "yesterday": "2026-03-09 00:00",
    "yesterday noon": "2026-03-09 12:00",
    "Fri Mar 6 17:00:00 2026 +0100": "2026-03-06 17:00",
    "Fri, 06 Mar 2026 16:00:00 +0000": "2026-03-06 17:00",
    "2026-03-06 17:00:00 +0100": "2026-03-06 17:00",
    "6 March 2026": "2026-03-06 00:00",
    "March 6, 2026 17:00": "2026-03-06 17:00",
    # ISO 8601
    "2026-03-06": "2026-03-06 00:00",
    "2026-03-06T17:00": "2026-03-06 17:00",
    "2026-03-06 17:00": "2026-03-06 17:00",
    "2026-03-06T17": "2026-03-06 17:00",
    "2026-03-06T17:00:30.25": "2026-03-06 17:00:30.250000",
    "2026-03-06T17:00:30,5": "2026-03-06 17:00:30.500000",
    "2026-03-06T17:00Z": "2026-03-06 18:00",
    "2026-03-06t17:00z": "2026-03-06 18:00",
    "2026-03-06T17:00-05:00": "2026-03-06 23:00",
    "2026-03-06T17:00+0530": "2026-03-06 12:30",
    "2026-03-06 17:00 -05": "2026-03-06 23:00",
    "20260306T170000": "2026-03-06 17:00",
    "20260306T1700Z": "2026-03-06 18:00",
    "2026-W10-5": "2026-03-06 00:00",
    "2026W105T17:00": "2026-03-06 17:00",
    "2026-W10": "2026-03-02 00:00",
    "PT90M": "2026-03-10 13:30",
    "-PT1H30M": "2026-03-10 13:30",
    "P1D": "2026-03-09 15:00",
    "P1DT2H": "2026-03-09 13:00",
    "P1W": "2026-03-03 15:00",
    # epochs
    "1773151200": "2026-03-10 15:00",
    "1773151200.5": "2026-03-10 15:00:00.500000",
    "1773151200000": "2026-03-10 15:00",
    "@1773151200": "2026-03-10 15:00",
    "@0": "1970-01-01 01:00",
    # lengths
    "2h": "2026-03-10 13:00",
    "1.5h": "2026-03-10 13:30",
    "1h30m": "2026-03-10 13:30",
    "1h 30m": "2026-03-10 13:30",
    "1 hour and 30 minutes ago": "2026-03-10 13:30",
    "1d6h": "2026-03-09 09:00",
    "90 secs": "2026-03-10 14:58:30",
    # clocks and days
    "14:00": "2026-03-10 14:00",
    "15:00": "2026-03-10 15:00",
    "17:00": "2026-03-09 17:00",
    "15:00:01": "2026-03-09 15:00:01",
    "9:05": "2026-03-10 09:05",
    "5pm": "2026-03-09 17:00",
    "12am": "2026-03-10 00:00",
    "12:30 pm": "2026-03-10 12:30",
    "at 14:00": "2026-03-10 14:00",
    "13:00Z": "2026-03-10 14:00",
    "17:00 UTC": "2026-03-09 18:00",
    "today": "2026-03-10 00:00",
    "today 09:00": "2026-03-10 09:00",
    "today 17:00": "2026-03-10 17:00",  # the future is for resolve to judge
    "yesterday 14:00": "2026-03-09 14:00",
    "yesterday at 14:00": "2026-03-09 14:00",
    "Yesterday  14:00+30m": "2026-03-09 14:30",
    "yesterday 14:00 -2h": "2026-03-09 12:00",
    "friday": "2026-03-06 00:00",
    "friday 17:00": "2026-03-06 17:00",
    "fri 17:00": "2026-03-06 17:00",
    "17:00 friday": "2026-03-06 17:00",
    "03:00 on Friday": "2026-03-06 03:00",
    "tuesday": "2026-03-10 00:00",
    "tuesday 14:00": "2026-03-10 14:00",
    "tuesday 17:00": "2026-03-03 17:00",
    "last tuesday": "2026-03-03 00:00",
    "last tuesday 14:00": "2026-03-03 14:00",
    "wednesday 10:00": "2026-03-04 10:00",
    "2026-03-06T17:00-5h": "2026-03-06 12:00",
    "2026-03-06T17:00+01:00+30m": "2026-03-06 17:30",
}

# What is typed, and a word of the advice. (The generic parsers accept up to half of the first row.)
WRONG = {
    **dict.fromkeys(["1.5", "5", "750"], "h for hours"),
    "mar": "for example",
    "--1h": "-1h",
    "2026-13-01": "YYYY-MM-DD",
    "12/13/14": "YYYY-MM-DD",
    "06-03-2026": "YYYY-MM-DD",
    "-10": "10m for minutes",
    "\u22121h": "-1h",  # a minus sign out of a chat
    "last week": "7d",
    "mar 6 17:00": "year",
    "6 March": "year",
    "since yesterday": "write yesterday",
    "1h before deploy": "deploy-1h",
    "30m after the deploy": "deploy+30m",
    "half an hour ago": "for example",
    "10m30": "for example",
    "now-1d@d": "for example",
    "today/d": "for example",
    "": "for example",
    "   ": "for example",
    "foo": "for example",
    "h": "for example",
    "-": "for example",
    "now-": "for example",
    "now--1h": "for example",
    "1h1h": "for example",
    "30m1h": "for example",
    "1h+30m": "now-1h+30m",
    "-1h ago": "1h ago",
    "+30m": "now+30m",
    "5M": "minutes are m",
    "now-1d/M": "minutes are m",
    "now/fortnight": "/d",
    "1mon": "30d",
    "2 months ago": "30d",
    "1y": "30d",
    "1.5d": "36h",
    "2026-02-30": "YYYY-MM-DD",
    "2026-3-6": "YYYY-MM-DD",
    "2026-03": "YYYY-MM-DD",
    "2026-W54": "YYYY-MM-DD",
    "2026-W10-8": "YYYY-MM-DD",
    "03/06/26": "YYYY-MM-DD",
    "6.3.2026": "YYYY-MM-DD",
    "17:00_03/06/26": "for example",
    "2026-03-06T24:00": "00:00 of the next day",
    "2026-03-06T17:60": "17:00",
    "2026-03-06T17:00+25:00": "+01:00",
    "2026-03-06T17:00+01:75": "+01:00",
    "25:00": "17:00",
    "13pm": "17:00",
    "0pm": "17:00",
    "17:00 CET": "offset",
    "Fri Mar 6 17:00:00 CET 2026": "for example",
    "Thu Mar 6 17:00:00 2026": "2026-03-06",
    "6 marmalade 2026": "for example",
    "yesterday 1700": "17:00",
    "friday 1700": "17:00",
    "tomorrow": "last friday",
    "next friday": "last friday",
    "yesterdy 14:00": "yesterday 14:00",
    "firday 17:00": "friday 17:00",
    "2 hurs ago": "2 hours ago",
    "five hors ago": "five hours ago",
    "2026030617": "2026-03-06T17:00",
    "202603061700": "YYYYMMDDTHHMMSSZ",
    "20260306170000": "YYYYMMDDTHHMMSSZ",
    "177315120": "epoch",
    "@99999999999": "epoch",
    "99999999d": "for example",
    "1 2h": "for example",
    "2h,": "for example",
    "\uff12h": "for example",  # a full-width digit
    "deploy~": "deploy~1",
    "deploy^": "deploy~1",
    "deploy-1": "deploy~1",
    "deploy~1000": "deploy~1",
    "deploy~1~1": "deploy~1",
    "deploy+30": "deploy+30m",
    "deploy:": "deploy:2.14.0",
    "deploy:~1": "deploy:2.14.0",
    "deploy: -30m": "deploy:2.14.0",
    "deploi~1": "deploy~1",
    "release": "write deploy",
    "last deploy": "write deploy",
    "tag": "tag:v2.14.0",
    "tag~1": "deploy~N",
    "tag:--output=x": "tag:",
    "commit": "commit:9f3c2e1",
    "alert~1": "deploy~N",
    "x" * (CAP + 1): "for example",
    "2h" + " " * CAP + "+30m": "for example",
}


@pytest.mark.parametrize(("text", "answer"), RIGHT.items())
def test_reads_what_people_type(text: str, answer: str) -> None:
    found = parse(text, now=NOW, zone=BERLIN)
    assert isinstance(found, Instant)
    assert found.at == datetime.fromisoformat(answer).replace(tzinfo=BERLIN)
    assert found.at.tzinfo is UTC


@pytest.mark.parametrize(("text", "advice"), WRONG.items())
def test_refuses_with_a_valid_form(text: str, advice: str) -> None:
    with pytest.raises(WindowError) as caught:
        parse(text, now=NOW, zone=BERLIN)
    assert advice in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "kind", "ref", "back", "minutes", "whole"),
    [
        ("deploy", "deploy", "", 0, 0, ""),
        ("Deploy", "deploy", "", 0, 0, ""),
        ("deploy~1", "deploy", "", 1, 0, ""),
        ("deploy~0", "deploy", "", 0, 0, ""),
        ("deploy+30m", "deploy", "", 0, 30, ""),
        ("deploy - 1h30m", "deploy", "", 0, -90, ""),
        ("deploy~12-PT30M", "deploy", "", 12, -30, ""),
        ("deploy:2.14.0", "deploy", "2.14.0", 0, 0, ""),
        ("deploy:V2.14.0-RC1", "deploy", "V2.14.0-RC1", 0, 0, ""),
        ("deploy:2.14.0-1", "deploy", "2.14.0-1", 0, 0, ""),
        ("deploy:1.0~rc1", "deploy", "1.0~rc1", 0, 0, ""),
        ("deploy:2.14.0+30m", "deploy", "2.14.0", 0, 30, "2.14.0+30m"),
        ("deploy:2.14.0 +30m", "deploy", "2.14.0", 0, 30, ""),
        ("tag:v2.14.0-30m", "tag", "v2.14.0", 0, -30, "v2.14.0-30m"),
        ("commit:9f3c2e1", "commit", "9f3c2e1", 0, 0, ""),
        ("alert", "alert", "", 0, 0, ""),
        ("alert:app1!HTTP check +5m", "alert", "app1!HTTP check", 0, 5, ""),
    ],
)
def test_reads_references(text: str, kind: str, ref: str, back: int, minutes: int, whole: str) -> None:
    found = parse(text, now=NOW, zone=BERLIN)
    assert isinstance(found, Reference)
    assert (found.kind, found.ref, found.back, found.whole) == (kind, ref, back, whole)
    assert found.offset == Shift(0, timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("now/d", "2026-03-11 00:00"),
        ("now-1d/d", "2026-03-10 00:00"),
        ("now/h", "2026-03-10 16:00"),
        ("now", "2026-03-10 15:00"),
    ],
)
def test_rounding_goes_up_at_the_end_of_a_range(text: str, answer: str) -> None:
    found = parse(text, now=NOW, zone=BERLIN, end=True)
    assert isinstance(found, Instant)
    assert found.at == datetime.fromisoformat(answer).replace(tzinfo=BERLIN)


def at(text: str, now: str) -> str:
    found = parse(text, now=datetime.fromisoformat(now).astimezone(BERLIN), zone=BERLIN)
    assert isinstance(found, Instant)
    return found.at.astimezone(BERLIN).isoformat(timespec="minutes")


def test_a_day_is_the_same_clock_time_and_24_hours_are_24_hours() -> None:
    monday = "2026-03-30T09:00+02:00"  # the clocks went forward on Sunday
    assert at("-2d", monday) == "2026-03-28T09:00+01:00"
    assert at("48h", monday) == "2026-03-28T08:00+01:00"
    assert at("now-1d/d", "2026-03-30T00:30+02:00") == "2026-03-29T00:00+01:00"


def test_a_day_back_to_a_missing_or_doubled_hour_stays_nearest_to_24_hours() -> None:
    assert at("1d", "2026-03-30T02:30+02:00") == "2026-03-29T01:30+01:00"
    assert at("1d", "2026-10-26T02:30+01:00") == "2026-10-25T02:30+01:00"
    assert at("now+1d", "2026-10-24T02:30+02:00") == "2026-10-25T02:30+02:00"


@pytest.mark.parametrize("text", ["2026-03-29 02:30", "sunday 02:30", "02:30", "today 02:30"])
def test_a_time_that_the_clocks_skipped_is_refused_with_both_neighbours(text: str) -> None:
    with pytest.raises(WindowError, match="does not exist") as caught:
        at(text, "2026-03-29T12:00+02:00")
    assert "2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00" in caught.value.hint


@pytest.mark.parametrize("text", ["2026-10-25 02:30", "sunday 02:30", "02:30", "today 02:30"])
def test_a_time_that_was_twice_is_asked_about(text: str) -> None:
    with pytest.raises(WindowError, match="twice") as caught:
        at(text, "2026-10-25T12:00+01:00")
    assert "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00" in caught.value.hint


def test_what_the_advice_says_can_be_typed() -> None:
    assert at("2026-10-25T02:30:00+02:00", "2026-10-25T12:00+01:00") == "2026-10-25T02:30+02:00"


def test_within_the_doubled_hour_the_past_one_is_meant() -> None:
    assert at("02:30", "2026-10-25T02:10+01:00") == "2026-10-25T02:30+02:00"
    assert at("02:30", "2026-03-29T01:00+01:00") == "2026-03-28T02:30+01:00"


def test_a_day_that_begins_in_a_gap_begins_after_it() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 2026-04-24 begins at 01:00
    found = parse("2026-04-24", now=datetime(2026, 5, 1, tzinfo=UTC), zone=cairo)
    assert isinstance(found, Instant)
    assert found.at.astimezone(cairo).isoformat() == "2026-04-24T01:00:00+03:00"
    with pytest.raises(WindowError, match="does not exist"):
        parse("2026-04-24 00:00", now=datetime(2026, 5, 1, tzinfo=UTC), zone=cairo)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("3d", 259200),
        ("1w", 604800),
        ("1h30m", 5400),
        ("PT90M", 5400),
        ("1.5h", 5400),
    ],
)
def test_reads_lengths(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "1.5", "-2h", "2x", "h", "1mon", "P", "PT", "999999999w", "2h" * CAP])
def test_refuses_what_is_no_length(text: str) -> None:
    with pytest.raises(WindowError):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "parts", "text"),
    [
        (0, 4, "0s"),
        (7848, 4, "2h 10m 48s"),
        (7848, 2, "2h 11m"),
        (7199, 2, "2h"),
        (86399, 1, "1d"),
        (90061, 4, "1d 1h 1m 1s"),
        (-90, 4, "1m 30s"),
        (45, 2, "45s"),
    ],
)
def test_spells_lengths(seconds: int, parts: int, text: str) -> None:
    assert spell(timedelta(seconds=seconds), parts) == text
