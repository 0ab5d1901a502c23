"""The HTTP transport against a peer that misbehaves: every fault ends in time, with its kind."""

import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.contract.peer import FAULTS, Fault, Peer, answer, peer

from opsbrief.collect import Job, Runner, Tray
from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.answer import Answer
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.http import Client
from opsbrief.transport.login import Auth, Tls

KINDS = {
    GapKind.TIMEOUT: ("hang", "drip_headers", "endless_continue", "drip_body"),
    GapKind.TRUNCATED: ("endless_body", "gzip_bomb"),
    GapKind.UNREACHABLE: ("silence",),
    GapKind.BAD_ANSWER: (
        "reset", "short_body", "bad_chunk", "bad_gzip", "garbage", "many_headers", "long_header", "login_page",
        "login_page_as_json", "truncated_json", "empty", "deep",
    ),
    GapKind.REJECTED: ("redirect_loop", "not_found"),
    GapKind.UNAUTHORIZED: ("unauthorized", "forbidden"),
    GapKind.UNAVAILABLE: ("too_many", "unavailable", "server_error"),
}  # fmt: skip
CASES = [(fault, kind) for kind, faults in KINDS.items() for fault in faults]
TIMEOUT = 1.5


def ask(url: str, timeout: float = TIMEOUT, **options: object) -> Tray[object]:
    def start(deadline: Deadline) -> Iterator[object]:
        with Client(url, deadline, **options) as http:  # type: ignore[arg-type] # reason: options of the test
            yield http.get("/data", [("q", "1")]).json()

    (tray,) = Runner([Job(name="s", timeout=timeout, start=start)]).run()
    return tray


@pytest.mark.parametrize(("fault", "kind"), CASES)
def test_every_fault_ends_in_time_with_its_kind(fault: str, kind: GapKind) -> None:
    # What is too large is only known once so much of it has come: a busy machine may take it.
    timeout = 10 * TIMEOUT if kind is GapKind.TRUNCATED else TIMEOUT
    started = time.monotonic()
    with peer(FAULTS[fault]) as server:
        tray = ask(server.url, timeout)
    assert time.monotonic() - started < timeout + 1.5
    assert not tray.traceback
    assert [gap.kind for gap in tray.gaps] == [kind]


