from dataclasses import replace

import pytest
from tests.unit.evidence_of import evidence, lines, origin, outcome

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Histogram, LogSample
from opsbrief.model.finding import Finding, Verdict


def told(level: str, span: str, count: int, source: str = "logs") -> LogSample:
    made = lines(span, [(n * 120 / count, level, "order accepted") for n in range(count)])
    histogram = Histogram(start=int(made.start.timestamp()), step=7200, counts={level: (count,)})
    return replace(made, origin=origin(source), histogram=histogram)


def volumes(*samples: LogSample) -> dict[str, Finding]:
    found = analyse(evidence(outcome("logs", "logfile", *samples)))
    return {finding.subject: finding for finding in found if finding.code == "log-volume"}


def test_the_lines_of_two_logs_add_up_to_the_same_question() -> None:
    found = volumes(
        told("ERROR", "before", 12, "shop"),
        told("ERROR", "incident", 1200, "shop"),
        told("INFO", "before", 120, "web"),
        told("INFO", "incident", 120, "web"),
    )
    assert found["all lines"].before == pytest.approx(1.1)
    assert found["all lines"].after == pytest.approx(11)
    assert found["ERROR"].after == pytest.approx(10)
    assert found["INFO"].verdict is Verdict.UNCHANGED


def test_a_log_that_could_not_be_read_on_one_side_is_left_out_and_named() -> None:
    found = volumes(
        told("INFO", "before", 120, "shop"),
        told("INFO", "incident", 120, "shop"),
        told("INFO", "incident", 6000, "web"),
    )["all lines"]
    assert (found.before, found.after, found.verdict) == (1, 1, Verdict.UNCHANGED)
    assert "without web, not read before the incident" in found.detail


def test_without_a_time_before_nothing_is_compared() -> None:
    found = volumes(told("INFO", "incident", 120))["all lines"]
    assert (found.after, found.verdict) == (1, Verdict.CANNOT_TELL)
