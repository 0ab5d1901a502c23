"""One deploy as a system that deploys tells it, and what every such system's answers have in common."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap, Origin
from opsbrief.model.window import Deploy, TimeKind
from opsbrief.text import line

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer

#: A name that tells one release from another; "main" does not.
_VERSION = re.compile(r"(?<![\w.])(?:v\d+|v?\d+(?:\.\d+)+)", re.IGNORECASE)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SHORT = 12  # characters of a commit id that are shown


class ShapeError(ValueError):
    """A part of an answer is not what it should be; says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One deploy."""

    at: datetime
    ref: str
    note: str
    kind: TimeKind
    origin: Origin
    succeeded: bool = True
    rollback: bool = False
    place: str = ""  # environment, application or workload: within one of them deploys follow each other
    same: str = ""  # what tells whether two deploys brought the same; default: ref

    def deploy(self) -> Deploy:
        """Return it as an entry of a deploy log."""
        return Deploy(
            at=self.at,
            ref=self.ref,
            note=self.note,
            source=self.origin.source,
            time_kind=self.kind,
            succeeded=self.succeeded,
            rollback=self.rollback,
        )

    def change(self) -> Change:
        """Return it as a change of the application."""
        state = "" if self.succeeded else "failed: "
        back = "rollback: " if self.rollback and "roll" not in self.note.casefold() else ""
        return Change(
            kind="deploy",
            at=self.at,
            ref=self.ref,
            summary=state + back + (self.note or f"deploy {self.ref}"),
            role="application",
            time_kind=self.kind,
            origin=self.origin,
        )


Told = Entry | Event | Gap


def as_deploys(told: Iterable[Told], since: datetime, until: datetime) -> Iterator[Deploy | Gap]:
    """Yield the deploys in [since, until] and every gap."""
    for one in told:
        if isinstance(one, Gap):
            yield one
        elif isinstance(one, Entry) and since <= one.at <= until:
            yield one.deploy()


def as_changes(told: Iterable[Told], start: datetime, end: datetime) -> Iterator[Change | Event | Gap]:
    """Yield the deploys in [start, end) as changes, the events in it, and every gap."""
    for one in told:
        if isinstance(one, Gap):
            yield one
        elif start <= one.at < end:
            yield one.change() if isinstance(one, Entry) else one


def with_rollbacks(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries, oldest first, those marked that bring back what another deploy had replaced before.

    Only what succeeded counts; what was deployed before the oldest entry is not known.
    """
    seen: dict[str, set[str]] = {}
    last: dict[str, str] = {}
    found = []
    for entry in sorted(entries, key=lambda entry: entry.at):
        what = entry.same or entry.ref
        before = seen.setdefault(entry.place, set())
        back = bool(what) and what in before and last.get(entry.place) != what
        found.append(replace(entry, rollback=True) if back else entry)
        if entry.succeeded and what:
            before.add(what)
            last[entry.place] = what
    return found


def rows(document: object, what: str) -> Sequence[Any]:
    """Return a document that is a list. Raises SourceError(BAD_ANSWER) when it is none."""
    if not isinstance(document, list):
        raise SourceError(
            GapKind.BAD_ANSWER, f"answered no list of {what}: {line(repr(document), 120)}", "check the url"
        )
    return document


class Bad:
    """Parts of answers that could not be read: how many, and what was wrong with the first."""

    def __init__(self, source: str, what: str) -> None:
        """Take the source's name and what one part is called ("deployment")."""
        self._source = source
        self._what = what
        self._count = 0
        self._first = ""

    def add(self, part: object, error: ShapeError) -> None:
        """Count one more."""
        self._count += 1
        self._first = self._first or f"{error}: {line(repr(part), 120)}"

    def gaps(self) -> Iterator[Gap]:
        """Yield one gap for all of them, or none."""
        if self._count:
            what = f"{self._count} {self._what}{'s' * (self._count > 1)}"
            yield Gap(source=self._source, what=what, kind=GapKind.BAD_ANSWER, detail=self._first)


def table(part: object) -> Mapping[str, Any]:
    """Return a part that is an object. Raises ShapeError."""
    if not isinstance(part, Mapping):
        raise ShapeError("is no object")
    return part


def dig(part: object, *keys: str) -> Any:  # noqa: ANN401 - JSON is any shape
    """Return what stands below ``keys``, None where there is nothing."""
    for key in keys:
        part = part.get(key) if isinstance(part, Mapping) else None
    return part


def word(part: object, *keys: str, cap: int = 200) -> str:
    """Return the text below ``keys`` on one clean line, "" where there is none."""
    found = dig(part, *keys)
    return line(found, cap) if isinstance(found, str) else ""


def moment(said: object) -> datetime:
    """Return an instant that is written as RFC 3339, in UTC. Raises ShapeError, also without an offset."""
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ShapeError(f"{line(repr(said), 60)} is no time")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ShapeError(f"{line(repr(said), 60)} is an impossible time") from None


def perhaps(said: object) -> datetime | None:
    """Return an instant, None where nothing is said. Raises ShapeError for what is no instant."""
    return None if said in (None, "") else moment(said)


def named(ref: str, commit: str) -> str:
    """Return what to call a deploy of ``ref`` at ``commit``: a version as it is, else the commit, else the ref."""
    ref = ref.removeprefix("refs/tags/").removeprefix("refs/heads/")
    if _VERSION.search(ref) or not commit:
        return ref[:_SHORT] if _COMMIT.fullmatch(ref) else ref
    return commit[:_SHORT] if _COMMIT.fullmatch(commit) else commit


def shown(url: str) -> str:
    """Return a URL without user, password and slash at its end."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def origin(source: str, query: str, answer: "Answer") -> Origin:
    """Return where the entries of one answer come from."""
    return Origin(
        source=source,
        query=query,
        url=shown(answer.url),
        fetched_at=datetime.now(UTC).replace(microsecond=0),
        bytes=len(answer.body),
        digest=f"sha256:{hashlib.sha256(answer.body).hexdigest()}",
    )
