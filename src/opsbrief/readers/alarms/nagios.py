"""The log that Nagios writes, and Icinga 1, Naemon and the compat log of Icinga 2 after its model: a line, an entry.

Facts about the two dialects: Icinga 2 always writes attempt 1 for HARD, names the kind of a notification where
Nagios writes "KIND (STATE)", and logs no external command for what came through its API. ``PASSIVE ... CHECK`` lines
carry the state before; ``CURRENT`` and ``INITIAL`` states are no changes. None of these three is evidence.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from opsbrief.model.window import utc
from opsbrief.readers.alarms.ask import Kind, told
from opsbrief.readers.alarms.plans import Plan
from opsbrief.text import clean, line

_HEAD = re.compile(rb"\[(\d{9,11})\] ")
_LINE = re.compile(r"([A-Z][A-Za-z]+(?: [A-Z]+)*): (.*)", re.DOTALL)
_PROGRAM = re.compile(r"(?:Nagios|Icinga|Naemon)\b.* (starting|shut ?down)|(Caught SIGTERM|Successfully shutdown)")
#: Seconds in which the same is told again: an acknowledgement as a command, then with each notification about it.
_REPEATED = {"notification": 1.0, "acknowledgement": 60.0}
_SCHEDULES = re.compile(
    r"SCHEDULE_(?:AND_PROPAGATE_\w+_|HOST_SVC_|HOSTGROUP_\w+_|SERVICEGROUP_\w+_|SVC_|HOST_)DOWNTIME\Z"
)
_OUTPUT = 300  # characters of a plugin's output that are kept


class Entry(NamedTuple):
    """What one line says. ``host`` is empty when it is about the monitoring itself."""

    host: str
    service: str
    state: str
    state_type: Literal["hard", "soft", ""]
    kind: Kind
    output: str


class Pause(NamedTuple):
    """The monitoring began or stopped to run."""

    runs: bool


def stamp(text: bytes) -> float | None:
    """Return the time of a line; None when it has none."""
    found = _HEAD.match(text)
    return float(found[1]) if found else None


def entry(text: bytes) -> Entry | Pause | None:
    """Return what a line says; None for what is no event."""
    found = _LINE.match(clean(text[text.index(b"]") + 2 :]))
    if not found:
        return _program(text)
    reader = _READERS.get(found[1])
    if reader is None:
        return None
    try:
        return reader(found[2].rstrip("\n"))
    except (ValueError, IndexError):  # fewer fields than it should have: cut by a full disk, or by us
        return None


def _program(text: bytes) -> Pause | None:
    found = _PROGRAM.search(clean(text))
    return Pause(found[1] == "starting") if found else None


def _alert(*, service: bool) -> Callable[[str], Entry]:
    def read(rest: str) -> Entry:
        host, *parts = rest.split(";", 5 if service else 4)
        name = parts.pop(0) if service else ""
        state, kind, _attempt, output = parts
        hard: Literal["hard", "soft"] = "hard" if kind == "HARD" else "soft"
        return Entry(host, name, line(state, 20), hard, "state", line(output, _OUTPUT))

    return read


def _notification(*, service: bool) -> Callable[[str], Entry | None]:
    """Read a notification. Whom it went to, and who acknowledged, are persons and stay out."""

    def read(rest: str) -> Entry | None:
        _contact, host, *parts = rest.split(";")
        name = parts.pop(0) if service else ""
        what, _command, *tail = parts
        said, _, state = what.partition(" (")
        kind, named = told(said, said)
        if kind == "acknowledgement":
            # Nagios keeps ";" out of the output, Icinga 2 does not: then nobody can tell where the author stands.
            comment = ";".join(tail[2:]) if state or len(tail) == 3 else ""
            return Entry(host, name, "", "", "acknowledgement", line(comment, _OUTPUT))
        if kind != "notification":
            return None  # downtimes and flapping have lines of their own
        return Entry(host, name, named, "", "notification", line(tail[0] if tail else "", _OUTPUT))

    return read


def _phase(kind: Literal["downtime", "flapping"], *, service: bool) -> Callable[[str], Entry]:
    def read(rest: str) -> Entry:
        host, *parts = rest.split(";", 3 if service else 2)
        name = parts.pop(0) if service else ""
        state, output = parts
        return Entry(host, name, line(state, 20), "", kind, line(output, _OUTPUT))

    return read


def _command(rest: str) -> Entry | None:
    """Read an external command: acknowledgements, planned downtimes, and what is switched off."""
    name, *parts = rest.split(";")
    service = "_SVC_" in name
    host, check = parts[0] if parts else "", parts[1] if service and len(parts) > 1 else ""
    after = parts[2:] if service else parts[1:]
    if name in {"ACKNOWLEDGE_SVC_PROBLEM", "ACKNOWLEDGE_HOST_PROBLEM"}:
        return Entry(host, check, "", "", "acknowledgement", line(";".join(after[4:]), _OUTPUT))
    if name in {"ACKNOWLEDGE_SVC_PROBLEM_EXPIRE", "ACKNOWLEDGE_HOST_PROBLEM_EXPIRE"}:  # one field more: until when
        return Entry(host, check, "", "", "acknowledgement", line(";".join(after[5:]), _OUTPUT))
    if name in {"SCHEDULE_SVC_DOWNTIME", "SCHEDULE_HOST_DOWNTIME"}:
        return Entry(host, check, "SCHEDULED", "", "downtime", line(";".join(after[6:]), _OUTPUT))
    if name.startswith("DISABLE_") and ("CHECK" in name or "NOTIFICATION" in name):
        if not service and "_HOST_" not in name:
            host = ""
        return Entry(host, check, "", "", "marker", line(name.replace("_", " ").lower(), 80))
    return None


def plan(text: bytes) -> Plan | None:
    """Return the downtime that a line plans, by an external command; the lines of its begin have no comment."""
    found = _LINE.match(clean(text[text.index(b"]") + 2 :]))
    if not found or found[1] != "EXTERNAL COMMAND":
        return None
    what, _, rest = found[2].rstrip("\n").partition(";")
    if not _SCHEDULES.match(what):
        return None
    host, *parts = rest.split(";")
    try:
        name = parts.pop(0) if what == "SCHEDULE_SVC_DOWNTIME" else ""
        start, _end, _fixed, _trigger, _duration, author, *comment = parts
        return Plan(utc(float(start)), host, name, line(";".join(comment), _OUTPUT), line(author, 200))
    except (ValueError, IndexError, OverflowError, OSError):  # cut, or no such time
        return None


_READERS: dict[str, Callable[[str], Entry | None]] = {
    "HOST ALERT": _alert(service=False),
    "SERVICE ALERT": _alert(service=True),
    "HOST NOTIFICATION": _notification(service=False),
    "SERVICE NOTIFICATION": _notification(service=True),
    "HOST DOWNTIME ALERT": _phase("downtime", service=False),
    "SERVICE DOWNTIME ALERT": _phase("downtime", service=True),
    "HOST FLAPPING ALERT": _phase("flapping", service=False),
    "SERVICE FLAPPING ALERT": _phase("flapping", service=True),
    "EXTERNAL COMMAND": _command,
}


class Once:
    """Lets through one entry of those that tell the same: one notification went to many contacts."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._last: dict[tuple[str, str, str, str], float] = {}

    def new(self, at: float, found: Entry) -> bool:
        """Return whether nothing like it came just before."""
        within = _REPEATED.get(found.kind)
        if within is None:
            return True
        key = (found.kind, found.host, found.service, "" if found.kind == "acknowledgement" else found.state)
        last = self._last.get(key)
        self._last[key] = at
        return last is None or abs(at - last) > within  # overlapping files are not in order
