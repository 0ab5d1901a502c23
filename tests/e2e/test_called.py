"""Called by others: from Python, by Icinga, in a pipeline."""

import re
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest
from tests.e2e.conftest import CLEAN, Run

ROOT = Path(__file__).parents[2]
BIN = f"{Path(sys.executable).parent}:{CLEAN['PATH']}"


def test_the_readmes_python_runs_as_it_is_written(story: Path, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    program = code.replace("formats=", f"out={str(tmp_path)!r}, formats=")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=story, env=CLEAN, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/opsbrief-shop-")
    assert "connections rising" in first
    assert any(re.match(r"connections \d+\.\d+ \d+\.\d+ conn \d{4}-", row) for row in rest)


def test_the_library_is_loaded_when_it_is_used_and_stays_the_function() -> None:
    code = (
        "import sys, opsbrief\nassert 'numpy' not in sys.modules\n"
        "import opsbrief.collect\nfrom opsbrief.collect import Runner\nimport opsbrief.pipeline\n"
        "assert opsbrief.collect.__module__ == 'opsbrief.library', opsbrief.collect"
    )
    subprocess.run([sys.executable, "-c", code], env=CLEAN, check=True)


@pytest.fixture
def alarm(story: Path, tmp_path: Path) -> dict[str, str]:
    """Return the environment in which Icinga calls the script; mail goes to a program that keeps it."""
    keep = tmp_path / "sendmail"
    keep.write_text(f"#!/bin/sh\ncat > {tmp_path}/mail\n")
    keep.chmod(0o755)
    config = story / "alarm.yaml"
    mail = f"deliver:\n  mail: {{sendmail: [{keep}], from: ops@example.com}}\n"
    config.write_text((story / "opsbrief.yaml").read_text() + mail)
    config.chmod(0o600)
    return {
        **CLEAN, "PATH": BIN, "BRIEF_SERVICE": "shop", "BRIEF_STATE": "CRITICAL", "BRIEF_DIR": str(tmp_path / "briefs"),
        "BRIEF_CONFIG": str(config),
    }  # fmt: skip


def icinga(env: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    script = ROOT / "examples/icinga/opsbrief-brief"
    return subprocess.run([script], env={**env, **more}, capture_output=True, text=True, timeout=120, check=False)


def test_icinga_gets_one_brief_for_one_incident(alarm: dict[str, str], tmp_path: Path) -> None:
    done = icinga(alarm, BRIEF_TYPE="PROBLEM", BRIEF_TO="on-call@example.com")
    assert (done.returncode, done.stderr) == (0, "")
    message = message_from_bytes((tmp_path / "mail").read_bytes())
    assert message["To"] == "on-call@example.com"
    assert "shop" in message["Subject"]
    (written,) = (tmp_path / "briefs").glob("opsbrief-shop-*")
    assert (written / "brief.html").exists()
    (tmp_path / "mail").unlink()
    again = icinga(alarm, BRIEF_TYPE="PROBLEM", BRIEF_TO="on-call@example.com")
    assert (again.returncode, again.stdout, (tmp_path / "mail").exists()) == (0, "", False)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"BRIEF_STATE": "OK"}, 0),
        ({"BRIEF_TYPE": "RECOVERY"}, 0),
        ({"BRIEF_HARD": "SOFT"}, 0),
        ({"BRIEF_SERVICE": ""}, 0),
        ({"BRIEF_SERVICE": "shop; rm -rf /"}, 2),
        ({"BRIEF_SERVICE": "shpo"}, 2),
    ],
)
def test_icinga_gets_no_brief_where_none_is_due(
    alarm: dict[str, str], tmp_path: Path, more: dict[str, str], code: int
) -> None:
    assert icinga(alarm, **more).returncode == code
    assert list(tmp_path.glob("briefs/*")) == []
    assert list(tmp_path.glob("briefs/.alarm*")) == []


def test_the_icinga_commands_pass_what_the_script_reads() -> None:
    script = (ROOT / "examples/icinga/opsbrief-brief").read_text()
    passed = set(re.findall(r"(BRIEF_\w+) = ", (ROOT / "examples/icinga/commands.conf").read_text()))
    assert passed <= set(re.findall(r"\$\{(BRIEF_\w+)", script))
    assert {"BRIEF_SERVICE", "BRIEF_STATE", "BRIEF_TYPE", "BRIEF_HARD", "BRIEF_TO"} == passed


def test_a_pipeline_marks_its_deploy_and_keeps_the_bundle(opsbrief: Run, tmp_path: Path) -> None:
    story = tmp_path / "story"
    assert opsbrief("demo", "-o", story, "-f", "txt").returncode == 0
    config = story / "opsbrief.yaml"
    config.write_text(config.read_text() + "marks: [deploylog]\n")
    script = ROOT / "examples/ci/after-deploy"
    done = subprocess.run(
        [script, "shop", "2.14.0", "0"],
        cwd=story, env={**CLEAN, "PATH": BIN}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    # Code 6 has its own test; a second after the mark nothing can be told, and that is said.
    assert done.returncode == 3, done.stderr
    assert "cannot tell what changed since release 2.14.0" in done.stderr
    marked, written = done.stdout.splitlines()
    assert marked == f"line in {story / 'deploy.log'}"
    assert re.fullmatch(r"briefs/opsbrief-shop-\w+\.zip", written)
    assert (story / written).is_file()
