"""The look at one host, by the command itself: a process that really leaks, seen through a real sshd."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.system import leaky
from tests.system import sshd as sshd_server
from tests.system.graphite import interpreter, ordinary

from opsbrief.analysis import analyse
from opsbrief.collect import collect
from opsbrief.model.evidence import Reading
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.source import Ssh
from opsbrief.sources.ssh import Host

pytestmark = pytest.mark.system
ENOUGH = 24  # connections that leak before anybody looks
CONFIG = """\
sources:
  graphs: {{type: command, command: [cat, "{room}/series.jsonl"], as: series}}
  monit: {{type: command, command: [cat, "{room}/restarts.jsonl"], as: events}}
  look: {{type: ssh, {host}pause: 2s, process: leaky.py, ssh: {ssh}}}
defaults: {{baseline: ["before:10m"]}}
services:
  shop:
    hosts: [app1, app2, app3]
    metrics: [{{name: connections, target: "*", source: graphs, worse: up, unit: conn, key: true}}]
"""


class Leak:
    """A leaking process, what it told of itself, and the folder of whoever looks."""

    def __init__(self, room: Path, sshd: sshd_server.Sshd) -> None:
        self.room = room
        self.sshd = sshd

    @property
    def open(self) -> int:
        """How many connections the process says that it holds."""
        try:
            return int((self.room / "app" / "open").read_text())
        except (OSError, ValueError):  # not yet
            return 0

    def graph(self, last: int, *, before: int = 12, minutes: int = 10, ago: int = 0) -> None:
        """Write the graphs: app1 stands at ``last`` now, and three hosts began to rise at the middle."""
        now = int(time.time()) - ago
        rows = []
        for host, share in (("app1", 1.0), ("app2", 0.4), ("app3", 0.0)):
            for at in range(-minutes * 60, 1, 10):
                rise = max(0.0, 1 + at / (minutes * 30)) * (last - before) * share
                wobble = (at // 10) % 3 - 1
                rows.append(
                    {"name": f"{host}.connections", "host": host, "time": now + at, "value": before + rise + wobble}
                )
        (self.room / "series.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    def collect(self, *args: str, since: str = "5min", allow: tuple[int, ...] = (0,), **options: Any) -> dict[str, Any]:
        """Run the command; return its document with the brief as text under "text"."""
        host = options.pop("host", "")
        config = self.room / "ssh_config"
        config.write_text("Host app1 app2 app3\n  HostName 127.0.0.1\n")
        ssh = self.sshd.options(config=str(config), **options)
        text = CONFIG.format(room=self.room, host=f"host: {host}, " if host else "", ssh=json.dumps(ssh))
        (self.room / "opsbrief.yaml").write_text(text)
        command = [sys.executable, "-m", "opsbrief", *args]
        if args[0] == "collect":
            command += ["shop", "--since", since, "-o", "out"]
        done = subprocess.run(
            command, cwd=self.room, env={**os.environ, "HOME": str(self.room)}, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode in allow, f"{done.stdout}\n{done.stderr}"
        if "--json" not in args:
            return {"text": done.stdout}
        found: dict[str, Any] = json.loads(done.stdout)
        return {**found, "text": (self.room / found["bundle"] / "brief.txt").read_text()}


@pytest.fixture(scope="module")
def leak(sshd: sshd_server.Sshd) -> Iterator[Leak]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        room = Path(name)
        room.chmod(0o755)
        found = Leak(room, sshd)
        (room / "restarts.jsonl").write_text("")
        app = room / "app"
        app.mkdir()
        app.chmod(0o777)
        for file, text in (("mode", "leaking"), ("service", "0")):
            (app / file).write_text(text)
        shutil.copy(leaky.__file__, room / "leaky.py")
        process = subprocess.Popen([interpreter(), room / "leaky.py", app, "0"], **ordinary())  # type: ignore[call-overload] # reason: user and group only for root
        try:
            end = time.monotonic() + 60
            while found.open < ENOUGH and time.monotonic() < end:
                time.sleep(0.1)
            process.send_signal(signal.SIGSTOP)  # what it holds stays, however slow this machine is
            yield found
        finally:
            process.kill()
            process.wait()


def looks(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in document["findings"] if finding["code"] == "look"]


def test_the_host_that_deviates_most_is_chosen_and_confirms_the_graph(leak: Leak) -> None:
    leak.graph(leak.open)
    document = leak.collect("collect", "--json")
    (look,) = looks(document)
    assert (look["subject"], look["verdict"]) == ("app1", "confirmed")
    assert re.search(r"app1 confirms the graph: \d+ connections .*counted at", look["headline"])
    counted = int(look["facts"]["established"])
    assert leak.open * 0.8 <= counted <= 2.2 * leak.open
    assert "deviates most of 2 hosts" in look["facts"]["why"]
    assert "leaky" in look["facts"]["measured"] or "python" in look["facts"]["measured"]
    assert "app1 confirms the graph" in document["text"]


def test_a_host_that_is_named_is_looked_at_beside_the_others(leak: Leak) -> None:
    leak.graph(leak.open)
    document = leak.collect("collect", "--json", "--host", "app2")
    assert [look["subject"] for look in looks(document)] == ["app2"]


def test_a_graph_of_far_more_than_there_is_is_not_confirmed(leak: Leak) -> None:
    leak.graph(leak.open * 40)
    (look,) = looks(leak.collect("collect", "--json"))
    assert look["verdict"] == "not confirmed"


def test_a_graph_of_long_ago_cannot_be_confirmed_today(leak: Leak) -> None:
    leak.graph(leak.open, ago=7200)
    (look,) = looks(leak.collect("collect", "--json", "--host", "app1", "--until", "2h ago", since="125min"))
    assert look["verdict"] == "cannot tell"
    assert "apart" in look["headline"]


#: Accepts connections, whose other ends are closed, and never closes its own.
FORGETFUL = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
held = []
while True:
    for _ in range(3):
        client = socket.create_connection(listener.getsockname())
        held.append(listener.accept()[0])
        client.close()
    print(len(held), flush=True)
    time.sleep(0.1)
"""


