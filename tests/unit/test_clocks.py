import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.evidence_of import DEPLOY, evidence, noise, origin, outcome, series, window

from opsbrief.analysis import analyse
from opsbrief.compose import compose
from opsbrief.maths.offset import estimate
from opsbrief.model.evidence import Event, Evidence, Series
from opsbrief.model.finding import Finding
from opsbrief.model.scope import Metric
from opsbrief.model.window import Anchor, Candidate, Deploy, Receipt, TimeKind
from opsbrief.render import text


def sawtooth(host: str, falls: list[int]) -> Series:
    """Return a leak of a minute's grid that falls after the given minutes."""
    values = noise(len(host) + int(host[-1]), size=1.0)
    low = 122
    for fall in [*falls, 239]:
        values[low : fall + 1] += 4.0 * np.arange(fall + 1 - low)
        low = fall + 1
    return series(values, host=host)


FALLS = {"app1": [150, 183, 214], "app2": [155, 190, 226]}


def told(ahead: float, *, hosts: dict[str, float] | None = None) -> Evidence:
    """Return restarts that Monit dates ``ahead`` seconds too late, and the falls they made in the graphs."""
    restarts = [
        Event(
            at=DEPLOY + timedelta(minutes=fall - 120, seconds=30 + (hosts or {}).get(host, ahead)),
            host=host, service="shop", state="RESTART", kind="restart", origin=origin("monit"),
        )
        for host, falls in FALLS.items()
        for fall in falls
    ]  # fmt: skip
    graphs = [sawtooth(host, falls) for host, falls in FALLS.items()]
    return evidence(
        outcome("graphite", "graphite", *graphs),
        outcome("monit", "monit", *restarts),
        metrics=(Metric(target="m", name="m", worse="up"),),
    )


def clocks(whole: Evidence) -> list[Finding]:
    return [one for one in analyse(whole) if one.code == "clock"]


def test_restarts_in_the_minute_of_the_falls_say_that_the_clocks_agree() -> None:
    (found,) = clocks(told(0))
    assert found.headline == "clocks of monit and graphite agree within 30 s, by 6 restarts"


def test_a_clock_that_is_off_is_said_with_its_interval() -> None:
    (found,) = clocks(told(130))
    assert found.headline == (
        "clock of monit is about 2 min 10 s ahead of graphite (1 min 40 s to 2 min 40 s), from 6 restarts"
    )
    (behind,) = clocks(told(-200))
    assert behind.headline.startswith("clock of monit is about 3 min 20 s behind graphite")


def test_one_host_with_another_clock_is_told_apart() -> None:
    found = clocks(told(0, hosts={"app1": 0.0, "app2": 300.0}))
    assert any("clock of monit at app2 is about 5 min ahead of graphite" in one.headline for one in found)


def test_it_stands_on_the_first_page_and_agreement_in_the_coverage() -> None:
    off, fine = (told(ahead) for ahead in (130, 0))
    page = text.render(compose(off, analyse(off))).split("─" * 20)[0]
    assert "CLOCKS        clock of monit is about 2 min 10 s ahead" in page
    page = text.render(compose(fine, analyse(fine))).split("─" * 20)[0]
    assert "CLOCKS" not in page
    assert "clocks agree within 30 s" in " ".join(page.split())


def alarm(at: float, source: str, number: int) -> Event:
    when = DEPLOY + timedelta(seconds=at)
    return Event(at=when, host="app1", service=f"check{number}", state="CRITICAL", state_type="hard",
                 origin=origin(source))  # fmt: skip


@pytest.mark.parametrize("many", [2, 3])
def test_two_monitoring_systems_are_compared_by_alarms_that_both_saw(many: int) -> None:
    at = [60 + 400 * number for number in range(many)]
    one = outcome("icinga", "icinga", *(alarm(when, "icinga", number) for number, when in enumerate(at)))
    other = outcome("nagios", "nagioslog", *(alarm(when + 95, "nagios", number) for number, when in enumerate(at)))
    said = [found.headline for found in clocks(evidence(one, other))]
    expected = ["clock of icinga is about 1 min 35 s behind nagios (1 min 34 s to 1 min 36 s), from 3 alarms"]
    assert said == (expected if many == 3 else []), "two events are too few"


def deployed(behind: float) -> Evidence:
    """Return three deploys in two logs; the first, which the window starts from, has a clock that is behind."""
    values = noise(3)
    values[124:] += 50  # began 4 minutes after the deploy
    kind = TimeKind.EVENT_TIME
    pairs = [(DEPLOY - timedelta(days=days), f"2.{days}") for days in (0, 3, 7)]
    logs = {"log": 0.0, "graphite": behind}
    candidates = [
        Candidate(Deploy(at + timedelta(seconds=late), ref, "", source, kind), late, taken=False)
        for at, ref in pairs
        for source, late in logs.items()
    ]
    receipt = Receipt(since="deploy", until="now", reason="", candidates=tuple(candidates))
    anchor = Anchor("deploy", DEPLOY, "2.0", source="log", time_kind=kind)
    span = replace(window(), anchor=anchor, receipt=receipt)
    return evidence(outcome("graphite", "graphite", series(values)), metrics=(Metric(target="m", name="m"),), span=span)


def test_a_clock_that_is_behind_weakens_began_after() -> None:
    (found,) = clocks(deployed(600))
    assert found.detail == "so it is not sure that m began after the deploy"
    assert "it is not sure that m began after" in " ".join(
        text.render(compose(deployed(600), analyse(deployed(600)))).split("─" * 20)[0].split()
    )


@pytest.mark.parametrize("behind", [60, -600])
def test_a_clock_that_is_off_the_other_way_or_by_less_does_not(behind: float) -> None:
    assert [one.detail for one in clocks(deployed(behind))] == [""]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.floats(-600, 600), st.integers(3, 12), st.sampled_from((1, 10, 60)))
def test_the_true_offset_lies_in_the_interval(seed: int, ahead: float, many: int, step: int) -> None:
    chance = random.Random(seed)
    true = sorted(chance.sample(range(0, 400_000, 2000), many))
    seen = [at + chance.uniform(0, step) + ahead for at in true]
    found = estimate([(seen, [(float(at), float(at + step)) for at in true])])
    assert found is not None
    assert found.low - 1e-6 <= ahead <= found.high + 1e-6
    assert found.pairs == many


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(0, 3e5), max_size=12), st.lists(st.floats(0, 3e5), max_size=12))
def test_few_or_unlike_events_tell_nothing(one: list[float], other: list[float]) -> None:
    found = estimate([(one, [(at, at + 1) for at in other])])
    assert found is None or (found.pairs >= 3 and found.low <= found.high)
    assert estimate([(one[:2], [(at, at + 1) for at in one[:2]])]) is None


def test_two_offsets_that_fit_alike_tell_nothing() -> None:
    regular = [100.0 * number for number in range(20)]
    assert estimate([(regular, [(at, at + 1) for at in regular])]) is None
