"""The demo's story once per run, and the installed command in a subprocess."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbrief.demo import build

Run = Callable[..., "subprocess.CompletedProcess[str]"]

AHEAD = timedelta(minutes=20)
CLEAN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="session")
def opsbrief() -> Run:
    """Return a function that runs ``opsbrief ARGS`` in ``cwd`` with a bare environment."""

    def run(*args: str | Path, cwd: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "opsbrief", *map(str, args)]
        return subprocess.run(
            command, cwd=cwd, env=CLEAN | env, capture_output=True, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def story(opsbrief: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the demo's story once; its folder holds opsbrief.yaml and briefs/.

    Its data reaches a little into the future: on a busy machine the last test asks long after the first one, and
    must not find that the data ended minutes ago.
    """
    folder = tmp_path_factory.mktemp("demo") / "story"
    build(folder, datetime.now(UTC) + AHEAD)
    done = opsbrief("collect", "shop", "--since", "deploy", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def bundle(story: Path) -> Path:
    """Return the bundle that the demo wrote."""
    (found,) = (story / "briefs").iterdir()
    return found
