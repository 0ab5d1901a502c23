"""What the sources said, each item with its origin. Missing is None or NaN, never 0."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from opsbrief.errors import GapKind
from opsbrief.model.effect import First
from opsbrief.model.scope import Scope
from opsbrief.model.window import TimeKind, Window

Role = Literal["infrastructure", "application", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an item comes from; enough to ask again."""

    source: str  # configured name
    query: str  # the request as a person would repeat it (no credentials)
    url: str = ""  # link or path, without credentials
    fetched_at: datetime | None = None
    bytes: int = 0  # size of the raw answer
    digest: str = ""  # sha256 of the raw answer, "sha256:..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One time series on a regular grid.

    ``values[i]`` (float64, NaN = no datapoint) belongs to ``start + i * step`` (epoch seconds).
    ``span`` is the label of the window's span it was fetched for: "" or e.g. "last-week".
    """

    name: str
    start: int
    step: int
    values: npt.NDArray[np.float64]
    metric: str = ""  # name of the scope's Metric that asked for it
    host: str = ""
    unit: str = ""
    worse: Literal["up", "down", "either"] = "either"  # what the source knows of it, where the metric says nothing
    span: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    consolidation: str = "average"  # how the store folds points together: average, max, last, ...
    origin: Origin
    id: str = ""

    @property
    def end(self) -> int:
        """Epoch seconds of the slot after the last one."""
        return self.start + self.step * len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One log line (a multi-line stack trace is one) in OpenTelemetry's words."""

    timestamp: datetime
    body: str
    severity_text: str = ""  # TRACE, DEBUG, INFO, WARN, ERROR, FATAL or "" when unknown
    attributes: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)  # host.name, service.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Lines per bucket and level: ``counts[level][i]`` for [start + i*step, start + (i+1)*step)."""

    start: int
    step: int
    counts: Mapping[str, tuple[int, ...]]  # level as severity_text; "" = level unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSample:
    """The lines of one query in one stretch [start, end): true total, histogram, and a bounded sample.

    A span of the window gives several samples: for the incident, for the time before it, and
    one per weekly baseline; ``span`` says which ("incident", "before", "last-week", ...).
    When ``len(records) < total`` the records are spread evenly over the stretch; rare levels may be
    drawn more densely than the rest, see ``weights``.
    """

    query: str
    span: str
    start: datetime
    end: datetime
    total: int
    total_is_exact: bool
    records: tuple[LogRecord, ...]
    histogram: Histogram | None = None
    origin: Origin
    id: str = ""

    def weights(self) -> dict[str, float]:
        """Return, for each level among the records, how many true lines one such record stands for (at least 1).

        Within one level every line had the same chance to be drawn, so the histogram tells; where it does
        not know the level as the records do, all lines share one weight.
        """
        drawn = Counter(record.severity_text for record in self.records)
        true = {level: sum(row) for level, row in self.histogram.counts.items()} if self.histogram else {}
        even = max(1.0, self.total / len(self.records)) if self.records else 1.0
        return {level: true[level] / n if true.get(level, 0) >= n else even for level, n in drawn.items()}


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file of a commit or diff."""

    path: str
    status: str = "M"  # A, M, D, R, C, T as git writes it
    added: int = 0
    deleted: int = 0
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Addition:
    """One added line of a release's diff."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of a file that a commit changed: as it was, as it is."""

    path: str
    line: int  # in the file as it is
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Somebody or something changed something: a commit, a tag, a deploy, a Puppet resource."""

    kind: Literal["commit", "tag", "deploy", "resource"]
    at: datetime
    ref: str
    summary: str
    role: Role = ""
    files: tuple[FileStat, ...] = ()
    edits: tuple[Edit, ...] = ()  # bounded; of a commit to what looks like the configuration of monitoring
    merge: bool = False
    first_parent: bool = True  # on the branch itself, not inside a merged one
    in_window: bool = True  # False: the last one before the window, shown as such
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    branch: str = ""
    author: str = ""  # stays in the evidence; on the page only with --people
    authored_at: datetime | None = None  # when the work was first written; ``at`` is when it was committed
    landed: bool = True  # False: dated in the window, but not yet on the branch when the window ended
    time_kind: TimeKind | None = None  # of a tag or deploy: which instant ``at`` really is
    version: str = ""  # of a resource: the commit whose catalog asked for it
    state: Literal["applied", "failed", "noop", ""] = ""  # of a resource: what came of it
    corrective: bool = False  # of a resource: somebody had changed it by hand, and it was put back
    origin: Origin
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a configuration agent (Puppet) on one node: which version of the infrastructure it applied."""

    at: datetime  # when it ended
    host: str
    status: Literal["changed", "unchanged", "failed"]  # a deploy that Puppet did is a Change apart, and no "changed"
    version: str = ""  # the commit it compiled; empty when what it names is none (``stated`` says what)
    stated: str = ""  # the configuration version as written
    noop: bool = False  # it only looked: its version was not applied
    pending: bool = False  # it would have changed something, had it been let
    cached: bool = False  # from a catalog of an earlier time: its version says nothing of now
    agent: bool = True  # False: puppet apply, which never tells that something was changed by hand
    changed: int = 0  # resources
    failed: int = 0
    in_window: bool = True  # False: the last one of its node before the window
    origin: Origin
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What lies between the previous deployed ref and the deployed one."""

    base: str
    head: str
    commits: tuple[Change, ...]
    files: tuple[FileStat, ...]
    additions: tuple[Addition, ...] = ()  # bounded; for finding the code that says a message
    complete: bool = True  # False when additions or commits were cut
    origin: Origin
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A state change, restart, notification or downtime."""

    at: datetime
    host: str
    service: str
    state: str  # OK, WARNING, CRITICAL, UNKNOWN, UP, DOWN, RESTART, ...
    state_type: Literal["hard", "soft", ""] = ""
    kind: Literal["state", "restart", "notification", "acknowledgement", "downtime", "flapping", "marker"] = "state"
    output: str = ""
    origin: Origin
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The answer of one read-only command on one host."""

    host: str
    command: str
    exit_status: int | None  # None: did not end, or was not permitted to start
    stdout: str
    stderr: str
    at: datetime
    about: str = ""  # of a source that knows its commands: what it answers ("sockets", "memory", ...)
    state: Literal["", "not permitted", "not there", "timed out"] = ""  # why there is no answer; never an empty one
    origin: Origin
    id: str = ""


Item = Series | LogSample | Change | Release | Event | Reading | Run
ItemT = TypeVar("ItemT", Series, LogSample, Change, Release, Event, Reading, Run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that was asked for and is not there; named in every brief."""

    source: str
    what: str  # "series collectd.app1.*", "everything", "index logstash-2026.11.20"
    kind: GapKind
    detail: str
    hint: str = ""
    span: str = ""  # label of the span it concerns; empty = all


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one source: items and gaps, and what it cost."""

    source: str
    type: str  # "graphite", "git", ...
    role: Role = ""
    gives: tuple[str, ...] = ()  # the kinds of evidence it can give as it is configured: "logs", "metrics", ...
    items: tuple[Item, ...] = ()
    gaps: tuple[Gap, ...] = ()
    took: float = 0.0
    requests: int = 0
    bytes: int = 0
    traceback: str = ""  # of a bug, for the bundle only
    warnings: tuple[str, ...] = ()  # what a reader must know although every answer came

    @property
    def status(self) -> Literal["ok", "partial", "failed", "skipped"]:
        """Return ok, partial (items and gaps), failed (gaps only) or skipped (on purpose)."""
        if not self.gaps:
            return "ok"
        if self.items:
            return "partial"
        return "skipped" if all(gap.kind is GapKind.SKIPPED for gap in self.gaps) else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was collected for one brief."""

    window: Window
    scope: Scope
    outcomes: tuple[Outcome, ...]
    collected_at: datetime
    version: str  # of opsbrief
    redactions: Mapping[str, int] = field(default_factory=dict)  # rule -> how many values
    first: First | None = None  # the brief that the effect of a fix is measured against

    def items(self, of: type[ItemT]) -> Iterator[ItemT]:
        """Yield every item of one type, in the order of sources and of arrival."""
        for outcome in self.outcomes:
            for item in outcome.items:
                if isinstance(item, of):
                    yield item

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """All gaps of all sources."""
        return tuple(gap for outcome in self.outcomes for gap in outcome.gaps)
