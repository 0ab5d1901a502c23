"""The whole story with real servers: a process that leaks, the mail, the fix, the proof, the week.

Graphite is fed by the leaking process, Elasticsearch by rsyslog from its log file, deploys are marked
with opsbrief itself and by Git tags, and the mails are read back from Exim. Only time is short: a
datapoint a second, and minutes where there would be hours.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.system import leaky, rsyslog
from tests.system.elastic import Server
from tests.system.exim import PASSWORD, USER, Exim
from tests.system.graphite import Graphite
from tests.system.repository import Repo

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

DEV = "dev@example.com"
QUIET, LEAK = 70, 60  # seconds before the release, and until somebody asks
CONFIG = """\
timezone: Europe/Berlin
sources:
  graphite: {{type: graphite, url: "{graphite}", deploy_tags: [deploy, incident]}}
  logs: {{type: elasticsearch, url: "{search}", index: "logstash-*", limit: 20000}}
  shop: {{type: git, path: shop, role: application, deploy_tags: "v*"}}
deploys: [graphite]
marks: [graphite]
defaults: {{baseline: ["before:1m"]}}
services:
  shop:
    hosts: [app1]
    metrics: [{{name: connections, target: "live.{{host}}.connections", worse: up, unit: conn, key: true}}]
    logs: {{query: "program:incident"}}
deliver:
  mail: {{smtp: localhost, port: {port}, ca_file: "{ca}", user: "{user}", password: {{env: MAIL_PASSWORD}},
         from: ops@example.com, to: {dev}}}
"""


class Incident:
    """The folder the person on call works in, and the application that runs beside."""

    def __init__(self, folder: Path, exim: Exim) -> None:
        self.folder = folder
        self.mode = folder / "mode"
        self.exim = exim

    def run(self, *args: str, allow: tuple[int, ...] = (0,)) -> "subprocess.CompletedProcess[str]":
        env = os.environ | {"MAIL_PASSWORD": PASSWORD, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)}
        command = [sys.executable, "-m", "opsbrief", *args]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=400
        )
        assert done.returncode in allow, f"{args}: {done.stdout}\n{done.stderr}"
        return done

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


@pytest.fixture
def incident(graphite: Graphite, es8: Server, exim: Exim) -> Iterator[Incident]:
    """Start the application and its shipper, with the first release already out."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name, TemporaryDirectory() as shipped:
        folder = Path(name)
        story = Incident(folder, exim)
        story.mode.write_text("healthy")
        log = Path(shipped) / "shop.log"
        log.touch()
        config = CONFIG.format(
            graphite=graphite.url, search=es8.url, port=exim.starttls, ca=exim.ca, user=USER, dev=DEV
        )
        (folder / "opsbrief.yaml").write_text(config)
        with rsyslog.shipping(log.parent, log, es8.url, "incident"):
            command = [sys.executable, leaky.__file__, str(story.mode), str(log), str(graphite.line_port)]
            application = subprocess.Popen(command)
            try:
                yield story
            finally:
                application.kill()
                application.wait()


def release(incident: Incident, shop: Repo, version: str, mode: str, text: str) -> None:
    """Commit, tag, mark the deploy, and let the application behave as this version does."""
    now = datetime.now(UTC)
    code = f"// {version}\nlog.error('connection not released after response to', where);\n"
    shop.commit(now, f"{text} ({version})", {"src/Client.java": code})
    shop.git("tag", "-a", f"v{version}", "-m", version, at=now)
    incident.run("mark", "deploy", f"{version} to 1 host")
    incident.mode.write_text(mode)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


def test_from_the_release_to_the_week(incident: Incident) -> None:
    shop = Repo.new(incident.folder / "shop")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    shop.commit(yesterday, "Start")
    shop.git("tag", "-a", "v2.13.2", "-m", "2.13.2", at=yesterday)
    time.sleep(QUIET)

    release(incident, shop, "2.14.0", "leaking", "Keep upstream handles")
    time.sleep(LEAK)
    brief = json.loads(incident.run("collect", "shop", "--since", "deploy", "--send", "--json", allow=(0, 3)).stdout)
    first = incident.mailed(1)
    assert "2.14.0" in first["Subject"]
    assert "connections" in first["Subject"]
    news = {finding["subject"]: finding["verdict"] for finding in brief["findings"] if finding["code"] == "log-pattern"}
    assert [verdict for pattern, verdict in news.items() if "not released after response" in pattern] == ["new"], brief[
        "gaps"
    ]
    assert "not released" in text_of(first)
    verdicts = {finding["subject"]: finding["verdict"] for finding in brief["findings"] if finding["code"] == "shift"}
    assert verdicts == {"connections": "changed"}

    release(incident, shop, "2.14.1", "healthy", "Release handles again")
    time.sleep(3)  # nobody looks within the second of the fix
    watched = incident.run(
        "watch", "shop", "--since", "deploy~1", "--fix", "deploy", "--every", "4s", "--until", "settled",
        "--bundle", brief["bundle"], "--json", "-o", "settled", allow=(0, 3),
    )  # fmt: skip
    ticks = [json.loads(line) for line in watched.stdout.splitlines() if line.startswith("{")]
    assert ticks[-1]["settled"]

    incident.run("effect", brief["bundle"], "--fix", "deploy", "--send", "-o", "effect", allow=(0, 3))
    answer = incident.mailed(2)
    assert first["Message-ID"] in answer["References"]
    assert answer["In-Reply-To"] == first["Message-ID"]
    assert "fixed" in text_of(answer)

    weekly = ("weekly", "shop", "--since", "1h", "--cron", "--send", "-o", "weekly")
    assert incident.run(*weekly, allow=(0, 3)).stdout == ""
    digest = text_of(incident.mailed(3))
    assert "2.14.0" in digest
    assert "2.14.1" in digest
