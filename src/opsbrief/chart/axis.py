"""Axes: which ticks, and what they are called."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from opsbrief.model.chart import Tick

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # not strftime's, which follow the locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 4, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 28, 56, 112, 364, 728, 1820, 3640, 18200)),
)
_TIMES = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = {"bytes": "B", "byte": "B", "b/s": "B/s", "bytes/s": "B/s"}
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def zone_of(name: str) -> tzinfo:
    """Return the named time zone, or UTC when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def day(at: datetime, *, year: bool = False) -> str:
    """Write the day of a local time: "Fri 17 May", on request with its year."""
    text = f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}"
    return f"{text} {at.year}" if year else text


def stretch(start: datetime, end: datetime) -> str:
    """Write a stretch of local time with its zone: "Fri 17 May 2013 14:02 - 17:40 CEST"."""
    form = "%H:%M:%S" if (end - start).total_seconds() < 600 else "%H:%M"
    first, last = f"{start:{form}}", f"{end:{form} %Z}"
    if start.date() != end.date():
        last = f"{day(end, year=start.year != end.year)} {last}"
    if start.utcoffset() != end.utcoffset():
        first = f"{first} {start:%Z}"
    return f"{day(start, year=True)} {first} \N{EN DASH} {last}"


def moment(at: datetime, start: datetime) -> str:
    """Write a local time, with its day when that is not the day of ``start``."""
    return f"{at:%H:%M}" if at.date() == start.date() else f"{day(at)} {at:%H:%M}"


def duration(seconds: float) -> str:
    """Write a length of time in its largest whole unit: "60 s", "10 min", "8 h"."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def time_ticks(start: datetime, end: datetime, zone: tzinfo, width: float, room: float = 64) -> tuple[Tick, ...]:
    """Place ticks at round local times, ``room`` pixels apart or more; midnight shows the day.

    Local times that a clock change leaves out get no tick, those that come twice get two.
    """
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        return ()
    coarsest = seconds / max(1.0, width / room)
    step = next((step for step in _STEPS if step >= coarsest), _STEPS[-1])
    ticks = []
    try:
        for at in _rounds(start, end, zone, step):
            local = at.astimezone(zone)
            ticks.append(Tick((at - start).total_seconds() / seconds * width, _clock(local, step)))
    except OverflowError:  # the first or last days of the calendar: no local time there
        pass
    return tuple(ticks)


def _rounds(start: datetime, end: datetime, zone: tzinfo, step: int) -> Iterator[datetime]:
    """Yield, in order, the instants in [start, end] whose local time is a round one."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    pad = timedelta(seconds=step)
    if first.utcoffset() != last.utcoffset():  # wall clocks run twice through the same hour
        pad += timedelta(hours=2)
    walls = sorted((first.replace(tzinfo=None), last.replace(tzinfo=None)))
    wall = walls[0] - pad
    wall = datetime(wall.year, wall.month, wall.day)  # noqa: DTZ001 -- wall-clock arithmetic, the zone comes below
    if step > _DAY:  # the same days whatever the window
        wall -= timedelta(days=wall.toordinal() % (step // _DAY))
    else:
        wall += (walls[0] - pad - wall) // timedelta(seconds=step) * timedelta(seconds=step)
    found = set()
    while wall <= walls[1] + pad:
        for fold in (0, 1):
            at = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            exists = at.astimezone(zone).replace(tzinfo=None, fold=0) == wall
            if start <= at <= end and (exists or (step >= _DAY and not fold)):
                found.add(at)
        wall += timedelta(seconds=step)
    yield from sorted(found)


def _clock(local: datetime, step: int) -> str:
    if step >= 300 * _DAY:
        return f"{_MONTHS[local.month - 1]} {local.year}"
    if step >= _DAY:
        return f"{local.day} {_MONTHS[local.month - 1]}" if step > _DAY else day(local)
    if local.hour == local.minute == local.second == 0:
        return day(local)
    return f"{local:%H:%M:%S}" if step < _MINUTE else f"{local:%H:%M}"


def bounds(low: float, high: float) -> tuple[float, float]:
    """Return the range an axis should show for data from ``low`` to ``high``.

    From 0 when that is sensible. A narrow range far from 0 is magnified, but never so far that
    noise fills the picture or that labels could not tell the ticks apart.
    """
    size = max(abs(low), abs(high))
    if size < 1e-300:
        return 0.0, 1.0
    if high - low >= 0.1 * size or high - low <= 0.005 * size:
        if low >= 0:
            return 0.0, high if high - low > 0.005 * size else 1.3 * high
        if high <= 0:
            return low if high - low > 0.005 * size else 1.3 * low, 0.0
        return low, high
    margin = 0.5 * (high - low)
    return low - margin, high + margin


def value_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Return about ``count`` round values, evenly spaced, in ``low`` to ``high``."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= 0.9 * raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _scale(size: float, unit: str) -> tuple[float, str]:
    """Return what to divide by and what to write behind the number, for values up to ``size``."""
    plain = unit.strip()
    if plain.lower() in _TIMES:
        seconds = _TIMES[plain.lower()]
        best = next((pair for pair in _TIME_UNITS if size * seconds >= pair[0]), _TIME_UNITS[-1])
        return best[0] / seconds, best[1]
    symbol = _BYTES.get(plain.lower(), plain) if fits(plain) else ""
    if symbol == "%" or size >= 1e21:
        return 1.0, symbol
    divisor, prefix = next((pair for pair in _PREFIXES if size >= pair[0]), (1.0, ""))
    return divisor, prefix + symbol


def fits(unit: str) -> bool:
    """Tell whether a unit is short enough to stand behind every number."""
    return len(unit) <= 3 or unit.lower() in _TIMES or unit.lower() in _BYTES


def _number(value: float, decimals: int) -> str:
    if value == 0:
        return "0"
    if decimals > 5 or abs(value) >= 1e15:
        mantissa, _, exponent = f"{value:.6g}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else f"{value:.3e}"
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def value_labels(ticks: tuple[float, ...], unit: str) -> tuple[str, ...]:
    """Write tick values with as many decimals as their distance needs: "0", "0.5 k", "1.0 k"."""
    size = max(abs(tick) for tick in ticks)
    divisor, symbol = _scale(size, unit)
    step = (ticks[1] - ticks[0]) / divisor if len(ticks) > 1 else size / divisor
    places = 0 if step <= 0 else max(0, -math.floor(math.log10(step) + 1e-9))
    if places <= 9 and step > 0 and abs(round(step, places) - step) > 1e-6 * step:
        places += 1  # steps of 2.5 and 0.25
    return tuple(f"{_number(tick / divisor, places)} {symbol}".strip() if tick else "0" for tick in ticks)


def quantity(value: float, unit: str = "") -> str:
    """Write one value with three significant digits and its unit: "1.24 k", "398", "12.3 ms"."""
    divisor, symbol = _scale(abs(value), unit)
    scaled = value / divisor
    if scaled == 0:
        number = "0"
    elif abs(scaled) < 1e-4 or abs(scaled) >= 1e15:
        number = _number(scaled, 99)
    else:
        number = f"{scaled:,.{max(0, 2 - math.floor(math.log10(abs(scaled))))}f}".replace("-", "\N{MINUS SIGN}")
        number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number} {symbol}".strip()
