"""Log files, rotated and compressed ones too: the lines of a stretch of time, each file with what it covers."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from glob import glob, has_magic
from hashlib import sha256
from pathlib import Path
from typing import IO

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Origin
from opsbrief.model.window import utc
from opsbrief.readers.lines import store
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

_LINE = 1 << 16  # bytes of a line; what is longer is cut
_SMALL = 1 << 20  # a smaller file is read rather than searched
_NEAR = 1 << 16  # bytes to which a place in a file is narrowed down
_HELD = 256 << 20  # bytes that a packed file may become
_PAGE = 5000  # lines between two looks at the clock
_LATE = 86400  # seconds that a file's clock and ours may disagree
_OUT_OF_ORDER = 120  # seconds by which lines may be

#: Returns the time of a line in epoch seconds, None when it says none.
Stamp = Callable[[bytes], float | None]


@dataclass(slots=True)
class Shelf:
    """All the files of one source. ``first`` is the oldest time that was seen in any of them."""

    source: str
    paths: tuple[str, ...]
    gaps: list[Gap] = field(default_factory=list)
    first: float | None = None
    lines: int = 0

    def read(
        self, since: float, until: float, reader: Callable[[float], Stamp], deadline: Deadline
    ) -> Iterator[tuple[Path, float, bytes]]:
        """Yield (file, time, line) of every line in [since, until) that has a time, file by file, the oldest first.

        ``reader`` makes the stamp reader of a file that was last written at the epoch it is given. Raises
        SourceError when no file is there; a file that cannot be read becomes one of ``gaps``.
        """
        found = []
        for path in expand(self.paths):
            with self._guard(path):
                stamp = reader(path.stat().st_mtime)
                begins = self._begin(path, stamp, deadline)
                if begins is not None:
                    found.append((begins, path, stamp))
        if found:
            self.first = min(begins for begins, _, _ in found)
        for _, path, stamp in sorted(found, key=lambda one: (one[0], str(one[1]))):
            with self._guard(path):
                for at, text in self._lines(path, since, until, stamp, deadline):
                    yield path, at, text

    def hold(
        self, found: Iterable[tuple[str, float, bytes]], since: float, until: float, reader: Callable[[float], Stamp]
    ) -> Iterator[tuple[Path, float, bytes]]:
        """Yield as ``read`` does, of (path, time of last change, content) of files that are on another machine."""
        held = []
        for name, changed, data in self._come(found):
            path = Path(name)
            with self._guard(path):
                rows = store.unpacked(path.suffix, data, _HELD).split(b"\n")
                stamp = reader(changed)
                stamped = [(at, row) for row in rows if (at := stamp(row[:_LINE])) is not None]
                if stamped:
                    held.append((stamped[0][0], path, stamped))
                elif any(row.strip() for row in rows):
                    self._lose(
                        path, GapKind.BAD_ANSWER, "no line begins with a time that is understood", "the right file?"
                    )
                else:
                    self._lose(path, GapKind.UNAVAILABLE, "the file is empty")
        if held:
            oldest = min(begins for begins, _, _ in held)
            self.first = oldest if self.first is None else max(self.first, oldest)  # of several hosts, the shortest
        for _, path, stamped in sorted(held, key=lambda one: (one[0], str(one[1]))):
            for at, row in stamped:
                if since <= at < until:
                    yield path, at, row[:_LINE]

    def _come(self, found: Iterable[tuple[str, float, bytes]]) -> Iterator[tuple[str, float, bytes]]:
        """Yield what comes; when it breaks off, the rest is a gap. Raises SourceError when nothing came."""
        count = 0
        try:
            for count, one in enumerate(found, 1):  # noqa: B007 - asked for below
                yield one
        except SourceError as error:
            if not count:
                raise
            self.gaps.append(
                Gap(source=self.source, what="the other files", kind=error.kind, detail=error.message, hint=error.hint)
            )

    def _begin(self, path: Path, stamp: Stamp, deadline: Deadline) -> float | None:
        """Return the time of the first line that has one; without any, the file is a gap."""
        known = store.peek(path)
        deadline.spend(size=len(known.beginning))
        texts = [text for text in known.beginning.split(b"\n") if text.strip()]
        for text in texts:
            if (at := stamp(text[:_LINE])) is not None:
                return at
        if texts:
            detail = f"no line begins with a time that is understood; the first one is: {line(texts[0][:400], 120)}"
            self._lose(path, GapKind.BAD_ANSWER, detail, "is it the right file?")
        else:
            self._lose(path, GapKind.UNAVAILABLE, "the file is empty")
        return None

    def _lines(
        self, path: Path, since: float, until: float, stamp: Stamp, deadline: Deadline
    ) -> Iterator[tuple[float, bytes]]:
        status = path.stat()
        if status.st_mtime < since - _LATE:
            return  # it cannot hold what was written after it was
        with store.opened(path) as file:
            if path.suffix not in store.PACKED and status.st_size > _SMALL:
                file.seek(_place(file, status.st_size, since - _OUT_OF_ORDER, stamp))
            count = 0
            while text := file.readline(_LINE):
                while not text.endswith(b"\n") and (rest := file.readline(_LINE)):
                    deadline.spend(size=len(rest))
                    deadline.remaining()
                    if rest.endswith(b"\n"):
                        break
                count += 1
                if count % _PAGE == 1:
                    deadline.remaining()
                deadline.spend(size=len(text))
                self.lines += 1
                at = stamp(text)
                if at is None:
                    continue
                if at >= until + _OUT_OF_ORDER:
                    return
                if since <= at < until:
                    yield at, text

    def _guard(self, path: Path) -> "_Guard":
        return _Guard(self, path)

    def _lose(self, path: Path, kind: GapKind, detail: str, hint: str = "") -> None:
        self.gaps.append(Gap(source=self.source, what=line(str(path)), kind=kind, detail=detail, hint=hint))


@dataclass(frozen=True, slots=True)
class _Guard:
    """Turns what reading a damaged or vanishing file raises into a gap of the shelf."""

    shelf: Shelf
    path: Path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Return whether the error is dealt with."""
        if isinstance(error, PermissionError):
            hint = "add the user to its group"
            self.shelf._lose(self.path, GapKind.UNAUTHORIZED, "may not be read by this user", hint)  # noqa: SLF001 - its own guard
            return True
        if isinstance(error, store.DAMAGE):
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
            self.shelf._lose(self.path, GapKind.UNAVAILABLE, f"cannot be read: {line(reason)}")  # noqa: SLF001 - same
            return True
        return False


