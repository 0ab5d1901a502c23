"""A look at a host in the walk: who is asked when, and how its answer joins the others."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.evidence_of import DEPLOY, evidence, noise, origin, outcome, series

from opsbrief.analysis import analyse
from opsbrief.compose import looks
from opsbrief.compose.case import Case
from opsbrief.config import Config
from opsbrief.errors import ConfigError, GapKind
from opsbrief.model.effect import First, Told
from opsbrief.model.evidence import Evidence, Gap, Item, Reading
from opsbrief.model.scope import Metric
from opsbrief.model.window import Window
from opsbrief.pipeline import Order, _look, active
from opsbrief.source import Look, Source
from opsbrief.sources.deploylog import DeployLines as Other
from opsbrief.transport.deadline import Deadline

END = DEPLOY + timedelta(minutes=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake(Source):
    """Answers that 300 connections are there, on whichever host it is sent to."""

    host: str = ""

    def at(self, host: str) -> "Fake":
        return replace(self, host=host)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:  # noqa: ARG002 - of every source
        yield Reading(
            host=self.host, command="ss", exit_status=0, stdout="300 ESTAB\n", stderr="", at=END, about="sockets",
            origin=origin("look"),
        )  # fmt: skip


def told(rise: float, *, silent: bool = False) -> Evidence:
    values = noise(1)
    values[120:] += np.linspace(0, rise, 120)
    if silent:
        values[180:] = np.nan
    metric = Metric(target="conn", name="conn", worse="up", key=True)
    graph = outcome("graphite", "graphite", series(values, metric="conn", host="app2"))
    return evidence(graph, metrics=(metric,))


LOOK = [("fake", Fake(name="look"))]


def test_the_chosen_host_is_looked_at_and_its_answer_joins_with_ids_of_its_own() -> None:
    found, interrupted = _look(told(250), LOOK, None)
    assert not interrupted
    (reading,) = found.items(Reading)
    assert (reading.host, reading.id) == ("app2", "E2")
    assert [one.source for one in found.outcomes] == ["graphite", "look"]
    (look,) = [one for one in analyse(found) if one.code == "look"]
    assert look.verdict == "confirmed"


def test_where_nothing_deviates_nobody_is_asked_and_that_is_no_gap() -> None:
    found, _ = _look(told(0), LOOK, None)
    assert not list(found.items(Reading))
    assert not found.gaps
    assert found.outcomes[-1].warnings == ("no host was looked at: none is known to deviate",)


def test_where_every_host_is_down_the_look_is_a_gap() -> None:
    found, _ = _look(told(250, silent=True), LOOK, None)
    (gap,) = found.gaps
    assert (gap.source, gap.kind) == ("look", GapKind.UNREACHABLE)
    assert "--host" in gap.hint


@pytest.fixture
def config() -> Config:
    sources: dict[str, tuple[str, Source]] = {
        "look": ("fake", Fake(name="look")),
        "deploys": ("deploylog", Other(name="deploys", path="/x")),
    }
    return Config(sources=sources)


@pytest.mark.parametrize(("host", "expected"), [("", ""), ("app7", "app7")])
def test_a_host_of_the_command_line_goes_to_who_looks(config: Config, host: str, expected: str) -> None:
    found = active(config, Order(since="1h", host=host), look=True)
    assert [(source.name, source.host) for _, source in found if isinstance(source, Look)] == [("look", expected)]
    assert len(found) == 2


def test_who_only_watches_or_counts_weeks_looks_at_no_host(config: Config) -> None:
    assert [source.name for _, source in active(config, Order(since="1h"))] == ["deploys"]


def test_a_host_that_nobody_can_look_at_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="type: ssh"):
        active(config, Order(since="1h", host="app1", skip=("look",)), look=True)


def test_the_brief_about_a_fix_says_what_the_first_one_counted() -> None:
    before, _ = _look(told(250), LOOK, None)
    first = First(
        bundle="b", headline="h", collected_at=END, end=END,
        told=tuple(Told(finding=one) for one in analyse(before) if one.code == "look"),
    )  # fmt: skip
    now = replace(before, first=first)
    found = [one for one in analyse(before) if one.code == "look"]
    fewer = [replace(one, facts={**one.facts, "established": 40}) for one in found]
    (line, *_) = looks.lines(Case(now, fewer, people=False))
    assert "first brief → now: 300 → 40 established" in line.detail
    other = [replace(one, facts={**one.facts, "counted": "the service's"}) for one in found]
    (line, *_) = looks.lines(Case(now, other, people=False))
    assert "first brief" not in line.detail
