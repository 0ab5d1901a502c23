import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from tests.unit.charts import RELEASE, series, story, vertices, window

from opsbrief.chart import build
from opsbrief.model.chart import DARK, LIGHT, Chart, Moment
from opsbrief.render import svg

NS = "{http://www.w3.org/2000/svg}"


def tree(drawn: Chart, ident: str = "key", alt: str = "") -> ET.Element:
    return ET.fromstring(svg.draw(drawn, ident, alt))  # noqa: S314 -- our own picture


def test_it_says_what_it_is_to_those_who_do_not_see_it() -> None:
    root = tree(story(), alt="connections are not released since 2.14.0")
    assert root.get("role") == "img"
    labels = (root.get("aria-labelledby") or "").split()
    named = [element.text for label in labels for element in root.iterfind(f"*[@id='{label}']")]
    assert named == ["established connections", "connections are not released since 2.14.0"]
    described = tree(story()).findtext(f"{NS}desc") or ""
    assert "app1 from" in described
    assert "deploy 2.14.0" in described


def test_the_ids_of_two_graphs_differ_and_are_plain() -> None:
    ids = [{element.get("id") for element in tree(story(), ident).iter()} - {None} for ident in ("a", 'b" onload="x')]
    assert not ids[0] & ids[1]
    assert all(re.fullmatch(r"[\w-]+", str(ident)) for ident in ids[0] | ids[1])


def test_every_line_and_mark_tells_its_name_to_the_pointer() -> None:
    titles = [title.text or "" for title in tree(story()).iter(f"{NS}title")]
    assert any(title.startswith("collectd.app3.tcpconns.established: lowest") for title in titles)
    assert "Fri 17 May 15:02:11 deploy 2.14.0" in titles
    assert any("restart app1" in title for title in titles)


def test_it_needs_nothing_from_elsewhere() -> None:
    drawn = svg.draw(story(), "key").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|href|script|url\(|style=|@import", drawn + svg.CSS)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "</svg>", "a&b;&lt;", "\x00\x1b[31m\ud800\ufffe", "$\\frac{", "\"'"]
)
def test_hostile_names_are_text(name: str) -> None:
    one = series([1, 2], RELEASE, host=name, name=name)
    marks = [Moment("fix", RELEASE, name)]
    drawn = build([one], window(), title=name, unit=name, limit=2, limit_label=name, marks=marks)
    root = tree(drawn, name, name)
    allowed = {NS + tag for tag in ("svg", "title", "desc", "g", "path", "rect", "text")}
    assert {element.tag for element in root.iter()} <= allowed
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


def test_the_path_goes_through_every_point_to_an_eighth_of_a_pixel() -> None:
    rng = np.random.default_rng(2)
    x, y = np.arange(500) * 1.7, rng.normal(100, 60, 500)
    y[[50, 51, 200]] = np.nan
    runs = vertices(svg.path(x, y))
    there = ~np.isnan(y)
    assert [len(run) for run in runs] == [50, 148, 299]
    found = np.array([point for run in runs for point in run]) / svg.GRID
    assert np.abs(found - np.column_stack((x, y))[there]).max() <= 0.5 / svg.GRID + 1e-9


def test_level_stretches_cost_nothing() -> None:
    assert svg.path(np.arange(1000.0), np.full(1000, 7.0)) == "m0 28 3996 0"
    assert svg.path(np.array([1.0]), np.array([np.nan])) == ""


def test_a_gap_is_a_gap() -> None:
    frame = window()
    drawn = build([series([1, 2, np.nan, 4, 5], frame.whole.start)], frame, title="t")
    path = next(p for p in tree(drawn).iter(f"{NS}path") if p.get("class") == "s-c0")
    assert len(vertices(path.get("d") or "")) == 2


def test_dark_mode_and_print_have_every_colour() -> None:
    dark = svg.CSS.partition("prefers-color-scheme:dark")[2]
    assert LIGHT.keys() == DARK.keys()
    for name, colour in DARK.items():
        assert f"--{name}:{colour}" in dark
    used = {name for element in tree(story()).iter() for name in (element.get("class") or "").split()} - {"chart"}
    assert all(f".chart .{name}{{" in svg.CSS for name in used)


def test_without_its_style_sheet_the_light_colours_hold() -> None:
    for element in tree(story()).iter():
        for name in (element.get("class") or "").split():
            paint, colour = ("stroke", name[2:]) if name.startswith("s-") else ("fill", name)
            assert name == "chart" or element.get(paint) == LIGHT[colour]


def test_a_graph_of_three_lines_is_small() -> None:
    frame = window(before=21)
    rng = np.random.default_rng(3)
    lines = [series(100 + rng.normal(0, 5, 1440), frame.whole.start, host=f"app{i}") for i in range(3)]
    assert len(svg.draw(build(lines, frame, title="t"), "a")) < 30_000


def test_an_empty_graph_has_its_reason_and_its_marks() -> None:
    drawn = build([], window(), title="t", marks=[Moment("restart", RELEASE + timedelta(minutes=1))])
    text = ET.tostring(tree(drawn), encoding="unicode")
    assert "no data: no series" in text
    assert "deploy 2.14.0" in text
