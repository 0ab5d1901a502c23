"""A small HTTP server for this machine alone: binds loopback, reads what is asked, answers, changes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from opsbrief.text import line

HOST = "127.0.0.1"
_BODY = 16 << 20  # bytes of a request
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request."""

    method: str
    path: str  # decoded, without a slash at the end
    params: tuple[tuple[str, str], ...] = ()  # of the query and of a form, in order
    body: bytes = b""

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of one parameter."""
        return next((value for key, value in reversed(self.params) if key == name), default)

    def all(self, *names: str) -> list[str]:
        """Return every value of the parameters."""
        return [value for key, value in self.params if key in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Server:
    """Answers with one function, in threads of its own, until it is closed.

    Requests whose Host is no name of this machine are refused: a page in a browser could otherwise
    have a name of its own lead here and read everything.
    """

    def __init__(self, answer: Callable[[Question], Reply], port: int = 0) -> None:
        """Bind the port (0: any that is free). Raises OSError."""
        self._server = _Threads((HOST, port), _handler(answer))
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{HOST}:{self.port}"

    def run(self) -> None:
        """Serve until another thread calls ``close`` or Ctrl-C comes."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def close(self) -> None:
        """End ``run``; not from the thread that runs it."""
        self._server.shutdown()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True


def _handler(answer: Callable[[Question], Reply]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "opsbrief"
        sys_version = ""
        timeout = 60  # seconds of silence

        def respond(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")
            name = host[0] if host[1] and host[2].isdigit() else "".join(host)
            if name.lower() not in _NAMES:
                self._send(Reply(body=b"only for this machine\n", status=403, media_type="text/plain"))
                return
            size = self.headers.get("Content-Length", "0")
            if not size.isdigit() or int(size) > _BODY or "Transfer-Encoding" in self.headers:
                self.close_connection = True
                self._send(Reply(body=b"too large, or without a length\n", status=413, media_type="text/plain"))
                return
            kind = self.headers.get("Content-Type", "")
            self._send(answer(_question(self.command, self.path, kind, self.rfile.read(int(size)))))

        do_GET = do_POST = do_HEAD = do_DELETE = respond  # noqa: N815 - the names that the base looks for

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.media_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the name and types of the base
            """Say nothing: the terminal belongs to the command."""

    return Handler


def _question(method: str, target: str, kind: str, body: bytes) -> Question:
    parts = urlsplit(target)
    params = parse_qsl(parts.query, keep_blank_values=True)
    if kind.startswith("application/x-www-form-urlencoded"):
        params += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    path = line(unquote(parts.path), 4000).rstrip("/")
    return Question(method=method, path=path or "/", params=tuple(params), body=body)
