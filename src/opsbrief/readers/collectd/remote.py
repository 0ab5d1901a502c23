"""collectd's files on other hosts: listed first, then those that are wanted are taken along."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import decode, line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side
from opsbrief.transport.ssh.shell import Shell

Open = Callable[[str], AbstractContextManager[Shell]]
_LISTED = 16 << 20  # bytes of names: some 200,000 files
_AT_ONCE = 200  # files in one command
_SECONDS = 60.0


class Remote:
    """The same folder on one host or several."""

    def __init__(self, opened: Open, hosts: Sequence[str], root: str, deadline: Deadline) -> None:
        """Take how a host is opened; nothing is asked yet."""
        self._open = opened
        self._hosts = tuple(dict.fromkeys(hosts))
        self._root = root
        self._deadline = deadline
        self._where: dict[str, str] = {}  # path -> host
        self.lost: dict[str, SourceError] = {}  # hosts that could not be asked

    def paths(self) -> list[str]:
        """Return the files of all hosts; of a path on several of them, the first host's counts."""
        for host, found in side_by_side(self._list, self._hosts, self._deadline):
            if isinstance(found, SourceError):
                self.lost[host] = found
                continue
            for path in found:
                self._where.setdefault(path, host)
        return sorted(self._where)

    def contents(self, wanted: Iterable[str]) -> Mapping[str, bytes]:
        """Return what is in some of the files; those of a host that fails are missing, which ``lost`` says."""
        mine: dict[str, list[str]] = {}
        for path in dict.fromkeys(wanted):
            mine.setdefault(self._where[path], []).append(path)
        contents: dict[str, bytes] = {}
        for (host, _), found in side_by_side(self._take, [*mine.items()], self._deadline):
            if isinstance(found, SourceError):
                self.lost[host] = found
            else:
                contents |= found
        return contents

    def _list(self, host: str) -> list[str]:
        argv = ["find", self._root, "-mindepth", "3", "-maxdepth", "4", "-type", "f"]
        with self._open(host) as shell:
            done = shell.run(argv, cap=_LISTED, seconds=_SECONDS)
        found = [row for row in decode(done.stdout).split("\n") if row.endswith(".rrd") or "-20" in row]
        if done.truncated:
            raise SourceError(GapKind.TRUNCATED, f"too many files below {line(self._root)} on {line(host)}", "")
        if not found:
            said = line(done.stderr, 200) or "no RRD and no CSV file"
            hint = "path is collectd's data folder there, e.g. /var/lib/collectd"
            raise SourceError(GapKind.UNAVAILABLE, f"below {line(self._root)} on {line(host)}: {said}", hint)
        return found

    def _take(self, mine: tuple[str, list[str]]) -> dict[str, bytes]:
        host, paths = mine
        found: dict[str, bytes] = {}
        with self._open(host) as shell:
            for at in range(0, len(paths), _AT_ONCE):
                some = paths[at : at + _AT_ONCE]
                found |= {path: data for path, _, data in shell.files(some, seconds=_SECONDS)}
        return found
