"""Requests side by side: no more at once than allowed, refusals handed over, defects raised, the deadline kept."""

import threading
import time

import pytest

from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side


def test_every_task_is_done_and_no_more_than_the_width_at_once() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(task: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return task * task

    done = dict(side_by_side(work, range(20), Deadline(10), width=3))
    assert done == {task: task * task for task in range(20)}
    assert 1 < most <= 3


def test_a_refusal_is_handed_over_beside_the_results() -> None:
    def work(task: int) -> int:
        if task == 1:
            raise SourceError(GapKind.REJECTED, "no")
        return task

    done = dict(side_by_side(work, range(3), Deadline(10)))
    assert isinstance(done.pop(1), SourceError)
    assert done == {0: 0, 2: 2}


def test_a_defect_is_raised_where_the_results_are_awaited() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda task: 1 // task, [0], Deadline(10)))


def test_the_deadline_ends_the_waiting() -> None:
    gate = threading.Event()
    deadline = Deadline(0.2)
    with pytest.raises(SourceError) as caught:
        list(side_by_side(lambda _: gate.wait(5), [1], deadline))
    gate.set()
    assert caught.value.kind is GapKind.TIMEOUT


def test_what_is_not_awaited_any_more_does_not_start() -> None:
    started: list[int] = []

    def work(task: int) -> None:
        started.append(task)
        time.sleep(0.02)

    results = side_by_side(work, range(100), Deadline(10), width=2)
    next(results)
    results.close()  # type: ignore[attr-defined] # reason: a generator
    time.sleep(0.1)
    assert len(started) <= 6
