"""The whole story with real servers: a process that leaks, restarts, alarms, the mail, the fix, the proof, the week.

collectd counts the application's connections and writes them to Graphite; Monit restarts it when it no longer
answers; a check gives its results to Icinga; rsyslog ships its log into Elasticsearch; PuppetDB and the repository of
the infrastructure are quiet; the release is a Git tag and a Graphite event; sshd lets opsbrief look at the host; and
the mails are read back from Exim. Only time is short: a datapoint a second, and minutes where there would be hours.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.system import collectd, icinga, leaky, monit, puppetdb, rsyslog, sshd
from tests.system.conftest import absent
from tests.system.elastic import Server
from tests.system.exim import PASSWORD, USER, Exim
from tests.system.graphite import Graphite, MissingError, free_port
from tests.system.repository import Repo

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

DEV = "dev@example.com"
HOST = "app01.shop.example"
QUIET, LEAK = 70, 85  # seconds before the release, and until somebody asks
CONFIG = """\
timezone: Europe/Berlin
sources:
  graphite: {{type: graphite, url: "{graphite}", deploy_tags: [deploy, incident]}}
  logs: {{type: elasticsearch, url: "{search}", index: "logstash-*", limit: 20000}}
  shop: {{type: git, path: shop, role: application, deploy_tags: "v*"}}
  puppet: {{type: git, path: puppet, role: infrastructure}}
  puppetdb: {{type: puppetdb, url: "{puppetdb}"}}
  icinga: {{type: nagioslog, path: "{icinga}"}}
  monit: {{type: monit, url: "{monit}", log: "{monit_log}", host: {host}, services: [app],
          auth: {{user: {admin}, password: {{env: MONIT_PASSWORD}}}}}}
  ssh: {{type: ssh, port: {service}, pause: 2s,
        ssh: {{user: {ops}, key: "{key}", config: ssh_config, known_hosts: "{known}", agent: false}}}}
deploys: [graphite]
marks: [graphite]
defaults: {{baseline: ["before:1m"]}}
services:
  shop:
    hosts: [{host}]
    metrics: [{{name: connections, worse: up, unit: conn, key: true,
               target: "live.{{host}}.tcpconns-{service}-local.tcp_connections-ESTABLISHED"}}]
    logs: {{query: "program:incident"}}
deliver:
  mail: {{smtp: localhost, port: {port}, ca_file: "{ca}", user: "{user}", password: {{env: MAIL_PASSWORD}},
         from: ops@example.com, to: {dev}}}
