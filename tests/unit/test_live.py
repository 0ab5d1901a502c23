"""The screen, the line and the JSON of a tick."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.world import DEPLOY, HOUR

from opsbrief.errors import GapKind
from opsbrief.model.chart import Moment
from opsbrief.model.evidence import Gap
from opsbrief.model.finding import Verdict
from opsbrief.model.tick import News, Note, Row, Settling, State, Tick
from opsbrief.render import live

NOW = DEPLOY + 2 * HOUR
ROW = Row(
    name="connections", verdict=Verdict.CHANGED, does="rising", tone="bad", before=18.5, after=158.0, now=204.0,
    unit="conn", hosts="8 of 8 hosts", key=True, left=3120.0, limit=400.0, effect=None, series="s", host="app3",
    start=int((DEPLOY - HOUR).timestamp()), step=60, newest=NOW,
    values=np.concatenate((np.full(60, 18.0), np.linspace(18, 390, 120))),
)  # fmt: skip
CALM = replace(
    ROW, name="p95", verdict=Verdict.UNCHANGED, does="unchanged", tone="good", before=128.0, after=131.0, unit="ms",
    hosts="", key=False, left=None, limit=None, values=np.full(180, 128.0),
)  # fmt: skip
TICK = Tick(
    number=12, at=NOW, service="shop", zone="UTC", start=DEPLOY, before=DEPLOY - HOUR,
    headline="connections rising since release 2.14.0 (14:00) on 8 of 8 hosts", tone="bad", rows=(ROW, CALM),
    news=(News(text="connection to <*> not released", verdict=Verdict.NEW, level="ERROR", before=0.0, after=8.55,
               first=DEPLOY, last=NOW),),
    notes=(Note(at=NOW, kind="event", text="app1 shop RESTART", tone="bad"),),
    fresh=(Note(at=NOW, kind="event", text="app1 shop RESTART", tone="bad"),),
    states=(State(source="graphite", state="ok", since=NOW),
            State(source="logs", state="failed", since=NOW - timedelta(minutes=18), detail="refuses connections")),
    gaps=(Gap(source="logs", what="everything", kind=GapKind.UNREACHABLE, detail="refuses connections"),),
    marks=(Moment("deploy", DEPLOY, "2.14.0"),), fix=None,
    settling=Settling(ticks=0, needed=5, waits="no fix yet"), turned=True, took=0.41,
)  # fmt: skip
FIXED = replace(
    TICK, fix=Moment("fix", NOW - timedelta(minutes=30), "2.14.1"), rows=(replace(ROW, effect=Verdict.TOO_EARLY),),
    marks=(*TICK.marks, Moment("fix", NOW - timedelta(minutes=30), "2.14.1")),
    settling=Settling(ticks=0, needed=5, waits="connections too early, ~ 38 min more needed"),
)  # fmt: skip


def drawn(tick: Tick, width: int = 80, height: int = 23) -> list[str]:
    return ["".join(words for words, _ in line) for line in live.screen(tick, width, height)]


@pytest.mark.parametrize("tick", [TICK, FIXED, replace(TICK, rows=(), news=(), notes=(), states=())])
@pytest.mark.parametrize("size", [(80, 23), (120, 50), (60, 13), (40, 8), (300, 100), (20, 6)])
def test_a_screen_is_filled_and_never_exceeded(tick: Tick, size: tuple[int, int]) -> None:
    width, height = size
    lines = drawn(tick, width, height)
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)


@given(st.integers(1, 200), st.integers(1, 80), st.text(max_size=300), st.integers(0, 24))
def test_no_words_and_no_size_break_it(width: int, height: int, words: str, many: int) -> None:
    tick = replace(TICK, headline=" ".join(words.split()), rows=(ROW,) * many)
    assert all(len(line) <= width for line in drawn(tick, width, height))


def test_eighty_by_twenty_four_tells_it_all() -> None:
    text = "\n".join(drawn(TICK))
    for part in (
        "shop · connections rising since release 2.14.0",
        "18.5 → 158 conn on 8 of 8 hosts, rising, ~ 52 min to 400 · app3",
        "↑ 14:00 2.14.0",
        "128 → 131 ms  unchanged",
        "new      ERROR   8.55/min  connection to <*> not released",
        "16:00:00  app1 shop RESTART",
        "logs: no answer since 15:42 (refuses connections) · graphite ok",
    ):
        assert part in text


def test_the_plot_shows_where_the_release_was_and_how_high_it_went() -> None:
    lines = drawn(TICK)
    plot = lines[2 : lines.index(next(line for line in lines if "↑" in line))]
    column = next(line for line in lines if "↑" in line).index("↑")
    assert plot[0].split()[0] == "400"  # the limit is near, so it is drawn
    assert "┄" in plot[0]
    assert all(line[column] in "│▁▂▃▄▅▆▇█" for line in plot)
    assert plot[-1].rstrip().endswith("█")
    assert plot[-1].split()[0] == "0"


def test_a_peak_of_one_slot_is_drawn_however_narrow_the_screen() -> None:
    values = np.full(1000, 1.0)
    values[617] = 100.0
    tick = replace(TICK, rows=(replace(ROW, values=values, step=int(3 * 3600 / 1000), limit=None),))
    top = next(line for line in drawn(tick, 40) if line.startswith("    100 "))
    assert sum(cell in "▁▂▃▄▅▆▇█" for cell in top) == 1


def test_a_gap_is_a_gap() -> None:
    values = ROW.values.copy()
    values[90:120] = np.nan
    bottom = next(
        line for line in drawn(replace(TICK, rows=(replace(ROW, values=values),))) if line.startswith("      0")
    )
    assert 9 <= bottom[8:].count(" ") <= 13


def test_the_fix_and_what_settling_waits_for_are_told() -> None:
    text = "\n".join(drawn(FIXED))
    assert "fix 2.14.1" in text
    assert "not settled: connections too early, ~ 38 min more needed" in text


def test_the_status_line_counts_down_and_says_pause() -> None:
    due = NOW + timedelta(seconds=24)
    ((words, _),) = live.status(TICK, NOW, due, paused=False, asking="", keys=True)
    assert words == "since 14:00 · tick 12 at 16:00:00 · next in 24 s · p pause · q quit"
    ((words, _),) = live.status(TICK, NOW, due, paused=True, asking="", keys=False)
    assert words == "since 14:00 · tick 12 at 16:00:00 · PAUSED"


def test_a_line_is_one_line() -> None:
    line = live.line(replace(TICK, headline="a\nb"))
    assert "\n" not in line
    assert line.startswith("16:00:00 shop: a b; connections 18.5 → 158 conn, now 204 conn, ~ 52 min to 400; ")
    assert "logs: no answer since 15:42" in line


def test_the_json_is_plain_and_without_nan() -> None:
    row = replace(ROW, before=float("nan"), now=None)
    found = json.loads(json.dumps(live.document(replace(TICK, rows=(row,))), allow_nan=False))
    assert found["format"] == "opsbrief.tick/1"
    assert found["metrics"][0]["before"] is None
    assert found["metrics"][0]["seconds_to_limit"] == 3120.0
    assert found["sources"][1] == {
        "source": "logs", "state": "failed", "since": "2026-11-20T15:42:00+00:00", "detail": "refuses connections",
    }  # fmt: skip
    assert found["settled"] == {"ticks": 0, "needed": 5, "done": False, "waits_for": "no fix yet"}


def test_marks_close_to_each_other_and_to_the_edge_keep_their_names() -> None:
    late = NOW - timedelta(minutes=3)
    tick = replace(FIXED, fix=Moment("fix", late, "2.14.1"), marks=(TICK.marks[0], Moment("fix", late, "2.14.1")))
    line = next(line for line in drawn(tick) if "↑" in line)
    assert line.rstrip().endswith("15:57 fix 2.14.1 ↑")
    assert "↑ 14:00 2.14.0" in line
