"""Ask sources for live data and say in words what they found; for ``check`` and ``init``."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from opsbrief.collect import Job, Listener, Runner, Tray
from opsbrief.config import Config, Service
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Event, Gap, Item, LogSample, Reading, Release, Run, Series
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.source import DeployLog, Source
from opsbrief.timespec import spell
from opsbrief.transport.deadline import Deadline

SPAN = timedelta(hours=1)
_NAMED = 8  # metrics of a dashboard in one line
DEPLOYS = timedelta(days=30)  # how far back a deploy log is asked

Sourced = tuple[str, Source]
Answer = Item | Metric | Deploy


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one source answered: words for a person, figures, and every gap."""

    source: str
    type: str
    service: str
    asked: str  # "data" or "deploys"
    words: tuple[str, ...]
    figures: Mapping[str, Any]
    gaps: tuple[Gap, ...]
    took: float

    @property
    def fine(self) -> bool:
        """Whether it answered whole."""
        return not self.gaps


def recent(now: datetime | None = None) -> Window:
    """Return the last hour as a window without weekly spans: half of it before, half of it incident."""
    end = (now or datetime.now(UTC)).replace(microsecond=0)
    start = end - SPAN / 2
    return Window(start, end, Anchor("time", start), SPAN / 2)


def check(config: Config, services: Sequence[Service], only: Sequence[str], skip: Sequence[str]) -> list["Question"]:
    """Return what there is to ask: each source of data for each service, everything else once."""
    questions: list[Question] = []
    asked: list[tuple[Source, str]] = []
    for service in services:
        active = config.active(service, only, skip)
        names = {source.name for _, source in active}
        found = [Question(kind, source) for kind, source in active]
        found += [Question(kind, source, deploys=True) for kind, source in config.deploy_logs(service)]
        for question in found:
            own = service.name if question.scoped else ""
            key = (replace(question.source, scope=Scope()), f"{own} {question.deploys}")
            if question.source.name in names and key not in asked:
                asked.append(key)
                questions.append(replace(question, service=own))
    return questions


@dataclass(frozen=True, slots=True)
class Question:
    """One source to ask, for its data or for the deploys it knows."""

    type: str
    source: Source
    service: str = ""  # empty where the answer is the same for each
    deploys: bool = False

    @property
    def scoped(self) -> bool:
        """Whether the answer depends on the service."""
        return not self.deploys and bool(self.source.given & {"metrics", "logs", "alarms", "runs"})

    def job(self, window: Window, timeout: float | None = None) -> "Job[Answer]":
        """Return it as a job for the runner."""
        return Job(
            name=f"{self.source.name} (deploys)" if self.deploys else self.source.name,
            type=self.type,
            role=self.source.role,
            timeout=timeout or self.source.timeout,
            start=lambda deadline: self._ask(window, deadline),
        )

    def _ask(self, window: Window, deadline: Deadline) -> Iterator["Answer | Gap"]:
        if not self.deploys:
            yield from self.source.collect(window, deadline)
        elif isinstance(self.source, DeployLog):
            yield from self.source.deploys(window.end - DEPLOYS, window.end, deadline)


def ask(
    questions: Sequence[Question], window: Window, *, timeout: float | None = None, listen: Listener | None = None
) -> list[Found]:
    """Ask all at once, each under its own deadline."""
    runner: Runner[Answer] = Runner([question.job(window, timeout) for question in questions], listen)
    trays = runner.run()
    return [_found(question, tray, window) for question, tray in zip(questions, trays, strict=True)]


def _found(question: Question, tray: "Tray[Answer]", window: Window) -> Found:
    words: list[str] = []
    figures: dict[str, Any] = {}
    for say in (_dashboard, _series, _logs, _changes, _events, _runs, _readings, _deploys):
        said, counted = say(tray.items, window.end)
        words += said
        figures |= counted
    gaps = list(tray.gaps)
    if not gaps and (missing := _missing(question, figures)):
        gaps.append(missing)
    if not words and not gaps:
        words.append("answered; no deploys in 30 days" if question.deploys else "answered; nothing in the last hour")
    return Found(
        source=question.source.name,
        type=question.type,
        service=question.service,
        asked="deploys" if question.deploys else "data",
        words=tuple(words),
        figures=figures,
        gaps=tuple(gaps),
        took=round(tray.took, 3),
    )


def _missing(question: Question, figures: Mapping[str, Any]) -> Gap | None:
    """Answering is not enough: a source of metrics or logs that gives none is named."""
    if question.deploys:
        return None
    gives = question.source.given
    wants = [("metrics", "points"), ("logs", "lines")]
    if not any(what in gives for what, _ in wants) or any(figures.get(count) for _, count in wants):
        return None
    hint = "is the name in 'metrics' right?" if "metrics" in gives else "is the query or the path right?"
    return Gap(
        source=question.source.name,
        what="everything",
        kind=GapKind.UNAVAILABLE,
        detail="it answers, but has no data of the last hour",
        hint=hint,
    )


Said = tuple[list[str], dict[str, Any]]
Items = Sequence[Answer]


