"""What lines are called, and which of many matter."""

from collections.abc import Sequence

import numpy as np

from opsbrief import text
from opsbrief.chart.axis import quantity
from opsbrief.model.chart import Floats
from opsbrief.model.evidence import Series

CAP = 60  # characters of a name in the legend


def labels(series: Sequence[Series]) -> list[str]:
    """Return a short label per series: its host when that tells them apart, else what differs in its name."""
    hosts = [_clean(one.host) for one in series]
    if all(hosts) and len(set(hosts)) == len(hosts):
        full = hosts
    else:
        full = [_clean(one.name) or one.metric or "unnamed" for one in series]
    return [text.middle(label, CAP) for label in (_differing(full) if len(full) > 1 else full)]


def _clean(name: str) -> str:
    """Make a name fit to be shown; what is much too long loses its middle before that costs time."""
    return text.line(text.middle(name, 8 * CAP), 80 * CAP)


def _differing(names: list[str]) -> list[str]:
    """Leave out the dotted parts that all names begin or end with, keeping at least one each."""
    parts = [name.split(".") for name in names]
    spare = min(len(part) for part in parts) - 1
    head = next((i for i in range(spare) if len({part[i] for part in parts}) > 1), spare)
    tail = next((i for i in range(spare - head) if len({part[-1 - i] for part in parts}) > 1), spare - head)
    short = [".".join(part[head : len(part) - tail]) for part in parts]
    return short if all(short) and len(set(short)) == len(set(names)) else names


def title(one: Series, label: str, values: Floats) -> str:
    """Say in one line what a series is and how far it goes."""
    name = text.middle(_clean(one.name), 200)
    name = name if label in name else f"{label}: {name}"
    known = values[~np.isnan(values)]
    if not known.size:
        return f"{name}: no data"
    low, high, last = (quantity(float(value), one.unit) for value in (known.min(), known.max(), known[-1]))
    return f"{name}: lowest {low}, highest {high}, last {last}"


def movement(before: Floats, after: Floats) -> tuple[float, float]:
    """Return how far the middle of a series moved, and its whole range, for ranking."""
    whole = np.concatenate((before, after))
    whole = whole[~np.isnan(whole)]
    if not whole.size:
        return -1.0, -1.0
    early, late = before[~np.isnan(before)], after[~np.isnan(after)]
    moved = abs(float(np.median(late) / 2) - float(np.median(early) / 2)) if early.size and late.size else 0.0
    return moved, float(whole.max() / 2 - whole.min() / 2)
