"""What is known at one moment of a watch: the state that a screen shows and a line of JSON says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from opsbrief.model.brief import Tone
from opsbrief.model.chart import Floats, Moment
from opsbrief.model.evidence import Gap
from opsbrief.model.finding import Verdict

NoteKind = Literal["log", "event", "change", "deploy", "source", "verdict"]
SourceState = Literal["ok", "partial", "silent", "failed", "stuck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric as it stands. ``values`` are of the series that went furthest, slot i at ``start + i * step``.

    ``before`` and ``after`` are the levels around the start; with an effect, those around the fix.
    """

    name: str
    verdict: Verdict
    does: str  # "rising", "stepped up", "unchanged", "cannot tell"
    tone: Tone
    before: float | None
    after: float | None
    now: float | None  # the newest value of the series shown
    unit: str
    hosts: str  # "8 of 8 hosts", or empty
    key: bool
    left: float | None  # seconds to the limit at the present slope
    limit: float | None
    effect: Verdict | None  # since the fix: fixed, better, unchanged, worse, too early; None without a fix
    series: str  # the name of the series shown
    host: str
    start: int
    step: int
    values: Floats
    newest: datetime | None  # of the newest datapoint among all series of the metric


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A log pattern that is new, exploded or vanished since the start of the window."""

    text: str
    verdict: Verdict
    level: str
    before: float  # lines a minute
    after: float
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that came up while watching."""

    at: datetime
    kind: NoteKind
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A source: ``since`` is when it last gave what was asked (None: never).

    partial: with a gap; silent: it answers, but has nothing new; failed: no answer; stuck: still busy with an
    earlier question.
    """

    source: str
    state: SourceState
    since: datetime | None
    detail: str = ""

    @property
    def well(self) -> bool:
        """Whether it gives what is asked."""
        return self.state in ("ok", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """How far the rule of ``--until settled`` has come."""

    ticks: int  # in a row in which it held
    needed: int
    waits: str  # what it waits for; empty when it holds

    @property
    def done(self) -> bool:
        """Whether it has held long enough."""
        return self.ticks >= self.needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The state after one round of asking."""

    number: int  # from 1
    at: datetime
    service: str
    zone: str
    start: datetime  # of the window
    before: datetime  # where the stretch before it begins
    headline: str
    tone: Tone
    rows: tuple[Row, ...]
    news: tuple[News, ...]
    notes: tuple[Note, ...]  # the journal so far, oldest first, bounded
    fresh: tuple[Note, ...]  # what this tick added to it
    states: tuple[State, ...]
    gaps: tuple[Gap, ...]
    marks: tuple[Moment, ...]  # deploys, the fix, restarts, alarms
    fix: Moment | None
    settling: Settling
    turned: bool  # a verdict is another than the one told before
    took: float  # seconds of asking and judging
    defect: str = ""  # a defect of opsbrief in this tick; what is shown otherwise is of the tick before
