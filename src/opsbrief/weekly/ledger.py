"""What digests have told before, in one small file a configuration, so that old news is not told again.

The file maps service and key (see ``model.digest``) to the period in which it was told first. Telling
the same period again changes nothing, so a run that was killed can simply be repeated.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from opsbrief import bundle
from opsbrief.errors import OpsbriefError
from opsbrief.model.artifact import Artifact

FORMAT = "opsbrief.ledger/1"
MOST = 5000  # entries kept of one service, the newest

Told = dict[str, dict[str, str]]  # service -> key -> period


def place(files: Iterable[Path]) -> Path:
    """Return where the ledger of a configuration is: in the user's state folder, one for each set of files.

    Raises OpsbriefError when there is no such folder because the user has no home.
    """
    folder = platformdirs.user_state_path("opsbrief")
    if not folder.is_absolute():  # no HOME, and no entry in the list of users
        raise OpsbriefError("there is no folder for the ledger: this user has no home", "set HOME or XDG_STATE_HOME")
    names = "\0".join(str(path.resolve()) for path in files)
    return folder / f"weekly-{hashlib.sha256(names.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}.json"


def read(path: Path) -> tuple[Told, str]:
    """Return what was told before, and a sentence when the file cannot be believed and is put aside."""
    try:
        return _checked(json.loads(path.read_bytes())), ""
    except FileNotFoundError:
        return {}, ""
    except (ValueError, OSError, RecursionError) as error:
        with suppress(OSError):
            path.replace(path.with_suffix(".broken"))
        return {}, f"the ledger of what was told before could not be read ({error}), so old news may be told again"


def write(path: Path, told: Mapping[str, Mapping[str, str]]) -> None:
    """Replace the file, whole or not at all, readable by its owner only."""
    kept = {service: dict(list(keys.items())[-MOST:]) for service, keys in told.items()}
    data = json.dumps({"format": FORMAT, "told": kept}, ensure_ascii=False, indent=0).encode("utf-8", "replace")
    list(bundle.extract(path.parent, [Artifact(path.name, "application/json", data)]))


def add(told: Told, fresh: Mapping[str, Iterable[str]], period: str) -> Told:
    """Return ``told`` with the keys told in ``period``; what was told before keeps its period, but is young again."""
    merged = {service: dict(keys) for service, keys in told.items()}
    for service, keys in fresh.items():
        mine = merged.setdefault(service, {})
        for key in keys:
            mine[key] = mine.pop(key, period)
    return merged


def _checked(data: Any) -> Told:  # noqa: ANN401 - JSON is any shape
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("told"), dict):
        raise ValueError(f"it is not of the format {FORMAT}")
    for keys in data["told"].values():
        if not isinstance(keys, dict) or not all(isinstance(name, str) for name in keys.values()):
            raise ValueError("an entry has another shape")
    told: Told = data["told"]
    return told
