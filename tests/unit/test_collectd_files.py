"""RRD and CSV files of collectd: values in, series out, damage named."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Dashboard, Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.collectd import daily, rrd
from opsbrief.readers.collectd.rates import growing, rates
from opsbrief.readers.collectd.store import folders
from opsbrief.sources.collectd import Collectd
from opsbrief.transport.deadline import Deadline

END = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
NOW = int(END.timestamp())
WINDOW = Window(
    start=END - timedelta(minutes=30), end=END, anchor=Anchor("time", END - timedelta(minutes=30)),
    before=timedelta(minutes=30),
)  # fmt: skip
HOST = "app01.example.com"


def rrdfile(
    rings: Sequence[tuple[str, int, Sequence[float]]], *, step: int = 10, updated: int = NOW, parts: int = 1,
    version: bytes = b"0003",
) -> bytes:  # fmt: skip
    """Return a file with archives of (function, steps a row, rows oldest first), each begun in its middle.

    With several data sources, number n of them has n times the value.
    """
    names = ["value"] if parts == 1 else ["rx", "tx"][:parts]
    head = struct.pack("<4s5s7xd3Q80x", b"RRD\0", version + b"\0", 8.642135e130, parts, len(rings), step)
    head += b"".join(struct.pack("<20s20s80x", name.encode(), b"GAUGE") for name in names)
    head += b"".join(struct.pack("<20s4x2Q80x", name.encode(), len(rows), each) for name, each, rows in rings)
    head += struct.pack("<2q", updated, 0) + bytes(112 * parts) + bytes(80 * parts * len(rings))
    turns = [len(rows) // 3 for _, _, rows in rings]
    head += b"".join(struct.pack("<Q", (turn - 1) % len(rows)) for turn, (_, _, rows) in zip(turns, rings, strict=True))
    for turn, (_, _, rows) in zip(turns, rings, strict=True):
        turned = [*rows[-turn:], *rows[:-turn]] if turn else [*rows]
        head += b"".join(struct.pack(f"<{parts}d", *(row * (n + 1) for n in range(parts))) for row in turned)
    return head


def read(data: bytes, start: int, end: int, function: str = "AVERAGE") -> rrd.Rows:
    def at(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    head = rrd.header(at, len(data))
    return rrd.fetch(at, head, rrd.choose(head, start, function), start, end)


FINE = [float(number) for number in range(360)]  # an hour of ten seconds
COARSE = [1000.0 + number for number in range(240)]  # a day of six minutes
DATA = rrdfile([("AVERAGE", 1, FINE), ("AVERAGE", 36, COARSE), ("MAX", 36, [row + 5 for row in COARSE])])


def test_a_value_stands_where_its_time_begins() -> None:
    rows = read(DATA, NOW - 30, NOW)
    assert (rows.start, rows.step, rows.values["value"].tolist()) == (NOW - 30, 10, [357.0, 358.0, 359.0])


def test_the_finest_rows_that_reach_back_answer() -> None:
    assert read(DATA, NOW - 3600, NOW).step == 10
    rows = read(DATA, NOW - 3610, NOW)
    assert rows.step == 360
    assert rows.values["value"][-1] == 1239
    assert read(DATA, NOW - 3610, NOW, "MAX").values["value"][-1] == 1244
    assert read(DATA, NOW - 30, NOW, "MAX").step == 360


def test_outside_of_the_rows_nothing_is_invented() -> None:
    rows = read(DATA, NOW - 2 * 86400, NOW + 720)
    assert rows.step == 360
    assert np.isfinite(rows.values["value"]).sum() == 240
    assert np.isnan(rows.values["value"][-2:]).all()
    assert len(read(DATA, NOW, NOW).values["value"]) == 0


def test_several_data_sources_stand_beside_each_other() -> None:
    rows = read(rrdfile([("AVERAGE", 1, FINE)], parts=2), NOW - 20, NOW)
    assert {part: values.tolist() for part, values in rows.values.items()} == {
        "rx": [358.0, 359.0],
        "tx": [716.0, 718.0],
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (DATA[:100], "cut off after 100 bytes"),
        (DATA[:900], "cut off after 900 bytes"),
        (DATA[:-8], "cut off after"),
        (b"x" * 5000, "does not begin"),
        (rrdfile([("AVERAGE", 1, FINE)], version=b"0001"), "versions 3, 4 and 5"),
        (DATA[:16] + struct.pack(">d", 8.642135e130) + DATA[24:], "another kind"),
        (DATA[:24] + struct.pack("<Q", 2**60) + DATA[32:], "damaged"),
        (DATA[:40] + struct.pack("<Q", 0) + DATA[48:], "damaged"),
        (rrdfile([("HWPREDICT", 1, FINE)]), "no archive"),
    ],
)
def test_what_is_no_readable_rrd_file_is_said(data: bytes, said: str) -> None:
    with pytest.raises(rrd.RrdError, match=said):
        read(data, NOW - 60, NOW)


# --- CSV


def test_a_csv_file_is_read_and_laid_on_a_grid() -> None:
    day = daily.read(b"epoch,rx,tx\n10.001,1,2\n20.002,3,nan\n40.000,5,6\n")
    assert day.bad == 0
    found = daily.grid(day.times, day.values["rx"], 0, 100)
    assert found
    start, step, values = found
    assert (start, step) == (11, 10)
    assert values.tolist() == pytest.approx([1, 3, np.nan, 5], nan_ok=True)
    assert daily.grid(day.times, day.values["rx"], 0, 15) is None


def test_a_half_written_line_costs_that_line_alone() -> None:
    day = daily.read(b"epoch,value\n1,5\nrubbish\n2,6\n3\n\x00\xff\n4,8\n5,")
    assert day.values["value"].tolist() == [5, 6, 8]
    assert day.bad == 4


@pytest.mark.parametrize("data", [b"", b"\n", b"time,value\n1,2\n", b"\x00" * 100, b"epoch\n1\n"])
def test_what_is_no_csv_file_of_collectd_is_said(data: bytes) -> None:
    with pytest.raises(daily.DailyError):
        daily.read(data)


# --- counters


def test_only_what_grows_most_of_the_time_is_a_counter() -> None:
    counter = np.cumsum(np.array([3.0, 5, 0, 7, 2, 9, 4, 4, 1, 6]))
    assert growing(counter)
    assert growing(np.concatenate([np.tile(counter, 3) + np.repeat([0, 40, 90], 10)]))
    assert not growing(np.array([3.0, 5, 0, 7, 2, 9, 4, 4, 1, 6]))
    assert not growing(np.zeros(50))
    assert not growing(np.array([0.0] * 30 + [5.2] * 30))  # errors that begin
    assert not growing(counter[:4])


def test_a_counter_becomes_its_rate_and_a_new_beginning_is_no_fall() -> None:
    values = np.array([100.0, 130, np.nan, 190, 5, 25])
    assert rates(values, 10).tolist() == pytest.approx([np.nan, 3, np.nan, 3, np.nan, 2], nan_ok=True)


# --- the source


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a folder as collectd has it: RRD files of one host, CSV files of another."""
    for plugin, kind, value in (
        ("tcpconns-8080-local", "tcp_connections-ESTABLISHED", FINE),
        ("load", "load", FINE),
        ("memory", "memory-used", [5.0] * 360),
        ("entropy", "entropy", [7.0] * 360),
        ("shop-eu", "orders-open", FINE),
    ):
        path = tmp_path / "rrd" / HOST / plugin / f"{kind}.rrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rrdfile([("AVERAGE", 1, value)]))
    for kind, rows in (
        ("contextswitch", [f"{NOW - 3600 + 10 * n},{1000 * n}" for n in range(360)]),
        ("fork_rate", [f"{NOW - 3600 + 10 * n},{20 * n}" for n in range(360)]),
    ):
        folder = tmp_path / "csv" / "app02.example.com" / ("contextswitch" if kind == "contextswitch" else "processes")
        folder.mkdir(parents=True)
        (folder / f"{kind}-2026-11-20").write_text("\n".join(["epoch,value", *rows, ""]))
    return tmp_path


