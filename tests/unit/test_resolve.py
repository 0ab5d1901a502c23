"""From --since to a window: deploy logs that answer, disagree, fail, and know nothing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from opsbrief.errors import GapKind, NoDeployError, SourceError, WindowError
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Deploy, TimeKind, Window
from opsbrief.resolve import Ask, Logs, explain, history, resolve
from opsbrief.source import Source
from opsbrief.transport.deadline import Deadline

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """Return a clock time of Berlin, in UTC; the day is Friday 2026-03-06 unless it is given."""
    return datetime.fromisoformat(text if "T" in text else f"2026-03-06T{text}").replace(tzinfo=BERLIN).astimezone(UTC)


NOW = at("19:15")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Source):
    """A deploy log that says what it is told to."""

    says: tuple[Deploy, ...] = ()
    dead: str = ""
    slow: float = 0

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Gap]:  # noqa: ARG002 - the contract's signature
        yield from ()

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        deadline.remaining()
        yield from (entry for entry in self.says if since <= entry.at <= until)
        if self.slow:
            time.sleep(self.slow)
        if self.dead:
            raise SourceError(GapKind.UNREACHABLE, self.dead, "check the port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository(Log):
    """A deploy log that can also look up a tag or commit."""

    refs: tuple[Deploy, ...] = ()

    def instant(self, kind: Literal["tag", "commit"], ref: str, deadline: Deadline) -> Deploy | None:
        deadline.remaining()
        return next((one for one in self.refs if kind == "tag" and one.ref == ref), None)


def event(moment: str, ref: str, *, failed: bool = False, rollback: bool = False, source: str = "events") -> Deploy:
    return Deploy(at(moment), ref, "", source, succeeded=not failed, rollback=rollback)


def tag(moment: str, ref: str) -> Deploy:
    return Deploy(at(moment), ref, "", "tags", TimeKind.TAG_TIME)


EVENTS = Log(name="events", says=(event("17:04:12", "2.14.0"), event("2026-03-05T11:00:02", "2.13.2")))
TAGS = Repository(
    name="tags",
    says=(tag("17:00:40", "v2.14.0"), tag("2026-03-01T09:00", "v2.13.1")),
    refs=(tag("17:00:40", "v2.14.0"), tag("2025-11-01T09:00", "v1")),
)
LOGS: Logs = (("graphite", EVENTS), ("git", TAGS))


def window(since: str = "deploy", until: str = "now", logs: Logs = LOGS, *baseline: str, now: datetime = NOW) -> Window:
    ask = Ask(since=since, until=until, baseline=baseline or ("before", "last-week"), zone="Europe/Berlin")
    return resolve(ask, logs, now=now)


def warnings(found: Window) -> str:
    assert found.receipt
    return "\n".join(found.receipt.warnings)


def log(*says: Deploy) -> Logs:
    return (("graphite", Log(name="events", says=says)),)


def test_since_deploy_is_the_newest_and_the_first_log_gives_its_time() -> None:
    found = window()
    assert (found.start, found.end) == (at("17:04:12"), NOW)
    assert (found.anchor.ref, found.anchor.source) == ("2.14.0", "events")
    assert found.previous
    assert found.previous.ref == "2.13.2"


def test_the_receipt_lists_every_log_with_its_difference() -> None:
    receipt = window().receipt
    assert receipt
    assert [(one.deploy.source, one.offset, one.taken) for one in receipt.candidates] == [
        ("events", 0.0, True),
        ("tags", -212.0, False),
    ]
    assert receipt.asked == ("events", "tags")
    assert not receipt.warnings


def test_the_receipt_reads_as_lines() -> None:
    assert explain(window()) == (
        "window    Fri 2026-03-06 17:04:12 - 19:15:00 +01:00, 2h 11m",
        "          Fri 2026-03-06 16:04:12 - 18:15:00 UTC",
        (
            "found     since deploy: the newest deploy, of 3 known; time of events, the first in the configuration; "
            "until now as given"
        ),
        "deploy    2.14.0 17:04:12 +01:00, event time in events: taken",
        "          v2.14.0 17:00:40 +01:00, tag time in tags: 3m 32s earlier",
        "previous  2.13.2 Thu 2026-03-05 11:00:02 +01:00, event time in events, 1d 6h earlier",
        "baseline  the 2h 11m before; the same hours last week",
        "asked     events, tags",
    )


def test_an_explicit_time_asks_nobody() -> None:
    found = window("yesterday 14:00", "yesterday 16:00", (("graphite", Log(name="x", dead="must not be asked")),))
    assert (found.start, found.end) == (at("2026-03-05T14:00"), at("2026-03-05T16:00"))
    assert found.anchor.kind == "time"
    assert found.receipt
    assert (found.receipt.asked, found.receipt.warnings) == ((), ())


def test_a_dead_log_costs_a_warning() -> None:
    found = window(logs=(("deploylog", Log(name="ci", dead="connection refused")), *LOGS))
    assert found.start == at("17:04:12")
    assert "ci: connection refused (check the port)" in warnings(found)
    assert found.receipt
    assert "ci did not answer fully" in found.receipt.reason


def test_a_hanging_log_costs_its_timeout_and_no_more() -> None:
    started = time.monotonic()
    found = window(logs=(*LOGS, ("deploylog", Log(name="ci", slow=30, timeout=0.2))))
    assert found.start == at("17:04:12")
    assert "ci" in warnings(found)
    assert time.monotonic() - started < 10


def test_until_limits_which_deploy_is_the_newest() -> None:
    assert window(until="16:00").anchor.ref == "2.13.2"


def test_counting_back_and_between_two_deploys() -> None:
    found = window("deploy~1", "deploy")
    assert (found.anchor.ref, found.start, found.end) == ("2.13.2", at("2026-03-05T11:00:02"), at("17:04:12"))
    assert window("deploy~1", "deploy~1+2h").end == at("2026-03-05T13:00:02")
    assert window("deploy~2").anchor.ref == "v2.13.1"


def test_an_offset_moves_the_window_and_not_the_anchor() -> None:
    found = window("deploy-30m")
    assert (found.start, found.anchor.at) == (at("16:34:12"), at("17:04:12"))


@pytest.mark.parametrize("ref", ["2.13.2", "v2.13.2"])
def test_a_deploy_by_name(ref: str) -> None:
    assert window(f"deploy:{ref}").start == at("2026-03-05T11:00:02")


def test_the_last_of_several_deploys_of_one_name_is_taken_and_said() -> None:
    found = window(
        "deploy:2.13", logs=log(event("10:00", "2.13"), event("12:00", "2.14"), event("14:00", "2.13", rollback=True))
    )
    assert found.start == at("14:00")
    assert "2.13 was deployed 2 times" in warnings(found)


def test_a_rollback_is_a_deploy() -> None:
    found = window(logs=log(event("12:00", "2.14"), event("14:00", "2.13", rollback=True)))
    assert found.start == at("14:00")
    assert any("a rollback" in line for line in explain(found))


def test_a_failed_deploy_is_skipped_and_said() -> None:
    found = window(logs=log(event("12:00", "2.13"), event("14:00", "2.14", failed=True)))
    assert found.anchor.ref == "2.13"
    assert "2.14 at 2026-03-06 14:00:00+01:00 failed, says events; skipped" in warnings(found)


def test_a_log_that_says_failed_where_another_says_done_is_heard() -> None:
    ci = Log(name="ci", says=(event("17:10", "2.14.0", failed=True, source="ci"),))
    found = window(logs=(*LOGS, ("deploylog", ci)))
    assert found.anchor.ref == "2.14.0"
    assert "failed, says ci; taken nevertheless" in warnings(found)


def test_a_disagreement_over_five_minutes_is_a_warning() -> None:
    ci = Log(name="ci", says=(event("17:16:15", "2.14.0", source="ci"),))
    found = window(logs=(*LOGS, ("deploylog", ci)))
    assert "disagree about 2.14.0 by 12m 3s" in warnings(found)


def test_a_deploy_that_only_a_tag_tells_of_is_doubted() -> None:
    found = window(logs=(("git", TAGS),))
    assert found.anchor.time_kind is TimeKind.TAG_TIME
    assert "only the tag time of v2.14.0 is known" in warnings(found)


def test_a_clock_that_is_ahead_is_said() -> None:
    found = window(logs=log(event("12:00", "2.13"), event("19:16", "2.14")))
    assert found.anchor.ref == "2.13"
    assert "events dates 2.14 1m after now" in warnings(found)


def test_the_deploy_before_in_the_time_before_is_said() -> None:
    found = window(logs=log(event("17:00", "2.13"), event("18:00", "2.14")))
    assert "the deploy before, 2.13, was only 1h earlier" in warnings(found)


def test_no_deploy_says_who_was_asked_and_what_each_said() -> None:
    logs = (*log(event("12:00", "2.13", failed=True)), ("deploylog", Log(name="ci", dead="connection refused")))
    with pytest.raises(NoDeployError) as caught:
        window(logs=logs)
    assert caught.value.exit_code == 4
    assert caught.value.message == (
        "no deploy found for 'deploy' in the 30d before 2026-03-06 19:15:00+01:00; "
        "events: 0 deploys and 1 failed; ci: unreachable: connection refused"
    )
    assert "2h, yesterday 14:00" in caught.value.hint


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NoDeployError, match="deploy:9") as caught:
        window("deploy:9")
    assert caught.value.hint == "the newest are 2.14.0, 2.13.2, v2.13.1"


def test_a_tag_is_looked_up_however_old() -> None:
    found = window("tag:v1", "2025-11-01 10:00")
    assert (found.start, found.anchor.kind) == (at("2025-11-01T09:00"), "tag")


def test_the_deploy_of_a_tag_is_a_candidate() -> None:
    found = window("tag:v2.14.0+5m")
    assert found.start == at("17:05:40")
    assert found.receipt
    assert [(one.deploy.source, one.offset) for one in found.receipt.candidates] == [("tags", 0.0), ("events", 212.0)]
    assert found.previous
    assert found.previous.ref == "2.13.2"


def test_an_unknown_tag_and_a_log_that_knows_none() -> None:
    with pytest.raises(NoDeployError, match=r"events: knows no tags; tags: none so called"):
        window("tag:v3")


def test_a_name_that_ends_like_an_offset_is_the_name_when_it_is_known() -> None:
    logs = log(event("12:00", "1.0-2d"))
    assert window("deploy:1.0-2d", logs=logs).start == at("12:00")
    both = log(event("12:00", "1.0-2d"), event("13:00", "1.0"))
    with pytest.raises(WindowError, match="may mean"):
        window("deploy:1.0-2d", logs=both)
    assert window("deploy:1.0 -2h", logs=both).start == at("11:00")


@pytest.mark.parametrize(
    ("since", "until", "word"),
    [
        ("now+1h", "now", "not in the past"),
        ("now", "now", "not in the past"),
        ("yesterday", "2026-03-01", "is not after"),
        ("2h", "2h", "is not after"),
        ("2025-01-01", "now", "more than 92 days"),
        ("alert", "now", "no alarm source"),
        ("bogus", "now", "cannot read"),
        ("2h", "bogus", "cannot read"),
    ],
)
def test_windows_that_cannot_be(since: str, until: str, word: str) -> None:
    with pytest.raises(WindowError, match=word) as caught:
        window(since, until)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_without_a_deploy_log_the_configuration_is_at_fault() -> None:
    with pytest.raises(WindowError, match="no deploy log is configured") as caught:
        window(logs=())
    assert caught.value.exit_code == 2


def test_an_end_in_the_future_is_now() -> None:
    found = window(until="2026-03-07")
    assert found.end == NOW
    assert "the window ends now" in warnings(found)


def test_an_unknown_zone_is_answered_with_the_nearest() -> None:
    with pytest.raises(WindowError, match="no time zone") as caught:
        resolve(Ask(since="2h", zone="Europe/Berlim"), (), now=NOW)
    assert caught.value.hint == "did you mean Europe/Berlin?"


@pytest.mark.parametrize(
    ("since", "items", "before", "labels"),
    [
        ("30m", ("before",), timedelta(hours=2), []),
        ("5h", ("before",), timedelta(hours=5), []),
        ("3d", ("before",), timedelta(hours=24), []),
        ("5h", ("before:6h", "last-week"), timedelta(hours=6), ["last-week"]),
        ("5h", ("last-3-weeks",), timedelta(0), ["last-week", "2-weeks-ago", "3-weeks-ago"]),
        ("5h", ("2-weeks-ago", "last-week", "last-week"), timedelta(0), ["last-week", "2-weeks-ago"]),
        ("5h", ("none",), timedelta(0), []),
    ],
)
def test_baselines(since: str, items: tuple[str, ...], before: timedelta, labels: list[str]) -> None:
    found = window(since, "now", LOGS, *items)
    assert found.before == before
    assert [label for label, _ in found.shifts] == labels


@pytest.mark.parametrize(
    "item", ["last-weak", "last-9-weeks", "last-0-weeks", "before:0s", "before:x", "before:30d", "none:1", ""]
)
def test_baselines_that_there_are_not(item: str) -> None:
    with pytest.raises(WindowError):
        window("5h", "now", LOGS, item)


def test_none_stands_alone() -> None:
    with pytest.raises(WindowError):
        window("5h", "now", LOGS, "none", "before")


@pytest.mark.parametrize(
    ("now", "hours"), [("2026-03-30T12:00", 7 * 24 - 1), ("2026-10-26T12:00", 7 * 24 + 1), ("2026-06-01T12:00", 7 * 24)]
)
def test_the_same_hours_last_week_are_the_same_on_the_clock(now: str, hours: int) -> None:
    found = window("2h", now=at(now))
    assert found.shifts == (("last-week", timedelta(hours=hours)),)
    assert ("clocks changed" in "".join(explain(found))) == (hours != 168)


def test_a_window_over_a_change_shows_both_offsets() -> None:
    found = window("2026-03-28 12:00", "2026-03-29 12:00", now=at("2026-03-30T12:00"))
    assert explain(found)[0] == "window    Sat 2026-03-28 12:00:00 +01:00 - Sun 2026-03-29 12:00:00 +02:00, 23h"


def test_history_is_newest_first_with_the_gaps() -> None:
    failed = event("12:00", "2.14", failed=True)
    logs = (*log(event("10:00", "2.13"), failed), ("deploylog", Log(name="ci", dead="connection refused")))
    deploys, gaps = history(logs, NOW - timedelta(days=1), NOW)
    assert [deploy.ref for deploy in deploys] == ["2.14", "2.13"]
    assert [(gap.source, gap.kind) for gap in gaps] == [("ci", GapKind.UNREACHABLE)]


def test_in_utc_one_line_says_it() -> None:
    found = resolve(Ask(since="2h", until="now"), (), now=NOW)
    assert explain(found)[0] == "window    Fri 2026-03-06 16:15:00 - 18:15:00 UTC, 2h"
    assert explain(found)[1].startswith("found")


def test_a_failure_after_a_deploy_that_was_named_is_nobodys_business() -> None:
    logs = log(event("12:00", "2.13"), event("13:00", "2.14"), event("14:00", "2.15", failed=True))
    assert "failed" in warnings(window(logs=logs))
    assert "failed" not in warnings(window("deploy~1", logs=logs))
    assert "failed" not in warnings(window("deploy:2.13", logs=logs))


def test_a_tag_that_was_set_after_the_deploy_still_finds_it() -> None:
    late = Repository(name="tags", says=(tag("17:40", "v2.14.0"),), refs=(tag("17:40", "v2.14.0"),))
    found = window("tag:v2.14.0", logs=(("graphite", EVENTS), ("git", late)))
    assert found.receipt
    assert [one.deploy.source for one in found.receipt.candidates] == ["tags", "events"]
    assert found.previous
    assert found.previous.ref == "2.13.2"
