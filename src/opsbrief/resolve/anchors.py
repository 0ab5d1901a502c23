"""Find the instant of one end of a window by asking the deploy logs, and keep what each of them said.

All logs are asked side by side, each under its own deadline; one dead log costs a warning, not the
window. ``deploy`` is the newest successful deploy at or before a limit, over all logs together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from opsbrief.collect import Job, Listener, Runner, Tray
from opsbrief.errors import NoDeployError, WindowError
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Anchor, Deploy, TimeKind
from opsbrief.releases import NEAR, SAME, Release, merge, same
from opsbrief.resolve.alerts import Search
from opsbrief.source import DeployLog, RefLog, Source
from opsbrief.timespec import FORMS, Instant, Reference, Shift, spell
from opsbrief.transport.deadline import Deadline

Logs = Sequence[tuple[str, Source]]  # (type, source), in the configured order


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One end of the window."""

    at: datetime
    anchor: Anchor
    reason: str
    release: Release | None = None
    previous: Release | None = None
    warnings: tuple[str, ...] = ()


class Desk:
    """Finds the ends of one window; asks the deploy logs once per stretch, and only when it must."""

    def __init__(
        self,
        logs: Logs,
        now: datetime,
        zone: ZoneInfo,
        *,
        reach: timedelta,
        timeout: float,
        listen: Listener | None = None,
        alarms: Logs = (),
    ) -> None:
        """Take logs, sources of alarms, how far back (``reach``) and how long each (``timeout``, seconds) is asked."""
        self._logs = logs
        self._now = now
        self._zone = zone
        self._reach = reach
        self._timeout = timeout
        self._listen = listen
        self._alarms = alarms
        self._heard = False  # whether those were asked
        self._told: dict[datetime, list[list[Deploy]]] = {}
        self._gaps: list[Gap] = []

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the logs that were asked."""
        logs = self._logs if self._told else ()
        return tuple(source.name for _, source in (*logs, *(self._alarms if self._heard else ())))

    @property
    def warnings(self) -> list[str]:
        """What could not be read, a line each."""
        return [f"{gap.source}: {gap.detail}" + (f" ({gap.hint})" if gap.hint else "") for gap in self._gaps]

    def find(self, end: Instant | Reference, limit: datetime) -> Found:
        """Return the instant of one end, looking for references at or before ``limit``."""
        if isinstance(end, Instant):
            return Found(at=end.at, anchor=Anchor("time", end.at), reason=f"{end.text} as given")
        if end.kind == "alert":
            return self._alert(end, limit)
        if not self._logs:
            raise WindowError(
                f"no deploy log is configured, so {end.text!r} cannot be resolved",
                f"list one under deploys in the configuration, or give a time: {FORMS}",
            )
        told = self._entries(limit)
        if end.kind == "deploy":
            return self._deploy(end, limit, told)
        return self._ref(end.kind, end, limit, told)

    def _alert(self, end: Reference, limit: datetime) -> Found:
        search = Search(
            sources=self._alarms, zone=self._zone.key, reach=self._reach, timeout=self._timeout, listen=self._listen
        )
        self._heard = True
        readings = [(end.ref, end.offset), *([(end.whole, Shift())] if end.whole else [])]
        found, nothing = [], None
        for ref, offset in readings:  # a name may end like an offset: alert:app1!disk-2d
            try:
                found.append((search.newest(ref, limit), offset))
            except NoDeployError as error:
                nothing = nothing or error
        if len(found) > 1:
            raise WindowError(
                f"{end.text!r} may mean the alarm {end.whole} or the time around {end.ref}",
                f"put a blank before the offset, or give a time: {FORMS}",
            )
        if nothing and not found:
            raise nothing
        (alert, offset) = found[0]
        self._gaps += alert.gaps
        event = alert.event
        which = f"the newest hard problem, {alert.name} {event.state}, of {alert.count}"
        return Found(
            at=offset.apply(event.at, self._zone),
            anchor=Anchor("alert", event.at, alert.name, event.output, alert.source, TimeKind.EVENT_TIME),
            reason=f"{end.text}: {which} in the {spell(alert.searched)} before, time of {alert.source}",
        )

    def _entries(self, limit: datetime) -> list[list[Deploy]]:
        if limit not in self._told:
            until = limit + NEAR  # a log that is a little late belongs to the same deploy
            self._told[limit], gaps = consult(self._logs, limit - self._reach, until, self._timeout, self._listen)
            self._gaps += gaps
        return self._told[limit]

    def _deploy(self, end: Reference, limit: datetime, told: list[list[Deploy]]) -> Found:
        releases = merge([[entry for entry in log if entry.succeeded] for log in told])
        known = [release for release in releases if release.at <= limit]
        offset, ref = end.offset, end.ref
        if end.whole and any(release.called(end.whole) for release in known):
            if any(release.called(ref) for release in known):
                raise WindowError(
                    f"{end.text!r} may mean the deploy {end.whole} or the time around {ref}",
                    f"put a blank before the offset, or give a time: {FORMS}",
                )
            offset, ref = Shift(), end.whole
        fitting = [at for at, release in enumerate(known) if not ref or release.called(ref)]
        if len(fitting) <= end.back:
            raise self._nothing(end, limit, told, known)
        at = fitting[-1 - end.back]
        release = known[at]
        lead = release.lead
        newest = not ref and not end.back
        warnings = [
            *_failures(told, release, limit if newest else release.at, self._zone),
            *_doubtful(release, self._zone),
        ]
        if newest and limit == self._now:
            warnings += _early(releases, limit)
        if ref and len(fitting) > 1:
            warnings.append(f"{ref} was deployed {len(fitting)} times; taken is number {len(fitting) - end.back}")
        which = f"the deploy called {ref}" if ref else "the newest deploy"
        if end.back:
            which = "the deploy before the newest" if end.back == 1 else f"number {end.back} before the newest deploy"
        return Found(
            at=offset.apply(lead.at, self._zone),
            anchor=_anchor("deploy", lead),
            reason=f"{end.text}: {which}, of {len(known)} known; {self._why(release, told)}",
            release=release,
            previous=_before(known, lead.at),
            warnings=tuple(warnings),
        )

    def _why(self, release: Release, told: list[list[Deploy]]) -> str:
        """Return why its time is taken from this log and not from another."""
        names = [source.name for _, source in self._logs]
        silent = names[: names.index(release.lead.source)] if release.lead.source in names else []
        text = f"time of {release.lead.source}"
        if release.marks > 1:
            text += f" (the first of {release.marks} marks)"
        if silent:
            lost = {gap.source for gap in self._gaps}
            others = ", ".join(
                f"{name} {'did not answer fully' if name in lost else 'does not know it'}" for name in silent
            )
            return f"{text} ({others})"
        return f"{text}, the first in the configuration" if len(told) > 1 else text

    def _ref(self, kind: Literal["tag", "commit"], end: Reference, limit: datetime, told: list[list[Deploy]]) -> Found:
        names = [name for name in (end.whole, end.ref) if name]
        found = {name: lead for name in names if (lead := self._look(kind, name, told))}
        if len(found) > 1:
            raise WindowError(
                f"{end.text!r} may mean the {end.kind} {end.whole} or a time around {end.ref}",
                f"put a blank before the offset, or give a time: {FORMS}",
            )
        known = merge([[entry for entry in log if entry.succeeded] for log in told])
        if not found:
            raise self._nothing(end, limit, told, known)
        name, lead = found.popitem()
        if lead.at > limit:
            raise WindowError(
                f"{end.kind} {name} is of {_moment(lead.at, self._zone)}, after the end of the window",
                "give a later --until",
            )
        deploys = [release for release in known if release.called(name) and release.at >= lead.at - SAME]
        others = [entry for entry in deploys[0].told if entry.source != lead.source] if deploys else []
        release = Release([lead, *others])
        return Found(
            at=(Shift() if name == end.whole else end.offset).apply(lead.at, self._zone),
            anchor=_anchor(end.kind, lead),
            reason=f"{end.text}: {lead.time_kind} in {lead.source}",
            release=release,
            previous=_before([release for release in known if not release.called(name)], lead.at),
            warnings=tuple(_doubtful(release, self._zone)),
        )

    def _look(self, kind: Literal["tag", "commit"], ref: str, told: list[list[Deploy]]) -> Deploy | None:
        """Return the moment of a tag or commit, by the first log that can look it up, else by a deploy so called."""

        def job(source: Source, log: RefLog) -> Job[Deploy]:
            def start(deadline: Deadline) -> Iterator[Deploy]:
                lead = log.instant(kind, ref, deadline)
                if lead:
                    yield lead

            return Job(name=source.name, timeout=min(self._timeout, source.timeout), start=start)

        trays = _run([job(source, source) for _, source in self._logs if isinstance(source, RefLog)], self._listen)
        self._gaps += [gap for tray in trays for gap in tray.gaps]
        for tray in trays:
            for lead in tray.items:
                return lead
        for (type_, _), log in zip(self._logs, told, strict=True):
            for entry in log if type_ == "git" else ():
                if same(entry.ref, ref):
                    return entry
        return None

    def _nothing(
        self, end: Reference, limit: datetime, told: list[list[Deploy]], known: Sequence[Release]
    ) -> NoDeployError:
        """Return the error that says what was asked, of whom, how far back, and what each said."""
        said = []
        for (type_, source), log in zip(self._logs, told, strict=True):
            broken = [f"{gap.kind}: {gap.detail}" for gap in dict.fromkeys(self._gaps) if gap.source == source.name]
            good = sum(entry.succeeded for entry in log)
            failed = f" and {len(log) - good} failed" if len(log) > good else ""
            if end.kind == "deploy":
                answer = f"{good} deploy{'s' * (good != 1)}{failed}" if log or not broken else ""
            else:
                answer = "" if broken else "none so called" if _knows(type_, source) else f"knows no {end.kind}s"
            said.append(f"{source.name}: {'; '.join(filter(None, [answer, *broken]))}")
        newest = ", ".join(dict.fromkeys(release.lead.ref for release in reversed(known[-5:]) if release.lead.ref))
        where = f" in the {spell(self._reach, 2)} before {_moment(limit, self._zone)}" if end.kind == "deploy" else ""
        return NoDeployError(
            f"no {end.kind} found for {end.text!r}{where}; {'; '.join(said)}",
            f"the newest are {newest}" if newest else f"give a time instead: {FORMS}",
        )


def _knows(type_: str, source: Source) -> bool:
    """Return whether a source knows tags and commits at all."""
    return type_ == "git" or isinstance(source, RefLog)


def _anchor(kind: str, lead: Deploy) -> Anchor:
    return Anchor(kind, lead.at, lead.ref, lead.note, lead.source, lead.time_kind)


def _before(known: Sequence[Release], at: datetime) -> Release | None:
    return next((release for release in reversed(known) if release.at < at), None)


def _failures(told: list[list[Deploy]], taken: Release, limit: datetime, zone: ZoneInfo) -> Iterator[str]:
    """Yield the failed deploys that are newer than the one taken, or that speak against it."""
    failed = sorted((entry for log in told for entry in log if not entry.succeeded), key=lambda entry: entry.at)
    for entry in failed:
        said = f"{name_of(entry)} at {_moment(entry.at, zone)} failed, says {entry.source}"
        if taken.called(entry.ref) and abs(entry.at - taken.at) <= SAME:
            yield f"{said}; taken nevertheless, because {taken.lead.source} knows it as done"
        elif taken.at < entry.at <= limit:
            yield f"{said}; skipped"


def _doubtful(release: Release, zone: ZoneInfo) -> Iterator[str]:
    """Yield what makes the time of a release less than certain."""
    lead = release.lead
    for entry in release.told[1:]:
        if abs(entry.at - lead.at) > NEAR:
            yield (
                f"the logs disagree about {name_of(lead)} by {spell(entry.at - lead.at, 2)}: "
                f"{lead.source} says {_moment(lead.at, zone)} ({lead.time_kind}), "
                f"{entry.source} says {_moment(entry.at, zone)} ({entry.time_kind})"
            )
    if all(entry.time_kind in {TimeKind.TAG_TIME, TimeKind.COMMIT_TIME} for entry in release.told):
        yield f"only the {lead.time_kind} of {name_of(lead)} is known; it may have been deployed later, or not at all"


def _early(releases: Sequence[Release], now: datetime) -> Iterator[str]:
    """Yield the deploys that a log dates after now: a clock that is ahead hides the newest deploy."""
    for release in releases:
        if release.at > now:
            yield (
                f"{release.lead.source} dates {name_of(release.lead)} {spell(release.at - now)} after now; "
                "a clock is wrong, and it was not taken"
            )


def consult(
    logs: Logs, since: datetime, until: datetime, timeout: float, listen: Listener | None
) -> tuple[list[list[Deploy]], list[Gap]]:
    """Ask every log for [since, until]; return what each said (in the order of the logs) and the gaps."""

    def job(kind: str, source: Source) -> Job[Deploy]:
        if not isinstance(source, DeployLog):
            raise WindowError(f"{source.name} (type {kind}) knows no deploys", "take it out of the list of deploys")
        log = source
        return Job(
            name=source.name,
            type=kind,
            timeout=min(timeout, source.timeout),
            start=lambda deadline: log.deploys(since, until, deadline),
        )

    trays = _run([job(kind, source) for kind, source in logs], listen)
    told = [[entry for entry in tray.items if since <= entry.at <= until] for tray in trays]
    return told, [gap for tray in trays for gap in tray.gaps]


def _run(jobs: Sequence[Job[Deploy]], listen: Listener | None) -> list[Tray[Deploy]]:
    runner: Runner[Deploy] = Runner(jobs, listen)
    trays = runner.run()
    if runner.interrupted:  # there is no window yet, so there is nothing to write
        raise KeyboardInterrupt
    return trays


def name_of(deploy: Deploy) -> str:
    """Return what to call a deploy, also one without a name."""
    return deploy.ref or f"the one without a name of {deploy.at:%Y-%m-%d %H:%M:%S} UTC"


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
