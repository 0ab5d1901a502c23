"""The whisper source on files that the demo's writer made: what it finds, skips and says."""

import os
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from opsbrief.demo import whisper as writer
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window, utc
from opsbrief.readers.graphite import whisper
from opsbrief.readers.graphite.folder import Folder
from opsbrief.sources.whisper import Whisper
from opsbrief.transport.deadline import Deadline

NOW = int(time.time()) // 60 * 60
HOUR = np.arange(60.0)


def put(root: Path, name: str, values: np.ndarray = HOUR, end: int = NOW, **options: object) -> Path:
    path = root / f"{name.replace('.', '/')}.wsp"
    archives = options.get("archives", [(60, 1500)])
    writer.write(path, archives, end - 60 * len(values), 60, values)  # type: ignore[arg-type] # reason: as given
    return path


def ask(root: Path, *metrics: str | Metric, end: int = NOW, weeks: int = 0, **options: object) -> list[Series | Gap]:
    scope = Scope(
        hosts=("app1", "app2.example.com"),
        metrics=tuple(Metric(target=one) if isinstance(one, str) else one for one in metrics),
    )
    start = utc(end - 3600)
    shifts = tuple((f"{week}-weeks-ago", timedelta(weeks=week)) for week in range(1, weeks + 1))
    window = Window(start=start, end=utc(end), anchor=Anchor("time", start), before=timedelta(0), shifts=shifts)
    source = Whisper(name="w", path=str(root), scope=scope, **options)  # type: ignore[arg-type] # reason: any option
    return list(source.collect(window, Deadline(20)))  # type: ignore[arg-type] # reason: series and gaps only


def said(found: list[Series | Gap]) -> list[tuple[str, GapKind, str]]:
    return [(one.what, one.kind, one.detail) for one in found if isinstance(one, Gap)]


def test_a_file_becomes_a_series_with_its_host_and_receipt(tmp_path: Path) -> None:
    path = put(tmp_path, "collectd.app2_example_com.load")
    metric = Metric(target="collectd.{host}.load", name="load", unit="1")
    series, *gaps = ask(tmp_path, metric)
    assert isinstance(series, Series)
    assert (series.name, series.metric, series.unit) == ("collectd.app2_example_com.load", "load", "1")
    assert (series.host, series.start, series.step) == ("app2.example.com", NOW - 3600, 60)
    np.testing.assert_array_equal(series.values, HOUR)
    assert (series.origin.url, series.consolidation) == (str(path), "average")
    assert [gap.what for gap in gaps if isinstance(gap, Gap)] == ["series collectd.app1.load"]


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("a.*.v", ["a.b1.v", "a.b2.v", "a.c.v"]),
        ("a.b?.v", ["a.b1.v", "a.b2.v"]),
        ("a.b[!1].v", ["a.b2.v"]),
        ("a.{b1,c}.v", ["a.b1.v", "a.c.v"]),
        ("a.**.v", ["a.b1.v", "a.b2.v", "a.c.d.v", "a.c.v"]),
        ("a.c.**", ["a.c.d.v", "a.c.v"]),
        ("*.*.v", ["a.b1.v", "a.b2.v", "a.c.v"]),
        ("a.b1.v", ["a.b1.v"]),
        ("a.b.v", []),
        ("A.b1.v", []),
    ],
)
def test_globs_find_files(tmp_path: Path, glob: str, names: list[str]) -> None:
    for name in ("a.b1.v", "a.b2.v", "a.c.v", "a.c.d.v", "a.top"):
        put(tmp_path, name)
    assert [found.name for found in Folder(tmp_path).find(glob)] == names