@pytest.mark.parametrize("via", ["openssh", "paramiko"])
def test_connections_that_are_never_closed_are_seen_growing(sshd: sshd_server.Sshd, via: str) -> None:
    command = [interpreter(), "-c", FORGETFUL, f"forgetful-{via}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **ordinary())  # type: ignore[call-overload] # reason: user and group only for root
    try:
        assert process.stdout
        process.stdout.readline()
        source = Host(
            name="look", host="127.0.0.1", ssh=Ssh(**sshd.options(via=via)), process=(f"forgetful-{via}",), pause=1.0
        )
        end = datetime.now(UTC)
        window = Window(end - timedelta(hours=1), end, Anchor("time", end - timedelta(hours=1)), timedelta(0))
        evidence, _ = collect([("ssh", source)], window, Scope())
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    assert not evidence.gaps
    (look,) = [found for found in analyse(evidence) if found.code == "look"]
    before, now = (int(look.facts[name] or 0) for name in ("close_wait_before", "close_wait"))
    assert 3 <= before < now
    assert re.search(rf"{now:,} in CLOSE-WAIT, {now - before} more in \d+ s \(\d+ on port \d+\)", look.detail)


def test_what_this_user_may_not_see_is_said_and_never_zero(sshd: sshd_server.Sshd) -> None:
    source = Host(name="look", host="127.0.0.1", ssh=Ssh(**sshd.options()), process=("no-such-service",), pause=0.0)
    end = datetime.now(UTC)
    window = Window(end - timedelta(hours=1), end, Anchor("time", end - timedelta(hours=1)), timedelta(0))
    evidence, _ = collect([("ssh", source)], window, Scope())
    readings = {reading.about: reading for reading in evidence.items(Reading)}
    assert (readings["own"].state, readings["processes"].state) == ("not there", "not there")
    assert readings["sockets"].state == ""
    if os.geteuid() == 0:  # then sshd serves nobody, whom the kernel tells nothing
        assert (readings["kernel"].state, readings["kernel"].exit_status) == ("not permitted", None)
    if not Path("/run/systemd/system").exists():
        assert readings["units"].state == "not there"
    (look,) = [found for found in analyse(evidence) if found.code == "look"]
    assert "the service's own sockets not there" in str(look.facts["untold"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a process of somebody else")
def test_a_process_of_somebody_else_is_not_permitted_and_its_port_is_counted_all_the_same(
    sshd: sshd_server.Sshd,
) -> None:
    command = [interpreter(), "-c", FORGETFUL, "of-somebody-else"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.5)
            listening = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
            (port,) = re.findall(rf":(\d+) .*pid={process.pid},", listening)
            end = datetime.now(UTC)
            window = Window(end - timedelta(hours=1), end, Anchor("time", end - timedelta(hours=1)), timedelta(0))
            states = []
            for more in ({"process": ("of-somebody-else",)}, {"port": (int(port),), "process": ("of-somebody-else",)}):
                source = Host(name="look", host="127.0.0.1", ssh=Ssh(**sshd.options()), pause=0.0, **more)  # type: ignore[arg-type] # reason: either option
                evidence, _ = collect([("ssh", source)], window, Scope())
                (own,) = [one for one in evidence.items(Reading) if one.about == "own"]
                states.append((own.state, f"in :{port}" in own.stdout))
        finally:
            process.kill()
    assert states == [("not permitted", False), ("", True)]


def test_what_deviates_nowhere_is_not_looked_at(leak: Leak) -> None:
    leak.graph(12)
    document = leak.collect("collect", "--json")
    assert not looks(document)
    assert "no host was looked at" in document["text"]


def test_both_ways_see_the_same(leak: Leak) -> None:
    leak.graph(leak.open)
    found = [looks(leak.collect("collect", "--json", via=via))[0] for via in ("openssh", "paramiko")]
    assert [look["verdict"] for look in found] == ["confirmed", "confirmed"]
    assert found[0]["facts"]["untold"] == found[1]["facts"]["untold"]


def test_a_host_that_lets_nobody_in_is_a_gap_and_the_brief_is_there(leak: Leak) -> None:
    leak.graph(leak.open)
    document = leak.collect("collect", "--json", key=str(leak.sshd.stranger), allow=(3,))
    (gap,) = document["gaps"]
    assert (gap["source"], gap["kind"]) == ("look", "unauthorized")
    assert "does not let ops in" in document["text"]


def test_the_brief_is_the_same_when_it_is_made_again(leak: Leak) -> None:
    leak.graph(leak.open)
    document = leak.collect("collect", "--json")
    bundle = leak.room / document["bundle"]
    before = {path.name: path.read_bytes() for path in bundle.glob("brief.*")}
    subprocess.run([sys.executable, "-m", "opsbrief", "render", bundle], check=True, capture_output=True, timeout=60)
    assert {path.name: path.read_bytes() for path in bundle.glob("brief.*")} == before


def test_a_rehearsal_says_whom_it_would_look_at(leak: Leak) -> None:
    assert (
        "would ask look (ssh) about the host that the analysis chooses" in leak.collect("collect", "--dry-run")["text"]
    )
    assert "would ask look (ssh) about app2" in leak.collect("collect", "--dry-run", "--host", "app2")["text"]
