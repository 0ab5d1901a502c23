"""The log of Nagios, Icinga 1, Naemon, and the compat log of Icinga 2: alarms as they were written down.

Archives are named by the time of their rotation, not by what they hold, so files are chosen by their lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Event, Gap, Item
from opsbrief.model.window import Deploy, Span, Window, utc
from opsbrief.readers.alarms import files, nagios
from opsbrief.readers.alarms.plans import REF, Rule
from opsbrief.readers.alarms.whose import CHECKS, HOSTS, Whose
from opsbrief.source import Source
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

_AHEAD = timedelta(days=1)  # that a downtime is planned before it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class NagiosLog(Source):
    """Log files of Nagios, Icinga 1, Naemon, and Icinga 2's compat log."""

    gives: ClassVar[frozenset[str]] = frozenset({"events", "alarms", "deploys"})

    path: str | tuple[str, ...] = field(
        metadata={
            "help": "file or glob, or a list of them: [/var/log/nagios4/nagios.log, /var/log/nagios4/archives/*]",
            "path": True,
        }
    )
    hosts: tuple[str, ...] = field(default=(), metadata=HOSTS)
    services: tuple[str, ...] = field(default=(), metadata=CHECKS)

    deploys_: str | tuple[str, ...] = field(
        default=(),
        metadata={
            "help": 'downtimes planned by a command whose comment, author or check matches are deploys: "deploy*"',
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

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:  # noqa: ARG002 - stamps are epochs
        """See AlarmLog."""
        since, until = span.start.timestamp(), span.end.timestamp()
        shelf = files.Shelf(self.name, (self.path,) if isinstance(self.path, str) else self.path)
        whose, once, now = Whose(self.scope.hosts, self.hosts, self.services), nagios.Once(), datetime.now(UTC)
        runs: list[tuple[float, bool]] = []
        seen: set[bytes] = set()  # a file and its copy in the archive tell the same
        for path, at, text in shelf.read(since, until, lambda _: nagios.stamp, deadline):
            if text in seen:
                continue
            found = nagios.entry(text)
            if isinstance(found, nagios.Pause):
                runs.append((at, found.runs))
                continue
            if not found:
                continue
            host = whose.host(line(found.host, 200)) if found.host else ""
            check = line(found.service, 200)
            if (host or not found.host) and whose.wants(check) and once.new(at, found):
                seen.add(text)
                yield Event(
                    at=utc(at), host=host, service=check, state=found.state, state_type=found.state_type,
                    kind=found.kind, output=found.output,
                    origin=files.origin(self.name, path, text, now.replace(microsecond=0)),
                )  # fmt: skip
        yield from shelf.gaps
        yield from self._holes(shelf, whose, sorted(runs), since, until)

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the downtimes that are deploys, each with its planned begin."""
        rule = Rule(self.name, self.deploys_, self.deploy_ref)
        whose = Whose(self.scope.hosts, self.hosts, self.services)
        shelf = files.Shelf(self.name, (self.path,) if isinstance(self.path, str) else self.path)
        start, end = (since - _AHEAD).timestamp(), until.timestamp() + 1
        plans = []
        for _path, _at, text in shelf.read(start, end, lambda _: nagios.stamp, deadline):
            found = nagios.plan(text)
            if found and whose.host(line(found.host, 200)) and whose.wants(line(found.service, 200)):
                plans.append(found)
        yield from shelf.gaps
        yield from rule.deploys(plans, since, until)

    def _holes(
        self, shelf: files.Shelf, whose: Whose, runs: list[tuple[float, bool]], since: float, until: float
    ) -> Iterator[Gap]:
        """Yield what of the stretch the files do not tell."""
        if shelf.first is not None and shelf.first > since:
            hint = "archives count when path lists them too: archives/*"
            yield self._gap(f"alarms before {files.shown(shelf.first)}", "the oldest line is of then", hint)
        for begin, end in files.pauses(runs, since, until):
            yield self._gap(f"alarms from {files.shown(begin)} to {files.shown(end)}", "the monitoring did not run")
        if whose.others and not whose.seen:
            names = ", ".join(list(whose.others)[:5]) + (", ..." if len(whose.others) > 5 else "")
            detail = f"none of the hosts asked about is mentioned in the window; mentioned: {names}"
            yield self._gap("alarms of the service's hosts", detail, "names may differ; list them under hosts")

    def _gap(self, what: str, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=GapKind.UNAVAILABLE, detail=detail, hint=hint)
