"""Against a real Monit that restarts an application that really hangs."""

import gzip
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.system import monit as monit_server
from tests.system import sshd as sshd_server
from tests.system.conftest import absent
from tests.system.graphite import free_port

from opsbrief.codec import encode
from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Evidence
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.secret import Secret
from opsbrief.source import Login, Ssh
from opsbrief.sources.monit import Monit

pytestmark = pytest.mark.system
SCOPE = Scope(service="shop", hosts=("app1",))
FULL = Login(user=monit_server.ADMIN, password=Secret(monit_server.PASSWORD))
READ_ONLY = Login(user=monit_server.VIEWER, password=Secret(monit_server.LOOK))


@pytest.fixture(scope="module")
def monit() -> Iterator[monit_server.Monit]:
    """Return a Monit that has restarted a hanging application and seen a process killed and a check fail."""
    try:
        monit_server.install()
    except monit_server.MissingError as missing:
        absent("monit", missing)
    with monit_server.running() as server:
        server.hang()
        server.await_log("connection succeeded")
        server.overflow()
        server.await_log("status succeeded")
        os.kill(int((server.room / "app.pid").read_text()), signal.SIGKILL)
        server.await_log("trying to restart", 3)
        time.sleep(3)
        yield server


def ask(until: datetime | None = None, *, ago: timedelta = timedelta(minutes=5), **options: Any) -> Evidence:
    end = until or datetime.now(UTC)
    window = Window(start=end - ago, end=end, anchor=Anchor("time", end - ago), before=timedelta(0))
    options = {"host": "app1", **options}
    evidence, _ = collect([("monit", Monit(name="monit", scope=SCOPE, **options))], window, SCOPE)
    assert not evidence.outcomes[0].traceback, evidence.outcomes[0].traceback
    return evidence


def story(evidence: Evidence) -> list[tuple[str, str, str, str, str]]:
    return [(one.service, one.kind, one.state, one.state_type, one.output[:40]) for one in evidence.items(Event)]


def test_its_page_and_its_file_tell_the_same(monit: monit_server.Monit) -> None:
    end = datetime.now(UTC)
    page, file = ask(end, url=monit.url, auth=FULL), ask(end, log=str(monit.log))
    assert story(page)
    logged = [one for one in page.items(Event) if "viewlog" in one.origin.query]
    assert [(one.at, one.service, one.state, one.output) for one in logged] == [
        (one.at, one.service, one.state, one.output) for one in file.items(Event)
    ]


def test_its_log_and_status_on_the_host_tell_the_same_over_ssh(
    monit: monit_server.Monit, sshd: sshd_server.Sshd
) -> None:
    end = datetime.now(UTC)
    here = ask(end, log=str(monit.log))
    packed = monit.room / "monit.log.1.gz"
    packed.write_bytes(gzip.compress(b"[2026-01-01T00:00:00+0000] info     : Starting Monit 5.33.0 daemon\n"))
    (monit.room / "status.xml").write_text(monit.status())
    for path in (packed, monit.room / "status.xml"):
        path.chmod(0o644)
    there = ask(
        end, log=f"{monit.room}/monit.log*", path=f"{monit.room}/status.xml", host="127.0.0.1",
        ssh=Ssh(**sshd.options()),
    )  # fmt: skip
    assert [one[1:] for one in story(here)] == [one[1:] for one in story(there)]
    assert {one.host for one in there.items(Event)} == {"127.0.0.1"}
    assert not [gap for gap in there.gaps if "before" in gap.what], "the packed file reaches back far enough"
    assert monit_server.PASSWORD not in str(encode(there))


@pytest.fixture(params=["openssh", "paramiko"])
def via(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_pages_tell_the_same_through_the_host(monit: monit_server.Monit, sshd: sshd_server.Sshd, via: str) -> None:
    end = datetime.now(UTC)
    here = ask(end, url=monit.url, auth=FULL)
    there = ask(end, url=monit.url, auth=FULL, host="127.0.0.1", ssh=Ssh(**sshd.options(via=via)))
    assert story(here)
    assert story(there) == story(here)
    assert {one.host for one in there.items(Event)} == {"127.0.0.1"}
    assert f"one line of ssh 127.0.0.1 curl {monit.url}/_viewlog" in {one.origin.query for one in there.items(Event)}
    assert monit_server.PASSWORD not in str(encode(there))


def test_its_log_is_read_there_and_its_status_asked_there(
    monit: monit_server.Monit, sshd: sshd_server.Sshd, via: str
) -> None:
    evidence = ask(
        log=f"{monit.room}/monit.log*", url=monit.url.replace("127.0.0.1", "{host}"), auth=READ_ONLY,
        host="127.0.0.1", ssh=Ssh(**sshd.options(via=via)),
    )  # fmt: skip
    restarts = [one for one in evidence.items(Event) if one.kind == "restart"]
    assert len(restarts) == monit.log.read_text().count("trying to restart")
    assert not [gap for gap in evidence.gaps if gap.kind is not GapKind.UNAVAILABLE], "the status needs no full user"


def test_a_port_that_nobody_listens_on_there_is_said_and_the_log_kept(
    monit: monit_server.Monit, sshd: sshd_server.Sshd, via: str
) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "ssh": Ssh(**sshd.options(via=via))}
    nobody = f"http://127.0.0.1:{free_port()}"
    (gap,) = ask(url=nobody, auth=FULL, **options).gaps
    assert gap.kind is GapKind.UNREACHABLE
    assert f"cannot connect to {nobody.removeprefix('http://')}: conn" in gap.detail
    assert "is the server running there" in gap.hint
    both = ask(url=nobody, auth=FULL, log=str(monit.log), **options)
    assert both.items(Event)
    assert "the pages of Monit on 127.0.0.1" in {gap.what for gap in both.gaps}


