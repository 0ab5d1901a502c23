"""collectd's own files, for those without Graphite: RRD files and CSV files on disk, read without rrdtool.

Of a metric that has both, the RRD file answers unless its rows are coarse by then. A target is written as the path
below the folder: ``{host}/tcpconns-8080-local/tcp_connections-ESTABLISHED``.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Series
from opsbrief.model.scope import Metric
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers.collectd import known
from opsbrief.readers.collectd.board import Board, Member, fill
from opsbrief.readers.collectd.daily import DailyError
from opsbrief.readers.collectd.files import Files, Piece, held, needed, newest, said
from opsbrief.readers.collectd.remote import Remote
from opsbrief.readers.collectd.rrd import RrdError
from opsbrief.readers.collectd.store import Entry, Listing, Store, folders
from opsbrief.readers.collectd.survey import Survey, metrics, noted, stretches
from opsbrief.readers.graphite.plan import Want
from opsbrief.readers.graphite.target import TargetError, glob, spread
from opsbrief.source import Source, Ssh
from opsbrief.text import clean, line
from opsbrief.transport.deadline import Deadline

_LATE = 300  # seconds the data may end before the window does, without a word about it
_STEPS = 3  # and so many steps of the newest series: a row is written when its time is over
_NAMED = 5  # files in one gap; the number of the others is said
_SHAPE = "write it as the path below the folder: {host}/load/load; a target for another system: name its source"


@dataclass(frozen=True, slots=True)
class _Want:
    """One metric of one host, and the data sources of it that are wanted; none named: all."""

    metric: Metric
    host: str
    entry: Entry
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collectd(Source):
    """A folder that collectd writes RRD or CSV files to: its metrics without a Graphite server."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics"})

    path: str = field(
        metadata={"help": "collectd's data folder, or that of its rrdtool or csv plugin", "path": True}
    )  # fmt: skip
    targets: tuple[str, ...] = field(
        default=(), metadata={"help": "more targets, beside the metrics of the service: {host}/load/load"}
    )
    rows: Literal["average", "max", "min"] = field(
        default="average", metadata={"help": "which rows of RRD files that fold several samples together"}
    )
    max_series: int = field(default=2000, metadata={"help": "most series to read"})

    host: str = field(
        default="",
        metadata={"help": "read there over SSH; {host}: on each host of the service; default: this machine's disk"},
    )
    ssh: Ssh = field(default_factory=Ssh, metadata={"help": "how to get in"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        """Yield the series of every span, from each file that a target or the dashboard names."""
        if self.host:
            yield from self._there(window, deadline)
            return
        root = Path(self.path).expanduser()
        if not root.is_dir():
            hint = "path is the folder that holds the folders of the hosts"
            raise SourceError(GapKind.UNAVAILABLE, f"there is no folder {line(str(root))}", hint)
        reading = _Reading(self, Store(root), window)
        yield from reading.plan()
        yield from reading.read(Files(self.rows.upper()), deadline)

    def _there(self, window: Window, deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        """Do the same on other hosts: list, decide, take the files along, read them here."""
        each = self.scope.hosts if "{host}" in self.host else ("",)
        hosts = [self.host.replace("{host}", host) for host in each]
        if not hosts:
            raise SourceError(GapKind.REJECTED, "host is {host}, but the service names no hosts", "list them in hosts")
        remote = Remote(lambda host: self.ssh.open(host, deadline), hosts, self.path.rstrip("/"), deadline)
        paths = remote.paths()
        if not paths and len(remote.lost) == 1:
            raise next(iter(remote.lost.values()))
        reading = _Reading(self, Listing(self.path.rstrip("/"), paths), window)
        yield from reading.plan()
        spans = [*window.spans()]
        spans += stretches(window)  # for whether counters are raw
        contents = remote.contents(path for want in reading.wants for path in needed(want.entry, spans))
        yield from reading.read(Files(self.rows.upper(), held(contents)), deadline)
        for host, error in remote.lost.items():
            yield self.gap(f"collectd's files on {line(host, 100)}", error.kind, error.message, error.hint)

    def gap(self, what: str, kind: GapKind, detail: str, hint: str = "", span: str = "") -> Gap:
        """Return a gap of this source."""
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint, span=span)


class _Reading:
    """One collect: what is wanted, what came, what did not."""

    def __init__(self, source: Collectd, store: Store | Listing, window: Window) -> None:
        self.wants: list[_Want] = []
        self._source = source
        self._store = store
        self._window = window
        self._now = int(time.time())
        self._there = store.hosts()
        self._folders, self._unclear = folders(source.scope.hosts, self._there)
        self._called = {folder: host for host, folder in self._folders.items()}
        self._survey = Survey()
        self._filled: Board | None = None
        self._bad: dict[tuple[GapKind, str], dict[str, None]] = {}
        self._came: dict[str, set[str]] = {}  # target that somebody wrote -> spans in which something came
        self._newest = self._step = 0
        self._room = {span.label: source.max_series for span in window.spans()}

    # --- what is wanted ---------------------------------------------------------------------------

    def plan(self) -> Iterator[Metric | Gap]:
        """Decide what to read; yield the dashboard's metrics and what cannot be asked for."""
        source = self._source
        mine = [metric for metric in source.scope.metrics if metric.source in {"", source.name} and not metric.found]
        mine += [Metric(target=target) for target in source.targets]
        if not mine and not source.scope.dashboard:
            yield source.gap("everything", GapKind.SKIPPED, "no metric asks this source", "add dashboard: collectd")
        for metric in sorted(mine, key=lambda one: one.rank):
            yield from self._named(metric)
        if source.scope.dashboard:
            yield from self._found()

    def _named(self, metric: Metric) -> Iterator[Gap]:
        """Add the files of a target that somebody wrote."""
        what, hosts = f"series {line(metric.target, 200)}", self._source.scope.hosts
        levels = metric.target.split("/")
        if len(levels) != 3:
            yield self._source.gap(what, GapKind.REJECTED, "it is no target for collectd's files", _SHAPE)
            return
        if "{host}" in metric.target and not hosts:
            detail = "it has {host}, but the service names no hosts"
            yield self._source.gap(what, GapKind.REJECTED, detail, "list them in hosts")
            return
        taken = {want.entry.name for want in self.wants}
        self._came[metric.target] = set()
        try:
            for host, forms in spread(metric.target, hosts):
                _, plugin, kind = (_pattern(level) for level in forms[-1].split("/"))
                for entry in self._store.entries(self._places(levels[0], host)):
                    fits = plugin(entry.plugin) and kind(entry.kind)
                    if fits and not (metric.rank and entry.name in taken):
                        self.wants.append(_Want(metric, self._host(entry), entry))
        except TargetError as error:
            yield self._source.gap(what, GapKind.REJECTED, f"cannot be read: {error}", "check its brackets")

    def _places(self, level: str, host: str) -> list[str]:
        """Return the folders of hosts that the first level of a target stands for."""
        if host:
            return [self._folders[host]] if level == "{host}" and host in self._folders else []
        fits = _pattern(level)
        return [name for name in self._there if fits(name)]

    def _found(self) -> Iterator[Metric | Gap]:
        """Add what the dashboard finds for the hosts of the service."""
        source, board = self._source, self._source.scope.dashboard
        if board is None or not source.scope.hosts:
            detail = "a dashboard finds the metrics of hosts, but the service names none"
            yield source.gap("dashboard collectd", GapKind.REJECTED, detail, "list them in hosts")
            return
        taken = {want.entry.name for want in self.wants if not want.metric.rank}
        places: dict[str, Entry] = {}
        members: list[Member] = []
        for entry in self._store.entries([*self._folders.values()]):
            if entry.name not in taken:
                for part in known.parts(entry.identity("")):
                    member = Member(self._host(entry), self._name(entry, part), entry.identity(part))
                    members.append(member)
                    places[member.name] = entry
        self._filled = fill(members, board)
        lines = [*(row.members for row in self._filled.rows), self._filled.net]
        for metric, mine in zip(metrics(self._filled), lines, strict=False):
            own = replace(metric, source=source.name)
            yield own
            parts: dict[str, list[Member]] = {}
            for member in mine:
                parts.setdefault(places[member.name].name, []).append(member)
            for some in parts.values():
                entry = places[some[0].name]
                wanted = frozenset(member.what.part for member in some) if known.told(some[0].what) else frozenset()
                self.wants.append(_Want(own, some[0].host, entry, wanted))
        self._survey.members = {member.name: member for member in members}
        yield from self._lost()

    def _lost(self) -> Iterator[Gap]:
        """Yield the hosts of the service that have no folder, or several."""
        for host, names in self._unclear.items():
            detail = f"which of these {line(host, 100)} is cannot be told: {_some(names)}"
            yield self._source.gap("dashboard collectd", GapKind.REJECTED, detail, "give the host's whole name")
        missing = [host for host in self._source.scope.hosts if host not in {*self._folders, *self._unclear}]
        if missing:
            detail = f"no folder for {_some(missing)}; there is {_some(self._there) or 'none at all'}"
            yield self._source.gap("dashboard collectd", GapKind.UNAVAILABLE, detail, "is the path the right one?")

    # --- what came --------------------------------------------------------------------------------

    def read(self, files: Files, deadline: Deadline) -> Iterator[Series | Gap]:
        """Yield what the files give for every span, then what is missing."""
        for note in self._notes(files):
            deadline.warn(note)
        for span in self._window.spans():
            for want in self.wants:
                deadline.remaining()
                yield from self._one(files, want, span)
        yield from self._gaps()

    def _notes(self, files: Files) -> Iterator[str]:
        """Yield what whoever reads the brief must know although everything came."""
        yield from noted(self._filled) if self._filled else ()
        every = self._store.entries(sorted({want.entry.host for want in self.wants}))
        if hosts := files.judge(every, stretches(self._window)):
            yield f"the counters in the CSV files of {_some(hosts)} are stored raw, shown as rates"

    def _one(self, files: Files, want: _Want, span: Span) -> Iterator[Series]:
        """Yield the series of one file that have a datapoint in ``span``."""
        try:
            pieces = files.read(want.entry, span)
        except (RrdError, DailyError, OSError) as error:
            self._note(GapKind.BAD_ANSWER, said(error), want.entry)
            return
        for piece in pieces:
            if piece.bad:
                self._note(GapKind.BAD_ANSWER, "lines that cannot be read were left out", want.entry)
            end = newest(piece)
            if not end or (want.parts and piece.part not in want.parts):
                continue
            self._newest, self._step = max((self._newest, self._step), (end, piece.step))
            self._room[span.label] -= 1
            if self._room[span.label] >= 0:
                self._came.setdefault(want.metric.target, set()).add(span.label)
                yield self._survey.dress(self._series(want, piece, span), replace(want.metric, rank=False, found=False))

    def _series(self, want: _Want, piece: Piece, span: Span) -> Series:
        name = self._name(want.entry, piece.part)
        what = want.entry.identity(piece.part)
        return Series(
            name=name,
            start=piece.start,
            step=piece.step,
            values=piece.values,
            metric=want.metric.name or want.metric.target,
            host=line(want.host, 200),
            unit=want.metric.unit or known.unit(what),
            worse=known.worse(what),
            span=span.label,
            consolidation=piece.function,
            origin=Origin(
                source=self._source.name,
                query=f"{'csv' if piece.sampled else 'rrd'} {name} from={span.start.isoformat()} "
                f"until={span.end.isoformat()}",
                url=clean(piece.path, 1000),
                fetched_at=utc(self._now),
                bytes=piece.size,
                digest=f"sha256:{sha256(piece.values.tobytes()).hexdigest()}",
            ),
        )

    def _host(self, entry: Entry) -> str:
        return self._called.get(entry.host, entry.host)

    def _name(self, entry: Entry, part: str) -> str:
        """Return what a series is called: with the host as the service calls it, so that hosts can be compared."""
        tail = f"/{part}" if part != "value" else ""
        return clean(f"{self._host(entry)}/{entry.plugin}/{entry.kind}{tail}", 1000)

    # --- what did not -----------------------------------------------------------------------------

    def _note(self, kind: GapKind, detail: str, entry: Entry) -> None:
        self._bad.setdefault((kind, line(detail)), {})[entry.name] = None

    def _gaps(self) -> Iterator[Gap]:
        """Yield what is missing, and where the data ends when that is before the end of the window."""
        source = self._source
        yield from self._store.gaps(source.name)
        self._survey.wants = tuple(Want(metric=want.metric, host=want.host, targets=()) for want in self.wants)
        yield from self._survey.silent(source.name) if self._filled else ()
        for (kind, detail), names in self._bad.items():
            yield source.gap(f"files {_some([*names])}", kind, detail)
        broken = {name for names in self._bad.values() for name in names}
        labels = [span.label for span in self._window.spans()]
        for target, came in self._came.items():
            mine = [want for want in self.wants if want.metric.target == target and not want.metric.found]
            lacking = [label for label in labels if label not in came]
            if (
                lacking
                and not (mine and all(want.entry.name in broken for want in mine))
                and not self._is_found(target)
            ):
                where = "" if len(lacking) == len(labels) else ", ".join(label or "window" for label in lacking)
                detail = "no datapoint in this span" if mine else "no such file"
                yield source.gap(f"series {line(target, 200)}", GapKind.UNAVAILABLE, detail, span=where)
        if (over := -min(self._room.values())) > 0:
            detail = f"{over:,} series dropped: the limit is {source.max_series:,} series in all"
            yield source.gap("the rest", GapKind.TRUNCATED, detail, "narrow the targets or raise max_series")
        end = min(self._now, int(self._window.end.timestamp()))
        if self._newest and end - self._newest > max(_LATE, _STEPS * self._step):
            detail = f"the data ends at {utc(self._newest):%Y-%m-%d %H:%M:%S} UTC,"
            detail += f" {(end - self._newest) // 60} min before the end of the window"
            hint = "collectd keeps what is new in memory for a while: CacheTimeout of its rrdtool plugin"
            yield source.gap("the newest points", GapKind.TRUNCATED, detail, hint)

    def _is_found(self, target: str) -> bool:
        return any(want.metric.found for want in self.wants if want.metric.target == target)


def _pattern(level: str) -> Callable[[str], object]:
    """Return whether a name fits one level of a target; its dots are dots, not the borders of levels."""
    if not set(level) & set("*?[{"):
        return lambda name: name == level
    wanted = glob(level.replace(".", "\x1f"))
    return lambda name: wanted.match(name.replace(".", "\x1f"))


def _some(names: Iterable[str]) -> str:
    """Return the first few names and the number of the others."""
    every = [line(name, 120) for name in names]
    shown = ", ".join(every[:_NAMED])
    return shown if len(every) <= _NAMED else f"{shown} and {len(every) - _NAMED:,} more"
