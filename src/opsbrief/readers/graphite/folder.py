"""A folder of whisper files seen as a tree of metrics: ``a/b/c.wsp`` is ``a.b.c``."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap
from opsbrief.readers.graphite.target import glob, levels
from opsbrief.text import line

_SUFFIX = ".wsp"
_LITERAL = re.compile(r"[^*?\[\]{}\\/\x00]+\Z")
_DEEP = 40  # levels that ** goes down


@dataclass(frozen=True, slots=True)
class Found:
    """One metric and its file."""

    name: str
    path: str


class Folder:
    """Finds files by Graphite's globs. Each folder is listed once; symbolic links may not lead outside."""

    def __init__(self, root: Path) -> None:
        """Look into ``root``, which may be a link itself."""
        self._root = str(root)
        self._real = os.path.realpath(root)
        self._outside: list[str] = []
        self._unread: list[str] = []
        self._list = cache(self._read)

    def find(self, pattern: str) -> list[Found]:
        """Return the metrics that match, sorted by name. Raises TargetError for a pattern that is none."""
        if ";" in pattern and not pattern.startswith("_tagged."):
            return self._tagged(pattern)
        parts = levels(pattern)
        return sorted(self._walk(self._root, "", parts), key=lambda found: found.name)

    def file(self, name: str) -> Found | None:
        """Return the file of one metric by its exact name."""
        if ";" in name and not name.startswith("_tagged."):
            return next(iter(self._tagged(name)), None)
        *branches, leaf = name.split(".")
        folder = self._root
        for branch in branches:
            folder = self._list(folder)[0].get(branch, "")
            if not folder:
                return None
        path = self._list(folder)[1].get(leaf)
        return Found(name, path) if path else None

    def names(self, pattern: str) -> tuple[str, ...]:
        """Return the names on the last level of ``pattern``, sorted; a branch ends with a dot."""
        parts = levels(pattern)
        branches = set()
        for folder, prefix in self._down(self._root, "", parts[:-1]):
            branches |= {f"{prefix}{name}." for name, _ in self._folders(folder, parts[-1])}
        return tuple(sorted(branches | {found.name for found in self.find(pattern)}))

    def gaps(self, source: str) -> Iterator[Gap]:
        """Yield what was seen but not entered."""
        for names, detail in (
            (self._outside, "a symbolic link leads out of the folder; not followed"),
            (self._unread, "cannot be listed: no right to read it"),
        ):
            for name in dict.fromkeys(names):
                yield Gap(source=source, what=f"folder {line(name)}", kind=GapKind.REJECTED, detail=detail)

    def _walk(self, folder: str, prefix: str, parts: Sequence[str]) -> Iterator[Found]:
        last = parts[-1]
        for where, before in self._down(folder, prefix, parts[:-1]):
            if last == "**":
                for deep, name in self._all(where, before, 0):
                    yield from self._files(deep, name, "*")
            else:
                yield from self._files(where, before, last)

    def _down(self, folder: str, prefix: str, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield (folder, prefix of names in it) for every folder the levels in ``parts`` lead to."""
        if not parts:
            yield folder, prefix
        elif parts[0] == "**":
            for deep, name in self._all(folder, prefix, 0):
                yield from self._down(deep, name, parts[1:])
        else:
            for name, path in self._folders(folder, parts[0]):
                yield from self._down(path, f"{prefix}{name}.", parts[1:])

    def _all(self, folder: str, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
        yield folder, prefix
        if depth < _DEEP:
            for name, path in self._folders(folder, "*"):
                yield from self._all(path, f"{prefix}{name}.", depth + 1)

    def _folders(self, folder: str, part: str) -> list[tuple[str, str]]:
        folders = self._list(folder)[0]
        if _LITERAL.match(part):
            return [(part, folders[part])] if part in folders else []
        wanted = glob(part)
        return [(name, path) for name, path in folders.items() if wanted.match(name)]

    def _files(self, folder: str, prefix: str, part: str) -> Iterator[Found]:
        files = self._list(folder)[1]
        if _LITERAL.match(part):
            if part in files:
                yield Found(prefix + part, files[part])
            return
        wanted = glob(part)
        yield from (Found(prefix + name, path) for name, path in files.items() if wanted.match(name))

    def _read(self, folder: str) -> tuple[dict[str, str], dict[str, str]]:
        """List a folder: its folders and its metrics, by name."""
        folders: dict[str, str] = {}
        files: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or (entry.is_symlink() and not self._inside(entry.path)):
                        continue
                    if entry.name.endswith(_SUFFIX) and entry.is_file():
                        files[entry.name.removesuffix(_SUFFIX)] = entry.path
                    elif entry.is_dir():
                        folders[entry.name] = entry.path
        except OSError:
            self._unread.append(folder)
        return folders, files

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        if real == self._real or real.startswith(self._real + os.sep):
            return True
        self._outside.append(path)
        return False

    def _tagged(self, name: str) -> list[Found]:
        """Find ``disk.used;host=a`` where carbon puts it: under the hash of its name, tags sorted."""
        metric, *tags = name.split(";")
        canon = ";".join([metric, *sorted(tags)])
        key = sha256(canon.encode()).hexdigest()
        readable = canon.replace(".", "_DOT_")
        for leaf in (key, readable):
            found = self.file(f"_tagged.{key[:3]}.{key[3:6]}.{leaf}")
            if found:
                return [Found(canon, found.path)]
        return []
