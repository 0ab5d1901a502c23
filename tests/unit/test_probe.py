from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np

from opsbrief.cli import probe
from opsbrief.config import Config, Service
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Item, LogRecord, LogSample, Origin, Series
from opsbrief.model.scope import Scope
from opsbrief.model.window import Deploy, TimeKind, Window
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ORIGIN = Origin(source="toy", query="q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy(Source):
    """Gives what it is told to."""

    gives: ClassVar[frozenset[str]] = frozenset({"metrics", "logs"})
    items: tuple[Item | Gap, ...] = ()
    error: str = ""

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        assert list(window.spans()) == [window.whole]
        assert not deadline.expired
        yield from self.items
        if self.error:
            raise SourceError(GapKind.UNAUTHORIZED, self.error, "check the password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases(Toy):
    gives: ClassVar[frozenset[str]] = frozenset({"changes", "deploys"})
    known: tuple[Deploy, ...] = field(default=())

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        assert until - since == timedelta(days=30)
        assert not deadline.expired
        yield from self.known


def ask(*sources: Source, deploys: Iterable[Source] = (), services: tuple[str, ...] = ("shop",)) -> list[probe.Found]:
    config = Config(
        sources={source.name: ("toy", source) for source in sources},
        deploys=tuple(("toy", source) for source in deploys),
        services={name: Service(scope=Scope(service=name)) for name in services},
    )
    questions = probe.check(config, list(config.services.values()), (), ())
    return probe.ask(questions, probe.recent(NOW))


def series(*values: float) -> Series:
    start = int(NOW.timestamp()) - 60 * len(values)
    return Series(name="s", start=start, step=60, values=np.array(values), origin=ORIGIN)


def logs(total: int, *ages: float) -> LogSample:
    records = tuple(LogRecord(timestamp=NOW - timedelta(seconds=age), body="x") for age in ages)
    return LogSample(
        query="", span="", start=NOW, end=NOW, total=total, total_is_exact=True, records=records, origin=ORIGIN
    )


def test_series_are_counted_and_the_newest_point_is_aged() -> None:
    (found,) = ask(Toy(name="g", items=(series(1, 2, float("nan")), series(1, float("nan"), float("nan")))))
    assert found.fine
    assert found.figures == {"series": 2, "points": 3, "newest_point_age": 120.0}
    assert found.words == ("2 series, newest point 2m old",)


def test_lines_are_counted() -> None:
    (found,) = ask(Toy(name="l", items=(logs(1000, 30, 5), logs(234))))
    assert found.words == ("1,234 lines, newest 5s old",)


def test_an_answer_without_data_is_a_gap() -> None:
    for items in ((), (series(float("nan")),), (logs(0),)):
        (found,) = ask(Toy(name="g", items=items))
        assert not found.fine
        assert found.gaps[0].detail == "it answers, but has no data of the last hour"


def test_changes_need_not_happen_every_hour() -> None:
    old = Change(kind="commit", at=NOW - timedelta(days=2), ref="a", summary="s", in_window=False, origin=ORIGIN)
    (found,) = ask(Releases(name="git", items=(old,)))
    assert found.fine
    assert found.words == ("0 commits in the last hour, newest 2d old",)
    assert ask(Releases(name="git"))[0].words == ("answered; nothing in the last hour",)


def test_deploy_logs_are_asked_for_a_month() -> None:
    deploys = (Deploy(NOW - timedelta(hours=3), "2.14", "", "r", TimeKind.TAG_TIME), Deploy(NOW, "2.13", "", "r"))
    source = Releases(name="r", known=deploys[:1])
    data, known = ask(source, deploys=[source])
    assert data.asked == "data"
    assert known.words == ("1 deploy in 30 days, newest 2.14 3h old (tag time)",)
    assert ask(Releases(name="r"), deploys=[Releases(name="r")])[1].words == ("answered; no deploys in 30 days",)


def test_a_failure_and_its_hint_are_shown() -> None:
    found = ask(Toy(name="g", error="the server refused us"), Toy(name="fine", items=(series(1),)))
    assert [one.fine for one in found] == [False, True]
    assert list(probe.lines(found)) == [
        "✗ g     toy  nothing  (0.0 s)",
        "    unauthorized: the server refused us",
        "      check the password",
        "✓ fine  toy  1 series, newest point 1m old  (0.0 s)",
    ]


def test_what_depends_on_the_service_is_asked_for_each_and_the_rest_once() -> None:
    metrics, git = Toy(name="g", items=(series(1),)), Releases(name="git")
    found = ask(metrics, git, deploys=[git], services=("shop", "billing"))
    assert [(one.source, one.service, one.asked) for one in found] == [
        ("g", "shop", "data"),
        ("git", "", "data"),
        ("git", "", "deploys"),
        ("g", "billing", "data"),
    ]
    assert [line.split("  ")[0].strip() for line in probe.lines(found, services=True)] == [
        "✓ g (shop)",
        "✓ git",
        "✓ git (deploys)",
        "✓ g (billing)",
    ]
