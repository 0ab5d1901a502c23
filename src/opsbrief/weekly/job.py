"""One service of one period: everything that is asked and worked out for it, on whatever machine.

A job is a configuration's path and a service's name; what comes back are plain values. So a job
can be given to a process, a thread, or a Dask worker that has the same configuration at the same place.
"""

import functools
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from opsbrief import phrase, pipeline, resolve
from opsbrief.analysis import analyse
from opsbrief.compose import figures
from opsbrief.compose.case import Case
from opsbrief.compose.episode import telling, tone
from opsbrief.compose.service import compared
from opsbrief.compose.verdict import logged
from opsbrief.config import Config, load
from opsbrief.config.values import Service
from opsbrief.errors import BundleError, GapKind
from opsbrief.model.brief import Figure
from opsbrief.model.chart import Moment
from opsbrief.model.digest import Episode, Period, Report
from opsbrief.model.evidence import Change, Event, Evidence, Gap
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.releases import Release, merge
from opsbrief.resolve import Logs
from opsbrief.sightings import once
from opsbrief.timespec.length import spell

REACH = timedelta(days=30)  # how far before the period the deploy logs are asked, for the release before the first
MOST = 40  # releases of a service that are looked at, the newest; each costs as much as a brief
WEEK = timedelta(days=7)
CLOCKS = timedelta(hours=2)  # by which a week may be longer or shorter when the clocks change
SERIES = frozenset(("series", "timeline", "hosts"))  # findings that a digest has no room for
GRAPHS = 4  # releases of a service that have a graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do for one service."""

    files: tuple[str, ...]  # of the configuration, absolute, later ones lie over earlier ones
    service: str  # "" = the one without a name
    number: int  # of the service in this run; makes the names of its graphs
    period: Period
    now: datetime
    look: timedelta  # how long after each release is looked at, at most
    timeout: float | None = None  # seconds, for every source instead of its own


def work(job: Job) -> Report:
    """Ask the deploy logs and the sources about one service; return what its releases changed.

    Raises OpsbriefError when nothing at all can be said.
    """
    config = _config(job.files)
    report = _Week(config, job).report()
    secrets = [secret.encode() for secret in config.secrets() if len(secret) >= 4]
    if secrets:
        packed = pickle.dumps(report)
        if any(secret in packed for secret in secrets):
            raise BundleError("the report would hold a configured secret", "this is a defect: please report it")
    return report


@functools.lru_cache(maxsize=4)  # a worker does many services of one configuration
def _config(files: tuple[str, ...]) -> Config:
    return load([Path(name) for name in files] or None, os.environ)


