"""The digest on a real Dask cluster of this machine: the same as on local workers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.system.conftest import absent

from opsbrief.demo import build

pytestmark = pytest.mark.system

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a scheduler and two workers on free ports; return the scheduler's address."""
    if find_spec("distributed") is None:
        absent("dask", "the package distributed is not installed")
    folder = tmp_path_factory.mktemp("cluster")
    program = folder / "cluster.py"
    program.write_text(CLUSTER)
    with (folder / "log").open("w") as log:
        cluster = subprocess.Popen(
            [sys.executable, program], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with cluster:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        address = cluster.stdout.readline().strip()
        assert address.startswith("tcp://127.0.0.1:"), (folder / "log").read_text()
        yield address
        cluster.stdin.close()


def weekly(config: Path, out: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "opsbrief", "--config", str(config), "weekly", "--since", "7d", "--cron", *args]
    env = os.environ | {"XDG_STATE_HOME": str(out / "state")}
    return subprocess.run(
        [*command, "-o", str(out / "out")], env=env, capture_output=True, text=True, timeout=200, check=False
    )


def told(out: Path) -> list[tuple[object, ...]]:
    """Return what a digest says, without its ids and times."""
    (folder,) = (out / "out").iterdir()
    services = json.loads((folder / "digest.json").read_text())["services"]
    return [
        (service["service"], release["deploy"]["ref"], finding["code"], finding["subject"], finding["verdict"])
        for service in services
        for release in service["releases"]
        for finding in release["findings"]
        if finding["code"] in ("shift", "log-pattern", "release")
    ]


def test_a_cluster_works_out_the_same_digest_as_local_workers(scheduler: str, tmp_path: Path) -> None:
    config = build(tmp_path / "story", datetime.now(UTC))
    there, here = (tmp_path / name for name in ("dask", "local"))
    done = [weekly(config, there, "--scheduler", scheduler), weekly(config, here)]
    assert [one.returncode for one in done] == [3, 3], done  # the demo has no data of two weeks ago
    assert [len(one.stderr.splitlines()) for one in done] == [3, 3], done
    assert told(there) == told(here)
    assert ("shop", "2.14.0", "shift", "connections", "changed") in told(there)
    graphs = [sorted(path.name for path in out.rglob("*.png")) for out in (there, here)]
    assert graphs[0] == graphs[1] != []


def test_a_scheduler_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    if find_spec("distributed") is None:
        absent("dask", "the package distributed is not installed")
    done = weekly(build(tmp_path / "story", datetime.now(UTC)), tmp_path, "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "tcp://127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
