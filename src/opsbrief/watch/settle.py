"""When a watch may end by itself: the rule of ``--until settled``.

After a fix is known (given, or seen in a deploy log), everything that had changed for the worse must be called
fixed or gone, in ``NEEDED`` ticks in a row, while datapoints come in. "Too early" to tell, a source that does
not answer, or a tick without new data is no proof of anything: the count begins again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from opsbrief.model.tick import Row, Settling

NEEDED = 5  # ticks in a row
STALE = timedelta(minutes=10)  # without a new datapoint, or 4 steps where those are longer


class Rule:
    """Counts the ticks in which the incident looked over."""

    def __init__(self, needed: int = NEEDED) -> None:
        """Take how many in a row are wanted."""
        self._needed = needed
        self._ticks = 0

    def step(self, now: datetime, rows: Sequence[Row], *, fixed: bool, waits: str) -> Settling:
        """Judge one more tick: whether all is called fixed now, and if not, what that waits for."""
        waits = waits or _silent(rows, now)
        self._ticks = self._ticks + 1 if fixed and not waits else 0
        return Settling(ticks=min(self._ticks, self._needed), needed=self._needed, waits=waits)


def _silent(rows: Sequence[Row], now: datetime) -> str:
    """Return which metrics are called fixed on data that ended a while ago."""
    old = [
        row.name
        for row in rows
        if row.effect is not None
        and (row.newest is None or now - row.newest > max(STALE, timedelta(seconds=4 * row.step)))
    ]
    return f"no new data of {', '.join(old[:3])}" if old else ""
