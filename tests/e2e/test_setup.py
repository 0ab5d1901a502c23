"""Setting up on the demo's story: init with and without a terminal, check, a plug-in, a stranger's folder."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.conftest import CLEAN, Run


def test_check_says_what_each_source_has(opsbrief: Run, story: Path) -> None:
    done = opsbrief("check", "--json", cwd=story)
    document = json.loads(done.stdout)
    found = {(row["source"], row["asked"]): row for row in document["sources"]}
    assert done.returncode == document["exit"] in (0, 3), done.stderr  # 3: the story has grown old meanwhile
    assert found["graphite", "data"]["figures"]["points"] > 1000
    assert found["logs", "data"]["figures"]["lines"] > 100
    assert found["puppet", "data"]["fine"]
    assert found["deploylog", "deploys"]["figures"]["newest_deploy"] == "2.14.0"


def test_check_of_a_dead_server_ends_with_3_and_says_what_to_do(opsbrief: Run, tmp_path: Path) -> None:
    text = "sources: {g: {type: graphite, url: 'http://127.0.0.1:1', targets: [x], auth: {bearer: {env: TOKEN}}}}"
    (tmp_path / "opsbrief.yaml").write_text(text)
    done = opsbrief("check", "--timeout", "5", cwd=tmp_path)
    assert done.returncode == 3
    assert "unauthorized: sources.g.auth.bearer: the environment variable TOKEN is not set" in done.stdout
    done = opsbrief("check", "--timeout", "5", cwd=tmp_path, TOKEN="x")
    assert done.returncode == 3
    assert "unreachable: http://127.0.0.1:1 refuses the connection" in done.stdout


def test_check_lists_every_mistake_and_asks_nobody(opsbrief: Run, tmp_path: Path) -> None:
    (tmp_path / "opsbrief.yaml").write_text("sources: {g: {type: graphit}}\nx: 1")
    done = opsbrief("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["opsbrief.yaml:1:21:", "opsbrief.yaml:2:1:"]
    document = json.loads(opsbrief("check", "--json", cwd=tmp_path).stdout)
    assert (document["exit"], len(document["problems"])) == (2, 2)


def test_init_without_a_terminal_writes_what_works(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    made = opsbrief(
        "init", "--service", "shop", "--whisper", story / "whisper", "--logs", story / "logs" / "*.log",
        "--git", story / "repos" / "shop", "--infrastructure", story / "repos" / "puppet",
        "--deploy-log", story / "deploy.log", cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode in (0, 3), made.stderr
    assert made.stdout == "opsbrief.yaml\n"
    text = (tmp_path / "opsbrief.yaml").read_text()
    assert "dashboard: collectd" in text
    assert "app{1..8}" in text
    brief = opsbrief("collect", "--since", "deploy", "--format", "txt", "-o", tmp_path / "briefs", cwd=tmp_path)
    assert brief.returncode in (0, 3), brief.stderr
    assert "connections on 8080" in Path(brief.stdout.strip()).read_text()


def test_init_overwrites_nothing_unasked(opsbrief: Run, tmp_path: Path) -> None:
    path = tmp_path / "opsbrief.yaml"
    path.write_text("mine")
    done = opsbrief("init", "--yes", "--logs", "/var/log/x", cwd=tmp_path)
    assert done.returncode == 2
    assert "is there already (--force overwrites it" in done.stderr
    assert path.read_text() == "mine"
    assert opsbrief("init", "--yes", "--force", "--logs", "/var/log/x", cwd=tmp_path).returncode == 3
    assert path.read_text().startswith("# Written by 'opsbrief init'")
    assert list(tmp_path.iterdir()) == [path]


def test_init_never_takes_a_secret(opsbrief: Run, tmp_path: Path) -> None:
    done = opsbrief("init", "--yes", "--graphite", "https://me:hunter2@g.example/x", cwd=tmp_path)
    assert done.returncode == 2
    assert "--graphite https://g.example/x --graphite-user USER" in done.stderr
    password = opsbrief("init", "--yes", "--graphite", "http://g", "--graphite-password-env", "hunter2!", cwd=tmp_path)
    assert password.returncode == 2
    assert "hunter2" not in done.stderr + password.stderr
    assert not list(tmp_path.iterdir())


def test_init_in_a_terminal_asks_and_offers_what_it_found(story: Path, tmp_path: Path) -> None:
    answers = [
        ("Graphite URL", ""),
        ("Folder of whisper files", str(story / "whisper")),
        ("Elasticsearch or OpenSearch URL", ""),
        ("Log files", ""),
        ("Git repository of the application", str(story / "repos" / "shop")),
        ("Git repository of the infrastructure", ""),
        ("File that records deploys", ""),
        ("Name of the service [shop]", ""),
        ("Hosts of the service [app{1..8}", "app{1..8}"),
        ("Write the file anyway?", "y"),  # asked only where the story has grown old meanwhile
    ]
    said = _talk(tmp_path, answers)
    text = (tmp_path / "opsbrief.yaml").read_text()
    assert 'hosts: ["app{1..8}"]' in text
    assert "dashboard: collectd" in text
    assert "next: opsbrief check" in said


def _talk(folder: Path, answers: list[tuple[str, str]]) -> str:
    """Run init on a terminal of its own and answer each question as it comes."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "opsbrief", "init"]
    process = subprocess.Popen(
        command, cwd=folder, env=CLEAN | {"TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said, seen, end = "", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            said += os.read(ours, 4096).decode()
        except OSError:  # the other side is closed: it has ended
            break
        for question, answer in answers:
            if (found := said.find(question, seen)) >= 0 and said[found:].rstrip().endswith(("]:", ":")):
                seen = len(said)
                os.write(ours, f"{answer}\n".encode())
                break
    assert process.wait(10) in (0, 3), said
    os.close(ours)
    return said


def test_a_plug_in_is_a_type_like_the_others(opsbrief: Run, tmp_path: Path) -> None:
    plug = tmp_path / "plug"
    plug.mkdir()
    (plug / "toyplug.py").write_text(
        "from dataclasses import dataclass, field\n"
        "from opsbrief.source import Source\n"
        "@dataclass(frozen=True, slots=True, kw_only=True)\n"
        "class Toy(Source):\n"
        "    '''A toy.'''\n"
        "    gives = frozenset({'changes'})\n"
        "    colour: str = field(metadata={'help': 'its colour'})\n"
        "    def collect(self, window, deadline):\n"
        "        yield from ()\n"
    )
    info = plug / "toyplug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toyplug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opsbrief.sources]\ntoy = toyplug:Toy\n")
    (tmp_path / "opsbrief.yaml").write_text("sources: {t: {type: toy, colour: red}}")
    env = {"PYTHONPATH": str(plug)}
    schema = json.loads(opsbrief("config", "schema", cwd=tmp_path, **env).stdout)
    assert schema["$defs"]["source.toy"]["required"] == ["type", "colour"]
    assert "its colour" in opsbrief("sources", "toy", cwd=tmp_path, **env).stdout
    done = opsbrief("check", cwd=tmp_path, **env)
    assert (done.returncode, done.stdout) == (0, "✓ t  toy  answered; nothing in the last hour  (0.0 s)\n")
    broken = opsbrief("check", cwd=tmp_path)
    assert "there is no type 'toy'" in broken.stderr
