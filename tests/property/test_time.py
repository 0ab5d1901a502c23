"""What holds for every time expression, every zone and every change of the clocks in 2026."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.errors import WindowError
from opsbrief.timespec import Instant, Reference, Shift, duration, local, parse, spell

NAMES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
ZONES = st.sampled_from(NAMES).map(ZoneInfo)
NOWS = st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2100-01-01"), timezones=st.just(UTC))
WORDS = re.split(
    " ",
    "now - + / : . ~ @ , _ T Z ago last on at friday tuesday today yesterday noon midnight deploy tag commit alert "
    "5 0 1.5 17:00 02:30 5pm 2026-03-29 2026-W10-5 20260306 1773151200 +01:00 h m M d w s min "
    "hours an hour 1h 30m PT90M mar",
)


def read(text: str, now: datetime, zone: ZoneInfo, *, end: bool = False) -> Instant | Reference | WindowError:
    try:
        return parse(text, now=now, zone=zone, end=end)
    except WindowError as error:
        return error


@given(st.text() | st.lists(st.sampled_from([*WORDS, " "]), max_size=8).map("".join), NOWS, ZONES, st.booleans())
@settings(max_examples=600)
def test_any_text_is_an_answer_or_a_refusal_with_advice(text: str, now: datetime, zone: ZoneInfo, end: bool) -> None:  # noqa: FBT001 - drawn
    found = read(text, now, zone, end=end)
    if isinstance(found, Instant):
        assert found.at.tzinfo is UTC
    if isinstance(found, WindowError):
        assert found.message
        assert found.hint
        advised = re.fullmatch(r"did you mean '(.*)'\?", found.hint)
        assert not advised or not isinstance(read(advised[1], now, zone), WindowError)


@given(st.text())
def test_any_text_is_a_length_or_refused(text: str) -> None:
    with suppress(WindowError):
        assert duration(text) >= timedelta(0)


@given(
    st.datetimes(datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("2199-12-30"), timezones=st.just(UTC)),
    ZONES,
    NOWS,
)
def test_a_time_with_its_offset_reads_back(at: datetime, zone: ZoneInfo, now: datetime) -> None:
    shown = at.astimezone(zone)
    if shown.utcoffset() == timedelta(
        minutes=round(shown.utcoffset() / timedelta(minutes=1))
    ):  # local mean time has seconds
        assert read(shown.isoformat(), now, zone) == Instant(at, shown.isoformat())


@given(st.integers(10**9, 4 * 10**9), ZONES)
def test_an_epoch_reads_back(epoch: int, zone: ZoneInfo) -> None:
    now = datetime(2100, 1, 1, tzinfo=UTC)
    for text in (str(epoch), f"@{epoch}", f"{epoch}000"):
        assert read(text, now, zone) == Instant(datetime.fromtimestamp(epoch, UTC), text)


@given(
    st.timedeltas(timedelta(0), timedelta(days=10_000)).map(
        lambda length: timedelta(seconds=length // timedelta(seconds=1))
    )
)
def test_a_spelled_length_reads_back(length: timedelta) -> None:
    assert duration(spell(length)) == length


@given(st.integers(0, 9999), st.integers(0, 59), st.integers(0, 59), NOWS, ZONES)
def test_hours_minutes_and_seconds_are_elapsed_time(
    hours: int, minutes: int, seconds: int, now: datetime, zone: ZoneInfo
) -> None:
    text = f"{hours}h{minutes}m{seconds}s"
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    for form in (text, f"-{text}", f"{text} ago", f"now-{text}"):
        assert read(form, now, zone) == Instant(now - length, form)


@given(st.integers(1, 400), NOWS, ZONES)
def test_days_keep_the_clock_time_where_it_exists(days: int, now: datetime, zone: ZoneInfo) -> None:
    there = Shift(-days).apply(now, zone).astimezone(zone)
    wanted = now.astimezone(zone).replace(tzinfo=None) - timedelta(days=days)
    if list(instants(wanted, zone)):
        assert there.replace(tzinfo=None) == wanted
    assert abs((now - there) - timedelta(days=days)) <= timedelta(hours=24)


@given(NOWS, ZONES, st.times())
def test_a_clock_time_is_the_most_recent_one(now: datetime, zone: ZoneInfo, clock: object) -> None:
    text = f"{clock:%H:%M}"
    found = read(text, now, zone)
    if isinstance(found, Instant):
        assert found.at <= now
        assert now - found.at < timedelta(hours=50)  # a zone may skip a whole day
        assert f"{found.at.astimezone(zone):%H:%M}" == text


def instants(naive: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants of a clock reading, the slow way: try every offset the zone has around it."""
    near = [
        (naive + timedelta(hours=hours)).replace(tzinfo=UTC).astimezone(zone).utcoffset() for hours in range(-48, 49)
    ]
    for offset in sorted({offset for offset in near if offset is not None}, reverse=True):
        at = (naive - offset).replace(tzinfo=UTC)
        if at.astimezone(zone).replace(tzinfo=None) == naive:
            yield at


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """Return the instants of 2026 at which the clocks of a zone jump."""
    zone = ZoneInfo(name)
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(366)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    found = []
    for morning, evening, before, after in zip(days, days[1:], offsets, offsets[1:], strict=False):
        low, high = morning, evening
        while before != after and high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        if before != after:
            found.append(high.replace(microsecond=0))
    return tuple(found)


CHANGING = [name for name in NAMES if changes(name)]


@pytest.mark.parametrize("name", CHANGING)
def test_around_every_change_of_2026_a_reading_is_right_or_refused(name: str) -> None:
    zone = ZoneInfo(name)
    for change in changes(name):
        first = (change - timedelta(hours=3)).astimezone(zone).replace(tzinfo=None)
        for step in range(0, 6 * 60, 15):
            naive = first + timedelta(minutes=step)
            there = list(instants(naive, zone))
            if len(there) == 1:
                assert local(naive, zone) == there[0]
            else:
                with pytest.raises(WindowError, match="twice" if there else "does not exist"):
                    local(naive, zone)


@pytest.mark.parametrize("name", CHANGING)
def test_around_every_change_of_2026_a_day_begins_with_its_first_instant(name: str) -> None:
    zone = ZoneInfo(name)
    for change in changes(name):
        for step in (-1, 0, 1):
            day: date = change.astimezone(zone).date() + timedelta(days=step)
            found = read(day.isoformat(), change, zone)
            assert isinstance(found, Instant)
            assert found.at.astimezone(zone).date() == day
            assert (found.at - timedelta(seconds=1)).astimezone(zone).date() < day


def test_there_are_enough_changes_to_mean_something() -> None:
    assert len(CHANGING) > 100
