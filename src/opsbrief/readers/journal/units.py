"""What systemd says of its units, told by message ids, which stay the same in every version and language.

A start is a restart where the unit is one that was asked for: of all units there are, those that start by timers
would drown it. A failure, and a restart that systemd itself does, is told of every unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from opsbrief.readers.journal.entries import Entry, word
from opsbrief.text import decode, line

STARTED = "39f53479d3a045ac8e11786248231fbf"
START_FAILED = "be02cf6855d2428ba40df7e9d022f03d"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
EXITED = "98e322203f7a4ed290d09fe03c09fe15"
SCHEDULED = "5eb03494b6584870a536b337290809b3"
OUT_OF_MEMORY = "fe6faa94e7774663a0da52717891d8ef"
BOOTED = "b07a249cd024414a82dd00cd181378ff"
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"
IDS = (STARTED, START_FAILED, FAILED, EXITED, SCHEDULED, OUT_OF_MEMORY, BOOTED, SUPPRESSED)
FIELDS = ("MESSAGE", "MESSAGE_ID", "_HOSTNAME", "_PID", "UNIT", "N_RESTARTS", "N_DROPPED", "OBJECT_SYSTEMD_UNIT")
_AGAIN = 120  # seconds in which a start belongs to the restart that was scheduled before it
_OUTPUT = 300

Kind = Literal["state", "restart"]


class Told(NamedTuple):
    """What one entry says anew."""

    at: int  # microseconds since 1970
    host: str
    service: str
    kind: Kind
    state: str
    output: str


@dataclass(slots=True)
class Tale:
    """The units of every host in a journal, told entry by entry."""

    units: tuple[str, ...]  # patterns of those that were asked for; none: all
    suppressed: dict[str, list[int]] = field(default_factory=dict)  # unit -> [lines, first, last second]
    _why: dict[tuple[str, str], str] = field(default_factory=dict)
    _wrong: set[tuple[str, str]] = field(default_factory=set)
    _scheduled: dict[tuple[str, str], int] = field(default_factory=dict)

    def tell(self, entry: Entry) -> Iterator[Told]:
        """Yield what an entry says that those before it did not."""
        what, host = word(entry.fields.get("MESSAGE_ID")), line(word(entry.fields.get("_HOSTNAME")), 200)
        if what == SUPPRESSED:
            self._suppress(entry)
        elif what == BOOTED:
            yield Told(entry.at, host, "", "restart", "RESTART", f"the host booted: {_said(entry)}")
        else:
            unit = line(word(entry.fields.get("UNIT")), 200)
            if unit and word(entry.fields.get("_PID")) in {"", "1"} and self._asked(unit):
                yield from self._unit(what, entry, host, unit)

    def lost(self, start: float, end: float) -> bool:
        """Return whether lines of a stretch were suppressed."""
        return any(first < end and last >= start for _, first, last in self.suppressed.values())

    def _asked(self, unit: str) -> bool:
        return not self.units or any(fnmatchcase(unit, one) or unit == f"{one}.service" for one in self.units)

    def _unit(self, what: str, entry: Entry, host: str, unit: str) -> Iterator[Told]:
        key, name = (host, unit), unit.removesuffix(".service")
        if what == EXITED:
            self._why[key] = _said(entry)
        elif what in {FAILED, START_FAILED, OUT_OF_MEMORY}:
            said = _said(entry)
            if what == OUT_OF_MEMORY:
                self._why[key] = said
            if key not in self._wrong or what == OUT_OF_MEMORY:
                self._wrong.add(key)
                yield Told(entry.at, host, name, "state", "CRITICAL", self._with_why(key, said))
        elif what == SCHEDULED:
            self._scheduled[key] = entry.at
            times = word(entry.fields.get("N_RESTARTS"))
            more = f", its counter is at {line(times, 10)}" if times else ""
            said = self._with_why(key, f"restarted by systemd{more}")
            yield Told(entry.at, host, name, "restart", "RESTART", said)
        elif what == STARTED:
            yield from self._start(entry, key, name)

    def _start(self, entry: Entry, key: tuple[str, str], name: str) -> Iterator[Told]:
        scheduled = entry.at - self._scheduled.pop(key, -(10**16)) < _AGAIN * 1_000_000
        if self.units and not scheduled:
            yield Told(entry.at, key[0], name, "restart", "RESTART", _said(entry))
        if key in self._wrong:
            self._wrong.discard(key)
            yield Told(entry.at, key[0], name, "state", "OK", _said(entry))
        self._why.pop(key, None)

    def _with_why(self, key: tuple[str, str], said: str) -> str:
        why = self._why.get(key, "")
        return f"{said}; before: {why}"[:_OUTPUT] if why and why != said else said

    def _suppress(self, entry: Entry) -> None:
        unit = line(word(entry.fields.get("OBJECT_SYSTEMD_UNIT")), 200)
        if not unit:
            unit = _said(entry).rpartition(" from ")[2]
        if self.units and not self._asked(unit):
            return
        try:
            lines = int(word(entry.fields.get("N_DROPPED")))
        except ValueError:
            lines = next((int(part) for part in _said(entry).split() if part.isdigit()), 0)
        second = entry.at // 1_000_000
        told = self.suppressed.setdefault(unit, [0, second, second])
        told[0] += lines
        told[2] = second


def _said(entry: Entry) -> str:
    return line(decode(entry.message[:4000]), _OUTPUT)
