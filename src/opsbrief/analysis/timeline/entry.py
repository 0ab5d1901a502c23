"""One instant of the timeline."""

from datetime import datetime

from opsbrief.model.finding import Finding, Onset, Verdict


def entry(
    kind: str,
    at: datetime,
    said: str,
    score: float,
    *,
    basis: tuple[str, ...] = (),
    onset: Onset | None = None,
    source: str = "",
) -> Finding:
    """Return an instant as a finding; ``score`` says how much it tells, ``source`` who saw it."""
    return Finding(
        code="timeline",
        subject=kind,
        verdict=Verdict.CHANGED,
        headline=said,
        basis=tuple(name for name in basis if name),
        score=score,
        onset=onset or Onset(at=at, earliest=at, latest=at),
        facts={"source": source} if source else {},
    )
