"""The numbers of the story: every series of every host, minute by minute.

All randomness comes from one seed, so the same ``end`` gives the same files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

HOSTS = tuple(f"app{number}" for number in range(1, 9))
BATCH = tuple(f"batch{number}" for number in range(1, 4))  # not deployed to, for comparison
STEP = 60
DAYS = 9  # how far back the series reach
AGE = timedelta(minutes=158)  # of the release when the brief is asked for
LIMIT = 400.0  # connections at which the watchdog restarts the application
DOWN = 2  # minutes without a datapoint while it starts again
NEVER = timedelta(0)


@dataclass(frozen=True, slots=True)
class Leak:
    """Connections of one host after the release, and when the watchdog restarted it."""

    connections: Values
    restarts: tuple[int, ...]  # indices of minutes


def minutes(end: datetime) -> npt.NDArray[np.int64]:
    """Return the epoch of every minute of the story, oldest first; the last one is ``end``'s."""
    last = int(end.timestamp()) // STEP * STEP
    return np.arange(last - DAYS * 86400, last + STEP, STEP, dtype=np.int64)


def released(end: datetime, fixed: timedelta = NEVER) -> datetime:
    """Return the minute of the release; ``fixed`` is how long before ``end`` the fix went out."""
    return (end - fixed - AGE).replace(second=11, microsecond=0)


def repaired(end: datetime, fixed: timedelta) -> datetime | None:
    """Return the minute of the fix, None when the story has none."""
    return (end - fixed).replace(second=5, microsecond=0) if fixed else None


def daily(times: npt.NDArray[np.int64], night: float, day: float) -> Values:
    """Return a day's wave between ``night`` (at 3 o'clock UTC) and ``day`` (at 15), a little lower at weekends."""
    wave = 0.5 - 0.5 * np.cos((times % 86400 - 3 * 3600) / 86400 * 2 * np.pi)
    weekend = np.where((times // 86400 + 3) % 7 >= 5, 0.75, 1.0)
    return night + (day - night) * wave * weekend


def leak(rng: np.random.Generator, usual: Values, start: int, slope: float, stop: int | None = None) -> Leak:
    """Let connections climb by ``slope`` a minute from index ``start`` and fall at every restart.

    At ``stop`` the fix goes out with a restart, and nothing is held any more.
    """
    values = usual.copy()
    held = 0.0
    restarts = []
    index = start
    if stop is not None:
        values[stop + 1 : stop + 1 + DOWN] = np.nan
    while index < (len(values) if stop is None else stop):
        held += max(0.0, rng.normal(slope, slope / 3))
        values[index] = usual[index] + held
        if values[index] >= LIMIT:
            restarts.append(index)
            values[index + 1 : index + 1 + DOWN] = np.nan
            index += DOWN
            held = 0.0
        index += 1
    return Leak(values, tuple(restarts))


def series(end: datetime, fixed: timedelta = NEVER) -> Iterator[tuple[str, Values]]:
    """Yield (Graphite name, values per minute) of every host; NaN is a minute without a datapoint."""
    times = minutes(end)
    start, stop = _turns(times, end, fixed)
    for number, host in enumerate((*HOSTS, *BATCH)):
        rng = np.random.default_rng([2140, number])
        usual = np.maximum(2.0, daily(times, 18, 44) + _rough(rng, len(times), 2.5))
        slope = 3.0 + 0.25 * (number % 4) if host in HOSTS else 0.0
        found = leak(rng, usual, start, slope, stop) if slope else Leak(usual, ())
        yield from _host(host, rng, times, found, start)
    yield from _service(np.random.default_rng(2141), times, start, stop)


def _turns(times: npt.NDArray[np.int64], end: datetime, fixed: timedelta) -> tuple[int, int | None]:
    """Return the indices from which on the release and the fix work."""
    fix = repaired(end, fixed)
    start = int(np.searchsorted(times, released(end, fixed).timestamp())) + 1
    return start, int(np.searchsorted(times, fix.timestamp())) if fix else None


def leaks(end: datetime, fixed: timedelta = NEVER) -> dict[str, Leak]:
    """Return each application server's connections, minute by minute, and its restarts."""
    times = minutes(end)
    start, stop = _turns(times, end, fixed)
    found = {}
    for number, host in enumerate(HOSTS):
        rng = np.random.default_rng([2140, number])
        usual = np.maximum(2.0, daily(times, 18, 44) + _rough(rng, len(times), 2.5))
        found[host] = leak(rng, usual, start, 3.0 + 0.25 * (number % 4), stop)
    return found


def restarts(end: datetime, fixed: timedelta = NEVER) -> dict[str, tuple[datetime, ...]]:
    """Return when each host was restarted by the watchdog."""
    times = minutes(end)
    return {
        host: tuple(datetime.fromtimestamp(int(times[index]), end.tzinfo) for index in found.restarts)
        for host, found in leaks(end, fixed).items()
    }


def _rough(rng: np.random.Generator, count: int, size: float) -> Values:
    """Return noise that remembers a little, as real measurements do."""
    noise = rng.normal(0, size, count + 4)
    smooth: Values = (noise[4:] + 0.6 * noise[3:-1] + 0.4 * noise[2:-2] + 0.2 * noise[1:-3]) / 1.25
    return smooth


def _host(
    host: str, rng: np.random.Generator, times: npt.NDArray[np.int64], found: Leak, start: int
) -> Iterator[tuple[str, Values]]:
    count = len(times)
    load = daily(times, 0.3, 1.4)
    down = np.isnan(found.connections)
    held = np.zeros(count)
    held[start:] = np.nan_to_num(found.connections[start:] - 44, nan=0.0).clip(0)
    root = f"collectd.{host}"
    plain: dict[str, Values] = {
        f"{root}.tcpconns-8080-local.tcp_connections-ESTABLISHED": np.round(found.connections),
        f"{root}.processes-java.ps_count.threads": np.where(
            down, np.nan, np.round(daily(times, 60, 90) + _rough(rng, count, 3) + held * 0.12)
        ),
        f"{root}.load.load.shortterm": np.maximum(0.01, load + _rough(rng, count, 0.12)),
        f"{root}.cpu.percent-user": np.maximum(0.1, load * 18 + _rough(rng, count, 2)),
        f"{root}.memory.memory-used": (3.1 + load * 0.2 + _rough(rng, count, 0.03)) * 2**30,
        f"{root}.df-root.df_complex-used": 41e9 + np.arange(count) * 800.0 + _rough(rng, count, 2e6),
        f"{root}.interface-eth0.if_octets.rx": np.maximum(0, daily(times, 2e5, 9e5) + _rough(rng, count, 4e4)),
        f"{root}.swap.swap-used": np.zeros(count),
    }
    yield from plain.items()


def _service(
    rng: np.random.Generator, times: npt.NDArray[np.int64], start: int, stop: int | None
) -> Iterator[tuple[str, Values]]:
    count = len(times)
    requests = np.maximum(0, daily(times, 140, 900) + _rough(rng, count, 25))
    latency = np.maximum(20, 126 + daily(times, 0, 8) + _rough(rng, count, 6))
    errors = rng.poisson(0.4, count).astype(np.float64)
    new = np.zeros(count)
    new[start:] = rng.poisson(0.9, count - start)
    new[stop if stop is not None else count :] = 0.0
    yield "stats.shop.requests", np.rint(requests)
    yield "stats.timers.shop.upper_95", latency
    yield "stats.shop.http_5xx", errors + new * 0.2
    yield "stats.shop.orders", np.maximum(0, np.rint(requests * 0.031 + _rough(rng, count, 2)))
