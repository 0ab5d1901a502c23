"""One incident of a real Icinga 2, read back from every place where its history lives."""

import dataclasses
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from tests.system import elastic, icingaweb
from tests.system import icinga as core
from tests.system.conftest import absent

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Outcome
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window, utc
from opsbrief.secret import Secret
from opsbrief.source import Login
from opsbrief.sources.icinga import Icinga
from opsbrief.sources.nagioslog import NagiosLog
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system
APP01, APP02 = "app01.shop.example", "app02.shop.example"
HOSTS = ("app01", "app02")
Row = tuple[int, str, str, str, str, str]


@dataclasses.dataclass(frozen=True)
class Incident:
    """The servers, and the time that the incident is counted from."""

    site: icingaweb.Site
    search: elastic.Server
    now: float


@pytest.fixture(scope="module")
def incident(es7: elastic.Server) -> Iterator[Incident]:
    """Return an Icinga, its databases, site and writer, after an incident of the past two hours."""
    try:
        icingaweb.install()
    except icingaweb.MissingError as missing:
        absent("icingaweb", missing)
    login = f'username = "{es7.user}"; password = "{es7.password}"'
    with icingaweb.running((int(es7.url.rpartition(":")[2]), login)) as site:
        now = float(int(time.time()))
        feed(site.icinga, now)
        found = Incident(site, es7, now)
        icingaweb.until(lambda: written(found), "all of it is written everywhere", 90)
        yield found


def feed(server: core.Icinga, now: float) -> None:
    """Feed checks with times of the past, then what Icinga dates by itself."""
    for host in (APP01, APP02, "db01"):
        server.result(host, "", 0, now - 7200, "up")
        server.result(host, "http", 0, now - 7200, "fine")
    for ago, status in ((3600, 2), (3540, 2), (3480, 2), (3300, 0)):
        server.result(APP01, "http", status, now - ago, f"status {status}")
    for ago in (1200, 1140, 1080):
        server.result(APP02, "http", 1, now - ago, "slow; 3 s")
    server.result(APP02, "", 1, now - 900, "ping lost")
    server.result("db01", "http", 2, now - 1000, "not ours")
    for step in range(24):
        server.result(APP01, "flappy", 2 * (step % 2), now - 800 + step, f"step {step}")
    http = {"type": "Service", "filter": f'service.__name == "{APP02}!http"'}
    server.act("acknowledge-problem", **http, author="mira", comment="looking; on it", notify=True)
    server.act("remove-acknowledgement", **http, author="mira")
    downtime = {"author": "mira", "start_time": now - 5, "end_time": now + 600}
    connections = {"type": "Service", "filter": f'service.__name == "{APP01}!connections"'}
    server.act("schedule-downtime", **connections, **downtime, fixed=True, comment="deploy 2.14.0")
    server.act("schedule-downtime", type="Host", filter=f'host.name == "{APP01}"', **downtime, fixed=True,
               comment="gone soon")  # fmt: skip
    server.act("schedule-downtime", **http, **downtime, fixed=False, duration=300, comment="flexible")
    server.act("remove-downtime", type="Downtime", filter='downtime.comment == "gone soon"', author="mira")
    server.await_log("DOWNTIME ALERT: app01.shop.example;CANCELLED")


def written(found: Incident) -> bool:
    """Return whether the last entries, which are written beside each other, are everywhere."""
    told = found.site.ask(
        "icingadb",
        "SELECT count(DISTINCT event_type) FROM history"
        " WHERE event_type IN ('ack_clear', 'downtime_end', 'flapping_start')",
    )
    ido = found.site.ask("ido", "SELECT count(*) FROM icinga_downtimehistory WHERE actual_end_time > '2000-01-01'")
    found.search.call("POST", "/icinga2-*/_refresh")
    told_of = [{"match": {"notification_type": one}} for one in ("DOWNTIMESTART", "FLAPPINGSTART")]
    query = {"query": {"bool": {"should": told_of}}}
    try:
        docs = found.search.call("POST", "/icinga2-*/_search", query)["hits"]["total"]["value"]
    except urllib.error.HTTPError:
        docs = 0
    return told == "3" and int(ido) >= 1 and docs >= 3


