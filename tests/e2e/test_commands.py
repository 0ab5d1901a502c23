"""Each command on the demo's story: streams, exit codes, documents."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.conftest import CLEAN, Run


def test_collect_prints_the_product_and_talks_beside_it(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy", "-o", tmp_path, cwd=story)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert Path(line).name == "brief.html"
    assert Path(line).exists()
    assert "2.14.0" in done.stderr
    assert "\x1b" not in done.stderr


def test_collect_json_is_one_document(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("-q", "collect", "shop", "--since", "deploy", "--json", "-o", tmp_path, cwd=story)
    document = json.loads(done.stdout)
    assert document["format"] == "opsbrief.collect/1"
    assert set(document) >= {"bundle", "window", "headline", "findings", "gaps", "artifacts", "exit"}
    assert document["exit"] == done.returncode == 0
    assert done.stderr == ""
    assert Path(document["bundle"]).is_dir()


def test_formats_are_what_was_asked_for(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "2h", "--format", "txt", "-o", tmp_path, cwd=story)
    assert Path(done.stdout.strip()).name == "brief.txt"
    (bundle,) = tmp_path.iterdir()
    assert {path.name for path in bundle.iterdir()} == {"brief.txt", "findings.json", "manifest.json", "evidence"}
    wrong = opsbrief("collect", "--since", "2h", "--format", "pdf", "-o", tmp_path, cwd=story)
    assert wrong.returncode == 2
    assert "html, md, txt, json" in wrong.stderr


def test_dry_run_writes_nothing(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy", "--dry-run", "-o", tmp_path, cwd=story)
    assert done.returncode == 0
    assert "would ask graphite (whisper)" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_only_and_skip_choose_sources(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy", "--only", "logs,shop", "--json", "-o", tmp_path, cwd=story)
    codes = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
    assert "log-pattern" in codes
    assert "series" not in codes
    wrong = opsbrief("collect", "--since", "deploy", "--only", "grafite", "-o", tmp_path, cwd=story)
    assert wrong.returncode == 2
    assert "graphite" in wrong.stderr


def test_fail_on_changed_is_code_six(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    args = ("collect", "--since", "deploy", "--fail-on", "changed", "-f", "txt", "-o", tmp_path)
    assert opsbrief(*args, cwd=story).returncode == 6


def test_window_prints_the_receipt(opsbrief: Run, story: Path) -> None:
    done = opsbrief("window", "--since", "deploy", cwd=story)
    assert done.returncode == 0
    assert "deploylog" in done.stdout
    assert "UTC" in done.stdout
    document = json.loads(opsbrief("window", "--since", "deploy", "--json", cwd=story).stdout)
    assert document["anchor"]["ref"] == "2.14.0"
    offsets = [candidate["offset"] for candidate in document["receipt"]["candidates"]]
    assert any(-215 < offset < -205 for offset in offsets), "the tag is 211 s earlier"


def test_deploys_lists_what_every_log_knows(opsbrief: Run, story: Path) -> None:
    document = json.loads(opsbrief("deploys", "--json", cwd=story).stdout)
    refs = {(row["source"], row["ref"]) for row in document["rows"]}
    assert {("deploylog", "2.14.0"), ("deploylog", "2.13.2"), ("shop", "v2.14.0")} <= refs


@pytest.mark.parametrize(
    ("command", "expected"),
    [("metrics", "connections"), ("logs", "not released after response"), ("changes", "Release 2.14.0")],
)
def test_one_kind_of_evidence_in_three_forms(opsbrief: Run, story: Path, command: str, expected: str) -> None:
    plain, table, document = (
        opsbrief(command, "--since", "deploy", *form, cwd=story) for form in ((), ["--csv"], ["--json"])
    )
    assert expected in plain.stdout
    assert expected in table.stdout
    parsed = json.loads(document.stdout)
    assert parsed["format"] == f"opsbrief.{command}/1"
    assert any(expected in str(row.values()) for row in parsed["rows"])
    assert "gap" not in plain.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["collect", "--since", "mar"], 2, "mar"),
        (["collect", "--since", "deploy:9.9.9"], 4, "9.9.9"),
        (["collect", "--since", "2h", "--until", "3h"], 2, "until"),
        (["collect", "shpo", "--since", "2h"], 2, "shop"),
        (["--config", "nowhere.yaml", "collect", "--since", "2h"], 2, "nowhere.yaml"),
        (["render", "nowhere"], 2, "nowhere"),
        (["show", "logs"], 1, "no whole bundle"),
        (["collect", "--since", "2h", "-o", "/dev/null/x"], 1, "/dev/null/x"),
    ],
)
def test_bad_input_is_a_sentence_and_a_code(opsbrief: Run, story: Path, args: list[str], code: int, said: str) -> None:
    done = opsbrief(*args, cwd=story)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


CONFIG = """
sources:
  web: {type: graphite, url: "http://127.0.0.1:9"}
  search: {type: elasticsearch, url: "http://127.0.0.1:9", index: "logs-*"}
  puppet: {type: git, path: nowhere, role: infrastructure}
  files: {type: logfile, path: "nowhere/*.log"}
