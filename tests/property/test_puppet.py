"""Whatever a file of reports holds: a value or a SourceError, in bounded time, and never anything but plain values."""

import time
from datetime import UTC, datetime
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.errors import GapKind, SourceError
from opsbrief.readers.puppet import report, ruby, version
from opsbrief.transport.deadline import Deadline

RECORDED = sorted((Path(__file__).parents[1] / "recorded" / "puppet").glob("*.yaml"))
WORDS = st.sampled_from(
    ["host", "time", "status", "changed", "metrics", "events", "resource_statuses", "!ruby/object:X", "!!python/name:a",
     "&a", "*a", "{", "}", "[", "]", "- ", "? ", ": ", ":", ",", "|", ">", "'", '"', "\n", "\n  ", "#", "%", "@", "`",
     "---", "<<: *a", "!binary", "\t", "\x00", "\x1b", "\ufeff", "12", "1e9", "2026-11-20T12:00:00.123456789+00:00"]
)  # fmt: skip
PLAIN = st.recursive(
    st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc:", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def only_plain(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth > 70 or all(isinstance(key, str) and only_plain(one, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return depth > 70 or all(only_plain(one, depth + 1) for one in value)
    return value is None or type(value) is str


def loaded(data: bytes) -> object:
    started = time.monotonic()
    try:
        told = ruby.load(data, Deadline(20))
        for read in (lambda: report.report(told), lambda: report.summary(told, "app1")):
            try:
                read()
            except SourceError as error:
                assert error.kind is GapKind.BAD_ANSWER  # noqa: PT017 - most are refused, and rightly
    except SourceError as error:
        assert error.kind is GapKind.BAD_ANSWER  # noqa: PT017 - same
        return None
    finally:
        assert time.monotonic() - started < 20
    return told


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400) | st.lists(WORDS, max_size=60).map(lambda words: "".join(words).encode()))
def test_any_bytes_give_plain_values_or_are_refused(data: bytes) -> None:
    assert only_plain(loaded(data))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_report_gives_plain_values_or_is_refused(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(RECORDED)).read_bytes()
    start, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 40))
    damage = data.draw(st.binary(max_size=12) | WORDS.map(str.encode))
    assert only_plain(loaded(whole[:start] + damage + whole[start + length :]))


@settings(max_examples=100, deadline=None)
@given(value=PLAIN)
def test_what_yaml_writes_is_read_back(value: object) -> None:
    written = yaml.safe_dump(value, allow_unicode=True)
    assert ruby.load(written.encode(), Deadline(20)) == value


@settings(max_examples=200, deadline=None)
@given(before=st.text("abz-_/. :", max_size=12), sha=st.text("0123456789abcdef", min_size=40, max_size=40))
def test_a_whole_commit_id_is_found_in_whatever_is_around_it(before: str, sha: str) -> None:
    apart = before if not before or before[-1] in "-_/. :" else f"{before}-"
    assert version.commit(f"{apart}{sha}") == sha


@given(number=st.integers(0, 10**18))
def test_no_number_is_a_commit(number: int) -> None:
    assert version.commit(str(number)) == ""
    assert version.commit(f"production-{number}") == ""


@given(at=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), nanos=st.integers(0, 999))  # noqa: DTZ001 - the zone is given apart
def test_nine_digits_of_a_second_are_read_to_the_microsecond(at: datetime, nanos: int) -> None:
    from opsbrief.readers.puppet.record import moment  # noqa: PLC0415 - only here

    assert moment(f"{at:%Y-%m-%dT%H:%M:%S.%f}{nanos:03}+00:00") == at
