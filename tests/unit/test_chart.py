import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.unit.charts import RELEASE, mended, series, story, window, words

from opsbrief.chart import build, sparkline
from opsbrief.chart.axis import bounds, quantity, value_labels, value_ticks
from opsbrief.model.chart import Chart, Moment

NAN = math.nan


def test_the_story_is_on_the_graph() -> None:
    drawn = story()
    assert words(drawn, "mark") == ["deploy 2.14.0 (15:02)", "fix 2.14.1 (17:02)"]
    assert words(drawn, "limit") == ["limit 400"]
    assert words(drawn, "legend") == [
        *(f"app{i}" for i in range(1, 9)),
        "same hours, last week",
        "8 restarts",
        "8 alarms",
    ]
    assert words(drawn, "range") == ["Fri 17 May 2013 12:02 – 18:02 CEST · a point each 60 s"]
    assert drawn.bottom == 0
    assert drawn.top > 400


def test_a_point_lies_where_its_time_is_whatever_its_step_and_start() -> None:
    frame = window(datetime(2026, 5, 4, 12, tzinfo=UTC), before=1, after=1)
    begin = frame.whole.start
    drawn = build(
        [
            series([1, 2, 3], begin + timedelta(minutes=10), 600),
            series([5, 6], begin + timedelta(seconds=7), 3600, "b"),
        ],
        frame,
        title="t",
    )
    pace = drawn.plot.width / 7200
    assert drawn.traces[0].x == pytest.approx(np.array([600, 1200, 1800]) * pace)
    assert drawn.traces[1].x == pytest.approx(np.array([7, 3607]) * pace)


def test_points_outside_the_window_are_not_drawn() -> None:
    frame = window(before=1, after=1)
    drawn = build([series(range(400), frame.whole.start - timedelta(hours=1))], frame, title="t")
    assert drawn.traces[0].low == 60
    assert drawn.traces[0].high == 180
    assert drawn.traces[0].x[[0, -1]] == pytest.approx([0, drawn.plot.width])


def test_gaps_break_the_line_and_a_lone_point_becomes_a_dash() -> None:
    frame = window()
    drawn = build([series([1, 2, NAN, NAN, 3, NAN, 4, 5], frame.whole.start)], frame, title="t")
    x, y = drawn.traces[0].x, drawn.traces[0].y
    assert np.array_equal(y, [1, 2, NAN, 3, 3, NAN, 4, 5], equal_nan=True)
    assert x[4] - x[3] > 2


def test_the_only_point_of_a_series_is_visible() -> None:
    frame = window()
    drawn = build([series([7], RELEASE)], frame, title="t")
    assert drawn.traces[0].y.tolist() == [7, 7]
    assert drawn.traces[0].x[1] > drawn.traces[0].x[0]


@pytest.mark.parametrize(
    ("many", "reason"),
    [(0, "no data: no series"), (1, "no data: the series is empty"), (8, "no data: all 8 series are empty")],
)
def test_an_empty_graph_says_why(many: int, reason: str) -> None:
    frame = window()
    drawn = build([series([NAN] * 9, frame.whole.start, host=f"a{i}") for i in range(many)], frame, title="t", limit=5)
    assert drawn.empty == reason
    assert words(drawn, "empty") == [reason]
    assert not drawn.traces
    assert not drawn.y_ticks


def test_an_empty_series_among_others_is_named() -> None:
    frame = window()
    drawn = build(
        [series([NAN] * 9, frame.whole.start), series(range(360), frame.whole.start, host="b")], frame, title="t"
    )
    assert "no data: app1" in drawn.note
    assert [trace.label for trace in drawn.traces] == ["b"]


def test_a_series_that_goes_silent_is_told() -> None:
    frame = window()
    drawn = build([series([5] * 200, frame.whole.start)], frame, title="t")
    assert drawn.note == "all data end by 15:21"


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e308, -1e305])
def test_values_that_cannot_be_drawn_are_left_out_and_counted(value: float) -> None:
    frame = window()
    drawn = build([series([1, value, 3, 4] * 90, frame.whole.start)], frame, title="t")
    assert drawn.traces[0].high == 4
    assert "90 infinite or huge values left out" in drawn.note


