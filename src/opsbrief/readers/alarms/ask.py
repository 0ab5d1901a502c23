"""One question about alarms, put to one of the places that know: for which hosts, over which time."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Gap, Origin
from opsbrief.model.window import Span
from opsbrief.readers.alarms.plans import Plan
from opsbrief.readers.alarms.whose import Whose
from opsbrief.text import line

Kind = Literal["state", "restart", "notification", "acknowledgement", "downtime", "flapping", "marker"]
Sort = Literal["hard", "soft", ""]

_SERVICE = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_HOST = ("UP", "DOWN", "UNREACHABLE")
_MILLISECONDS = 1e11  # an epoch this large counts them
_OUTPUT = 300  # characters of a plugin's output or a comment that are kept


@dataclass(slots=True, kw_only=True)
class Ask:
    """The question, and the one door through which answers become events."""

    source: str
    url: str  # without credentials
    span: Span
    whose: Whose
    found: int = 0  # events that were made
    unread: int = 0  # entries whose time could not be read
    plans: list[Plan] = field(default_factory=list)  # downtimes that began
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of host names, with *, that a server is asked for; none: all hosts.

        Names that begin alike are one pattern, and one pattern also finds app1.shop.example; which of the hosts
        found are meant is decided here.
        """
        hosts = self.whose.hosts
        if not hosts:
            return self.whose.more
        return tuple(dict.fromkeys([*(f"{_stem(host)}*" for host in hosts), *self.whose.more]))

    def event(  # noqa: PLR0913 - the parts of an event
        self,
        at: datetime | None,
        host: object,
        service: object,
        kind: Kind,
        *,
        state: str = "",
        sort: Sort = "",
        output: object = "",
        author: object = "",
        origin: Origin,
    ) -> Event | None:
        """Return the event when it is about the hosts, checks and time asked for and not told yet.

        Of a downtime's begin, ``author`` is remembered among the plans; the event names nobody.
        """
        name, check = self.whose.host(line(word(host), 200)), line(word(service), 200)
        if at is None:
            self.unread += 1
        if at is None or not name or not self.whose.wants(check) or not self.span.start <= at < self.span.end:
            return None
        key = (at, name, check, kind, state, sort)
        if key in self._seen:
            return None
        self._seen.add(key)
        self.found += 1
        said = line(word(output), _OUTPUT)
        if kind == "downtime" and state == "STARTED":
            self.plans.append(Plan(at, name, check, said, line(word(author), 200)))
        return Event(
            at=at, host=name, service=check, state=state, state_type=sort, kind=kind, output=said, origin=origin
        )

    def gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        """Return a gap of the source."""
        return Gap(source=self.source, what=what, kind=kind, detail=detail, hint=hint)

    def shortfalls(self, where: str, *, whole: bool = True) -> Iterator[Gap]:
        """Yield what the answers do not cover: hosts that were not seen, entries that could not be read.

        ``whole`` says whether every host there is was shown.
        """
        missing = self.whose.missing
        if not self.whose.seen:
            yield self.unknown(where)
        elif missing and whole:
            names = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
            hint = "names may differ (list them under hosts), or the login's role may hide them"
            yield self.gap(
                f"alarms of {names}", GapKind.UNAVAILABLE, f"{where} does not show this login these hosts", hint
            )
        if self.unread:
            yield self.gap(
                f"{self.unread:,} entries", GapKind.BAD_ANSWER, f"{where} dated them in a way that is not understood"
            )

    def unknown(self, where: str) -> Gap:
        """Return the gap of a place that knows none of the hosts, or may not show them: never "no alarms"."""
        names = ", ".join(self.whose.hosts[:4]) + (", ..." if len(self.whose.hosts) > 4 else "")
        seen = list(self.whose.others)
        others = f"; it shows {', '.join(seen[:4])}" if seen else ""
        return self.gap(
            "alarms",
            GapKind.UNAVAILABLE,
            f"{where} shows this login none of the hosts {names or '(any)'}{others}: no sign that there were no alarms",
            "names may differ (list them under hosts), or the login's role may hide them",
        )

    def origin(self, query: str, body: bytes, path: str) -> Origin:
        """Return where the events of one answer come from."""
        return Origin(
            source=self.source,
            query=line(query, 1000),
            url=f"{self.url}/{path}",
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            bytes=len(body),
            digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        )


def _stem(host: str) -> str:
    """Return what a name shares with those of its kind: app of app12.shop, the whole name where that is too little."""
    found = re.match(r"[A-Za-z_-]{2,}(?=\d)", host)
    return found[0] if found else host.partition(".")[0]


def word(value: object) -> str:
    """Return a JSON value as text; nothing for null."""
    return "" if value is None or isinstance(value, Mapping | list) else str(value)


def number(value: object) -> float | None:
    """Return a number that JSON has as a number or as text; None for anything else."""
    try:
        found = float(word(value))
    except ValueError:
        return None
    return found if found == found and abs(found) < 1e14 else None  # noqa: PLR0124 - NaN


def instant(value: object) -> datetime | None:
    """Return the time of epoch seconds, of milliseconds, or in ISO 8601; None when it is none, or 0 for never."""
    found = number(value)
    if found is None and (text := word(value)):
        with suppress(ValueError):
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else None
    if found is not None and found >= _MILLISECONDS:
        found /= 1000
    return datetime.fromtimestamp(found, UTC) if found is not None and found > 0 else None


#: What a notification was about, as the places spell it: as they are where nothing stands here.
_TOLD: dict[str, tuple[Kind, str]] = {
    "ACK": ("acknowledgement", ""),
    "ACKNOWLEDGEMENT": ("acknowledgement", ""),
    "DTSTART": ("downtime", "STARTED"),
    "DOWNTIMESTART": ("downtime", "STARTED"),
    "DTEND": ("downtime", "STOPPED"),
    "DOWNTIMEEND": ("downtime", "STOPPED"),
    "DOWNTIMEREMOVED": ("downtime", "CANCELLED"),
    "DOWNTIMECANCELLED": ("downtime", "CANCELLED"),
    "FLAPPING": ("flapping", "STARTED"),
    "FLAPPINGSTART": ("flapping", "STARTED"),
    "FLAPPINGEND": ("flapping", "STOPPED"),
    "FLAPPINGSTOP": ("flapping", "STOPPED"),
    "FLAPPINGDISABLED": ("flapping", "STOPPED"),
}


def told(what: object, named: str) -> tuple[Kind, str]:
    """Return kind and state of what a notification was about: ("notification", "CRITICAL"), ("downtime", "STARTED").

    ``named`` is the state that it went out with: the word of a problem; OK and UP are a recovery.
    """
    name = word(what).upper().replace("_", "")
    if name in {"PROBLEM", "STATE", "NOTIFY", ""}:
        name = named
    return _TOLD.get(name) or ("notification", "RECOVERY" if name in {"OK", "UP"} else line(name, 30))


def state(value: object, *, service: bool) -> str:
    """Return the name of a state that is a number; empty when it is none (99 is: never checked)."""
    found, names = number(value), _SERVICE if service else _HOST
    return names[int(found)] if found is not None and 0 <= found < len(names) and found == int(found) else ""


def dig(row: object, *names: str) -> object:
    """Return what lies at a path in nested objects; None when a part is missing."""
    for name in names:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row
