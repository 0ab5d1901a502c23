"""Deploys from a file or a command: the escape hatch for whatever deploys here.

Reads tab-separated lines (``2026-03-06T17:04:12+01:00 TAB 2.14.0 TAB text``), JSON lines, Capistrano's
``revisions.log``, or lines that a pattern with named groups describes.
"""

import hashlib
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsbrief import text
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap, Item, Origin, Role
from opsbrief.model.marking import Marking
from opsbrief.model.window import Deploy, TimeKind, Window
from opsbrief.readers.deploys import capistrano
from opsbrief.readers.deploys.capistrano import Rollback
from opsbrief.readers.marks import FIELDS, Bad, Mark, Reader, settle, written
from opsbrief.source import Source
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

CAP = 64 << 20  # bytes that are read of one file, from its end, or of a command's output
_BLOCK = 1 << 20
_REMARKS = ("note", "fix")  # what a line may record that is no deploy
_PAGE = 10_000  # lines that are read between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployLines(Source):
    """A file (or several) or a command whose lines record deploys."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "events", "deploys"})

    path: str = field(default="", metadata={"help": "file or glob; or use command", "path": True})
    command: tuple[str, ...] = field(default=(), metadata={"help": "program and arguments, run without a shell"})
    format: Literal["auto", "tsv", "json", "capistrano", "regex"] = field(
        default="auto",
        metadata={"help": "of the lines: auto, tsv (time, id, text), json, capistrano (revisions.log), regex"},
    )
    pattern: str = field(
        default="",
        metadata={"help": "for regex: named groups time, ref, and perhaps note, status, kind", "regex": True},
    )
    fields: dict[str, str] = field(
        default_factory=dict, metadata={"help": f"for json: names of the fields for {', '.join(FIELDS)}"}
    )
    zone: str = field(default="UTC", metadata={"help": "zone of times that are written without an offset"})
    time: Literal["deploy start", "deploy end", "event time", "log time"] = field(
        default="event time", metadata={"help": "which instant the lines record, where they do not say"}
    )

    @property
    def role(self) -> Role:
        """Deploys are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the deploys in [since, until], failed ones marked as such."""
        for found in self._marks(since, deadline):
            if isinstance(found, Gap):
                yield found
            elif since <= found.at <= until and found.state not in _REMARKS:
                yield Deploy(
                    at=found.at,
                    ref=found.ref,
                    note=found.note,
                    source=self.name,
                    time_kind=self._kind(found),
                    succeeded=found.state != "failed",
                    rollback=found.rollback,
                )

    def mark(self, marking: Marking, deadline: Deadline) -> str:
        """Append a line to the file, which is made when it is not there; several writers do not mix theirs."""
        deadline.remaining()
        plain = self.format in {"auto", "tsv"} and not self.pattern
        if not self.path or not plain or any(char in self.path for char in "*?["):
            raise SourceError(
                GapKind.REJECTED,
                f"{self.name} is no file that lines of TIME, TAB, VERSION, TAB, TEXT can be added to",
                "mark into a deploylog with a path of one file and format tsv",
            )
        path = Path(self.path)
        try:
            with path.open("a+b") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - 1))
                broken = size and file.read(1) != b"\n"  # somebody's last line was cut off
                file.write((b"\n" if broken else b"") + written(marking).encode())
        except OSError as error:
            raise SourceError(
                GapKind.UNAUTHORIZED if isinstance(error, PermissionError) else GapKind.UNAVAILABLE,
                f"cannot write {path}: {error.strerror}",
                "check its folder, owner and mode",
            ) from error
        return f"line in {path}"

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change for every deploy in the window and the time before it, an Event for a note."""
        whole = window.whole
        for found in self._marks(whole.start, deadline):
            if isinstance(found, Gap):
                yield found
            elif whole.start <= found.at < whole.end:
                yield self._item(found)

    def _item(self, found: Mark) -> Item:
        raw = found.raw.encode()
        origin = Origin(
            source=self.name,
            query=self._query(),
            fetched_at=datetime.now(UTC),
            bytes=len(raw),
            digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        )
        if found.state in _REMARKS:
            return Event(
                at=found.at, host="", service="", state=found.state, kind="marker", output=found.note, origin=origin
            )
        return Change(
            kind="deploy",
            at=found.at,
            ref=found.ref,
            summary=("failed: " if found.state == "failed" else "") + (found.note or f"deploy {found.ref}"),
            role=self.role,
            hosts=found.hosts,
            time_kind=self._kind(found),
            origin=origin,
        )

    def _kind(self, mark: Mark) -> TimeKind:
        """Return which instant a mark is: what its line says, else what its state tells, else the option."""
        told = {"started": TimeKind.DEPLOY_START, "ended": TimeKind.DEPLOY_END, "failed": TimeKind.DEPLOY_END}
        return mark.kind or told.get(mark.state) or TimeKind(self.time)

    def _query(self) -> str:
        return text.line(shlex.join(self.command) if self.command else self.path)

    def _marks(self, since: datetime, deadline: Deadline) -> Iterator[Mark | Gap]:
        """Yield the marks since ``since`` (and older ones, where reading them costs nothing), then what is amiss."""
        reader, bad = self._reader(), Bad()
        marks: list[Mark] = []
        gaps: list[Gap] = []
        pages = self._output(deadline, gaps) if self.command else self._files(reader, since, deadline, gaps)
        for page in pages:
            for start in range(0, len(page.lines), _PAGE):
                deadline.remaining()
                marks += reader.read(page.lines[start : start + _PAGE], bad)
            told = (line for _, line in page.lines if reader.format in {"auto", "capistrano"})
            for back in capistrano.rollbacks(told, end=page.end):
                at = _witnessed(back, page.path)
                if at:
                    marks.append(back.mark(at))
                elif back.before is None or back.before >= since:
                    gaps.append(self._forgotten(back))
        yield from settle(marks)
        yield from gaps
        if bad.count:
            what = f"{bad.count} line{'s' if bad.count > 1 else ''} of {self._query()}"
            yield self._gap(what, GapKind.BAD_ANSWER, bad.first, "correct them, or set format, pattern or zone")

    def _forgotten(self, back: Rollback) -> Gap:
        known = [("after", back.after), ("before", back.before)]
        when = " and ".join(f"{word} {at:%Y-%m-%d %H:%M:%S} UTC" for word, at in known if at)
        return self._gap(
            f"the time of the rollback to release {back.release}",
            GapKind.UNAVAILABLE,
            f"Capistrano writes none into its log{'; it was ' if when else ''}{when}",
            "read the log where it lies, beside its symlink current, or mark rollbacks: opsbrief mark deploy",
        )

    def _reader(self) -> Reader:
        """Return the reader that the options describe; raise SourceError(REJECTED) when they cannot be meant."""
        if bool(self.path) == bool(self.command):
            raise SourceError(GapKind.REJECTED, f"{self.name} needs either a path or a command", "set one of the two")
        if (self.format == "regex" and not self.pattern) or (self.pattern and self.format not in {"auto", "regex"}):
            raise SourceError(GapKind.REJECTED, f"{self.name}: pattern and format regex go together", "set both")
        if unknown := [name for name in self.fields if name not in FIELDS]:
            raise SourceError(GapKind.REJECTED, f"{self.name}: no field {unknown[0]!r}", f"known: {', '.join(FIELDS)}")
        try:
            zone = ZoneInfo(self.zone)
            pattern = re.compile(self.pattern) if self.pattern else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SourceError(
                GapKind.REJECTED, f"{self.name}: no time zone {self.zone!r}", "write it as Europe/Berlin"
            ) from None
        except re.error as error:
            raise SourceError(GapKind.REJECTED, f"{self.name}: the pattern is wrong: {error}") from None
        if pattern and "time" not in pattern.groupindex:
            raise SourceError(GapKind.REJECTED, f"{self.name}: the pattern has no group (?P<time>...)")
        return Reader(format="regex" if pattern else self.format, zone=zone, pattern=pattern, fields=self.fields)

    def _output(self, deadline: Deadline, gaps: list[Gap]) -> Iterator["_Page"]:
        """Yield the lines that the command prints."""
        done = process.run(self.command, deadline, cap=CAP)
        if done.truncated:
            gaps.append(
                self._gap("the rest of the output", GapKind.TRUNCATED, f"only the first {CAP >> 20} MB were read")
            )
        elif done.status:
            said = text.line(done.stderr, 200)
            raise SourceError(
                GapKind.UNAVAILABLE,
                f"{self.command[0]} ended with status {done.status}" + (f": {said}" if said else ""),
                f"try it by hand: {self._query()}",
            )
        yield _Page(_numbered(done.stdout, 1), end=not done.truncated)

    def _files(self, reader: Reader, since: datetime, deadline: Deadline, gaps: list[Gap]) -> Iterator["_Page"]:
        """Yield the lines of every file; raise SourceError when there is no file at all."""
        paths = [Path(name) for name in sorted(glob(self.path))] or [Path(self.path)]  # noqa: PTH207 - an absolute pattern
        lost: list[SourceError] = []
        for path in paths:
            deadline.remaining()
            try:
                if path.exists() and not path.is_file():
                    lost.append(
                        SourceError(GapKind.REJECTED, f"{path} is not a file", "give the file, or a glob of files")
                    )
                    continue
                with path.open("rb") as file:
                    yield from self._tail(file, reader, since, deadline, gaps)
            except OSError as error:
                lost.append(_lost(path, error))
        if len(lost) == len(paths):
            raise lost[0]
        gaps += [self._gap("one file", error.kind, error.message, error.hint) for error in lost]

    def _tail(
        self, file: BinaryIO, reader: Reader, since: datetime, deadline: Deadline, gaps: list[Gap]
    ) -> Iterator["_Page"]:
        """Yield the lines of one file: all of a small one, of a big sorted one those since ``since``."""
        size = file.seek(0, 2)
        if size <= _BLOCK:
            file.seek(0)
            deadline.spend(size=size)
            yield _Page(_numbered(file.read(size), 1), end=True, path=Path(file.name))
            return
        begin, rest = size, b""
        while begin and size - begin < CAP:
            deadline.remaining()
            last, begin = begin, max(0, begin - _BLOCK)
            file.seek(begin)
            block = file.read(last - begin) + rest
            deadline.spend(size=len(block) - len(rest))
            # The first line of a block is cut in two, unless the block is the first of the file.
            rest, _, whole = (b"", b"", block) if not begin else block.partition(b"\n")
            lines = _numbered(whole, 0)
            yield _Page(lines, end=last == size, path=Path(file.name))
            first = next(reader.read(lines, Bad()), None)
            newest = next(reader.read(reversed(lines), Bad()), None)
            if first and newest and first.at <= newest.at < since:
                return
        if begin:
            what = f"what is older than the last {CAP >> 20} MB of {text.line(file.name)}"
            gaps.append(self._gap(what, GapKind.TRUNCATED, "more is not read", "rotate the file"))

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)


