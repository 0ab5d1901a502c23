"""What evidence says about itself."""

from datetime import UTC, datetime, timedelta

import pytest

from opsbrief.model.evidence import Histogram, LogRecord, LogSample, Origin

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def sample(total: int, counts: dict[str, tuple[int, ...]] | None, **drawn: int) -> LogSample:
    return LogSample(
        query="",
        span="incident",
        start=START,
        end=START + timedelta(hours=1),
        total=total,
        total_is_exact=True,
        records=tuple(
            LogRecord(timestamp=START, body="x", severity_text=level) for level, n in drawn.items() for _ in range(n)
        ),
        histogram=Histogram(start=int(START.timestamp()), step=60, counts=counts) if counts is not None else None,
        origin=Origin(source="logs", query=""),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (sample(1000, {"ERROR": (3, 7), "INFO": (990,)}, ERROR=10, INFO=90), {"ERROR": 1, "INFO": 11}),
        (sample(1000, None, ERROR=10, INFO=90), {"ERROR": 10, "INFO": 10}),
        (sample(1000, {"": (1000,)}, ERROR=10, INFO=90), {"ERROR": 10, "INFO": 10}),  # counted without levels
        (sample(50, {"INFO": (50,)}, INFO=50), {"INFO": 1}),
        (sample(0, {}), {}),
    ],
)
def test_a_record_stands_for_the_lines_of_its_level(given: LogSample, expected: dict[str, float]) -> None:
    assert given.weights() == expected
