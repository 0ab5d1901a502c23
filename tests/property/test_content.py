"""What holds for every log record that is written to a bundle."""

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from opsbrief.bundle.content import log_line
from opsbrief.codec import decode, encode
from opsbrief.model.evidence import LogRecord

EPOCH = datetime(1970, 1, 2, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)  # the door in lets no lone surrogate through
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
ZONES = st.just(UTC) | st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MICROS = st.integers(0, 250_000_000_000_000_000)  # up to the year 9892
TIMES = st.builds(lambda at, zone: (EPOCH + timedelta(microseconds=at)).astimezone(zone), MICROS, ZONES)
RECORDS = st.builds(LogRecord, timestamp=TIMES, body=TEXTS, severity_text=TEXTS, attributes=MAPS, resource=MAPS)


@given(RECORDS)
def test_the_short_way_to_write_a_record_writes_what_encode_does(record: LogRecord) -> None:
    written = json.dumps(encode(record), ensure_ascii=False, separators=(",", ":"))
    assert log_line(record) == written + "\n"
    assert decode(LogRecord, json.loads(log_line(record))) == record
