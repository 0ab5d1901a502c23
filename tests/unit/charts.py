"""Series, windows and charts for the tests of the graphs."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from opsbrief import chart
from opsbrief.model.chart import Chart, Moment
from opsbrief.model.evidence import Origin, Series
from opsbrief.model.window import Anchor, Window

RELEASE = datetime(2013, 5, 17, 13, 2, 11, tzinfo=UTC)
ORIGIN = Origin(source="graphite", query="collectd.*")


def window(
    start: datetime = RELEASE, before: float = 3, after: float = 3, zone: str = "Europe/Berlin", kind: str = "deploy"
) -> Window:
    """Return a window of ``before`` and ``after`` hours around a release, with one earlier week."""
    return Window(
        start=start,
        end=start + timedelta(hours=after),
        anchor=Anchor(kind, start, "2.14.0"),
        before=timedelta(hours=before),
        zone=zone,
        shifts=(("last-week", timedelta(days=7)),),
    )


def series(
    values: Sequence[float] | np.ndarray,
    start: datetime,
    step: int = 60,
    host: str = "app1",
    name: str = "",
    span: str = "",
) -> Series:
    """One series of connections that begins at ``start``."""
    return Series(
        name=name or f"collectd.{host}.tcpconns.established",
        start=int(start.timestamp()),
        step=step,
        values=np.asarray(values, dtype=np.float64),
        host=host,
        span=span,
        metric="connections",
        origin=ORIGIN,
    )


def story(hosts: int = 8) -> Chart:
    """Draw connections that climb after a release and fall at restarts, last week's band, limit, alarms and a fix."""
    frame = window()
    begin, minutes = frame.whole.start, np.arange(360)
    rng = np.random.default_rng(1)
    lines, week, marks = [], [], [Moment("fix", RELEASE + timedelta(hours=2), "2.14.1")]
    for host in range(hosts):
        leak = np.clip(minutes - 181, 0, None) * 3.1 % (300 + host)
        lines.append(series(41 + leak + rng.normal(0, 2, 360), begin, host=f"app{host + 1}"))
        earlier = 41 + rng.normal(0, 2, 360)
        week.append(series(earlier, begin - timedelta(days=7), host=f"app{host + 1}", span="last-week"))
        marks.append(Moment("restart", RELEASE + timedelta(minutes=97 + host), f"app{host + 1}"))
        marks.append(Moment("alarm", RELEASE + timedelta(minutes=60 + 9 * host), f"app{host + 1} connections"))
    return chart.build(lines, frame, title="established connections", limit=400, week=week, marks=marks)


def mended(hours: float = 2, **options: Any) -> Chart:
    """Draw connections that climb after a release and stay level ``hours`` later, after a fix."""
    frame = replace(window(), fix=Anchor("deploy", RELEASE + timedelta(hours=hours), "2.14.1"))
    minutes = np.arange(360)
    values = 41.0 + np.where(minutes < 180 + 60 * hours, np.clip(minutes - 181, 0, None) * 2.5, 0)
    return chart.build([series(values, frame.whole.start)], frame, title="connections", **options)


def words(drawn: Chart, role: str) -> list[str]:
    """Return the texts of one role, in the order they are drawn."""
    return [text.text for text in drawn.texts if text.role == role]


def vertices(path: str) -> list[list[tuple[int, int]]]:
    """Return the points of an SVG path of relative moves, one list for each time the pen was lifted."""
    runs, x, y = [], 0, 0
    for run in path.rstrip("z").split("m")[1:]:
        numbers = [int(number) for number in re.findall(r"-?\d+", run)]
        points = []
        for across, down in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + across, y + down
            points.append((x, y))
        runs.append(points)
    return runs
