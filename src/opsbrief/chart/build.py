"""Build a Chart of the series of one metric over one window."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from opsbrief import text
from opsbrief.chart import axis, columns, layout, names
from opsbrief.chart.marks import placed
from opsbrief.model.chart import COLOURS, DASHES, Band, Box, Chart, Floats, Moment, Tick, Trace
from opsbrief.model.evidence import Series
from opsbrief.model.window import Window

BRIGHT = 8  # lines drawn in colour
GREY = 24  # further lines drawn in grey; beyond that, the range they fill
REACH = 3.0  # a limit or an earlier week may stretch the axis this far beyond the data
GRAIN = 2.0  # pixels a column of a band
FURNITURE = 92.0  # height of all that is not plot, with one row of legend and one of mark labels


@dataclass(frozen=True, slots=True)
class Line:
    """One series in the window: ``values[i]`` is ``offset + i * step`` seconds after its start."""

    series: Series
    label: str
    offset: float
    step: float
    values: Floats
    dropped: int  # values that cannot be drawn: infinite or beyond 1e300
    low: float
    high: float

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return math.isnan(self.low)

    @property
    def last(self) -> float:
        """Seconds from the window's start to the last datapoint."""
        return self.offset + self.step * float(np.flatnonzero(~np.isnan(self.values))[-1])

    def pixels(self, scale: float) -> Floats:
        """Pixel columns of the values, ``scale`` pixels a second."""
        columns: Floats = (self.offset + self.step * np.arange(self.values.size, dtype=np.float64)) * scale
        return columns


def _line(series: Series, label: str, start: float, seconds: float) -> Line:
    """Cut a series to the window that begins at ``start`` (epoch seconds) and lasts ``seconds``."""
    step = max(1, series.step)
    first = max(0, math.ceil((start - series.start) / step))
    last = math.floor((start + seconds - series.start) / step) + 1
    raw = np.asarray(series.values[first : max(first, last)], dtype=np.float64)
    values = columns.finite(raw)
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (math.nan, math.nan)
    dropped = int(np.count_nonzero(np.isnan(values) & ~np.isnan(raw)))
    return Line(series, label, series.start + first * step - start, step, values, dropped, low, high)


@dataclass(frozen=True, slots=True)
class Scale:
    """The value axis: its ends, and what could not be shown on it."""

    bottom: float
    top: float
    limit: float | None
    notes: tuple[str, ...]


def build(  # noqa: PLR0913 -- what a caller may know about a graph; each is optional and named
    series: Sequence[Series],
    window: Window,
    *,
    title: str,
    unit: str = "",
    limit: float | None = None,
    limit_label: str = "",
    marks: Sequence[Moment] = (),
    week: Sequence[Series] = (),
    width: float = 900,
    height: float = 320,
    emphasise: Sequence[str] = (),
    ends: tuple[float, float] | None = None,
) -> Chart:
    """Return the chart of ``series`` over ``window.whole``.

    ``series`` are those of span "", ``week`` those of the weekly spans, which become one grey band
    from the lowest to the highest of all of them. ``width`` and ``height`` are pixels of the whole
    picture with one row of legend; more rows make it taller. ``emphasise`` names series or hosts
    that stay in colour when there are more than eight. ``ends`` are values that the axis shall reach at
    least, so that two graphs of one metric can be laid side by side. The instant that the window starts from
    is marked even when ``marks`` does not name it.
    """
    whole, unit = window.whole, text.line(unit, 40)
    lines = _lines(series, whole.start, whole.seconds)
    drawn = [line for line in lines if not line.empty]
    earlier = _earlier(week, series, window)
    scale = _scale(drawn, earlier, limit, unit, ends)
    tall = max(60.0, height - FURNITURE)
    values = axis.value_ticks(scale.bottom, scale.top, round(tall / 44))
    y_ticks = tuple(map(Tick, values, axis.value_labels(values, unit))) if drawn or earlier else ()
    left = max(48.0, max((layout.width_of(tick.label) for tick in y_ticks), default=0.0) + 16)
    box = Box(left, 0, max(60.0, width - left - layout.EDGE), tall)

    pace = box.width / max(1.0, whole.seconds)  # pixels a second
    turn = (window.start - whole.start).total_seconds()
    traces = _traces(drawn, _bright(drawn, emphasise, turn), pace)
    bands, traces = _envelope(drawn, traces, pace, scale, box.width)
    if earlier:
        bands.append(_band("weeks", _weeks(earlier), earlier, pace, scale, box.width))
    zone = axis.zone_of(window.zone)
    chart = Chart(
        title=text.middle(text.line(title, 400), 100),
        unit=unit,
        start=whole.start,
        end=whole.end,
        zone=window.zone,
        width=width,
        height=height,
        plot=box,
        bottom=scale.bottom,
        top=scale.top,
        turn=turn * pace,
        traces=traces,
        healed=(window.fix.at - whole.start).total_seconds() * pace if window.fix else None,
        bands=tuple(bands),
        marks=placed(marks, window, zone, box.width),
        limit=scale.limit,
        x_ticks=axis.time_ticks(whole.start, whole.end, zone, box.width),
        y_ticks=y_ticks,
        range_label=axis.stretch(whole.start.astimezone(zone), whole.end.astimezone(zone)),
        step_label=_steps(drawn),
        note="; ".join((*scale.notes, *_notes(lines, drawn, whole.seconds, whole.start.astimezone(zone)))),
        empty=_empty(series) if not drawn else "",
    )
    return layout.lay(chart, text.line(limit_label, 60), total=len(drawn))


