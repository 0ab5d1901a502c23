"""Which host is worth a look."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.evidence_of import DEPLOY, evidence, noise, origin, outcome, series

from opsbrief.analysis import analyse
from opsbrief.analysis.hosts import choose
from opsbrief.model.evidence import Event, Evidence, Item
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric

METRIC = Metric(target="m", name="m", worse="up", unit="conn", key=True)


def event(minute: float, host: str, state: str = "RESTART") -> Event:
    kind = "restart" if state == "RESTART" else "state"
    at = DEPLOY + timedelta(minutes=minute)
    return Event(at=at, host=host, service="app", state=state, kind=kind, origin=origin("monit"))  # type: ignore[arg-type] # reason: one of the two


def story(rises: Mapping[str, float], *events: Event, silent_from: Mapping[str, int] | None = None) -> Evidence:
    """Return a metric that climbs by so much on each host; on some, nothing more comes from a minute on."""
    found: list[Item] = []
    for seed, (host, rise) in enumerate(rises.items()):
        values = noise(seed)
        values[120:] += np.linspace(0, rise, 120)
        if silent_from and host in silent_from:
            values[120 + silent_from[host] :] = np.nan
        found.append(series(values, host=host))
    outcomes = outcome("graphite", "graphite", *found), outcome("monit", "monit", *events)
    return evidence(*outcomes, metrics=(METRIC,))


def chosen(told: Evidence) -> Finding | None:
    return next(choose(told, analyse(told)), None)


FIRST, SECOND, THIRD = ("app1", "app2", "app3")
SAME = {"app1": 100.0, "app2": 101.0, "app3": 99.0}


@pytest.mark.parametrize(
    ("rises", "events", "silent", "expected", "why"),
    [
        ({"app1": 100.0}, (), {}, "app1", "the only host that deviates"),
        ({"app1": 30.0, "app2": 900.0}, (), {}, "app2", "deviates most of 2 hosts"),
        ({"app1": 900.0, "app2": 30.0}, (), {}, "app1", "deviates most of 2 hosts"),
        ({"app1": 100.0, "app2": 0.0}, (), {}, "app1", "the only host that deviates"),
        # about the same: the one that runs longest since its restart
        (SAME, (event(10, FIRST), event(20, SECOND), event(30, THIRD)), {}, "app1", "longest since its restart 110"),
        (SAME, (event(30, FIRST), event(20, SECOND), event(10, THIRD)), {}, "app3", "longest since its restart 110"),
        (SAME, (event(10, "app1"), event(90, "app1"), event(20, "app2"), event(30, "app3")), {}, "app2", "longest"),
        (SAME, (event(10, "app1"), event(30, "app3")), {}, "app2", "no restart of it was seen"),
        (SAME, (event(10, "app1"), event(10, "app9"), event(30, "app3")), {}, "app2", "no restart of it was seen"),
        # a restart does not outweigh a much larger difference
        ({"app1": 2000.0, "app2": 20.0}, (event(100, "app1"),), {}, "app1", "restart 20 min"),
        # not up
        ({"app1": 900.0, "app2": 300.0}, (), {"app1": 60}, "app2", "app1 may be down"),
        ({"app1": 900.0, "app2": 300.0}, (), {"app1": 115}, "app1", "deviates most"),
        ({"app1": 900.0, "app2": 300.0}, (event(119, "app1", "DOWN"),), {}, "app2", "app1 may be down"),
        ({"app1": 900.0, "app2": 30.0}, (event(9, FIRST, "DOWN"), event(19, FIRST, "UP")), {}, "app1", "most"),
        ({"app1": 900.0, "app2": 30.0}, (event(119, "app2", "DOWN"),), {}, "app1", "app2 may be down"),
        ({"app1": 900.0, "app2": 30.0}, (event(119, "app1", "CRITICAL"),), {}, "app1", "deviates most"),
    ],
)  # fmt: skip
def test_the_choice_and_why(
    rises: Mapping[str, float], events: tuple[Event, ...], silent: Mapping[str, int], expected: str, why: str
) -> None:
    found = chosen(story(rises, *events, silent_from=silent))
    assert found
    assert found.subject == expected
    assert why in found.headline
    assert found.headline.startswith(f"{expected} is worth a look: ")


def test_nothing_deviates_and_nobody_is_chosen() -> None:
    assert chosen(story({"app1": 0.0, "app2": 0.0})) is None
    assert chosen(evidence()) is None


def test_where_all_are_down_nobody_is_chosen_and_that_is_said() -> None:
    found = chosen(story({"app1": 900.0, "app2": 900.0}, silent_from={"app1": 50, "app2": 50}))
    assert found
    assert (found.subject, found.verdict) == ("", Verdict.CANNOT_TELL)
    assert "none of the 2 hosts" in found.headline


def test_a_change_for_the_better_is_no_reason_while_something_got_worse() -> None:
    good = Metric(target="good", name="good", worse="down", key=True)
    values, worse = noise(1), noise(2)
    values[120:] += 500
    worse[120:] += 30
    told = evidence(
        outcome("graphite", "graphite", series(values, metric="good", host="app1"), series(worse, host="app2")),
        metrics=(good, Metric(target="m", name="m", worse="up")),
    )
    found = chosen(told)
    assert found
    assert found.subject == "app2"


def test_series_without_a_host_choose_nobody() -> None:
    values = noise(1)
    values[120:] += 500
    assert chosen(evidence(outcome("graphite", "graphite", series(values)), metrics=(METRIC,))) is None
