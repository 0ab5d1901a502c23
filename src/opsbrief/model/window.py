"""What span of time a brief is about, and how it was found. Times are aware UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class TimeKind(StrEnum):
    """Which instant of a deploy a log really records."""

    DEPLOY_START = "deploy start"
    DEPLOY_END = "deploy end"
    EVENT_TIME = "event time"  # when somebody or something wrote the marker
    TAG_TIME = "tag time"  # annotated tag: when it was tagged
    COMMIT_TIME = "commit time"  # lightweight tag or commit: when the code was committed
    LOG_TIME = "log time"  # first log line of the new version
    GIVEN = "given"  # typed by a person


@dataclass(frozen=True, slots=True)
class Deploy:
    """One deploy as one deploy log knows it."""

    at: datetime
    ref: str  # version, tag or commit as the log writes it; may be empty
    note: str
    source: str  # name of the source that said so
    time_kind: TimeKind = TimeKind.EVENT_TIME
    succeeded: bool = True
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The instant that a window starts from and the evidence for it."""

    kind: str  # "deploy", "tag", "commit", "alert" or "time"
    at: datetime
    ref: str = ""
    note: str = ""
    source: str = ""  # empty when a person gave the time
    time_kind: TimeKind = TimeKind.GIVEN


@dataclass(frozen=True, slots=True)
class Candidate:
    """One deploy in a receipt: what a log said, and how far it is from the one taken."""

    deploy: Deploy
    offset: float  # seconds after (+) or before (-) the anchor
    taken: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a window was found: the expressions, who was asked, what they said, why this one."""

    since: str
    until: str
    reason: str
    asked: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time [start, end) with a name."""

    label: str  # "" = the incident with the time before it; "last-week", "2-weeks-ago", ...
    start: datetime
    end: datetime
    shift: timedelta = timedelta(0)  # add to a time in here to lay it over the incident

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Window:
    """The incident [start, end), the time before it, and the weeks it is compared with.

    ``before`` is the length of the stretch directly before ``start`` that serves as the
    first baseline; ``weeks`` lists how many weeks back the same hours are fetched as well.
    Weekly spans are shifted on the wall clock of ``zone``, so that "the same hours" stay the
    same hours across a daylight-saving change (worked out by resolve; see ``shifts``).
    """

    start: datetime
    end: datetime
    anchor: Anchor
    before: timedelta
    zone: str = "UTC"
    shifts: tuple[tuple[str, timedelta], ...] = ()  # (label, how far back) per weekly baseline
    previous: Deploy | None = None  # the deploy before the anchor's, if a log knows one
    receipt: Receipt | None = None
    fix: Anchor | None = None  # set when the effect of a fix is asked for: start <= fix.at < end

    @property
    def incident(self) -> Span:
        """From the anchor to the end."""
        return Span("incident", self.start, self.end)

    @property
    def prior(self) -> Span:
        """The stretch directly before the anchor."""
        return Span("before", self.start - self.before, self.start)

    @property
    def whole(self) -> Span:
        """The time before and the incident in one; what a source asks for first."""
        return Span("", self.start - self.before, self.end)

    def phases(self) -> Iterator[Span]:
        """Yield, with a fix, what lies after it, what lies between start and fix, and the time before; else nothing."""
        if self.fix:
            yield Span("after", self.fix.at, self.end)
            yield Span("during", self.start, self.fix.at)
            yield self.prior

    def spans(self) -> Iterator[Span]:
        """Yield every stretch a source should answer for: the whole, then each weekly baseline."""
        whole = self.whole
        yield whole
        for label, shift in self.shifts:
            yield Span(label, whole.start - shift, whole.end - shift, shift)


def utc(epoch: float) -> datetime:
    """Return the aware UTC datetime of an epoch in seconds."""
    return datetime.fromtimestamp(epoch, UTC)
