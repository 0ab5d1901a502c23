"""From ``--since`` and ``--until`` to a Window and its receipt, asking the deploy logs where needed.

A time that a person gave needs no request. For ``deploy``, ``deploy:REF``, ``tag:X`` and ``commit:X``
every configured deploy log is asked, side by side and under its own deadline, so that one dead log
costs a warning and not the window. Which one won, and what each said, stands in the receipt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from opsbrief.collect import Listener
from opsbrief.errors import WindowError
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Anchor, Candidate, Deploy, Receipt, Window
from opsbrief.releases import Release
from opsbrief.resolve.anchors import Desk, Found, Logs, consult, name_of
from opsbrief.resolve.receipt import explain
from opsbrief.settings import baselines
from opsbrief.timespec import Reference, Shift, parse, spell

__all__ = ["Ask", "Logs", "after", "explain", "fixed", "history", "resolve"]

LONGEST = timedelta(days=92)  # of a window: more is a typing error or a load nobody wants to cause
SHORTEST_BEFORE = timedelta(hours=2)  # of the stretch before, unless it is given
LONGEST_BEFORE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asked for, as typed."""

    since: str
    until: str = "now"
    baseline: tuple[str, ...] = ("before", "last-week")
    zone: str = "UTC"
    reach: timedelta = timedelta(days=30)  # how far back deploy logs are searched
    timeout: float = 30.0  # seconds for each deploy log (less where its own timeout is less)


def resolve(ask: Ask, logs: Logs, *, now: datetime, listen: Listener | None = None, alarms: Logs = ()) -> Window:
    """Return the window that ``ask`` means at ``now``; ``alarms`` are asked for ``alert``.

    Raises WindowError for an expression that is wrong or a window that cannot be, and
    NoDeployError when the deploy logs know nothing that fits.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    zone = _zone(ask.zone)
    since = parse(ask.since, now=now, zone=zone)
    until = parse(ask.until, now=now, zone=zone, end=True)
    baselines(ask.baseline)  # a wrong one is refused before anybody is asked
    desk = Desk(logs, now, zone, reach=ask.reach, timeout=ask.timeout, listen=listen, alarms=alarms)
    last = desk.find(until, now)
    # "--since deploy~1 --until deploy" counts both from now; any other end limits where to look.
    counted = isinstance(until, Reference) and until.kind == "deploy" and not until.ref
    first = desk.find(since, now if counted else min(last.at, now))
    start, end = first.at.replace(microsecond=0), min(last.at.replace(microsecond=0), now)
    _check(ask, start, end, now)
    notes = [*first.warnings, *last.warnings]
    if last.at > now:
        notes.append(f"--until {ask.until} lies in the future; the window ends now")
    return _window(ask, first, end, f"since {first.reason}; until {last.reason}", notes, desk)


def after(ask: Ask, release: Release, previous: Release | None, end: datetime) -> Window:
    """Return the window from a release that is known already to ``end``; asks nobody.

    Of ``ask`` only the baseline and the zone count. Raises WindowError for a baseline that is wrong.
    """
    lead = release.lead
    anchor = Anchor("deploy", lead.at, lead.ref, lead.note, lead.source, lead.time_kind)
    reason = f"the deploy {name_of(lead)}, time of {lead.source}"
    first = Found(at=lead.at, anchor=anchor, reason=reason, release=release, previous=previous)
    return _window(ask, first, end.replace(microsecond=0), reason, [])


def fixed(window: Window, ask: Ask, logs: Logs, *, now: datetime, listen: Listener | None = None) -> Window:
    """Return ``window`` with the fix that ``ask.since`` means, going on until ``ask.until``.

    Start, time before and zone stay; weeks that would overlap the incident go. Raises WindowError for a fix
    that is not after the start or not before the end, NoDeployError when nobody knows such a deploy.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    zone = _zone(window.zone)
    since = parse(ask.since, now=now, zone=zone)
    until = parse(ask.until, now=now, zone=zone, end=True)
    reach = max(ask.reach, now - window.start + window.before)
    desk = Desk(logs, now, zone, reach=reach, timeout=ask.timeout, listen=listen)
    last = desk.find(until, now)
    end = min(last.at.replace(microsecond=0), now)
    found = desk.find(since, max(end, window.start))
    at = found.at.replace(microsecond=0)
    _check_fix(ask, window, found, end)
    notes = [*found.warnings, *last.warnings]
    return replace(
        window,
        end=end,
        shifts=tuple((label, shift) for label, shift in window.shifts if end - shift <= window.start),
        fix=replace(found.anchor, at=at),
        receipt=Receipt(
            since=ask.since,
            until=ask.until,
            reason=f"fix {found.reason}; until {last.reason}",
            asked=desk.asked,
            candidates=tuple(_candidates(found)),
            warnings=tuple(dict.fromkeys([*notes, *desk.warnings])),
        ),
    )