@pytest.mark.parametrize(
    "values",
    [[0, 0, 0], [5e-324, 0, 0], [1e300, -1e300], [-4, -4], [1e300], [1e-300, 2e-300], [1e17, 1e17 + 16], [-1e-9, 1e-9]],
)
def test_hostile_values_give_a_finite_axis_with_distinct_ticks(values: list[float]) -> None:
    frame = window()
    drawn = build([series(values, frame.whole.start)], frame, title="t", limit=max(values))
    assert drawn.bottom < drawn.top
    assert drawn.bottom <= min(values)
    assert max(values) <= drawn.top
    labels = [tick.label for tick in drawn.y_ticks]
    assert len(set(labels)) == len(labels) >= 2
    assert np.isfinite(drawn.rows(drawn.traces[0].y)).all()


def test_the_band_holds_every_earlier_series_and_lies_over_the_incident() -> None:
    frame = window()
    begin, quiet = frame.whole.start - timedelta(days=7), np.full(360, 40.0)
    spike = quiet.copy()
    spike[200] = 90
    week = [series(quiet, begin, span="last-week"), series(spike, begin, host="b", span="last-week")]
    drawn = build([series(np.full(360, 50.0), frame.whole.start)], frame, title="t", week=week)
    band = drawn.bands[0]
    assert band.kind == "weeks"
    assert np.nanmin(band.low) == 40
    assert np.nanmax(band.high) == 90
    assert abs(band.x[np.nanargmax(band.high)] - 200 * 60 / frame.whole.seconds * drawn.plot.width) <= 2


