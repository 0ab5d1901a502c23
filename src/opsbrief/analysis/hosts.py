"""Which host is worth a look: of those that deviate, a strong one that is up and was not restarted lately.

A restart takes away what there is to see, so the longest time since counts before small differences in strength.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from opsbrief import phrase
from opsbrief.model.evidence import Event, Evidence, Reading, Series
from opsbrief.model.finding import Finding, Verdict, lead
from opsbrief.model.window import utc

_CLOSE = 0.8  # a host whose contrast is this part of the largest one is as good to look at
_STALE = timedelta(minutes=10)  # without a datapoint for so long, and for four steps, a host may be down


@dataclass(frozen=True, slots=True)
class Candidate:
    """One host that deviates."""

    host: str
    contrast: float
    basis: tuple[str, ...]
    up: bool
    restarted: datetime | None


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the one "choice" where a host was looked at, so that the brief can say why this one."""
    if any(reading.about for reading in evidence.items(Reading)):
        yield from choose(evidence, found)


def choose(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the one "choice", with why; nothing where no host deviates."""
    metric = lead(f for f in found if f.hosts)
    hosts = sorted(_candidates(evidence, metric, found), key=lambda one: (-one.contrast, one.host)) if metric else []
    if metric is None or not hosts:
        return
    up = [one for one in hosts if one.up]
    if not up:
        yield Finding(
            code="choice", subject="", verdict=Verdict.CANNOT_TELL, hosts=tuple(one.host for one in hosts),
            headline=f"no host to look at: none of the {phrase.count(len(hosts), 'host')} that deviate seems to be up",
            basis=metric.basis[:20],
        )  # fmt: skip
        return
    close = [one for one in up if one.contrast >= _CLOSE * up[0].contrast]
    best = max(close, key=lambda one: (-(one.restarted.timestamp() if one.restarted else 0), one.contrast))
    restarts = sum(one.restarted is not None for one in up)
    yield Finding(
        code="choice", subject=best.host, verdict=Verdict.CHANGED, hosts=(best.host,), score=best.contrast,
        headline=f"{best.host} is worth a look: {_why(best, hosts, close, evidence)}",
        detail=metric.subject, basis=best.basis[:20],
        facts={
            "of": len(hosts), "down": len(hosts) - len(up),
            "restarted": best.restarted.isoformat() if best.restarted else None,
            "restarts_known": restarts,
        },
    )  # fmt: skip


def _candidates(evidence: Evidence, metric: Finding, found: Sequence[Finding]) -> Iterator[Candidate]:
    series = {one.id: one for one in evidence.items(Series) if one.id in set(metric.basis)}
    contrast: dict[str, float] = {}
    basis: dict[str, list[str]] = {}
    for finding in found:
        if finding.code == "series" and finding.verdict is Verdict.CHANGED:
            for name in finding.basis:
                if name in series and (host := series[name].host):
                    contrast[host] = max(contrast.get(host, 0.0), finding.score)
                    basis.setdefault(host, []).append(name)
    for host in metric.hosts:
        if host in contrast:
            yield Candidate(
                host, contrast[host], tuple(basis[host]), _up(evidence, host), _restarted(evidence, host, found)
            )


def _up(evidence: Evidence, host: str) -> bool:
    """Whether a host still sends and no alarm says that it is down."""
    states = [e for e in evidence.items(Event) if e.host == host and e.kind == "state" and e.state in ("UP", "DOWN")]
    if states and max(states, key=lambda event: event.at).state == "DOWN":
        return False
    last, late = None, _STALE
    for series in evidence.items(Series):
        if series.host == host and not series.span and (there := np.flatnonzero(np.isfinite(series.values))).size:
            at = utc(series.start + series.step * (int(there[-1]) + 1))
            last = at if last is None else max(last, at)
            late = max(late, timedelta(seconds=4 * series.step))
    return last is not None and last >= evidence.window.end - late


def _restarted(evidence: Evidence, host: str, found: Sequence[Finding]) -> datetime | None:
    """Return the last restart that a source saw on a host, else the first fall to the ground of its series."""
    seen = [
        e.at for e in evidence.items(Event) if e.kind == "restart" and e.host == host and e.at < evidence.window.end
    ]
    if seen:
        return max(seen)
    falls = [
        datetime.fromisoformat(first) for f in found
        if f.code == "series" and f.hosts == (host,) and isinstance(first := f.facts.get("first_reset"), str)
    ]  # fmt: skip
    return max(falls, default=None)


def _why(best: Candidate, hosts: Sequence[Candidate], close: Sequence[Candidate], evidence: Evidence) -> str:
    if len(hosts) == 1:
        why = ["the only host that deviates"]
    elif best is hosts[0]:
        why = [f"deviates most of {len(hosts)} hosts"]
    elif len(close) > 1:
        why = [f"deviates about as much as any of {len(hosts)} hosts"]
    else:
        why = [f"deviates most of the {phrase.count(sum(one.up for one in hosts), 'host')} that are up"]
    if down := [one.host for one in hosts if not one.up]:
        why.append(f"{phrase.listed(down)} may be down")
    if best.restarted:
        ago = phrase.duration((evidence.window.end - best.restarted).total_seconds())
        longest = " longest" if len(close) > 1 else ""
        why.append(f"runs{longest} since its restart {ago} before the end")
    elif any(one.restarted for one in hosts):
        why.append("no restart of it was seen")
    return ", ".join(why)