def _lines(series: Sequence[Series], start: datetime, seconds: float, shift: float = 0.0) -> list[Line]:
    at = start.timestamp() - shift
    return [_line(one, label, at, seconds) for one, label in zip(series, names.labels(series), strict=True)]


def _earlier(week: Sequence[Series], series: Sequence[Series], window: Window) -> list[Line]:
    """Lay the earlier weeks' series of the same metrics over the window."""
    metrics, shifts = {one.metric for one in series if one.metric}, dict(window.shifts)
    found: list[Line] = []
    for label, shift in shifts.items():
        same = [one for one in week if one.span == label and (not metrics or one.metric in metrics)]
        found += _lines(same, window.whole.start, window.whole.seconds, shift.total_seconds())
    return [line for line in found if not line.empty]


def _weeks(earlier: Sequence[Line]) -> str:
    spans = sorted({line.series.span for line in earlier})
    which = spans[0].replace("-", " ") if len(spans) == 1 else f"{len(spans)} earlier weeks"
    return f"same hours, {which}"


def _scale(
    drawn: Sequence[Line],
    earlier: Sequence[Line],
    limit: float | None,
    unit: str,
    ends: tuple[float, float] | None = None,
) -> Scale:
    """Choose the value axis: all of the data and of ``ends``; of the limit and the earlier weeks what is in reach."""
    base = drawn or earlier
    if not base:
        return Scale(0.0, 1.0, None, ())
    low, high = min(line.low for line in base), max(line.high for line in base)
    usual = max((float(np.nanpercentile(np.abs(line.values), 98)) for line in earlier), default=0.0)
    far = max(abs(low), abs(high), *map(abs, ends or ()))
    reach = REACH * far or math.inf
    notes = []
    for line in earlier:
        low = min(low, max(line.low, -max(reach, REACH * usual)))
        high = max(high, min(line.high, max(reach, REACH * usual)))
    if any(line.low < low or line.high > high for line in earlier):
        most = max((value for line in earlier for value in (line.low, line.high)), key=abs)
        notes.append(f"earlier weeks reach {axis.quantity(most, unit)}, beyond this graph")
    shown = limit if limit is not None and abs(limit) <= reach and abs(limit) <= columns.HUGE else None
    if shown is not None:
        low, high = min(low, shown), max(high, shown)
    elif limit is not None:
        notes.append(f"the limit {axis.quantity(limit, unit)} lies beyond this graph")
    bottom, top = axis.bounds(low, high)
    span = top - bottom
    low, high = ends or (bottom, top)
    bottom = min(low, bottom - (0.05 * span if bottom < 0 else 0))
    top = max(high, top + (0.05 * span if top > 0 else 0))
    if bottom > 0 or top < 0:
        notes.append("the axis does not start at 0")
    return Scale(bottom, top, shown, tuple(notes))


