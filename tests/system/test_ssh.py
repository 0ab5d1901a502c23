"""Both ways of SSH against a real sshd: they give the same, and refuse the same."""

import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.contract.peer import FAULTS, Peer, answer, peer
from tests.system import sshd as sshd_server
from tests.system.graphite import free_port

from opsbrief.errors import GapKind, SourceError
from opsbrief.source import Ssh
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.http import Client
from opsbrief.transport.login import Tls

pytestmark = pytest.mark.system
HOST = "127.0.0.1"


@pytest.fixture(params=["openssh", "paramiko"])
def via(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def failure(options: dict[str, Any], host: str = HOST, seconds: float = 10) -> SourceError:
    """Return why there is no connection."""
    with pytest.raises(SourceError) as caught, Ssh(**options).open(host, Deadline(seconds)) as shell:
        shell.run(["true"])
    assert "\n" not in caught.value.message
    return caught.value


# --- what is run


def test_a_program_gets_its_arguments_as_they_are(sshd: sshd_server.Sshd, via: str) -> None:
    awkward = ["two  words", "$(id)", "x'y", 'say "no"', "new\nline", "-n", "*", "`id`", "", "!!", "ü\\"]
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        done = shell.run(["printf", "%s|", *awkward])
    assert (done.status, done.stdout.decode()) == (0, "|".join(awkward) + "|")


def test_the_statuses_are_those_of_a_shell(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        found = [shell.script(text).status for text in ("exit 7", "kill -9 $$", "exit 255", ":")]
        found += [shell.run(argv).status for argv in (["no-such-program"], ["/etc/passwd"])]
    assert found == [7, 137, 254, 0, 127, 126]


def test_it_finds_what_lies_in_sbin_and_speaks_english(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        path, words = shell.script("echo $PATH; echo $LC_ALL").stdout.decode().split()
    assert {"/usr/sbin", "/sbin"} <= set(path.split(":"))
    assert words == "C"


def test_a_program_reads_nothing_and_has_no_terminal(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        done = shell.script("cat; tty")
    assert done.stdout == b"not a tty\n"


def test_ten_megabytes_on_both_streams_block_nothing(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(60)) as shell:
        done = shell.script("head -c 10000000 /dev/zero >&2; head -c 10000000 /dev/zero", cap=20 << 20, seconds=50)
    assert (done.status, len(done.stdout), len(done.stderr), done.truncated) == (0, 10_000_000, 65536, False)


def test_output_without_end_is_cut_and_its_program_ends(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(30)) as shell:
        done = shell.run(["yes", f"endless-{via}"], cap=100_000)
        assert done.truncated
        assert len(done.stdout) == 100_000
        assert shell.run(["echo", "still there"]).stdout == b"still there\n"
    assert _gone(f"yes endless-{via}")


def test_a_hanging_program_ends_in_time_here_and_there(sshd: sshd_server.Sshd, via: str) -> None:
    started = time.monotonic()
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(30)) as shell:
        with pytest.raises(SourceError, match=r"sleep did not end within 1 s on 127\.0\.0\.1") as caught:
            shell.run(["sleep", f"77{len(via)}"], seconds=1)
        assert shell.run(["true"]).status == 0
    assert caught.value.kind is GapKind.TIMEOUT
    assert time.monotonic() - started < 6
    assert _gone(f"sleep 77{len(via)}")


def test_a_program_that_drips_does_not_outlive_the_deadline(sshd: sshd_server.Sshd, via: str) -> None:
    started = time.monotonic()
    with (
        pytest.raises(SourceError) as caught,
        Ssh(**sshd.options(via=via)).open(HOST, Deadline(3)) as shell,
    ):
        shell.script("trap '' TERM; while :; do echo x; sleep 0.1; done", seconds=60)
    assert caught.value.kind is GapKind.TIMEOUT
    assert time.monotonic() - started < 5


def _gone(command: str) -> bool:
    """Whether no program of this name is left, at most three seconds from now."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        lines = [_words(path) for path in _commands()]
        if command.encode() not in lines:
            return True
        time.sleep(0.05)
    return False


def _words(path: Path) -> bytes:
    try:
        return path.read_bytes().replace(b"\0", b" ").strip()
    except OSError:  # it has ended
        return b""


def _clients(server: sshd_server.Sshd) -> list[Path]:
    """Return the processes of ssh that lead to a server, and the masters of this test: they say only their socket."""
    signs = f"-p {server.port}".encode(), tempfile.gettempdir().encode() + b"/opsbrief-"
    return [path for path in _commands() if any(sign in _words(path) for sign in signs)]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the test a folder for sockets that no other one has, with a short name."""
    with tempfile.TemporaryDirectory(prefix="own-") as room:
        monkeypatch.setattr(tempfile, "tempdir", room)
        yield


def _commands() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.exists():
            yield path


# --- files


def test_files_come_whole_with_their_times(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    folder = _open_to_all(tmp_path) / "it's a [folder]"
    folder.mkdir()
    wanted = {"a 1.log": b"\0\xff" * 5000, "a 2.log": b"", "$(id).log": b"x", "new\nline.log": b"y"}
    for name, data in {**wanted, "other.txt": b"no"}.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    (folder / "z-link.log").symlink_to("a 1.log")
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        found = list(shell.files([f"{str(folder).replace('[', '[[]')}/*.log"]))
    assert {Path(path).name: data for path, _, data in found} == {**wanted, "z-link.log": wanted["a 1.log"]}
    assert {at for _, at, _ in found} == {1_700_000_000.0}


def test_only_files_changed_since_then_come(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    room = _open_to_all(tmp_path)
    for at in (1_700_000_000, 1_700_001_000):
        (room / f"{at}.yaml").write_text(str(at))
        os.utime(room / f"{at}.yaml", (at, at))
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        (found,) = shell.files([f"{room}/*.yaml"], since=1_700_000_500)
    assert found == (f"{room}/1700001000.yaml", 1_700_001_000.0, b"1700001000")


@pytest.mark.parametrize(
    "pattern", ["/nowhere/*", "-la", "$(echo /etc/passwd)", "`echo /etc/passwd`", "/etc/pass\nwd", ";"]
)
def test_nothing_that_matches_is_said(sshd: sshd_server.Sshd, via: str, pattern: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell, pytest.raises(SourceError) as caught:
        list(shell.files([pattern]))
    assert caught.value.kind is GapKind.UNAVAILABLE
    assert "no file matches" in caught.value.message


def test_a_file_that_is_cut_off_is_said_and_the_whole_ones_are_kept(
    sshd: sshd_server.Sshd, via: str, tmp_path: Path
) -> None:
    room = _open_to_all(tmp_path)
    (room / "a.log").write_bytes(b"a" * 1000)
    (room / "b.log").write_bytes(b"b" * 100_000)
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        found = shell.files([f"{room}/*.log"], cap=20_000)
        path, _, data = next(found)
        assert (Path(path).name, len(data)) == ("a.log", 1000)
        with pytest.raises(SourceError) as caught:
            next(found)
    assert caught.value.kind is GapKind.TRUNCATED


def test_a_file_that_may_not_be_read_is_said(sshd: sshd_server.Sshd, via: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell, pytest.raises(SourceError) as caught:
        list(shell.files(["/etc/shadow"]))
    assert caught.value.kind is GapKind.UNAUTHORIZED


def _open_to_all(path: Path) -> Path:
    """Let the user of sshd in, where the tests run as root."""
    for folder in (path, *path.parents[:-2]):
        if folder.owner() != "root" or os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


# --- whom it believes


def _known(sshd: sshd_server.Sshd, tmp_path: Path, text: str) -> str:
    path = tmp_path / "known hosts"
    path.write_text(text.format(port=sshd.port, key=sshd.host_key(), rsa=sshd.host_key("rsa")))
    return str(path)


def _line(sshd: sshd_server.Sshd, name: str) -> str:
    return " ".join((sshd.room / f"{name}.pub").read_text().split()[:2])


def test_an_unknown_host_is_refused_with_what_to_do(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    error = failure(sshd.options(via=via, known_hosts=_known(sshd, tmp_path, "# nothing\nbroken line\n@what x y z\n")))
    assert error.kind is GapKind.UNREACHABLE
    assert "is unknown" in error.message
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in error.hint


def test_a_changed_key_is_refused(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    other = _line(sshd, "id_stranger")
    error = failure(sshd.options(via=via, known_hosts=_known(sshd, tmp_path, f"[127.0.0.1]:{{port}} {other}\n")))
    assert error.kind is GapKind.UNREACHABLE
    assert "another host key" in error.message


def test_a_revoked_key_is_refused_though_another_line_knows_it(
    sshd: sshd_server.Sshd, via: str, tmp_path: Path
) -> None:
    text = "[127.0.0.1]:{port} {key}\n@revoked * {key}\n"
    error = failure(sshd.options(via=via, known_hosts=_known(sshd, tmp_path, text)))
    assert "revoked" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "@cert-authority *.example.com {rsa}\nbroken\n[127.0.0.1]:{port} {key}\n",
        "[127.0.0.1]:{port} {rsa}\n",
        "[127.0.0.*]:{port} {key}\n",
        "127.0.0.1 {key}\n",
    ],
    ids=["after_lines_of_others", "by_rsa_alone", "by_a_pattern", "without_its_port"],
)
def test_a_host_that_is_known_is_believed(sshd: sshd_server.Sshd, via: str, tmp_path: Path, text: str) -> None:
    with Ssh(**sshd.options(via=via, known_hosts=_known(sshd, tmp_path, text))).open(HOST, Deadline(20)) as shell:
        assert shell.run(["true"]).status == 0


def test_hashed_names_are_known(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    path = _known(sshd, tmp_path, "[127.0.0.1]:{port} {key}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", path], check=True, capture_output=True)
    assert "127.0.0.1" not in Path(path).read_text()
    with Ssh(**sshd.options(via=via, known_hosts=path)).open(HOST, Deadline(20)) as shell:
        assert shell.run(["true"]).status == 0


def test_who_is_known_by_an_authority_alone_is_left_to_openssh(sshd: sshd_server.Sshd, tmp_path: Path) -> None:
    path = _known(sshd, tmp_path, f"@cert-authority * {_line(sshd, 'ca')}\n")
    error = failure(sshd.options(via="paramiko", known_hosts=path))
    assert "openssh" in error.hint
    # Its key has no certificate: OpenSSH does not believe it either.
    assert "is unknown" in failure(sshd.options(via="openssh", known_hosts=path)).message


def test_a_configuration_cannot_loosen_it(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n  NoHostAuthenticationForLocalhost yes\n  BatchMode no\n")
    error = failure(sshd.options(via=via, config=str(config), known_hosts=_known(sshd, tmp_path, "")))
    assert "is unknown" in error.message


# --- who we are


def test_a_stranger_is_not_let_in(sshd: sshd_server.Sshd, via: str) -> None:
    error = failure(sshd.options(via=via, key=str(sshd.stranger)))
    assert error.kind is GapKind.UNAUTHORIZED
    assert "does not let ops in" in error.message
    assert "authorized_keys" in error.hint


def test_a_wrong_user_is_not_let_in(sshd: sshd_server.Sshd, via: str) -> None:
    error = failure(sshd.options(via=via, user="nobody-here"))
    assert error.kind is GapKind.UNAUTHORIZED
    assert "does not let nobody-here in" in error.message


def test_an_encrypted_key_without_an_agent_asks_nobody(sshd: sshd_server.Sshd, via: str) -> None:
    started = time.monotonic()
    error = failure(sshd.options(via=via, key=str(sshd.encrypted)))
    assert error.kind is GapKind.UNAUTHORIZED
    assert "encrypted" in error.hint
    assert "ssh-add" in error.hint
    assert time.monotonic() - started < 5


def test_a_key_file_that_is_not_there_is_said(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    error = failure(sshd.options(via=via, key=str(tmp_path / "none")))
    assert error.kind is GapKind.REJECTED
    assert "no file" in error.message


@pytest.fixture
def agent(sshd: sshd_server.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an agent that holds the encrypted key, and before it one that is not let in."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 5
        while not socket.exists() and time.monotonic() < end:
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        ask = tmp_path / "ask"
        ask.write_text(f"#!/bin/sh\necho {sshd_server.WORDS}\n")
        ask.chmod(0o700)
        env = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        for key in (sshd.stranger, sshd.encrypted):
            subprocess.run(["ssh-add", "-q", key], check=True, env=env, stdin=subprocess.DEVNULL, timeout=10)
        yield
    finally:
        process.terminate()
        process.wait(5)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("named", [True, False], ids=["the_key_that_is_named", "any_key_of_it"])
def test_the_agent_holds_the_key(sshd: sshd_server.Sshd, via: str, named: bool) -> None:  # noqa: FBT001
    options = sshd.options(via=via, agent=True, key=str(sshd.encrypted) if named else "")
    with Ssh(**options).open(HOST, Deadline(20)) as shell:
        assert shell.run(["true"]).status == 0
    assert "encrypted" in failure(sshd.options(via=via, key=str(sshd.encrypted))).hint, "the agent was not needed"


# --- the way there


@pytest.fixture(scope="module")
def inner(sshd: sshd_server.Sshd) -> Iterator[sshd_server.Sshd]:
    """Run a second sshd, to be reached through the first."""
    with sshd_server.running(room=sshd.room) as server:
        yield server


def _both(sshd: sshd_server.Sshd, inner: sshd_server.Sshd, path: Path) -> str:
    path.write_text(sshd.known_hosts.read_text() + inner.known_hosts.read_text())
    return str(path)


@pytest.mark.usefixtures("own")
def test_a_jump_host_is_gone_through(sshd: sshd_server.Sshd, inner: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    known = _both(sshd, inner, tmp_path / "known")
    jumps = [(f"ops@127.0.0.1:{sshd.port}",), (f"ops@127.0.0.1:{sshd.port}", f"ops@127.0.0.1:{inner.port}")]
    for jump in jumps:
        before = sshd.log.count("Accepted publickey")
        with Ssh(**inner.options(via=via, known_hosts=known, jump=jump)).open(HOST, Deadline(20)) as shell:
            assert [shell.run(["echo", "through"]).stdout for _ in range(3)] == [b"through\n"] * 3
        assert sshd.log.count("Accepted publickey") == before + 1
    end = time.monotonic() + 5
    while (left := _clients(sshd) + _clients(inner)) and end > time.monotonic():
        time.sleep(0.05)
    assert not left


def test_a_jump_host_of_the_configuration_is_gone_through(
    sshd: sshd_server.Sshd, inner: sshd_server.Sshd, via: str, tmp_path: Path
) -> None:
    known = _both(sshd, inner, tmp_path / "known hosts 100%")
    (tmp_path / "more").write_text(f"Host gate\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User ops\n")
    (tmp_path / "config").write_text(
        f"Include {tmp_path}/more\nHost app1\n  HostName 127.0.0.1\n  Port {inner.port}\n  User ops\n  ProxyJump gate\n"
    )
    options = {"config": str(tmp_path / "config"), "known_hosts": known, "key": str(sshd.key), "agent": False}
    before = sshd.log.count("Accepted publickey")
    with Ssh(**options, via=via).open("app1", Deadline(20)) as shell:  # type: ignore[arg-type] # reason: a test's options
        assert shell.run(["true"]).status == 0
    assert sshd.log.count("Accepted publickey") == before + 1


def test_a_jump_host_that_is_unknown_is_refused_and_named(
    sshd: sshd_server.Sshd, inner: sshd_server.Sshd, via: str
) -> None:
    options = inner.options(via=via, jump=(f"ops@127.0.0.1:{sshd.port}",))
    error = failure(options)
    assert "is unknown" in error.message
    assert str(sshd.port) in error.message


def test_a_host_behind_the_jump_host_that_is_unknown_is_refused_and_named(
    sshd: sshd_server.Sshd, inner: sshd_server.Sshd, via: str
) -> None:
    options = inner.options(via=via, jump=(f"ops@127.0.0.1:{sshd.port}",), known_hosts=str(sshd.known_hosts))
    error = failure(options)
    assert "is unknown" in error.message
    assert str(inner.port) in error.message


def test_a_jump_host_that_cannot_reach_the_host_is_said(sshd: sshd_server.Sshd, via: str) -> None:
    with peer(lambda _sock, _request: None) as server:
        port = server.port
    error = failure(sshd.options(via=via, port=port, jump=(f"ops@127.0.0.1:{sshd.port}",)))
    assert error.kind in (GapKind.UNREACHABLE, GapKind.UNAVAILABLE)


@pytest.mark.usefixtures("own")
def test_all_commands_go_over_one_connection_and_nothing_is_left_of_it(sshd: sshd_server.Sshd, via: str) -> None:
    before = sshd.log.count("Accepted publickey")
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        assert [shell.run(["echo", str(number)]).stdout for number in range(5)] == [b"%d\n" % n for n in range(5)]
        with pytest.raises(SourceError):
            shell.run(["sleep", "20"], seconds=0.5)
        shell.run(["yes"], cap=1000)
        assert (via == "paramiko") == (not _clients(sshd)), "the test would prove nothing"
    assert sshd.log.count("Accepted publickey") == before + 1
    end = time.monotonic() + 5
    while (left := _clients(sshd)) and end > time.monotonic():
        time.sleep(0.05)
    assert not left


@contextmanager
def serving(answered: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield a port whose visitors are answered one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    visitor, _ = server.accept()
                    with visitor:
                        answered(visitor)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _reversed(visitor: socket.socket) -> None:
    """Answer with what came, reversed, once the other side has ended; no length is sent."""
    with visitor.makefile("rb") as sent:
        visitor.sendall(sent.read()[::-1])


def test_a_forward_carries_both_directions_and_ends_each_by_itself(sshd: sshd_server.Sshd, via: str) -> None:
    sent = os.urandom(3_000_000)
    before = sshd.log.count("Accepted publickey")
    with serving(_reversed) as port, Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        with shell.forward("127.0.0.1", port) as dial:
            for _ in range(2):
                with dial() as sock, sock.makefile("rb") as back:
                    sock.settimeout(15)
                    sock.sendall(sent)
                    sock.shutdown(socket.SHUT_WR)
                    assert back.read() == sent[::-1]
        assert shell.run(["echo", "beside it"]).stdout == b"beside it\n"
    assert sshd.log.count("Accepted publickey") == before + 1


def test_a_forward_to_who_never_answers_ends_with_the_deadline(sshd: sshd_server.Sshd, via: str) -> None:
    started = time.monotonic()
    deadline = Deadline(2)
    with (
        peer(FAULTS["hang"]) as server,
        pytest.raises(SourceError) as caught,
        Ssh(**sshd.options(via=via)).open(HOST, deadline) as shell,
        shell.forward("127.0.0.1", server.port) as dial,
        Client(server.url, deadline, dial=dial) as http,
    ):
        http.get("/")
    assert caught.value.kind is GapKind.TIMEOUT
    assert time.monotonic() - started < 4


def test_a_forward_is_gone_with_its_block(sshd: sshd_server.Sshd, via: str) -> None:
    with serving(_reversed) as port, Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell:
        with shell.forward("127.0.0.1", port) as dial:
            held = dial()
        with held:
            held.settimeout(5)
            assert held.recv(1) == b""
        assert shell.run(["true"]).status == 0


def test_a_forward_leads_through_jump_hosts_and_says_what_is_closed_behind_them(
    sshd: sshd_server.Sshd, inner: sshd_server.Sshd, via: str, tmp_path: Path
) -> None:
    options = inner.options(
        via=via, known_hosts=_both(sshd, inner, tmp_path / "known"), jump=(f"ops@127.0.0.1:{sshd.port}",)
    )
    deadline = Deadline(20)
    with Ssh(**options).open(HOST, deadline) as shell, peer(answer(b"there")) as server:
        with shell.forward("127.0.0.1", server.port) as dial, Client(server.url, deadline, dial=dial) as http:
            assert http.get("/").body == b"there"
        closed = f"127.0.0.1:{free_port()}"
        with (
            pytest.raises(SourceError, match=f"cannot connect to {closed}: conn") as caught,
            shell.forward("127.0.0.1", int(closed.rpartition(":")[2])) as dial,
            Client(f"http://{closed}", deadline, dial=dial) as http,
        ):
            http.get("/")
    assert caught.value.kind is GapKind.UNREACHABLE


def test_tls_through_a_forward_checks_the_name_of_the_url(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    cert = tmp_path / "cert"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=monit.example"]
    made += ["-addext", "subjectAltName=DNS:monit.example", "-keyout", str(cert), "-out", str(tmp_path / "ca")]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    cert.write_bytes(cert.read_bytes() + (tmp_path / "ca").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert)

    def answered(visitor: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(visitor, server_side=True) as inside:
            inside.recv(65536)
            inside.sendall(b"HTTP/1.0 200 OK\r\n\r\nwhole")  # without a length: its end is the end

    deadline = Deadline(20)
    with (
        serving(answered) as port,
        Ssh(**sshd.options(via=via)).open(HOST, deadline) as shell,
        shell.forward("127.0.0.1", port) as dial,
    ):
        tls = Tls(ca_file=str(tmp_path / "ca"))
        with Client(f"https://monit.example:{port}", deadline, tls=tls, dial=dial) as http:
            assert http.get("/").body == b"whole"
        with (
            pytest.raises(SourceError, match="no trusted TLS connection"),
            Client(f"https://another.example:{port}", deadline, tls=tls, dial=dial) as http,
        ):
            http.get("/")


@pytest.mark.parametrize("place", ["-oProxyCommand=id", "a b", ""])
def test_what_is_no_name_of_a_host_is_not_forwarded_to(sshd: sshd_server.Sshd, via: str, place: str) -> None:
    with Ssh(**sshd.options(via=via)).open(HOST, Deadline(20)) as shell, pytest.raises(SourceError) as caught:
        shell.forward(place, 80)
    assert caught.value.kind is GapKind.REJECTED


def test_one_session_at_a_time_is_enough(sshd: sshd_server.Sshd, via: str) -> None:
    with sshd_server.running(room=sshd.room, sessions=1) as server:  # noqa: SIM117 - the one in the other
        with Ssh(**server.options(via=via)).open(HOST, Deadline(20)) as shell:
            assert [shell.run(["true"]).status for _ in range(4)] == [0] * 4


def test_a_host_that_opens_no_session_says_so(sshd: sshd_server.Sshd, via: str) -> None:
    with (
        sshd_server.running(room=sshd.room, sessions=0) as server,
        pytest.raises(SourceError) as caught,
        Ssh(**server.options(via=via)).open(HOST, Deadline(20)) as shell,
    ):
        shell.run(["true"])
    assert caught.value.kind is GapKind.UNAVAILABLE
    assert "MaxSessions" in caught.value.hint


def test_a_connection_that_breaks_is_said(inner: sshd_server.Sshd, via: str) -> None:
    with Ssh(**inner.options(via=via)).open(HOST, Deadline(20)) as shell:
        assert shell.run(["true"]).status == 0
        threading.Timer(0.3, inner.hang_up).start()
        with pytest.raises(SourceError) as caught:
            shell.run(["sleep", "15"], seconds=18)
    assert caught.value.kind is GapKind.UNREACHABLE


def test_without_the_ssh_program_paramiko_reads_the_configuration(
    sshd: sshd_server.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Include more\nHost app1\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User ops\n  IdentityFile {sshd.key}\n"
        "Match exec true\n  User root\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    deadline = Deadline(20)
    options = Ssh(config=str(config), known_hosts=str(sshd.known_hosts), agent=False)
    with options.open("app1", deadline) as shell:
        assert shell.run(["true"]).status == 0
    (warning,) = deadline.warnings
    assert "Include or Match" in warning
    with pytest.raises(SourceError, match="no ssh program"), Ssh(via="openssh").open("app1", deadline):
        pass


# --- nobody there


@pytest.mark.parametrize("host", ["-oProxyCommand=touch x", "-la", "--", "a b", "", "a\nb", "a;b", "$(id)", "x/../y"])
def test_what_is_no_name_of_a_host_is_refused(sshd: sshd_server.Sshd, via: str, host: str) -> None:
    error = failure(sshd.options(via=via), host)
    assert error.kind is GapKind.REJECTED


@pytest.mark.parametrize("jump", ["-oProxyCommand=touch x", "a b", "", "x;y@z", "a:b:c", "u@-h"])
def test_what_is_no_name_of_a_jump_host_is_refused(sshd: sshd_server.Sshd, via: str, jump: str) -> None:
    assert failure(sshd.options(via=via, jump=(jump,))).kind is GapKind.REJECTED


def test_a_name_that_nobody_has_is_said(sshd: sshd_server.Sshd, via: str) -> None:
    error = failure(sshd.options(via=via), "no-such-host.invalid")
    assert error.kind is GapKind.UNREACHABLE
    assert re.match("the name of no-such-host.invalid .*cannot be resolved", error.message)


def test_a_closed_port_is_said(sshd: sshd_server.Sshd, via: str) -> None:
    with peer(lambda _sock, _request: None) as server:
        port = server.port
    error = failure(sshd.options(via=via, port=port))
    assert error.kind is GapKind.UNREACHABLE
    assert "refuses the connection" in error.message


def test_a_silent_server_is_given_up(sshd: sshd_server.Sshd, via: str) -> None:
    server = Peer(lambda _sock, _request: None)
    started = time.monotonic()
    error = failure(sshd.options(via=via, port=server.port), seconds=2)
    server.close()
    assert time.monotonic() - started < 4
    assert error.kind in (GapKind.TIMEOUT, GapKind.UNREACHABLE)


def test_a_configuration_that_cannot_be_read_is_said(sshd: sshd_server.Sshd, via: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  Nonsense yes\n")
    error = failure(sshd.options(via=via, config=str(config)))
    assert error.kind is GapKind.REJECTED
    assert "SSH configuration" in error.message
