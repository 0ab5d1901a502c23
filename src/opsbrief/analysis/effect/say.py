"""The sentences about the effect on a metric: what a person would say aloud."""

from collections.abc import Iterator, Sequence

from opsbrief import phrase
from opsbrief.model.effect import Told
from opsbrief.model.evidence import Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric
from opsbrief.model.window import Window

Facts = dict[str, float | int | str | None]

_WEIGHTS = {Verdict.WORSE: 5.0, Verdict.UNCHANGED: 4.0, Verdict.BETTER: 3.0, Verdict.TOO_EARLY: 2.0, Verdict.FIXED: 1.0}


def worded(told: Told, members: Sequence[Series], verdict: Verdict, facts: Facts) -> Finding:
    """Return the "effect" finding of one metric."""
    first = told.finding
    return Finding(
        code="effect",
        subject=first.subject,
        verdict=verdict,
        headline=f"{first.subject}: {', '.join(_said(verdict, facts, first.unit))}",
        detail="; ".join(_rests(verdict, facts, first)),
        basis=tuple(series.id for series in members),
        score=first.score + 10 * bool(facts["key"]),
        before=_real(facts["level_during"]),
        after=_real(facts["level_after"]),
        unit=first.unit,
        shape=first.shape,
        hosts=first.hosts,
        facts=facts,
    )


def untold(told: Told, why: str, basis: tuple[str, ...], window: Window) -> Finding:
    """Return the finding of a metric of which nothing can be said."""
    first = told.finding
    names = ("key", "impact", "rank", "limit", "worse", "direction")
    return Finding(
        code="effect",
        subject=first.subject,
        verdict=Verdict.CANNOT_TELL,
        headline=f"{first.subject}: cannot tell, {why}",
        detail=f"asked for until {phrase.clock(window.end, window.zone, window.start)}",
        basis=basis,
        score=first.score,
        unit=first.unit,
        shape=first.shape,
        hosts=first.hosts,
        facts={"first": first.id, "points_after": 0, **{name: first.facts.get(name) for name in names}},
    )


def other(metric: Metric, members: Sequence[Series], shifts: Sequence[tuple[float, float]]) -> Finding:
    """Return the finding of a metric that was well until the fix."""
    place = sorted(range(len(shifts)), key=lambda n: shifts[n][1] - shifts[n][0])[len(shifts) // 2]
    before, after = shifts[place]
    name = metric.name or metric.target
    return Finding(
        code="effect-other",
        subject=name,
        verdict=Verdict.WORSE if metric.worse != "either" else Verdict.CHANGED,
        headline=f"{name}: {phrase.number(before)} → {phrase.number(after, metric.unit)} at the fix, unchanged before",
        detail=f"in {phrase.count(len(members), 'series', 'series')}" if len(members) > 1 else "",
        basis=tuple(series.id for series in members),
        score=1.0,
        before=before,
        after=after,
        unit=metric.unit,
        hosts=tuple(series.host for series in members if series.host),
        facts={"key": int(metric.key), "impact": int(metric.impact), "rank": 0, "limit": metric.limit},
    )


def _real(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _said(verdict: Verdict, facts: Facts, unit: str) -> Iterator[str]:
    """Yield the clauses of the headline: the word, what moved, from which level to which."""
    if verdict is Verdict.CANNOT_TELL:
        yield "cannot tell"
        if not facts["points_after"]:
            yield "no datapoint after the fix"
        else:
            yield "the change is not told apart from the time before any more"
        return
    yield _word(verdict, facts)
    if facts["kind"] == "slope":
        yield _slopes(facts)
    levels = f"{phrase.number(_real(facts['level_during']))} → {phrase.number(_real(facts['level_after']), unit)}"
    yield f"{levels} ({phrase.number(_real(facts['level_before']))} before the release)"
    if facts.get("resets_during"):
        yield f"{facts['resets_during']} → {phrase.count(int(_real(facts['resets_after']) or 0), 'reset')}"
    total = _real(facts.get("hosts_total"))
    if total and facts.get("hosts_fixed"):
        yield f"on {facts['hosts_fixed']} of {phrase.count(int(total), 'host')}"


def _word(verdict: Verdict, facts: Facts) -> str:
    """Return the verdict with what it stands for: "better (about 50% gone)"."""
    low, high, part = (_real(facts[name]) for name in ("left_low", "left_high", "left"))
    if verdict is Verdict.BETTER and facts["held"] is not None:
        return "better"
    if verdict is Verdict.BETTER and part is not None and low is not None and high is not None:
        if low <= 0:
            return f"better, at least {int(100 * (1 - high))}% gone"
        return f"better, about {round(100 * (1 - part))}% gone"
    return str(verdict)


def _slopes(facts: Facts) -> str:
    during, after, low, high = (
        _real(facts[name]) for name in ("slope_during", "slope_after", "slope_after_low", "slope_after_high")
    )
    if during is None:
        return ""
    scale, unit = (1.0, "min") if abs(during) >= 0.05 else (60.0, "h")
    if after is None or low is None or high is None:
        return f"slope {_signed(during * scale)}/{unit} → not known yet"
    interval = f"{phrase.number(_short(low * scale))} to {phrase.number(_short(high * scale))}"
    return f"slope {_signed(during * scale)} → {_signed(after * scale)}/{unit} ({interval})"


def _signed(value: float) -> str:
    """Return a slope with its sign; nothing has none."""
    return phrase.signed(_short(value)) if _short(value) else "0"


def _short(value: float) -> float:
    """Return a slope without digits that nobody reads: 0.0021 is 0."""
    return round(value, 2) + 0.0 if abs(value) < 10 else value


def _rests(verdict: Verdict, facts: Facts, first: Finding) -> Iterator[str]:
    """Yield what is still needed, and what limits or supports the sentence."""
    if facts["held"] is not None and verdict is Verdict.BETTER:
        yield f"no longer moving, but still at {phrase.number(_real(facts['held']), first.unit)}: not let go yet"
    if facts.get("behind") and facts.get("hosts_fixed"):
        yield f"not on {phrase.listed(str(facts['behind']).split(', '), 5)}"
    needed = _real(facts["needed_seconds"])
    if verdict in (Verdict.TOO_EARLY, Verdict.BETTER) and needed:
        yield still(needed, _told(facts, first))
    if verdict in (Verdict.TOO_EARLY, Verdict.BETTER) and needed is None:
        yield f"the time before is too short or too noisy {_told(facts, first)}"
    if verdict is Verdict.CANNOT_TELL and facts["points_after"]:
        yield "it was back, or was never there on its own, before the fix"


def _told(facts: Facts, first: Finding) -> str:
    """Return what has to be told from what: "0.7/min from 0"."""
    kind = facts["kind"]
    during, before = _real(facts[f"{kind}_during"]), _real(facts[f"{kind}_before"])
    if kind == "slope" and during is not None:
        scale, unit = (1.0, "min") if abs(during) >= 0.05 else (60.0, "h")
        return f"to tell {_signed(0.2 * (during - (before or 0)) * scale)}/{unit} from 0"
    if kind == "level" and during is not None and before is not None:
        some = phrase.number(abs(0.2 * (during - before)), first.unit)
        return f"to tell a rest of {some} from none"
    return "to tell a fifth of it from none"


def still(needed: float, what: str) -> str:
    """Return the clause about the time that is still needed."""
    return f"at this noise ~ {phrase.duration(max(60.0, needed))} more needed {what}".rstrip()
