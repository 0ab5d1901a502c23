"""Log files on this machine, rotated and compressed ones too: lines of the window, counted and sampled.

``query`` of a service's ``logs`` is here a text that must occur in the record, or ``re:`` and a regular
expression. Every record is counted, per minute and level; those kept as text are spread evenly.
"""

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from glob import glob, has_magic
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, LogSample, Origin
from opsbrief.model.scope import Logs
from opsbrief.model.window import Deploy, Span, TimeKind, Window, utc
from opsbrief.readers.lines import stamp, store
from opsbrief.readers.lines.layout import Custom, Layout, Plain
from opsbrief.readers.lines.query import clipped, compiled, foreign, test
from opsbrief.readers.lines.sample import Tally, stretches
from opsbrief.readers.lines.store import Store
from opsbrief.readers.lines.structured import HOST, LEVEL, MESSAGE, TIME, Structured
from opsbrief.source import Source
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

_DEPLOYS = 2000  # deploys of one file that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile(Source):
    """Log files by path or glob."""

    gives: ClassVar[frozenset[str]] = frozenset({"logs", "deploys"})

    path: str | tuple[str, ...] = field(
        metadata={"help": "file or glob, or a list of them: /var/log/shop/*.log*", "path": True}
    )
    format: Literal["auto", "json", "plain", "syslog"] = field(
        default="auto", metadata={"help": "how lines are built; auto looks at each file"}
    )
    pattern: str = field(
        default="",
        metadata={
            "help": "regex of a line with the groups time, and if it has them level, message, host",
            "regex": True,
        },
    )
    time_format: str = field(default="", metadata={"help": "strptime format of the pattern's time; default: found out"})
    zone: str = field(default="", metadata={"help": "time zone of stamps without an offset; default: the window's"})
    host: str = field(default="", metadata={"help": r"host of all lines, or a regex on the path: ([a-z0-9]+)\.log"})
    time_field: str = field(default="", metadata={"help": "JSON field of the time; default: the usual names"})
    deploy_regex: str = field(
        default="",
        metadata={
            "help": "a line that matches is a deploy; the group ref is its version",
            "regex": True,
            "deploys": True,
        },
    )
    limit: int = field(default=5000, metadata={"help": "lines kept of each stretch of time; all are counted"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield per configured query a LogSample for before, incident and each weekly baseline; see Source."""
        entries = [entry for entry in self.scope.logs or (Logs(),) if entry.source in ("", self.name)]
        spans = list(stretches(window))
        said: set[Gap] = set()
        for entry in entries:
            wanted = test(entry)
            tallies = [Tally(span.label, _ceil(span.start), _ceil(span.end), self.limit, wanted) for span in spans]
            stores, gaps = self._stores(entry, window.zone, window.end)
            yield from (gap for gap in gaps if gap not in said)
            said.update(gaps)
            whole = yield from self._read(stores, tallies, deadline)
            if _misdirected(entry, tallies):
                yield self._gap(
                    f"lines with {line(entry.query)!r}",
                    GapKind.REJECTED,
                    "no line has this text, which looks like a query for Elasticsearch",
                    "in log files a query is a text or re:REGEX; give each source a logs entry of its own",
                )
                continue
            for span, tally in zip(spans, tallies, strict=True):
                yield from self._sample(entry, stores, span, tally, whole=whole)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the records that ``deploy_regex`` finds, each with the time it was logged."""
        if not self.deploy_regex:
            raise SourceError(
                GapKind.REJECTED,
                f"{self.name} does not say which line is a deploy",
                "set deploy_regex, or use type deploylog",
            )
        pattern = compiled(self.deploy_regex, "deploy_regex")
        tally = Tally(
            "", int(since.timestamp()), _ceil(until) + 1, _DEPLOYS, lambda raw: bool(pattern.search(clipped(raw)))
        )
        stores, gaps = self._stores(Logs(), "UTC", until)
        yield from gaps
        yield from self._read(stores, [tally], deadline)
        for kept in tally.kept:
            found = pattern.search(clipped(kept.raw))
            record = kept.layout.record(kept.raw, kept.at, kept.level, kept.cut)
            ref = (found["ref"] if "ref" in pattern.groupindex else found[1] if pattern.groups else "") if found else ""
            if since <= record.timestamp <= until:
                yield Deploy(record.timestamp, line(ref or ""), line(record.body), self.name, TimeKind.LOG_TIME)

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)

    def _paths(self) -> list[Path]:
        """Return the files the path means, each once. Raises SourceError when there is none."""
        asked = (self.path,) if isinstance(self.path, str) else self.path
        found: dict[object, Path] = {}
        for name in asked:
            name = str(Path(name).expanduser())  # noqa: PLW2901 - the same path, written out
            for path in sorted(glob(name, recursive=True)) if has_magic(name) else [name]:  # noqa: PTH207 - Path.glob refuses absolute patterns
                key: object = path
                with suppress(OSError):
                    status = os.stat(path)  # noqa: PTH116 - a glob gives strings
                    key = (status.st_dev, status.st_ino)
                found.setdefault(key, Path(path))
        if not found:
            raise SourceError(
                GapKind.UNAVAILABLE,
                f"no file matches {', '.join(map(line, asked))}",
                "check path; globs know *, ?, [..] and **",
            )
        return list(found.values())

    def _stores(self, entry: Logs, zone: str, around: datetime) -> tuple[list[Store], list[Gap]]:
        """Look at every file: what it is, when it begins and ends; a Gap for each that cannot be used."""
        stores: list[Store] = []
        gaps: list[Gap] = []
        paths = self._paths()
        for path in paths:
            if path.suffix and path.with_suffix("") in paths and _twins(path, path.with_suffix("")):
                continue  # rotation is just packing it: the same lines twice
            try:
                found = self._look(path, entry, _zone(self.zone or zone), around)
            except PermissionError:
                gaps.append(
                    self._gap(
                        str(path), GapKind.UNAUTHORIZED, "may not be read by this user", "add the user to its group"
                    )
                )
            except store.DAMAGE as error:
                gaps.append(self._gap(str(path), GapKind.UNAVAILABLE, f"cannot be read: {_reason(error)}"))
            else:
                (stores if isinstance(found, Store) else gaps).append(found)  # type: ignore[arg-type]  # one or the other
        return sorted(stores, key=lambda one: one.first), gaps

    def _look(self, path: Path, entry: Logs, zone: tzinfo, around: datetime) -> Store | Gap:
        known = store.peek(path)
        if not known.beginning.strip():
            return self._gap(line(str(path)), GapKind.UNAVAILABLE, "the file is empty")
        layout = self._layout(known.beginning, entry, stamp.Clock(zone, around, utc(known.modified)))
        if layout and (found := Store.survey(path, self._host(path), layout, known)):
            return found
        first = line(next(filter(bytes.strip, known.beginning.split(b"\n"))), 120)
        return self._gap(
            line(str(path)),
            GapKind.BAD_ANSWER,
            f"no line begins with a time that is understood; the first one is: {first}",
            "set pattern (and time_format) for this source",
        )

    def _layout(self, sample: bytes, entry: Logs, clock: stamp.Clock) -> Layout | None:
        """Return how the lines of a sample are built, as configured or as they look."""
        if self.pattern:
            return Custom(_pattern(self.pattern), _reader(self.time_format, clock))
        structured = Structured(
            clock=clock,
            time=(self.time_field,) if self.time_field else TIME,
            message=(entry.message,) if entry.message else MESSAGE,
            level=(entry.level,) if entry.level else LEVEL,
            host=(entry.host,) if entry.host else HOST,
        )
        if self.format == "json" or (self.format == "auto" and structured.heads(sample)):
            return structured
        form = stamp.SYSLOG if self.format == "syslog" else stamp.recognise(sample, clock)
        return Plain(form, clock) if form else None

    def _host(self, path: Path) -> str:
        """Return the host as configured: fixed, or the group of a regex that finds it in the path."""
        if "(" not in self.host:
            return self.host
        found = compiled(self.host, "host").search(str(path))
        return line(found[1] or "") if found and found.re.groups else ""

    def _read(
        self, stores: Sequence[Store], tallies: Sequence[Tally], deadline: Deadline
    ) -> Generator[Gap, None, bool]:
        """Count the files into the tallies, the youngest first; its value tells whether all was read."""
        whole = True
        for one in reversed(stores):
            try:
                done = one.read(tallies, deadline)
            except store.DAMAGE as error:
                done = False
                yield self._gap(
                    line(str(one.path)), GapKind.TRUNCATED, f"could not be read to its end: {_reason(error)}"
                )
            else:
                if not done:
                    yield self._gap(
                        f"{line(str(one.path))} and what is older",
                        GapKind.TIMEOUT,
                        f"not read to the end within {deadline.seconds:g} s",
                        "raise timeout, or narrow path or the window",
                    )
                    return False
            whole = whole and done
        return whole

    def _sample(
        self, entry: Logs, stores: Sequence[Store], span: Span, tally: Tally, *, whole: bool
    ) -> Iterator[LogSample | Gap]:
        """Yield what was found in one stretch, and a Gap where the files do not reach over all of it."""
        if not stores:
            return
        oldest = utc(min(one.first for one in stores))
        if not tally.seen and not whole:
            detail = "not reached in the time there was, or in a file that is damaged"
            yield self._gap(f"all lines of {span.label}", GapKind.TIMEOUT, detail, "raise timeout", span.label)
            return
        if not tally.seen:
            detail = f"the oldest line is of {_shown(oldest)}"
            if all(one.last is not None for one in stores):
                detail += f", the newest of {_shown(utc(max(one.newest for one in stores)))}"
            yield self._gap(
                f"all lines of {span.label}", GapKind.UNAVAILABLE, f"the files have no line of these hours: {detail}",
                self._rotated(), span.label,
            )  # fmt: skip
            return
        start = span.start
        if oldest > span.start + timedelta(seconds=store.SLACK):
            start = oldest
            yield self._gap(
                f"lines of {span.label} before {_shown(oldest)}", GapKind.UNAVAILABLE,
                f"the oldest line is of {_shown(oldest)}", self._rotated(), span.label,
            )  # fmt: skip
        files = ", ".join(line(one.path.name) for one in stores[:5]) + (", ..." if len(stores) > 5 else "")
        yield LogSample(
            query=entry.query,
            span=span.label,
            start=start,
            end=span.end,
            total=tally.total,
            total_is_exact=whole,
            records=tuple(tally.records()),
            histogram=tally.histogram(),
            origin=Origin(
                source=self.name,
                query=f"{entry.query or 'all lines'} of {span.label} in {len(stores)} files: {files}",
                url=self.path if isinstance(self.path, str) else ", ".join(self.path),
                fetched_at=datetime.now(UTC).replace(microsecond=0),
            ),
        )

    def _rotated(self) -> str:
        single = isinstance(self.path, str) and not has_magic(self.path)
        return (
            f"rotated files count when path is a glob: {self.path}*" if single else "older files may have been removed"
        )


def _misdirected(entry: Logs, tallies: Sequence[Tally]) -> bool:
    """Return whether a query was hardly meant for files: its zeros would say that something stopped."""
    lines = any(tally.seen for tally in tallies)
    return lines and not any(tally.total for tally in tallies) and foreign(entry.query)


def _pattern(text: str) -> re.Pattern[bytes]:
    if "time" not in compiled(text, "pattern").groupindex:
        raise SourceError(GapKind.REJECTED, "pattern has no group 'time'", "write it as (?P<time>...)")
    return re.compile(text.encode())


def _reader(time_format: str, clock: stamp.Clock) -> Callable[[bytes], float]:
    """Return what reads the pattern's time: by strptime, else by the forms that are known."""

    def by_format(text: bytes) -> float:
        at = datetime.strptime(text.decode("utf-8", "replace"), time_format)  # noqa: DTZ007 - the zone is set below
        return (at if at.tzinfo else at.replace(tzinfo=clock.zone)).timestamp()

    form: stamp.Form | None = None

    def by_form(text: bytes) -> float:
        nonlocal form
        form = form or stamp.recognise(text, clock)
        found = form.head.match(b"\n" + text) if form else None
        if form is None or found is None:
            raise ValueError("no time stamp that is known")
        return form.read(clock, found[2], found[3]) + stamp.behind(text, found.end(2) - 1) / 1e6

    return by_format if time_format else by_form


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SourceError(
            GapKind.REJECTED, f"there is no time zone {name!r}", "write it as Europe/Berlin or UTC"
        ) from None


def _twins(packed: Path, plain: Path) -> bool:
    """Return whether a compressed file begins with the same bytes as its plain neighbour."""
    try:
        return (
            packed.suffix in store.PACKED and store.peek(packed).beginning[:4096] == store.peek(plain).beginning[:4096]
        )
    except store.DAMAGE:
        return False


def _reason(error: Exception) -> str:
    return line((error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__)


def _ceil(at: datetime) -> int:
    return ceil(at.timestamp())


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