def expand(paths: tuple[str, ...]) -> list[Path]:
    """Return the files that paths and globs mean, each once. Raises SourceError when there is none."""
    found: dict[object, Path] = {}
    for given in paths:
        name = str(Path(given).expanduser())
        for path in sorted(glob(name, recursive=True)) if has_magic(name) else [name]:  # noqa: PTH207 - Path.glob refuses absolute patterns
            key: object = path
            with suppress(OSError):
                status = os.stat(path)  # noqa: PTH116 - a glob gives strings
                key = (status.st_dev, status.st_ino)
            found.setdefault(key, Path(path))
    if not found:
        raise SourceError(
            GapKind.UNAVAILABLE,
            f"no file matches {', '.join(map(line, paths))}",
            "check the path; globs know *, ?, [..]",
        )
    return list(found.values())


def _place(file: IO[bytes], size: int, since: float, stamp: Stamp) -> int:
    """Return an offset, at the begin of a line, before which nothing is as young as ``since``; lines are in order."""
    low, high = 0, size
    while high - low > _NEAR:
        middle = (low + high) // 2
        at, _ = _next(file, middle, stamp)
        if at is not None and at < since:
            low = middle
        else:
            high = middle
    return _next(file, low, stamp)[1] if low else 0


def _next(file: IO[bytes], offset: int, stamp: Stamp) -> tuple[float | None, int]:
    """Return the time of the first stamped line behind ``offset`` and where it begins; no time within a megabyte."""
    file.seek(offset)
    file.readline(_SMALL)
    while (begin := file.tell()) < offset + _SMALL and (text := file.readline(_LINE)):
        if (at := stamp(text)) is not None:
            return at, begin
    return None, offset


def origin(source: str, path: Path, text: bytes, fetched_at: datetime) -> Origin:
    """Return where an event of one line comes from."""
    name = line(str(path))
    return Origin(
        source=source,
        query=f"one line of {name}",
        url=name,
        fetched_at=fetched_at,
        bytes=len(text),
        digest=f"sha256:{sha256(text).hexdigest()}",
    )


def shown(at: float) -> str:
    """Return an epoch as a sentence about files has it."""
    return f"{utc(at):%Y-%m-%d %H:%M:%S} UTC"


def pauses(
    marks: list[tuple[float, bool]], since: float, until: float, least: float = 120
) -> Iterator[tuple[float, float]]:
    """Yield the stretches of [since, until) in which the monitoring did not run, each at least ``least`` seconds.

    ``marks`` are (time, whether it runs from then on) in order of time.
    """
    stopped: float | None = None
    for at, runs in marks:
        if not runs and stopped is None:
            stopped = at
        elif runs and stopped is not None:
            if at - stopped >= least:
                yield max(since, stopped), min(until, at)
            stopped = None
    if stopped is not None and until - stopped >= least:
        yield max(since, stopped), until
