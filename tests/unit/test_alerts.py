"""--since alert: the newest hard problem among all that know any."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from opsbrief.errors import GapKind, NoDeployError, SourceError, WindowError
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.model.scope import Scope
from opsbrief.model.window import Span, TimeKind, Window
from opsbrief.resolve import Ask, Logs, explain, resolve
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline

NOW = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
SHOP = Scope(hosts=("app1", "app2"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms(Source):
    """Knows the alarms it is given, of the hosts of its scope."""

    says: tuple[Event, ...] = ()
    dead: str = ""

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Gap]:  # noqa: ARG002 - the contract's signature
        yield from ()

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:
        assert zone == "Europe/Berlin"
        deadline.remaining()
        if self.dead:
            raise SourceError(GapKind.UNREACHABLE, self.dead, "check the port")
        hosts = self.scope.hosts
        yield from (one for one in self.says if span.start <= one.at < span.end and (not hosts or one.host in hosts))


def alarm(ago: float, host: str, service: str, state: str = "CRITICAL", sort: str = "hard") -> Event:
    at = NOW - timedelta(minutes=ago)
    origin = Origin(source="icinga", query="")
    return Event(at=at, host=host, service=service, state=state, state_type=sort, output="down", origin=origin)  # type: ignore[arg-type]  # a literal


ICINGA = Alarms(
    name="icinga",
    scope=SHOP,
    says=(
        alarm(5, "app1", "http", "OK"),
        alarm(10, "app1", "http", "CRITICAL", "soft"),
        alarm(30, "app1", "http"),
        alarm(40, "app2", "disk-2d", "WARNING"),
        alarm(50, "lb1", "https"),
        alarm(60 * 24 * 5, "app2", "ping", "DOWN", ""),
        alarm(60 * 24 * 40, "app2", "old"),
    ),
)


def window(since: str, *sources: Source, until: str = "now") -> Window:
    logs: Logs = [("icinga", source) for source in sources or (ICINGA,)]
    return resolve(Ask(since=since, until=until, zone="Europe/Berlin"), (), now=NOW, alarms=logs)


@pytest.mark.parametrize(
    ("since", "minutes", "name"),
    [
        ("alert", 30, "app1!http"),
        ("alert -10m", 40, "app1!http"),
        ("alert:app2", 40, "app2!disk-2d"),
        ("alert:app2!disk-2d", 40, "app2!disk-2d"),
        ("alert:app*!DISK*", 40, "app2!disk-2d"),
        ("alert:lb1!https", 50, "lb1!https"),
        ("alert:app2!ping", 60 * 24 * 5, "app2!ping"),
        ("alert:app2.shop.example!ping", 60 * 24 * 5, "app2!ping"),
    ],
)
def test_the_newest_hard_problem_is_the_start(since: str, minutes: int, name: str) -> None:
    found = window(since)
    assert (found.anchor.kind, found.anchor.ref, found.anchor.source) == ("alert", name, "icinga")
    assert found.start == NOW - timedelta(minutes=minutes)
    assert found.anchor.time_kind is TimeKind.EVENT_TIME


def test_an_alarm_before_the_end_that_is_given() -> None:
    assert window("alert", until="2026-11-20T16:05Z").anchor.ref == "app2!disk-2d"


def test_the_receipt_says_how_many_and_who_was_silent() -> None:
    found = window("alert", ICINGA, Alarms(name="monit", scope=SHOP, dead="no route"))
    said = "\n".join(explain(found))
    assert "the newest hard problem, app1!http CRITICAL, of 2 in the 1d before, time of icinga" in said
    assert "monit: no route (check the port)" in said
    assert "icinga, monit" in said


def test_no_alarm_names_what_was_asked() -> None:
    with pytest.raises(NoDeployError) as caught:
        window("alert:app2!old")
    assert "icinga: none" in caught.value.message
    with pytest.raises(NoDeployError, match="unreachable: no route"):
        window("alert", Alarms(name="monit", scope=SHOP, dead="no route"))


def test_a_name_that_may_be_an_offset_is_refused_when_both_are_there() -> None:
    both = Alarms(name="icinga", scope=SHOP, says=(*ICINGA.says, alarm(60 * 24, "app2", "disk")))
    with pytest.raises(WindowError, match="may mean"):
        window("alert:app2!disk-2d", both)


def test_without_a_source_the_configuration_is_at_fault() -> None:
    with pytest.raises(WindowError, match="no alarm source"):
        resolve(Ask(since="alert"), (), now=NOW)
