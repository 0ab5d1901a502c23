"""What digests have told before, and one run at a time."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbrief.errors import LockedError, OpsbriefError
from opsbrief.weekly import ledger, lock


def test_what_was_written_is_read_back_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    book = tmp_path / "state" / "weekly.json"
    ledger.write(book, {"shop": {"release:1": "2026-W46"}})
    assert ledger.read(book) == ({"shop": {"release:1": "2026-W46"}}, "")
    assert stat.S_IMODE(book.stat().st_mode) == 0o600
    assert [path.name for path in book.parent.iterdir()] == ["weekly.json"]


def test_without_a_file_nothing_was_told(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none.json") == ({}, "")


def test_a_key_keeps_the_period_in_which_it_was_told_first() -> None:
    told = ledger.add({"shop": {"a": "2026-W46"}}, {"shop": ["a", "b"], "billing": ["c"]}, "2026-W47")
    assert told == {"shop": {"a": "2026-W46", "b": "2026-W47"}, "billing": {"c": "2026-W47"}}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "2", "3"]))))
def test_telling_again_changes_nothing(steps: list[tuple[str, str]]) -> None:
    told: ledger.Told = {}
    for key, period in steps:
        told = ledger.add(told, {"shop": [key]}, period)
        assert ledger.add(told, {"shop": [key]}, period) == told
    first = {key: next(period for name, period in steps if name == key) for key, _ in steps}
    assert told.get("shop", {}) == first


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path: Path) -> None:
    many = {f"key{number}": "2026-W01" for number in range(ledger.MOST)}
    told = ledger.add({"shop": many}, {"shop": ["key0", "fresh"]}, "2026-W47")
    ledger.write(tmp_path / "book.json", told)
    kept = ledger.read(tmp_path / "book.json")[0]["shop"]
    assert len(kept) == ledger.MOST
    assert "key1" not in kept
    assert {"key0", "fresh"} <= set(kept)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "opsbrief.ledger/9", "told": {}}',
                json.dumps({"format": ledger.FORMAT, "told": {"shop": {"a": 1}}}).encode(), b"[" * 100_000],
)  # fmt: skip
def test_a_broken_file_is_put_aside_and_said_to_be_so(tmp_path: Path, content: bytes) -> None:
    book = tmp_path / "book.json"
    book.write_bytes(content)
    told, note = ledger.read(book)
    assert told == {}
    assert "old news may be told again" in note
    assert (tmp_path / "book.broken").read_bytes() == content
    assert ledger.read(book) == ({}, "")


def test_each_configuration_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    one, same, other = (
        ledger.place([path]) for path in (tmp_path / "a.yaml", tmp_path / "b" / ".." / "a.yaml", tmp_path / "b.yaml")
    )
    assert one == same
    assert one != other
    assert one.name.startswith("weekly-")


HOLD = """
import sys, time
from pathlib import Path
from opsbrief.weekly import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_against_others_until_its_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "a" / "weekly.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        with pytest.raises(LockedError) as refused, lock.held(path, wait=0.5):
            pass
        assert time.monotonic() - started >= 0.5
        assert str(holder.pid) in refused.value.message
        assert refused.value.exit_code == 5
        holder.kill()
    with lock.held(path, wait=5):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_place_where_no_lock_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsbriefError, match="cannot be made") as refused, lock.held(tmp_path / "file" / "weekly.lock"):
        pass
    assert "XDG_STATE_HOME" in refused.value.hint
