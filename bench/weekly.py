"""What a second worker is worth: the digest of a week over 50 services, with one worker and with two.

    python bench/weekly.py [--services 50] [--rounds 3]

The services share the demo's storage (whisper files, log files, two repositories, a deploy log), so that
files are read from memory and the work is what is measured. Every round lets each way take its turn; goal:
two workers take at most 1/1.8 of the wall time of one.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from measure import goal, middle, rounds, run, table

from opsbrief.demo import build


def main() -> None:
    """Build the storage, run the rounds, print both ways and the ratio."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--services", type=int, default=50)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = fleet(Path(folder) / "story", given.services)
        environment = os.environ | {"XDG_STATE_HOME": folder}

        def way(workers: int) -> list[str]:
            return [sys.executable, "-m", "opsbrief", "--config", str(config), "weekly", "--since", "7d", "--cron",
                    "--workers", str(workers), "-o", folder]  # fmt: skip

        # 3: the demo has no data of two weeks ago, which every service rightly calls a gap
        ways = {f"{count} worker{'s' * (count > 1)}": way(count) for count in (1, 2)}
        rows = rounds(
            {name: lambda argv=argv: run(argv, environment, allow=(0, 3)) for name, argv in ways.items()}, given.rounds
        )
    table(rows, "1 worker")
    gained = statistics.median(row["1 worker"].wall / row["2 workers"].wall for row in rows)
    each = middle(rows, "1 worker", "wall") / given.services
    print(f"\n{given.services} services, {each:.2f} s each; {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"two workers are {gained:.2f} times as fast as one")
    goal("wall time of two workers by that of one", 1 / gained, 1 / 1.8)


def fleet(folder: Path, count: int) -> Path:
    """Write the demo's storage and a configuration with ``count`` services on it; return the configuration."""
    config = build(folder, datetime.now(UTC))
    written = config.read_text(encoding="utf-8")
    found = re.search(r"(?ms)^  shop:\n.*?(?=^\S)", written)
    if not found:
        raise SystemExit("the demo's configuration has no service shop")
    services = "".join(found[0].replace("  shop:", f"  shop{number}:", 1) for number in range(1, count + 1))
    config.write_text(written.replace(found[0], services), encoding="utf-8")
    return config


if __name__ == "__main__":
    main()