@dataclass(frozen=True, slots=True)
class _Page:
    """Lines that follow each other."""

    lines: list[tuple[int, str]]
    end: bool  # the last of them is the last of the log
    path: Path | None = None  # of a file on this machine


def _witnessed(back: Rollback, path: Path | None) -> datetime | None:
    """Return when a rollback was, by the symlink that it set, else by the archive it made of the release it left."""
    if path is None:
        return None
    witnesses = [path.with_name(f"rolled-back-release-{back.left}.tar.gz")] if back.left else []
    with suppress(OSError):
        current = path.with_name("current")
        if back.newest and current.readlink().name == back.release:
            witnesses.insert(0, current)
    for witness in witnesses:
        with suppress(OSError, OverflowError, ValueError):
            at = datetime.fromtimestamp(witness.lstat().st_mtime, UTC)
            if back.possible(at):
                return at
    return None


def _lost(path: Path, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        hint = "check the path; each deploy should append a line: TIME, TAB, VERSION, TAB, TEXT"
        return SourceError(GapKind.UNAVAILABLE, f"there is no file {path}", hint)
    kind = GapKind.UNAUTHORIZED if isinstance(error, PermissionError) else GapKind.UNAVAILABLE
    return SourceError(kind, f"cannot read {path}: {error.strerror}", "check its owner and mode")


def _numbered(data: bytes, first: int) -> list[tuple[int, str]]:
    """Return each line, capped, with its number (0: not known)."""
    lines = text.decode(data).removeprefix("\ufeff").split("\n")
    return [(number if first else 0, line[: text.LINE_CAP]) for number, line in enumerate(lines, first)]
