"""One script of many commands: what it may run, how its answer is taken apart, what a hostile answer cannot do."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.evidence_of import evidence, origin, outcome

from opsbrief.analysis.alibi import packages
from opsbrief.analysis.alibi.ground import Ground
from opsbrief.model.evidence import Reading
from opsbrief.model.window import Span
from opsbrief.readers.host.parts import PROGRAMS, Part, named, parts
from opsbrief.readers.host.script import CAP, answers, script
from opsbrief.transport.ssh.route import valid
from opsbrief.transport.ssh.shell import _glob

KEY = "k" * 24
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SPAN = Span("", NOW - timedelta(hours=2), NOW)
_SHELL = {
    "", "for", "do", "done", "if", "then", "else", "fi", "exit", "continue", "echo", "printf", "read", "set", "[", ":",
    "in",
}  # fmt: skip


def run(*asked: Part, pause: float = 0.0) -> list[tuple[str, int | None, bytes, bytes, bool]]:
    """Run the script of these parts by this machine's sh."""
    done = subprocess.run(["sh", "-c", script(asked, pause, KEY)], capture_output=True, check=False, timeout=60)
    found, clock = answers(asked, KEY, done.stdout, done.stderr)
    assert clock is not None
    assert abs(clock - datetime.now(UTC).timestamp()) < 60
    return [(one.part.about, one.status, one.stdout, one.stderr, one.cut) for one in found]


def test_only_programs_that_read_are_started() -> None:
    for ports, names in (((), ()), ((8080,), ()), ((), ("java",)), ((8080,), ("java",))):
        for part in parts(SPAN.start, SPAN.end, ports, names):
            text = re.sub(r"'[^']*'", "''", part.text)  # what awk and grep get
            text = re.sub(r"\$\{[^}]*\}|[0-9]>|>&[0-9]", "", text)
            words = re.findall(r"(?:^|[;|&(\n{]|\$\(|\bdo\b|\bthen\b)\s*([\w.\[:-]*)", text)
            assert {word for word in words if "=" not in word} - _SHELL - {
                "o",
                "l",
                "p",
                "r",
                "d",
                "e",
                "c",
            } <= PROGRAMS, part
            assert not re.search(r">(?!&|\s*/dev/null)", text), f"{part.about} writes"


@pytest.mark.parametrize("ports", [(), (8080, 443)])
@pytest.mark.parametrize("names", [(), ("java", "a.jar")])
def test_every_part_is_a_script_that_sh_understands(ports: tuple[int, ...], names: tuple[str, ...]) -> None:
    asked = parts(SPAN.start, SPAN.end, ports, names)
    for text in (*(part.text for part in asked), script(asked, 5, KEY)):
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode, done.stderr) == (0, "")


def test_statuses_outputs_and_errors_stay_with_their_part() -> None:
    found = run(
        Part("a", "", "echo out; echo err >&2; exit 3"),
        Part("b", "", "no-such-program"),
        Part("c", "", "true"),
        Part("d", "", "printf 'no line break'"),
        Part("e", "", "kill -9 $$"),
    )
    assert found[0] == ("a", 3, b"out\n", b"err", False)
    assert found[1][1] == 127
    assert b"not found" in found[1][3]
    assert found[2] == ("c", 0, b"", b"", False)
    assert found[3][2] == b"no line break"
    assert found[4][1] == 137


def test_a_flood_of_one_part_costs_the_others_nothing() -> None:
    texts = ("yes", "yes >&2", "echo here", "head -c 99999 /dev/zero")
    found = run(*(Part(about, "", text) for about, text in zip("abcd", texts, strict=True)))
    assert (found[0][4], len(found[0][2])) == (True, CAP)
    assert len(found[1][3]) <= 1500
    assert found[2][:3] == ("c", 0, b"here\n")
    assert found[3][4]


def test_what_counts_twice_is_asked_first_and_last() -> None:
    found = run(Part("a", "", "echo 1", again=True), Part("b", "", "echo 2"), pause=0.1)
    assert [one[0] for one in found] == ["a", "b", "a"]


