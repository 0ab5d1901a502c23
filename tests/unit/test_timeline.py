from datetime import timedelta
from itertools import pairwise

from tests.unit.evidence_of import DEPLOY, commit, evidence, lines, noise, origin, outcome, resource, run, series

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


def test_what_puppet_did_is_one_line_a_version() -> None:
    runs = [run(at, f"app{n}", version="old1234" if at < 0 else "new5678") for n in range(1, 4) for at in (-20, 5 + n)]
    files = [resource(5 + n, f"app{n}", ref=f"File[/etc/{name}]", version="new5678") for n in (1, 2) for name in "ab"]
    found = analyse(evidence(outcome("puppetdb", "puppetdb", *runs, *files)))
    other = [one.headline for one in found if one.code == "other-change"]
    assert other == [
        "15:06–15:07 Puppet applied new5678 on 2 of 3 nodes: File[/etc/a], File[/etc/b]",
        "15:08 Puppet went to new5678 on app3",
    ]
    told = [one for one in found if one.code == "timeline" and one.subject == "puppet"]
    assert [one.facts["source"] for one in told] == ["puppetdb", "puppetdb"]
    assert len(told) == 2


def test_drift_failures_and_noop_are_told_apart() -> None:
    items = [resource(5, corrective=True), resource(6, state="failed"), resource(7, state="noop")]
    found = analyse(evidence(outcome("puppetdb", "puppetdb", *items)))
    said = " ".join(one.headline for one in found if one.code == "other-change")
    for words in ("put back what was changed by hand on app1", "Puppet failed on app1", "but for noop, on app1"):
        assert words in said


def test_a_package_log_is_not_taken_for_puppet() -> None:
    upgrade = resource(4, ref="Package[openssl]", version="", origin=origin("host"))
    found = analyse(evidence(outcome("puppetdb", "puppetdb", run(-20), run(20)), outcome("host", "ssh", upgrade)))
    assert [one.headline for one in found if one.code == "other-change"] == [
        "15:04 packages changed on app1: Package[openssl]"
    ]


def alarm(seconds: float, source: str, state: str = "CRITICAL", **fields: object) -> Event:
    at = DEPLOY + timedelta(seconds=seconds)
    told = {"host": "app1", "service": "http", "state_type": "hard", "kind": "state", **fields}
    return Event(at=at, state=state, origin=origin(source), **told)  # type: ignore[arg-type]  # fields of Event


def test_an_alarm_that_two_sources_saw_counts_once() -> None:
    twice = [alarm(600, "icinga"), alarm(1200, "icinga")]
    other = [alarm(602, "nagioslog", host="app1.shop.example", service="HTTP"), alarm(3000, "nagioslog")]
    found = analyse(evidence(outcome("icinga", "icinga", *twice), outcome("nagioslog", "nagioslog", *other)))
    (told,) = (one for one in found if one.code == "timeline" and one.subject == "alarm")
    assert told.headline == "first alarm: app1 http CRITICAL, 3 until the end"
    assert told.facts["source"] == "icinga, nagioslog"


def test_what_people_answered_is_in_the_timeline() -> None:
    answers = [
        alarm(600, "icinga", "SET", kind="acknowledgement", output="looking"),
        alarm(700, "icinga", "START", kind="downtime", service="", output="new switch"),
        alarm(800, "icinga", "END", kind="downtime", service=""),
    ]
    found = analyse(evidence(outcome("icinga", "icinga", *answers)))
    said = {one.subject: one.headline for one in found if one.code == "timeline"}
    assert said["acknowledgement"] == "acknowledgement: app1 http “looking”"
    assert said["downtime"] == "downtime: app1 “new switch”"


def test_every_instant_names_who_saw_it() -> None:
    found = analyse(
        evidence(
            outcome("puppet", "git", commit(-1300), commit(20, ref="feed123"), role="infrastructure"),
            outcome("icinga", "icinga", alarm(60, "icinga")),
        )
    )
    told = [one for one in found if one.code == "timeline" and one.subject != "end"]
    assert all(one.facts.get("source") for one in told), [one.headline for one in told]


def test_a_node_whose_drift_was_put_back_by_a_new_version_is_told_once() -> None:
    runs = [run(at, version="old1234" if at < 0 else "new5678") for at in (-20, 5)]
    drift = resource(5, version="new5678", corrective=True)
    found = analyse(evidence(outcome("puppetdb", "puppetdb", *runs, drift)))
    assert [one.headline for one in found if one.code == "other-change"] == [
        "15:05 Puppet put back what was changed by hand on app1: File[/etc/app.conf]"
    ]
