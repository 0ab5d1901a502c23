"""What a chart costs: opsbrief's two drawers against matplotlib's usual way and rrdtool.

Every drawer draws every chart in turn, so that a busy machine slows all alike; figures are medians
of CPU time, ratios medians of the ratios within a round. Each chart has three series of 1,440 points,
a deploy line and a band of the week before. rrdtool runs as one process in pipe mode, its answers
read back, and reads its own files; its CPU time is that of its process.

    python bench/charts.py [--rounds 9] [--charts 5] [--points 1440]
"""

import argparse
import base64
import gzip
import io
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from opsbrief.chart import build
from opsbrief.model.chart import Chart
from opsbrief.model.evidence import Origin, Series
from opsbrief.model.window import Anchor, Window
from opsbrief.render import png, svg

START = datetime(2026, 11, 19, 15, tzinfo=UTC)
DAY = 86400
Drawer = Callable[[int], bytes]


class Case:
    """One seeded set of charts and the series they were built from."""

    def __init__(self, charts: int, points: int) -> None:
        """Make ``charts`` charts of three series and a band, ``points`` values each, over one day."""
        release = START + timedelta(hours=21)
        self.window = Window(
            start=release,
            end=START + timedelta(days=1),
            anchor=Anchor("deploy", release, "2.14.0"),
            before=timedelta(hours=21),
            shifts=(("last-week", timedelta(days=7)),),
        )
        rng = np.random.default_rng(7)
        self.step = DAY // points
        self.values = (
            100 + np.cumsum(rng.normal(0, 0.4, (charts, 4, points)), axis=2) + rng.normal(0, 3, (charts, 4, points))
        )
        self.charts = [self.build(number) for number in range(charts)]

    def build(self, number: int) -> Chart:
        """Build the chart; what opsbrief does before it draws."""
        shift = int(START.timestamp())
        lines = [self._series(self.values[number, host], shift, f"app{host}") for host in range(3)]
        week = [self._series(self.values[number, 3], shift - 7 * DAY, "app0", "last-week")]
        return build(lines, self.window, title="established connections", unit="ms", week=week)

    def _series(self, values: np.ndarray, start: int, host: str, span: str = "") -> Series:
        return Series(
            name=f"collectd.{host}.tcpconns",
            start=start,
            step=self.step,
            values=values,
            host=host,
            span=span,
            origin=Origin(source="graphite", query="bench"),
        )


def usual(case: Case) -> Drawer:
    """Draw as a script of an afternoon would: pyplot, dates on the axis, a legend, a PNG."""
    import matplotlib as mpl  # noqa: PLC0415 -- after opsbrief has set it up

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 -- same

    times = np.datetime64(START.replace(tzinfo=None), "s") + case.step * np.arange(case.values.shape[2])

    def draw(number: int) -> bytes:
        figure, axes = plt.subplots(figsize=(9, 3.24), dpi=100)
        for host in range(3):
            axes.plot(times, case.values[number, host], lw=1, label=f"app{host}")
        axes.axvline(np.datetime64(case.window.start.replace(tzinfo=None)), color="k")
        axes.set_title("established connections")
        axes.grid(visible=True)
        axes.legend()
        out = io.BytesIO()
        figure.savefig(out, format="png")
        plt.close(figure)
        return out.getvalue()

    return draw


