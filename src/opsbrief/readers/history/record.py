"""What ``git log`` and ``git diff-tree`` print with ``-z``, as values. Bytes in, clean text out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from opsbrief.model.evidence import Addition, Edit, FileStat
from opsbrief.model.window import utc
from opsbrief.text import clean, line

#: One commit: header fields, then its raw and numstat entries, all separated by NUL.
FORMAT = "--format=tformat:commit %H%x00%P%x00%an%x00%at%x00%ct%x00%s"
FILES = 2000  # files of one commit or diff that are kept

_HEADER = 6
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
#: A number that stands alone or before a unit: no part of a word, of an address or of a version.
_NUMBER = re.compile(rb"(?<![\w.])\d{1,15}(?:\.\d{1,9})?(?![\d.]*\.\d)(?=[A-Za-z%]{0,3}(?!\w))")
_WORD = re.compile(rb"[^\W\d_]{3}")
_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|(.))", re.DOTALL)
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(slots=True)
class Stats:
    """Files of one diff while its entries are read."""

    files: dict[bytes, FileStat] = field(default_factory=dict)
    count: int = 0

    def take(self, token: bytes, rest: Iterator[bytes]) -> None:
        """Take one raw or numstat entry; a rename has its two names in the tokens after it."""
        if token.startswith(b":"):
            status = token[token.rfind(b" ") + 1 :][:1].decode("ascii", "replace")
            name = next(rest, b"")
            if status in "RC":
                name = next(rest, b"")
            self.count += 1
            if self.count <= FILES:
                self.files[name] = FileStat(path=line(name), status=status)
            return
        added, deleted, name = (*token.split(b"\t", 2), b"", b"", b"")[:3]
        if not name:
            next(rest, b"")
            name = next(rest, b"")
        if known := self.files.get(name):
            self.files[name] = FileStat(
                path=known.path,
                status=known.status,
                added=int(added) if added.isdigit() else 0,
                deleted=int(deleted) if deleted.isdigit() else 0,
                binary=added == b"-",
            )

    def done(self) -> tuple[FileStat, ...]:
        """Return the files in git's order."""
        return tuple(self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit with its files against its first parent."""

    id: str
    parents: tuple[str, ...]
    author: str
    authored_at: datetime
    committed_at: datetime
    subject: str
    files: tuple[FileStat, ...]
    count: int  # files it has, also those beyond the cap


def _tokens(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest.strip():
        yield rest


def commits(chunks: Iterable[bytes]) -> Iterator[Commit]:
    """Yield each commit of ``git log -z --raw --numstat`` in FORMAT as soon as it is whole."""
    tokens = _tokens(chunks)
    header: list[bytes] = []
    stats = Stats()
    for token in tokens:
        entry = token.lstrip(b"\n")
        if entry.startswith(b"commit "):
            if header:
                yield _commit(header, stats)
            header = [entry[7:], *(next(tokens, b"") for _ in range(_HEADER - 1))]
            stats = Stats()
        elif entry:
            stats.take(entry, tokens)
    if header:
        yield _commit(header, stats)


def _commit(header: list[bytes], stats: Stats) -> Commit:
    name, parents, author, authored, committed, subject = header
    return Commit(
        id=name.decode("ascii", "replace"),
        parents=tuple(parents.decode("ascii", "replace").split()),
        author=line(author),
        authored_at=_time(authored),
        committed_at=_time(committed),
        subject=line(subject),
        files=stats.done(),
        count=stats.count,
    )


def _time(epoch: bytes) -> datetime:
    """Return the instant; a date no calendar holds (git stores any number) becomes 1970."""
    try:
        return utc(int(epoch))
    except (ValueError, OverflowError, OSError):
        return utc(0)


def files(chunks: Iterable[bytes]) -> tuple[tuple[FileStat, ...], int]:
    """Return the files of ``git diff-tree -z --raw --numstat`` and how many there really are."""
    stats = Stats()
    tokens = _tokens(chunks)
    for token in tokens:
        if entry := token.lstrip(b"\n"):
            stats.take(entry, tokens)
    return stats.done(), stats.count


def additions(chunks: Iterable[bytes], *, most: int, each: int) -> tuple[tuple[Addition, ...], bool]:
    """Return the added lines of a patch without context, and whether all are there.

    At most ``most`` lines in all and ``each`` of one file. Lines without a word of three letters
    (braces, numbers) cannot say a log message and are left out.
    """
    found: list[Addition] = []
    whole = True
    path, number, old, new, kept = "", 0, 0, 0, 0
    for text in _lines(chunks):
        if new and text.startswith(b"+"):
            if path and _WORD.search(text):
                if kept >= each or len(found) >= most:
                    whole = False
                else:
                    kept += 1
                    found.append(Addition(path=path, line=number, text=clean(text[1:], 400)))
            number, new = number + 1, new - 1
        elif old and text.startswith(b"-"):
            old -= 1
        elif hunk := _HUNK.match(text):
            old, number, new = (int(part) if part is not None else 1 for part in hunk.groups())
        elif text.startswith(b"+++ "):
            path, kept = _path(text[4:]), 0
        if len(found) >= most and not whole:
            break
    return tuple(found), whole


def edits(chunks: Iterable[bytes], *, most: int) -> tuple[Edit, ...]:
    """Return the lines of a patch without context of which only numbers changed, at most ``most``.

    Where a stretch has as many lines as before, each is taken for the old one in its place.
    """
    found: list[Edit] = []
    path, number, left = "", 0, [0, 0]
    old: list[bytes] = []
    new: list[bytes] = []
    for text in _lines(chunks):
        if left[0] and text.startswith(b"-"):
            old.append(text[1:])
            left[0] -= 1
        elif left[1] and text.startswith(b"+"):
            new.append(text[1:])
            left[1] -= 1
            if not any(left) and len(old) == len(new) and path:
                rows = zip(old, new, strict=True)
                found += [
                    Edit(path, number + at, clean(a.strip(), 200), clean(b.strip(), 200))
                    for at, (a, b) in enumerate(rows)
                    if a != b and _NUMBER.sub(b"#", a) == _NUMBER.sub(b"#", b)
                ]
        elif hunk := _HUNK.match(text):
            left = [int(hunk[1]) if hunk[1] else 1, int(hunk[3]) if hunk[3] else 1]
            number, old, new = int(hunk[2]), [], []
        elif text.startswith(b"+++ "):
            path = _path(text[4:])
        if len(found) >= most:
            break
    return tuple(found[:most])


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > 1 << 16:  # a line as long as a minified file: its start is enough
            rest = rest[: 1 << 16]
    if rest:
        yield rest


def _path(name: bytes) -> str:
    """Return the path of a ``+++`` line; git quotes names that have control characters or quotes."""
    name = name.removesuffix(b"\t")
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(_unescape, name[1:-1])
    return "" if name == b"/dev/null" else line(name.removeprefix(b"b/"))


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 8) & 0xFF])
    return _ESCAPES.get(match[2], match[2])
