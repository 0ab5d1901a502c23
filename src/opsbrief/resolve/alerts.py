"""Find the newest alarm for ``--since alert`` and ``--since alert:HOST!SERVICE``, asking every source that knows any.

All are asked side by side, each under its own deadline; first about the last day, then further back, since a month
of alarms is a lot to read for the newest one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise

from opsbrief.collect import Job, Listener, Runner
from opsbrief.errors import NoDeployError, WindowError
from opsbrief.model.evidence import Event, Gap
from opsbrief.model.scope import called
from opsbrief.model.window import Span
from opsbrief.source import AlarmLog, Source
from opsbrief.text import line
from opsbrief.timespec import spell
from opsbrief.transport.deadline import Deadline

_STEPS = (timedelta(days=1), timedelta(days=7))
PROBLEMS = frozenset({"WARNING", "CRITICAL", "UNKNOWN", "DOWN", "UNREACHABLE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The alarm that was found, how many there were, and what could not be asked."""

    event: Event
    source: str
    count: int
    searched: timedelta
    gaps: tuple[Gap, ...]

    @property
    def name(self) -> str:
        """HOST!SERVICE, or HOST alone for a host's own state."""
        return "!".join(filter(None, (self.event.host, self.event.service)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Whom to ask, how far back, and how long."""

    sources: Sequence[tuple[str, Source]]
    zone: str
    reach: timedelta
    timeout: float
    listen: Listener | None = None

    def newest(self, ref: str, limit: datetime) -> Alert:
        """Return the newest hard problem at or before ``limit`` that ``ref`` names (empty: any).

        Raises WindowError when nobody can be asked and NoDeployError when nobody knows one.
        """
        if not self.sources:
            raise WindowError(
                "no alarm source is configured, so --since alert cannot be resolved",
                "add a source of type icinga, nagioslog, monit or journald, or give the time of the first alarm",
            )
        host, _, service = ref.partition("!")
        gaps: list[Gap] = []
        end = limit + timedelta(seconds=1)  # a span ends before its end, an alarm at the limit counts
        edges = [timedelta(0), *(step for step in _STEPS if step < self.reach), self.reach]
        for near, far in pairwise(edges):
            told, lost = self._ask(Span("", limit - far, end - near if near else end), host)
            gaps += lost
            found = [(one, source) for one, source in told if _means(one, host, service)]
            if found:
                event, source = max(found, key=lambda pair: pair[0].at)
                unique = tuple(dict.fromkeys(gaps))
                return Alert(event=event, source=source, count=len(found), searched=far, gaps=unique)
        raise self._nothing(ref, limit, list(dict.fromkeys(gaps)))

    def _ask(self, span: Span, host: str) -> tuple[list[tuple[Event, str]], list[Gap]]:
        jobs = [job for _, source in self.sources if (job := self._job(source, span, host))]
        runner: Runner[Event] = Runner(jobs, self.listen)
        trays = runner.run()
        if runner.interrupted:  # there is no window yet, so there is nothing to write
            raise KeyboardInterrupt
        told = [(event, tray.job.name) for tray in trays for event in tray.items]
        return told, [gap for tray in trays for gap in tray.gaps]

    def _job(self, source: Source, span: Span, host: str) -> Job[Event] | None:
        if host and not set(host) & set("*?["):  # one that need not belong to the service: alert:lb1!https
            own = called(host, source.scope.hosts)
            source = replace(source, scope=replace(source.scope, hosts=(own or host,)))
        if not isinstance(source, AlarmLog):
            return None
        log: AlarmLog = source

        def start(deadline: Deadline) -> Iterator[Event | Gap]:
            return log.alarms(span, self.zone, deadline)

        return Job(name=source.name, timeout=min(self.timeout, source.timeout), start=start)

    def _nothing(self, ref: str, limit: datetime, gaps: list[Gap]) -> NoDeployError:
        said = []
        for _, source in self.sources:
            own = [f"{gap.kind}: {gap.detail}" for gap in gaps if gap.source == source.name]
            said.append(f"{source.name}: {'; '.join(own) or 'none'}")
        which = f"hard problem of {line(ref, 100)}" if ref else "hard problem"
        return NoDeployError(
            f"no {which} in the {spell(self.reach, 2)} before {limit:%Y-%m-%d %H:%M:%S} UTC; {'; '.join(said)}",
            "give a time instead; 'opsbrief alarms' lists what is known",
        )


def _means(event: Event, host: str, service: str) -> bool:
    """Return whether an event is a hard problem of what is named; one whose kind is not known counts as hard."""
    if event.kind != "state" or event.state not in PROBLEMS or event.state_type == "soft":
        return False
    if host and not (called(event.host, (host,)) or fnmatchcase(event.host.lower(), host.lower())):
        return False
    return not service or fnmatchcase(event.service.lower(), service.lower())
