"""What holds for every series: no extreme is lost on the way to the picture."""

from datetime import timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.unit.charts import RELEASE, series, window

from opsbrief.chart import build, sparkline
from opsbrief.chart.columns import BLOCKS, envelope, pick
from opsbrief.chart.layout import width_of
from opsbrief.model.chart import Moment
from opsbrief.render import svg

FLOATS = st.floats(-1e300, 1e300) | st.just(float("nan")) | st.sampled_from([0.0, 1.0, 5e-324, 1e300])
VALUES = st.integers(1, 4000).flatmap(lambda size: arrays.arrays(np.float64, size, elements=FLOATS, fill=FLOATS))
KINDS = st.sampled_from(["deploy", "fix", "restart", "alarm", "change", "note"])
TEXTS = st.text(st.characters(), max_size=40)


@given(VALUES, st.sampled_from([1, 3, 10, 60, 300]), st.integers(-500, 500))
def test_every_extreme_in_the_window_is_drawn(values: np.ndarray, step: int, offset: int) -> None:
    frame = window()
    one = series(values, frame.whole.start + timedelta(seconds=offset), step)
    times = one.start + step * np.arange(values.size)
    inside = values[(times >= frame.whole.start.timestamp()) & (times <= frame.whole.end.timestamp())]
    known = inside[~np.isnan(inside)]
    drawn = build([one], frame, title="t")
    if not known.size:
        assert drawn.empty
        return
    trace = drawn.traces[0]
    assert (np.nanmin(trace.y), np.nanmax(trace.y)) == (known.min(), known.max()) == (trace.low, trace.high)
    rows = drawn.rows(trace.y[~np.isnan(trace.y)])
    assert ((rows >= -0.01) & (rows <= drawn.plot.height + 0.01)).all()


@given(VALUES, st.integers(1, 300))
def test_each_column_keeps_first_lowest_highest_last_and_its_gaps(values: np.ndarray, columns: int) -> None:
    x = np.arange(values.size) * (columns / values.size)
    chosen = pick(x, values)
    assert (np.diff(chosen) > 0).all()
    assert chosen.size <= max(2, 5) * columns + 2 * columns
    kept = np.zeros(values.size, bool)
    kept[chosen] = True
    for column in np.unique(np.floor(x)):
        here = np.floor(x) == column
        points = values[here & ~np.isnan(values)]
        left = values[here & kept & ~np.isnan(values)]
        assert np.isnan(values[here]).any() == np.isnan(values[here & kept]).any()
        if points.size:
            assert (left[0], left.min(), left.max(), left[-1]) == (points[0], points.min(), points.max(), points[-1])


@given(st.lists(VALUES, min_size=1, max_size=4), st.integers(1, 300))
def test_a_band_encloses_every_point_of_every_series(many: list[np.ndarray], columns: int) -> None:
    lines = [(np.arange(values.size) * (columns / values.size), values) for values in many]
    low, high = envelope(lines, columns)
    for x, y in lines:
        column, known = np.floor(x).astype(int), ~np.isnan(y)
        assert (low[column[known]] <= y[known]).all()
        assert (high[column[known]] >= y[known]).all()


@given(VALUES, st.integers(1, 80))
@example(np.array([0.0, 5e-324]), 2)  # the smallest number there is
def test_a_sparkline_shows_the_peak_and_every_longer_gap(values: np.ndarray, width: int) -> None:
    spark = sparkline(values, width)
    assert len(spark) == min(width, values.size)
    assert set(spark) <= {*BLOCKS, " "}
    known = values[~np.isnan(values)]
    assert bool(known.size) == bool(spark.strip())
    if known.size and np.ptp(known / 2) > 0.01 * np.abs(known).max() and np.isnan(values).sum() == 0:
        ends = np.arange(len(spark)) * values.size // len(spark)
        where = int(np.searchsorted(ends, int(values.argmax()), side="right")) - 1
        peaks = np.maximum.reduceat(values, ends)
        assert spark[where] == "█" or np.ptp(peaks / 2) <= 0.01 * np.abs(peaks).max()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(KINDS, st.integers(-11_000, 11_000), TEXTS), max_size=12), TEXTS, TEXTS, st.integers(200, 1200)
)
def test_any_text_gives_well_formed_svg_and_labels_that_do_not_cover_each_other(
    moments: list, title: str, host: str, width: int
) -> None:
    frame = window()
    marks = [Moment(kind, RELEASE + timedelta(seconds=at), label) for kind, at, label in moments]
    line = series([1, 2, 3], frame.whole.start, host=host, name=host)
    drawn = build([line], frame, title=title, unit=title, limit_label=host, limit=2, marks=marks, width=width)
    root = ET.fromstring(svg.draw(drawn, title, host))  # noqa: S314 -- our own picture
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "g",
        "path",
        "rect",
        "text",
    }
    spans: dict[float, list[tuple[float, float]]] = {}
    for text in drawn.texts:
        if text.role == "mark":
            size = width_of(text.text, "mark")
            left = text.x - size if text.anchor == "end" else text.x
            spans.setdefault(text.y, []).append((left, left + size))
    for row in spans.values():
        ordered = sorted(row)
        assert all(first[1] <= second[0] + 1 for first, second in pairwise(ordered))
