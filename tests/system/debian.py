"""Programs out of Debian packages that are unpacked into the cache, not installed."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.system.graphite import MissingError


def unpacked(cache: Path, *packages: str) -> Path:
    """Return the folder that holds the packages' files, with the libraries that this machine does not have."""
    home = cache / "root"
    if home.is_dir():
        return home
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingError(f"taken from Debian's packages {', '.join(packages)}; there is no apt-get here")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as name:
        room = Path(name)
        planned = _apt("install", "--simulate", "--no-install-recommends", *packages, room=room)
        libraries = re.findall(r"^Inst (lib\S+)", planned, re.MULTILINE)
        said = _apt("download", *packages, *libraries, room=room)
        found = [*room.glob("*.deb")]
        if any(not [one for one in found if one.name.startswith(f"{package}_")] for package in packages):
            raise MissingError(f"apt-get download {' '.join(packages)}: {said.strip()[-200:]} (apt-get update?)")
        for package in found:
            subprocess.run(["dpkg", "-x", package, room / "root"], check=True, timeout=120)
        with suppress(OSError):  # another run was faster
            (room / "root").rename(home)
    return home


def libraries(home: Path) -> dict[str, str]:
    """Return the environment in which programs below ``home`` find the libraries that were unpacked with them."""
    folders = sorted({str(path.parent) for path in home.rglob("lib*.so*")})
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ":".join(folders)}


def _apt(*arguments: str, room: Path) -> str:
    done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, timeout=300, cwd=room)
    return done.stdout + done.stderr