services:
  shop: {hosts: [app1], metrics: [{target: "collectd.{host}.load"}]}
"""


def test_nothing_answers_and_there_is_still_a_brief_of_gaps(opsbrief: Run, tmp_path: Path) -> None:
    (tmp_path / "opsbrief.yaml").write_text(CONFIG)
    done = opsbrief("collect", "--since", "2h", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    text = (tmp_path / done.stdout.strip()).with_name("brief.txt").read_text()
    for source in ("web", "search", "puppet", "files"):
        assert source in text
        assert f"gap: {source}" in done.stderr
    assert not any(line.startswith("RULED OUT") for line in text.splitlines())


def test_four_of_six_broken_still_names_all_four_and_tells_the_rest(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    config = (story / "opsbrief.yaml").read_text()
    broken = """
  web: {type: graphite, url: "http://127.0.0.1:9"}
  search: {type: elasticsearch, url: "http://127.0.0.1:9", index: "logs-*"}
  manifests: {type: git, path: nowhere, role: infrastructure}
  files: {type: logfile, path: "nowhere/*.log"}
"""
    (story / "broken.yaml").write_text(config.replace("sources:\n", "sources:" + broken, 1))
    args = (
        "--config",
        "broken.yaml",
        "collect",
        "--since",
        "deploy",
        "--skip",
        "puppet,logs,deploylog",
        "-o",
        tmp_path,
    )
    done = opsbrief(*args, cwd=story)
    assert done.returncode == 3, done.stderr
    text = Path(done.stdout.strip()).with_name("brief.txt").read_text()
    for name in ("web", "search", "manifests", "files"):
        assert name in text
    assert "connections" in text[:1600]


def test_stdout_that_cannot_be_written_is_a_failure(story: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run([sys.executable, "-m", "opsbrief", "window", "--since", "2h"], cwd=story, stdout=full,
                              stderr=subprocess.PIPE, env=CLEAN, check=False)  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_traceback(story: Path) -> None:
    command = f"{sys.executable} -m opsbrief deploys --json | head -c 10"
    done = subprocess.run(["sh", "-c", command], cwd=story, capture_output=True, env=CLEAN, check=False)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_with_its_code_and_leaves_nothing_behind(
    story: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "opsbrief", "collect", "--since", "deploy", "-o", str(tmp_path)]
    with subprocess.Popen(command, cwd=story, env=CLEAN, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        time.sleep(0.6)
        process.send_signal(number)
        _out, err = process.communicate(timeout=20)
    assert process.returncode in {code, 0}, "ended by the signal, or was quicker"
    assert b"Traceback" not in err
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]  # noqa: PTH208 - names only


@pytest.mark.parametrize("env", [{"HOME": ""}, {"LANG": "C", "LC_ALL": "C"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_odd_environments(opsbrief: Run, story: Path, tmp_path: Path, env: dict[str, str]) -> None:
    done = opsbrief("collect", "--since", "deploy", "-o", tmp_path, cwd=story, **env)
    assert done.returncode == 0, done.stderr


def test_a_note_enters_the_timeline_of_the_next_brief(opsbrief: Run, tmp_path: Path) -> None:
    story = tmp_path / "story"
    assert opsbrief("demo", "-o", story, "--at", "2026-11-20T16:40:00Z", "-f", "txt").returncode == 0
    done = opsbrief(
        "mark", "note", "customers report slow search", "--at", "2026-11-20T16:20:00Z", "--to", "deploylog", cwd=story
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"line in {story / 'deploy.log'}"), done.stderr
    brief = opsbrief("collect", "--since", "deploy", "--until", "2026-11-20T16:40:00Z", "-o", tmp_path / "b", cwd=story)
    assert brief.returncode == 0, brief.stderr
    assert "customers report slow search" in (Path(brief.stdout.strip()).parent / "brief.md").read_text()
    nowhere = opsbrief("mark", "note", "x", cwd=story)
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "marks: [" in nowhere.stderr
