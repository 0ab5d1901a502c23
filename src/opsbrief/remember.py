"""Write down when something was done, where the next brief finds it again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

from opsbrief.config import Config
from opsbrief.config.option import suggest
from opsbrief.config.values import Sourced
from opsbrief.errors import ConfigError, Problem, SourceError, WindowError
from opsbrief.model.marking import Marking
from opsbrief.readers.graphite.events import Marker
from opsbrief.source import MarkLog
from opsbrief.text import line
from opsbrief.timespec import Instant, parse
from opsbrief.transport.deadline import Deadline

Kind = Literal["deploy", "fix", "note"]
_AHEAD = timedelta(minutes=5)  # clocks differ; what is later than that has not been done yet


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that did not take the mark."""

    source: str
    error: SourceError


@dataclass(frozen=True, slots=True)
class Marked:
    """What became of a mark."""

    marking: Marking
    written: dict[str, str]  # source -> where it is now
    failed: tuple[Failed, ...]


def mark(
    config: Config,
    kind: Kind,
    text: str,
    *,
    at: str = "now",
    service: str | None = None,
    to: Sequence[str] = (),
    now: datetime | None = None,
) -> Marked:
    """Write a mark to every source under ``marks``, or to those named in ``to``; each is asked once.

    Raises ConfigError when there is none or no such service, WindowError for an ``at`` that is no instant.
    """
    found = Marking(
        kind=kind,
        at=_instant(at, config.timezone, now or datetime.now(UTC)),
        text=line(text),
        ref=_ref(text) if kind == "deploy" else "",
        service=config.service(service).name,
    )
    written: dict[str, str] = {}
    failed: list[Failed] = []
    for _type, source in _chosen(config, to):
        about = replace(source, scope=config.service(service).scope)
        try:
            written[source.name] = cast("MarkLog", about).mark(found, Deadline(source.timeout))
        except SourceError as error:
            failed.append(Failed(source.name, error))
    return Marked(found, written, tuple(failed))


def _instant(at: str, zone: str, now: datetime) -> datetime:
    found = parse(at, now=now, zone=ZoneInfo(zone))
    if not isinstance(found, Instant):
        raise WindowError(f"--at {at} is no instant of its own", "give a time, for example --at 16:12")
    if found.at > now + _AHEAD:
        raise WindowError(
            f"--at {at} is {found.at:%Y-%m-%d %H:%M:%S} UTC, which is still to come", "mark what was done"
        )
    return found.at.replace(microsecond=0)


def _ref(text: str) -> str:
    """Return the version or commit id in the text of a deploy, as those who read events find it."""
    return Marker(at=datetime.now(UTC), what=text, data="", tags=()).ref()


def _chosen(config: Config, to: Sequence[str]) -> list[Sourced]:
    where = ", ".join(str(path) for path in config.files or config.searched)
    able = {name: each for name, each in config.sources.items() if isinstance(each[1], MarkLog)}
    if not to and not config.marks:
        hint = f"add marks: [{', '.join(able) or 'NAME'}] with the sources to write to, or use --to"
        raise ConfigError(Problem(where, "marks", "nothing says where marks are written to", hint))
    wrong = [
        Problem("--to", "", f"nothing can be marked in {name!r}", suggest(name, [*able]))
        for name in to
        if name not in able
    ]
    if wrong:
        raise ConfigError(*wrong)
    return [able[name] for name in to] if to else list(config.marks)