def ask(incident: Incident, kind: str, source: Any, since: float = -4000) -> Outcome:
    start, end = utc(incident.now + since), utc(incident.now + 60)
    window = Window(start=start, end=end, anchor=Anchor("time", start), before=utc(1) - utc(0))
    evidence, _ = collect([(kind, source)], window, source.scope)
    (outcome,) = evidence.outcomes
    assert not outcome.traceback, outcome.traceback
    return outcome


def read(incident: Incident, place: Any, user: str = icingaweb.READER, **more: Any) -> Outcome:
    """Read what one place tells."""
    scope = Scope(service="shop", hosts=more.pop("hosts", HOSTS))
    if place == "elasticsearch":
        url, login = incident.search.url, Login(user=incident.search.user, password=Secret(incident.search.password))
    else:
        url, login = incident.site.url, Login(user=user, password=Secret(icingaweb.PASSWORD))
    since = more.pop("since", -4000)
    source = Icinga(name="icinga", url=url, auth=login, history=place, scope=scope, **more)
    return ask(incident, "icinga", source, since)


def rows(incident: Incident, outcome: Outcome) -> list[Row]:
    found = [
        (round(one.at.timestamp() - incident.now), one.host, one.service, one.kind, one.state, one.state_type)
        for one in outcome.items
        if isinstance(one, Event)
    ]
    return sorted(found)


def states(found: list[Row]) -> list[Row]:
    return [row for row in found if row[3] == "state" and row[2] != "flappy"]


STORY: list[Row] = [
    (-3600, "app01", "http", "state", "CRITICAL", "soft"),
    (-3540, "app01", "http", "state", "CRITICAL", "soft"),
    (-3480, "app01", "http", "state", "CRITICAL", "hard"),
    (-3300, "app01", "http", "state", "OK", "hard"),
    (-1200, "app02", "http", "state", "WARNING", "soft"),
    (-1140, "app02", "http", "state", "WARNING", "soft"),
    (-1080, "app02", "http", "state", "WARNING", "hard"),
    (-900, "app02", "", "state", "DOWN", "hard"),
]


@pytest.mark.parametrize("place", ["icingadb", "ido", "elasticsearch"])
def test_every_place_tells_the_same_states_at_the_same_times(incident: Incident, place: str) -> None:
    outcome = read(incident, place)
    assert states(rows(incident, outcome)) == STORY
    assert outcome.gaps == ()


def test_the_compat_log_tells_the_same_states_in_the_same_order(incident: Incident) -> None:
    scope = Scope(service="shop", hosts=HOSTS)
    source = NagiosLog(name="log", path=str(incident.site.icinga.log), scope=scope, services=("http",))
    told = [row[1:] for row in rows(incident, ask(incident, "nagioslog", source)) if row[3] == "state"]
    # Its lines are of the time at which the checks were fed, and it has the first results too.
    for host, service in {row[1:3] for row in STORY}:
        mine = [row for row in STORY if row[1:3] == (host, service)]
        first = (host, service, "state", "OK" if service else "UP", "hard")
        written = [row for row in told if row[:2] == (host, service)]
        assert sorted(written) == sorted([first, *(row[1:] for row in mine)])