def _bright(drawn: Sequence[Line], emphasise: Sequence[str], turn: float) -> set[int]:
    """Choose the lines to colour: all when few, else those asked for and then the largest movers."""
    if len(drawn) <= BRIGHT:
        return set(range(len(drawn)))
    asked = [
        i for i, line in enumerate(drawn) if {line.series.name, line.series.host, line.label} & set(emphasise) - {""}
    ]
    moves = []
    for line in drawn:
        cut = min(max(0, math.ceil((turn - line.offset) / line.step)), line.values.size)
        moves.append(names.movement(line.values[:cut], line.values[cut:]))
    rest = sorted((i for i in range(len(drawn)) if i not in asked), key=lambda i: moves[i], reverse=True)
    return set([*asked, *rest][:BRIGHT])


def _traces(drawn: Sequence[Line], bright: set[int], pace: float) -> tuple[Trace, ...]:
    traces, order = [], {index: place for place, index in enumerate(sorted(bright))}
    for index, line in enumerate(drawn):
        x, y = columns.line(line.pixels(pace), line.values)
        place = order.get(index, 0)
        traces.append(
            Trace(
                name=line.series.name,
                label=line.label,
                x=x,
                y=y,
                colour=place % COLOURS,
                dash=place % len(DASHES),
                low=line.low,
                high=line.high,
                title=names.title(line.series, line.label, line.values),
                emphasis=index in bright,
            )
        )
    return tuple(traces)


def _envelope(
    drawn: Sequence[Line], traces: tuple[Trace, ...], pace: float, scale: Scale, width: float
) -> tuple[list[Band], tuple[Trace, ...]]:
    """Replace the grey lines by the range they fill when there are too many of them."""
    grey = [line for line, trace in zip(drawn, traces, strict=True) if not trace.emphasis]
    if len(grey) <= GREY:
        return [], traces
    band = _band("envelope", f"and {len(grey)} more (their range)", grey, pace, scale, width)
    return [band], tuple(trace for trace in traces if trace.emphasis)


def _band(
    kind: Literal["weeks", "envelope"], name: str, lines: Sequence[Line], pace: float, scale: Scale, width: float
) -> Band:
    low, high = columns.envelope([(line.pixels(pace / GRAIN), line.values) for line in lines], math.ceil(width / GRAIN))
    return Band(
        kind=kind,
        name=name,
        x=np.minimum((np.arange(low.size) + 0.5) * GRAIN, width),
        low=np.clip(low, scale.bottom, scale.top),
        high=np.clip(high, scale.bottom, scale.top),
    )


def _steps(drawn: Sequence[Line]) -> str:
    steps = sorted({line.series.step for line in drawn})
    if not steps:
        return ""
    first, last = axis.duration(steps[0]), axis.duration(steps[-1])
    return f"a point each {first}" if first == last else f"a point each {first} to {last}"


def _notes(lines: Sequence[Line], drawn: Sequence[Line], seconds: float, start: datetime) -> list[str]:
    """Say what a reader of the lines alone would miss."""
    notes = []
    empty = [line.label for line in lines if line.empty]
    if empty and drawn:
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        notes.append(f"no data: {', '.join(empty[:3])}{more}")
    dropped = sum(line.dropped for line in lines)
    if dropped:
        notes.append(f"{dropped} infinite or huge value{'s' * (dropped > 1)} left out")
    late = [line for line in drawn if line.last < seconds - max(3 * line.step, 0.04 * seconds)]
    if late:
        end = start.astimezone(UTC) + timedelta(seconds=max(line.last for line in late))
        which = f"{late[0].label} ends" if len(late) == 1 else f"{len(late)} of {len(drawn)} series end"
        which = "all data end" if len(late) == len(drawn) else which
        notes.append(f"{which} by {axis.moment(end.astimezone(start.tzinfo), start)}")
    return notes


def _empty(series: Sequence[Series]) -> str:
    if not series:
        return "no data: no series"
    return "no data: the series is empty" if len(series) == 1 else f"no data: all {len(series)} series are empty"