def collect(
    path: Path, scope: Scope, window: Window = WINDOW
) -> tuple[list[Series], list[Metric], list[Gap], list[str]]:
    deadline = Deadline(20)
    found = list(Collectd(name="files", path=str(path), scope=scope).collect(window, deadline))
    series = [item for item in found if isinstance(item, Series)]
    metrics = [item for item in found if isinstance(item, Metric)]
    return series, metrics, [item for item in found if isinstance(item, Gap)], deadline.warnings


def test_the_dashboard_is_found_in_rrd_and_csv_files(store: Path) -> None:
    scope = Scope(hosts=("app01", "app02.example.com"), dashboard=Dashboard(kind="collectd"))
    series, metrics, gaps, notes = collect(store, scope)
    assert not gaps
    assert [metric.name for metric in metrics if not metric.rank] == ["connections on 8080", "load", "memory used"]
    assert metrics[0].key
    assert metrics[0].found
    by_name = {one.name: one for one in series}
    leak = by_name["app01/tcpconns-8080-local/tcp_connections-ESTABLISHED"]
    assert (leak.host, leak.unit, leak.worse, leak.metric) == ("app01", "conn", "up", "connections on 8080")
    assert leak.values.tolist() == FINE
    switches = by_name["app02.example.com/contextswitch/contextswitch"]
    assert np.nanmin(switches.values) == np.nanmax(switches.values) == 100
    assert any("entropy not ranked" in note for note in notes)
    assert any("stored raw" in note for note in notes)
    assert "app01/shop-eu/orders-open" in by_name  # nobody knows it, but it is ranked
    assert "app01/entropy/entropy" not in by_name


