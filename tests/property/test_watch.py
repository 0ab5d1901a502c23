"""However answers are cut up, what is kept is what one answer would have been."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.model.evidence import Histogram, LogRecord, LogSample, Origin, Series
from opsbrief.watch.lines import BUCKETS, LINES, Counts, Heap, cut
from opsbrief.watch.ring import Ring

START = 1_700_000_040
BEGIN = datetime.fromtimestamp(START, UTC)


def series(values: list[float], start: int = START, step: int = 60, how: str = "average") -> Series:
    origin = Origin(source="g", query="q")
    array = np.array(values, dtype=np.float64)
    return Series(name="s", start=start, step=step, values=array, consolidation=how, origin=origin)


def sample(times: list[int], levels: list[str], start: int, end: int) -> LogSample:
    """Return every line of [start, end), counted a minute; ``times`` are seconds from START."""
    rows = [(at, level) for at, level in zip(times, levels, strict=True) if start <= at < end]
    buckets = -(-(end - start // 60 * 60) // 60)
    counts = {level: [0] * buckets for _, level in rows}
    for at, level in rows:
        counts[level][at // 60 - start // 60] += 1
    return LogSample(
        query="", span="incident", start=BEGIN + timedelta(seconds=start), end=BEGIN + timedelta(seconds=end),
        total=len(rows), total_is_exact=True, origin=Origin(source="l", query=""),
        records=tuple(LogRecord(timestamp=BEGIN + timedelta(seconds=at), body=f"line {at}", severity_text=level)
                      for at, level in rows),
        histogram=Histogram(start=START + start // 60 * 60, step=60,
                            counts={level: tuple(row) for level, row in counts.items()}),
    )  # fmt: skip


numbers = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=120)


@given(numbers, st.lists(st.tuples(st.integers(0, 119), st.integers(1, 40)), max_size=20))
def test_stretches_laid_over_each_other_make_the_whole_series(
    values: list[float], pieces: list[tuple[int, int]]
) -> None:
    ring = Ring(series(values[:1]))
    stretches = [*pieces, *((at, 30) for at in range(0, len(values), 25))]
    for first, length in stretches:
        part = values[first : first + length]
        if part:
            ring.add(series(part, START + 60 * first))
    assert np.array_equal(ring.series.values, np.array(values), equal_nan=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.sampled_from(["max", "min", "sum", "last"]))
def test_folding_keeps_what_the_store_itself_would_keep(values: list[float], how: str) -> None:
    ring = Ring(series(values[:1], how=how), slots=16)
    for at in range(len(values)):
        ring.add(series(values[at : at + 1], START + 60 * at, how=how))
    found = ring.series
    assert len(found.values) <= 16
    assert found.step * len(found.values) >= 60 * len(values)
    if found.step == 60:
        assert found.values.tolist() == values
    elif how == "max":
        assert np.nanmax(found.values) == max(values)
    elif how == "min":
        assert np.nanmin(found.values) == min(values)


@given(numbers)
def test_nothing_missing_takes_a_known_value_away(values: list[float]) -> None:
    ring = Ring(series(values))
    ring.add(series([float("nan")] * len(values)))
    assert np.array_equal(ring.series.values, np.array(values), equal_nan=True)


@given(st.integers(2, 6), st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_a_finer_answer_is_folded_into_the_slots_that_are_there(factor: int, values: list[float]) -> None:
    ring = Ring(series([1.0], step=60 * factor))
    ring.add(series(values, START + 60 * factor))
    found = ring.series
    assert found.step == 60 * factor
    assert found.values[1] == np.mean(values[:factor])


times = st.lists(st.integers(0, 3599), max_size=300).map(sorted)


@settings(max_examples=60)
@given(times, st.data())
def test_lines_of_cut_up_answers_add_up(found: list[int], data: st.DataObject) -> None:
    levels = data.draw(st.lists(st.sampled_from(["INFO", "ERROR", ""]), min_size=len(found), max_size=len(found)))
    edges = sorted(60 * edge for edge in data.draw(st.sets(st.integers(1, 59), max_size=8)))
    heap: Heap | None = None
    begin = 0
    for edge in [*edges, 3600]:
        whole = sample(found, levels, begin, 3600)  # each answer reaches to the end; only its settled part is kept
        part = cut(whole, BEGIN + timedelta(seconds=edge))
        assert part
        if heap:
            heap.add(part)
        else:
            heap = Heap(part)
        begin = edge
    assert heap
    told = heap.sample
    assert told.total == len(found)
    assert [record.timestamp for record in told.records] == [BEGIN + timedelta(seconds=at) for at in found]
    assert told.histogram
    assert {level: sum(row) for level, row in told.histogram.counts.items() if sum(row)} == {
        level: levels.count(level) for level in set(levels)
    }


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5))
def test_every_line_has_the_same_chance_though_answers_leave_out_more_or_less(one: int, other: int) -> None:
    count = 4 * LINES
    parts = []
    for number, weight in enumerate((one, other)):
        start = number * count
        ats = list(range(start, start + count))
        whole = sample(ats, ["INFO"] * count, start, start + count)
        parts.append(replace(whole, records=whole.records[::weight]))
    heap = Heap(parts[0])
    heap.add(parts[1])
    told = heap.sample
    early = sum(record.timestamp < parts[1].start for record in told.records)
    assert len(told.records) <= LINES
    assert abs(early / len(told.records) - 0.5) < 0.08
    assert told.total == 2 * count


@given(st.lists(st.integers(0, 5 * BUCKETS), min_size=1, max_size=50))
def test_counts_stay_bounded_and_add_up(minutes: list[int]) -> None:
    counts = Counts(START, 60)
    for minute in minutes:
        counts.add(Histogram(start=START + 60 * minute, step=60, counts={"INFO": (1,)}))
    found = counts.histogram
    assert sum(found.counts["INFO"]) == len(minutes)
    assert len(found.counts["INFO"]) <= BUCKETS
