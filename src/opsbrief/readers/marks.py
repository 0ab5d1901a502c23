"""Lines that record deploys become entries: tab-separated, JSON lines, Capistrano's log, or a pattern.

Pure: text in, entries out. A line that says no time, or a time that has not exactly one meaning, is
refused with its reason and never guessed at.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opsbrief import text
from opsbrief.errors import WindowError
from opsbrief.model.marking import Marking
from opsbrief.model.window import TimeKind
from opsbrief.timespec import Instant, local, parse

#: Where JSON lines keep what, unless configured; the first name that is there counts.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "at", "timestamp", "when", "@timestamp", "date", "deployed_at", "finished_at", "created_at"),
    "ref": ("ref", "version", "tag", "release", "revision", "commit", "sha", "id"),
    "note": ("note", "text", "message", "what", "description", "title"),
    "status": ("status", "result", "state", "conclusion"),
    "kind": ("kind", "time_kind", "type"),
    "hosts": ("hosts", "host"),
}
CAPISTRANO = r"(?P<note>Branch (?P<branch>\S+) \(at (?P<ref>\S*)\) deployed as release (?P<time>[0-9]{14}))\b"
ROLLBACK = r"\brolled back to release (?P<release>[0-9]{14})\b"  # says no time: see readers.deploys.capistrano
_DEPLOY_LINE, _BACK_LINE = re.compile(CAPISTRANO), re.compile(ROLLBACK)
_PAIRED = timedelta(hours=12)  # a start and its end are this close

_FAILED = re.compile(
    r"fail(?:ed|ure|ing)?|error(?:ed)?|abort(?:ed)?|cancel(?:l?ed)?|timed?[ _-]?out|false", re.IGNORECASE
)
_STARTED = re.compile(r"start(?:ed|ing)?|begin|began|begun|running|pending|queued|in[ _-]?progress", re.IGNORECASE)
_ENDED = re.compile(
    r"succe(?:ss|ssful|eded)|ok|done|finished|complete[d]?|deployed|passed|true|end(?:ed)?", re.IGNORECASE
)
_FAILED_NOTE = re.compile(r"\W*(?:deploy(?:ment)? )?(?:failed|failure|aborted|cancel+ed)\b", re.IGNORECASE)
_BACK = re.compile(
    r"^\W*(?:auto(?:matic)?\W+)?(?:roll[ -]?back|revert)\b|\broll(?:ed|ing)[ -]back\b|\brollback to\b", re.IGNORECASE
)
_BARE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+(?:Z|[+-][0-9:]+)?|[0-9]{10,13})\s+(\S+)(?:\s+(.*))?")
# A time whose reading does not depend on when it is read is absolute; these are two readers.
_READERS = (datetime(2150, 1, 1, tzinfo=UTC), datetime(2151, 5, 20, 7, 7, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of a deploy log."""

    at: datetime
    ref: str
    note: str = ""
    kind: TimeKind | None = None  # None: the line does not say
    state: str = ""  # "failed", "started", "ended", "note", "fix" or "" when the line does not say
    rollback: bool = False
    hosts: tuple[str, ...] = ()
    raw: str = ""