def test_the_band_has_no_value_where_no_week_has_one_and_ignores_other_metrics() -> None:
    frame = window()
    begin = frame.whole.start - timedelta(days=7)
    other = series([1e6] * 360, begin, span="last-week")
    other = type(other)(
        name="x", start=other.start, step=60, values=other.values, metric="y", span="last-week", origin=other.origin
    )
    week = [series([40] * 100 + [NAN] * 100 + [40] * 100, begin, span="last-week"), other]
    drawn = build([series([50] * 360, frame.whole.start)], frame, title="t", week=week)
    band = drawn.bands[0]
    assert np.isnan(band.low[len(band.low) * 150 // 360])
    assert np.nanmax(band.high) == 40


def test_a_drop_against_last_week_stays_in_sight_but_a_wild_spike_of_last_week_does_not_squash_the_graph() -> None:
    frame = window()
    begin, usual = frame.whole.start - timedelta(days=7), np.full(360, 100.0)
    drop = build(
        [series([1] * 360, frame.whole.start)], frame, title="t", week=[series(usual, begin, span="last-week")]
    )
    assert drop.top > 100
    usual[7] = 1e12
    wild = build(
        [series([90] * 360, frame.whole.start)], frame, title="t", week=[series(usual, begin, span="last-week")]
    )
    assert wild.top < 400
    assert "earlier weeks reach 1 T, beyond this graph" in wild.note


def test_a_limit_out_of_reach_is_told_instead_of_drawn() -> None:
    frame = window()
    drawn = build([series([4] * 360, frame.whole.start)], frame, title="t", limit=400)
    assert drawn.limit is None
    assert drawn.note == "the limit 400 lies beyond this graph"


def test_of_many_lines_the_largest_movers_are_in_colour_and_the_rest_is_counted() -> None:
    frame = window()
    flat, step = np.full(360, 40.0), np.concatenate((np.full(180, 40.0), np.full(180, 80.0)))
    lines = [series(step if i == 13 else flat + i / 10, frame.whole.start, host=f"web{i:02}") for i in range(20)]
    drawn = build(lines, frame, title="t", emphasise=["web05"])
    bright = [trace.label for trace in drawn.traces if trace.emphasis]
    assert len(bright) == 8
    assert {"web13", "web05"} <= set(bright)
    assert "and 12 more" in words(drawn, "legend")
    assert len({(trace.colour, trace.dash) for trace in drawn.traces if trace.emphasis}) == 8


def test_too_many_grey_lines_become_the_range_they_fill() -> None:
    frame = window()
    lines = [series(np.full(360, 40.0 + i), frame.whole.start, host=f"web{i:02}") for i in range(60)]
    drawn = build(lines, frame, title="t")
    assert len(drawn.traces) == 8
    assert drawn.bands[0].kind == "envelope"
    assert np.nanmax(drawn.bands[0].high) - np.nanmin(drawn.bands[0].low) >= 51
    assert "and 52 more (their range)" in words(drawn, "legend")


def test_what_names_share_is_left_out_and_long_names_lose_their_middle() -> None:
    frame = window()
    names = ["servers.app1.prod.conns", "servers.app2.prod.conns"]
    drawn = build([series([1, 2], RELEASE, host="", name=name) for name in names], frame, title="t")
    assert [trace.label for trace in drawn.traces] == ["app1", "app2"]
    drawn = build([series([1, 2], RELEASE, host="h" * 50_000)], frame, title="t" * 50_000)
    assert len(drawn.traces[0].label) == 60
    assert len(drawn.title) == 100


def test_the_start_of_the_window_is_marked_once() -> None:
    frame = window()
    assert [mark.label for mark in build([], frame, title="t").marks] == ["deploy 2.14.0 (15:02)"]
    again = build([], frame, title="t", marks=[Moment("deploy", RELEASE, "release 2.14.0 of shop")])
    assert [mark.label for mark in again.marks] == ["release 2.14.0 of shop (15:02)"]
    typed = build([], window(kind="time"), title="t")
    assert [(mark.kind, mark.label) for mark in typed.marks] == [("note", "since (15:02)")]


def test_marks_outside_the_window_are_left_out_and_those_of_one_pixel_are_counted() -> None:
    marks = [Moment("restart", RELEASE + timedelta(seconds=i), f"app{i}") for i in range(9)]
    marks += [Moment("alarm", RELEASE + timedelta(days=1), "later")]
    drawn = build([], window(), title="t", marks=marks)
    ticks = [mark for mark in drawn.marks if mark.kind != "deploy"]
    assert {mark.kind for mark in ticks} == {"restart"}
    assert sum(mark.count for mark in ticks) == 9
    assert "9 restarts" in words(drawn, "legend")
    assert "and 3 more" in max((mark.title for mark in ticks), key=len)


def test_the_weightiest_label_stays_when_there_is_no_room_for_all() -> None:
    marks = [Moment("change", RELEASE + timedelta(seconds=20 * i), f"manifest {i} of many words") for i in range(30)]
    shown = words(build([], window(), title="t", marks=marks), "mark")
    assert "deploy 2.14.0 (15:02)" in shown


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-10-25", ["Sun 25 Oct", "01:00", "02:00", "02:00", "03:00"]),
        ("2026-03-29", ["Sun 29 Mar", "01:00", "03:00", "04:00"]),
        ("2026-06-10", ["Wed 10 Jun", "01:00", "02:00", "03:00"]),
    ],
)
def test_time_ticks_are_round_on_the_wall_clock_across_a_clock_change(day: str, expected: list[str]) -> None:
    midnight = datetime.fromisoformat(f"{day}T00:00+02:00" if day > "2026-03-29" else f"{day}T00:00+01:00")
    drawn = build([], window(midnight.astimezone(UTC) + timedelta(hours=5), before=5, after=5), title="t")
    assert [tick.label for tick in drawn.x_ticks][: len(expected)] == expected
    gaps = np.diff([tick.at for tick in drawn.x_ticks])
    assert gaps == pytest.approx(np.full(gaps.size, drawn.plot.width / 10))


@pytest.mark.parametrize("hours", [0.001, 0.05, 1, 24, 24 * 8, 24 * 60, 24 * 800])
def test_time_ticks_have_room_for_their_labels(hours: float) -> None:
    drawn = build([], window(before=hours / 2, after=hours / 2), title="t")
    places = [tick.at for tick in drawn.x_ticks]
    assert 1 <= len(places) <= 14
    assert min(np.diff(places), default=99) >= 60
    assert 0 <= min(places) <= max(places) <= drawn.plot.width


def test_an_unknown_zone_and_the_end_of_the_calendar_are_survived() -> None:
    assert "UTC" in build([], window(zone="Mars/Olympus"), title="t").range_label
    for year in (1, 9999):
        edge = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, 6, tzinfo=UTC)
        assert build([], window(edge, before=5, after=5, zone="UTC"), title="t").x_ticks


