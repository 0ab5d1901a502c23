"""How far the clock of another machine is from ours, by the time that its HTTP server writes."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from opsbrief.timespec import spell

LIMIT = timedelta(minutes=1)  # that nobody needs to know of: a Date is of whole seconds, and answers take a while


def dated(header: str) -> datetime | None:
    """Return the time of an HTTP Date header; None when it is none."""
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def off(header: str, now: datetime) -> timedelta:
    """Return how far a clock is ahead of ours (behind: negative); nothing where that is too little to matter."""
    at = dated(header)
    ahead = at - now if at else timedelta()
    return ahead if abs(ahead) > LIMIT else timedelta()


def said(ahead: timedelta) -> str:
    """Return the sentence about a clock that is off."""
    how = spell(timedelta(seconds=round(abs(ahead).total_seconds())), 2)
    return f"its clock is {how} {'ahead of' if ahead > timedelta() else 'behind'} this machine's"
