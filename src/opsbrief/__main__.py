"""The entry point: ``opsbrief`` and ``python -m opsbrief``."""

import sys


def main() -> None:
    """Run the command line; ``--version`` alone is answered without importing it."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from opsbrief import __version__  # noqa: PLC0415 - the fast path is the point

        sys.stdout.write(f"opsbrief {__version__}\n")
        return
    from opsbrief.cli import main as run  # noqa: PLC0415 - same

    run()


if __name__ == "__main__":
    main()
