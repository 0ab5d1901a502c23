"""What a thousand runs of Puppet cost: a whole brief from PuppetDB, and from as many report files.

    python bench/puppet.py

Starts the real PuppetDB of the tests (java, apt-get; a minute the first time) with 1,000 reports of 20 nodes, and
writes the recorded reports 1,000 times as the store of a server. Then ``opsbrief collect`` in a process of its own:
its highest memory, its CPU and its wall time, start to end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.system.puppetdb import CROWD, NOW, running  # noqa: E402 - the path to it is made above

OPSBRIEF = Path(sys.executable).with_name("opsbrief")
GOAL = 250  # MB


def collect(label: str, source: str, reports: int, since: str, until: str) -> None:
    """Write a configuration with one source, run a brief, print what it cost and whether all of it came."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "opsbrief.yaml"
        config.write_text(
            f"version: 1\nsources:\n  puppet: {source}\n"
            'services:\n  shop:\n    hosts: []\n    infrastructure: {nodes: "many*"}\n'
        )
        command = [
            str(OPSBRIEF), "--config", str(config), "collect", "shop", "--since", since, "--until", until,
            "--baseline", "before:1h", "-o", name, "--timeout", "120", "--json",
        ]  # fmt: skip
        started = time.monotonic()
        with (Path(name) / "said").open("wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
            _, _, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        bundle = Path(json.loads((Path(name) / "said").read_text())["bundle"])
        told = (bundle / "evidence" / "items.jsonl").read_text().count('"stated":')
        if told < reports:
            raise SystemExit(f"{label}: {told} of {reports} runs came")
        cpu = usage.ru_utime + usage.ru_stime
        peak = usage.ru_maxrss / 1024
        verdict = "reached" if peak <= GOAL else "MISSED"
        print(f"{label:<28} peak {peak:6.0f} MB (goal {GOAL}: {verdict})   {cpu:5.2f} s CPU   {wall:5.2f} s wall")


def store(folder: Path, count: int) -> None:
    """Write recorded reports as those of 20 nodes, two minutes apart."""
    recorded = [path.read_text() for path in sorted((ROOT / "tests/recorded/puppet").glob("*.yaml"))]
    recorded = [text for text in recorded if text.startswith("--- !ruby")]
    for number in range(count):
        node, at = f"many{number % 20}.example", NOW - timedelta(minutes=115 - number // 20 * 2)
        text = recorded[number % len(recorded)]
        own = next(line for line in text.splitlines() if line.startswith("time: "))
        uuid = next(line for line in text.splitlines() if line.startswith("transaction_uuid: "))
        text = text.replace("host: app01.example.com", f"host: {node}", 1).replace(own, f"time: '{at.isoformat()}'", 1)
        path = folder / node / f"{at:%Y%m%d%H%M}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(uuid, f"transaction_uuid: {number}", 1))
        os.utime(path, (at.timestamp(), at.timestamp()))


def main() -> None:
    """Run both."""
    since, until = f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    with tempfile.TemporaryDirectory() as name:
        store(Path(name), 1000)
        collect("1,000 report files", f"{{type: puppetreport, path: '{name}', timeout: 120s}}", 1000, since, until)
    with running() as server:
        server.store(*CROWD)
        collect("1,000 reports of PuppetDB", f"{{type: puppetdb, url: '{server.url}'}}", 1000, since, until)


if __name__ == "__main__":
    main()
