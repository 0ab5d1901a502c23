"""Whatever the lines are: every record is counted once, in the right stretch, and kept whole or said to be cut."""

import gzip
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsbrief.model.evidence import LogSample
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.lines import layout, store
from opsbrief.readers.lines.stamp import FORMS, Clock, recognise
from opsbrief.sources.logfile import LogFile
from opsbrief.transport.deadline import Deadline

T0 = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
WINDOW = Window(start=T0, end=T0 + timedelta(hours=1), anchor=Anchor("deploy", T0), before=timedelta(hours=1))
CLOCK = Clock(UTC, T0, T0 + timedelta(days=1))

SECONDS = st.lists(st.integers(-7200, 7200), min_size=1, max_size=80).map(sorted)
TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=40)
MORE = st.lists(st.sampled_from(["\tat a.b.C(C.java:1)", "Caused by: x", "  deeper", "", "}"]), max_size=3)


def collected(path: Path, query: str = "", limit: int = 5000) -> dict[str, LogSample]:
    source = LogFile(name="logs", path=str(path), limit=limit, scope=Scope(logs=(Logs(query=query),)))
    return {item.span: item for item in source.collect(WINDOW, Deadline(30)) if isinstance(item, LogSample)}


@settings(max_examples=60, deadline=None)
@given(seconds=SECONDS, texts=st.lists(TEXT, min_size=80, max_size=80), more=MORE, packed=st.booleans())
def test_every_record_is_counted_once_where_it_belongs(
    *, seconds: list[int], texts: list[str], more: list[str], packed: bool
) -> None:
    moments = [T0 + timedelta(seconds=second) for second in seconds]
    rows = [
        f"{moment:%Y-%m-%d %H:%M:%S} INFO x{text}\n" + "".join(f"{line}\n" for line in more)
        for moment, text in zip(moments, texts, strict=False)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("app.log.gz" if packed else "app.log")
        data = "".join(rows).encode()
        path.write_bytes(gzip.compress(data) if packed else data)
        found = collected(path)
    for label, start in (("before", T0 - timedelta(hours=1)), ("incident", T0)):
        wanted = sum(start <= moment < start + timedelta(hours=1) for moment in moments)
        assert (found[label].total if label in found else 0) == wanted
        if wanted:
            histogram = found[label].histogram
            assert histogram
            assert sum(map(sum, histogram.counts.values())) == wanted
            assert len(found[label].records) == wanted
            assert all(start <= record.timestamp < start + timedelta(hours=1) for record in found[label].records)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 3000), limit=st.integers(1, 50))
@example(count=100, limit=50)
@example(count=101, limit=50)
def test_a_sample_never_exceeds_its_limit_nor_falls_below_half_of_it(count: int, limit: int) -> None:
    rows = "".join(f"{T0 + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ} INFO {number}\n" for number in range(count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        path.write_text(rows)
        sample = collected(path, limit=limit)["incident"]
    assert sample.total == count
    assert min(count, limit) == len(sample.records)
    assert len({record.body for record in sample.records}) == len(sample.records)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=3000))
@example(data=b'<999>Nov 31 25:61:61 x y: z\n9999-99-99 99:99:99 a\n{"time": 1e400, "msg": {}}\n')
@example(data=b"[20/Nov/0000:15:02:11 +9999] x\n00000000000\n4294967296999 x\n")
def test_no_bytes_break_it(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        path.write_bytes(data)
        collected(path)


@settings(max_examples=100, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    text=st.text(st.sampled_from("0123456789-/:., TZ[]<>+JanNovFri\n\t{}x"), max_size=200),
)
def test_a_head_that_is_found_has_a_time_or_is_refused(form: object, text: str) -> None:
    block = b"\n" + text.encode()
    plain = layout.Plain(form, CLOCK)  # type: ignore[arg-type]  # drawn from FORMS
    assert len(store.times(plain, block)) <= block.count(b"\n")
    recognise(block, CLOCK)
