"""A watch against a world with a simulated clock: what is asked, what is kept, what is said."""

import gc
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.evidence_of import series, window
from tests.unit.world import DEPLOY, HOUR, World, plan

from opsbrief.collect import Runner
from opsbrief.model.evidence import Event, Evidence, Gap, Item, LogSample, Series
from opsbrief.model.finding import Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.tick import Tick
from opsbrief.model.window import Anchor, TimeKind, Window
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline
from opsbrief.watch import NOTES, Watch
from opsbrief.watch.feed import THINGS, Feed
from opsbrief.watch.lines import BUCKETS, LINES
from opsbrief.watch.ring import SLOTS
from opsbrief.watch.view import View


@pytest.fixture
def world() -> World:
    return World()


class Judge:
    """Keeps the evidence it is shown and says nothing."""

    def __init__(self) -> None:
        self.evidence: Evidence | None = None

    def __call__(self, evidence: Evidence) -> View:
        self.evidence = evidence
        return View(headline="", tone="plain")

    def series(self, span: str = "") -> Series:
        assert self.evidence
        return next(item for item in self.evidence.items(Series) if item.span == span)

    def lines(self, span: str = "incident") -> list[LogSample]:
        assert self.evidence
        return [item for item in self.evidence.items(LogSample) if item.span == span]


def run(watch: Watch, world: World, ticks: int, seconds: float = 30) -> list[Tick]:
    """Return the ticks, of very many only the last ones."""
    return list(deque((watch.tick(world.pass_(seconds)) for _ in range(ticks)), maxlen=500))


