"""Files of reports, local or of other hosts: which of a big store need be read for a span of time, and what they say.

A file of the server's store is named by the minute in which it was written, and one of two runs in a minute is lost; a
copy has the time of its copying. So both are hints only, with an hour's slack, and what counts is the content.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path, PurePath

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Origin
from opsbrief.model.window import Span
from opsbrief.readers.alarms.files import expand
from opsbrief.readers.puppet import report, ruby
from opsbrief.readers.puppet.nodes import Nodes, grouped, listed
from opsbrief.readers.puppet.record import Happening, Report
from opsbrief.readers.puppet.tale import Tale
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

SLACK = timedelta(hours=1)
_BACK = 3  # files that are tried for the last run of a node before the span
_SPARE = 0.15  # of the time, which is left for what was read to be told
_UNCHANGED = re.compile(rb"^status: (?:!ruby/sym )?:?unchanged$", re.MULTILINE)
_HOST = re.compile(rb"^host: ['\"]?([^'\"\n]{1,300}?)['\"]?$", re.MULTILINE)
_HEAD = 4096  # bytes in which a report says host and status
_STORED = re.compile(r"(\d{12})\.yaml")  # by the server, in UTC


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it is, when it was written, how to have its content."""

    path: str
    modified: float
    read: Callable[[], bytes]
    host: str = ""  # where it came from, if not from here

    @property
    def named(self) -> datetime | None:
        """The minute of its name in the server's store."""
        found = _STORED.fullmatch(PurePath(self.path).name)
        try:
            return datetime.strptime(found[1], "%Y%m%d%H%M").replace(tzinfo=UTC) if found else None
        except ValueError:
            return None

    @property
    def hint(self) -> float:
        """When it was written, as far as that can be told from outside."""
        return self.named.timestamp() if self.named else self.modified


