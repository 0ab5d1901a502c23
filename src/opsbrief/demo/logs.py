"""The log lines of the story: what the application always says, and what it says since the release."""

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from opsbrief.demo import story

_USUAL = (  # level, class, text, lines a minute and host
    ("INFO", "c.e.shop.web.AccessLog", "GET /api/v2/products/{n} 200 {ms} ms", 1.6),
    ("INFO", "c.e.shop.web.AccessLog", "POST /api/v2/basket/{hex} 201 {ms} ms", 0.6),
    ("INFO", "c.e.shop.order.OrderService", "order {n} accepted, {small} items, {n} cents", 0.5),
    ("INFO", "c.e.shop.search.SearchClient", "query took {ms} ms, {small} hits", 0.7),
    ("DEBUG", "c.e.shop.cache.ProductCache", "evicted {small} entries", 0.3),
    ("WARN", "c.e.shop.search.SearchClient", "slow answer from search-{small}: {n} ms", 0.04),
    ("ERROR", "c.e.shop.pool.ConnectionPool", "timeout waiting for connection from pool 'main' after {n} ms", 0.003),
)
_NEW = (
    (
        "ERROR",
        "c.e.shop.search.UpstreamClient",
        "connection to search-{small}:9300 not released after response, handle {hex}",
        1.1,
    ),
    ("INFO", "c.e.shop.web.AccessLog", "GET /api/v2/suggest?q={word} 200 {ms} ms", 0.7),
)
_START = (
    ("INFO", "c.e.shop.Main", "starting version {version}"),
    ("WARN", "c.e.shop.Config", "property 'upstream.keepalive' is deprecated, use 'upstream.idle'"),
    ("INFO", "c.e.shop.Main", "ready after {ms} ms"),
)
_TRACE = (
    "java.util.concurrent.TimeoutException: no connection within {n} ms",
    "\tat c.e.shop.pool.ConnectionPool.borrow(ConnectionPool.java:141)",
    "\tat c.e.shop.search.UpstreamClient.send(UpstreamClient.java:92)",
)
_WORDS = ("lamp", "chair", "desk", "shelf", "sofa", "rug")


def write(folder: Path, end: datetime, fixed: timedelta = story.NEVER) -> None:
    """Write ``HOST.log`` (since the day before) and ``HOST.log.1.gz`` (last week) for every host."""
    folder.mkdir(parents=True, exist_ok=True)
    restarts = story.restarts(end, fixed)
    repaired = story.repaired(end, fixed)
    span = 2 * story.AGE + timedelta(minutes=20) + fixed
    week = timedelta(days=7)
    for number, host in enumerate(story.HOSTS):
        chance = random.Random(f"{host} 2.14.0")  # noqa: S311 - a story, not a secret
        old = _lines(chance, end - week - span, end - week, Course())
        with gzip.GzipFile(folder / f"{host}.log.1.gz", "wb", mtime=0) as file:
            file.write("".join(old).encode())
        late = timedelta(seconds=4 * number)
        course = Course(story.released(end, fixed) + late, repaired + late if repaired else None, restarts[host])
        recent = _lines(chance, end - span, end, course)
        (folder / f"{host}.log").write_text("".join(recent), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Course:
    """What happened to one host."""

    release: datetime | None = None
    fix: datetime | None = None
    restarts: tuple[datetime, ...] = ()

    def version(self, at: datetime) -> str:
        """Return what runs there."""
        return "2.14.1" if self.fix and at >= self.fix else "2.14.0"

    def starts(self) -> tuple[datetime, ...]:
        """Return when the application started."""
        return (*(at for at in (self.release, self.fix) if at), *self.restarts)


def _lines(chance: random.Random, start: datetime, end: datetime, course: Course) -> Iterator[str]:
    """Yield the lines of one host in order of time."""
    at = start
    while at < end:
        since = (at - course.release).total_seconds() / 60 if course.release else -1.0
        well = course.fix is not None and at >= course.fix
        for second, text in sorted(_minute(chance, since, well=well)):
            stamp = at + timedelta(seconds=second)
            if stamp < end:
                yield _line(stamp, text)
        for moment in course.starts():
            if at <= moment < at + timedelta(minutes=1):
                version = course.version(moment)
                yield from (_line(moment + timedelta(seconds=20), text) for text in _started(chance, version))
        at += timedelta(minutes=1)


def _minute(chance: random.Random, since: float, *, well: bool) -> Iterator[tuple[float, str]]:
    patterns = list(_USUAL)
    if since > 0 and well:
        patterns += _NEW[1:]
    elif since > 0:
        patterns += _NEW
        if since > 38:  # the pool runs dry only when enough connections are held
            patterns += [("ERROR", *_USUAL[-1][1:3], 0.35)]
    for level, logger, text, rate in patterns:
        for _ in range(_poisson(chance, rate)):
            second = chance.uniform(0, 60)
            yield second, f"{level:<5} [exec-{chance.randint(1, 40)}] {logger} - {_fill(chance, text)}"
            if level == "ERROR" and "ConnectionPool" in logger:
                yield from ((second + 1e-4 * row, "\n" + _fill(chance, line)) for row, line in enumerate(_TRACE, 1))


def _started(chance: random.Random, version: str) -> Iterator[str]:
    for level, logger, text in _START:
        yield f"{level:<5} [main] {logger} - {_fill(chance, text, version)}"


def _line(at: datetime, text: str) -> str:
    if text.startswith("\n"):  # a line of a stack trace has no time of its own
        return text[1:] + "\n"
    return f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} {text}\n"


def _fill(chance: random.Random, text: str, version: str = "2.14.0") -> str:
    return text.format(
        n=chance.randint(1000, 99999),
        small=chance.randint(1, 9),
        ms=chance.randint(3, 240),
        hex=f"{chance.getrandbits(48):012x}",
        word=chance.choice(_WORDS),
        version=version,
    )


def _poisson(chance: random.Random, rate: float) -> int:
    """Draw how often something with a mean of ``rate`` happens."""
    left, count = chance.expovariate(1.0), 0
    while left < rate:
        left += chance.expovariate(1.0)
        count += 1
    return count
