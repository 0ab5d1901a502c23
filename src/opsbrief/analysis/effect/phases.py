"""Before, during and after: where one instant falls, and when a change shows itself at the earliest."""

from collections.abc import Sequence
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
_GAIN = 6.0  # log likelihood that a late beginning must gain over one at the start


def fix(window: Window) -> Anchor:
    """Return the fix of a window that has one."""
    assert window.fix is not None  # noqa: S101 - the effect is only asked of such windows
    return window.fix


def phase(at: datetime, window: Window) -> str:
    """Return the phase of an instant, "" outside the window."""
    if window.start <= at < fix(window).at:
        return "during"
    if fix(window).at <= at < window.end:
        return "after"
    return "before" if window.prior.start <= at < window.start else ""


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
