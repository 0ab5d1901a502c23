from datetime import timedelta
from itertools import pairwise

from tests.unit.evidence_of import DEPLOY, commit, evidence, lines, noise, origin, outcome, series

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Event
from opsbrief.model.scope import Metric


def test_everything_is_merged_in_the_order_of_time() -> None:
    values = noise(1)
    values[122:] += 40
    error = [(5.0, "ERROR", "pool exhausted")]
    alarm = Event(
        at=DEPLOY + timedelta(minutes=48), host="app1", service="http", state="CRITICAL", origin=origin("icinga")
    )
    found = analyse(
        evidence(
            outcome("graphite", "graphite", series(values)),
            outcome("logs", "logfile", lines("before", [(1.0, "INFO", "ok")]), lines("incident", error)),
            outcome("puppet", "git", commit(-1300), role="infrastructure"),
            outcome("icinga", "icinga", alarm),
            metrics=(Metric(target="m", name="m"),),
        )
    )
    entries = [finding for finding in found if finding.code == "timeline"]
    assert [entry.subject for entry in entries] == ["commit", "deploy", "onset", "first-error", "alarm", "end"]
    assert all(one.onset and other.onset and one.onset.at <= other.onset.at for one, other in pairwise(entries))


def test_a_thousand_commits_do_not_drown_the_deploy() -> None:
    many = [commit(n / 10, ref=f"{n:07x}") for n in range(1000)]
    found = analyse(evidence(outcome("puppet", "git", *many, role="infrastructure")))
    entries = [finding.subject for finding in found if finding.code == "timeline"]
    assert len(entries) == 40
    assert {"deploy", "end"} <= set(entries)


def test_a_storm_of_alarms_is_told_by_its_first_ones() -> None:
    storm = [
        Event(
            at=DEPLOY + timedelta(minutes=10 + number / 100),
            host=f"app{number % 8}",
            service=f"check{number % 50}",
            state="CRITICAL",
            state_type="hard",
            origin=origin("icinga"),
        )
        for number in range(1000)
    ]
    found = analyse(evidence(outcome("icinga", "icinga", *storm)))
    alarms = [one.headline for one in found if one.code == "timeline" and one.subject == "alarm"]
    assert len(alarms) == 5
    assert alarms[0] == "first alarm: app0 check0 CRITICAL, 20 on 4 hosts until the end"
    assert alarms[-1].endswith("; 45 others began later")


def test_what_is_part_of_no_release_is_told_as_another_change() -> None:
    found = analyse(evidence(outcome("puppet", "git", commit(-1300), commit(30), role="infrastructure")))
    other = [finding for finding in found if finding.code == "other-change"]
    assert [finding.headline for finding in other] == ["15:30 infrastructure commit 9f3c2e1: tune ntp"]
