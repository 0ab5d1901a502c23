"""Monit's log: records to restarts, failures and recoveries.

Written against 5.33's words and those of 5.2 to 5.25 in public samples. A failure is said again every cycle as long as
it lasts: only the transitions are events. What an unknown message means is told by its level alone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from html import unescape
from typing import Literal, NamedTuple

from opsbrief.readers.lines.stamp import Clock
from opsbrief.text import clean, line

Kind = Literal["state", "restart", "marker"]
_HEAD = re.compile(
    rb"\[(?:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(Z|[+-]\d\d:?\d\d)?"  # 5.26 and newer
    rb"|([A-Z][A-Za-z0-9+-]{1,5} )?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d))\]\s+"  # older: no year, letters for the zone
)
_SYSLOG = re.compile(
    rb"(?:<\d+>(?:1 )?)?(?:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?()"
    rb"|([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)) (\S+) monit(?:\[\d+\]:| \d+ \S+ \S+| -|:)\s+"
)
_LEVEL = re.compile(r"(emergency|emerg|alert|crit|critical|error|warning|notice|info|debug)\s*: ")
_SERVICE = re.compile(r"'((?:[^']|'(?! ))+)' ")
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}  # fmt: skip
_FAILED = {"emergency", "emerg", "alert", "crit", "critical", "error"}
_STATES = {"warning": ("WARNING", "soft"), "error": ("CRITICAL", "hard")}
_OUTPUT = 300
_AGAIN = 120.0  # seconds in which a new process is still that of the restart before

#: (what it means, pattern behind the name of the service). Tried in this order; versions in which the words were seen.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (meaning, re.compile(words))
    for meaning, words in (
        ("run restart", r"trying to restart"),  # all
        ("run asked", r"(restart|start|stop) on user request"),  # all; the name of the user is not said
        ("lost rule", r"service (?:restarted .* - unmonitor|timed out and will not be checked)"),  # 5.x; 4.x, 5.0
        ("noise", r"service restarted .* cycles?|manually recovered|.* action done"),  # said again every cycle
        ("run start", r"start: "),  # 5.x: runs the start program
        ("noise", r"(?:stop|exec|restart): "),
        ("run pid", r"process PID changed from (\d+) to (\d+)"),  # 5.x: nobody asked Monit
        ("lost watch", r"(?:unmonitor on user request|monitoring disabled)"),
        ("good running", r"process is running(?: with pid|$)|process is running after|exists?$|.* exist$"),
        ("bad running", r"process is not running|.*does(?:n't| not) exist"),
        ("good zombie", r"zombie check succeeded"),
        ("bad zombie", r"process with pid \d+ is a zombie"),
        ("good connection", r"connection (?:succeeded|passed)|ping test succeeded|.*remote host .* succeeded"),
        ("bad connection", r"failed protocol test|failed, cannot open|connection failed|unable to connect"),
        ("bad connection", r".*ping test failed"),
        ("good status", r"(?:program )?status succeeded"),
        ("bad status", r"(?:program )?status (?:failed|changed)|'.*' failed with exit status"),
    )
)  # fmt: skip
_PROGRAM = re.compile(
    r"(Starting Monit|.*Monit [\d.]+ started|Monit started)"
    r"|(?:.*Monit (?:[\d.]+|daemon with pid \S+) (?:stopped|killed|exit))"
)


class Record(NamedTuple):
    """One stamped line. ``level`` is empty where syslog left it out; ``host`` where the log is Monit's own."""

    level: str
    text: str
    host: str


class Told(NamedTuple):
    """What one line says that those before it did not."""

    service: str
    state: str
    state_type: Literal["hard", "soft", ""]
    kind: Kind
    output: str


def reader(zone: tzinfo, around: datetime) -> Callable[[float], Callable[[bytes], float | None]]:
    """Return what makes a stamp reader for a file last written at an epoch.

    Stamps without an offset are of ``zone``, those without a year of the year nearest to ``around``.
    """

    def make(modified: float) -> Callable[[bytes], float | None]:
        clock = Clock(zone, around, datetime.fromtimestamp(modified, UTC))
        last: tuple[bytes, float | None] = (b"", None)

        def read(text: bytes) -> float | None:
            nonlocal last
            found = _HEAD.match(text) or _SYSLOG.match(text)
            if not found:
                return None
            stamp = found[0][: found.end(4) if found[4] else found.end(2) if found[2] else found.end(1)]
            if stamp != last[0]:
                last = (stamp, _epoch(found, clock))
            return last[1]

        return read

    return make


def _epoch(found: re.Match[bytes], clock: Clock) -> float | None:
    try:
        if found[1]:
            at = datetime.fromisoformat((found[1] + (found[2] or b"")).decode())
            return (at if at.tzinfo else at.replace(tzinfo=clock.zone)).timestamp()
        letters = (found[3] or b"").decode().strip()
        day, clock_time = found[4][4:6], found[4][7:].split(b":")
        numbers = (_MONTHS[found[4][:3].decode()], int(day), *map(int, clock_time))
        if letters in {"UTC", "GMT", "Z"}:
            return float(Clock(UTC, clock.around, clock.latest).yearless(*numbers))
        return _letters(float(clock.yearless(*numbers)), letters, clock.zone)
    except (ValueError, KeyError, OverflowError):
        return None


