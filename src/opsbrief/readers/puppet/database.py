"""What PuppetDB knows of some nodes in one span of time, and what it does not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Origin
from opsbrief.model.window import Span
from opsbrief.readers.puppet import record
from opsbrief.readers.puppet.ask import Ask, Query, Row
from opsbrief.readers.puppet.nodes import Nodes, grouped, listed
from opsbrief.readers.puppet.record import Happening, Report, moment
from opsbrief.readers.puppet.rollout import Pattern, Rollout, rollouts
from opsbrief.readers.puppet.tale import Tale, named
from opsbrief.text import line
from opsbrief.timespec import spell
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

T = TypeVar("T")

#: Fields that not every version knows, and without which the rest still tells something.
OPTIONAL = frozenset({"noop_pending", "cached_catalog_status", "producer", "type", "corrective_change", "expired"})

_NODES = 50_000
_CHUNK = 200  # nodes or reports that one question names
_RECENT = timedelta(minutes=30)
_LAG = timedelta(minutes=1)  # a report that is stored so much later than it ended is late
_NODE = ("certname", "report_timestamp", "deactivated", "expired")
_REPORT = (
    "hash", "certname", "start_time", "end_time", "receive_time", "configuration_version", "status", "noop",
    "noop_pending", "cached_catalog_status", "producer", "type",
)  # fmt: skip
_EVENT = (
    "report", "certname", "timestamp", "resource_type", "resource_title", "property", "old_value", "new_value",
    "status", "message", "corrective_change", "configuration_version", "containing_class", "containment_path",
)  # fmt: skip
_NEWEST_REPORT = (("end_time", "desc"), ("hash", "asc"))
_NEWEST_EVENT = (("timestamp", "desc"), ("certname", "asc"), ("resource_title", "asc"), ("property", "asc"))


@dataclass(slots=True)
class Reading:
    """One span of one PuppetDB. ``gaps`` are what did not come."""

    source: str
    ask: Ask
    nodes: Nodes
    span: Span
    deadline: Deadline
    reports: int  # most
    events: int
    gaps: list[Gap] = field(default_factory=list)

    def tale(self) -> Tale:
        """Return all there is of the span. Raises SourceError."""
        found, known = Tale(), self._known()
        if not known:
            return found
        start, end, whose = stamp(self.span.start), stamp(self.span.end), self._whose(known)
        overlap: Query = ["and", *whose, [">=", "end_time", start], ["<", "start_time", end]]
        of_those: Query = ["and", *whose, [">=", "run_end_time", start], ["<", "run_start_time", end]]
        before: Query = ["and", *whose, ["<", "end_time", start]]
        earlier: list[tuple[Happening, Origin]] = []

        def runs() -> None:
            found.runs += self._reports(overlap, "reports", self.reports)

        def events() -> None:
            found.events += self._events(of_those)

        def last() -> None:
            found.earlier |= self._last(before)
            changed = [
                report.id for report, _ in found.earlier.values() if report.status != "unchanged" or report.pending
            ]
            for some in _chunks(changed):
                earlier.extend(self._events(["in", "report", ["array", some]]))

        self._together(runs, events, last)
        found.events += earlier
        self._silent(known, found)
        self._late(found)
        return found

    def rollouts(self, patterns: Sequence[Pattern]) -> list[Rollout]:
        """Return the deploys of the span."""
        if not (known := self._known()):
            return []
        where: Query = [
            "and", *self._whose(known), [">=", "timestamp", stamp(self.span.start)],
            ["<", "timestamp", stamp(self.span.end)], ["in", "status", ["array", ["success", "failure"]]],
            ["or", *(one.query() for one in patterns)],
        ]  # fmt: skip
        return rollouts([named(one, self.nodes) for one, _ in self._events(where)], patterns)

    def _together(self, *tasks: Callable[[], None]) -> None:
        for _, result in side_by_side(lambda task: task(), tasks, self.deadline):
            if isinstance(result, SourceError):
                raise result

    # --- asking -----------------------------------------------------------------------------------

    def _known(self) -> dict[str, Row]:
        """Return the nodes that are meant, by certificate name; those that are not there become gaps."""
        every: Query = ["or", ["=", ["node", "active"], True], ["=", ["node", "active"], False]]
        there: dict[str, Row] = {}
        others: list[str] = []
        total = 0
        for page in self.ask.pages("nodes", _NODE, every, (("certname", "asc"),), _NODES):
            total = page.total
            for row in page.rows:
                name = line(str(row.get("certname") or ""), 300)
                if name and self.nodes.wants(name):
                    there[name] = row
                elif name and len(others) < 5:
                    others.append(name)
        for doubt in self.nodes.doubles:
            self.deadline.warn(doubt)
        if total > _NODES:
            self._gap("the other nodes", GapKind.TRUNCATED, f"{_NODES:,} of {total:,} nodes were looked at")
        gone = {name: reason for name, row in there.items() if (reason := self._gone(row))}
        # Who says app* does not mean those that somebody took away on purpose.
        for reason, names in grouped({k: v for k, v in gone.items() if v.startswith("expired") or self.nodes.named(k)}):
            self._gap(listed(names), GapKind.UNAVAILABLE, reason, "take it out of the service's hosts if it is no more")
        if missing := self.nodes.missing:
            examples = f"; it knows {', '.join(others)}" if others else ""
            detail = f"PuppetDB does not know {'it' if len(missing) == 1 else 'them'}{examples}"
            hint = "say by nodes how Puppet calls them: infrastructure: {nodes: [...]}"
            self._gap(listed(missing), GapKind.UNAVAILABLE, detail, hint)
        elif not there:
            self._gap("everything", GapKind.UNAVAILABLE, "PuppetDB knows no node", "do the nodes report to this one?")
        return {name: row for name, row in there.items() if name not in gone}

    def _gone(self, row: Row) -> str:
        """Return why a node is not there any more; "" when it is."""
        for word in ("deactivated", "expired"):
            if at := moment(row.get(word)):
                return f"{word} in PuppetDB on {at:%Y-%m-%d %H:%M} UTC; its runs are not read"
        return ""

    def _whose(self, known: dict[str, Row]) -> list[object]:
        """Return the condition that a row is about one of the nodes; none where all are meant."""
        return [["in", "certname", ["array", sorted(known)]]] if self.nodes.names else []

    def _reports(self, where: Query, what: str, most: int) -> list[tuple[Report, Origin]]:
        found: list[tuple[Report, Origin]] = []
        rows = total = bad = 0
        for page in self.ask.pages("reports", _REPORT, where, _NEWEST_REPORT, most):
            total, rows = page.total, rows + len(page.rows)
            reports = [report(row) for row in page.rows]
            bad += reports.count(None)
            found += [(one, page.origin) for one in reports if one and self.nodes.wants(one.node)]
        self._cut(what, rows, total, "raise max_reports, or take a shorter window")
        if bad:
            self._gap(what, GapKind.BAD_ANSWER, f"{bad:,} of {rows:,} are no reports: a time or a status is missing")
        return found

    def _last(self, before: Query) -> dict[str, tuple[Report, Origin]]:
        """Return the last report of each node before the span."""
        found: dict[str, tuple[Report, Origin]] = {}
        wanted: list[object] = []
        for row in self.ask.grouped("reports", "certname", before, _NODES):
            name, at = row.get("certname"), moment(row.get("max"))
            if isinstance(name, str) and at and self.nodes.wants(name):
                # It is stored finer than it is told.
                until = at + timedelta(milliseconds=1)
                wanted.append(
                    ["and", ["=", "certname", name], [">=", "end_time", stamp(at)], ["<", "end_time", stamp(until)]]
                )
        for some in _chunks(wanted):
            for one, origin in self._reports(["or", *some], "reports before", 2 * _CHUNK):
                if one.node not in found or one.end > found[one.node][0].end:
                    found[one.node] = (one, origin)
        return found

    def _events(self, where: Query) -> list[tuple[Happening, Origin]]:
        found: list[tuple[Happening, Origin]] = []
        rows = total = 0
        for page in self.ask.pages("events", _EVENT, where, _NEWEST_EVENT, self.events):
            total, rows = page.total, rows + len(page.rows)
            for row in page.rows:
                one = event(row)
                if one and self.nodes.wants(one.node):
                    found.append((one, page.origin))
        self._cut("events of resources", rows, total, "raise max_events, or take a shorter window")
        return found

    # --- what did not come ------------------------------------------------------------------------

    def _silent(self, known: dict[str, Row], found: Tale) -> None:
        """Name the nodes that nothing is known of, and those of which nothing is known from before."""
        ran = {one.node for one, _ in found.runs if one.end >= self.span.start}
        silent: dict[str, str] = {}
        new: list[str] = []
        for name, row in known.items():
            if name not in ran and name not in found.earlier:
                at = moment(row.get("report_timestamp"))
                told = "its reports begin after the window, or are no longer kept"
                silent[name] = f"{told}: the newest is of {at:%Y-%m-%d}" if at else "it has never sent a report"
            elif name not in found.earlier:
                new.append(name)
        for reason, names in grouped(silent):
            self._gap(listed(names), GapKind.UNAVAILABLE, reason)
        if new:
            detail = f"there is no report from before {self.span.start:%Y-%m-%d %H:%M} UTC"
            hint = "it is new, or PuppetDB keeps reports for a shorter time (report-ttl)"
            self._gap(f"the run before the window of {listed(new)}", GapKind.UNAVAILABLE, detail, hint)

    def _late(self, found: Tale) -> None:
        """Warn where reports are stored late and the window ends so near to now that some may be missing."""
        newest = max((one.end for one, _ in found.runs), default=self.span.start)
        # What was stored late long ago, as after an outage, tells nothing of now.
        lags = [one.stored - one.end for one, _ in found.runs if one.stored and newest - one.end < _RECENT]
        worst = max(lags, default=timedelta(0))
        if worst > _LAG and self.span.end + worst > datetime.now(UTC):
            self.deadline.warn(
                f"PuppetDB stored reports up to {spell(worst, 2)} after the end of the run; "
                "the newest runs may be missing"
            )

    def _cut(self, what: str, rows: int, total: int, hint: str) -> None:
        if total > rows:
            self._gap(f"older {what}", GapKind.TRUNCATED, f"{rows:,} of {total:,} were read, the newest", hint)

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> None:
        self.gaps.append(Gap(source=self.source, what=what, kind=kind, detail=detail, hint=hint))


def report(row: Row) -> Report | None:
    """Return a row of reports; None when it lacks what makes one."""
    start, end = moment(row.get("start_time")), moment(row.get("end_time"))
    status, node = row.get("status"), line(str(row.get("certname") or ""), 300)
    if not start or not end or not node or status not in record.STATUSES:
        return None
    producer = row.get("producer")
    return Report(
        id=str(row.get("hash") or ""), node=node, start=start, end=end,
        status=status, stated=record.plainly(row.get("configuration_version"), 200),
        noop=row.get("noop") is True, pending=row.get("noop_pending") is True,
        cached=row.get("cached_catalog_status") not in {None, "", "not_used"},
        # A catalog that the node made itself: puppet apply, or a server that is its own client, for which the
        # weaker word is no wrong one.
        agent=row.get("type") in {None, "agent"} and (not producer or producer != row.get("certname")),
        stored=moment(row.get("receive_time")),
    )  # fmt: skip


def event(row: Row) -> Happening | None:
    """Return a row of events; None when nothing was touched."""
    path = row.get("containment_path")
    classes = [str(part) for part in path if "[" not in str(part)] if isinstance(path, list) else []
    if isinstance(containing := row.get("containing_class"), str) and containing not in classes:
        classes.append(containing)
    return record.happening(
        row, at=moment(row.get("timestamp")), node=line(str(row.get("certname") or ""), 300),
        stated=record.plainly(row.get("configuration_version"), 200), run=str(row.get("report") or ""), classes=classes,
    )  # fmt: skip


def stamp(at: datetime) -> str:
    """Return a time as PuppetDB reads it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _chunks(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[at : at + _CHUNK] for at in range(0, len(every), _CHUNK))
