"""The numpy reader against the rules of whisper files written down point by point."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.demo import whisper as writer
from opsbrief.readers.graphite import whisper

NOW = 1_800_000_000
SHAPES = st.sampled_from([[(60, 30)], [(10, 50), (60, 40)], [(1, 7), (5, 20), (25, 30)], [(60, 1)]])
VALUES = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=120)


@contextmanager
def opened(archives: list[tuple[int, int]], start: int, values: list[float | None]) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wsp"
        writer.write(path, archives, start, archives[0][0], np.array(values, dtype=float))
        fd = os.open(path, os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)


def rules(fd: int, archives: list[tuple[int, int]], start: int, until: int, now: int) -> list[float] | None:
    """Answer slowly: every slot of every ring as a dictionary."""
    retention = max(step * points for step, points in archives)
    if start > until or start > now or until < now - retention:
        return None
    start, until = max(start, now - retention), min(until, now)
    fits = [n for n, (step, points) in enumerate(archives) if step * points >= now - start]
    number = fits[0] if fits else len(archives) - 1
    step = archives[number][0]
    ring = whisper.header(fd).archives[number]
    data = np.frombuffer(os.pread(fd, ring.points * 12, ring.offset), whisper.POINT)
    stored = {int(time): float(value) for time, value in data.tolist()}
    first, last = start // step * step + step, until // step * step + step
    return [stored.get(at, np.nan) for at in range(first, max(last, first + step), step)]


@settings(max_examples=150, deadline=None)
@given(SHAPES, VALUES, st.integers(-200, 50), st.integers(-400, 60), st.integers(0, 400))
def test_reading_follows_the_rules(
    archives: list[tuple[int, int]], values: list[float | None], late: int, first: int, length: int
) -> None:
    step = archives[0][0]
    begin = NOW + late * step - len(values) * step
    start = NOW + first * step // 7
    with opened(archives, begin, values) as fd:
        expected = rules(fd, archives, start, start + length, NOW)
        got = whisper.fetch(fd, whisper.header(fd), start, start + length, NOW)
    if expected is None:
        assert got is None
    else:
        assert got is not None
        np.testing.assert_array_equal(got.values, expected)


@settings(max_examples=100, deadline=None)
@given(SHAPES, VALUES)
def test_the_writer_keeps_the_newest_points(archives: list[tuple[int, int]], values: list[float | None]) -> None:
    step, points = archives[0]
    begin = NOW // step * step - len(values) * step
    with opened(archives, begin, values) as fd:
        part = whisper.read(fd, whisper.header(fd).archives[0], begin - 1, begin + step * len(values) - 1)
    newest = max((n for n, value in enumerate(values) if value is not None), default=0)
    kept = [np.nan if value is None or n <= newest - points else value for n, value in enumerate(values)]
    np.testing.assert_array_equal(part.values[: len(values)], kept)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=700))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            head = whisper.header(file.fileno())
        except whisper.WhisperError:
            return
        whisper.recover(file.fileno(), head, NOW - 1000, NOW, NOW)