@dataclass(slots=True)
class Shelf:
    """All the files of one source, and what they tell of one span. ``gaps`` are what did not come."""

    source: str
    nodes: Nodes
    span: Span
    deadline: Deadline
    most: int  # files to read
    changes: bool = False  # only those count: runs that changed nothing are passed over unread
    gaps: list[Gap] = field(default_factory=list)
    files: int = 0  # that held a report
    _bad: dict[str, str] = field(default_factory=dict)  # path to what is wrong
    _summaries: list[tuple[Report, Origin]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)  # runs
    _now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def tale(self, found: Iterable[File]) -> Tale:
        """Return all that files tell of the span and, for each node, of the last run before it. Raises SourceError."""
        tale = Tale()
        folders: dict[tuple[str, str], list[File]] = {}
        for file in found:
            folders.setdefault((file.host, str(PurePath(file.path).parent)), []).append(file)
        since, until = (self.span.start - SLACK).timestamp(), (self.span.end + SLACK).timestamp()
        fresh: list[File] = []
        for files in folders.values():
            fresh += [one for one in files if one.hint >= since and not (one.named and one.hint > until)]
        fresh.sort(key=lambda one: -one.hint)
        if len(fresh) > self.most:
            detail = f"{self.most:,} of {len(fresh):,} files of the window were read, the newest"
            self._gap("older reports", GapKind.TRUNCATED, detail, "raise max_reports, or take a shorter window")
        for count, file in enumerate(fresh[: self.most]):
            if self.deadline.left < _SPARE * self.deadline.seconds:
                detail = f"{count:,} of {len(fresh):,} files of the window were read in time, the newest"
                self._gap("older reports", GapKind.TIMEOUT, detail, "raise timeout, or take a shorter window")
                break
            self._take(file, tale)
        for files in folders.values():
            self._back([one for one in files if one.hint < since], tale)
        for told, origin in self._summaries:  # after all reports, which tell more of the same runs
            self._put(told, [], origin, tale)
        self._silent(tale)
        self._broken()
        if not self.files and not self.gaps:
            self._gap("everything", GapKind.UNAVAILABLE, "none of the files is of the window or the time before it")
        return tale

    def _back(self, older: list[File], tale: Tale) -> None:
        """Read the newest of the older files of one folder until one tells the last run before the span."""
        for file in sorted(older, key=lambda one: -one.hint)[:_BACK]:
            if self._take(file, tale):
                return

    def _take(self, file: File, tale: Tale) -> bool:
        """Read one file; return whether it tells of a run before the span of a node that is meant."""
        self.deadline.remaining()
        name = line(f"{file.host}:{file.path}" if file.host else file.path)
        if (data := self._data(file, name)) is None:
            return False
        if self.changes and self._passed(data[:_HEAD]):
            return True
        try:
            told = self._read(data, file)
        except SourceError as error:
            if error.kind is not GapKind.BAD_ANSWER:
                raise
            self._bad[name] = error.message
            return False
        if told is None:
            return False
        self.files += 1
        found, events = told
        if not self.nodes.wants(found.node):
            return False
        if found.counts:
            self._summaries.append((found, self._origin(name, data)))
        else:
            self._put(found, events, self._origin(name, data), tale)
        return found.end < self.span.start

    def _data(self, file: File, name: str) -> bytes | None:
        """Return the content of a file; what keeps it from being read becomes a gap."""
        try:
            data = file.read()
        except SourceError as error:
            self._bad[name] = error.message
        except PermissionError:
            self._gap(name, GapKind.UNAUTHORIZED, "may not be read by this user", "add the user to its group")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._gap(name, GapKind.UNAVAILABLE, f"cannot be read: {reason}", "check the path")
        else:
            self.deadline.spend(size=len(data))
            return data
        return None

    def _passed(self, head: bytes) -> bool:
        """Return whether a report says at its beginning that nothing changed; its node was heard of all the same."""
        host = _HOST.search(head)
        if not (host and _UNCHANGED.search(head)):
            return False
        self.files += 1
        self.nodes.wants(line(host[1], 300))
        return True

    def _read(self, data: bytes, file: File) -> tuple[Report, list[Happening]] | None:
        told = ruby.load(data, self.deadline)
        if not report.is_summary(told):
            return report.report(told)
        folder = PurePath(file.path).parent.name
        hosts = self.nodes.hosts
        node = file.host or (folder if self.nodes.named(folder) else hosts[0] if len(hosts) == 1 else "")
        if not node:
            detail = "a summary does not say whose it is"
            self._gap(line(file.path), GapKind.UNAVAILABLE, detail, "take last_run_report.yaml, which does")
            return None
        return report.summary(told, node), []

    def _put(self, found: Report, events: list[Happening], origin: Origin, tale: Tale) -> None:
        """Keep a run once: the same report lies on the node and on the server, and its summary beside it."""
        second = round(found.end.timestamp())
        own = self.nodes.host(found.node)
        near = {f"{own} {second + off}" for off in (-2, -1, 0, 1, 2)}
        if found.id in self._known or near & self._known:
            return
        self._known |= {found.id, f"{own} {second}"}
        if found.end >= self.span.start and found.start < self.span.end:
            tale.runs.append((found, origin))
        elif found.end < self.span.start:
            last = tale.earlier.get(own)
            if last and last[0].end > found.end:
                return
            tale.earlier[own] = (found, origin)
        else:
            return
        tale.events += [(one, origin) for one in events]
        if found.counts and any(found.counts) and found.end >= self.span.start:
            detail = f"{found.counts[0]} changed and {found.counts[1]} failed, by the summary, which does not name them"
            self._gap(f"the resources of {own}", GapKind.UNAVAILABLE, detail, "take last_run_report.yaml too")

    def _silent(self, tale: Tale) -> None:
        """Name the nodes that nothing is known of."""
        for doubt in self.nodes.doubles:
            self.deadline.warn(doubt)
        if self.nodes.missing:
            self._gap(listed(self.nodes.missing), GapKind.UNAVAILABLE, "no report of it among the files")
        ran = {self.nodes.host(one.node) for one, _ in tale.runs if one.end >= self.span.start}
        if not self.changes and (new := sorted(ran - tale.earlier.keys())):
            detail = f"there is no report from before {self.span.start:%Y-%m-%d %H:%M} UTC"
            hint = "a node keeps only its last report; the server's store keeps more"
            self._gap(f"the run before the window of {listed(new)}", GapKind.UNAVAILABLE, detail, hint)

    def _broken(self) -> None:
        for reason, paths in grouped(self._bad):
            shown = ", ".join(sorted(paths)[:3]) + (f" and {len(paths) - 3:,} others" if len(paths) > 3 else "")
            self._gap(shown, GapKind.BAD_ANSWER, reason, "is it a report of Puppet?")

    def _origin(self, name: str, data: bytes) -> Origin:
        return Origin(
            source=self.source, query=f"report {name}", url=name, fetched_at=self._now, bytes=len(data),
            digest=f"sha256:{sha256(data).hexdigest()}",
        )  # fmt: skip

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> None:
        self.gaps.append(Gap(source=self.source, what=what, kind=kind, detail=detail, hint=hint))


def local(paths: tuple[str, ...]) -> Iterator[File]:
    """Yield the files that paths, globs and folders mean. Raises SourceError when there is none at all."""
    found: list[Path] = []
    for path in expand(paths):
        found += sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    if not found:
        raise SourceError(
            GapKind.UNAVAILABLE, f"no report in {', '.join(map(line, paths))}", "reports are files NODE/TIME.yaml"
        )
    for path in found:
        try:
            status = path.stat()
        except OSError:
            status = None
        # What cannot be looked at is tried all the same, so that it is said.
        modified = status.st_mtime if status else datetime.now(UTC).timestamp()
        yield File(str(path), modified, lambda path=path: _bytes(path))  # type: ignore[misc] # reason: bound now


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise FileNotFoundError(2, "there is no such file")
    if not path.is_file():
        raise SourceError(GapKind.BAD_ANSWER, "is not a file")
    with path.open("rb") as file:
        return file.read(ruby.CAP + 1)
