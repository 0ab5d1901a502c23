"""Fill the cache with servers and say which could not be had: ``python -m tests.system.install exim monit``."""

import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module

from tests.system.graphite import MissingError


def main(names: Sequence[str]) -> int:
    """Install the servers of the modules called so; return 1 when one could not be had."""
    missing = 0
    for name in names:
        module = import_module(f"tests.system.{name}")
        try:
            said = f"in {module.install()}"
        except (MissingError, OSError, subprocess.SubprocessError) as error:
            missing, said = 1, f"missing: {error}"
        sys.stdout.write(f"{name}: {said}\n")
        sys.stdout.flush()
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
