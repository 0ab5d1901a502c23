"""How often each log pattern was seen, in the incident, before it and in the weeks it is compared with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opsbrief.maths.mining import Known, mask, settle
from opsbrief.model.evidence import LogRecord, LogSample

LEVELS = ("FATAL", "ERROR", "WARN", "INFO", "", "DEBUG", "TRACE")  # the most telling first
_SPELLED = {
    **{level: level for level in LEVELS if level},
    **dict.fromkeys(("CRITICAL", "EMERG", "ALERT"), "FATAL"),
    **dict.fromkeys(("SEVERE", "ERR"), "ERROR"),
    "WARNING": "WARN",
    "NOTICE": "INFO",
}
_HOSTS = ("host.name", "host.hostname", "host", "hostname")


@dataclass(slots=True)
class Side:
    """One stretch of time as far as logs tell: its length, and how much of it the sample holds."""

    total: int = 0
    records: int = 0
    samples: list[LogSample] = field(default_factory=list)

    def take(self, sample: LogSample) -> None:
        """Add one sample: of another query about the same stretch, or of the same query about the adjoining one."""
        self.total += sample.total
        self.records += len(sample.records)
        self.samples.append(sample)

    @property
    def minutes(self) -> float:
        """How long the stretch is."""
        starts, ends = (sample.start for sample in self.samples), (sample.end for sample in self.samples)
        return (max(ends) - min(starts)).total_seconds() / 60 if self.samples else 0.0

    @property
    def sampled(self) -> bool:
        """Whether lines are missing from the records."""
        return self.records < self.total


@dataclass(slots=True)
class Pattern:
    """One pattern with its counts; ``seen`` are lines in the sample, ``rate`` true lines a minute."""

    text: str
    new: bool = False
    seen: Counter[str] = field(default_factory=Counter)  # side -> lines of the sample
    rate: Counter[str] = field(default_factory=Counter)  # side -> lines a minute, scaled to the true total
    levels: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, None] = field(default_factory=dict)
    minutes: set[int] = field(default_factory=set)  # minutes of the incident with at least one line
    first: datetime | None = None
    last: datetime | None = None
    example: str = ""
    basis: dict[str, None] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """The level most of its lines have; of equals, the more telling."""
        return max(LEVELS, key=lambda level: (self.levels[level], -LEVELS.index(level))) if self.levels else ""


def level(record: LogRecord) -> str:
    """Return the level of a record; where the record has none, the level its text begins with."""
    if record.severity_text:
        upper = record.severity_text.upper()
        return _SPELLED.get(upper, upper if upper in LEVELS else "")
    for word in record.body[:120].split()[:8]:
        spelled = _SPELLED.get(word.strip("[]():<>|-,"))
        if spelled:
            return spelled
    return ""


def host(record: LogRecord) -> str:
    """Return the host of a record, "" when unknown."""
    return next((record.resource[name] for name in _HOSTS if record.resource.get(name)), "")


def sides(samples: Iterable[LogSample]) -> dict[str, Side]:
    """Return the stretches by name: "incident", "before" and the labels of the weeks."""
    found: dict[str, Side] = {}
    for sample in samples:
        found.setdefault(sample.span or "incident", Side()).take(sample)
    return found


def tally(found: dict[str, Side]) -> list[Pattern]:
    """Return every pattern of every stretch, new ones decided against the baseline alone."""
    keyed = [
        (name, sample, mask([r.body for r in sample.records]))
        for name, side in found.items()
        for sample in side.samples
    ]
    baseline = {key for name, _, keys in keyed if name != "incident" for key in keys}
    fresh = {key for name, _, keys in keyed if name == "incident" for key in keys} - baseline
    known = Known(baseline)
    news = {key for key in fresh if not known.covers(key)}
    texts = {**settle((baseline | fresh) - news), **settle(news)}
    patterns: dict[tuple[str, bool], Pattern] = {}
    for name, sample, keys in keyed:
        minutes = max(found[name].minutes, 1e-9)
        each = {level: weight / minutes for level, weight in sample.weights().items()}
        for key, record in zip(keys, sample.records, strict=True):
            place = texts[key], key in news
            pattern = patterns.get(place) or patterns.setdefault(place, Pattern(text=place[0], new=place[1]))
            _count(pattern, name, record, each[record.severity_text])
            pattern.basis[sample.id] = None
    return sorted(patterns.values(), key=lambda pattern: pattern.text)


def _count(pattern: Pattern, side: str, record: LogRecord, each: float) -> None:
    pattern.seen[side] += 1
    pattern.rate[side] += each  # type: ignore[assignment]  # a Counter adds floats as well as integers
    if side != "incident":
        if not pattern.example:
            pattern.example = record.body
        if not pattern.seen["incident"]:
            pattern.levels[level(record)] += 1
        return
    if pattern.seen[side] == 1:  # from here on, what the incident says is told
        pattern.levels.clear()
        pattern.example = record.body
    pattern.levels[level(record)] += 1
    pattern.hosts[host(record)] = None
    pattern.minutes.add(int(record.timestamp.timestamp() // 60))
    if pattern.first is None or record.timestamp < pattern.first:
        pattern.first, pattern.example = record.timestamp, record.body
    if pattern.last is None or record.timestamp > pattern.last:
        pattern.last = record.timestamp


def weeks(found: dict[str, Side]) -> Sequence[str]:
    """Return the names of the stretches of other weeks."""
    return [name for name in found if name not in ("incident", "before")]
