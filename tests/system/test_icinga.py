"""Against a real Icinga 2: its API, and its compat log as type nagioslog reads it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.system import icinga as icinga_server
from tests.system.conftest import absent

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Evidence
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window, utc
from opsbrief.secret import Secret
from opsbrief.source import Login, Trust
from opsbrief.sources.icinga import Icinga
from opsbrief.sources.nagioslog import NagiosLog

pytestmark = pytest.mark.system
APP01, APP02 = "app01.shop.example", "app02.shop.example"
HOSTS = ("app01", "app02")


@pytest.fixture(scope="module")
def icinga() -> Iterator[tuple[icinga_server.Icinga, float]]:
    """Return an Icinga that was fed an incident of the past two hours, and the time it is counted from."""
    try:
        icinga_server.install()
    except icinga_server.MissingError as missing:
        absent("icinga", missing)
    with icinga_server.running() as server:
        now = float(int(time.time()))
        for host in (APP01, APP02, "db01"):
            server.result(host, "", 0, now - 7200, "up")
            server.result(host, "http", 0, now - 7200, "fine")
        for ago, status in ((3600, 2), (3540, 2), (3480, 2), (3300, 0)):
            server.result(APP01, "http", status, now - ago, f"status {status}")
        for ago in (1200, 1140, 1080):
            server.result(APP02, "http", 1, now - ago, "slow; 3 s")
        server.result("db01", "http", 2, now - 1000, "not ours")
        http = {"type": "Service", "filter": f'service.__name == "{APP02}!http"'}
        server.act("acknowledge-problem", **http, author="mira", comment="looking; on it", notify=True)
        server.act(
            "schedule-downtime", type="Service", filter=f'service.__name == "{APP01}!connections"', author="mira",
            comment="restart", start_time=now - 5, end_time=now + 600, fixed=True,
        )  # fmt: skip
        server.await_log("DOWNTIME ALERT")
        yield server, now


def ask(server: icinga_server.Icinga, now: float, **options: Any) -> Evidence:
    window = Window(
        start=utc(now - 4000), end=utc(now + 60), anchor=Anchor("time", utc(now - 4000)), before=utc(1) - utc(0)
    )
    login = Login(user=options.pop("user", icinga_server.READER), password=Secret(icinga_server.PASSWORD))
    scope = Scope(service="shop", hosts=options.pop("hosts", HOSTS))
    source = Icinga(name="icinga", url=server.url, auth=login, tls=Trust(ca_file=server.ca), scope=scope, **options)
    evidence, _ = collect([("icinga", source)], window, scope)
    assert not evidence.outcomes[0].traceback, evidence.outcomes[0].traceback
    return evidence


def test_the_api_tells_the_present_states_and_the_change_before(icinga: tuple[icinga_server.Icinga, float]) -> None:
    server, now = icinga
    told = [
        (round(one.at.timestamp() - now), one.host, one.service, one.kind, one.state, one.state_type)
        for one in ask(server, now).items(Event)
    ]
    # Icinga lists its objects in no order of its own.
    assert sorted(row for row in told if row[3] == "state") == [
        (-3600, "app01", "http", "state", "CRITICAL", ""),
        (-3300, "app01", "http", "state", "OK", "hard"),
        (-1080, "app02", "http", "state", "WARNING", "hard"),
    ]
    others = {(row[1], row[3]) for row in told if row[3] != "state"}
    assert others == {("app02", "acknowledgement"), ("app01", "downtime")}


def test_it_says_that_the_api_has_no_history(icinga: tuple[icinga_server.Icinga, float]) -> None:
    assert ["no history" in gap.detail for gap in ask(*icinga).gaps] == [True]
    assert ["no history" in gap.detail for gap in ask(*icinga, history="none").gaps] == [True]


def test_missing_rights_do_not_read_as_no_alarms(icinga: tuple[icinga_server.Icinga, float]) -> None:
    (gap,) = ask(*icinga, user=icinga_server.BLIND).gaps
    assert gap.kind is GapKind.UNAUTHORIZED
    assert "objects/query/Host" in gap.hint


def test_unknown_hosts_are_said(icinga: tuple[icinga_server.Icinga, float]) -> None:
    (gap,) = ask(*icinga, hosts=("web1", "web2")).gaps
    assert "none of the hosts web1, web2" in gap.detail
    assert "alarms of web1" in {gap.what for gap in ask(*icinga, hosts=("app01", "web1")).gaps}


def test_a_wrong_password_is_said(icinga: tuple[icinga_server.Icinga, float]) -> None:
    (gap,) = ask(*icinga, user="nobody").gaps
    assert gap.kind is GapKind.UNAUTHORIZED


def test_its_compat_log_is_read(icinga: tuple[icinga_server.Icinga, float]) -> None:
    server, now = icinga
    scope = Scope(service="shop", hosts=HOSTS)
    window = Window(start=utc(now - 60), end=utc(now + 60), anchor=Anchor("time", utc(now)), before=utc(1) - utc(0))
    source = NagiosLog(name="log", path=str(server.log), scope=scope, services=("http",))
    evidence, _ = collect([("nagioslog", source)], window, scope)
    told = [(one.host, one.kind, one.state, one.state_type) for one in evidence.items(Event) if one.service]
    app01 = [row[1:] for row in told if row[0] == "app01"]
    assert app01 == [
        ("state", "OK", "hard"),
        ("state", "CRITICAL", "soft"),
        ("state", "CRITICAL", "soft"),
        ("state", "CRITICAL", "hard"),
        ("notification", "CRITICAL", ""),
        ("state", "OK", "hard"),
        ("notification", "RECOVERY", ""),
    ]
    assert ("app02", "acknowledgement", "", "") in told
    assert "db01" not in {row[0] for row in told}
    assert "mira" not in str([one.output for one in evidence.items(Event)])
