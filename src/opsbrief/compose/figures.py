"""Which graphs a brief has, and the same graphs as lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from opsbrief import chart, phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import Case, real, refs
from opsbrief.model.brief import Figure
from opsbrief.model.chart import Chart, Moment
from opsbrief.model.evidence import Series
from opsbrief.model.finding import Finding
from opsbrief.model.window import Window

NARROW = (600, 320)  # width and height of the key graph in a mail
SMALL = 30  # graphs on the later pages
SPARKS = 2  # series drawn as text
SPARK = 44  # characters of such a line


def key(case: Case) -> Figure | None:
    """Return the one graph of the first page: the metric that changed, else the configured key metric.

    A metric without a datapoint is drawn as an empty graph that says so.
    """
    shift = _first(case)
    if not shift:
        return None
    return replace(_figure(case, shift, "key", 960, 340, sparks=SPARKS), narrow=_drawing(case, shift, *NARROW))


def period(case: Case, window: Window, deploys: Sequence[Moment], name: str) -> Figure | None:
    """Return the same metric over another window, with the week before as a band and every deploy marked."""
    shift = _first(case)
    series = _series(case, shift) if shift else ()
    if not shift or not series:
        return None
    week = [replace(item, span=label) for label, _ in window.shifts for item in series]

    def drawing(width: float, height: float) -> Chart:
        return chart.build(
            series,
            window,
            title=text.line(shift.subject, 200),
            unit=text.line(shift.unit, 20),
            limit=real(shift, "limit"),
            marks=(*deploys, *(mark for mark in case.marks if mark.kind != "deploy")),
            week=week,
            width=width,
            height=height,
        )

    return Figure(
        name=name,
        chart=drawing(960, 300),
        caption=f"{_caption(shift, series)}, the whole period",
        alt=text.line(shift.headline, 300),
        text=tuple(_text(case, series, shift, 1)),
        narrow=drawing(*NARROW),
    )


def _first(case: Case) -> Finding | None:
    return case.lead or next((f for f in case.shifts if f.facts.get("key")), next(iter(case.shifts), None))


def rest(case: Case, drawn: Figure | None) -> tuple[tuple[Figure, ...], int]:
    """Return the other metrics as small graphs on the same time axis, the changed first, and how many are left out."""
    shown = [f for f in case.shifts if _series(case, f) and not (drawn and drawn.refs == refs(f))]
    figures = (
        _figure(case, shift, f"metric-{number:02d}", 480, 210, sparks=1)
        for number, shift in enumerate(shown[:SMALL], 1)
    )
    return tuple(figures), max(0, len(shown) - SMALL)


def again(case: Case, shift: Finding, name: str, ends: tuple[float, float] | None) -> Figure:
    """Return the graph of a metric on the axis of an earlier one of it: the key graph large, others small."""
    if name == "key":
        large = _figure(case, shift, name, 960, 340, sparks=SPARKS, ends=ends)
        return replace(large, narrow=_drawing(case, shift, *NARROW, ends))
    return _figure(case, shift, name, 480, 210, sparks=1, ends=ends)


def _figure(  # what a graph is made of, and how large
    case: Case,
    shift: Finding,
    name: str,
    width: int,
    height: int,
    *,
    sparks: int,
    ends: tuple[float, float] | None = None,
) -> Figure:
    series = _series(case, shift)
    return Figure(
        name=name,
        chart=_drawing(case, shift, width, height, ends),
        caption=_caption(shift, series) if sparks > 1 else _movement(shift),
        alt=text.line(shift.headline, 300) or text.line(shift.subject, 200),
        text=tuple(_text(case, series, shift, sparks)),
        refs=refs(shift),
    )


def _drawing(case: Case, shift: Finding, width: int, height: int, ends: tuple[float, float] | None = None) -> Chart:
    series = _series(case, shift)
    unit = text.line(shift.unit, 20) or next((text.line(item.unit, 20) for item in series if item.unit), "")
    return chart.build(
        series,
        case.window,
        title=text.line(shift.subject, 200),
        unit=unit,
        limit=real(shift, "limit"),
        marks=case.marks,
        week=_series(case, shift, earlier=True),
        width=width,
        height=height,
        emphasise=shift.hosts,
        ends=ends,
    )


def _series(case: Case, shift: Finding, *, earlier: bool = False) -> tuple[Series, ...]:
    """Return every series of the metric; of the wide net only those that the finding rests on."""
    based = [case.series[name] for name in shift.basis if name in case.series]
    if shift.facts.get("rank"):
        names = {item.name for item in based}
        return tuple(item for item in case.series.values() if item.name in names and bool(item.span) is earlier)
    metric = based[0].metric if based else shift.subject
    return tuple(item for item in case.series.values() if item.metric == metric and bool(item.span) is earlier)


def _caption(shift: Finding, series: Sequence[Series]) -> str:
    """Say what is drawn; the graph itself says the rest."""
    hosts = {item.host for item in series if item.host}
    where = f" on {phrase.count(len(hosts), 'host')}" if hosts else ""
    return f"{text.line(shift.subject, 80)}{where}"


def _movement(shift: Finding) -> str:
    """Return the finding of a small graph in a few words; its title says of what."""
    moved = words.arrow(shift.before, shift.after, text.line(shift.unit, 20))
    return f"{shift.verdict}: {moved}"


def _text(case: Case, series: Sequence[Series], shift: Finding, most: int) -> Iterator[str]:
    """Yield a sparkline for the series that went furthest, and the start of the window under them."""
    told = [item for item in series if not np.isnan(item.values).all()]
    if not told:
        return
    down = shift.facts.get("direction") == "down"
    told.sort(key=lambda item: (np.nanmin(item.values) if down else -np.nanmax(item.values), words.natural(item.host)))
    names = [text.middle(text.line(item.host or item.name), 16) for item in told[:most]]
    room = max(len(name) for name in names)
    for name, item in zip(names, told, strict=False):
        low, high = phrase.number(float(np.nanmin(item.values))), float(np.nanmax(item.values))
        spark = chart.sparkline(item.values, SPARK)
        yield f"{name:<{room}}  {spark:<{SPARK}}  {low}–{phrase.number(high, text.line(shift.unit, 12))}"
    rest = f", and {phrase.count(len(series) - most, 'more series', 'more series')}" if len(series) > most else ""
    for row in _under(case, told[0]):
        yield f"{' ' * (room + 2)}{row}{rest}"
        rest = ""


def _under(case: Case, item: Series) -> list[str]:
    """Return what stands under a sparkline: the start of the window and the fix, in one row where there is room."""
    window, spots = case.window, min(SPARK, item.values.size)
    if window.whole.start >= window.start:
        return []
    at_deploy = f"{case.clock.time(window.start, seconds=False)} {case.anchor}"
    found = [(window.start, case.when if case.anchor == case.when else at_deploy)]
    if window.fix:
        found.append((window.fix.at, f"{case.clock.time(window.fix.at, seconds=False)} fix"))
    rows: list[str] = []
    for instant, label in found:
        at = int((instant.timestamp() - item.start) / max(1, item.end - item.start) * spots)
        if rows and len(rows[-1]) < at < spots:
            rows[-1] = f"{rows[-1]:<{at}}↑ {label}"
        elif 0 <= at < spots:
            rows.append(f"{'':<{at}}↑ {label}")
    return rows