def test_functions_are_refused_by_name(tmp_path: Path) -> None:
    assert said(ask(tmp_path, "sumSeries(a.*)")) == [
        ("series sumSeries(a.*)", GapKind.REJECTED, "files know no functions: sumSeries()")
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"short", "cut off after 5 bytes"),
        (b"x" * 900, "not that of a whisper file"),
        (b"whisper_compressed" + b"\0" * 900, "go-carbon"),
        (b"\0\0\0\1\0\1\x5f\x90\0\0\0\0\0\0\0\1\0\0\0\x1c\0\0\0\x3c\0\0\5\xdc" + b"\0" * 50, "cut off after 78 bytes"),
        (b"\0\0\0\1\0\1\x5f\x90\0\0\0\0\0\0\0\1\0\0\0\x1c\0\0\0\0\0\0\0\0" + b"\0" * 50, "not that of a whisper file"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_kept(tmp_path: Path, body: bytes, why: str) -> None:
    put(tmp_path, "a.good.v")
    put(tmp_path, "a.bad.v").write_bytes(body)
    found = ask(tmp_path, "a.*.v")
    assert sum(isinstance(one, Series) for one in found) == 1
    ((what, kind, detail),) = said(found)
    assert (what, kind) == ("series a.bad.v", GapKind.BAD_ANSWER)
    assert why in detail


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    put(outside, "x.secret")
    put(inside, "a.b.v")
    (inside / "a" / "link").symlink_to(inside / "a" / "b")
    (inside / "a" / "way").symlink_to(outside / "x")
    (inside / "a" / "b" / "w.wsp").symlink_to(outside / "x" / "secret.wsp")
    (inside / "a" / "self").symlink_to(inside)
    found = ask(inside, "a.*.*")
    assert sorted(one.name for one in found if isinstance(one, Series)) == ["a.b.v", "a.link.v"]
    assert {what.rpartition("/")[2] for what, _, _ in said(found)} == {"way", "w.wsp"}
    assert len(Folder(inside).find("**.nothing")) == 0


def test_the_end_of_the_data_is_said(tmp_path: Path) -> None:
    put(tmp_path, "a.v", end=NOW - 1200)
    (what, kind, detail) = said(ask(tmp_path, "a.v"))[0]
    assert (what, kind) == ("the newest points", GapKind.TRUNCATED)
    assert f"{utc(NOW - 1260):%H:%M:%S} UTC, 21 min before" in detail


def test_a_live_folder_with_slow_series_ends_where_it_should(tmp_path: Path) -> None:
    put(tmp_path, "a.v", archives=[(60, 1500)], end=NOW - 240)
    assert said(ask(tmp_path, "a.v")) == []
    slow = tmp_path / "a" / "slow.wsp"
    writer.write(slow, [(600, 1000)], NOW - 9600, 600, np.arange(15.0))
    assert said(ask(tmp_path, "a.slow")) == []


def test_a_span_before_the_data_is_a_gap_of_that_span(tmp_path: Path) -> None:
    put(tmp_path, "a.v")
    found = ask(tmp_path, "a.v", weeks=2)
    assert [(one.what, one.span) for one in found if isinstance(one, Gap)] == [
        ("series a.v", "1-weeks-ago, 2-weeks-ago")
    ]


def test_old_spans_come_at_the_step_that_is_kept(tmp_path: Path) -> None:
    long = np.arange(15 * 1440.0)
    put(tmp_path, "a.v", long, archives=[(60, 8 * 1440), (600, 60 * 144)])
    found = ask(tmp_path, "a.v", weeks=2)
    assert [(one.span, one.step, len(one.values)) for one in found if isinstance(one, Series)] == [
        ("", 60, 60),
        ("1-weeks-ago", 60, 60),
        ("2-weeks-ago", 600, 6),
    ]


def test_a_copy_taken_long_ago_still_gives_its_fine_points(tmp_path: Path) -> None:
    taken = NOW - 40 * 86400
    put(tmp_path, "a.v", np.arange(600.0), end=taken, archives=[(60, 1440), (600, 90 * 144)])
    put(tmp_path, "b.v", np.arange(600.0), end=taken, archives=[(60, 1440)])
    found = [one for one in ask(tmp_path, "*.v", end=taken) if isinstance(one, Series)]
    assert [(one.step, list(one.values[-2:])) for one in found] == [(60, [598, 599])] * 2


def test_a_limit_cuts_the_wide_net_first(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path, f"a.m{number}")
    found = ask(tmp_path, Metric(target="a.*", rank=True), Metric(target="a.m5", name="key"), max_series=3)
    assert sorted(one.metric for one in found if isinstance(one, Series)) == ["a.*", "a.*", "key"]
    assert said(found) == [("series a.*", GapKind.TRUNCATED, "3 of 5 series not fetched: the limit is 3 series in all")]


def test_a_net_whose_series_are_all_asked_for_anyway_lacks_nothing(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path, f"a.m{number}")
    found = ask(tmp_path, "a.*", Metric(target="a.m*", rank=True), Metric(target="a.x*", rank=True))
    assert [one.metric for one in found if isinstance(one, Series)] == ["a.*", "a.*"]
    assert [what for what, _, _ in said(found)] == ["series a.x*"]


def test_infinite_points_are_missing_and_said(tmp_path: Path) -> None:
    put(tmp_path, "a.v", np.where(HOUR == 3, np.inf, HOUR))
    series, gap = ask(tmp_path, "a.v")
    assert isinstance(series, Series)
    assert np.isnan(series.values[3])
    assert said([gap]) == [("series a.v", GapKind.BAD_ANSWER, "1 infinite values taken as missing")]


def test_no_folder_is_an_error_of_the_whole_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        ask(tmp_path / "none", "a.v")


def test_names_tell_leaves_from_branches(tmp_path: Path) -> None:
    put(tmp_path, "a.b.v")
    put(tmp_path, "a.b")
    source = Whisper(name="w", path=str(tmp_path))
    assert source.find("a.*", Deadline(5)) == ("a.b", "a.b.")
    assert source.find("*", Deadline(5)) == ("a.",)


def test_the_writer_wants_archives_that_fit(tmp_path: Path) -> None:
    for archives in ([], [(30, 10)], [(60, 10), (90, 10)]):
        with pytest.raises(ValueError, match="step of 60 s"):
            writer.write(tmp_path / "a.wsp", archives, NOW, 60, HOUR)


def test_what_is_written_is_read_back_with_averages(tmp_path: Path) -> None:
    values = np.where(HOUR % 7 == 0, np.nan, HOUR)
    path = put(tmp_path, "a", values, archives=[(60, 40), (600, 100)])
    fd = os.open(path, os.O_RDONLY)
    try:
        head = whisper.header(fd)
        fine, coarse = (whisper.read(fd, ring, NOW - 3601, NOW - 1) for ring in head.archives)
    finally:
        os.close(fd)
    assert (head.aggregation, head.retention) == ("average", 60000)
    np.testing.assert_array_equal(fine.values, np.where(HOUR < 20, np.nan, values))
    times = NOW - 3600 + 60 * np.arange(60)
    inner = [np.nanmean(values[times // 600 * 600 == at]) for at in coarse.start + 600 * np.arange(len(coarse.values))]
    np.testing.assert_allclose(coarse.values, inner)