def test_a_host_that_forwards_nothing_says_so(monit: monit_server.Monit, sshd: sshd_server.Sshd, via: str) -> None:
    with sshd_server.running(room=sshd.room, forwarding="no") as server:
        evidence = ask(url=monit.url, auth=FULL, host="127.0.0.1", ssh=Ssh(**server.options(via=via)))
    (gap,) = evidence.gaps
    assert gap.kind is GapKind.UNAVAILABLE
    assert "does not forward" in gap.detail
    assert "administratively prohibited" in gap.detail
    assert "AllowTcpForwarding" in gap.hint


def test_a_wrong_password_is_said_through_the_host_too(
    monit: monit_server.Monit, sshd: sshd_server.Sshd, via: str
) -> None:
    wrong = Login(user=monit_server.ADMIN, password=Secret("CANARY-wrong"))
    evidence = ask(url=monit.url, auth=wrong, host="127.0.0.1", ssh=Ssh(**sshd.options(via=via)))
    assert [gap.kind for gap in evidence.gaps] == [GapKind.UNAUTHORIZED]
    assert "CANARY" not in str(encode(evidence))


def test_a_log_that_is_not_on_the_host_is_said(sshd: sshd_server.Sshd) -> None:
    (gap,) = ask(log="/nowhere/monit.log", host="127.0.0.1", ssh=Ssh(**sshd.options())).gaps
    assert gap.kind is GapKind.UNAVAILABLE
    assert "no file matches /nowhere/monit.log" in gap.detail


def test_the_hang_is_told_as_failure_restart_and_recovery(monit: monit_server.Monit) -> None:
    told = [one for one in story(ask(log=str(monit.log))) if one[0] == "app"]
    hang = next(at for at, one in enumerate(told) if one[2] == "WARNING")
    warning, failure, restart, recovery = told[hang : hang + 4]
    assert warning[1:4] == ("state", "WARNING", "soft")
    assert failure[1:4] == ("state", "CRITICAL", "hard")
    assert restart[1:3] == ("restart", "RESTART")
    assert restart[4].startswith("restarted by Monit after: failed protoco")
    assert recovery[1:4] == ("state", "OK", "hard")


def test_the_failing_program_is_one_alarm_however_long(monit: monit_server.Monit) -> None:
    told = [one[2] for one in story(ask(log=str(monit.log))) if one[0] == "connections"]
    assert told == ["CRITICAL", "OK"]


def test_each_restart_is_one_event(monit: monit_server.Monit) -> None:
    restarts = [one for one in ask(url=monit.url, auth=FULL).items(Event) if one.kind == "restart"]
    assert len(restarts) == monit.log.read_text().count("trying to restart") >= 3
    assert {one.host for one in restarts} == {"app1"}


def test_who_may_only_look_gets_the_present_and_a_gap_for_the_past(monit: monit_server.Monit) -> None:
    evidence = ask(url=monit.url, auth=READ_ONLY)
    (restart,) = [one for one in evidence.items(Event) if one.kind == "restart"]
    assert "uptime" in restart.output
    (gap,) = evidence.gaps
    assert gap.kind is GapKind.UNAUTHORIZED
    assert "full users" in gap.detail


def test_a_log_that_begins_inside_the_window_is_a_gap(monit: monit_server.Monit) -> None:
    (gap,) = ask(ago=timedelta(hours=5), log=str(monit.log)).gaps
    assert gap.what.startswith("alarms before ")


def test_a_wrong_password_is_said(monit: monit_server.Monit) -> None:
    wrong = Login(user=monit_server.ADMIN, password=Secret("no"))
    (gap,) = ask(url=monit.url, auth=wrong).gaps
    assert gap.kind is GapKind.UNAUTHORIZED


def test_the_password_in_the_status_goes_nowhere(monit: monit_server.Monit) -> None:
    assert monit_server.PASSWORD in monit.status(), "the test would prove nothing"
    evidence = ask(url=monit.url, auth=READ_ONLY)
    assert monit_server.PASSWORD not in str(encode(evidence))
