"""One moment of a watch: as a screen of so many columns and rows, as one line, as one JSON object.

A screen is lines of (text, tone) pieces; the terminal gives them colours. Nothing here knows a terminal.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from opsbrief import phrase, text
from opsbrief.chart.columns import BLOCKS
from opsbrief.model.brief import Tone
from opsbrief.model.chart import Floats, Moment
from opsbrief.model.finding import Verdict
from opsbrief.model.tick import Note, Row, State, Tick

Style = Tone | Literal["bold", "head-bad", "head-good", "head-unknown", "head"]
Piece = tuple[str, Style]
Line = tuple[Piece, ...]

_AXIS = 8  # columns left of the plot
_PLOT = (3, 20)  # fewest and most rows of the plot
_CALM = timedelta(minutes=10)  # of the time before that is drawn at least
_WIDEST = 200  # columns drawn at most
_HEADS: Mapping[Tone, Style] = {"bad": "head-bad", "good": "head-good", "unknown": "head-unknown"}
_BAD_STATES: Mapping[str, str] = {"silent": "nothing new", "failed": "no answer", "stuck": "no answer"}


def screen(tick: Tick, width: int, height: int) -> list[Line]:
    """Return the lines of a screen below its status line: at most ``height``, each at most ``width`` columns."""
    head = _headline(tick, width)
    foot = [*_settling(tick), _sources(tick)]
    room = height - len(head) - len(foot)
    key, rest = _sorted(tick.rows)
    rest = rest[: max(0, min(len(rest), room // 3))]
    share = max(0, room - len(rest) - (2 + _PLOT[0] if key else 0))
    news = list(_news(tick, width))[: max(1, share // 3)]
    notes = list(_notes(tick, width))[-max(1, share // 3) :]
    gaps = (1 if news else 0) + (1 if notes else 0)
    plot = room - len(rest) - len(news) - len(notes) - gaps - 2
    lines = [*head]
    if key:
        lines += _plotted(tick, key, width, max(_PLOT[0], min(_PLOT[1], plot)))
    lines += [_row(tick, row, width) for row in rest]
    lines += [(), *news] if news else []
    lines += [(), *notes] if notes else []
    lines = lines[: height - len(foot)]
    lines += [()] * (height - len(foot) - len(lines))
    return [_fit(line, width) for line in (*lines, *foot)]


def status(tick: Tick | None, now: datetime, due: datetime | None, *, paused: bool, asking: str, keys: bool) -> Line:
    """Return the line that changes every second: how old the state is, when the next one comes."""
    parts = []
    if tick:
        parts.append(f"since {phrase.clock(tick.start, tick.zone, tick.at)}")
        parts.append(f"tick {tick.number:,} at {tick.at.astimezone(phrase.zone(tick.zone)):%H:%M:%S}")
    if paused:
        parts.append("PAUSED")
    elif asking:
        parts.append(asking)
    elif due:
        parts.append(f"next in {max(0, math.ceil((due - now).total_seconds()))} s")
    parts += ["p resume" if paused else "p pause", "q quit"] if keys else []
    return ((" · ".join(parts), "unknown" if paused else "muted"),)


def line(tick: Tick) -> str:
    """Return the state as one line without colours."""
    parts = [f"{tick.at.astimezone(phrase.zone(tick.zone)):%H:%M:%S} {tick.service}: {tick.headline}"]
    for row in tick.rows:
        if row.verdict is Verdict.CHANGED or row.effect:
            now = f", now {phrase.number(row.now, row.unit)}" if row.now is not None else ""
            parts.append(f"{row.name} {_levels(row)}{now}{_left(row)}")
    parts += [note.text for note in tick.fresh]
    parts += [_state(state, tick) for state in tick.states if not state.well]
    if tick.fix:
        parts.append(_rule(tick))
    if tick.defect:
        parts.append(f"not judged: {tick.defect}")
    return text.line("; ".join(parts), 2000)


def document(tick: Tick) -> dict[str, Any]:
    """Return the state as a JSON object, format "opsbrief.tick/1"; times are ISO 8601, lengths of time seconds."""
    return {
        "format": "opsbrief.tick/1",
        "tick": tick.number,
        "at": tick.at.isoformat(timespec="seconds"),
        "service": tick.service,
        "start": tick.start.isoformat(timespec="seconds"),
        "headline": tick.headline,
        "tone": tick.tone,
        "turned": tick.turned,
        "metrics": [_metric(row) for row in tick.rows],
        "patterns": [
            {
                "text": news.text,
                "verdict": news.verdict.value,
                "level": news.level,
                "before_per_minute": _real(news.before),
                "after_per_minute": _real(news.after),
                "first": _iso(news.first),
            }
            for news in tick.news
        ],
        "fresh": [{"at": _iso(note.at), "kind": note.kind, "text": note.text} for note in tick.fresh],
        "sources": [
            {"source": state.source, "state": state.state, "since": _iso(state.since), "detail": state.detail}
            for state in tick.states
        ],
        "gaps": [
            {"source": gap.source, "what": gap.what, "kind": gap.kind.value, "detail": gap.detail} for gap in tick.gaps
        ],
        "fix": {"at": _iso(tick.fix.at), "ref": tick.fix.label} if tick.fix else None,
        "settled": {
            "ticks": tick.settling.ticks,
            "needed": tick.settling.needed,
            "done": tick.settling.done,
            "waits_for": tick.settling.waits,
        },
        "took": round(tick.took, 3),
        "defect": tick.defect or None,
    }


def _metric(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "verdict": row.verdict.value,
        "does": row.does,
        "before": _real(row.before),
        "after": _real(row.after),
        "now": _real(row.now),
        "unit": row.unit,
        "hosts": row.hosts,
        "limit": _real(row.limit),
        "seconds_to_limit": _real(row.left),
        "effect": row.effect.value if row.effect else None,
        "newest": _iso(row.newest),
    }


def _real(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _headline(tick: Tick, width: int) -> list[Line]:
    """Return the first sentence on one or two lines."""
    words = f"{tick.service} · {tick.headline}".split(" ")
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    said = lines[:2] if len(lines) <= 2 else [lines[0], " ".join(lines[1:])]
    shown: list[Line] = [((_cut(one, width), _HEADS.get(tick.tone, "head")),) for one in said]
    return [*shown, ((f"not judged: {tick.defect}", "unknown"),)] if tick.defect else shown


def _sorted(rows: Sequence[Row]) -> tuple[Row | None, list[Row]]:
    """Return the metric that is drawn large, and the others."""
    rest = list(rows)
    lead = next((row for row in rest if row.verdict is Verdict.CHANGED and row.tone != "good"), None)
    lead = lead or next((row for row in rest if row.key), None) or (rest[0] if rest else None)
    if lead:
        rest.remove(lead)
    return lead, rest


def _plotted(tick: Tick, row: Row, width: int, height: int) -> list[Line]:
    """Return a metric drawn large: what is said of it, the plot with its axis, and the marks under it."""
    host = f" · {row.host}" if row.host and row.hosts else ""
    said = f"{_levels(row)}{f' on {row.hosts}' if row.hosts else ''}, {row.effect or row.does}{_left(row)}{host}"
    title: Line = ((row.name, "bold"), (f"  {said}", row.tone))
    columns = max(10, min(_WIDEST, width - _AXIS - 1))
    values = _columns(tick, row, columns)
    known = values[np.isfinite(values)]
    if not known.size:
        return [title, ((" " * _AXIS + "no data", "muted"),)]
    top = float(known.max())
    limit = row.limit if row.limit is not None and top < row.limit <= 1.5 * top else None
    low, high = _ends(float(known.min()), max(top, limit or top))
    cells = _blocks(values, low, high, height)
    marks = [mark for mark in tick.marks if mark.kind in ("deploy", "fix", "note")]
    posts = {place for mark in marks if (place := _place(tick, mark.at, columns)) is not None}
    dashes = round((limit - low) / (high - low) * height - 0.5) if limit is not None and high > low else -1
    lines = [title]
    for at in range(height - 1, -1, -1):
        label = _axis(at, height, low, high, limit if at == min(dashes, height - 1) else None)
        dash = "┄" if limit is not None and at == min(dashes, height - 1) else " "
        drawn = "".join(
            cell if cell != " " else "│" if column in posts else dash for column, cell in enumerate(cells[at])
        )
        lines.append(((f"{label:>{_AXIS - 1}} ", "muted"), (drawn, row.tone)))
    return [*lines, ((" " * _AXIS, "plain"), (_marked(tick, marks, columns), "muted"))]


def _axis(at: int, height: int, low: float, high: float, limit: float | None) -> str:
    if limit is not None:
        return phrase.number(limit)[: _AXIS - 1]
    return phrase.number(high if at == height - 1 else low)[: _AXIS - 1] if at in (0, height - 1) else ""


def _marked(tick: Tick, marks: Sequence[Moment], columns: int) -> str:
    """Return a line with an arrow under each mark, and its time and name where there is room."""
    cells = [" "] * (columns + 1)
    free = 0
    placed = sorted((place, mark.at, mark) for mark in marks if (place := _place(tick, mark.at, columns)) is not None)
    for number, (place, _, mark) in enumerate(placed):
        end = placed[number + 1][0] - 1 if number + 1 < len(placed) else columns
        if place < free or place >= end:
            continue
        name = f"fix {mark.label}".strip() if mark.kind == "fix" else mark.label
        when = phrase.clock(mark.at, tick.zone, tick.at)
        left = f"{when} {name} ↑"
        forms = [(f"↑ {when} {name}", place), (left, place + 1 - len(left)), (f"↑ {name}", place)]
        forms += [(f"{name} ↑", place - len(name) - 1), ("↑", place)]
        said, at = next((said, at) for said, at in forms if at >= free and at + len(said) <= max(end, place + 1))
        cells[at : at + len(said)] = list(said)
        free = at + len(said) + 1
    return "".join(cells).rstrip()


def _place(tick: Tick, at: datetime, columns: int) -> int | None:
    begin = _begin(tick)
    part = (at - begin) / max(tick.at - begin, timedelta(seconds=1))
    return int(part * columns) if 0 <= part < 1 else None


def _begin(tick: Tick) -> datetime:
    """Return where the time axis begins: the incident has at least half of it."""
    return max(tick.before, tick.start - max(_CALM, tick.at - tick.start))


def _columns(tick: Tick, row: Row, columns: int) -> Floats:
    """Return the highest value in each column of the time axis; NaN where none is."""
    found = np.full(columns, np.nan)
    if not len(row.values):
        return found
    begin, end = _begin(tick).timestamp(), tick.at.timestamp()
    edges = (np.linspace(begin, end, columns + 1) - row.start) / row.step
    first = np.floor(edges[:-1] + 1e-9).astype(np.int64)
    last = np.maximum(np.ceil(edges[1:] - 1e-9).astype(np.int64), first + 1)
    for column in range(columns):
        part = row.values[max(0, first[column]) : max(0, last[column])]
        part = part[np.isfinite(part)]
        if part.size:
            found[column] = part.max()
    return found


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends of the axis: from 0, unless the values hardly move or are below it."""
    base = 0.0 if 0 <= low < 0.9 * high else low
    return (base, high) if high > base else (base - 1, high + 1)


