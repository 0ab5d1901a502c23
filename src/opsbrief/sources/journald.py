"""The systemd journal: log lines of the window, counted and sampled, and what systemd did to its units.

Read by ``journalctl``, which knows the format of every version and seeks by time: this machine's journal, files, or a
folder of them (that of systemd-journal-remote too). ``query`` of a service's ``logs`` is a text that must occur in the
message, or ``re:`` and a regular expression.
"""

import re
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from glob import glob, has_magic
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import ClassVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item, LogSample, Origin
from opsbrief.model.scope import Logs
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers.alarms.whose import called
from opsbrief.readers.journal import entries
from opsbrief.readers.journal.entries import Cut, Entry
from opsbrief.readers.journal.units import FIELDS, IDS, Tale
from opsbrief.readers.lines.query import foreign, test
from opsbrief.readers.lines.sample import Tally, stretches
from opsbrief.source import Source
from opsbrief.text import decode, line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

_SLACK = timedelta(minutes=1)
_HIDDEN = re.compile(r"not seeing messages from other users|insufficient permissions|Permission denied", re.IGNORECASE)
_MATCH = re.compile(r"[A-Z0-9_]+=.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journald(Source):
    """The journal of systemd: this machine's, or journal files."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs", "events", "alarms"})

    path: str | tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "journal file, glob or folder, or a list of them; default: this machine's journal", "path": True
        },
    )  # fmt: skip
    units: tuple[str, ...] = field(
        default=(), metadata={"help": "only these units, with * and ?: [shop.service]; their starts are restarts"}
    )
    identifiers: tuple[str, ...] = field(default=(), metadata={"help": "only lines with these syslog identifiers"})
    match: tuple[str, ...] = field(
        default=(), metadata={"help": "only lines with these fields: [_HOSTNAME=app1]; see journalctl"}
    )
    program: str = field(default="journalctl", metadata={"help": "journalctl, where it is not on the PATH"})
    limit: int = field(default=5000, metadata={"help": "lines kept of each stretch of time; all are counted"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield what became of units, then per query a LogSample for each stretch; see Source."""
        tale = Tale(self.units)
        oldest = self._oldest(deadline)
        yield from self._events(window.whole, tale, oldest, deadline)
        chosen = [entry for entry in self.scope.logs or (Logs(),) if entry.source in ("", self.name)]
        counted = []
        for span in stretches(window):
            tallies = [self._tally(span, entry) for entry in chosen]
            whole = yield from self._count(span, tallies, deadline)
            counted.append((span, tallies, whole and not tale.lost(span.start.timestamp(), span.end.timestamp())))
        for number, entry in enumerate(chosen):
            mine = [tallies[number] for _, tallies, _ in counted]
            if why := self._misled(entry, mine):
                yield why
                continue
            for span, tallies, whole in counted:
                yield from self._sample(span, entry, tallies[number], oldest, deadline, whole=whole)

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:  # noqa: ARG002 - epochs
        """See AlarmLog: units that failed, and those that were started again."""
        yield from self._events(span, Tale(self.units), self._oldest(deadline), deadline)

    # --- asking journalctl

    def _argv(self, span: Span | None, fields: tuple[str, ...], *matches: str) -> list[str]:
        """Return the command line. Raises SourceError when an option cannot be meant."""
        if wrong := next((one for one in self.match if not _MATCH.match(one)), ""):
            raise SourceError(
                GapKind.REJECTED, f"match has {line(wrong, 80)!r}", "write FIELD=VALUE, the field in capitals"
            )
        argv = [self.program, "--no-pager", "--output=json", "--all", f"--output-fields={','.join(fields)}"]
        asked = (self.path,) if isinstance(self.path, str) else self.path
        for name in filter(None, asked):
            argv += _place(name)
        if span:
            argv += [f"--since=@{span.start.timestamp():.6f}", f"--until=@{span.end.timestamp():.6f}"]
        return [*argv, *matches]

    def _read(self, argv: list[str], deadline: Deadline, said: list[Gap]) -> Generator[Entry | Cut]:
        """Yield what is printed; afterwards ``said`` has what journalctl complained about.

        Raises SourceError when it cannot be started or fails without printing anything.
        """
        some = False
        with process.start(argv, deadline) as running:
            for one in entries.printed(running):
                some = True
                yield one
            status, words = running.wait(), decode(running.stderr)
        first = line(next((row for row in words.splitlines() if row.strip() and "-- No entries" not in row), ""), 300)
        if _HIDDEN.search(words):
            hint = "add the user to the group systemd-journal (or adm)"
            said.append(self._gap("what other users and the system wrote", GapKind.UNAUTHORIZED, first, hint))
        elif status and not some:
            raise SourceError(
                GapKind.UNAVAILABLE, f"journalctl says: {first or f'nothing, status {status}'}",
                f"try it by hand: {line(shlex.join(argv), 300)}",
            )  # fmt: skip
        elif status or first:
            said.append(self._gap("a part of the journal", GapKind.UNAVAILABLE, f"journalctl says: {first or status}"))

    def _oldest(self, deadline: Deadline) -> datetime:
        """Return the time of the oldest entry there is. Raises SourceError when there is none."""
        said: list[Gap] = []
        first = self._first(None, deadline, said)
        if first:
            return utc(first.at / 1e6)
        if said:
            raise SourceError(said[0].kind, said[0].detail, said[0].hint)
        raise SourceError(
            GapKind.UNAVAILABLE, "the journal has no entry: no journal files were found",
            "is systemd-journald running, and is it told to keep what it writes (Storage=persistent)?",
        )  # fmt: skip

    def _first(self, span: Span | None, deadline: Deadline, said: list[Gap]) -> Entry | None:
        with closing(self._read(self._argv(span, ("_HOSTNAME",)), deadline, said)) as read:
            return next((one for one in read if isinstance(one, Entry)), None)

    # --- units

    def _events(self, span: Span, tale: Tale, oldest: datetime, deadline: Deadline) -> Iterator[Event | Gap]:
        argv = self._argv(span, FIELDS, *(f"MESSAGE_ID={one}" for one in IDS), *self._hosts())
        said: list[Gap] = []
        now = datetime.now(UTC).replace(microsecond=0)
        for entry in self._read(argv, deadline, said):
            if isinstance(entry, Cut):
                continue
            text = entry.message
            for told in tale.tell(entry):
                yield Event(
                    at=utc(told.at / 1e6), host=called(told.host, self.scope.hosts) or told.host, service=told.service,
                    state=told.state, state_type="hard" if told.kind == "state" else "", kind=told.kind,
                    output=told.output,
                    origin=Origin(
                        source=self.name, query="one entry of the journal, by its message id", url=self._shown(),
                        fetched_at=now, bytes=len(text), digest=f"sha256:{sha256(text).hexdigest()}",
                    ),
                )  # fmt: skip
        yield from said
        if oldest > span.start + _SLACK:
            yield self._gap(
                f"what became of units before {_shown(oldest)}", GapKind.UNAVAILABLE,
                f"the oldest entry of the journal is of {_shown(oldest)}", "older files may have been removed",
            )  # fmt: skip
        for unit, (lines, first, last) in tale.suppressed.items():
            yield self._gap(
                f"{lines:,} lines of {unit} between {_shown(utc(first))} and {_shown(utc(last))}", GapKind.TRUNCATED,
                "journald suppressed them, because there were too many at once",
                "raise RateLimitBurst in journald.conf, or LogRateLimitBurst of the unit",
            )  # fmt: skip

    def _hosts(self) -> list[str]:
        """Return the configured matches that fit systemd's own lines too: those on the host."""
        return [one for one in self.match if one.startswith("_HOSTNAME=")]

    # --- lines

    def _tally(self, span: Span, entry: Logs) -> Tally:
        return Tally(span.label, ceil(span.start.timestamp()), ceil(span.end.timestamp()), self.limit, test(entry))

    def _count(self, span: Span, tallies: list[Tally], deadline: Deadline) -> Generator[Gap, None, bool]:
        """Count the lines of a stretch; the value tells whether all were read."""
        chosen = [f"--unit={one}" for one in self.units] + [f"--identifier={one}" for one in self.identifiers]
        argv, said, cuts = self._argv(span, entries.FIELDS, *chosen, *self.match), list[Gap](), 0
        try:
            for entry in self._read(argv, deadline, said):
                if isinstance(entry, Cut):
                    cuts += 1
                    continue
                for tally in tallies:
                    entries.count(entry, tally)
        except SourceError as error:  # what was counted until now is worth showing
            if error.kind is not GapKind.TIMEOUT or not any(tally.seen for tally in tallies):
                raise
            said.append(
                self._gap(
                    f"the newest lines of {span.label}", GapKind.TIMEOUT,
                    f"not read to the end within {deadline.seconds:g} s", "raise timeout, or name units", span.label,
                )
            )  # fmt: skip
        if cuts:
            detail = f"longer than {entries.LONGEST >> 20} MiB, or no JSON"
            said.append(self._gap(f"{cuts:,} entries of {span.label}", GapKind.BAD_ANSWER, detail, span=span.label))
        yield from said
        return not said

    def _misled(self, entry: Logs, tallies: Sequence[Tally]) -> Gap | None:
        """Return the gap of a query, or of names of units, that nothing in the journal fits: no sign of silence."""
        if any(tally.total for tally in tallies):
            return None
        if any(tally.seen for tally in tallies):
            return self._gap(
                f"lines with {line(entry.query)!r}", GapKind.REJECTED,
                "no line has this text, which looks like a query for Elasticsearch",
                "in the journal a query is a text or re:REGEX; give each source a logs entry of its own",
            ) if foreign(entry.query) else None  # fmt: skip
        names = line(", ".join([*self.units, *self.identifiers, *self.match][:4]), 200)
        if not names:
            return None
        return self._gap(
            f"lines of {names}", GapKind.UNAVAILABLE, "no line in the journal has this name, in none of these hours",
            "names may differ: systemctl list-units, journalctl -F SYSLOG_IDENTIFIER",
        )  # fmt: skip

    def _sample(
        self, span: Span, entry: Logs, tally: Tally, oldest: datetime, deadline: Deadline, *, whole: bool
    ) -> Iterator[Item | Gap]:
        start = span.start
        if oldest > span.start + _SLACK:
            start = oldest
            what = f"lines of {span.label} before {_shown(oldest)}" if tally.seen else f"all lines of {span.label}"
            detail = f"the oldest entry of the journal is of {_shown(oldest)}"
            yield self._gap(what, GapKind.UNAVAILABLE, detail, "older files may have been removed", span.label)
            if not tally.seen:
                return
        elif not tally.seen and not self._first(span, deadline, []):
            yield self._gap(
                f"all lines of {span.label}", GapKind.UNAVAILABLE, "the journal has no entry at all of these hours",
                "was the machine off, or are files missing?", span.label,
            )  # fmt: skip
            return
        query = entry.query or "all lines"
        of = f" of {', '.join(self.units)}" if self.units else ""
        yield LogSample(
            query=entry.query, span=span.label, start=start, end=span.end, total=tally.total, total_is_exact=whole,
            records=tuple(tally.records()), histogram=tally.histogram(),
            origin=Origin(
                source=self.name, query=line(f"{query}{of}, {span.label}", 1000), url=self._shown(),
                fetched_at=datetime.now(UTC).replace(microsecond=0),
            ),
        )  # fmt: skip

    # --- small things

    def _shown(self) -> str:
        asked = (self.path,) if isinstance(self.path, str) else self.path
        return line(", ".join(filter(None, asked)) or "the journal of this machine")

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)


def _place(name: str) -> list[str]:
    """Return the options for a path. Raises SourceError when nothing is there."""
    path = Path(name).expanduser()
    if has_magic(name):
        found = sorted(glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
        if found:
            return [f"--file={one}" for one in found]
    try:
        if path.is_dir():
            return [f"--directory={path}"]
        if path.is_file():
            return [f"--file={path}"]
    except OSError as error:
        raise SourceError(GapKind.UNAVAILABLE, f"{line(name)} cannot be read: {error.strerror}", "check path") from None
    raise SourceError(GapKind.UNAVAILABLE, f"there is no journal at {line(name)}", "check path: a file, glob or folder")


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
