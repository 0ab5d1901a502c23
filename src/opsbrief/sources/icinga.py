"""Icinga 2: alarms from wherever its history lives, else what its own API knows of the present.

One url is one place: Icinga Web with Icinga DB or the IDO, a search engine that Icinga writes to, or the API of
Icinga itself. The log that is a file is type nagioslog.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item
from opsbrief.model.window import Deploy, Span, Window
from opsbrief.readers.alarms import icingaweb
from opsbrief.readers.alarms.ask import Ask, dig
from opsbrief.readers.alarms.icingacore import core
from opsbrief.readers.alarms.icingaelastic import elastic
from opsbrief.readers.alarms.plans import REF, Rule
from opsbrief.readers.alarms.whose import CHECKS, HOSTS, Whose
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer
    from opsbrief.transport.http import Client

Place = Literal["icingadb", "ido", "elasticsearch", "none"]
_NAMES: dict[Place, str] = {
    "icingadb": "Icinga DB Web",
    "ido": "the monitoring module (over the IDO)",
    "elasticsearch": "the index of Icinga's ElasticsearchWriter",
    "none": "Icinga's own API",
}
_NOT_HERE = (400, 404, 405, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Icinga(Web):
    """Icinga 2: history from Icinga DB Web, the IDO or Elasticsearch, present states from its own API."""

    gives: ClassVar[frozenset[str]] = frozenset({"events", "alarms", "deploys"})

    history: Literal["auto", "icingadb", "ido", "elasticsearch", "none"] = field(
        default="auto", metadata={"help": "what stands at the url; none: Icinga's own API, which has no history"}
    )
    index: str = field(default="icinga2-*", metadata={"help": "for elasticsearch: index of Icinga's own writer"})
    hosts: tuple[str, ...] = field(default=(), metadata=HOSTS)
    services: tuple[str, ...] = field(default=(), metadata=CHECKS)

    deploys_: str | tuple[str, ...] = field(
        default=(),
        metadata={
            "help": 'downtimes whose comment, author or check matches are deploys: "deploy*"',
            "key": "deploys", "deploys": True,
        },
    )  # fmt: skip
    deploy_ref: str = field(default="", metadata=REF)

    @property
    def given(self) -> frozenset[str]:
        """Deploys only where it is said which downtimes are some."""
        return self.gives if self.deploys_ else self.gives - {"deploys"}

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield an Event per entry about the service's hosts in the window and the time before it."""
        yield from self.alarms(window.whole, window.zone, deadline)

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:  # noqa: ARG002 - epochs
        """See AlarmLog."""
        yield from self._history(self._ask(span), deadline)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the downtimes that are deploys, each with its begin."""
        rule = Rule(self.name, self.deploys_, self.deploy_ref)
        ask = self._ask(Span("", since, until + timedelta(seconds=1)))
        yield from (one for one in self._history(ask, deadline) if isinstance(one, Gap))
        yield from rule.deploys(ask.plans, since, until)

    def _ask(self, span: Span) -> Ask:
        whose = Whose(self.scope.hosts, self.hosts, self.services)
        return Ask(source=self.name, url=self._shown(), span=span, whose=whose)

    def _history(self, ask: Ask, deadline: Deadline) -> Iterator[Event | Gap]:
        with self.client(deadline) as http:
            place = self.history
            if place == "auto":
                place = self._place(http)
                deadline.warn(f"its history is as {_NAMES[place]} shows it")
            if place == "icingadb":
                yield from icingaweb.icingadb(http, ask, deadline)
            elif place == "ido":
                yield from icingaweb.ido(http, ask, deadline)
            elif place == "elasticsearch":
                yield from elastic(http, ask, self.index, deadline)
            else:
                yield from core(http, ask)

    def _place(self, http: "Client") -> Place:
        """Find out what stands at the url. Raises SourceError when it is nothing of Icinga's."""
        refused = last = None
        for path, place in ((icingaweb.HISTORY, "icingadb"), (icingaweb.EVENTS, "ido")):
            last = http.get(f"{path}?format=json&limit=1", allow=(*_NOT_HERE, 403))
            if last.headers.get("server", "").startswith("Icinga/"):
                return "none"
            if last.status == 200 and isinstance(_json(last), list):
                return "icingadb" if place == "icingadb" else "ido"
            if last.status == 403:
                refused = refused or last
        if refused:
            raise SourceError(
                GapKind.UNAUTHORIZED, f"HTTP 403: {refused.excerpt()}",
                "give the login's role the permission module/icingadb or module/monitoring",
            )  # fmt: skip
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