class _Week:
    """The period of one service being worked out."""

    def __init__(self, config: Config, job: Job) -> None:
        self._config = config
        self._job = job
        self._service: Service = config.service(job.service or None)
        self._until = min(job.period.end, job.now)
        self._order = pipeline.Order(service=job.service or None, since="", timeout=job.timeout)

    def report(self) -> Report:
        period = self._job.period
        logs = self._config.deploy_logs(self._service)
        timeout = self._job.timeout or self._config.defaults.timeout or pipeline.TIMEOUT
        told, gaps = resolve.history(logs, period.start - period.before - REACH, self._job.now, timeout=timeout)
        known = merge([[one for one in told if one.succeeded and one.source == log.name] for _, log in logs])
        inside = [at for at, release in enumerate(known) if period.start <= release.at < self._until]
        skipped, inside = len(inside[:-MOST]), inside[-MOST:]
        episodes = [self._episode(known, at) for at in inside]
        scope = self._service.scope.narrow()  # two weeks of a wide net: no
        overview, _ = pipeline.answers(self._config, self._whole(), self._span(period), scope=scope)
        case = Case(overview, analyse(overview), people=False)
        infrastructure = [one for one in overview.items(Change) if one.role == "infrastructure"]
        report = Report(
            service=self._service.name,
            episodes=tuple(self._drawn(episodes)),
            failed=tuple(one for one in reversed(told) if not one.succeeded and period.start <= one.at < self._until),
            earlier=None if gaps else sum(period.start - period.before <= one.at < period.start for one in known),
            comparison=tuple(one for one in case.findings if one.code in ("shift", "log-volume")),
            changes=tuple(one for one in infrastructure if period.start <= one.at < self._until),
            watched=any(
                outcome.role == "infrastructure" or outcome.type in ("puppetdb", "puppetreport")
                for outcome in overview.outcomes
            ),
            skipped=skipped,
            gaps=(*gaps, *overview.gaps, *_skipped(skipped, logs)),
        )
        calm = all(tone(episode) == "good" for episode in report.episodes) and not compared(report)
        deploys = [known[at].lead for at in inside]
        return report if calm or not deploys else replace(report, figure=self._figure(case, deploys))

    def _whole(self) -> pipeline.Order:
        """Leave out the sources that only tell the contents of one release."""
        own = self._config.active(self._service)
        return replace(self._order, skip=tuple(one.name for _, one in own if one.role == "application"))

    def _span(self, period: Period) -> Window:
        anchor = Anchor("time", period.start)
        return Window(start=period.start, end=self._until, anchor=anchor, before=period.before, zone=period.zone)

    def _episode(self, known: Sequence[Release], at: int) -> tuple[Episode, Evidence]:
        """Look at one release: the stretch after it against the one before it and against last week."""
        release, follower = known[at], known[at + 1] if at + 1 < len(known) else None
        ends = [(release.at + self._job.look, ""), (self._job.now, "so far")]
        if follower:
            ends.append((follower.at, f"{follower.lead.ref or 'another release'} followed"))
        end, cut = min(ends, key=lambda pair: pair[0])
        lead = release.lead
        ask = resolve.Ask(
            since=f"deploy:{lead.ref}" if lead.ref else lead.at.isoformat(),
            until=end.isoformat(),
            baseline=self._config.defaults.baseline,
            zone=self._config.timezone,
        )
        window = resolve.after(ask, release, known[at - 1] if at else None, max(end, release.at + timedelta(seconds=1)))
        evidence, _ = pipeline.answers(self._config, self._order, window)
        episode = Episode(
            deploy=lead,
            known_by=tuple(one.source for one in release.told),
            previous=window.previous,
            start=window.start,
            end=window.end,
            logs=logged(evidence),
            cut=f"{cut}, {spell(end - release.at, 2)} after it" if cut and end < self._job.now else cut,
            settled=end < self._job.now or not cut,
            findings=analyse(evidence),
            events=tuple(_events(evidence)),
            gaps=evidence.gaps,
        )
        return episode, evidence

    def _drawn(self, episodes: Sequence[tuple[Episode, Evidence]]) -> Iterator[Episode]:
        """Give the most telling releases a graph, and leave out what is only needed to draw it."""
        ranked = sorted((-telling(episode), at) for at, (episode, _) in enumerate(episodes))
        drawn = {at for rank, at in ranked[:GRAPHS] if rank < 0}
        for at, (episode, evidence) in enumerate(episodes):
            name = f"service-{self._job.number:03}-release-{at + 1:02}"
            graph = figures.key(Case(evidence, episode.findings, people=False)) if at in drawn else None
            kept = tuple(one for one in episode.findings if one.code not in SERIES)
            yield replace(episode, findings=kept, figure=replace(graph, name=name, refs=()) if graph else None)

    def _figure(self, case: Case, deploys: Sequence[Deploy]) -> Figure | None:
        """Draw the key metric over the whole period with all its releases."""
        period, first = self._job.period, deploys[0]
        window = Window(
            start=first.at,
            end=self._until,
            anchor=Anchor("deploy", first.at, first.ref),
            before=first.at - period.start,
            zone=period.zone,
            shifts=(("last-week", period.before),) if abs(period.before - WEEK) <= CLOCKS else (),
        )
        marks = [Moment("deploy", one.at, one.ref) for one in deploys]
        return figures.period(case, window, marks, f"service-{self._job.number:03}")


def _skipped(count: int, logs: Logs) -> Iterator[Gap]:
    if count:
        yield Gap(
            source=", ".join(log.name for _, log in logs),
            what=phrase.count(count, "earlier release"),
            kind=GapKind.TRUNCATED,
            detail=f"only the newest {MOST} releases of the period are looked at",
            hint="ask for a shorter period with --since",
        )


def _events(evidence: Evidence) -> Iterator[tuple[str, int, int]]:
    """Yield restarts and hard alarms, before and after in stretches of one length."""
    window = evidence.window
    length = min(window.before, window.end - window.start)
    kinds: dict[str, list[Event]] = {"restarts": [], "alarms": []}
    for event in once(evidence.items(Event)):
        if event.kind == "restart":
            kinds["restarts"].append(event)
        elif event.kind == "state" and event.state_type == "hard" and event.state not in ("OK", "UP"):
            kinds["alarms"].append(event)
    for name, events in kinds.items():
        before = sum(window.start - length <= event.at < window.start for event in events)
        after = sum(window.start <= event.at < window.start + length for event in events)
        if before or after:
            yield name, before, after
