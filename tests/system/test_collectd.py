"""A real collectd watches a real leak and writes it into a real Graphite, into RRD files and into CSV files."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.system import collectd as server
from tests.system import leaky
from tests.system.collectd import HOST, LAYOUTS, Collectd
from tests.system.conftest import absent
from tests.system.graphite import Graphite, MissingError, free_port
from tests.system.sshd import Sshd

from opsbrief import bundle, pipeline
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Dashboard, Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.collectd import heads, known, rrd
from opsbrief.readers.collectd.layout import learn, read
from opsbrief.source import Source, Ssh
from opsbrief.sources.collectd import Collectd as Files
from opsbrief.sources.graphite import Graphite as Server
from opsbrief.sources.whisper import Whisper
from opsbrief.transport.deadline import Deadline

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

QUIET, LEAK = 32, 32  # seconds before the release, and until somebody asks
NODES = {name: {**LAYOUTS[name], "Prefix": f'"live.{name}."'} for name in ("plain", "counters", "all")}


@dataclass(frozen=True, slots=True)
class Story:
    """What was seen: the leak began at ``at``, the port it is on, the folders with the files."""

    graphite: Graphite
    port: int
    at: datetime
    end: datetime
    collectd: Collectd

    @property
    def window(self) -> Window:
        return Window(
            start=self.at, end=self.end, anchor=Anchor("time", self.at), before=timedelta(seconds=QUIET - 5)
        )  # fmt: skip

    @property
    def leak(self) -> str:
        return f"connections on {self.port}"


@pytest.fixture(scope="module")
def story(graphite: Graphite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Let an application be healthy for a while, then leak, while collectd looks at it once a second."""
    try:
        server.install()
    except MissingError as missing:
        absent("collectd", missing)
    folder = tmp_path_factory.mktemp("leak")
    mode, port = folder / "mode", free_port()
    mode.write_text("healthy")
    (folder / "service").write_text(str(port))
    command = [sys.executable, leaky.__file__, str(folder), "0"]
    nodes = [(name, graphite.line_port, options) for name, options in NODES.items()]
    application = subprocess.Popen(command)
    try:
        time.sleep(12)  # until it has its forty connections open
        with server.running(nodes, port=port, files=True) as collector:
            time.sleep(QUIET)
            mode.write_text("leaking")
            at = datetime.now(UTC).replace(microsecond=0)
            time.sleep(LEAK)
            end = datetime.now(UTC).replace(microsecond=0)
            copy = collector.rrd.parent / "copy"  # as they are now: collectd goes on writing
            for name in ("rrd", "csv"):
                shutil.copytree(getattr(collector, name), copy / name)
            yield Story(graphite, port, at, end, Collectd(copy / "rrd", copy / "csv", collector.home))
    finally:
        application.kill()
        application.wait()


def scope(prefix: str = "", host: str = HOST) -> Scope:
    return Scope(service="shop", hosts=(host,), dashboard=Dashboard(kind="collectd", prefix=prefix))


def collect(source: Source, window: Window) -> tuple[dict[str, Series], list[Metric], list[Gap], list[str]]:
    """Return the series by the name of their metric and their own, the metrics found, the gaps, the notes."""
    deadline = Deadline(60)
    found = list(source.collect(window, deadline))
    series = {f"{item.metric} {item.name}": item for item in found if isinstance(item, Series)}
    metrics = [item for item in found if isinstance(item, Metric)]
    return series, metrics, [item for item in found if isinstance(item, Gap)], deadline.warnings


def one(series: dict[str, Series], metric: str, part: str = "") -> Series:
    (found,) = [item for key, item in series.items() if key.startswith(f"{metric} ") and part in item.name]
    return found


def sources(story: Story) -> dict[str, Source]:
    server_ = {name: Server(name="g", url=story.graphite.url, scope=scope(f"live.{name}")) for name in NODES}
    whisper = Whisper(name="w", path=str(story.graphite.store), scope=scope("live.plain"))
    rrd_, csv = (
        Files(name="f", path=str(path), scope=scope(host="app01")) for path in (story.collectd.rrd, story.collectd.csv)
    )
    return {**server_, "whisper": whisper, "rrd": rrd_, "csv": csv}


def test_the_leaking_connections_are_named_though_nobody_wrote_a_target(story: Story, tmp_path: Path) -> None:
    (tmp_path / "opsbrief.yaml").write_text(f"""\
sources:
  graphite: {{type: graphite, url: "{story.graphite.url}", timeout: 90s}}
services:
  shop: {{hosts: [{HOST}], dashboard: {{kind: collectd, prefix: live.plain}}}}
""")
    command = [sys.executable, "-m", "opsbrief", "collect", "--since", story.at.isoformat(), "--baseline", "before:1m"]
    command += ["--until", story.end.isoformat(), "--json"]
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 3), done.stderr
    brief = json.loads(done.stdout)
    assert brief["headline"].startswith(f"{story.leak} rising"), brief["headline"]
    assert not brief["gaps"]
    told = {finding["subject"]: finding["verdict"] for finding in brief["findings"] if finding["code"] == "shift"}
    assert told[f"CLOSE_WAIT on {story.port}"] == "unchanged"
    assert {"load", "memory used", "swap used", "CPU idle", "/ used", "interface errors"} <= set(told)
    text = (tmp_path / brief["bundle"] / "brief.txt").read_text()
    assert "not ranked" in text
    assert render(tmp_path / brief["bundle"]) == text


