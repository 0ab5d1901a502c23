"""A loopback server that misbehaves on demand: raw sockets, because a well-behaved library cannot."""

import gzip
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Fault = Callable[[socket.socket, bytes], None]


def _head(status: str, *headers: str) -> bytes:
    return ("\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close"]) + "\r\n\r\n").encode()


def answer(body: bytes, status: str = "200 OK", media: str = "application/json", *headers: str) -> Fault:
    """Return a fault-free answer, for bodies that are the fault."""

    def run(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(_head(status, f"Content-Type: {media}", f"Content-Length: {len(body)}", *headers) + body)

    return run


def hang(sock: socket.socket, _request: bytes) -> None:
    while sock.recv(1):
        pass


def drip_headers(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X-Drip: 1\r\n")
        time.sleep(0.05)


def endless_continue(sock: socket.socket, _request: bytes) -> None:
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def drip_body(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked"))
    while True:
        sock.sendall(b"1\r\n[\r\n")
        time.sleep(0.05)


def endless_body(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"1\r\n[\r\n")
    chunk = b"10000\r\n" + b"1," * 32768 + b"\r\n"
    while True:
        sock.sendall(chunk)


def gzip_bomb(sock: socket.socket, _request: bytes) -> None:
    store = io.BytesIO()
    with gzip.GzipFile(fileobj=store, mode="wb") as file:
        for _ in range(300):
            file.write(b" " * (1 << 20))
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Content-Encoding: gzip") + store.getvalue())


def reset(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Content-Length: 5000") + b'[{"a"')
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def silence(_sock: socket.socket, _request: bytes) -> None:
    return


def short_body(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Content-Length: 5000") + b"[]")


def bad_chunk(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"zz\r\n[]\r\n")


def bad_gzip(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "Content-Type: application/json", "Content-Encoding: gzip") + b"no gzip at all")


def garbage(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(b"\x16\x03\x01SSH-2.0-what\r\n\r\n")


def many_headers(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", *(f"X-{number}: y" for number in range(500))) + b"[]")


def long_header(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("200 OK", "X-Long: " + "y" * 100_000) + b"[]")


def redirect_loop(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_head("302 Found", "Location: /again", "Content-Length: 0"))


def echo(sock: socket.socket, request: bytes) -> None:
    """Answer 500 with the request itself, credentials and all, as careless servers do."""
    body = json.dumps({"error": request.decode("latin-1")}).encode()
    answer(body, "500 Internal Server Error")(sock, request)


LOGIN = b"<!doctype html><html><title>Sign in</title><form>password</form></html>"

FAULTS: dict[str, Fault] = {
    "hang": hang,
    "drip_headers": drip_headers,
    "endless_continue": endless_continue,
    "drip_body": drip_body,
    "endless_body": endless_body,
    "gzip_bomb": gzip_bomb,
    "reset": reset,
    "silence": silence,
    "short_body": short_body,
    "bad_chunk": bad_chunk,
    "bad_gzip": bad_gzip,
    "garbage": garbage,
    "many_headers": many_headers,
    "long_header": long_header,
    "redirect_loop": redirect_loop,
    "login_page": answer(LOGIN, media="text/html; charset=utf-8"),
    "login_page_as_json": answer(LOGIN),
    "unauthorized": answer(b"Unauthorized", "401 Unauthorized", "text/plain", "WWW-Authenticate: Basic"),
    "forbidden": answer(b'{"message": "no permissions"}', "403 Forbidden"),
    "too_many": answer(b"slow down", "429 Too Many Requests", "text/plain", "Retry-After: 99999999"),
    "unavailable": answer(b"<html>bad</html>", "503 Service Unavailable", "text/html", "Retry-After: 99999999"),
    "not_found": answer(b"nothing here", "404 Not Found", "text/plain"),
    "server_error": answer(b"Traceback: boom", "500 Internal Server Error", "text/html"),
    "truncated_json": answer(b'[{"target": "a", "datapoints": [[1, 17'),
    "empty": answer(b""),
    "null": answer(b"null"),
    "a_string": answer(b'"fine"'),
    "a_number": answer(b"1e999"),
    "a_list": answer(b"[1, null, [], {}]"),
    "an_object": answer(b'{"a": {"b": [1]}, "hits": 7, "results": "x", "took": []}'),
    "deep": answer(b"[" * 100_000),
    "not_utf8": answer(b'{"a": "\xff\xfe\x00\x1b[31m"}'),
}


class Peer:
    """One listening socket; ``fault`` may be changed while it runs; ``requests`` are what it was asked."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request:
                chunk = sock.recv(65536)
                if not chunk:
                    return
                request += chunk
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            while len(body) < length:
                body += sock.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + body)
            self.fault(sock, self.requests[-1])
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        # close alone leaves the port open until the accept under way has taken one more connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Greeter(Peer):
    """Speaks first, as an SSH server does; what it is asked it never reads."""

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(10)
            self.fault(sock, b"")


def banner_drip(sock: socket.socket, _request: bytes) -> None:
    while True:
        sock.sendall(b"welcome\r\n")
        time.sleep(0.05)


def banner_flood(sock: socket.socket, _request: bytes) -> None:
    while True:
        sock.sendall(b"x" * 65536)


def banner_then_nothing(sock: socket.socket, request: bytes) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    hang(sock, request)


def banner_then_garbage(sock: socket.socket, request: bytes) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)) * 64)
    hang(sock, request)


def banner_of_old(sock: socket.socket, request: bytes) -> None:
    sock.sendall(b"SSH-1.5-old\r\n")
    hang(sock, request)


def banner_with_controls(sock: socket.socket, request: bytes) -> None:
    sock.sendall(b"\x1b[2J\x1b]0;owned\x07no ssh here\r\n")
    sock.shutdown(socket.SHUT_WR)
    hang(sock, request)


#: What goes wrong before anybody is logged in; who listens there speaks first, or never.
GREETINGS: dict[str, Fault] = {
    "hang": hang,
    "closes": silence,
    "drip": banner_drip,
    "flood": banner_flood,
    "then_nothing": banner_then_nothing,
    "then_garbage": banner_then_garbage,
    "old": banner_of_old,
    "controls": banner_with_controls,
    "speaks_http": answer(LOGIN, "400 Bad Request", "text/html"),
}


@contextmanager
def greeter(fault: Fault) -> Iterator[Peer]:
    """Run a peer that speaks first, for one test."""
    server = Greeter(fault)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def peer(fault: Fault) -> Iterator[Peer]:
    """Run a peer for one test."""
    server = Peer(fault)
    try:
        yield server
    finally:
        server.close()