def _dashboard(items: Items, _now: datetime) -> Said:
    found = [item.name for item in items if isinstance(item, Metric) and not item.rank]
    if not found:
        return [], {}
    shown = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    return [f"the dashboard found {_count(len(found), 'metric')}: {shown}"], {"dashboard": found}


def _series(items: Items, now: datetime) -> Said:
    found = [item for item in items if isinstance(item, Series)]
    if not found:
        return [], {}
    points = sum(int(np.count_nonzero(~np.isnan(item.values))) for item in found)
    newest = max((_last(item) for item in found), default=-math.inf)
    figures: dict[str, Any] = {"series": len(found), "points": points}
    if not points:
        return [f"{len(found)} series without a point"], figures
    figures["newest_point_age"] = round(now.timestamp() - newest, 1)
    return [f"{_count(len(found), 'series', 'series')}, newest point {_age(figures['newest_point_age'])}"], figures


def _last(series: Series) -> float:
    there = np.flatnonzero(~np.isnan(series.values))
    return float(series.start + series.step * int(there[-1])) if there.size else -math.inf


def _logs(items: Items, now: datetime) -> Said:
    found = [item for item in items if isinstance(item, LogSample)]
    if not found:
        return [], {}
    total = sum(item.total for item in found)
    more = "" if all(item.total_is_exact for item in found) else "more than "
    figures: dict[str, Any] = {"lines": total}
    times = [record.timestamp for item in found for record in item.records]
    if times:
        figures["newest_line_age"] = round((now - max(times)).total_seconds(), 1)
        return [f"{more}{_count(total, 'line')}, newest {_age(figures['newest_line_age'])}"], figures
    return [_count(total, "line")], figures


def _changes(items: Items, now: datetime) -> Said:
    words: list[str] = []
    figures: dict[str, Any] = {}
    for kind in ("commit", "tag", "deploy", "resource"):
        found = [item for item in items if isinstance(item, Change) and item.kind == kind]
        if found:
            inside = sum(item.in_window for item in found)
            newest = max(item.at for item in found)
            figures |= {f"{kind}s": inside, f"newest_{kind}_at": newest.isoformat()}
            words.append(f"{_count(inside, kind)} in the last hour, newest {_age((now - newest).total_seconds())}")
    releases = sum(isinstance(item, Release) for item in items)
    return words + ([_count(releases, "release diff")] if releases else []), figures


def _events(items: Items, _now: datetime) -> Said:
    count = sum(isinstance(item, Event) for item in items)
    return ([_count(count, "event")], {"events": count}) if count else ([], {})


def _runs(items: Items, now: datetime) -> Said:
    found = [item for item in items if isinstance(item, Run)]
    if not found:
        return [], {}
    newest = max(item.at for item in found)
    nodes = len({item.host for item in found})
    figures = {"nodes": nodes, "newest_run_at": newest.isoformat()}
    return [f"runs of {_count(nodes, 'node')}, newest {_age((now - newest).total_seconds())}"], figures


def _readings(items: Items, _now: datetime) -> Said:
    hosts = {item.host for item in items if isinstance(item, Reading)}
    return ([f"readings of {_count(len(hosts), 'host')}"], {"hosts": len(hosts)}) if hosts else ([], {})


def _deploys(items: Items, now: datetime) -> Said:
    found = [item for item in items if isinstance(item, Deploy)]
    if not found:
        return [], {}
    newest = max(found, key=lambda deploy: deploy.at)
    figures = {"deploys": len(found), "newest_deploy": newest.ref, "newest_deploy_at": newest.at.isoformat()}
    name = f" {newest.ref}" if newest.ref else ""
    age = _age((now - newest.at).total_seconds())
    return [f"{_count(len(found), 'deploy')} in 30 days, newest{name} {age} ({newest.time_kind.value})"], figures


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _age(seconds: float) -> str:
    return f"{spell(timedelta(seconds=seconds))} old" if seconds >= 0 else "in the future"


def lines(found: Iterable[Found], *, services: bool = False) -> Iterator[str]:
    """Yield the lines a person reads: one a source, and one for each of its gaps."""
    rows = list(found)
    names = [_name(one, services=services) for one in rows]
    wide = max((len(name) for name in names), default=0)
    kinds = max((len(one.type) for one in rows), default=0)
    for name, one in zip(names, rows, strict=True):
        mark = "✓" if one.fine else "!" if one.words else "✗"
        words = "; ".join(one.words) or "nothing"
        yield f"{mark} {name:<{wide}}  {one.type:<{kinds}}  {words}  ({one.took:.1f} s)"
        for gap in one.gaps:
            what = "" if gap.what == "everything" else f"{gap.what}: "
            yield f"    {gap.kind.value}: {what}{gap.detail}"
            if gap.hint:
                yield f"      {gap.hint}"


def _name(one: Found, *, services: bool) -> str:
    notes = [*([one.service] if services and one.service else []), *(["deploys"] if one.asked == "deploys" else [])]
    return f"{one.source} ({', '.join(notes)})" if notes else one.source
