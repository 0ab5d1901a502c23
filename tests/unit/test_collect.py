import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.unit.evidence_of import lines, series, window

from opsbrief.collect import Job, Progress, Runner, collect
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Window
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline


def job(start: Any, timeout: float = 5.0) -> Job[int]:
    return Job(name=start.__name__, timeout=timeout, start=start)


def good(_deadline: Deadline) -> Iterator[int]:
    yield from (1, 2, 3)


def half(_deadline: Deadline) -> Iterator[int]:
    yield 1
    raise SourceError(GapKind.UNAVAILABLE, "went away", "come back")


def piecewise(_deadline: Deadline) -> Iterator[int | Gap]:
    yield 1
    yield Gap(source="piecewise", what="two", kind=GapKind.REJECTED, detail="no")
    yield 3


def defect(_deadline: Deadline) -> Iterator[int]:
    yield 1
    raise ZeroDivisionError("inside a plug-in")


def leaves(_deadline: Deadline) -> Iterator[int]:
    raise SystemExit(3)
    yield 1


def polite(deadline: Deadline) -> Iterator[int]:
    yield 1
    while True:
        time.sleep(0.01)
        deadline.remaining()


def stuck(_deadline: Deadline) -> Iterator[int]:
    yield 1
    threading.Event().wait(30)
    yield 2


def test_what_was_yielded_is_kept_in_every_case() -> None:
    trays = Runner([job(good), job(half), job(piecewise), job(defect)]).run()
    assert [tray.items for tray in trays] == [[1, 2, 3], [1], [1, 3], [1]]
    assert [[gap.kind for gap in tray.gaps] for tray in trays] == [
        [], [GapKind.UNAVAILABLE], [GapKind.REJECTED], [GapKind.BUG],
    ]  # fmt: skip
    assert "ZeroDivisionError" in trays[3].traceback
    assert trays[1].gaps[0].hint == "come back"


def test_a_plug_in_that_leaves_does_not_take_the_run_with_it() -> None:
    trays = Runner([job(leaves, 0.3), job(good)], grace=0.1).run()
    assert trays[1].items == [1, 2, 3]
    assert len(trays[0].gaps) == 1


def test_a_polite_source_ends_at_its_deadline_with_what_it_has() -> None:
    (tray,) = Runner([job(polite, 0.2)]).run()
    assert tray.items == [1]
    assert [gap.kind for gap in tray.gaps] == [GapKind.TIMEOUT]


def test_many_stuck_sources_cost_one_grace_together_and_nothing_slips_in_later() -> None:
    started = time.monotonic()
    trays = Runner([job(stuck, 0.2) for _ in range(33)], grace=0.2).run()
    took = time.monotonic() - started
    assert 0.35 < took < 3
    assert all(tray.items == [1] and tray.closed for tray in trays)
    assert all([gap.kind for gap in tray.gaps] == [GapKind.TIMEOUT] for tray in trays)


def test_expiry_breaks_a_wait_that_cannot_look_at_the_clock() -> None:
    broken = threading.Event()

    def waits(deadline: Deadline) -> Iterator[int]:
        with deadline.breakable(broken.set):
            broken.wait(30)
        deadline.remaining()
        yield 1

    (tray,) = Runner([job(waits, 0.2)]).run()
    assert broken.is_set()
    assert [gap.kind for gap in tray.gaps] == [GapKind.TIMEOUT]
    assert tray.took < 1


def test_interrupting_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner([job(good), job(stuck, 30)])

    def ctrl_c() -> None:
        time.sleep(0.1)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_wait", ctrl_c)
    trays = runner.run()
    assert runner.interrupted
    assert trays[0].items == [1, 2, 3]
    assert trays[1].items == [1]
    assert trays[1].gaps[0].kind is GapKind.SKIPPED


def test_progress_is_told_with_its_last_state() -> None:
    heard: list[Progress] = []
    Runner([job(good), job(half)], heard.append).run()
    assert {progress.source for progress in heard if progress.state == "running"} == {"good", "half"}
    last = {progress.source: progress.state for progress in heard}
    assert last == {"good": "ok", "half": "partial"}


def test_a_source_that_has_given_nothing_yet_is_shown_as_running() -> None:
    heard: list[Progress] = []
    Runner([Job(name="stuck", timeout=0.1, start=lambda _: iter(()))], heard.append).run()
    assert [(progress.state, progress.items) for progress in heard] == [("running", 0), ("ok", 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled(Source):
    """Gives the same items in an order of its own, as a server that is asked side by side."""

    seed: int

    def collect(self, window: Window, _deadline: Deadline) -> Iterator[Item | Gap]:
        told: list[Item] = [
            replace(series([1.0], metric=metric, host=host, span=span.label), name=f"{metric}.{host}")
            for metric in ("a", "z", "unknown")
            for host in ("h1", "h2")
            for span in window.spans()
        ]
        told += [lines(span, []) for span in ("incident", "before")]
        random.Random(self.seed).shuffle(told)
        yield from told


def test_the_numbers_of_the_evidence_do_not_hang_on_who_answers_first() -> None:
    scope = Scope(metrics=(Metric(target="zz", name="z"), Metric(target="a")))
    found = [
        collect([("s", Shuffled(name="s", seed=seed))], window(weeks=1), scope)[0].outcomes[0].items for seed in (1, 2)
    ]
    names = [[(item.id, getattr(item, "name", ""), item.span) for item in items] for items in found]  # type: ignore[union-attr] # reason: only such
    assert names[0] == names[1]
    assert [name for _, name, span in names[0] if name and not span] == [
        "z.h1",
        "z.h2",
        "a.h1",
        "a.h2",
        "unknown.h1",
        "unknown.h2",
    ]


def test_a_source_without_answer_is_not_a_run_without_end() -> None:
    assert Runner([]).run() == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder(Source):
    """A source that finds two metrics for a dashboard, of which one has data."""

    def collect(self, _window: Window, _deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        yield Metric(target="a", name="found", unit="conn", found=True, source=self.name)
        yield Metric(target="b", name="long gone", found=True, source=self.name)
        yield Metric(target="c", name="mine", found=True, source=self.name)
        yield series([1.0], metric="found")
        yield series([1.0], metric="mine")


def test_what_a_dashboard_finds_joins_the_scope_where_it_has_data() -> None:
    mine = Metric(target="x.c", name="mine", worse="up")
    scope = Scope(metrics=(mine,))
    evidence, _ = collect([("finder", Finder(name="f", scope=scope))], window(), scope)
    assert [metric.name for metric in evidence.scope.metrics] == ["mine", "found"]
    assert evidence.scope.metrics[0] is mine
    assert [type(item).__name__ for item in evidence.outcomes[0].items] == ["Series", "Series"]
