"""Real journal files: ``systemd-journal-remote`` (from Debian's package, unpacked) makes them of export text."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.system.debian import libraries, unpacked
from tests.system.graphite import MissingError

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "journal"
Entry = Mapping[str, str | int | bytes]


def install() -> Path:
    """Return the program in the cache that writes journals; ``journalctl`` is the machine's own."""
    if not shutil.which("journalctl"):
        raise MissingError("there is no journalctl here (Debian: apt-get install systemd)")
    home = unpacked(CACHE, "systemd-journal-remote", "libsystemd-shared")
    for program in home.rglob("systemd-journal-remote"):
        if program.is_file() and os.access(program, os.X_OK):
            return program
    raise MissingError("the package systemd-journal-remote holds no program")


def entry(at: float, message: str | bytes, **fields: str | int | bytes) -> Entry:
    """Return an entry as an application's unit writes it; ``fields`` come on top."""
    return {
        "__REALTIME_TIMESTAMP": round(at * 1e6), "__MONOTONIC_TIMESTAMP": round((at - 1.7e9) * 1e6),
        "_BOOT_ID": "a" * 32, "_HOSTNAME": "app1", "_SYSTEMD_UNIT": "shop.service", "PRIORITY": 6,
        "SYSLOG_IDENTIFIER": "shop", "_PID": 4711, "MESSAGE": message, **fields,
    }  # fmt: skip


def write(path: Path, rows: Iterable[Entry]) -> None:
    """Make a journal file; entries are in the order of time."""
    text = b"".join(b"".join(map(_field, *zip(*row.items(), strict=True))) + b"\n" for row in rows)
    done = subprocess.run(
        [install(), "-o", path, "-"], input=text, capture_output=True, check=False, timeout=60,
        env=libraries(CACHE / "root"),
    )  # fmt: skip
    if done.returncode:
        raise MissingError(f"systemd-journal-remote: {done.stderr.decode(errors='replace')[-300:]}")


def _field(name: str, value: str | int | bytes) -> bytes:
    """Return a field in the export format: with its length in front where it is not one line of text."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    if any(byte < 32 or byte == 127 for byte in raw):
        return name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
    return name.encode() + b"=" + raw + b"\n"
