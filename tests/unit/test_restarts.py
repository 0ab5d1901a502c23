"""Falls of a metric that a source of events saw as restarts."""

from datetime import timedelta

import numpy as np
import pytest
from tests.unit.evidence_of import DEPLOY, evidence, noise, only, origin, outcome, series

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Event
from opsbrief.model.finding import Finding
from opsbrief.model.scope import Metric

METRIC = Metric(target="m", name="m", worse="up", limit=120.0)


def restart(minute: float, host: str = "app1") -> Event:
    at = DEPLOY + timedelta(minutes=minute)
    return Event(at=at, host=host, service="app", state="RESTART", kind="restart", origin=origin("monit"))


def leak(*restarts: Event) -> Finding:
    """Return the finding of a metric that climbs and falls in minutes 40 and 80 (last datapoints 39 and 79)."""
    values = noise(3)
    values[120:] += (np.arange(120) % 40) * 1.5
    graph = outcome("graphite", "graphite", series(values, host="app1"))
    return only(analyse(evidence(graph, outcome("monit", "monit", *restarts), metrics=(METRIC,))), "shift")


def test_restarts_explain_the_falls_they_are_close_to() -> None:
    found = leak(restart(39.5), restart(80.5))
    assert found.facts["resets_near_restart"] == 2
    assert "falls only at 2 resets, 2 of them within 40 s of a restart" in found.headline


@pytest.mark.parametrize(
    ("restarts", "near"),
    [
        ((restart(39.5),), 1),
        ((restart(38.5),), 1),
        ((restart(38.0),), 0),
        ((restart(40.6),), 1),
        ((restart(41.0),), 0),
        ((restart(39.5, "app2"),), 0),
        ((restart(39.5), restart(39.6)), 1),
    ],
)
def test_close_is_forty_seconds_and_the_same_host(restarts: tuple[Event, ...], near: int) -> None:
    found = leak(*restarts)
    assert found.facts["resets_near_restart"] == near
    assert ("of a restart" in found.headline) is bool(near)


def test_without_restarts_nothing_is_said() -> None:
    assert "resets_near_restart" not in leak().facts
