"""Before, during and after: where one instant falls, and when a change shows itself at the earliest."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from opsbrief.maths.effect import Left
from opsbrief.model.finding import Verdict
from opsbrief.model.window import Anchor, Window

NAMES = ("before", "during", "after")
VERDICTS = {
    "fixed": Verdict.FIXED,
    "better": Verdict.BETTER,
    "unchanged": Verdict.UNCHANGED,
    "worse": Verdict.WORSE,
    "too early": Verdict.TOO_EARLY,
}
AWAITED = 5.0  # that would have come, had nothing changed: then none at all has a chance below 1 %
_GRACE = timedelta(minutes=2)  # hosts are restarted one after the other
_GAIN = 6.0  # log likelihood that a late beginning must gain over one at the start


def fix(window: Window) -> Anchor:
    """Return the fix of a window that has one."""
    assert window.fix is not None  # noqa: S101 - the effect is only asked of such windows
    return window.fix


def edges(window: Window) -> dict[str, tuple[datetime, datetime]]:
    """Return start and end of each phase; the first minutes of the fix, while it goes out, are in none."""
    begun = fix(window).at
    grace = min(_GRACE, (window.end - begun) / 5)
    return {
        "before": (window.prior.start, window.start),
        "during": (window.start, begun),
        "after": (begun + grace, window.end),
    }


def phase(at: datetime, parts: Mapping[str, tuple[datetime, datetime]]) -> str:
    """Return the phase of an instant, "" when it is in none."""
    return next((name for name, (low, high) in parts.items() if low <= at < high), "")


def lasted(window: Window) -> timedelta:
    """Return for how long the fix has been in."""
    return window.end - fix(window).at


def delay(times: Sequence[float], length: float) -> float:
    """Return after how many seconds of ``length`` something really began, 0 when from the start on.

    ``times`` are its instants, ascending, in seconds from the start. The beginning is where a rate that
    jumps up once explains them best (a Poisson process with one change).
    """
    count = len(times)
    if count < LEAST or length <= 0:
        return 0.0
    at = np.clip(np.asarray(times, dtype=np.float64), 1e-9, length)
    early = np.arange(count, dtype=np.float64)
    late = count - early
    rest = np.maximum(length - at, length / 1e6)
    gain = late * np.log(late / rest) + np.where(early > 0, early * np.log(np.maximum(early, 1) / at), 0.0)
    gain = gain - count * np.log(count / length)
    gain[late < LEAST] = -np.inf
    best = int(np.argmax(gain))
    jumped = late[best] / rest[best] > early[best] / at[best]
    return float(at[best]) if gain[best] > _GAIN and jumped else 0.0


LEAST = 5


def verdict(left: Left | None, waited: bool) -> Verdict:  # noqa: FBT001 - whether the change would have shown by now
    """Return the word for what is left; nothing is fixed before it would have shown itself again."""
    if left is None:
        return Verdict.CANNOT_TELL
    if left.word in ("fixed", "better") and not waited:
        return Verdict.TOO_EARLY
    return VERDICTS[left.word]
