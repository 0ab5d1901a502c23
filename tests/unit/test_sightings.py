"""What two sources tell of one event counts once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.evidence_of import DEPLOY, evidence, origin, outcome

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Event
from opsbrief.sightings import once


def alarm(seconds: float, source: str, state: str = "CRITICAL", **more: Any) -> Event:
    at = DEPLOY + timedelta(minutes=10, seconds=seconds)
    event = Event(at=at, host="app1", service="http", state=state, state_type="hard", origin=origin(source))
    return replace(event, **more)


def test_the_same_alarm_of_two_places_is_one() -> None:
    database, file = alarm(0.4, "icingadb"), alarm(0, "log")
    assert once([database, file]) == [file]
    assert once([database, file, alarm(1, "writer")]) == [file]


def test_short_and_long_names_are_one_host_and_two_addresses_are_two() -> None:
    assert len(once([alarm(0, "icingadb", host="app1.shop.example"), alarm(1, "log", host="App1")])) == 1
    assert len(once([alarm(0, "icingadb", host="10.0.0.1"), alarm(1, "log", host="10.0.0.2")])) == 2


def test_two_alarms_of_one_source_stay_two_and_are_paired_each_with_its_own() -> None:
    mine = [alarm(0, "icingadb"), alarm(20, "icingadb")]
    assert once(mine) == mine
    assert once([*mine, alarm(1, "log"), alarm(21, "log")]) == mine
    third = alarm(25, "log")
    assert once([*mine, alarm(1, "log"), alarm(21, "log"), third]) == [*mine, third]


def test_what_differs_stays() -> None:
    first = alarm(0, "icingadb")
    others = [
        alarm(0, "log", "WARNING"), alarm(31, "log"), alarm(0, "log", host="app2"), alarm(0, "log", service="ssh"),
        alarm(0, "log", kind="notification"), alarm(0, "log", state_type="soft"),
    ]  # fmt: skip
    assert set(once([first, *others])) == {first, *others}


def test_a_source_that_does_not_say_hard_or_soft_means_either() -> None:
    soft, core = alarm(0, "icingadb", state_type="soft"), alarm(0, "core", state_type="")
    assert once([soft, core]) == [soft]


def test_ten_thousand_alarms_of_one_check_take_no_time() -> None:
    many = [alarm(second, source) for second in range(5000) for source in ("icingadb", "log")]
    assert len(once(many)) == 5000


def test_the_timeline_counts_each_once() -> None:
    told = [alarm(60 * n, source, id=f"E{n}{source}") for n in range(3) for source in ("icingadb", "log")]
    by = [
        outcome(source, "icinga", *(one for one in told if one.origin.source == source))
        for source in ("icingadb", "log")
    ]
    entries = [one.headline for one in analyse(evidence(*by)) if one.code == "timeline" and one.subject == "alarm"]
    assert entries == ["first alarm: app1 http CRITICAL, 3 until the end"]
