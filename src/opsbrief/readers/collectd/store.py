"""The folder that collectd's rrdtool and csv plugins write to: HOST/PLUGIN-INSTANCE/TYPE-INSTANCE, one file each."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap
from opsbrief.readers.collectd.identity import Identity
from opsbrief.text import line

_DAY = re.compile(r"(.+)-(\d{4}-\d{2}-\d{2})")
_RRD = ".rrd"
_BOTH = ("rrd", "csv")  # below collectd's own folder
_SIGNS = frozenset("*?[]\n")  # a path with one of them cannot be asked for by itself


@dataclass(slots=True)
class Entry:
    """One metric of one host: its RRD file, its CSV files by day."""

    host: str  # the name of its folder
    plugin: str  # with its instance
    kind: str  # with its instance
    rrd: str = ""
    days: dict[str, str] = field(default_factory=dict)  # 2026-11-20 -> path

    @property
    def name(self) -> str:
        """Return how it is called: what its path has between the root and the ending."""
        return f"{self.host}/{self.plugin}/{self.kind}"

    def identity(self, part: str) -> Identity:
        """Return what it is; folders and files are named as collectd itself names metrics."""
        plugin, _, instance = self.plugin.partition("-")
        kind, _, inner = self.kind.partition("-")
        return Identity(plugin, instance, kind, inner, part)


class Store:
    """Lists what is there. Symbolic links may not lead outside."""

    def __init__(self, root: Path) -> None:
        """Look into ``root``: collectd's data folder, or the one of either plugin."""
        self._real = os.path.realpath(root)
        self._outside: list[str] = []
        self._unread: list[str] = []
        below = self._list(str(root))
        self._roots = [below[name] for name in _BOTH if name in below] or [str(root)]

    def hosts(self) -> tuple[str, ...]:
        """Return the names of the folders of hosts, sorted."""
        return tuple(sorted({name for root in self._roots for name in self._list(root)}))

    def entries(self, hosts: Sequence[str]) -> list[Entry]:
        """Return every metric of some hosts, sorted by name."""
        return _fold(
            (host, plugin, file, path)
            for root in self._roots
            for host in hosts
            for plugin, folder in self._list(self._list(root).get(host, "")).items()
            for file, path in self._list(folder, files=True).items()
        )

    def gaps(self, source: str) -> Iterator[Gap]:
        """Yield what was seen but not entered."""
        for names, detail in (
            (self._outside, "a symbolic link leads out of the folder; not followed"),
            (self._unread, "cannot be listed: no right to read it"),
        ):
            for name in dict.fromkeys(names):
                yield Gap(source=source, what=f"folder {line(name)}", kind=GapKind.REJECTED, detail=detail)

    def _list(self, folder: str, *, files: bool = False) -> dict[str, str]:
        if not folder:
            return {}
        found = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or (entry.is_symlink() and not self._inside(entry.path)):
                        continue
                    if entry.is_file() if files else entry.is_dir():
                        found[entry.name] = entry.path
        except OSError:
            self._unread.append(folder)
        return found

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        if real == self._real or real.startswith(self._real + os.sep):
            return True
        self._outside.append(path)
        return False


class Listing:
    """The same of paths that are known already: those below ``root`` on other hosts."""

    def __init__(self, root: str, paths: Iterable[str]) -> None:
        """Take paths; what does not lie where collectd writes is left out, and where two are one metric, the second."""
        self._rows: dict[str, dict[tuple[str, str], str]] = {}
        for path in paths:
            parts = path.removeprefix(root).strip("/").split("/")
            if len(parts) == 4 and parts[0] in _BOTH:
                del parts[0]
            if len(parts) == 3 and _read(parts[2])[0] and not _SIGNS & set(path):
                self._rows.setdefault(parts[0], {}).setdefault((parts[1], parts[2]), path)

    def hosts(self) -> tuple[str, ...]:
        """Return the names of the folders of hosts, sorted."""
        return tuple(sorted(self._rows))

    def entries(self, hosts: Sequence[str]) -> list[Entry]:
        """Return every metric of some hosts, sorted by name."""
        return _fold(
            (host, plugin, file, path) for host in hosts for (plugin, file), path in self._rows.get(host, {}).items()
        )

    def gaps(self, source: str) -> Iterator[Gap]:  # noqa: ARG002 - as Store
        """Yield nothing: links are not listed there."""
        yield from ()


def _fold(rows: Iterable[tuple[str, str, str, str]]) -> list[Entry]:
    """Return the metrics of (host, plugin, file, path)."""
    found: dict[tuple[str, str, str], Entry] = {}
    for host, plugin, file, path in rows:
        kind, day = _read(file)
        if not kind:
            continue
        entry = found.setdefault((host, plugin, kind), Entry(host, plugin, kind))
        if day:
            entry.days[day] = path
        else:
            entry.rrd = path
    return sorted(found.values(), key=lambda entry: entry.name)


def _read(file: str) -> tuple[str, str]:
    """Return (type with its instance, day) of a file's name; ("", "") for what is neither."""
    if file.endswith(_RRD):
        return file.removesuffix(_RRD), ""
    match = _DAY.fullmatch(file)
    return (match.group(1), match.group(2)) if match else ("", "")


def folders(hosts: Sequence[str], there: Sequence[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the folder of each host of a service, and, for hosts that might be several, which.

    A host may be called by its first label on either side; more than one candidate is none.
    """
    found: dict[str, str] = {}
    unclear: dict[str, tuple[str, ...]] = {}
    lower = {name.lower(): name for name in there}
    for host in hosts:
        plain = host.lower()
        exact = [lower[form] for form in (plain, plain.replace(".", "_")) if form in lower]
        short = [name for name in there if name.lower() == plain.partition(".")[0]] if "." in plain else []
        longer = [name for name in there if name.lower().startswith(f"{plain}.")]
        candidates = exact[:1] or short or longer
        if len(candidates) == 1:
            found[host] = candidates[0]
        elif candidates:
            unclear[host] = tuple(candidates)
    return found, unclear
