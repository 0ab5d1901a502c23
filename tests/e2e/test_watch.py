"""The installed watch: on a terminal with keys and a size that changes, in a pipe, and until it is settled."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import CLEAN, Run
from tests.e2e.growing import Growing, feeder

_LAUNCH = (  # its own session, with the terminal as its own: so that keys like Ctrl-C and resizes reach it
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'opsbrief', *sys.argv[1:]])"
)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])[;m]")


class Terminal:
    """A watch on a terminal of its own."""

    def __init__(self, folder: Path, *args: str, columns: int = 80, rows: int = 24, **env: str) -> None:
        self.ours, self._theirs = pty.openpty()
        self.size(columns, rows)
        self.modes = termios.tcgetattr(self._theirs)
        command = [sys.executable, "-c", _LAUNCH, "watch", *args]
        clean = CLEAN | {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | env
        self.process = subprocess.Popen(
            command, cwd=folder, env=clean, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs
        )
        self.said = b""

    def size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def until(self, wanted: Callable[[bytes], bool], seconds: float = 40) -> bytes:
        """Read until ``wanted`` holds of what was said since the last call; return that."""
        heard, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.ours], [], [], 0.2)[0]:
                heard += os.read(self.ours, 65536)
            if wanted(heard):
                self.said += heard
                return heard
        raise AssertionError(heard.decode("utf-8", "replace")[-3000:])

    def shows(self, words: str) -> bytes:
        return self.until(lambda heard: words.encode() in heard)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        end = time.monotonic() + 40
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.ours], [], [], 0.2)[0]:
                self.said += os.read(self.ours, 65536)
        code = self.process.wait(1)
        while select.select([self.ours], [], [], 0.2)[0]:
            self.said += os.read(self.ours, 65536)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._theirs)
        os.close(self.ours)


Start = Callable[..., Terminal]


@pytest.fixture
def terminal(story: Path) -> Iterator[Start]:
    """Return a function that starts a watch of the story on a terminal."""
    started: list[Terminal] = []

    def start(*args: str, **more: object) -> Terminal:
        found = Terminal(story, "--since", "deploy", "--every", "2s", *args, **more)  # type: ignore[arg-type] # sizes and env
        started.append(found)
        return found

    yield start
    for one in started:
        one.close()


def test_the_screen_is_drawn_in_place_and_the_keys_work(terminal: Start) -> None:
    watch = terminal()
    watch.shows("connections rising since release 2.14.0")
    watch.press(b"p")
    watch.shows("PAUSED")
    watch.press(b"p")
    watch.shows("next in")
    watch.press(b"q")
    assert watch.end() == 0
    assert b"\x1b[?1049h" in watch.said  # the alternate screen, entered and left
    left = watch.said.rindex(b"\x1b[?1049l")
    assert b"shop: connections rising since release 2.14.0" in watch.said[left:]  # the last state, in one line
    assert b"\x1b[2J" not in watch.said[watch.said.index(b"rising") : left]  # never cleared, so it does not flicker
    assert termios.tcgetattr(watch._theirs) == watch.modes  # noqa: SLF001 - the terminal as the shell gets it back


def test_pausing_really_stops_asking(terminal: Start) -> None:
    watch = terminal()
    watch.shows("next in")
    watch.press(b" ")
    watch.shows("PAUSED")
    time.sleep(3)
    ticks = re.findall(rb"tick ([0-9]+) at", watch.until(lambda heard: heard.count(b"PAUSED") >= 2))
    assert len(set(ticks)) <= 1
    watch.press(b"q")
    assert watch.end() == 0


def test_it_follows_the_size_of_the_window(terminal: Start) -> None:
    watch = terminal()
    watch.shows("connections rising")
    watch.size(132, 40)
    watch.until(lambda heard: any(100 < len(row) <= 132 for row in _rows(heard)))
    watch.size(50, 12)
    watch.until(lambda heard: heard.count(b"connections") >= 1)
    small = watch.until(lambda heard: b"next in" in heard)
    assert max(len(row) for row in _rows(small)) <= 50
    watch.press(b"q")
    assert watch.end() == 0


def _rows(heard: bytes) -> list[str]:
    """Return what was printed, by row, without what steers the terminal."""
    home = heard.decode("utf-8", "ignore").replace("\x1b[H", "\n")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x07", "", home)
    return [row.rstrip() for row in plain.replace("\r", "").split("\n")]


@pytest.mark.parametrize("how", ["ctrl-c", "sigint"])
def test_ctrl_c_leaves_with_the_last_state(terminal: Start, how: str) -> None:
    watch = terminal()
    watch.shows("connections rising")
    if how == "ctrl-c":
        watch.press(b"\x03")
    else:
        watch.process.send_signal(signal.SIGINT)
    assert watch.end() == 0
    assert b"\x1b[?1049l" in watch.said
    assert b"Traceback" not in watch.said
    assert termios.tcgetattr(watch._theirs) == watch.modes  # noqa: SLF001 - see above


def test_a_signal_to_end_gives_the_terminal_back(terminal: Start) -> None:
    watch = terminal()
    watch.shows("connections rising")
    watch.process.send_signal(signal.SIGTERM)
    assert watch.end() == 143
    assert b"\x1b[?1049l" in watch.said
    assert termios.tcgetattr(watch._theirs) == watch.modes  # noqa: SLF001 - see above


def test_without_colours_where_none_are_wanted(terminal: Start) -> None:
    plain, coloured = terminal(NO_COLOR="1"), terminal()
    for watch in (plain, coloured):
        watch.shows("connections rising")
        watch.press(b"q")
        assert watch.end() == 0
    assert not _COLOUR.search(plain.said)
    assert _COLOUR.search(coloured.said)


def test_a_dumb_terminal_gets_a_line_a_tick(terminal: Start) -> None:
    watch = terminal("--until", "now+12s", TERM="dumb")
    assert watch.end() == 0
    assert b"\x1b" not in watch.said
    assert watch.said.count(b"shop: connections rising") >= 2


def test_in_a_pipe_each_tick_is_one_line(opsbrief: Run, story: Path) -> None:
    done = opsbrief("watch", "--since", "deploy", "--every", "1s", "--until", "now+12s", cwd=story)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert 2 <= len(lines) <= 14
    assert all("shop: connections rising since release 2.14.0" in line for line in lines)
    assert "found     since deploy" in done.stderr


def test_json_is_one_object_a_tick_and_nothing_else(opsbrief: Run, story: Path) -> None:
    done = opsbrief("watch", "--since", "deploy", "--every", "1s", "--until", "now+12s", "--json", cwd=story)
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [tick["tick"] for tick in ticks] == list(range(1, len(ticks) + 1))
    assert {tick["format"] for tick in ticks} == {"opsbrief.tick/1"}
    assert ticks[0]["metrics"][0]["name"] == "connections"
    assert ticks[0]["metrics"][0]["seconds_to_limit"] > 0
    assert not any("rank" in metric for metric in ticks[0]["metrics"])
    assert {state["source"] for state in ticks[0]["sources"]} >= {"graphite", "logs", "shop", "deploylog"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--until", "2020-01-01"), "which is over"),
        (("--until", "deploy"), "no end for a watch"),
        (("--every", "0s"), "is too short"),
        (("--every", "soon"), "is not a length of time"),
        (("--fix", "deploy~1"), "which is not after the start of the window"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_tick(
    opsbrief: Run, story: Path, given: tuple[str, ...], said: str
) -> None:
    done = opsbrief("watch", "--since", "deploy", *given, cwd=story)
    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout


def test_storage_that_grows_is_followed_until_the_fix_has_settled(opsbrief: Run, tmp_path: Path) -> None:
    """Leak, fix, settled: the whole way in real seconds, on storage that another process appends to."""
    folder = tmp_path / "shop"
    process = feeder(folder, 110, 4)
    try:
        while not (folder / "deploy.log").exists():
            time.sleep(0.05)
        done = opsbrief("watch", "--since", "deploy", "--until", "settled", "--every", "1s", "--json", cwd=folder)
    finally:
        process.kill()
        process.wait()
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    rising, *_, last = ticks
    assert done.returncode in (0, 3), done.stderr
    assert (rising["fix"], rising["metrics"][0]["does"]) == (None, "rising")
    assert last["fix"]["ref"] == "2.1"
    assert last["metrics"][0]["effect"] == "fixed"
    assert last["settled"]["done"]
    assert not any(tick["settled"]["done"] for tick in ticks[:-1])
    fresh = [note["text"] for tick in ticks for note in tick["fresh"]]
    assert any("taken for the fix" in note for note in fresh)
    (report,) = folder.glob("briefs/opsbrief-shop-effect-*/brief.md")
    assert "connections no longer rising" in report.read_text()


def test_new_lines_and_datapoints_come_in_with_the_next_tick(opsbrief: Run, tmp_path: Path) -> None:
    """One tick sees the storage as it is, the next one what was appended in between; without any process beside."""
    now = int(time.time())
    Growing(tmp_path / "shop", now - 30).advance(now)
    done = opsbrief("watch", "--since", "deploy", "--every", "1s", "--until", "now+2s", "--json", cwd=tmp_path / "shop")
    tick = json.loads(done.stdout.splitlines()[-1])
    assert tick["metrics"][0]["now"] == pytest.approx(20 + 270, abs=10)
    assert tick["patterns"][0]["level"] == "ERROR"
