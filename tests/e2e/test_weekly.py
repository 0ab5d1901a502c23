"""The digest of a week on the demo's story, as cron would run it."""

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.conftest import CLEAN, Run

CONFIG = "weekly.yaml"


@pytest.fixture(scope="module")
def place(story: Path) -> Path:
    """Write a configuration of three services, one without releases, that the demo's storage answers whole."""
    written = (story / "opsbrief.yaml").read_text(encoding="utf-8")
    found = re.search(r"(?ms)^  shop:\n.*?(?=^\S)", written)
    assert found
    own = found[0].rstrip() + "\n    sources: [graphite]\n"
    idle = (
        "  idle:\n    hosts: [batch1]\n    sources: [graphite]\n    deploys: [quiet]\n    metrics:\n"
        '      - {name: connections, target: "collectd.{host}.tcpconns-8080-local.tcp_connections-ESTABLISHED"}\n'
    )
    services = own + own.replace("  shop:", "  billing:", 1) + idle
    written = written.replace(found[0], services).replace("defaults: {", "defaults: {baseline: [before], ")
    written = written.replace("deploys: [deploylog,", "deploys: [quiet, deploylog,")
    written = written.replace("sources:\n", "sources:\n  quiet: {type: deploylog, path: quiet.log}\n", 1)
    (story / CONFIG).write_text(written, encoding="utf-8")
    (story / "quiet.log").write_text("2020-01-01T00:00:00Z\t1.0\tlong ago\n", encoding="utf-8")
    return story


def weekly(opsbrief: Run, place: Path, out: Path, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    settings = {"XDG_STATE_HOME": str(out / "state"), "PATH": "/usr/bin:/bin", "LC_ALL": "C"} | env
    return opsbrief("--config", CONFIG, "weekly", "-o", out / "out", *args, cwd=place, **settings)


def start(place: Path, out: Path, *args: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "opsbrief", "--config", CONFIG, "weekly", "-o", str(out / "out"), *args]
    return subprocess.Popen(
        command, cwd=place, env=CLEAN | {"XDG_STATE_HOME": str(out / "state")}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "out").iterdir()) if (out / "out").exists() else []