"""


class Incident:
    """The folder the person on call works in, and what runs beside."""

    def __init__(self, folder: Path, exim: Exim, application: monit.Monit, database: puppetdb.PuppetDb) -> None:
        self.folder = folder
        self.exim = exim
        self.application = application
        self.database = database
        self.puppet = Repo.new(folder / "puppet")
        self.shop = Repo.new(folder / "shop")

    def run(self, *args: str, allow: tuple[int, ...] = (0,)) -> "subprocess.CompletedProcess[str]":
        own = {"MAIL_PASSWORD": PASSWORD, "MONIT_PASSWORD": monit.PASSWORD}
        env = os.environ | own | {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)}
        command = [sys.executable, "-m", "opsbrief", *args]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=400
        )
        assert done.returncode in allow, f"{args}: {done.stdout}\n{done.stderr}"
        return done

    def release(self, version: str, mode: str, text: str) -> None:
        """Commit, tag, mark the deploy, and let the application behave as this version does."""
        now = datetime.now(UTC)
        code = f"// {version}\nlog.error('connection not released after response to', where);\n"
        self.shop.commit(now, f"{text} ({version})", {"src/Client.java": code})
        self.shop.git("tag", "-a", f"v{version}", "-m", version, at=now)
        self.run("mark", "deploy", f"{version} to 1 host")
        (self.application.room / "mode").write_text(mode)

    def filling(self) -> None:
        """Wait until it holds far more than before the release, and let it keep that while somebody looks."""
        end = time.monotonic() + 60
        while not 100 <= int((self.application.room / "open").read_text() or 0) < 150 and time.monotonic() < end:
            time.sleep(0.2)
        (self.application.room / "mode").write_text("holding")
        time.sleep(3)

    def agent(self, ago: float = 0.0) -> None:
        """Let the host's Puppet agent run: it finds everything as the infrastructure's last commit wants it."""
        at = datetime.now(UTC) - timedelta(seconds=ago)
        version = self.puppet.git("rev-parse", "HEAD").strip()
        self.database.store(puppetdb.report(HOST, at, version))

    def mails(self) -> list[EmailMessage]:
        """Return every mail that was delivered so far for this story, oldest first."""
        inbox = sorted((self.exim.room / "box" / "inbox" / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in inbox]
        return [mail for mail in found if mail["To"] == DEV and "shop" in str(mail["Subject"])]

    def mailed(self, count: int) -> EmailMessage:
        """Return the newest mail once there are ``count``."""
        end = time.monotonic() + 20
        while len(self.mails()) < count and time.monotonic() < end:
            time.sleep(0.1)
        found = self.mails()
        assert len(found) == count
        return found[-1]


def watched(server: icinga.Icinga, room: Path, stop: threading.Event) -> None:
    """Give Icinga a result every few seconds, of the connections that are really open, until told to stop."""
    states = ("OK", "WARNING", "CRITICAL")
    while not stop.wait(3):
        count = int((room / "open").read_text() or 0)
        state = (count > 80) + (count > 140)
        server.result(HOST, "connections", state, time.time(), f"{states[state]} - {count} established")


@pytest.fixture
def incident(graphite: Graphite, es8: Server, exim: Exim, puppetdb: puppetdb.PuppetDb) -> Iterator[Incident]:
    """Start the application and all that watches it, with the first release already out and Puppet at rest."""
    service = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        files = {"mode": "healthy", "service": str(service), "open": "0", "shop.log": ""}
        started = _having(stack, "monit", lambda: monit.running(Path(leaky.__file__).read_text(), files))
        assert isinstance(started, monit.Monit)
        alarms = _having(stack, "icinga", icinga.running)
        assert isinstance(alarms, icinga.Icinga)
        packages = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d %H:%M:%S} upgrade openssl:amd64 3.0.1 3.0.2\n"
        door = _having(stack, "sshd", lambda: sshd.running(packages=packages))
        assert isinstance(door, sshd.Sshd)
        nodes = [("shop", graphite.line_port, {"Prefix": '"live."'})]
        _having(stack, "collectd", lambda: collectd.running(nodes, host=HOST, port=service))
        shipped = Path(stack.enter_context(TemporaryDirectory()))
        stack.enter_context(rsyslog.shipping(shipped, started.room / "shop.log", es8.url, "incident"))
        stop = threading.Event()
        check = threading.Thread(target=watched, args=(alarms, started.room, stop), daemon=True)
        check.start()
        stack.callback(check.join, 20)
        stack.callback(stop.set)
        (folder / "ssh_config").write_text(f"Host {HOST}\n  HostName 127.0.0.1\n  Port {door.port}\n")
        config = CONFIG.format(
            graphite=graphite.url, search=es8.url, puppetdb=puppetdb.url, icinga=alarms.log, monit=started.url,
            monit_log=started.log, admin=monit.ADMIN, service=service, host=HOST, ops=sshd.USER, key=door.key,
            known=door.known_hosts, port=exim.starttls, ca=exim.ca, user=USER, dev=DEV,
        )  # fmt: skip
        (folder / "opsbrief.yaml").write_text(config)
        story = Incident(folder, exim, started, puppetdb)
        story.puppet.commit(datetime.now(UTC) - timedelta(days=1), "Renew a certificate", {"modules/lb/cert": "4be1\n"})
        yesterday = datetime.now(UTC) - timedelta(days=1)
        story.shop.commit(yesterday, "Start")
        story.shop.git("tag", "-a", "v2.13.2", "-m", "2.13.2", at=yesterday)
        for ago in (5400, 3600, 1800, 5):
            story.agent(ago)
        yield story


def _having(stack: ExitStack, name: str, start: "Callable[[], object]") -> object:
    try:
        return stack.enter_context(start())  # type: ignore[arg-type] # reason: a context manager of any server
    except MissingError as missing:
        absent(name, missing)
        raise


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    return " ".join(str(part.get_content()).split())


def test_from_the_release_to_the_week(incident: Incident) -> None:
    time.sleep(QUIET)
    incident.release("2.14.0", "leaking", "Keep upstream handles")
    time.sleep(20)
    incident.agent()
    time.sleep(LEAK - 20)
    incident.application.await_log("trying to restart", 3)
    incident.filling()

    said = incident.run("collect", "shop", "--since", "deploy", "--send", "--json", allow=(0, 3)).stdout
    brief = json.loads(said)
    first = incident.mailed(1)
    page = text_of(first)
    told = {code: [one for one in brief["findings"] if one["code"] == code] for code in _CODES}
    assert brief["gaps"] == [], page

    # What changed: the connections, since the release, which is the only change there was.
    assert "2.14.0" in first["Subject"]
    assert "connections" in first["Subject"]
    assert [one["verdict"] for one in told["shift"] if one["subject"] == "connections"] == ["changed"]
    news = {one["subject"]: one["verdict"] for one in told["log-pattern"]}
    assert [verdict for pattern, verdict in news.items() if "not released after response" in pattern] == ["new"]
    assert "not released" in page
    assert told["other-change"] == []

    # What did not: the infrastructure, by its repository and by the node itself.
    (alibi,) = told["alibi"]
    assert alibi["verdict"] == "ruled out", alibi
    assert "infrastructure ruled out" in brief["headline"]
    assert "1 of 1 node" in f"{alibi['headline']} {alibi['detail']}"

    # Who else saw it: Monit, Icinga, and the host itself.
    entries = " · ".join(one["headline"] for one in told["timeline"])
    assert "first restart" in entries
    assert "first alarm" in entries
    assert "RESTARTS" in page.upper()
    (look,) = told["look"]
    assert look["verdict"] == "confirmed", (look["headline"], look["detail"])

    incident.release("2.14.1", "healthy", "Release handles again")
    time.sleep(3)  # nobody looks within the second of the fix
    followed = incident.run(
        "watch", "shop", "--since", "deploy~1", "--fix", "deploy", "--every", "4s", "--until", "settled",
        "--bundle", brief["bundle"], "--json", "-o", "settled", allow=(0, 3),
    )  # fmt: skip
    ticks = [json.loads(line) for line in followed.stdout.splitlines() if line.startswith("{")]
    assert ticks[-1]["settled"]

    incident.run("effect", brief["bundle"], "--fix", "deploy", "--send", "-o", "effect", allow=(0, 3))
    answer = incident.mailed(2)
    assert first["Message-ID"] in answer["References"]
    assert answer["In-Reply-To"] == first["Message-ID"]
    assert "connections no longer rising" in text_of(answer)
    assert "restarts of app" in text_of(answer)

    weekly = ("weekly", "shop", "--since", "1h", "--cron", "--send", "-o", "weekly")
    assert incident.run(*weekly, allow=(0, 3)).stdout == ""
    digest = text_of(incident.mailed(3))
    assert "2.14.0" in digest
    assert "2.14.1" in digest


_CODES = ("shift", "log-pattern", "other-change", "alibi", "timeline", "look")
