"""Clock readings of a zone and the instants behind them, also where the clocks change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from opsbrief.errors import WindowError


def local(naive: datetime, zone: tzinfo) -> datetime:
    """Return a clock reading of ``zone`` as a UTC instant.

    Raises WindowError when the clocks skipped that reading, or showed it twice.
    """
    there = list(instants(naive, zone))
    shown = naive.isoformat(sep=" ", timespec="minutes" if not naive.second else "seconds")
    if len(there) == 1:
        return there[0]
    both = [naive.replace(tzinfo=zone, fold=fold).astimezone(UTC).astimezone(zone) for fold in (0, 1)]
    forms = " or ".join(
        moment.isoformat(timespec="seconds") for moment in sorted(both, key=lambda at: at.astimezone(UTC))
    )
    if there:
        raise WindowError(f"{shown} comes twice in {zone}, because the clocks go back", f"say which: {forms}")
    raise WindowError(f"{shown} does not exist in {zone}, because the clocks go forward", f"write {forms}")


def instants(naive: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield each instant at which the clocks of ``zone`` show ``naive``: none, one or two."""
    seen = set()
    for fold in (0, 1):
        at = naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if at not in seen and at.astimezone(zone).replace(tzinfo=None) == naive:
            seen.add(at)
            yield at


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a day, also where the clocks skip 00:00."""
    naive = datetime.combine(day, time())
    there = list(instants(naive, zone))
    if there:
        return there[0]
    low, high = sorted(naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    while high - low > timedelta(seconds=1):  # the change lies between the two readings
        middle = low + (high - low) // 2
        low, high = (low, middle) if middle.astimezone(zone).date() >= day else (middle, high)
    return high.replace(microsecond=0)