def test_icinga_db_and_ido_tell_what_else_there_was(incident: Incident) -> None:
    def others(place: str) -> set[tuple[str, str, str, str]]:
        return {row[1:5] for row in rows(incident, read(incident, place)) if row[3] != "state"}

    both = {
        ("app01", "http", "notification", "CRITICAL"),
        ("app01", "http", "notification", "RECOVERY"),
        ("app02", "http", "notification", "WARNING"),
        ("app02", "http", "acknowledgement", ""),
        ("app02", "http", "acknowledgement", "CLEARED"),
        ("app01", "connections", "downtime", "STARTED"),
        ("app01", "", "downtime", "STARTED"),
        ("app02", "http", "downtime", "STARTED"),
        ("app01", "flappy", "flapping", "STARTED"),
    }
    assert others("icingadb") >= {*both, ("app01", "", "downtime", "CANCELLED")}
    assert others("ido") >= {*both, ("app01", "", "downtime", "STOPPED")}  # it does not say that it was cancelled
    told = others("elasticsearch")
    assert told >= {("app01", "connections", "downtime", "STARTED"), ("app02", "http", "acknowledgement", "")}


def test_what_stands_at_the_url_is_found_out_and_said(incident: Incident) -> None:
    outcome = read(incident, "auto")
    assert outcome.warnings[0] == "its history is as Icinga DB Web shows it"
    assert "Icinga was started or reloaded at" in outcome.warnings[1]  # by this test, a moment ago
    assert states(rows(incident, outcome)) == STORY


@pytest.mark.parametrize("place", ["icingadb", "ido"])
def test_a_history_that_begins_later_is_a_gap(incident: Incident, place: str) -> None:
    (gap,) = read(incident, place, since=-90_000).gaps
    assert gap.what == f"alarms before {utc(incident.now - 7200):%Y-%m-%d %H:%M:%S} UTC"


@pytest.mark.parametrize("place", ["auto", "icingadb", "ido"])
def test_a_role_that_hides_the_hosts_does_not_read_as_no_alarms(incident: Incident, place: str) -> None:
    outcome = read(incident, place, user=icingaweb.BLIND)
    assert not outcome.items
    assert ["no sign that there were no alarms" in gap.detail for gap in outcome.gaps] == [True]


@pytest.mark.parametrize("place", ["auto", "icingadb", "ido"])
@pytest.mark.parametrize("user", [icingaweb.STRANGER, "nobody-there"])
def test_a_login_without_the_right_or_unknown_is_said(incident: Incident, place: str, user: str) -> None:
    (gap,) = read(incident, place, user=user).gaps
    assert gap.kind is GapKind.UNAUTHORIZED


def test_the_path_of_another_installation_is_said(incident: Incident) -> None:
    login = Login(user=icingaweb.READER, password=Secret(icingaweb.PASSWORD))
    source = Icinga(name="icinga", url=f"{incident.site.url}/icingaweb2", auth=login, scope=Scope(hosts=HOSTS))
    (gap,) = ask(incident, "icinga", source).gaps
    assert "path" in gap.hint


@pytest.mark.parametrize("place", ["icingadb", "ido"])
def test_a_downtime_is_a_deploy_where_its_comment_says_so(incident: Incident, place: Any) -> None:
    login = Login(user=icingaweb.READER, password=Secret(icingaweb.PASSWORD))
    source = Icinga(
        name="icinga", url=incident.site.url, auth=login, history=place, scope=Scope(hosts=HOSTS), deploys_="deploy*"
    )
    since, until = utc(incident.now - 600), utc(incident.now + 60)
    (deploy,) = [one for one in source.deploys(since, until, Deadline(30)) if isinstance(one, Deploy)]
    assert (deploy.ref, deploy.note, deploy.time_kind) == ("2.14.0", "downtime: deploy 2.14.0", TimeKind.DEPLOY_START)
    assert "mira" not in str(deploy)
    by_author = dataclasses.replace(source, deploys_="mira", deploy_ref=r"(?P<ref>gone|flexible)")
    found = [one for one in by_author.deploys(since, until, Deadline(30)) if isinstance(one, Deploy)]
    assert {"gone", ""} <= {one.ref for one in found}


def test_an_icinga_db_that_does_not_run_is_a_gap_not_silence(incident: Incident) -> None:
    incident.site.stop("icingadb")
    (gap,) = read(incident, "icingadb").gaps
    assert "not running" in gap.detail
    later = read(incident, "ido", since=-100).gaps  # what writes to the other database still does
    assert later == ()
