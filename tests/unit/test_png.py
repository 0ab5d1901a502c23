import io
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text
from PIL import Image
from tests.unit.charts import RELEASE, mended, series, story, vertices, window

from opsbrief.chart import build
from opsbrief.model.chart import Chart, Moment
from opsbrief.render import png, svg

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = ["$\\frac{", "$x^2$", "_hidden", "日本語 😀", "\x1b[31m\ud800", "x" * 50_000, "a\nb", ""]


def image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def gaps() -> Chart:
    frame = window()
    lines = [
        series([1, math.nan, 3, 4, math.nan, 6], frame.whole.start, 3000),
        series([2e6] * 300, frame.whole.start, host="b"),
    ]
    return build(lines, frame, title="gaps", unit="B")


def test_it_is_a_small_opaque_palette_picture_without_metadata() -> None:
    drawn = story()
    data = png.draw(drawn)
    picture = image(data)
    assert (picture.format, picture.mode, picture.size) == ("PNG", "P", (drawn.width, drawn.height))
    assert len(picture.getcolors() or []) <= png.SHADES
    assert picture.info == {}
    assert min(np.asarray(picture.convert("RGB"))[1, 1]) >= 250
    assert len(data) < 60_000


def test_the_same_chart_gives_the_same_bytes() -> None:
    assert png.draw(story()) == png.draw(story())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_drawn_as_they_are(name: str) -> None:
    one = series([1, 2], RELEASE, host=name, name=name)
    drawn = build(
        [one], window(), title=name, unit=name, limit=2, limit_label=name, marks=[Moment("fix", RELEASE, name)]
    )
    assert image(png.draw(drawn)).size[0] == 900


@pytest.mark.parametrize("values", [[], [math.inf], [1e308, -1e308], [0, 0], [1e300, -1e300], [5e-324]])
def test_hostile_values_are_survived(values: list[float]) -> None:
    assert image(png.draw(build([series(values, RELEASE)], window(), title="t"))).size[0] == 900


def test_a_process_without_home_draws_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: black\n")
    (tmp_path / "blocked").write_text("a file, where a folder would have to be")
    code = (
        "import sys; from opsbrief.render import png; from tests.unit.charts import story;"
        "sys.stdout.buffer.write(png.draw(story()))"
    )
    quiet = {"HOME": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path / "blocked"), "PATH": os.environ["PATH"]}
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**quiet, "PYTHONPATH": root, "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert done.stdout == png.draw(story())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocked", "matplotlibrc"]


# Both drawers draw the same: what stands in the SVG is compared with matplotlib's artists.


@pytest.fixture(
    params=[story, mended, gaps, lambda: build([], window(), title="nothing")],
    ids=["story", "mended", "gaps", "nothing"],
)
def both(request: pytest.FixtureRequest) -> tuple[Chart, ET.Element, Figure]:
    drawn = request.param()
    return drawn, ET.fromstring(svg.draw(drawn, "a")), png.compose(drawn)  # noqa: S314 -- our own picture


def test_both_write_the_same_texts_at_the_same_places(both: tuple[Chart, ET.Element, Figure]) -> None:
    _, root, figure = both
    sides = {"left": "start", "center": "middle", "right": "end"}
    painted = [
        (text.get_text(), text.get_position(), sides[text.get_horizontalalignment()], to_hex(text.get_color()))
        for text in figure.artists
        if isinstance(text, Text)
    ]
    written = [
        (
            text.text,
            (float(text.get("x", 0)), float(text.get("y", 0))),
            text.get("text-anchor", "start"),
            text.get("fill"),
        )
        for text in root.iter(f"{NS}text")
    ]
    assert [(text, side, colour) for text, _, side, colour in painted] == [(t, s, c) for t, _, s, c in written]
    assert np.array([place for _, place, _, _ in painted]) == pytest.approx(
        np.array([p for _, p, _, _ in written]), abs=0.06
    )


def test_both_draw_the_same_lines(both: tuple[Chart, ET.Element, Figure]) -> None:
    drawn, root, figure = both
    data = root.find(f"{NS}g")
    assert data is not None
    paths = [path for path in data.iter(f"{NS}path") if path.get("fill") is None]
    lines = [line for line in figure.artists + figure.lines if isinstance(line, Line2D)]
    traces = {
        str(line.get_gid()): line for line in lines if str(line.get_gid()).startswith("c") and len(line.get_xdata()) > 2
    }
    assert len(paths) == len(traces) == len(drawn.traces)
    for path in paths:
        line = traces[str(path.get("class"))[2:]]
        assert to_hex(line.get_color()) == path.get("stroke")
        assert float(path.get("stroke-width", 0)) / svg.GRID == pytest.approx(line.get_linewidth() / png.POINT)
        assert bool(path.get("stroke-dasharray")) == line.is_dashed()
        points = np.array([point for run in vertices(path.get("d") or "") for point in run]) / svg.GRID
        painted = np.column_stack((line.get_xdata() - drawn.plot.left, line.get_ydata() - drawn.plot.top))
        painted = painted[~np.isnan(painted[:, 1])]
        for point in points:
            assert np.abs(painted - point).max(axis=1).min() <= 0.5 / svg.GRID + 1e-6
        for side in (np.min, np.max):
            assert side(points, axis=0) == pytest.approx(side(painted, axis=0), abs=0.5 / svg.GRID + 1e-6)


def test_both_draw_the_same_marks_ticks_and_legend(both: tuple[Chart, ET.Element, Figure]) -> None:
    _, root, figure = both
    painted = Counter(str(artist.get_gid()) for artist in figure.artists if not isinstance(artist, Text))
    for name in ("restart", "alarm"):
        assert painted[name] == sum(path.get("class") == name for path in root.iter(f"{NS}path"))
    for name in ("deploy", "fix", "limit"):
        assert painted[name] == sum(path.get("class") == f"s-{name}" for path in root.iter(f"{NS}path"))
    steps = "".join(path.get("d") or "" for path in root.iter(f"{NS}path") if path.get("class") in ("s-grid", "s-axis"))
    assert painted["grid"] + painted["axis"] == steps.count("M")
    assert painted["weeks"] == sum(element.get("class", "").startswith("weeks") for element in root.iter())


def test_both_shade_the_same_grounds(both: tuple[Chart, ET.Element, Figure]) -> None:
    _, root, figure = both
    rects = [
        (rect.get("fill"), float(rect.get("x", 0)), float(rect.get("width", 0)))
        for rect in root.findall(f"{NS}rect")
        if rect.get("class") in ("after", "fixed")
    ]
    areas = [
        (to_hex(piece.get_facecolor()), piece.get_xy()[0][0], piece.get_xy()[1][0] - piece.get_xy()[0][0])
        for piece in figure.artists
        if isinstance(piece, Polygon) and piece.get_gid() in ("after", "fixed")
    ]
    assert [colour for colour, *_ in areas] == [colour for colour, *_ in rects]
    assert [places for _, *places in areas] == [pytest.approx(places, abs=0.11) for _, *places in rects]


def test_both_put_the_triangle_of_a_restart_at_the_same_place(both: tuple[Chart, ET.Element, Figure]) -> None:
    _, root, figure = both
    wedges = [piece for piece in figure.artists if isinstance(piece, Polygon) and piece.get_gid() == "restart"]
    tips = [wedge.get_xy()[0][0] for wedge in wedges]
    starts = [float((p.get("d") or "")[1:].split()[0]) for p in root.iter(f"{NS}path") if p.get("class") == "restart"]
    assert tips == pytest.approx(starts, abs=0.06)