class Rrdtool:
    """One rrdtool process that draws what it is told; its files are written beforehand."""

    def __init__(self, case: Case, folder: Path) -> None:
        """Write the case's series into files in ``folder`` and start the process."""
        self.folder, self.case = folder, case
        begin = int(START.timestamp())
        for number in range(len(case.charts)):
            sources = [f"DS:app{host}:GAUGE:{2 * case.step}:U:U" for host in range(3)]
            file = str(folder / f"{number}.rrd")
            rows = case.values.shape[2]
            table = f"RRA:AVERAGE:0.5:1:{rows}"
            subprocess.run(
                ["rrdtool", "create", file, "-b", str(begin - case.step), "-s", str(case.step), *sources, table],
                check=True,
            )
            updates = [
                f"{begin + case.step * i}:" + ":".join(f"{v:.6g}" for v in case.values[number, :3, i])
                for i in range(rows)
            ]
            for first in range(0, rows, 500):
                subprocess.run(["rrdtool", "update", file, *updates[first : first + 500]], check=True)
        self.process = subprocess.Popen(["rrdtool", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def drawer(self, form: str) -> Drawer:
        """Return a drawer of PNG or SVG."""
        colours = ("0072b2", "d55e00", "009e73")
        begin = int(START.timestamp())

        def draw(number: int) -> bytes:
            file, out = self.folder / f"{number}.rrd", self.folder / f"out.{form.lower()}"
            lines = " ".join(
                f"DEF:a{host}={file}:app{host}:AVERAGE LINE1:a{host}#{colours[host]}:app{host}" for host in range(3)
            )
            command = (
                f"graph {out} -a {form} -w 830 -h 230 -s {begin} -e {begin + DAY} -t connections {lines}"
                f" VRULE:{int(self.case.window.start.timestamp())}#000000\n"
            )
            assert self.process.stdin is not None  # noqa: S101 -- opened as pipes above
            assert self.process.stdout is not None  # noqa: S101 -- same
            self.process.stdin.write(command.encode())
            self.process.stdin.flush()
            while not (answer := self.process.stdout.readline()).startswith((b"OK", b"ERROR")):
                pass
            if answer.startswith(b"ERROR"):
                raise SystemExit(answer.decode())
            return out.read_bytes()

        return draw

    def cpu(self) -> float:
        """Return the CPU seconds the process has used."""
        fields = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()
        return int(fields[0]) / 1e9

    def close(self) -> None:
        """End the process."""
        self.process.communicate(b"quit\n", timeout=10)


def measure(drawers: dict[str, tuple[Drawer, Callable[[], float]]], charts: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU milliseconds a chart of each drawer, one figure a round."""
    taken: dict[str, list[float]] = {name: [] for name in drawers}
    for turn in range(-1, rounds):  # the first round warms up
        for name, (draw, clock) in drawers.items():
            began = clock()
            for number in range(charts):
                draw(number)
            if turn >= 0:
                taken[name].append((clock() - began) / charts * 1000)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="What a chart costs.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--charts", type=int, default=5)
    parser.add_argument("--points", type=int, default=1440)
    options = parser.parse_args()
    case = Case(options.charts, options.points)
    own = time.process_time
    drawers: dict[str, tuple[Drawer, Callable[[], float]]] = {
        "opsbrief SVG": (lambda n: svg.draw(case.charts[n], "a").encode(), own),
        "opsbrief SVG, with build": (lambda n: svg.draw(case.build(n), "a").encode(), own),
        "opsbrief PNG": (lambda n: png.draw(case.charts[n]), own),
        "matplotlib PNG, the usual way": (usual(case), own),
    }
    with tempfile.TemporaryDirectory() as folder:
        rrd = Rrdtool(case, Path(folder)) if shutil.which("rrdtool") else None
        if rrd:
            drawers["rrdtool SVG"] = (rrd.drawer("SVG"), rrd.cpu)
            drawers["rrdtool PNG"] = (rrd.drawer("PNG"), rrd.cpu)
        taken = measure(drawers, options.charts, options.rounds)
        sizes = {name: draw(0) for name, (draw, _) in drawers.items()}
        if rrd:
            rrd.close()
    report(taken, sizes, options.points)
    if not rrd:
        print("rrdtool is not installed: not compared")


def report(taken: dict[str, list[float]], sizes: dict[str, bytes], points: int) -> None:
    """Print the table; bytes as they stand in an HTML page, where a PNG is base64."""
    print(
        f"3 series x {points:,} points, {len(next(iter(taken.values())))} rounds; CPU ms a chart, x = of opsbrief SVG"
    )
    base = taken["opsbrief SVG"]
    print(f"{'':32}{'ms':>8}{'x':>8}{'bytes':>10}{'in HTML, gz':>14}")
    for name, rounds in taken.items():
        ratio = statistics.median(one / other for one, other in zip(rounds, base, strict=True))
        page = base64.b64encode(sizes[name]) if name.split(",")[0].endswith("PNG") else sizes[name]
        print(
            f"{name:32}{statistics.median(rounds):8.2f}{ratio:8.1f}{len(sizes[name]):10,}{len(gzip.compress(page)):14,}"
        )


if __name__ == "__main__":
    main()
