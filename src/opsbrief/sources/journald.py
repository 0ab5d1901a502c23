"""The systemd journal: log lines of the window, counted and sampled, and what systemd did to its units.

Read by ``journalctl``, which knows the format of every version and seeks by time: this machine's journal, files, or a
folder of them (that of systemd-journal-remote too). ``query`` of a service's ``logs`` is a text that must occur in the
message, or ``re:`` and a regular expression.
"""

import re
import shlex
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import ClassVar, TypeVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item, LogSample, Origin
from opsbrief.model.scope import Logs, called
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers.journal import entries
from opsbrief.readers.journal.entries import Cut, Entry
from opsbrief.readers.journal.places import CAP, Here, Place, There
from opsbrief.readers.journal.units import FIELDS, IDS, Tale
from opsbrief.readers.lines.query import foreign, test
from opsbrief.readers.lines.sample import Tally, stretches
from opsbrief.source import Source, Ssh
from opsbrief.text import decode, line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

T = TypeVar("T")

_SLACK = timedelta(minutes=1)
_HIDDEN = re.compile(r"not seeing messages from other users|insufficient permissions|Permission denied", re.IGNORECASE)
_MATCH = re.compile(r"[A-Z0-9_]+=.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journald(Source):
    """The journal of systemd: this machine's, that of hosts over SSH, or journal files."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs", "events", "alarms"})

    path: str | tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "journal file, glob or folder, or a list of them; default: the journal of the machine", "path": True
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

    ssh: Ssh | None = field(default=None, metadata={"help": "read the journal of other hosts over SSH: how to get in"})
    hosts: tuple[str, ...] = field(default=(), metadata={"help": "with ssh: these hosts; default: the service's"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield what became of units, then per query a LogSample for each stretch; see Source."""
        chosen = [entry for entry in self.scope.logs or (Logs(),) if entry.source in ("", self.name)]
        board = [Stretch(span, [self._tally(span, entry) for entry in chosen]) for span in stretches(window)]
        yield from self._everywhere(lambda place: self._visit(place, window.whole, board), deadline)
        if not any(stretch.oldest for stretch in board):
            return  # nowhere was anything read, and why has been said
        for number, entry in enumerate(chosen):
            if why := self._misled(entry, [stretch.tallies[number] for stretch in board]):
                yield why
                continue
            for stretch in board:
                yield from self._sample(stretch, entry, stretch.tallies[number])

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:  # noqa: ARG002 - epochs
        """See AlarmLog: units that failed, and those that were started again."""

        def visit(place: Place) -> Iterator[Event | Gap]:
            yield from self._events(place, span, Tale(self.units), self._oldest(place))

        yield from self._everywhere(visit, deadline)

    # --- where it is read

    def _everywhere(self, visit: Callable[[Place], Iterator[T | Gap]], deadline: Deadline) -> Iterator[T | Gap]:
        """Yield what is found here, or on each host; a host that cannot be read is a gap beside the others."""
        if self.ssh is None:
            yield from visit(Here(deadline))
            return
        ssh = self.ssh
        hosts = self.hosts or self.scope.hosts
        if not hosts:
            raise SourceError(GapKind.REJECTED, f"{self.name} has ssh, but no hosts to go to", "set hosts")

        def go(host: str) -> list[T | Gap]:
            with ssh.open(host, deadline) as shell:
                return list(visit(There(shell, deadline)))

        for host, found in side_by_side(go, hosts, deadline):
            if isinstance(found, SourceError):
                yield self._gap(f"the journal of {line(host)}", found.kind, found.message, found.hint)
            else:
                yield from found

    def _visit(self, place: Place, whole: Span, board: Sequence["Stretch"]) -> Iterator[Event | Gap]:
        """Count the lines of one journal into the board, and yield what became of its units."""
        tale, oldest = Tale(self.units), self._oldest(place)
        yield from self._events(place, whole, tale, oldest)
        for stretch in board:
            yield from self._count(place, stretch, tale, oldest)

    # --- asking journalctl

    def _argv(self, place: Place, span: Span | None, fields: tuple[str, ...], *matches: str) -> list[str]:
        """Return the command line. Raises SourceError when an option cannot be meant."""
        if wrong := next((one for one in self.match if not _MATCH.match(one)), ""):
            raise SourceError(
                GapKind.REJECTED, f"match has {line(wrong, 80)!r}", "write FIELD=VALUE, the field in capitals"
            )
        argv = [self.program, "--no-pager", "--output=json", "--all", f"--output-fields={','.join(fields)}"]
        asked = (self.path,) if isinstance(self.path, str) else self.path
        for name in filter(None, asked):
            argv += place.files(name)
        if span:
            argv += [f"--since=@{span.start.timestamp():.6f}", f"--until=@{span.end.timestamp():.6f}"]
        return [*argv, *matches]

    def _read(self, place: Place, argv: list[str], said: list[Gap]) -> Generator[Entry | Cut, None, None]:
        """Yield what is printed; afterwards ``said`` has what journalctl complained about.

        Raises SourceError when it cannot be started or fails without printing anything.
        """
        some = False
        with place.start(argv) as running:
            for one in entries.printed(running):
                some = True
                yield one
            status, words = running.wait(), decode(running.stderr)
        first = line(next((row for row in words.splitlines() if row.strip() and "-- No entries" not in row), ""), 300)
        if _HIDDEN.search(words):
            hint = "add the user to the group systemd-journal (or adm)"
            said.append(self._gap(f"what others wrote{place.of}", GapKind.UNAUTHORIZED, first, hint))
        elif status and not some:
            raise SourceError(
                GapKind.UNAVAILABLE, f"journalctl says{place.of}: {first or f'nothing, status {status}'}",
                f"try it by hand: {line(shlex.join(argv), 300)}",
            )  # fmt: skip
        elif place.cut:
            detail = f"more than {CAP >> 20} MiB: only the oldest were read"
            said.append(
                self._gap(f"newer lines{place.of}", GapKind.TRUNCATED, detail, "name units, or a shorter window")
            )
        elif status or first:
            detail = f"journalctl says: {first or status}"
            said.append(self._gap(f"a part of the journal{place.of}", GapKind.UNAVAILABLE, detail))

    def _oldest(self, place: Place) -> datetime:
        """Return the time of the oldest entry there is. Raises SourceError when there is none."""
        said: list[Gap] = []
        if first := self._first(place, None, said):
            return utc(first.at / 1e6)
        if said:
            raise SourceError(said[0].kind, said[0].detail, said[0].hint)
        raise SourceError(
            GapKind.UNAVAILABLE, f"the journal{place.of} has no entry: no journal files were found",
            "is systemd-journald running, and is it told to keep what it writes (Storage=persistent)?",
        )  # fmt: skip

    def _first(self, place: Place, span: Span | None, said: list[Gap]) -> Entry | None:
        argv = self._argv(place, span, ("_HOSTNAME",))
        with closing(self._read(place, place.first(argv), said)) as read:
            return next((one for one in read if isinstance(one, Entry)), None)

    # --- units

    def _events(self, place: Place, span: Span, tale: Tale, oldest: datetime) -> Iterator[Event | Gap]:
        hosts = [one for one in self.match if one.startswith("_HOSTNAME=")]  # what fits systemd's own lines too
        argv = self._argv(place, span, FIELDS, *(f"MESSAGE_ID={one}" for one in IDS), *hosts)
        said: list[Gap] = []
        now = datetime.now(UTC).replace(microsecond=0)
        for entry in self._read(place, argv, said):
            if isinstance(entry, Cut):
                continue
            text = entry.message
            for told in tale.tell(entry):
                host = called(told.host, self.scope.hosts) or told.host
                yield Event(
                    at=utc(told.at / 1e6), host=host, service=told.service, state=told.state,
                    state_type="hard" if told.kind == "state" else "", kind=told.kind, output=told.output,
                    origin=Origin(
                        source=self.name, query=f"one entry of the journal{place.of}, by its message id",
                        url=self._shown(), fetched_at=now, bytes=len(text), digest=f"sha256:{sha256(text).hexdigest()}",
                    ),
                )  # fmt: skip
        yield from said
        if oldest > span.start + _SLACK:
            yield self._gap(
                f"what became of units{place.of} before {_shown(oldest)}", GapKind.UNAVAILABLE,
                f"the oldest entry of the journal is of {_shown(oldest)}", "older files may have been removed",
            )  # fmt: skip
        for unit, (lines, first, last) in tale.suppressed.items():
            yield self._gap(
                f"{lines:,} lines of {unit}{place.of} between {_shown(utc(first))} and {_shown(utc(last))}",
                GapKind.TRUNCATED, "journald suppressed them, because there were too many at once",
                "raise RateLimitBurst in journald.conf, or LogRateLimitBurst of the unit",
            )  # fmt: skip

    # --- lines

    def _tally(self, span: Span, entry: Logs) -> Tally:
        return Tally(span.label, ceil(span.start.timestamp()), ceil(span.end.timestamp()), self.limit, test(entry))

    def _count(self, place: Place, stretch: "Stretch", tale: Tale, oldest: datetime) -> Iterator[Gap]:
        """Count the lines of a stretch, and say what of it this journal does not have."""
        span, label = stretch.span, stretch.span.label
        chosen = [f"--unit={one}" for one in self.units] + [f"--identifier={one}" for one in self.identifiers]
        argv, said, cuts = self._argv(place, span, entries.FIELDS, *chosen, *self.match), list[Gap](), 0
        lines = 0
        try:
            for entry in self._read(place, argv, said):
                lines += 1
                if isinstance(entry, Cut):
                    cuts += 1
                    continue
                with stretch.lock:
                    for tally in stretch.tallies:
                        entries.count(entry, tally)
        except SourceError as error:  # what was counted until now is worth showing
            if error.kind is not GapKind.TIMEOUT or not lines:
                raise
            detail, hint = f"not read to the end within {place.seconds:g} s", "raise timeout, or name units"
            said.append(self._gap(f"the newest lines of {label}{place.of}", GapKind.TIMEOUT, detail, hint, label))
        if cuts:
            detail = f"longer than {entries.LONGEST >> 20} MiB, or no JSON"
            said.append(self._gap(f"{cuts:,} entries of {label}{place.of}", GapKind.BAD_ANSWER, detail, span=label))
        whole = not said and not tale.lost(span.start.timestamp(), span.end.timestamp())
        yield from said
        if oldest > span.start + _SLACK:
            shown = _shown(oldest)
            what = f"lines of {label}{place.of} before {shown}" if lines else f"all lines of {label}{place.of}"
            detail = f"the oldest entry of the journal is of {shown}"
            yield self._gap(what, GapKind.UNAVAILABLE, detail, "older files may have been removed", label)
        elif not lines and not self._first(place, span, []):
            yield self._gap(
                f"all lines of {label}{place.of}", GapKind.UNAVAILABLE,
                "the journal has no entry at all of these hours", "was the machine off, or are files missing?", label,
            )  # fmt: skip
            oldest = span.end
        with stretch.lock:
            stretch.whole = stretch.whole and whole
            if oldest < span.end:
                stretch.oldest = min(oldest, stretch.oldest or oldest)

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

    def _sample(self, stretch: "Stretch", entry: Logs, tally: Tally) -> Iterator[LogSample]:
        if stretch.oldest is None:
            return  # no journal reaches there; that has been said
        span, start = stretch.span, stretch.span.start
        if stretch.oldest > start + _SLACK:
            start = stretch.oldest
        query = entry.query or "all lines"
        of = f" of {', '.join(self.units)}" if self.units else ""
        yield LogSample(
            query=entry.query, span=span.label, start=start, end=span.end, total=tally.total,
            total_is_exact=stretch.whole,
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


@dataclass(slots=True)
class Stretch:
    """A stretch of time and its lines, counted over all journals. ``oldest``: none of them has an earlier entry."""

    span: Span
    tallies: list[Tally]
    whole: bool = True
    oldest: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
