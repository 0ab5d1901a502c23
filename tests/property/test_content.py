"""What holds for every log record that is written to a bundle."""

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from opsbrief.bundle.content import log_line
from opsbrief.codec import decode, encode, pretty
from opsbrief.model.evidence import LogRecord, LogSample, Origin
from opsbrief.redact import Redactor

EPOCH = datetime(1970, 1, 2, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)  # the door in lets no lone surrogate through
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
ZONES = st.just(UTC) | st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MICROS = st.integers(0, 250_000_000_000_000_000)  # up to the year 9892
TIMES = st.builds(lambda at, zone: (EPOCH + timedelta(microseconds=at)).astimezone(zone), MICROS, ZONES)
RECORDS = st.builds(LogRecord, timestamp=TIMES, body=TEXTS, severity_text=TEXTS, attributes=MAPS, resource=MAPS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(TEXTS, inner),
    max_leaves=40,
)
SECRET = "hunter2-7x41"
PIECES = [
    "password=",
    "pass7word=",
    "passw0rd",
    "Token ",
    "&token=",
    "session_id: ",
    "abcd",
    "77",
    " ",
    "\n",
    "é",
    SECRET,
]
LINES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@given(RECORDS)
def test_the_short_way_to_write_a_record_writes_what_encode_does(record: LogRecord) -> None:
    written = json.dumps(encode(record), ensure_ascii=False, separators=(",", ":"))
    assert log_line(record) == written + "\n"
    assert decode(LogRecord, json.loads(log_line(record))) == record


@given(JSON)
def test_the_short_way_to_lay_a_document_out_writes_what_the_standard_library_does(document: object) -> None:
    assert pretty(document) == json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)


@given(st.lists(LINES, max_size=30))
def test_lines_redacted_together_are_redacted_as_each_one_alone(lines: list[str]) -> None:
    together, alone = Redactor([SECRET]), Redactor([SECRET])
    records = tuple(LogRecord(timestamp=EPOCH, body=line) for line in lines)
    sample = LogSample(
        query="",
        span="incident",
        start=EPOCH,
        end=EPOCH,
        total=len(lines),
        total_is_exact=True,
        records=records,
        origin=Origin(source="logs", query=""),
    )
    assert [record.body for record in together.value(sample).records] == [alone.text(line) for line in lines]
    assert together.counts == alone.counts
