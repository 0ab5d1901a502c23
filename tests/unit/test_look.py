"""Does the host confirm the graph: the readings as numbers, and what they may say."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import numpy as np
import pytest
from tests.unit.evidence_of import DEPLOY, evidence, noise, only, origin, outcome, series

from opsbrief.analysis import analyse
from opsbrief.analysis.look import seen
from opsbrief.compose import compose
from opsbrief.model.evidence import Event, Evidence, Item, Reading
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric

END = DEPLOY + timedelta(minutes=120)
SOCKETS = "300 ESTAB\n12 CLOSE-WAIT\n3 LISTEN\n"
PEERS = "280 10 in :8080\n15 2 out 10.0.0.7:6379\n5 0 in :22\n"


def reading(
    about: str,
    stdout: str,
    *,
    at: float = 0,
    state: Literal["", "not permitted", "not there", "timed out"] = "",
    host: str = "app1",
) -> Reading:
    return Reading(
        host=host, command=about, exit_status=None if state else 0, stdout=stdout, stderr="", about=about, state=state,
        at=END + timedelta(seconds=at), origin=origin("look"),
    )  # fmt: skip


BASE = (reading("sockets", SOCKETS), reading("peers", PEERS))


def story(
    *readings: Reading, last: float = 300.0, metric: str = "connections", events: tuple[Event, ...] = ()
) -> Evidence:
    """Return a metric that climbs from 50 to ``last`` on app1, and what was read there."""
    values = noise(1)
    values[120:] += np.linspace(0, last - 50, 120)
    values[-1] = last
    graph: list[Item] = [series(values, metric=metric, host="app1"), series(noise(2), metric=metric, host="app2")]
    scope = Metric(target=metric, name=metric, worse="up", key=True)
    return evidence(
        outcome("graphite", "graphite", *graph), outcome("monit", "monit", *events), outcome("look", "ssh", *readings),
        metrics=(scope,),
    )  # fmt: skip


def look(
    *readings: Reading, last: float = 300.0, metric: str = "connections", events: tuple[Event, ...] = ()
) -> Finding:
    return only(analyse(story(*readings, last=last, metric=metric, events=events)), "look")


def restarted(minute: float, host: str = "app1") -> Event:
    at = DEPLOY + timedelta(minutes=minute)
    return Event(at=at, host=host, service="app", state="RESTART", kind="restart", origin=origin("monit"))


@pytest.mark.parametrize(
    ("readings", "last", "metric", "expected", "words"),
    [
        (BASE, 300, "connections", Verdict.CONFIRMED, "counted at 17:00, 300 on the graph at 17:00"),
        (BASE, 290, "connections", Verdict.CONFIRMED, "290 connections on port 8080"),
        (BASE, 600, "tcp_established", Verdict.CONFIRMED, "312 connections counted"),
        (BASE, 800, "connections", Verdict.NOT_CONFIRMED, "312 connections counted"),
        (BASE, 3000, "connections", Verdict.NOT_CONFIRMED, "3,000 on the graph"),
        # nearer to the level of before than to that of now, or far more than the graph has
        ((reading("sockets", "52 ESTAB\n"),), 110, "connections", Verdict.CANNOT_TELL, "52 connections"),
        ((reading("sockets", "5000 ESTAB\n"),), 300, "connections", Verdict.CANNOT_TELL, "5,000 connections"),
        ((reading("sockets", "5000 ESTAB\n"), reading("peers", "280 10 in :8080")), 300, "connections",
         Verdict.CONFIRMED, "290 connections on port 8080"),
        # the service's own count before all others
        ((reading("sockets", SOCKETS), reading("own", "20 0 in :8080\n")), 300, "connections", Verdict.NOT_CONFIRMED,
         "20 connections"),
        ((reading("sockets", "9 ESTAB"), reading("own", "290 20 in :8080\n")), 300, "connections", Verdict.CONFIRMED,
         "310 connections"),
        # nothing to count, or not permitted to: never a zero
        ((reading("sockets", "", state="not permitted"),), 300, "connections", Verdict.CANNOT_TELL, "not be counted"),
        ((reading("sockets", "", state="not there"),), 300, "connections", Verdict.CANNOT_TELL, "not be counted"),
        ((reading("load", "0.10 0.10 0.10 1/2 3\n2\n"),), 300, "connections", Verdict.CANNOT_TELL, "not be counted"),
        (BASE, 300, "response_ms", Verdict.CANNOT_TELL, "no graph of it shows what could be counted there"),
        # other things that can be counted
        (BASE, 300, "close_wait", Verdict.NOT_CONFIRMED, "12 in CLOSE-WAIT"),
        ((reading("load", "290.5 200.0 100.0 1/2 3\n2\n"),), 300, "load", Verdict.CONFIRMED, "load over 1 min"),
        ((reading("processes", "7 310 1024 20 9 60 java\n"),), 300, "open_files", Verdict.CONFIRMED, "of java"),
        ((reading("processes", "7 - 1024 20 9 60 java\n"),), 300, "open_files", Verdict.CANNOT_TELL, "not be counted"),
        ((reading("processes", "7 - 1024 310 9 60 java\n"),), 300, "threads", Verdict.CONFIRMED, "threads of java"),
    ],
)  # fmt: skip
def test_the_verdict(readings: tuple[Reading, ...], last: float, metric: str, expected: Verdict, words: str) -> None:
    found = look(*readings, last=last, metric=metric)
    assert found.verdict is expected
    assert words in found.headline


@pytest.mark.parametrize(("minutes", "expected"), [(14, Verdict.CONFIRMED), (16, Verdict.CANNOT_TELL)])
def test_a_look_long_after_the_last_datapoint_confirms_nothing(minutes: int, expected: Verdict) -> None:
    late = tuple(replace(one, at=END + timedelta(minutes=minutes)) for one in BASE)
    assert look(*late).verdict is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (restarted(121), Verdict.CANNOT_TELL),
        (restarted(119), Verdict.CONFIRMED),
        (restarted(121, "app2"), Verdict.CONFIRMED),
    ],
)
def test_a_restart_between_graph_and_look_confirms_nothing(event: Event, expected: Verdict) -> None:
    late = tuple(replace(one, at=END + timedelta(minutes=3)) for one in BASE)
    assert look(*late, events=(event,)).verdict is expected


def test_close_wait_that_grows_is_measured_and_what_it_goes_with_is_apart() -> None:
    found = look(*BASE, reading("sockets", "310 ESTAB\n19 CLOSE-WAIT\n", at=5), reading("peers", PEERS, at=5))
    assert "19 in CLOSE-WAIT, 7 more in 5 s (10 on port 8080)" in str(found.facts["measured"])
    assert "consistent with connections that are not released, and it goes on" in str(found.facts["inferred"])
    assert "consistent" not in str(found.facts["measured"])
    assert (found.facts["close_wait_before"], found.facts["close_wait"], found.facts["established"]) == (12, 19, 310)


def test_counted_once_nothing_grows() -> None:
    found = look(*BASE)
    assert "more in" not in str(found.facts["measured"])
    assert found.facts["close_wait_before"] is None
    assert "goes on" not in str(found.facts["inferred"])


def test_idle_connections_are_told_with_their_peer() -> None:
    found = look(*BASE, reading("idle", "280 250 200 4000 in :8080\n15 1 0 61 out 10.0.0.7:6379\n"))
    assert "200 of 300 idle for over 5 min, the longest for 67 min (most on port 8080)" in str(found.facts["measured"])
    assert "carry nothing" in str(found.facts["inferred"])


@pytest.mark.parametrize(("opened", "told"), [(820, True), (819, False), (1024, True)])
def test_descriptors_near_their_limit_are_told(opened: int, told: bool) -> None:  # noqa: FBT001
    found = look(*BASE, reading("processes", f"77 {opened} 1024 12 900 3600 java\n"))
    assert (f"java (77) has {opened:,} of 1,024 descriptors open" in str(found.facts["measured"])) is told
    assert ("used up" in str(found.facts["inferred"])) is told


@pytest.mark.parametrize(("minute", "told"), [(60, True), (61.9, True), (63, False)])
def test_a_process_that_began_with_the_last_restart(minute: float, told: bool) -> None:  # noqa: FBT001
    found = look(*BASE, reading("processes", "77 9 1024 12 900 3600 java\n"), events=(restarted(minute),))
    assert "java runs since 16:00" in str(found.facts["measured"])
    assert ("began with the last restart that was seen" in str(found.facts["inferred"])) is told


def test_what_is_out_of_order_is_told() -> None:
    found = look(
        *BASE,
        reading(
            "memory",
            "Mem: 1\ncpu some avg10=1 avg60=55.20 avg300=1 total=1\nio some avg10=0 avg60=0.10 avg300=0 total=0\n",
        ),
        reading("disk", "Filesystem Size Used Avail Use% Mounted on\n/dev/a 1G 1G 0 97% /\n/dev/b 1G 0 1G 3% /var\n"),
        reading("kernel", "[Fri] Out of memory: Killed process 77 (java)\n[Fri] usb 1-1\n"),
        reading("units", "shop.service loaded failed failed Shop\n"),
        reading("load", "3.20 2.00 1.00 1/2 3\n 14:00 up 3 days\n4\n"),
    )
    for words in (
        "waiting for cpu in 55% of the last minute", "/ is 97% full", "Killed process 77", "failed units: shop.service",
        "load 3.2 on 4 cores",
    ):  # fmt: skip
        assert words in str(found.facts["measured"])
    assert "/var" not in str(found.facts["measured"])
    assert "waiting for io" not in str(found.facts["measured"])


def test_what_could_not_be_told_is_named_by_why() -> None:
    found = look(*BASE, reading("kernel", "", state="not permitted"), reading("units", "", state="not there"),
                 reading("disk", "", state="timed out"))  # fmt: skip
    assert found.facts["untold"] == "kernel messages not permitted; units not there; disks timed out"


@pytest.mark.parametrize(
    "text", ["", "\n", "x", "ESTAB", "-1 ESTAB", "1e9 ESTAB", "99999999999999 ESTAB", "² ESTAB", "\x1b[2J 1"]
)
def test_rows_that_make_no_sense_are_passed_over(text: str) -> None:
    abouts = ("sockets", "peers", "idle", "own", "processes", "load", "memory", "disk", "kernel", "units")
    found = seen.read([reading(about, text) for about in abouts])
    assert found.established in (0, None)
    assert not found.peers
    assert not found.processes


def test_a_host_that_was_named_says_nothing_of_a_choice_and_readings_of_others_are_no_look() -> None:
    found = look(*(replace(one, host="app2") for one in BASE))
    assert (found.subject, found.facts["why"]) == ("app2", "")
    told = story(replace(BASE[0], about=""))
    assert not [one for one in analyse(told) if one.code in ("look", "choice")]


def test_the_first_page_says_it_and_the_later_page_has_every_answer() -> None:
    told = story(*BASE, reading("kernel", "", state="not permitted"))
    brief = compose(told, analyse(told))
    shown = {section.name: str(section.blocks) for section in brief.sections}
    assert "app1 confirms the graph" in shown["where"]
    assert "chosen: the only host that deviates" in shown["where"]
    assert "kernel messages not permitted" in shown["readings"]
    assert "280 10 in :8080" in shown["readings"]
    assert "(not permitted, " in shown["readings"]