@pytest.mark.parametrize(
    ("low", "high", "unit", "labels"),
    [
        (0, 420, "", ["0", "100", "200", "300", "400"]),
        (0, 2400, "", ["0", "0.5 k", "1.0 k", "1.5 k", "2.0 k"]),
        (0, 3.4e6, "req/s", ["0", "1 M", "2 M", "3 M"]),
        (0, 0.0042, "s", ["0", "1 ms", "2 ms", "3 ms", "4 ms"]),
        (0, 52_000, "ms", ["0", "10 s", "20 s", "30 s", "40 s", "50 s"]),
        (0, 101, "%", ["0", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        (0, 3.2e9, "bytes", ["0", "1 GB", "2 GB", "3 GB"]),
        (-5, 5, "", ["−4", "−2", "0", "2", "4"]),  # noqa: RUF001 -- a true minus sign
        (0, 4e-7, "", ["0", "1e-7", "2e-7", "3e-7", "4e-7"]),
    ],
)
def test_values_are_written_short_and_exact(low: float, high: float, unit: str, labels: list[str]) -> None:
    assert list(value_labels(value_ticks(low, high, 5), unit)) == labels


def test_the_axis_starts_at_zero_unless_that_would_hide_a_small_change() -> None:
    assert bounds(30, 400) == (0, 400)
    assert bounds(-400, -30) == (-400, 0)
    assert bounds(5, 5)[0] == 0
    assert bounds(1000, 1040) == (980, 1060)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(398.4, "", "398"), (1240, "", "1.24 k"), (0.0123, "s", "12.3 ms"), (-7, "%", "−7 %"), (0, "B", "0 B")],  # noqa: RUF001 -- a true minus sign
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_sparkline() -> None:
    assert sparkline(np.array([0.0, 1, 2, 3, 4, 5, 6, 8]), 8) == "▁▁▂▃▄▅▆█"
    assert sparkline(np.array([1.0, NAN, NAN, 8]), 4) == "▁  █"
    assert sparkline(np.array([1.0, 1, 9, 1, 1, 1]), 3) == "▁█▁"
    assert sparkline(np.array([5.0, 5, 5]), 3) == "▄▄▄"
    assert sparkline(np.array([0.0, 0]), 9) == "▁▁"
    assert sparkline(np.array([]), 9) == ""
    assert sparkline(np.array([NAN, NAN]), 9) == "  "


def test_a_fix_ends_the_shade_of_the_release_and_begins_its_own() -> None:
    drawn = mended(hours=2)
    (after, left, width), (fixed, start, rest) = drawn.grounds()
    assert (after, fixed) == ("after", "fixed")
    assert left + width == pytest.approx(start)
    assert width == pytest.approx(2 * rest)
    assert start + rest == pytest.approx(drawn.plot.right)
    assert sorted(words(drawn, "mark")) == ["deploy 2.14.0 (15:02)", "fix 2.14.1 (17:02)"]


def test_the_axis_reaches_at_least_the_ends_asked_for() -> None:
    alone = mended()
    assert mended(ends=(alone.bottom, 2 * alone.top)).top == 2 * alone.top
    assert mended(ends=(alone.bottom, alone.top / 2)).top == alone.top
    assert mended(ends=(-10, alone.top)).bottom == -10


def test_too_many_changes_for_lines_are_ticks_with_their_number_in_the_legend() -> None:
    def drawn(count: int) -> Chart:
        moments = [Moment("change", RELEASE + timedelta(seconds=10 * i), f"manifest {i}") for i in range(count)]
        return build([series([1, 2, 3], RELEASE)], window(), title="t", marks=moments)

    few, many = drawn(30), drawn(31)
    assert not any(mark.notch for mark in few.marks)
    assert not any(key.kind == "change" for key in few.keys)
    ticks = [mark for mark in many.marks if mark.kind == "change"]
    assert all(mark.notch and not mark.label for mark in ticks)
    assert sum(mark.count for mark in ticks) == 31
    assert [key.kind for key in many.keys][-1] == "change"
    assert "31 changes" in words(many, "legend")
    assert words(many, "mark") == ["deploy 2.14.0 (15:02)"]
