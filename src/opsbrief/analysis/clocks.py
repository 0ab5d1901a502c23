"""Whether the clocks of the sources agree, by events that two of them saw.

A restart that Monit told and the fall it made in a series, an alarm in two monitoring systems, a deploy in two
deploy logs. Only where enough events fit one offset, and no other as well, is anything said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from opsbrief import phrase
from opsbrief.maths.offset import Instants, Offset, Stretches, estimate
from opsbrief.model.evidence import Change, Event, Evidence, Series
from opsbrief.model.finding import Finding, Verdict, lead

AGREE = 5.0  # seconds: nearer than this nobody needs to know
_EXACT = 1.0  # seconds that a stamp in whole seconds may be off

Key = tuple[str, ...]  # what makes two events the same but for their time
Seen = dict[str, dict[Key, list[float]]]  # source -> key -> epochs


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "clock" per pair of sources that saw enough of the same events, those that disagree most first."""
    made = [*_restarts(evidence, found), *_twice(_alarms(evidence), "alarm"), *_twice(_deploys(evidence), "deploy")]
    judged = [_weighed(one, evidence, found) for one in made]
    yield from sorted(judged, key=lambda one: (-one.score, one.subject))


def _restarts(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Compare restarts that a source told with the falls of series on the same hosts."""
    own = evidence.scope.host
    series = {item.id: item for item in evidence.items(Series)}
    falls: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for finding in found:
        times = finding.facts.get("resets_at") if finding.code == "series" else None
        for one in [series[name] for name in finding.basis if name in series and series[name].host]:
            stretches = [(float(at), float(at) + one.step) for at in str(times).split(",")] if times else []
            hosts = falls.setdefault(one.origin.source, {})
            hosts[own(one.host)] = hosts.get(own(one.host), []) or stretches
    told: dict[str, dict[str, list[float]]] = {}
    for event in evidence.items(Event):
        if event.kind == "restart" and event.host:
            hosts_ = told.setdefault(event.origin.source, {})
            hosts_.setdefault(own(event.host), []).append(event.at.timestamp())
    for name, instants in told.items():
        for other, stretches_ in falls.items():
            both = {host: (instants[host], stretches_[host]) for host in instants if stretches_.get(host)}
            yield from _pair(name, other, both, "restart")


def _pair(name: str, other: str, both: Mapping[str, tuple[Instants, Stretches]], thing: str) -> Iterator[Finding]:
    """Yield the offset of two sources, and of single hosts whose clock is another than the rest's."""
    pooled = estimate(both.values())
    if pooled:
        yield _finding(name, other, pooled, thing)
    for host, seen in both.items():
        alone = estimate([seen]) if len(both) > 1 else None
        if alone and (pooled is None or alone.low > pooled.high + AGREE or alone.high < pooled.low - AGREE):
            yield _finding(f"{name} at {host}", other, alone, thing)


def _alarms(evidence: Evidence) -> Seen:
    seen: Seen = {}
    for event in evidence.items(Event):
        if event.kind in ("state", "acknowledgement", "downtime"):
            key = (evidence.scope.host(event.host).lower(), event.service.lower(), event.kind, event.state)
            seen.setdefault(event.origin.source, {}).setdefault(key, []).append(event.at.timestamp())
    return seen


def _deploys(evidence: Evidence) -> Seen:
    """Return deploys by name and by which of its instants a log records: only like ones can be compared."""
    seen: Seen = {}
    receipt = evidence.window.receipt
    told = (
        [(c.deploy.source, c.deploy.ref, c.deploy.time_kind, c.deploy.at) for c in receipt.candidates]
        if receipt
        else []
    )
    told += [
        (c.origin.source, c.ref, c.time_kind, c.at)
        for c in evidence.items(Change)
        if c.kind == "deploy" and c.time_kind
    ]
    for source, ref, kind, at in told:
        if ref:
            times = seen.setdefault(source, {}).setdefault((ref.lower().removeprefix("v"), str(kind)), [])
            times += [at.timestamp()] if at.timestamp() not in times else []
    return seen


def _twice(seen: Seen, thing: str) -> Iterator[Finding]:
    for one, other in combinations(sorted(seen), 2):
        both = [
            (seen[one][key], [(at - _EXACT, at + _EXACT) for at in seen[other][key]])
            for key in seen[one] if key in seen[other]
        ]  # fmt: skip
        if offset := estimate(both):
            yield _finding(one, other, offset, thing)


def _finding(name: str, other: str, offset: Offset, thing: str) -> Finding:
    events = phrase.count(offset.pairs, thing)
    low, high = sorted((abs(offset.low), abs(offset.high)))
    facts: dict[str, float | int | str | None] = {
        "first": name, "second": other, "low": offset.low, "high": offset.high, "pairs": offset.pairs
    }  # fmt: skip
    if offset.low <= AGREE and offset.high >= -AGREE:
        within = max(AGREE, high)
        return Finding(
            code="clock",
            subject=f"{name}, {other}",
            verdict=Verdict.UNCHANGED,
            headline=f"clocks of {name} and {other} agree within {phrase.duration(within)}, by {events}",
            score=0.0,
            facts={**facts, "within": within},
        )
    way = "ahead of" if offset.middle > 0 else "behind"
    about = _spoken(abs(offset.middle))
    return Finding(
        code="clock",
        subject=f"{name}, {other}",
        verdict=Verdict.CHANGED,
        headline=f"clock of {name} is about {about} {way} {other} ({_spoken(low)} to {_spoken(high)}), from {events}",
        score=abs(offset.middle),
        facts=facts,
    )


def _weighed(clock: Finding, evidence: Evidence, found: Sequence[Finding]) -> Finding:
    """Say it where a clock that is off makes unsure whether the change began after the anchor."""
    shift, anchor = lead(found), evidence.window.anchor
    if clock.verdict is not Verdict.CHANGED or shift is None or shift.onset is None or not anchor.source:
        return clock
    sources = {item.origin.source for item in evidence.items(Series) if item.id in shift.basis}
    first, second = str(clock.facts["first"]), str(clock.facts["second"])
    low, high = (float(clock.facts[end] or 0.0) for end in ("low", "high"))
    if first == anchor.source and second in sources:
        ahead = low  # the least that the anchor's clock may be ahead of the series'
    elif second == anchor.source and first in sources:
        ahead = -high
    else:
        return clock
    began = (shift.onset.at - anchor.at).total_seconds()
    if not 0 <= began < -ahead:  # a clock that is behind dates the anchor too early
        return clock
    note = f"so it is not sure that {shift.subject} began after the {anchor.kind}"
    return replace(clock, detail=note, facts={**clock.facts, "weakens": 1})


def _spoken(seconds: float) -> str:
    """Return "2 min 10 s": two minutes are too coarse for a clock."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if whole < 60 or minutes >= 60:
        return phrase.duration(whole)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