def test_a_bomb_is_dropped_before_it_fills_the_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with peer(FAULTS["gzip_bomb"]) as server:
        ask(server.url, cap=8 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_refused_connection_says_what_to_check() -> None:
    with peer(FAULTS["hang"]) as server:
        url = server.url
    gap = ask(url).gaps[0]
    assert gap.kind is GapKind.UNREACHABLE
    assert "refuses the connection" in gap.detail


def test_a_proxy_that_refuses_is_not_taken_for_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (gap,) = ask("http://graphite.example", proxy=f"http://127.0.0.1:{port}").gaps
    assert "proxy" in gap.detail
    assert gap.hint == "check the option proxy"


def test_a_file_of_tls_that_is_not_there_is_named() -> None:
    (gap,) = ask("https://127.0.0.1:1", tls=Tls(ca_file="/nowhere/ca.pem")).gaps
    assert (gap.kind, gap.detail) == (GapKind.REJECTED, "there is no file /nowhere/ca.pem")
    assert "tls.ca_file" in gap.hint


def test_trust_in_anybody_is_a_warning_once_a_source() -> None:
    deadline = Deadline(1)
    for url in ("https://127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1:1"):
        Client(url, deadline, tls=Tls(insecure=True))
    assert [warning.partition(" (")[0] for warning in deadline.warnings] == [
        "the certificate of https://127.0.0.1:1 is not checked"
    ]


def test_a_name_that_does_not_resolve_is_named() -> None:
    gap = ask("http://no-such-host.invalid").gaps[0]
    assert gap.kind is GapKind.UNREACHABLE
    assert "cannot be resolved" in gap.detail


CREDENTIALS = [
    Auth(user="ops", password="CANARY-1"),
    Auth(bearer="CANARY-1"),
    Auth(api_key="CANARY-1"),
    Auth(headers={"X-Authentication": "CANARY-1"}),
    Auth(headers={"X-Api-Key": "CANARY-1"}),
    Auth(headers={"PRIVATE-TOKEN": "CANARY-1"}),
]


@pytest.mark.parametrize("auth", CREDENTIALS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_credential_follows_a_redirect_to_another_server(auth: Auth, status: str) -> None:
    with peer(answer(b"[]")) as other, peer(answer(b"", status, "text/plain", f"Location: {other.url}/x")) as server:
        tray = ask(server.url, auth=auth)
        assert tray.gaps[0].kind is GapKind.REJECTED
        assert "another server" in tray.gaps[0].detail
        assert other.requests == []
        assert len(server.requests) == 1


def test_a_redirect_on_the_same_server_is_followed() -> None:
    def fault(sock: object, request: bytes) -> None:
        step: Fault = answer(b"", "302 Found", "text/plain", "Location: /there")
        if request.startswith(b"GET /there"):
            step = answer(b"[7]")
        step(sock, request)  # type: ignore[arg-type] # reason: a socket

    with peer(fault) as server:
        assert ask(server.url).items == [[7]]


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:  # noqa: PTH123 - a test's file
        file.write("machine 127.0.0.1 login canary password CANARY\n")
    monkeypatch.setenv("NETRC", netrc)
    with peer(answer(b"[]")) as trap, peer(answer(b"[1]")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url)
        assert ask(server.url).items == [[1]]
        assert trap.requests == []
        assert b"uthorization" not in server.requests[0]


def test_a_configured_proxy_is_used() -> None:
    with peer(answer(b"[2]")) as proxy:
        assert ask("http://graphite.invalid/base", proxy=proxy.url).items == [[2]]
        assert proxy.requests[0].startswith(b"GET http://graphite.invalid/base/data?q=1 ")


def flaky(failures: int) -> Fault:
    left = [failures]

    def fault(sock: object, request: bytes) -> None:
        left[0] -= 1
        step = FAULTS["silence"] if left[0] >= 0 else answer(b"[3]")
        step(sock, request)  # type: ignore[arg-type] # reason: a socket

    return fault


def test_a_dropped_connection_is_tried_again() -> None:
    with peer(flaky(2)) as server:
        assert ask(server.url).items == [[3]]


def test_what_changes_something_is_asked_once() -> None:
    with peer(flaky(1)) as server:
        with Client(server.url, Deadline(2)) as http, pytest.raises(SourceError):
            http.post("/events", json_body={}, repeatable=False)
        assert len(server.requests) == 1


def test_a_short_retry_after_is_honoured() -> None:
    asked: list[float] = []

    def fault(sock: object, request: bytes) -> None:
        asked.append(time.monotonic())
        busy = answer(b"", "429 Too Many", "text/plain", "Retry-After: 1")
        step = busy if len(asked) == 1 else answer(b"[4]")
        step(sock, request)  # type: ignore[arg-type] # reason: a socket

    with peer(fault) as server:
        assert ask(server.url, timeout=4).items == [[4]]
    assert 0.9 < asked[1] - asked[0] < 2.5


def request_of(server: Peer, **options: object) -> bytes:
    with Client(server.url + "/base/", Deadline(2), **options) as http:  # type: ignore[arg-type] # reason: test options
        got: Answer = http.get("/render", [("target", "a b&c"), ("from", "1")])
    assert got.json() == []
    return server.requests[-1]


def test_the_base_path_and_the_parameters_are_kept() -> None:
    with peer(answer(b"[]")) as server:
        assert request_of(server).startswith(b"GET /base/render?target=a+b%26c&from=1 HTTP/1.1\r\n")


def test_each_login_is_sent_as_its_kind() -> None:
    with peer(answer(b"[]")) as server:
        assert b"Authorization: Basic b3BzOnB3\r\n" in request_of(server, auth=Auth(user="ops", password="pw"))
        assert b"Authorization: Bearer tok\r\n" in request_of(server, auth=Auth(bearer="tok"))
        assert b"Authorization: ApiKey key\r\n" in request_of(server, auth=Auth(api_key="key"))


def test_a_connection_the_server_closes_is_let_go_at_once() -> None:
    let_go = threading.Event()

    def fault(sock: socket.socket, request: bytes) -> None:
        answer(b"[5]")(sock, request)
        sock.shutdown(socket.SHUT_WR)
        if sock.recv(1) == b"":
            let_go.set()

    with peer(fault) as server, Client(server.url, Deadline(3)) as http:
        assert http.get("/data").json() == [5]
        assert let_go.wait(1), "the socket is still open while the client lives"


LARGE = 3 << 20


def large(sent: int, wait: float = 0.0) -> Fault:
    """Announce a body of LARGE bytes and send ``sent`` of them, then a byte now and then for ``wait`` seconds."""

    def run(sock: socket.socket, _request: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {LARGE}\r\n\r\n"
        sock.sendall(head.encode() + b"7" * sent)
        until = time.monotonic() + wait
        while time.monotonic() < until:
            sock.sendall(b"7")
            time.sleep(0.05)

    return run


def test_a_large_answer_comes_whole() -> None:
    with peer(large(LARGE)) as server, Client(server.url, deadline := Deadline(30)) as http:
        assert http.get("/data").body == b"7" * LARGE
    assert deadline.bytes == LARGE


def test_a_large_answer_that_drips_ends_with_the_time_though_nobody_watches_the_clock() -> None:
    started = time.monotonic()
    with (
        peer(large(LARGE // 2, 10)) as server,
        Client(server.url, Deadline(1)) as http,
        pytest.raises(SourceError) as caught,
    ):
        http.get("/data")
    assert caught.value.kind is GapKind.TIMEOUT
    assert time.monotonic() - started < 3


def test_a_large_answer_that_is_cut_short_is_no_answer() -> None:
    with (
        peer(large(LARGE // 2)) as server,
        Client(server.url, Deadline(30), retries=0) as http,
        pytest.raises(SourceError) as caught,
    ):
        http.get("/data")
    assert caught.value.kind is GapKind.BAD_ANSWER


def test_a_large_answer_above_the_cap_is_dropped() -> None:
    with (
        peer(large(LARGE)) as server,
        Client(server.url, Deadline(30), cap=LARGE - 1) as http,
        pytest.raises(SourceError) as caught,
    ):
        http.get("/data")
    assert caught.value.kind is GapKind.TRUNCATED