def _blocks(values: Floats, low: float, high: float, height: int) -> list[list[str]]:
    """Return rows of cells, the lowest first."""
    share = (values - low) / (high - low)
    steps = np.where(np.isnan(share), 0, np.clip(np.ceil(share * height * len(BLOCKS)), 1, None)).astype(np.int64)
    rows = []
    for at in range(height):
        filled = np.clip(steps - at * len(BLOCKS), 0, len(BLOCKS))
        rows.append([BLOCKS[count - 1] if count else " " for count in filled.tolist()])
    return rows


def _row(tick: Tick, row: Row, width: int) -> Line:
    """Return a metric on one line: name, sparkline on the same time axis, levels, verdict."""
    said = f"{_levels(row)}  {row.effect or row.does}{_left(row)}"
    name = text.middle(row.name, 16)
    room = max(8, min(width - 18 - 30, _WIDEST))
    values = _columns(tick, row, room)
    known = values[np.isfinite(values)]
    spark = ""
    if known.size:
        spark = "".join(_blocks(values, *_ends(float(known.min()), float(known.max())), 1)[0])
    return (f"{name:<16} ", "bold"), (f"{spark:<{room}} ", row.tone), (said, row.tone)


def _levels(row: Row) -> str:
    if row.before is None and row.after is None:
        return "no data"
    return f"{phrase.number(row.before)} → {phrase.number(row.after, row.unit)}"


