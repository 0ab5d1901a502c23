import re

from hypothesis import given
from hypothesis import strategies as st

from opsbrief.text import clean, line, middle

FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(st.one_of(st.text(st.characters()), st.binary()))
def test_nothing_unsafe_passes_the_door(text: str | bytes) -> None:
    done = clean(text)
    assert not FORBIDDEN.search(done)
    done.encode()


def test_escape_sequences_become_visible() -> None:
    assert clean("a\x1b[31mred\x07\u202eevil") == r"a\x1b[31mred\x07\u202eevil"


def test_what_is_cut_is_said() -> None:
    assert clean("x" * 50_000, 10) == "xxxxxxxxxx… (+49,990 characters)"


def test_tabs_and_newlines_stay_and_wrong_bytes_are_replaced() -> None:
    assert clean(b"a\tb\r\nc\xff") == "a\tb\nc\ufffd"


def test_a_line_is_one_line() -> None:
    assert line(" a \n\t b\r\nc ") == "a b c"


def test_names_are_shortened_in_the_middle() -> None:
    assert middle("collectd.app1.load", 9) == "coll…load"
    assert middle("short", 9) == "short"