def render(bundle_: Path) -> str:
    """Return the text that is made again out of a bundle, with no server to ask."""
    _, _, artifacts = pipeline.again(bundle.read(bundle_), ("txt",))
    return next(one.data.decode() for one in artifacts if one.name == "brief.txt")


def test_every_way_finds_the_same_metrics_and_values(story: Story) -> None:
    first: list[tuple[str, str, str]] = []
    leaks: dict[str, Series] = {}
    switches: dict[str, float] = {}
    for way, source in sources(story).items():
        series, metrics, gaps, notes = collect(source, story.window)
        assert not gaps, way
        shown = [(metric.name, metric.unit, metric.worse) for metric in metrics]
        first = first or shown
        assert shown == first, way
        leaks[way] = one(series, story.leak)
        assert leaks[way].host == source.scope.hosts[0]
        switches[way] = float(np.nanmean(one(series, "everything else of collectd", "contextswitch").values))
        assert any("stored raw" in note for note in notes) == (way in {"counters", "csv"}), way
    usual = leaks["plain"]
    for way, leak in leaks.items():
        assert leak.step == usual.step == 1, way
        start, end = max(leak.start, usual.start) + 2, min(leak.end, usual.end) - 2
        mine, theirs = (one_.values[start - one_.start : end - one_.start] for one_ in (leak, usual))
        apart = np.abs(mine - theirs)
        assert np.isfinite(apart).sum() > QUIET, way
        assert np.nanquantile(apart, 0.9) <= 16, way  # eight connections a second, sampled within the second
        assert switches[way] == pytest.approx(switches["plain"], rel=0.15), way


def test_rrd_files_are_read_as_rrdtool_reads_them(story: Story) -> None:
    files = sorted(story.collectd.rrd.rglob("*.rrd"))
    chance = random.Random(7)
    points = 0
    for _ in range(40):
        path = chance.choice(files)
        data = path.read_bytes()

        def at(offset: int, count: int, data: bytes = data) -> bytes:
            return data[offset : offset + count]

        head = rrd.header(at, len(data))
        function = chance.choice(["AVERAGE", "MAX", "MIN"])
        end = head.updated - chance.choice([-50, 0, 1, 7, 60])
        start = end - chance.choice([20, 100, 3600, 86400, 86400 * 200])
        printed = story.collectd.rrdtool("fetch", str(path), function, "-s", str(start), "-e", str(end))
        rows = [row.split(":") for row in printed.splitlines()[2:] if row]
        times = [int(time_) for time_, _ in rows]
        real = np.array([[float(value) for value in values.split()] for _, values in rows])
        ring = rrd.choose(head, start, function)
        assert times[1] - times[0] == ring.step
        mine = rrd.fetch(at, head, ring, times[0] - ring.step, times[-1])
        assert mine.start == times[0] - ring.step  # rrdtool stamps a row with its end
        np.testing.assert_allclose(np.column_stack([mine.values[part] for part in head.parts]), real, rtol=1e-9)
        points += int(np.isfinite(real).sum())
    assert points > 500


def test_the_table_of_types_says_what_the_real_one_says(story: Story) -> None:
    real = story.collectd.types()
    for name, kind in known.TYPES.items():
        assert [part for part, _ in real[name]] == list(kind.parts), name
        assert {form != "GAUGE" for _, form in real[name]} == {kind.counter}, name


def test_the_layouts_of_today_are_the_recorded_ones(story: Story, tmp_path: Path) -> None:
    assert story.collectd.home
    counts = server.record(tmp_path, seconds=5)
    assert set(counts) == {*LAYOUTS, "percent"}
    for name in LAYOUTS:
        names = (tmp_path / f"{name}.txt").read_text().split()
        assert names, name
        if name == "tags":
            continue
        above = {".".join(row.split(".")[:end]) for row in names for end in range(1, row.count(".") + 2)}
        (head,) = heads.find(above, [HOST]).found
        tails = [row.removeprefix(f"{head.text}.") for row in names]
        layout = learn(tails)
        assert not layout.mixed
        assert None not in {read(tail, layout) for tail in tails}, name


@pytest.mark.parametrize("form", ["rrd", "csv"])
def test_files_on_another_host_are_read_over_ssh_as_here(story: Story, sshd: Sshd, form: str) -> None:
    path = str(getattr(story.collectd, form))
    ssh = Ssh(**sshd.options())  # type: ignore[arg-type] # reason: a mapping of any values
    here = collect(Files(name="f", path=path, scope=scope(host="app01")), story.window)
    there = collect(Files(name="f", path=path, scope=scope(host="app01"), host="127.0.0.1", ssh=ssh), story.window)
    assert not there[2]
    assert there[1] == here[1]
    assert set(there[0]) == set(here[0])
    for key, series in there[0].items():
        np.testing.assert_array_equal(series.values, here[0][key].values)
        assert (series.start, series.step) == (here[0][key].start, here[0][key].step)


def test_a_host_that_does_not_let_us_in_is_named(story: Story, sshd: Sshd) -> None:
    ssh = Ssh(**sshd.options(key=str(sshd.stranger)))  # type: ignore[arg-type] # reason: a mapping of any values
    source = Files(name="f", path=str(story.collectd.rrd), scope=scope(host="127.0.0.1"), host="{host}", ssh=ssh)
    with pytest.raises(SourceError) as caught:
        collect(source, story.window)
    assert caught.value.kind is GapKind.UNAUTHORIZED
    nothing = Files(name="f", path="/var/empty", scope=scope(), host="127.0.0.1", ssh=Ssh(**sshd.options()))  # type: ignore[arg-type] # reason: same
    with pytest.raises(SourceError, match="/var/empty"):
        collect(nothing, story.window)
