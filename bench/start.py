"""What ``opsbrief --version`` and ``--help`` cost beside an interpreter that does nothing.

    python bench/start.py [--rounds 25]

The installed command of this environment is started, as a person would; the floor is ``python -c pass``
of the same environment. The other commands are there to show what the lazy imports save.
"""

import argparse
import sys
from pathlib import Path

from measure import goal, ratio, rounds, run, table

FLOOR = "python -c pass (floor)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    command = str(Path(sys.executable).with_name("opsbrief"))
    ways = {
        FLOOR: [sys.executable, "-c", "pass"],
        "opsbrief --version": [command, "--version"],
        "opsbrief --help": [command, "--help"],
        "opsbrief collect --help (with click)": [command, "collect", "--help"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
        "python -c 'import requests'": [sys.executable, "-c", "import requests"],
    }
    rows = rounds({name: lambda argv=argv: run(argv) for name, argv in ways.items()}, options.rounds)
    print(f"{options.rounds} rounds, medians; Python {sys.version.split()[0]}")
    table(rows, FLOOR)
    goal("--version", ratio(rows, "opsbrief --version", FLOOR), 1.5, " x")
    goal("--help", ratio(rows, "opsbrief --help", FLOOR), 4, " x")


if __name__ == "__main__":
    main()
