"""How far one clock is ahead of another, from events that both saw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 900.0  # seconds: clocks that are farther apart than this are not told from other events
LEAST = 3  # events that both saw
_SHARE = 0.6  # of the events of the one that saw fewer, that must fit
_MANY = 2500  # pairs of what happens so often that it fits any offset: left out, and not to be counted one by one
_RIVAL = 0.7  # of the best count, that another offset may have at most

Instants = Sequence[float]
Stretches = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Offset:
    """Seconds that the first clock is ahead of the second, as an interval, and the events that say so."""

    low: float
    high: float
    pairs: int

    @property
    def middle(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2


def estimate(seen: Iterable[tuple[Instants, Stretches]]) -> Offset | None:
    """Return the offset that lets most instants of the first fall into stretches of the second; None when unclear.

    Each entry holds events that may be the same: the epochs by the first clock, and by the second the stretch that
    each lies in. Too few that fit, or two offsets that fit about as well, tell nothing.
    """
    edges: list[tuple[float, int]] = []
    fewer = 0
    for instants, stretches in seen:
        if len(instants) * len(stretches) > _MANY:
            continue
        fewer += min(len(instants), len(stretches))
        for at in instants:
            for low, high in stretches:
                if at - high <= MOST and at - low >= -MOST:
                    edges += [(at - high, 1), (at - low, -1)]
    if fewer < LEAST or not edges:
        return None
    # At one instant what begins is counted before what ends, so that stretches which touch count together.
    edges.sort(key=lambda edge: (edge[0], -edge[1]))
    runs, depth = [], 0
    for place, (at, step) in enumerate(edges):
        depth += step
        if step > 0:
            runs.append((depth, at, edges[place + 1][0]))
    best, low, high = max(runs, key=lambda run: (run[0], run[1] - run[2]))
    apart = max(60.0, high - low)
    rival = max((count for count, start, end in runs if start > high + apart or end < low - apart), default=0)
    if best < LEAST or best < _SHARE * fewer or rival > _RIVAL * best:
        return None
    return Offset(low, high, best)