@pytest.fixture(scope="module")
def told(opsbrief: Run, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run it once for the last day; the folder holds ``out`` and ``state``."""
    out = tmp_path_factory.mktemp("weekly")
    done = weekly(opsbrief, place, out, "--since", "1d", "--look", "2h", "--json")
    assert done.returncode == 0, done.stderr
    (out / "printed.json").write_text(done.stdout, encoding="utf-8")
    return out


def test_every_service_is_in_the_document_with_its_releases(told: Path) -> None:
    document = json.loads((told / "printed.json").read_text(encoding="utf-8"))
    assert document["format"] == "opsbrief.weekly/1"
    assert document["exit"] == 0
    releases = {
        one["service"]: [release["deploy"]["ref"] for release in one["releases"]] for one in document["services"]
    }
    assert releases == {"shop": ["2.14.0"], "billing": ["2.14.0"], "idle": []}
    (release,) = document["services"][0]["releases"]
    shifts = {f["subject"]: f["verdict"] for f in release["findings"] if f["code"] == "shift"}
    assert shifts["connections"] == "changed"
    assert shifts["requests"] == "unchanged"


def test_the_first_page_tells_the_release_the_quiet_service_and_that_all_is_news(told: Path) -> None:
    (folder,) = (told / "out").iterdir()
    assert re.fullmatch(r"opsbrief-weekly-\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d", folder.name)
    first = " ".join((folder / "brief.txt").read_text(encoding="utf-8").split("─" * 20)[0].split())
    assert "2 releases of 2 services; something changed after shop 2.14.0 and billing 2.14.0" in first
    assert "connections rising on 8 of 8 hosts" in first
    assert "NO RELEASE idle" in first
    assert "everything is news" in first
    assert "3 of 3 services read whole" in first


def test_the_folder_holds_every_form_and_only_its_owner_may_read_it(told: Path) -> None:
    (folder,) = (told / "out").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert names == {"brief.html", "brief.md", "brief.txt", "digest.json", "manifest.json", "graphs"}
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0
    graphs = {path.name for path in (folder / "graphs").iterdir()}
    assert set(re.findall(r"\(graphs/([^)]+)\)", (folder / "brief.md").read_text(encoding="utf-8"))) == graphs


def test_old_news_is_silent(opsbrief: Run, place: Path, told: Path) -> None:
    before = folders(told)
    done = weekly(opsbrief, place, told, "--since", "60h", "--look", "2h", "--only-if-changed")
    assert (done.returncode, done.stdout) == (0, "")
    assert folders(told) == before
    again = weekly(opsbrief, place, told, "--since", "60h", "--look", "2h", "--cron", "-f", "txt")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    (fresh,) = set(folders(told)) - set(before)
    text = " ".join((told / "out" / fresh / "brief.txt").read_text(encoding="utf-8").split())
    assert "no release that was not told before" in text


def test_a_release_that_is_too_young_to_judge_is_told_again(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    for stretch in ("1d", "60h"):
        done = weekly(opsbrief, place, tmp_path, "shop", "--since", stretch, "--only-if-changed", "-f", "txt")
        assert done.returncode == 0, done.stderr
        text = " ".join(Path(done.stdout.strip()).read_text(encoding="utf-8").split())
        assert "SHOP 2.14.0" in text
        assert "so far)" in text


def test_a_week_without_releases_and_data_says_so(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    done = weekly(opsbrief, place, tmp_path, "--week", "2024-W09", "--cron", "-f", "txt")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("opsbrief weekly 2024-W09: something is missing for 3 of 3 services\n")
    assert len(done.stderr.splitlines()) <= 10
    text = " ".join((tmp_path / "out" / "opsbrief-weekly-2024-W09" / "brief.txt").read_text().split())
    assert "2024-W09: no release" in text
    assert "COMPARED WITH nothing for shop, billing and idle" in text


def test_two_crons_at_once_one_works_and_the_other_says_so(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    first = start(place, tmp_path, "--since", "1d", "--cron", "-f", "txt")
    lock = tmp_path / "state" / "opsbrief"
    while not (lock.exists() and any(path.suffix == ".lock" and path.read_text() for path in lock.iterdir())):
        assert first.poll() is None
        time.sleep(0.02)
    second = weekly(opsbrief, place, tmp_path, "--since", "1d", "--cron", "-f", "txt")
    waiting = weekly(opsbrief, place, tmp_path, "--since", "1d", "--cron", "-f", "txt", "--wait", "100s")
    _, said = first.communicate()
    assert (second.returncode, second.stdout) == (5, "")
    assert f"process {first.pid}" in second.stderr
    assert (first.returncode, said) == (0, "")
    assert (waiting.returncode, waiting.stderr) == (0, "")
    assert len(folders(tmp_path)) == 1


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def workers(run: "subprocess.Popen[str]") -> list[int]:
    """Wait until the run has its workers; return their processes."""
    while len(found := children(run.pid)) < 2:
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    return found


def gone(pids: list[int]) -> bool:
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() and "Z" not in state(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_no_worker_no_lock_and_the_old_digest(
    opsbrief: Run, place: Path, told: Path, number: signal.Signals
) -> None:
    folder = told / "out" / folders(told)[0]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = start(place, told, "--since", "1d", "-f", "txt")
    pids = workers(run)
    time.sleep(0.5)
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number], said
    assert "Traceback" not in said
    assert gone(pids)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    if number is signal.SIGKILL:
        done = weekly(opsbrief, place, told, "--since", "1d", "--cron")
        assert (done.returncode, done.stderr) == (0, "")


SENDMAIL = """#!/bin/sh
cat > "{folder}/$(date +%s%N).eml"
exit {status}
"""


def mailing(place: Path, folder: Path, status: int = 0) -> Path:
    """Write a configuration that gives its mail to a program, which keeps it in ``folder`` and ends with ``status``."""
    program = folder / f"sendmail{status}"
    program.write_text(SENDMAIL.format(folder=folder, status=status))
    program.chmod(0o755)
    config = place / f"mail{status}.yaml"
    mail = f"{{sendmail: [{program}, -t], from: opsbrief@example.com, to: [dev@example.com]}}"
    config.write_text((place / CONFIG).read_text() + f"\ndeliver: {{mail: {mail}}}\n")
    return config


def test_the_digest_is_mailed_as_what_no_person_sent(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    config = mailing(place, tmp_path)
    args = ("--config", config, "weekly", "shop", "-o", tmp_path / "out", "--send", "--cron", "--only-if-changed")
    args = (*args, "--look", "2h")
    done = [opsbrief(*args, "--since", stretch, cwd=place, XDG_STATE_HOME=str(tmp_path)) for stretch in ("1d", "60h")]
    assert [(one.returncode, one.stdout, one.stderr) for one in done] == [(0, "", "")] * 2
    (mail,) = tmp_path.glob("*.eml")
    message = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"]
    assert message["To"] == "dev@example.com"
    assert "1 release" in message["Subject"]
    body = message.get_body(("plain",))
    assert body is not None
    assert "connections rising on 8 of 8 hosts" in " ".join(body.get_content().split())
    assert mail.stat().st_size < 2_000_000


def test_a_mail_that_nobody_takes_fails_and_is_told_again(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    config = mailing(place, tmp_path, status=75)
    args = ("--config", config, "weekly", "idle", "-o", tmp_path / "out", "--since", "1d", "--send", "--cron")
    done = opsbrief(*args, cwd=place, XDG_STATE_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the same command sends it again" in done.stderr
    assert len(folders(tmp_path)) == 1
    assert not list((tmp_path / "opsbrief").glob("*.json"))


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--week", "2026-W60"], 2, "week 60"),
        (["--week", "2026-W47", "--since", "7d"], 2, "exclude"),
        (["--since", "deploy"], 2, "not an anchor"),
        (["--look", "1s"], 2, "--look"),
        (["--wait", "5"], 2, "5m for minutes"),
        (["shpo"], 2, "shop"),
        (["--format", "pdf"], 2, "pdf"),
        (["--send"], 2, "no mail is configured"),
        (["--scheduler", "nonsense://"], 2, "no address of a scheduler"),
    ],
)
def test_bad_input_is_a_sentence_and_a_code(
    opsbrief: Run, place: Path, tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    done = weekly(opsbrief, place, tmp_path, *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert folders(tmp_path) == []


def test_of_very_many_releases_the_newest_are_looked_at_and_the_rest_is_a_gap(
    opsbrief: Run, place: Path, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(hours=23)
    rows = [f"{(start + timedelta(minutes=20 * number)).isoformat()}\t1.{number}\tbusy\n" for number in range(60)]
    (place / "busy.log").write_text("".join(rows))
    config = (place / CONFIG).read_text().replace("path: quiet.log", "path: busy.log")
    (place / "busy.yaml").write_text(config)
    args = ("--config", "busy.yaml", "weekly", "idle", "--since", "1d", "--json", "-o", tmp_path)
    done = opsbrief(*args, cwd=place, XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 3
    document = json.loads(done.stdout)
    (service,) = document["services"]
    assert [one["deploy"]["ref"] for one in service["releases"]] == [f"1.{number}" for number in range(20, 60)]
    assert [gap["what"] for gap in service["gaps"]] == ["20 earlier releases"]


def test_without_a_deploy_log_nothing_is_made_up(opsbrief: Run, tmp_path: Path) -> None:
    (tmp_path / "opsbrief.yaml").write_text('sources:\n  files: {type: logfile, path: "*.log"}\n')
    done = opsbrief("weekly", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "no deploy log is configured" in done.stderr


def test_a_place_that_cannot_be_written_fails_and_is_told_again(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    done = weekly(opsbrief, place, tmp_path, "idle", "--since", "1d", "--cron", "-o", "/dev/null/x")
    assert done.returncode == 1
    assert "/dev/null/x" in done.stderr
    assert not [path for path in (tmp_path / "state" / "opsbrief").iterdir() if path.suffix == ".json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_cannot_be_written_is_named(opsbrief: Run, place: Path, tmp_path: Path) -> None:
    done = weekly(opsbrief, place, tmp_path, "--since", "1d", XDG_STATE_HOME="/proc/nothing")
    assert done.returncode == 1
    assert "XDG_STATE_HOME" in done.stderr
