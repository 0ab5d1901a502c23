"""Icinga 2: alarms from wherever its history lives, else what its own API knows of the present.

One url is one place: Icinga Web with Icinga DB or the IDO, a search engine that Icinga writes to, or the API of
Icinga itself. The log that is a file is type nagioslog.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item
from opsbrief.model.window import Span, Window
from opsbrief.readers.alarms import icingaweb
from opsbrief.readers.alarms.ask import Ask, dig
from opsbrief.readers.alarms.icingacore import core
from opsbrief.readers.alarms.icingaelastic import elastic
from opsbrief.readers.alarms.whose import Whose
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

Place = Literal["icingadb", "ido", "elasticsearch", "none"]
_NOT_HERE = (400, 404, 405, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Icinga(Web):
    """Icinga 2: history from Icinga DB Web, the IDO or Elasticsearch, present states from its own API."""

    gives: ClassVar[frozenset[str]] = frozenset({"events", "alarms"})

    history: Literal["auto", "icingadb", "ido", "elasticsearch", "none"] = field(
        default="auto", metadata={"help": "what stands at the url; none: Icinga's own API, which has no history"}
    )
    index: str = field(default="icinga2-*", metadata={"help": "for elasticsearch: index of Icinga's own writer"})
    hosts: tuple[str, ...] = field(
        default=(), metadata={"help": "more hosts beside the service's own, with * and ?: lb*"}
    )
    services: tuple[str, ...] = field(default=(), metadata={"help": "only these checks, with * and ?; default: all"})

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield an Event per entry about the service's hosts in the window and the time before it."""
        yield from self.alarms(window.whole, window.zone, deadline)

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:  # noqa: ARG002 - epochs
        """See AlarmLog."""
        ask = Ask(
            source=self.name, url=self._shown(), span=span, whose=Whose(self.scope.hosts, self.hosts, self.services)
        )
        with self.client(deadline) as http:
            place = self._place(http) if self.history == "auto" else self.history
            if place == "icingadb":
                yield from icingaweb.icingadb(http, ask)
            elif place == "ido":
                yield from icingaweb.ido(http, ask)
            elif place == "elasticsearch":
                yield from elastic(http, ask, self.index, deadline)
            else:
                yield from core(http, ask)

    def _place(self, http: "Client") -> Place:
        """Find out what stands at the url. Raises SourceError when it is nothing of Icinga's."""
        last = None
        for path, place in ((icingaweb.HISTORY, "icingadb"), (icingaweb.EVENTS, "ido")):
            last = http.get(f"{path}?format=json&limit=1", allow=_NOT_HERE)
            if last.headers.get("server", "").startswith("Icinga/"):
                return "none"
            if last.status == 200 and isinstance(_json(last), list):
                return "icingadb" if place == "icingadb" else "ido"
        last = http.get("", allow=_NOT_HERE)
        if isinstance(dig(_json(last), "version", "number"), str):
            return "elasticsearch"
        raise SourceError(
            GapKind.BAD_ANSWER,
            f"is neither Icinga DB Web, the monitoring module, Icinga's API nor Elasticsearch: {last.excerpt()}",
            "url is that of Icinga Web with its path (https://icinga.example/icingaweb2), or say what it is by history",
        )

    def _shown(self) -> str:
        """Return the url without user, password and slash at its end."""
        scheme, _, rest = self.url.partition("://")
        place, slash, path = rest.partition("/")
        return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}".rstrip("/")


def _json(answer: "Answer") -> object:
    try:
        return answer.json()
    except SourceError:
        return None