def truth(world: World, start: datetime = DEPLOY, end: datetime | None = None) -> int:
    """Return how many lines there really are."""
    last = (end or world.now).timestamp() - world.late
    return len(range(-(-int(start.timestamp()) // 10) * 10, int(np.ceil(last)), 10))


# What is asked


def test_after_the_first_answer_only_the_new_stretch_is_asked(world: World) -> None:
    run(Watch(plan(world), judge=Judge()), world, 20)
    first, *later = [window for window in world.windows("meter") if not window.shifts or window.before]
    assert first.whole.start == DEPLOY - 2 * HOUR
    assert all(window.end - window.start < timedelta(minutes=5) for window in later)
    assert all(not window.before for window in later)


def test_weekly_baselines_are_asked_an_hour_ahead_and_not_at_each_tick(world: World) -> None:
    run(Watch(plan(world), judge=Judge()), world, 240)  # two hours
    ahead = [window for window in world.windows("lines") if window.shifts and not window.before]
    assert 2 <= len(ahead) <= 3


def test_a_source_that_only_knows_changes_is_asked_rarely(world: World) -> None:
    run(Watch(replace(plan(world), logs=()), judge=Judge()), world, 40)  # twenty minutes
    assert len(world.windows("deploys")) == 4


# What is kept


def test_many_answers_make_the_series_that_one_would_be(world: World) -> None:
    judge = Judge()
    run(Watch(plan(world), judge=judge), world, 100)
    found = judge.series()
    times = [at for at in range(found.start, found.end, 60) if at < world.now.timestamp() - world.late]
    assert found.values[: len(times)] == pytest.approx([world.value(at) for at in times])
    assert times[0] == (DEPLOY - 2 * HOUR).timestamp()


def test_no_line_is_lost_or_counted_twice_though_lines_come_late(world: World) -> None:
    judge = Judge()
    run(Watch(plan(world), judge=judge), world, 150, seconds=31.7)
    assert sum(sample.total for sample in judge.lines()) == truth(world)
    assert sum(len(sample.records) for sample in judge.lines()) == truth(world)
    assert sum(sum(map(sum, s.histogram.counts.values())) for s in judge.lines() if s.histogram) == truth(world)


def test_samples_adjoin_and_reach_from_start_to_now(world: World) -> None:
    judge = Judge()
    run(Watch(plan(world), judge=judge), world, 30)
    settled, tail = judge.lines()
    assert (settled.start, tail.end) == (DEPLOY, world.now)
    assert settled.end == tail.start


def test_the_time_before_is_asked_once_and_stays(world: World) -> None:
    judge = Judge()
    run(Watch(plan(world), judge=judge), world, 30)
    (before,) = judge.lines("before")
    assert before.total == truth(world, DEPLOY - 2 * HOUR, DEPLOY + timedelta(seconds=world.late))


def test_weekly_lines_are_counted_once(world: World) -> None:
    judge = Judge()
    run(Watch(plan(world), judge=judge), world, 300)
    (week,) = judge.lines("1-weeks-ago")
    span = timedelta(seconds=world.late)
    assert week.total == truth(world, week.start, week.end + span)


# Sources that die, hang and come back


def test_a_source_that_dies_becomes_a_state_and_loses_nothing_when_it_comes_back(world: World) -> None:
    judge = Judge()
    watch = Watch(plan(world), judge=judge)
    died = run(watch, world, 10)[-1].at
    world.dead = True
    dead = run(watch, world, 60)
    world.dead = False
    back = run(watch, world, 2)
    state = next(state for state in dead[-1].states if state.source == "lines")
    assert (state.state, state.since, state.detail) == ("failed", died, "lines refuses connections")
    assert ["lines: no answer, lines refuses connections" in [n.text for n in t.fresh] for t in dead[:2]] == [
        True,
        False,
    ]
    assert "lines: answers again" in [note.text for note in back[0].fresh]
    assert sum(sample.total for sample in judge.lines()) == truth(world)
    assert np.isfinite(judge.series().values).all()


def test_a_source_that_is_dead_at_first_is_asked_for_everything_once_it_answers(world: World) -> None:
    judge = Judge()
    watch = Watch(plan(world), judge=judge)
    world.dead = True
    assert run(watch, world, 3)[-1].states[0].since is None
    world.dead = False
    run(watch, world, 3)
    assert judge.series().start == (DEPLOY - 2 * HOUR).timestamp()
    assert sum(sample.total for sample in judge.lines()) == truth(world)


def test_a_source_that_hangs_is_left_alone_until_it_lets_go(world: World) -> None:
    watch = Watch(plan(world, timeout=0.1), judge=Judge())
    run(watch, world, 2)
    world.hangs = True
    asked = len(world.windows("lines"))
    threads = threading.active_count()
    ticks = run(watch, world, 8)
    assert len(world.windows("lines")) == asked + 1
    assert threading.active_count() <= threads + 5  # one a question that hangs, not one a tick
    assert {state.source: state.state for state in ticks[-1].states}["lines"] == "stuck"
    world.hangs = False
    world.free.set()
    for thread in [
        thread for thread in threading.enumerate() if thread.name in ("meter", "lines", "alarms", "deploys")
    ]:
        thread.join(5)
    assert all(state.well for state in run(watch, world, 1)[-1].states)


def test_a_defect_in_judging_is_said_and_the_next_tick_tries_again(world: World) -> None:
    judged: Iterator[View | None] = iter([View(headline="one", tone="bad"), None, View(headline="three", tone="bad")])

    def judge(_: Evidence) -> View:
        found = next(judged)
        if found is None:
            raise ZeroDivisionError("a defect")
        return found

    one, two, three = run(Watch(plan(world), judge=judge), world, 3)
    assert (one.headline, two.headline, three.headline) == ("one", "one", "three")
    assert "a defect" in two.defect
    assert not three.defect


def test_a_defect_in_keeping_what_came_is_said_and_the_next_tick_tries_again(world: World) -> None:
    broken = [False, True, False]

    def clean(items: tuple[object, ...]) -> tuple[object, ...]:
        if broken[0]:
            raise ZeroDivisionError("a defect")
        return items

    judge = Judge()
    watch = Watch(plan(world), lambda: clean, judge)
    one = watch.tick(world.pass_(30))
    broken.pop(0)
    two = watch.tick(world.pass_(30))
    broken.pop(0)
    three = watch.tick(world.pass_(30))
    assert [bool(tick.defect) for tick in (one, two, three)] == [False, True, False]
    assert sum(sample.total for sample in judge.lines()) == truth(world)


# Days


def test_ten_thousand_ticks_take_no_more_memory_than_two_thousand(world: World) -> None:
    """Half a minute a tick makes three and a half days."""
    judge = Judge()
    watch = Watch(plan(world), judge=judge)
    run(watch, world, 2000)
    threads, early = threading.active_count(), _resident()
    last = run(watch, world, 8000)[-1]
    assert _resident() - early < 8 << 20
    assert threading.active_count() <= threads
    assert judge.evidence
    assert len(list(judge.evidence.items(Event))) <= THINGS
    assert all(len(series.values) <= SLOTS for series in judge.evidence.items(Series))
    assert sum(len(sample.records) for sample in judge.lines()) <= 2 * LINES + 20
    assert all(len(row) <= BUCKETS for s in judge.lines() if s.histogram for row in s.histogram.counts.values())
    assert sum(sample.total for sample in judge.lines()) == truth(world)
    assert len(last.notes) <= NOTES


def _resident() -> int:
    """Return the bytes this process really has in memory."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0  # no Linux: the counts tell


# What is said


def test_a_leak_is_told_with_the_time_to_its_limit(world: World) -> None:
    tick = run(Watch(plan(world)), world, 2)[-1]
    (row,) = tick.rows
    assert (row.verdict, row.does, row.tone) == (Verdict.CHANGED, "rising", "bad")
    assert row.left == pytest.approx((400 - world.value(world.now.timestamp())) / 2 * 60, rel=0.15)
    assert [(news.verdict, news.level) for news in tick.news] == [(Verdict.NEW, "ERROR")]


def test_a_newer_deploy_is_taken_for_the_fix_and_judged(world: World) -> None:
    watch = Watch(plan(world))
    early = run(watch, world, 3)[-1]
    world.fix = world.now
    seen = run(watch, world, 1)[-1]
    later = run(watch, world, 60, seconds=60)[-1]
    assert early.fix is None
    assert early.settling.waits == "no fix yet"
    assert seen.fix
    assert (seen.fix.at, seen.fix.label) == (world.fix, "2.1")
    assert any("deploy 2.1" in note.text and "taken for the fix" in note.text for note in seen.fresh)
    assert seen.rows[0].effect is not Verdict.FIXED
    assert later.rows[0].effect is Verdict.FIXED
    assert later.headline.startswith("since fix 2.1 (")


def test_settled_only_after_so_many_ticks_in_a_row(world: World) -> None:
    watch = Watch(plan(world, ticks=4, alarms=False))
    run(watch, world, 2)
    world.fix = world.now
    ticks = run(watch, world, 60, seconds=60)
    counts = [tick.settling.ticks for tick in ticks]
    first = counts.index(1)
    assert counts[first : first + 5] == [1, 2, 3, 4, 4]
    assert [tick.settling.done for tick in ticks].index(True) == first + 3
    assert "more needed" in ticks[3].settling.waits


def test_no_answer_is_no_proof_and_the_count_begins_again(world: World) -> None:
    watch = Watch(plan(world, ticks=1000, alarms=False))
    run(watch, world, 2)
    world.fix = world.now
    assert run(watch, world, 60, seconds=60)[-1].settling.ticks > 1
    world.dead = True
    silent = run(watch, world, 1)[-1]
    assert (silent.settling.ticks, silent.settling.waits) == (0, "no answer of meter, lines, deploys")


def test_restarts_that_are_rare_keep_it_from_settling(world: World) -> None:
    watch = Watch(plan(world))
    run(watch, world, 2)
    world.fix = world.now
    tick = run(watch, world, 60, seconds=60)[-1]
    assert tick.rows[0].effect is Verdict.FIXED
    assert tick.settling.waits.startswith("restarts of shop too early")


def test_a_leak_that_goes_on_never_settles(world: World) -> None:
    watch = Watch(plan(world, fix=Anchor("time", DEPLOY + 0.8 * HOUR), alarms=False))
    ticks = run(watch, world, 60, seconds=60)
    assert max(tick.settling.ticks for tick in ticks) == 0
    assert ticks[-1].rows[0].effect in (Verdict.UNCHANGED, Verdict.WORSE)


def test_a_tag_alone_is_no_deploy_where_deploys_are_known(world: World) -> None:
    what = plan(world)
    tags = [(kind, replace(source, kind=TimeKind.TAG_TIME)) for kind, source in what.logs]
    world.fix = DEPLOY + timedelta(minutes=50)
    assert run(Watch(replace(what, logs=tags)), world, 2)[-1].fix is None


def test_the_bell_rings_when_a_verdict_turns_and_not_otherwise(world: World) -> None:
    world.level = lambda minutes: 20 if minutes < 65 else 120
    ticks = run(Watch(plan(world)), world, 60)
    turned = [tick for tick in ticks if tick.turned]
    assert 1 <= len(turned) <= 3
    assert not ticks[0].turned
    assert any("conn: changed, was unchanged" in note.text for note in turned[0].fresh)


def test_events_come_up_once(world: World) -> None:
    ticks = run(Watch(plan(world)), world, 100)
    told = [note.at for tick in ticks for note in tick.fresh if note.kind == "event"]
    assert len(told) == len(set(told)) == 2  # fifty minutes, a restart every twenty
    assert [mark.kind for mark in ticks[-1].marks].count("restart") >= len(told)


def test_credentials_do_not_get_in(world: World) -> None:
    judge = Judge()

    def clean(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(replace(i, records=()) if isinstance(i, LogSample) else i for i in items)

    run(Watch(plan(world), lambda: clean, judge), world, 3)
    assert all(not sample.records for sample in judge.lines())


# The beat


def test_a_beat_that_asking_overran_is_left_out(world: World) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.pass_(seconds)

    times: list[datetime] = []
    for tick in Watch(plan(world), judge=Judge()).ticks(lambda: world.now, sleep, lambda tick: tick.number == 4):
        times.append(tick.at)
        if tick.number == 2:
            world.pass_(70)  # more than two beats
    assert [(at - times[0]).total_seconds() for at in times] == [0, 30, 120, 150]
    assert slept == [30, 20, 30]


def test_a_deploy_soon_after_a_given_time_is_the_release_and_no_fix(world: World) -> None:
    what = plan(world)
    given = replace(what.window, start=DEPLOY - timedelta(minutes=2), anchor=Anchor("time", DEPLOY))
    assert run(Watch(replace(what, window=given)), world, 2)[-1].fix is None


def test_a_rollback_within_minutes_is_taken_for_the_fix(world: World) -> None:
    world.fix = DEPLOY + timedelta(minutes=3)
    fix = run(Watch(plan(world)), world, 2)[-1].fix
    assert fix
    assert fix.at == world.fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder(Source):
    """A source that finds a metric for a dashboard."""

    def collect(self, _window: Window, _deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        yield Metric(target="a", name="found", found=True, source=self.name)
        yield series([1.0] * 240, metric="found")


def test_what_a_dashboard_finds_is_kept_apart_from_what_is_shown() -> None:
    feed = Feed("finder", Finder(name="f"))
    whole = window()
    (tray,) = Runner([feed.job(whole, whole.end, 30.0)]).run()
    feed.take(tray, whole.end, lambda items: items)
    assert [metric.name for metric in feed.found.values()] == ["found"]
    assert [type(item).__name__ for item in feed.outcome.items] == ["Series"]