@dataclass(slots=True)
class Bad:
    """Lines that could not be read: how many, and the first of them."""

    count: int = 0
    first: str = ""

    def add(self, number: int, line: str, reason: str) -> None:
        """Count one more."""
        self.count += 1
        if not self.first:
            where = f"line {number}" if number else "one line"
            self.first = f"{where}, {text.line(line, 60)!r}: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the lines of one log are to be read."""

    format: str = "auto"  # auto, tsv, json, capistrano, regex
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))  # of times without an offset
    pattern: re.Pattern[str] | None = None  # for regex: groups time, ref, note, status, kind
    fields: Mapping[str, str] = field(default_factory=dict)  # for json: what -> name (a.b for nested ones)

    def read(self, lines: Iterable[tuple[int, str]], bad: Bad) -> Iterator[Mark]:
        """Yield a mark per good line of (number, text); number 0 = not known. Blank and # lines are none."""
        for number, line in lines:
            if not line.strip() or line.lstrip().startswith("#") or self.timeless(line):
                continue
            try:
                yield self.mark(line)
            except (WindowError, ValueError, RecursionError) as error:
                bad.add(number, line, error.message if isinstance(error, WindowError) else str(error))

    def timeless(self, line: str) -> bool:
        """Return whether a line is a rollback of Capistrano's, which is known not to say its time."""
        return self.format in {"auto", "capistrano"} and "\t" not in line and bool(_BACK_LINE.search(line))

    def mark(self, line: str) -> Mark:
        """Return the mark of one line. Raises ValueError or WindowError with the reason when it is none."""
        way = self.format if self.format != "auto" else _guess(line)
        if way == "regex" and self.pattern:
            return self._match(self.pattern, line, "does not match the pattern")
        if way == "capistrano":
            return self._capistrano(line)
        if way == "json":
            return self._json(line)
        if way == "bare" and (found := _BARE.fullmatch(line.strip())):
            return self._make({"time": found[1], "ref": found[2], "note": found[3] or ""}, line)
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
        if len(cells) < 2:
            raise ValueError("is not TIME, TAB, ID, TAB, TEXT")
        return self._make(dict(zip(("time", "ref", "note", "status", "kind"), cells, strict=False)), line)

    def _capistrano(self, line: str) -> Mark:
        """Return a deploy, whose release is called by the UTC second it started; who deployed is left out."""
        found = _DEPLOY_LINE.search(line)
        if not found:
            raise ValueError("is no deploy with a time")
        parts = {"time": f"{found['time']}Z", "note": found["note"], "kind": TimeKind.DEPLOY_START.value}
        version = re.fullmatch(r"v?[0-9]+(?:\.[0-9]+)+\S*", found["branch"])
        return self._make({**parts, "ref": found["branch"] if version else found["ref"]}, line)

    def _match(self, pattern: re.Pattern[str], line: str, otherwise: str) -> Mark:
        found = pattern.search(line)
        if not found:
            raise ValueError(otherwise)
        parts = {name: value or "" for name, value in found.groupdict().items()}
        return self._make({"note": line.strip(), **parts}, line)

    def _json(self, line: str) -> Mark:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("is no JSON object")  # noqa: TRY004 - one reason among others, for a person
        parts: dict[str, str] = {}
        hosts: tuple[str, ...] = ()
        for what, names in FIELDS.items():
            named = (self.fields[what],) if what in self.fields else names
            got = next((one for name in named if (one := _dig(value, name)) not in (None, "")), None)
            if what == "hosts":
                hosts = tuple(
                    text.line(str(host), 200) for host in (got if isinstance(got, list) else [got] if got else [])
                )
            elif isinstance(got, str | int | float):
                whole = isinstance(got, float) and got.is_integer()  # 1773151200.0
                parts[what] = str(got).lower() if isinstance(got, bool) else str(int(got) if whole else got)
        return replace(self._make(parts, line), hosts=hosts)

    def _make(self, parts: Mapping[str, str], line: str) -> Mark:
        if not parts.get("time"):
            raise ValueError("says no time")
        note, status, kind = (text.line(parts.get(name, "")) for name in ("note", "status", "kind"))
        state = _state(status) or _state(kind) or ("failed" if _FAILED_NOTE.match(note) else "")
        return Mark(
            at=moment(parts["time"], self.zone),
            ref=text.line(parts.get("ref", ""), 200),
            note=note,
            kind=next((one for one in TimeKind if one == kind.lower().replace("_", " ")), None),
            state=state,
            rollback=any(_BACK.search(said) for said in (note, status, kind)),
            hosts=(),
            raw=line,
        )


def moment(said: str, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of an absolute time; one without an offset is on the clock of ``zone``.

    Raises WindowError when it is none, not absolute, or skipped or shown twice by the clocks.
    """
    said = said.strip()
    if digits := re.fullmatch(r"([0-9]{14})(Z?)", said):
        at = datetime.strptime(digits[1], "%Y%m%d%H%M%S")  # noqa: DTZ007 - the zone is added in the next line
        return at.replace(tzinfo=UTC) if digits[2] else local(at, zone)
    if len(said) >= 19 and said[10] in "T ":
        try:
            found = datetime.fromisoformat(said)
        except ValueError:
            pass  # not this way; the grammar knows more, and says what is wrong
        else:
            return found.astimezone(UTC) if found.tzinfo else local(found, zone)
    first, second = (parse(said, now=now, zone=zone) for now in _READERS)
    if not isinstance(first, Instant) or first != second:
        raise WindowError(f"{said[:40]!r} is not an absolute time")
    return first.at


def settle(marks: Sequence[Mark]) -> list[Mark]:
    """Return the marks in order of time, without the starts whose end is there as well."""
    kept: list[Mark] = []
    started: dict[str, int] = {}
    for mark in sorted(marks, key=lambda mark: mark.at):
        if mark.state in {"note", "fix"}:
            kept.append(mark)
            continue
        at = started.pop(mark.ref, None)
        if at is not None and mark.state in {"ended", "failed"} and mark.at - kept[at].at <= _PAIRED:
            kept[at] = mark
            continue
        if mark.state == "started":
            started[mark.ref] = len(kept)
        kept.append(mark)
    return sorted(kept, key=lambda mark: mark.at)


def written(marking: Marking) -> str:
    """Return the line that records a mark; deploys have the three columns that every reader of such files knows."""
    cells = [stamp(marking.at), marking.ref, marking.text.replace("\t", " ")]
    return "\t".join(cells if marking.kind == "deploy" else [*cells, marking.kind]) + "\n"


def stamp(at: datetime) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _state(word: str) -> str:
    if word in ("note", "fix"):
        return word
    ways: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("failed", _FAILED.fullmatch),
        ("started", _STARTED.fullmatch),
        ("ended", _ENDED.fullmatch),
    )
    return next((state for state, fits in ways if fits(word)), "")


def _guess(line: str) -> str:
    if line.lstrip().startswith("{"):
        return "json"
    if "\t" in line:
        return "tsv"
    return "capistrano" if re.search(CAPISTRANO, line) else "bare"


def _dig(value: Mapping[str, object], name: str) -> object:
    """Return a field by its name, or by its path where the name has dots."""
    if name in value:
        return value[name]
    found: object = value
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