def test_a_target_is_the_path_below_the_folder(store: Path) -> None:
    scope = Scope(
        hosts=(HOST,),
        metrics=(
            Metric(target="{host}/tcpconns-*/tcp_connections-EST*", name="connections"),
            Metric(target="*/load/load"),
            Metric(target="collectd.{host}.load.load.shortterm"),
            Metric(target="{host}/nosuch/x"),
        ),
    )
    series, _, gaps, _ = collect(store, scope)
    assert {(one.metric, one.host) for one in series} == {("connections", HOST), ("*/load/load", HOST)}
    assert {(gap.what, gap.kind) for gap in gaps} == {
        ("series collectd.{host}.load.load.shortterm", GapKind.REJECTED),
        ("series {host}/nosuch/x", GapKind.UNAVAILABLE),
    }


def test_a_damaged_file_is_named_and_the_others_stay(store: Path) -> None:
    path = store / "rrd" / HOST / "memory" / "memory-used.rrd"
    path.write_bytes(path.read_bytes()[:500])
    series, _, gaps, _ = collect(store, Scope(hosts=("app01",), dashboard=Dashboard(kind="collectd")))
    assert "app01/tcpconns-8080-local/tcp_connections-ESTABLISHED" in {one.name for one in series}
    assert [(gap.kind, gap.what) for gap in gaps] == [(GapKind.BAD_ANSWER, f"files {HOST}/memory/memory-used")]


def test_a_link_out_of_the_folder_is_not_followed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "load.rrd").write_bytes(rrdfile([("AVERAGE", 1, FINE)]))
    (store / "rrd" / HOST / "secret").symlink_to(outside)
    (store / "rrd" / HOST / "load" / "stolen.rrd").symlink_to(outside / "load.rrd")
    series, _, gaps, _ = collect(store, Scope(hosts=("app01",), dashboard=Dashboard(kind="collectd")))
    assert not [one.name for one in series if "secret" in one.name or "stolen" in one.name]
    assert {gap.kind for gap in gaps} == {GapKind.REJECTED}


def test_a_host_without_a_folder_is_a_gap(store: Path) -> None:
    _, _, gaps, _ = collect(store, Scope(hosts=("web9",), dashboard=Dashboard(kind="collectd")))
    assert [gap.kind for gap in gaps] == [GapKind.UNAVAILABLE]
    assert "web9" in gaps[0].detail


def test_a_host_that_went_silent_is_a_gap(store: Path) -> None:
    path = store / "rrd" / "app03" / "load" / "load.rrd"
    path.parent.mkdir(parents=True)
    path.write_bytes(rrdfile([("AVERAGE", 1, FINE)], updated=NOW - 86400))
    _, _, gaps, _ = collect(store, Scope(hosts=("app01", "app03"), dashboard=Dashboard(kind="collectd")))
    assert [(gap.kind, "app03" in gap.detail, "app01" in gap.detail) for gap in gaps] == [
        (GapKind.UNAVAILABLE, True, False)
    ]


def test_data_that_ends_early_is_said(store: Path) -> None:
    later = Window(
        start=WINDOW.start, end=END + timedelta(minutes=20), anchor=WINDOW.anchor, before=timedelta(minutes=30)
    )  # fmt: skip
    _, _, gaps, _ = collect(store, Scope(hosts=("app01",), dashboard=Dashboard(kind="collectd")), later)
    assert [gap.what for gap in gaps] == ["the newest points"]


def test_no_folder_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        list(Collectd(name="files", path=str(tmp_path / "no")).collect(WINDOW, Deadline(5)))


def test_hosts_and_folders_are_matched_by_either_first_label() -> None:
    there = ["app01.example.com", "app02", "app03.a", "app03.b"]
    found, unclear = folders(["app01", "app02.example.com", "app03", "app04"], there)
    assert found == {"app01": "app01.example.com", "app02.example.com": "app02"}
    assert unclear == {"app03": ("app03.a", "app03.b")}
