"""Instants on the time axis: lines with a label, and ticks at the edges."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache

from opsbrief import text
from opsbrief.chart.axis import day
from opsbrief.model.chart import Mark, MarkKind, Moment
from opsbrief.model.window import Window

LINES: frozenset[MarkKind] = frozenset(("deploy", "fix", "change", "note"))  # the others are ticks at an edge
CAP = 48  # characters of a label
MANY = 30  # changes beyond which they are ticks: hundreds of lines would hide the data
PITCH = 4  # pixels between such ticks
NAMED = 6  # hosts or services named when several ticks fall on one pixel


def placed(marks: Sequence[Moment], window: Window, zone: tzinfo, width: float) -> tuple[Mark, ...]:
    """Return the marks inside the window, one per kind and pixel column; of many changes, one per four columns."""
    return _placed(tuple(marks), window, zone, width)


@lru_cache(4)  # the graphs of a brief share their marks
def _placed(marks: tuple[Moment, ...], window: Window, zone: tzinfo, width: float) -> tuple[Mark, ...]:
    whole = window.whole
    pace = width / max(1.0, whole.seconds)
    columns: dict[tuple[MarkKind, int], list[Moment]] = {}
    crowded = sum(mark.kind == "change" and whole.start <= mark.at <= whole.end for mark in marks) > MANY
    lines = [mark for mark in marks if not (crowded and mark.kind == "change")]
    for mark in sorted([*_anchor(window, lines), *marks], key=lambda mark: mark.at):
        if whole.start <= mark.at <= whole.end:
            column = round((mark.at - whole.start).total_seconds() * pace)
            notch = crowded and mark.kind == "change"
            columns.setdefault((mark.kind, column // PITCH if notch else column), []).append(mark)
    found = []
    for (kind, _), group in columns.items():
        first = group[0]
        x = (first.at - whole.start).total_seconds() * pace
        notch = crowded and kind == "change"
        label = _label(first, zone) if kind in LINES and not notch else ""
        title = _title(group, zone)
        found.append(Mark(kind=kind, at=first.at, x=x, title=title, label=label, count=len(group), notch=notch))
    return tuple(found)


def _anchor(window: Window, marks: Sequence[Moment]) -> list[Moment]:
    """Return the marks of the window's start, unless one of ``marks`` stands there, and of the fix."""
    fixes = [Moment("fix", window.fix.at, window.fix.ref)] if window.fix else []
    anchor = window.anchor
    kind: MarkKind = "deploy" if anchor.kind in ("deploy", "tag", "commit") else "note"
    told = {kind} if kind == "deploy" else LINES
    if any(mark.kind in told and abs((mark.at - anchor.at).total_seconds()) < 1 for mark in marks):
        return fixes
    return [
        *fixes,
        Moment(kind, anchor.at, anchor.ref if kind == "deploy" else anchor.kind if anchor.kind != "time" else "since"),
    ]


def _label(mark: Moment, zone: tzinfo) -> str:
    """Write "deploy 2.14.0 (15:02)": a bare ref gets its kind in front, a phrase stays as it is."""
    said = text.middle(text.line(mark.label, 200), CAP)
    if mark.kind != "note" and " " not in said:
        said = f"{mark.kind} {said}".strip()
    return f"{said} ({mark.at.astimezone(zone):%H:%M})".strip()


def _title(group: Sequence[Moment], zone: tzinfo) -> str:
    at: datetime = group[0].at.astimezone(zone)
    said = list(dict.fromkeys(text.line(mark.label, 120) for mark in group if mark.label))
    more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
    count = f"{len(group)} " if len(group) > 1 else ""
    kind = group[0].kind + ("s" if len(group) > 1 else "")
    return f"{day(at)} {at:%H:%M:%S} {count}{kind} {', '.join(said[:NAMED])}{more}".strip()
