"""The entry point: ``opsbrief`` and ``python -m opsbrief``."""

import atexit
import gc
import os
import sys


def main() -> None:
    """Run the command line; ``--version`` and ``--help`` alone are answered without importing click."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from opsbrief import __version__  # noqa: PLC0415 - the fast path is the point

        sys.stdout.write(f"opsbrief {__version__}\n")
    elif sys.argv[1:] in ([], ["--help"], ["-h"]) and "_OPSBRIEF_COMPLETE" not in os.environ:
        from opsbrief.cli import menu  # noqa: PLC0415 - same

        sys.stdout.write(menu.text())
    else:
        # Read by numpy when it is imported: its pool of threads costs 40 ms and never pays on arrays of our size.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Ten thousand log lines are no cycles; looking for some among them even once costs 30 ms. A long run still
        # finds its own: half a million values more than it gave back.
        gc.set_threshold(500_000, 20, 100)
        atexit.register(gc.freeze)  # nor look for any while the interpreter ends: its memory goes with it
        from opsbrief.cli.run import main as run  # noqa: PLC0415 - same

        run()


if __name__ == "__main__":
    main()
