from collections.abc import Sequence

from tests.unit.evidence_of import evidence, lines, only, origin, outcome, window

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Addition, FileStat, LogSample, Release
from opsbrief.model.finding import Finding, Verdict

Texts = list[tuple[float, str, str]]


def every(minutes: float, level: str, text: str, *, start: float = 0, end: float = 120) -> Texts:
    count = int((end - start) / minutes)
    return [(start + n * minutes, level, text.format(n=n)) for n in range(count)]


def found(*samples: LogSample, release: Release | None = None, weeks: int = 1) -> Sequence[Finding]:
    items = [outcome("logs", "logfile", *samples)]
    if release:
        items.append(outcome("shop", "git", release, role="application"))
    return analyse(evidence(*items, span=window(weeks=weeks)))


def patterns(*samples: LogSample) -> list[tuple[str, str]]:
    return [(f.verdict.value, f.subject) for f in found(*samples) if f.code == "log-pattern"]


USUAL = every(1, "INFO", "order {n} accepted")


def test_the_same_lines_with_other_numbers_are_no_news() -> None:
    assert patterns(lines("before", USUAL), lines("incident", USUAL)) == []


def test_a_known_error_that_explodes_ranks_above_a_new_endpoint() -> None:
    before = USUAL + every(30, "ERROR", "timeout waiting for connection from pool main after {n} ms")
    after = (
        USUAL
        + every(0.3, "ERROR", "timeout waiting for connection from pool main after {n} ms")
        + every(0.13, "INFO", "GET /api/v2/suggest?q=a{n} 200")
    )
    told = patterns(lines("before", before), lines("incident", after))
    assert [verdict for verdict, _ in told] == ["exploded", "new"]
    assert told[1][1] == "GET /api/<*>/suggest?q=<*>"


def test_what_stops_is_vanished() -> None:
    before = USUAL + every(2, "INFO", "heartbeat from scheduler ok")
    assert patterns(lines("before", before), lines("incident", USUAL)) == [("vanished", "heartbeat from scheduler ok")]


def test_a_pattern_of_last_week_is_not_new() -> None:
    job = every(5, "INFO", "weekly report {n} written")
    assert patterns(lines("before", USUAL), lines("1-weeks-ago", USUAL + job), lines("incident", USUAL + job)) == []


def test_rates_are_scaled_to_the_true_total_and_doubt_is_said() -> None:
    rare = [(3.0, "ERROR", "disk array degraded")]
    told = found(lines("before", USUAL), lines("incident", USUAL + rare, total=121_000))
    (news,) = (f for f in told if f.verdict is Verdict.NEW)
    assert news.facts["rate_after"] == 1000 / 120
    assert news.facts["sure"] == 1
    told = found(lines("before", USUAL, total=120_000), lines("incident", USUAL + rare))
    (news,) = (f for f in told if f.verdict is Verdict.NEW)
    assert (news.facts["sure"], "could have missed" in news.detail) == (0, True)


def test_lines_of_the_start_only_rank_below_lines_that_last() -> None:
    after = USUAL + [(1.0, "WARN", "property deprecated")] * 8 + every(15, "WARN", "slow answer from search")
    told = patterns(lines("before", USUAL), lines("incident", after))
    assert [text for _, text in told] == ["slow answer from search", "property deprecated"]


def test_a_new_message_is_found_in_the_release() -> None:
    code = 'log.error("connection to {} not released after response, handle {}", host, handle);'
    release = Release(
        base="1", head="2", commits=(), files=(FileStat("src/Client.java"),), origin=origin("shop"),
        additions=(Addition("src/Client.java", 88, code), Addition("README.md", 3, "connections are released")),
    )  # fmt: skip
    after = USUAL + every(1, "ERROR", "connection to search-{n} not released after response, handle {n}")
    told = found(lines("before", USUAL), lines("incident", after), release=release)
    (news,) = (f for f in told if f.verdict is Verdict.NEW)
    assert news.facts["code_at"] == "src/Client.java:88"


def test_without_a_baseline_nothing_is_new() -> None:
    summary = only(found(lines("incident", USUAL)), "log-summary")
    assert summary.verdict is Verdict.CANNOT_TELL


def test_an_empty_incident_is_no_error() -> None:
    told = found(lines("before", USUAL), lines("incident", []))
    assert only(told, "log-summary").facts["vanished"] == 1


def test_a_rise_of_all_lines_is_told_and_the_same_amount_is_not() -> None:
    loud = found(lines("before", USUAL), lines("incident", USUAL * 5))
    calm = found(lines("before", USUAL), lines("incident", USUAL))
    assert only(loud, "log-volume").verdict is Verdict.CHANGED
    assert only(calm, "log-volume").verdict is Verdict.UNCHANGED
