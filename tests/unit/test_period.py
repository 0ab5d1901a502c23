"""Which stretch a digest is about."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbrief.errors import WindowError
from opsbrief.weekly.period import since, week

BERLIN = "Europe/Berlin"
MONDAY = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


def test_on_monday_it_is_the_week_that_has_just_ended() -> None:
    found = week(None, MONDAY, BERLIN)
    assert found.name == "2026-W47"
    assert found.start == datetime(2026, 11, 15, 23, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 22, 23, tzinfo=UTC)


@given(st.integers(min_value=978307200, max_value=4070908800))
def test_the_last_whole_week_is_over_and_began_at_most_two_weeks_ago(epoch: int) -> None:
    now = datetime.fromtimestamp(epoch, UTC)
    found = week(None, now, BERLIN)
    assert found.end <= now < found.end + timedelta(days=7, hours=1)
    local = found.start.astimezone(ZoneInfo(BERLIN))
    assert (local.weekday(), local.hour, local.minute) == (0, 0, 0)
    assert week(found.name, now, BERLIN) == found


def test_a_week_with_a_change_of_the_clocks_has_an_hour_more_or_less() -> None:
    assert week("2026-W43", MONDAY, BERLIN).end - week("2026-W43", MONDAY, BERLIN).start == timedelta(days=7, hours=1)
    assert week("2026-W13", MONDAY, BERLIN).end - week("2026-W13", MONDAY, BERLIN).start == timedelta(days=6, hours=23)
    assert week("2026-W44", MONDAY, BERLIN).before == timedelta(days=7, hours=1)


def test_names_of_weeks_are_read_as_people_write_them() -> None:
    assert week("2026w47", MONDAY, BERLIN) == week("2026-W47", MONDAY, BERLIN)
    assert week("2020-W53", MONDAY, BERLIN).name == "2020-W53"


@pytest.mark.parametrize("name", ["2026-W54", "2026-W00", "2021-W53", "47", "W47", "last", "2026-W49"])
def test_what_is_no_week_or_has_not_begun_is_refused(name: str) -> None:
    with pytest.raises(WindowError) as refused:
        week(name, MONDAY, BERLIN)
    assert "2026-W47" in refused.value.hint


def test_a_given_time_makes_a_stretch_named_by_its_days() -> None:
    found = since("7d", MONDAY, BERLIN)
    assert found.name == "2026-11-16_2026-11-23"
    assert found.title == "2026-11-16 to 2026-11-23"
    assert (found.start, found.end, found.before) == (MONDAY - timedelta(days=7), MONDAY, timedelta(days=7))
    assert since("30d", MONDAY, BERLIN).before == timedelta(days=14)


@pytest.mark.parametrize("text", ["deploy", "93d", "tomorrow", "2026-11-24"])
def test_anchors_and_stretches_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(WindowError):
        since(text, MONDAY, BERLIN)
