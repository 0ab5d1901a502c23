"""The window receipt as lines: which stretch of time, how it was found, who said what, what was taken.

Printed by ``window`` and ``collect``, and part of every brief, because a brief about the wrong hour
looks just like one about the right hour. Pure: a Window in, text out.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from opsbrief.model.window import Candidate, Deploy, Window
from opsbrief.timespec import spell


def explain(window: Window) -> tuple[str, ...]:
    """Return the receipt, one labelled line each; later lines of a label are indented under it."""
    zone = ZoneInfo(window.zone)
    lines = [f"window    {stretch(window.start, window.end, zone)}, {spell(window.end - window.start, 2)}"]
    if any(at.astimezone(zone).utcoffset() for at in (window.start, window.end)):
        lines.append(f"          {stretch(window.start, window.end, ZoneInfo('UTC'))}")
    receipt = window.receipt
    if receipt:
        lines.append(f"found     {receipt.reason}")
        lines += _labelled("deploy", (_candidate(one, window.anchor.at, zone) for one in receipt.candidates))
    if window.previous:
        earlier = spell(window.anchor.at - window.previous.at, 2)
        lines.append(f"previous  {_deploy(window.previous, window.anchor.at, zone)}, {earlier} earlier")
    lines.append(f"baseline  {'; '.join(_baselines(window)) or 'none'}")
    if receipt:
        lines += _labelled("asked", [", ".join(receipt.asked)] if receipt.asked else [])
        lines += _labelled("warning", receipt.warnings)
    return tuple(lines)


def stretch(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Return ``Fri 2026-03-06 17:04:12 - 19:15:00 +01:00``; the day and offset of the end where they differ."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    head = f"{first:%a %Y-%m-%d %H:%M:%S}" + ("" if first.utcoffset() == last.utcoffset() else f" {_offset(first)}")
    tail = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%a %Y-%m-%d %H:%M:%S}"
    return f"{head} - {tail} {_offset(last)}"


def _offset(at: datetime) -> str:
    return "UTC" if at.tzname() == "UTC" else at.isoformat(timespec="seconds")[19:]


def _labelled(label: str, texts: Iterator[str] | list[str] | tuple[str, ...]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f"{'' if number else label:10}{text}"


def _deploy(deploy: Deploy, anchor: datetime, zone: ZoneInfo) -> str:
    """Return name, local time (with the day where it is another), kind of time and log."""
    at = deploy.at.astimezone(zone)
    day = "" if at.date() == anchor.astimezone(zone).date() else f"{at:%a %Y-%m-%d} "
    name = (deploy.ref or "(no name)") + (", a rollback," if deploy.rollback else "")
    return f"{name} {day}{at:%H:%M:%S} {_offset(at)}, {deploy.time_kind} in {deploy.source}"


def _candidate(candidate: Candidate, anchor: datetime, zone: ZoneInfo) -> str:
    text = _deploy(candidate.deploy, anchor, zone)
    if candidate.taken:
        return f"{text}: taken"
    if not round(candidate.offset):
        return f"{text}: the same second"
    away = spell(timedelta(seconds=candidate.offset), 2)
    return f"{text}: {away} {'later' if candidate.offset > 0 else 'earlier'}"


def _baselines(window: Window) -> Iterator[str]:
    if window.before:
        yield f"the {spell(window.before, 2)} before"
    for label, shift in window.shifts:
        weeks = round(shift / timedelta(weeks=1))
        odd = "" if shift == timedelta(weeks=weeks) else f" ({spell(shift)} back: the clocks changed in between)"
        yield f"the same hours {label.replace('-', ' ')}{odd}"