def _left(row: Row) -> str:
    if row.left is None or row.limit is None:
        return ""
    return f", ~ {phrase.duration(row.left)} to {phrase.number(row.limit)}"


def _news(tick: Tick, width: int) -> Iterator[Line]:
    for news in tick.news:
        bad = news.level in ("ERROR", "FATAL") and news.verdict is not Verdict.VANISHED
        rate = f"{phrase.number(news.after if news.verdict is not Verdict.VANISHED else news.before)}/min"
        head = f"{news.verdict:<8} {news.level:<5} {rate:>10}  "
        yield (head, "bad" if bad else "muted"), (_cut(news.text, width - len(head)), "plain")


def _notes(tick: Tick, width: int) -> Iterator[Line]:
    for note in tick.notes:
        yield _note(note, tick, width)


def _note(note: Note, tick: Tick, width: int) -> Line:
    when = f"{note.at.astimezone(phrase.zone(tick.zone)):%H:%M:%S}  "
    return (when, "muted"), (_cut(note.text, width - len(when)), note.tone)


def _settling(tick: Tick) -> list[Line]:
    return [((_rule(tick), "good" if tick.settling.ticks else "unknown"),)] if tick.fix else []


def _rule(tick: Tick) -> str:
    settling = tick.settling
    if settling.waits:
        return f"not settled: {settling.waits}"
    return f"settled in {settling.ticks} of {settling.needed} ticks"


def _sources(tick: Tick) -> Line:
    lost = [_state(state, tick) for state in tick.states if not state.well]
    well = [state.source for state in tick.states if state.well]
    if not lost:
        return ((f"sources: {', '.join(well)} answer" if well else "no source was asked", "muted"),)
    return (" · ".join(lost), "unknown"), (f" · {', '.join(well)} ok" if well else "", "muted")


def _state(state: State, tick: Tick) -> str:
    word = _BAD_STATES.get(state.state, state.state)
    when = f"since {phrase.clock(state.since, tick.zone, tick.at)}" if state.since else "so far"
    return f"{state.source}: {word} {when} ({text.line(state.detail, 80)})"


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else f"{words[: max(0, width - 1)]}…"


def _fit(pieces: Line, width: int) -> Line:
    """Return a line cut to ``width`` columns."""
    fitted: list[Piece] = []
    left = width
    for words, style in pieces:
        part = _cut(words, left)
        if part:
            fitted.append((part, style))
        left -= len(part)
        if left <= 0:
            break
    return tuple(fitted)