def _check_fix(ask: Ask, window: Window, found: Found, end: datetime) -> None:
    """Refuse a fix that is not between the start of the incident and the end."""
    at, name = f"{found.at:%Y-%m-%d %H:%M:%S} UTC", found.anchor.ref
    start = f"{window.anchor.kind} {window.anchor.ref}".strip() if window.anchor.kind != "time" else "start"
    if found.at.replace(microsecond=0) <= window.start:
        same = name and name == window.anchor.ref
        raise WindowError(
            f"--fix {ask.since} is the {start} itself: no later one is known"
            if same
            else f"--fix {ask.since} is {at}, not after the {start} of the first brief "
            f"({window.start:%Y-%m-%d %H:%M:%S} UTC)",
            "give the time at which the fix went out, for example --fix 17:20 or --fix deploy:REF",
        )
    if found.at >= end:
        raise WindowError(
            f"--fix {ask.since} is {at}, and the data asked for ends {end:%Y-%m-%d %H:%M:%S} UTC",
            "give an earlier time, or wait until there is something to be seen",
        )
    if end - window.start > LONGEST:
        raise WindowError(
            f"the first brief begins {spell(end - window.start)} before the end, more than {LONGEST.days} days",
            "give an earlier --until",
        )


def _window(ask: Ask, first: Found, end: datetime, reason: str, notes: list[str], desk: Desk | None = None) -> Window:
    """Return the window from ``first`` to ``end`` with the baselines and the receipt."""
    start = first.at.replace(microsecond=0)
    before, weeks = baselines(ask.baseline)
    if before is None:
        before = min(max(end - start, SHORTEST_BEFORE), LONGEST_BEFORE)
    zone = _zone(ask.zone)
    shifts = tuple((_label(week), start - Shift(days=-7 * week).apply(start, zone)) for week in weeks)
    doubts = _doubts(start, end, before, weeks, first.previous)
    return Window(
        start=start,
        end=end,
        anchor=first.anchor,
        before=before,
        zone=ask.zone,
        shifts=shifts,
        previous=first.previous.lead if first.previous else None,
        receipt=Receipt(
            since=ask.since,
            until=ask.until,
            reason=reason,
            asked=desk.asked if desk else (),
            candidates=tuple(_candidates(first)),
            warnings=tuple(dict.fromkeys([*notes, *doubts, *(desk.warnings if desk else ())])),
        ),
    )


def history(
    logs: Logs, since: datetime, until: datetime, *, timeout: float = 30.0, listen: Listener | None = None
) -> tuple[tuple[Deploy, ...], tuple[Gap, ...]]:
    """Return every deploy (failed ones too) that the logs know in [since, until], newest first, and the gaps."""
    told, gaps = consult(logs, since, until, timeout, listen)
    deploys = sorted((entry for log in told for entry in log), key=lambda entry: entry.at, reverse=True)
    return tuple(deploys), tuple(gaps)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown, malformed, or a folder of the database
        near = get_close_matches(name, available_timezones(), 1)
        hint = f"did you mean {near[0]}?" if near else "write it as Europe/Berlin or UTC"
        raise WindowError(f"there is no time zone {name!r}", hint) from None


def _label(week: int) -> str:
    return "last-week" if week == 1 else f"{week}-weeks-ago"


def _check(ask: Ask, start: datetime, end: datetime, now: datetime) -> None:
    """Refuse a window that is empty, not yet begun, or longer than can be meant."""
    if start >= now:
        raise WindowError(
            f"--since {ask.since} is {start:%Y-%m-%d %H:%M:%S} UTC, which is not in the past", "give an earlier time"
        )
    if start >= end:
        raise WindowError(
            f"--until {ask.until} ({end:%Y-%m-%d %H:%M:%S} UTC) is not after --since {ask.since} "
            f"({start:%Y-%m-%d %H:%M:%S} UTC)",
            "give a later --until, or leave it out for now",
        )
    if end - start > LONGEST:
        raise WindowError(
            f"--since {ask.since} to --until {ask.until} is {spell(end - start)}, more than {LONGEST.days} days",
            "give an --until, or a later --since",
        )


def _doubts(
    start: datetime, end: datetime, before: timedelta, weeks: Sequence[int], previous: Release | None
) -> Iterator[str]:
    """Yield what makes a baseline less than clean."""
    if previous and previous.at > start - before:
        yield (
            f"the deploy before, {name_of(previous.lead)}, was only {spell(start - previous.at, 2)} earlier "
            "and lies in the time before"
        )
    if weeks and end - start + before > timedelta(weeks=weeks[0]):
        yield "window and time before together are longer than a week: the same hours last week overlap them"


def _candidates(found: Found) -> Iterator[Candidate]:
    """Yield what each log said about the release, the entry that was taken first."""
    taken = False
    for entry in found.release.told if found.release else ():
        hit = not taken and (entry.at, entry.source) == (found.anchor.at, found.anchor.source)
        taken = taken or hit
        yield Candidate(entry, (entry.at - found.anchor.at).total_seconds(), taken=hit)