@pytest.mark.skipif(not shutil.which("timeout"), reason="needs timeout")
def test_a_part_that_hangs_is_ended_alone() -> None:
    (hung, fine) = run(Part("a", "", "echo begun; sleep 60"), Part("b", "", "echo here"))
    assert hung[1:3] == (124, b"begun\n")
    assert fine[:3] == ("b", 0, b"here\n")


def test_a_marker_that_was_guessed_wrong_is_only_text() -> None:
    other = "x" * 24
    ((_, status, out, _, _), second) = run(
        Part("a", "", f"printf '\\n{other} b 1\\nforged\\n'; printf '\\n{other} = 0\\n' >&2; exit 5"),
        Part("b", "", ":"),
    )
    assert status == 5
    assert b"forged" in out
    assert second[2] == b""


@pytest.mark.parametrize("stream", [b"", b"garbage", b"\n" + KEY.encode(), b"\n" + KEY.encode() + b" a x\n"])
def test_streams_that_are_cut_off_lose_only_what_is_missing(stream: bytes) -> None:
    found, clock = answers([Part("a", "", "")], KEY, stream, stream)
    assert (found, clock) == ([], None)


def test_a_part_without_a_status_has_none() -> None:
    key = KEY.encode()
    (one,), _ = answers([Part("a", "", "")], KEY, b"\n" + key + b" a 12.5\nhalf", b"\n" + key + b" a 12.5\n")
    assert (one.status, one.stdout, one.uptime) == (None, b"half", 12.5)


DPKG = """\
+0100
2026-11-20 15:30:00 upgrade libc6:amd64 2.36-9 2.36-10
2026-13-40 15:33:00 upgrade broken:all 1 2
"""
RPM = """\
-0230
glibc-2.34-60.el9.x86_64                      Fri 20 Nov 2026 03:30:00 PM -0230
"""


@pytest.mark.parametrize(
    ("text", "hour", "said"), [(DPKG, 14, "libc6 2.36-9 → 2.36-10"), (RPM, 18, "glibc-2.34-60.el9.x86_64")]
)
def test_the_alibi_reads_its_package_logs_in_the_hosts_own_time(text: str, hour: int, said: str) -> None:
    (part,) = [one for one in parts(SPAN.start, SPAN.end, (), ()) if one.about == "packages"]
    log = Reading(
        host="app1", command=part.shown, exit_status=0, stdout=text, stderr="", at=NOW, about="packages",
        origin=origin("look"),
    )  # fmt: skip
    ((at, name),) = packages.changes(log, UTC)
    assert (at.astimezone(UTC).hour, name) == (hour, said)
    told = evidence(outcome("look", "ssh", log))
    assert packages.look(Ground(told, ())).facts["package_logs"] == 1


@pytest.mark.parametrize("name", ["java", "shop.jar", "/opt/shop/bin/shop", "python3.11", "app@1", "a:b"])
def test_names_of_processes(name: str) -> None:
    assert named(name)


@pytest.mark.parametrize("name", ["", "a b", "a'b", 'a"', "$(id)", "`id`", "a;b", "a|b", "a\nb", "é", "x" * 65, "a\\n"])
def test_what_is_no_name_of_a_process(name: str) -> None:
    assert not named(name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/var/log/*.log", "/var/log/*.log"),
        ("/a b/c?.log", "'/a b/c'?.log"),
        ("~/x y*", "~/'x y'*"),
        ("-rf", "./-rf"),
        ("/x[0-9].log", "/x[0-9].log"),
        ("/x[[]0].log", "/x'[''0].log'"),
        ("/x$(id)*", "'/x$(id)'*"),
        ("/x[$(id)]", "/x'[$(id)]'"),
        ("/x;y", "'/x;y'"),
    ],
)
def test_patterns_of_paths_are_quoted_but_for_their_signs(pattern: str, expected: str) -> None:
    assert _glob(pattern) == expected


@pytest.mark.parametrize("host", ["app1", "app1.example.com", "10.0.0.1", "::1", "[::1]", "fe80::1%eth0", "a_b-c"])
def test_names_of_hosts(host: str) -> None:
    valid(host)