def _letters(at: float, letters: str, zone: tzinfo) -> float:
    """Return the second reading of an hour that clocks show twice, where the letters say that it is meant."""
    local = datetime.fromtimestamp(at, zone)
    second = local.replace(fold=1)
    return second.timestamp() if letters and local.tzname() != letters == second.tzname() else at


def record(text: bytes) -> Record | None:
    """Return the parts of a stamped line."""
    if found := _HEAD.match(text):
        said = clean(text[found.end() :]).rstrip("\n")
        level = _LEVEL.match(said)
        return Record(level[1], said[level.end() :], "") if level else None
    if found := _SYSLOG.match(text):
        said = clean(text[found.end() :]).rstrip("\n")
        level = _LEVEL.match(said)
        return Record(level[1] if level else "", said[level.end() :] if level else said, line(found[5], 200))
    return None


@dataclass(slots=True)
class _Check:
    """One thing that Monit checks of a service and that is wrong at present."""

    since: float
    rank: str  # "warning" or "error"
    output: str


@dataclass(slots=True)
class Tale:
    """One host's log, told record by record."""

    _wrong: dict[tuple[str, str], _Check] = field(default_factory=dict)
    _restarted: dict[str, float] = field(default_factory=dict)
    _given: set[str] = field(default_factory=set)
    runs: list[tuple[float, bool]] = field(default_factory=list)  # when Monit itself began and stopped

    def tell(self, at: float, found: Record) -> Iterator[Told]:
        """Yield what a record says anew."""
        if program := _PROGRAM.match(found.text):
            self.runs.append((at, bool(program[1])))
            return
        named = _SERVICE.match(found.text)
        if not named:
            return
        service, text = line(named[1], 200), found.text[named.end() :]
        meaning, said = _meaning(text)
        if said:
            yield from self._ruled(at, service, text, meaning, said, found.level)
            return
        yield from self._state(at, service, _topic(text), text, found.level or _guess(text))

    def _ruled(
        self, at: float, service: str, text: str, meaning: str, said: re.Match[str], level: str
    ) -> Iterator[Told]:
        way, _, topic = meaning.partition(" ")
        if way in {"good", "bad"}:
            wrong = level if level == "warning" else "error"
            yield from self._state(at, service, topic, text, wrong if way == "bad" else "info")
        elif way == "lost":
            if topic == "watch" or service not in self._given:
                self._given.add(service)
                yield Told(service, "", "", "marker", f"Monit watches {service} no more: {line(text, 200)}")
        elif way == "run":
            yield from self._run(at, service, text, topic, said)

    def _run(self, at: float, service: str, text: str, how: str, said: re.Match[str]) -> Iterator[Told]:
        """Yield a restart, unless it belongs to the one before."""
        again = at - self._restarted.get(service, -_AGAIN) < _AGAIN
        self._restarted[service] = at
        if how == "asked" and said[1] == "stop":
            yield Told(service, "STOP", "", "marker", f"{service} stopped on user request")
            return
        words = {
            "restart": f"restarted by Monit{self._why(service)}",
            "start": f"started by Monit{self._why(service)}",
            "asked": f"{said[0]}",
            "pid": f"not by Monit: {line(text, 200)}",
        }
        if not again or how in {"restart", "asked"}:
            yield Told(service, "RESTART", "", "restart", words[how])

    def _why(self, service: str) -> str:
        reasons = [check.output for (name, _), check in self._wrong.items() if name == service]
        return f" after: {reasons[-1]}" if reasons else ""

    def _state(self, at: float, service: str, topic: str, text: str, level: str) -> Iterator[Told]:
        """Yield a transition: into warning, from there into failure, and back."""
        key = (service, topic)
        before = self._wrong.get(key)
        rank = "error" if level in _FAILED else level if level == "warning" else ""
        if rank:
            if before is None or (before.rank, rank) == ("warning", "error"):
                output = line(text, _OUTPUT)
                self._wrong.pop(key, None)  # the newest reason stands last
                self._wrong[key] = _Check(before.since if before else at, rank, output)
                state, kind = _STATES[rank]
                yield Told(service, state, "hard" if kind == "hard" else "soft", "state", output)
        elif before:
            del self._wrong[key]
            self._given.discard(service)
            kind = _STATES[before.rank][1]
            output = f"{line(text, _OUTPUT)} (after {at - before.since:.0f} s)"
            yield Told(service, "OK", "hard" if kind == "hard" else "soft", "state", output)


@lru_cache(maxsize=2048)
def _meaning(text: str) -> tuple[str, re.Match[str] | None]:
    """Return the first rule that a message follows; a lasting failure says the same text in every cycle."""
    return next(((meaning, said) for meaning, pattern in _RULES if (said := pattern.match(text))), ("", None))


def _topic(text: str) -> str:
    """Return what a message is about: its first two words, which it shares with the message of recovery."""
    return " ".join(re.sub(r"[\d.%]+", "", text).split()[:2])


def _guess(text: str) -> str:
    """Return the level of a message where syslog did not keep it."""
    bad = re.search(r"\b(?:failed|matches resource limit|match(?:es)? |changed|error|not running|exceeded)\b", text)
    return "error" if bad and "succeeded" not in text else "info"


def viewed(body: bytes) -> bytes:
    """Return the log out of the page that Monit shows it on; empty when there is none on it."""
    start = body.find(b"<textarea")
    start = body.find(b">", start) + 1 if start >= 0 else 0
    end = body.find(b"</textarea>", start)
    if not start or end < 0:
        return b""
    return unescape(body[start:end].decode("utf-8", "replace")).encode()
