"""Any program that prints lines or JSON: what they mean is declared in the YAML.

It is run without a shell, with the arguments as they are written, under the source's deadline and with its output
capped. Whoever may write the configuration file may thus run programs; ``config`` refuses files of others.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Item, LogSample, Origin, Reading
from opsbrief.model.scope import Logs
from opsbrief.model.window import Span, Window
from opsbrief.readers.declared import items, logs, places
from opsbrief.readers.declared.path import MOST
from opsbrief.readers.declared.rows import NAMES, Point, Reader, paced, reader
from opsbrief.readers.lines.sample import Tally, stretches
from opsbrief.readers.marks import FIELDS, Bad
from opsbrief.readers.marks import Reader as Marks
from opsbrief.source import Source
from opsbrief.text import clean, decode, line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side
from opsbrief.transport.process import Finished

CAP = 16 << 20  # bytes of output that are read
_TEXT = 65_536  # characters of a reading
_SLACK = timedelta(minutes=1)
_GIVES = {"series": "metrics", "events": "events", "logs": "logs", "changes": "changes", "reading": "readings"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Source):
    """A program's output as series, events, logs, changes or a reading."""

    gives: ClassVar[frozenset[str]] = frozenset(_GIVES.values())

    command: tuple[str, ...] = field(
        metadata={
            "help": "program and arguments, run without a shell; an argument may be {from}, {until_iso}, {host}, ..."
        }
    )
    form: Literal["series", "events", "logs", "changes", "reading"] = field(
        metadata={"help": "what it prints: JSON or lines; lines of series are: NAME VALUE [TIME]", "key": "as"}
    )
    pick: str = field(
        default="",
        metadata={"help": "path to the entries of a JSON document: $.data[*]; default: its list, or each line"},
    )
    fields: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "help": f"paths inside an entry for {', '.join([*NAMES, 'level', 'ref', 'note'])}; default: usual names"
        },
    )
    change: Literal["resource", "deploy", "commit", "tag"] = field(
        default="resource", metadata={"help": "what kind of changes they are; their lines are TIME, TAB, ID, TAB, TEXT"}
    )
    whose: Literal["infrastructure", "application"] = field(
        default="infrastructure", metadata={"help": "what its changes change", "key": "role"}
    )
    zone: str = field(default="UTC", metadata={"help": "zone of times that are written without an offset"})
    limit: int = field(default=5000, metadata={"help": "lines kept of each stretch of time; all are counted"})

    # ``role`` stays empty, also where its changes have one: that an arbitrary program printed no change
    # does not rule anything out.

    @property
    def given(self) -> frozenset[str]:
        """One of them, as configured."""
        return frozenset({_GIVES[self.form]})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield what the program prints for every span (series, logs) or for the window; see Source."""
        asked = self._asked()
        if places.HOST in asked and not self.scope.hosts:
            yield self._gap(
                "everything",
                GapKind.REJECTED,
                "the command has {host}, but the service names no hosts",
                "list them in hosts",
            )
            return
        run = _Run(self, window, deadline, timed=bool(asked & places.TIMES))
        spans = {"series": [*window.spans()], "logs": [*stretches(window)]}.get(self.form, [window.whole])
        groups = [[span] for span in spans] if run.timed else [spans]  # else one run serves all
        tasks = [(group, host) for group in groups for host in (self.scope.hosts if places.HOST in asked else ("",))]
        for (group, host), result in side_by_side(lambda task: self._ask(deadline, *task), tasks, deadline):
            if isinstance(result, SourceError):
                raise result
            yield from run.read(result, group, host)

    def _asked(self) -> frozenset[str]:
        """Return the placeholders of the command. Raises SourceError when one is only a part of an argument."""
        if not self.command:
            raise SourceError(GapKind.REJECTED, f"{self.name} has an empty command", "write [PROGRAM, ARGUMENT, ...]")
        for argument in self.command:
            if any(argument != place for place in places.places(argument)):
                said = f"the argument {line(argument, 80)!r} has a placeholder inside"
                raise SourceError(
                    GapKind.REJECTED, said, "a placeholder is an argument of its own: [..., --since, '{from}']"
                )
        return places.places(self.command)

    def _ask(self, deadline: Deadline, group: Sequence[Span], host: str) -> tuple[Finished, tuple[str, ...]]:
        if host.startswith("-"):
            raise SourceError(GapKind.REJECTED, f"the host {line(host, 80)!r} would be taken for an option")
        known = places.values(group[0], host)
        argv = tuple(places.fill(argument, known) for argument in self.command)
        return process.run(argv, deadline, cap=CAP), argv

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)


class _Run:
    """Reads what the runs of one collect printed."""

    def __init__(self, source: Command, window: Window, deadline: Deadline, *, timed: bool) -> None:
        known = {"series": NAMES, "events": NAMES, "changes": FIELDS, "reading": ()}.get(
            source.form, ("time", "text", "level", "host")
        )
        self.source = source
        self.window = window
        self.deadline = deadline
        self.timed = timed
        self.way: Reader = reader(source.pick, source.fields, source.zone, known)
        self.gap = source._gap  # noqa: SLF001 - the other half of this module

    def read(self, result: tuple[Finished, tuple[str, ...]], group: Sequence[Span], host: str) -> Iterator[Item | Gap]:
        done, argv = result
        shown = line(shlex.join(argv), 1000)
        now = datetime.now(UTC).replace(microsecond=0)
        origin = Origin(
            source=self.source.name,
            query=shown,
            fetched_at=now,
            bytes=len(done.stdout),
            digest=f"sha256:{sha256(done.stdout).hexdigest()}",
        )
        label = group[0].label if self.timed else ""
        if done.truncated:
            detail = f"only the first {CAP >> 20} MiB were read; the program was ended"
            yield self.gap("the rest of the output", GapKind.TRUNCATED, detail, "let it print less", label)
        elif done.status:
            said = line(next((row for row in decode(done.stderr).splitlines() if row.strip()), ""), 300)
            detail = f"{argv[0]} ended with status {done.status}" + (f": {said}" if said else ", saying nothing")
            yield self.gap(f"output of {shown}", GapKind.UNAVAILABLE, detail, "try it by hand", label)
        elif (
            not done.stdout.strip()
            and self.source.form not in {"events", "changes"}
            and not (self.source.form == "logs" and self.timed)
        ):
            yield self.gap(f"output of {shown}", GapKind.UNAVAILABLE, "it printed nothing", "try it by hand", label)
            return
        ways = {
            "series": self._series,
            "events": self._events,
            "logs": self._logs,
            "changes": self._changes,
            "reading": self._reading,
        }
        yield from ways[self.source.form](done, group, host, origin)

    # --- each way to read --------------------------------------------------------------------------

    def _reading(self, done: Finished, _group: Sequence[Span], host: str, origin: Origin) -> Iterator[Item | Gap]:
        text = decode(done.stdout)
        if self.way.pick:
            found = self._entries(done.stdout)
            text = "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in found)
        yield Reading(
            host=host or line(os.uname().nodename, 200),
            command=origin.query,
            exit_status=None if done.truncated else done.status,
            stdout=clean(text, _TEXT),
            stderr=clean(done.stderr, 4000),
            at=origin.fetched_at or datetime.now(UTC),
            origin=origin,
        )

    def _series(self, done: Finished, group: Sequence[Span], host: str, origin: Origin) -> Iterator[Item | Gap]:
        bad = Bad()
        points = list(self._points(done.stdout, host, bad))
        mine = [metric for metric in self.source.scope.metrics if metric.source == self.source.name]
        for span in group:
            found = list(items.series(points, span, mine, origin, origin.fetched_at or span.end))
            yield from found
            present = bool(span.label) and all(point.at is None for point in points)  # values of now have no last week
            if not found and points and not present:
                detail = "what it printed has no value of these hours"
                yield self.gap("series", GapKind.UNAVAILABLE, detail, span=span.label or "window")
        yield from self._bad(bad)

    def _events(self, done: Finished, group: Sequence[Span], host: str, origin: Origin) -> Iterator[Item | Gap]:
        bad = Bad()
        entries = self._entries(done.stdout)
        if entries is None:
            entries = [_stamped(row) for row in decode(done.stdout).splitlines() if row.strip()]
        yield from items.events(paced(entries[:MOST], self.deadline), self.way, group[0], origin, host, bad)
        yield from self._bad(bad)

    def _changes(self, done: Finished, group: Sequence[Span], host: str, origin: Origin) -> Iterator[Item | Gap]:
        bad = Bad()
        entries = self._entries(done.stdout)
        rows = decode(done.stdout).splitlines() if entries is None else [json.dumps(entry) for entry in entries[:MOST]]
        marks = Marks(
            zone=self.way.zone, fields={what: path.text.removeprefix("$.") for what, path in self.way.fields.items()}
        )
        for mark in marks.read(enumerate(paced(rows, self.deadline), 1), bad):
            if group[0].start <= mark.at < group[0].end:
                yield Change(
                    kind=self.source.change,
                    at=mark.at,
                    ref=mark.ref,
                    summary=("failed: " if mark.state == "failed" else "") + (mark.note or mark.ref),
                    role=self.source.whose,
                    hosts=mark.hosts or ((host,) if host else ()),
                    origin=origin,
                )
        yield from self._bad(bad)

    def _logs(self, done: Finished, group: Sequence[Span], host: str, origin: Origin) -> Iterator[Item | Gap]:
        data = logs.relaid(done.stdout, self.way.pick)
        fields = {what: path.text for what, path in self.way.fields.items()}
        how = logs.layout(data, fields, self.way.zone, self.window.end)
        if how is None and data.strip():
            first = line(next(filter(bytes.strip, data.splitlines())), 120)
            detail = f"no line begins with a time that is understood; the first one is: {first}"
            yield self.gap("lines", GapKind.BAD_ANSWER, detail, "set fields, or print JSON lines")
            return
        scoped = self.source.scope.logs
        entries = [one for one in scoped if one.source == self.source.name] or [Logs()]
        for entry in entries:
            counted = logs.count(data, how, group, self.source.limit, _test(entry), host)
            for span, tally in zip(group, counted.tallies, strict=True):
                whole = not done.truncated and not done.status
                yield from self._sample(entry, span, tally, counted.oldest, origin, whole=whole)

    def _sample(
        self, entry: Logs, span: Span, tally: Tally, oldest: datetime | None, origin: Origin, *, whole: bool
    ) -> Iterator[Item | Gap]:
        start = span.start
        if not self.timed and oldest and oldest > span.start + _SLACK:
            start = oldest
            shown = f"{oldest:%Y-%m-%d %H:%M:%S} UTC"
            what = f"lines of {span.label} before {shown}" if tally.seen else f"all lines of {span.label}"
            detail = f"the oldest line that it printed is of {shown}"
            yield self.gap(what, GapKind.UNAVAILABLE, detail, "give it the time: an argument {from}", span.label)
            if not tally.seen:
                return
        yield LogSample(
            query=entry.query or line(shlex.join(self.source.command), 1000),  # the same for each stretch
            span=span.label,
            start=start,
            end=span.end,
            total=tally.total,
            total_is_exact=whole,
            records=tuple(tally.records()),
            histogram=tally.histogram(),
            origin=origin,
        )

    # --- parts ---------------------------------------------------------------------------------------

    def _entries(self, data: bytes) -> Any:  # noqa: ANN401 - a list of any JSON values, or None
        """Return the entries of a JSON document or of JSON lines; None when it is text."""
        if data.lstrip()[:1] not in {b"{", b"["} and not self.way.pick:
            return None
        try:
            return self.way.entries(json.loads(data))
        except (ValueError, RecursionError):
            pass
        found = []
        for row in data.splitlines():
            if row.strip():
                try:
                    found.append(json.loads(row))
                except (ValueError, RecursionError):
                    found.append(decode(row[:200]))  # said where it is read
        return [entry for document in found for entry in self.way.pick.pick(document)] if self.way.pick else found

    def _points(self, data: bytes, host: str, bad: Bad) -> Iterator[Point]:
        entries = self._entries(data)
        if entries is not None:
            yield from self.way.points(paced(entries[:MOST], self.deadline), host, bad)
            return
        for number, row in enumerate(paced(decode(data).splitlines()[:MOST], self.deadline), 1):
            if not row.strip() or row.lstrip().startswith("#"):
                continue
            try:
                name, value, *rest = row.split()
                entry = {"name": name, "value": value, **({"time": " ".join(rest)} if rest else {})}
            except ValueError:
                bad.add(number, row, "is not NAME VALUE [TIME]")
                continue
            plain = Reader(pick=None, fields={}, zone=self.way.zone)
            before = bad.count
            yield from plain.points([entry], host, bad)
            if bad.count > before == 0:
                bad.first = f"line {number}{bad.first.removeprefix('line 1')}"

    def _bad(self, bad: Bad) -> Iterator[Gap]:
        if bad.count:
            what = f"{bad.count:,} line{'s' if bad.count > 1 else ''} of the output"
            yield self.gap(what, GapKind.BAD_ANSWER, bad.first, "set pick and fields, or correct what it prints")


def _stamped(row: str) -> dict[str, str]:
    """Return a line of text as an event: TIME, then words; a time of two words is one with a blank inside."""
    first, _, rest = row.strip().partition(" ")
    second, _, more = rest.partition(" ")
    if re.match(r"\d{4}-\d\d-\d\d\Z", first) and re.match(r"\d\d:\d\d", second):
        first, rest = f"{first} {second}", more
    return {"time": first, "text": rest.strip()}


def _test(entry: Logs) -> Callable[[bytes], bool] | None:
    """Return what decides whether a line belongs to a query that names this source; None when all do."""
    try:
        wanted = re.compile(entry.query[3:] if entry.query.startswith("re:") else re.escape(entry.query))
        ignored = [re.compile(one) for one in entry.ignore]
    except re.error as error:
        raise SourceError(GapKind.REJECTED, f"the query of the logs is no regular expression: {error}") from None
    if not entry.query and not ignored:
        return None
    return lambda raw: bool(wanted.search(text := decode(raw))) and not any(one.search(text) for one in ignored)
