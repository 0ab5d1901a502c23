"""HTTP under a total deadline and a cap of decoded bytes, every failure mapped to a GapKind.

requests does the talking; what it leaves open is closed here: its timeouts are per socket
operation (a dripping peer never ends), it reads answers of any size into memory, it follows
redirects with custom credentials, and it reads proxies and netrc behind the caller's back.
"""

import email.utils
import json
import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import clean
from opsbrief.transport.answer import Answer
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.dial import Dial
from opsbrief.transport.failure import CONNECT, bare, mapped
from opsbrief.transport.login import Auth, Tls

log = logging.getLogger(__name__)

NDJSON = "application/x-ndjson"
_CHUNK = 1 << 18
_LARGE = 1 << 20  # bytes of a body from which on a timer costs less than pieces
_RETRIED = frozenset({429, 502, 503, 504})


def origin(url: str) -> tuple[str, str, int | None]:
    """Return (scheme, host, port) of a URL, with the default port filled in."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class _Wire:
    """Duplicates of the sockets in use, so that another thread can break a read at any point of it."""

    def __init__(self) -> None:
        self._held: dict[Any, socket.socket] = {}
        self._lock = threading.Lock()
        self._released = False

    def hold(self, connection: Any, sock: socket.socket) -> None:  # noqa: ANN401 - urllib3's, of either scheme
        with self._lock:
            old = self._held.pop(connection, None)
            if not self._released:  # by then only a thread that was left behind still connects
                self._held[connection] = sock.dup()
        if old:
            old.close()

    def drop(self, connection: Any) -> None:  # noqa: ANN401 - same
        """Let go of a connection that is closed: a duplicate keeps its socket open, and a server may wait for the end.

        gunicorn waits two seconds for it, and one worker serves nobody else meanwhile.
        """
        with self._lock:
            old = self._held.pop(connection, None) if getattr(connection, "sock", None) is None else None
        if old:
            old.close()

    def cut(self) -> None:
        with self._lock:
            for sock in self._held.values():
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        with self._lock:
            self._released = True
            for sock in self._held.values():
                sock.close()
            self._held.clear()


def _held(base: type[Any], wire: _Wire, dial: Dial | None) -> type[Any]:
    """Return a connection class that hands every socket it opens, or that ``dial`` opens for it, to ``wire``."""

    class Held(base):  # type: ignore[misc] # reason: one class for HTTP and HTTPS connections
        def _new_conn(self) -> socket.socket:
            sock: socket.socket = dial() if dial else super()._new_conn()
            if not dial:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.hold(self, sock)
            return sock

    return Held


class _Adapter(HTTPAdapter):
    """An adapter whose sockets can be broken from outside."""

    def __init__(self, wire: _Wire, dial: Dial | None) -> None:
        self._wire = wire
        self._dial = dial
        super().__init__(pool_maxsize=8, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed through
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._wire, self._dial)


def _pools(wire: _Wire, dial: Dial | None) -> dict[str, type[Any]]:
    pools: dict[str, type[Any]] = {}
    for scheme, pool in (("http", urllib3.HTTPConnectionPool), ("https", urllib3.HTTPSConnectionPool)):
        held = _held(pool.ConnectionCls, wire, dial)
        pools[scheme] = type(f"Held{pool.__name__}", (pool,), {"ConnectionCls": held})
    return pools


class Client:
    """Talks to one configured base URL and to nothing else.

    One client belongs to one ``collect`` call and is closed with it (``with Client(...) as http``).
    Requests of several threads are safe. Every method raises SourceError and nothing else.
    """

    def __init__(  # noqa: PLR0913 - what may be said of a connection; each is optional and named
        self,
        url: str,
        deadline: Deadline,
        *,
        auth: Auth | None = None,
        tls: Tls | None = None,
        proxy: str = "",
        headers: Mapping[str, str] | None = None,
        cap: int = 64 << 20,
        retries: int = 2,
        dial: Dial | None = None,
    ) -> None:
        """Keep base URL and options; no connection is made before the first request.

        ``dial`` makes the connections, in place of going where the URL says; all else stays as the URL has it.
        """
        self.url = url.rstrip("/")
        self._deadline = deadline
        self._cap = cap
        self._retries = retries
        self._tls = tls or Tls()
        self._trust()
        self._wire = _Wire()
        self._headers = {
            "Accept": "application/json",
            "User-Agent": "opsbrief",
            **(headers or {}),
            **(auth.as_headers() if auth else {}),
        }
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._wire, dial))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close every connection."""
        self._session.close()
        self._wire.release()

    def get(self, path: str, params: Sequence[tuple[str, str]] = (), **options: Any) -> Answer:  # noqa: ANN401
        """GET ``path`` (joined to the base URL)."""
        return self.request("GET", path, params=params, **options)

    def post(self, path: str, **options: Any) -> Answer:  # noqa: ANN401
        """POST ``form`` (pairs) or ``json_body`` (any JSON value) to ``path``."""
        return self.request("POST", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        json_body: object = None,
        headers: Mapping[str, str] | None = None,
        allow: Sequence[int] = (),
        repeatable: bool = True,
    ) -> Answer:
        """Ask once, or again where that is safe and there is time, and return the whole answer.

        ``json_body`` is any JSON value; with a Content-Type of NDJSON, a list of them, one a line.
        ``allow`` lists statuses >= 400 that the caller handles itself. ``repeatable=False`` for a
        request that changes something. Raises SourceError with the GapKind of the failure.
        """
        url = self.url + "/" + path.lstrip("/") if path else self.url
        send = dict(headers or {})
        data = None
        if json_body is not None:
            kind = send.setdefault("Content-Type", "application/json")
            parts = json_body if kind == NDJSON and isinstance(json_body, list) else [json_body]
            data = "\n".join([*map(json.dumps, parts), ""]).encode()
        for attempt in range(self._retries + 1):
            last = attempt == self._retries or not repeatable
            try:
                answer = self._follow(method, url, params, form, data, send)
            except SourceError as error:
                if last or error.kind is not GapKind.UNREACHABLE:
                    raise
                self._pause(0.2 * 2**attempt)
                continue
            if answer.status < 400 or answer.status in allow:
                return answer
            if last or answer.status not in _RETRIED or not self._afford(answer, attempt):
                raise _refusal(answer)
        raise SourceError(GapKind.BUG, "no attempt was made")  # not reachable: the last attempt returns or raises

    def _afford(self, answer: Answer, attempt: int) -> bool:
        """Wait as long as the peer asks; False when that is longer than half the time left."""
        asked = _retry_after(answer.headers.get("retry-after", ""))
        wait = 0.3 * 2**attempt if asked is None else asked
        if wait > self._deadline.remaining() / 2:
            return False
        self._pause(wait)
        return True

    def _pause(self, seconds: float) -> None:
        pause = threading.Event()
        with self._deadline.breakable(pause.set):
            pause.wait(self._deadline.remaining(seconds))
        self._deadline.remaining()

    def _follow(
        self,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]],
        form: Sequence[tuple[str, str]] | None,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        for _hop in range(4):
            answer = self._once(method, url, params, form if form is not None else data, headers)
            if answer.status not in {301, 302, 303, 307, 308} or "location" not in answer.headers:
                return answer
            target = urljoin(answer.url, answer.headers["location"])
            if origin(target) != origin(self.url):
                scheme, host, port = origin(target)
                raise SourceError(
                    GapKind.REJECTED,
                    f"redirects to another server, {clean(f'{scheme}://{host}:{port}', 200)}",
                    "not followed, so that no credential travels; configure that URL if it is the right one",
                )
            url, params = target, ()
            if answer.status == 303 or (method == "POST" and answer.status in {301, 302}):
                method, form, data = "GET", None, None
        raise SourceError(GapKind.REJECTED, "redirects in a circle", "check the URL, its scheme and its path")

    def _once(
        self, method: str, url: str, params: Sequence[tuple[str, str]], data: object, headers: Mapping[str, str]
    ) -> Answer:
        left = self._deadline.remaining()
        started = time.monotonic()
        self._deadline.spend(requests=1)
        with self._deadline.breakable(self._wire.cut), mapped(self._deadline, self.url):
            response = self._session.request(
                method,
                url,
                params=list(params),
                data=data,  # type: ignore[arg-type] # reason: bytes or pairs
                headers={**self._headers, **headers},
                stream=True,
                allow_redirects=False,
                timeout=(min(left, CONNECT), left),
                verify=self._verify(),
                cert=self._cert(),
            )
            connection = getattr(response.raw, "connection", None)
            try:
                with response:
                    body = self._read(response)
            finally:
                self._wire.drop(connection)
            # A wire that was cut in the middle of the headers can look like an empty answer.
            self._deadline.remaining()
        log.debug(
            "%s %s -> %d, %d bytes, %.3f s",
            method,
            bare(url),
            response.status_code,
            len(body),
            time.monotonic() - started,
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, body, url)

    def _trust(self) -> None:
        """Refuse files that are not there, which requests would call a broken connection; warn of blind trust."""
        for option in ("ca_file", "cert", "key"):
            path = getattr(self._tls, option)
            if path and not Path(path).exists():
                raise SourceError(GapKind.REJECTED, f"there is no file {clean(path, 200)}", f"tls.{option} names it")
        if self._tls.insecure and origin(self.url)[0] == "https":
            # Said once, in the brief, in place of a Python warning at every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            who = "tls.insecure: anybody on the way could have answered in its place"
            self._deadline.warn(f"the certificate of {bare(self.url)} is not checked ({who})")

    def _verify(self) -> bool | str:
        return False if self._tls.insecure else self._tls.ca_file or True

    def _cert(self) -> tuple[str, str] | str | None:
        if not self._tls.cert:
            return None
        return (self._tls.cert, self._tls.key) if self._tls.key else self._tls.cert

    def _read(self, response: requests.Response) -> bytes:
        """Read the decoded body, looking at clock and cap."""
        length = response.headers.get("content-length", "")
        coded = "content-encoding" in response.headers
        if not coded and length.isdigit() and _LARGE <= int(length) <= self._cap:
            return self._at_once(response)
        chunks: list[bytes] = []
        size = 0
        # read1 returns what is there; read and iter_content wait for a full chunk and never see the clock.
        while chunk := response.raw.read1(_CHUNK, decode_content=coded):
            size += len(chunk)
            chunks.append(chunk)
            self._deadline.spend(size=len(chunk))
            self._deadline.remaining()
            if size > self._cap:
                raise SourceError(
                    GapKind.TRUNCATED,
                    f"answered more than {self._cap >> 20} MiB; dropped",
                    "ask for fewer series or lines",
                )
        return b"".join(chunks)

    def _at_once(self, response: requests.Response) -> bytes:
        """Read a body of known length straight into its place: a third less work than pieces that are joined.

        Such a read sees no clock, so a timer cuts the wire when the time is over.
        """
        timer = threading.Timer(self._deadline.remaining(), self._wire.cut)
        timer.daemon = True
        timer.start()
        try:
            body: bytes = response.raw.read(decode_content=False)
        finally:
            timer.cancel()
        self._deadline.spend(size=len(body))
        return body


def _retry_after(value: str) -> float | None:
    if value.strip().isdigit():
        return float(value)
    with suppress(ValueError, TypeError, IndexError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _refusal(answer: Answer) -> SourceError:
    said = f"HTTP {answer.status}: {answer.excerpt()}"
    if answer.status in {401, 407}:
        return SourceError(GapKind.UNAUTHORIZED, said, "check user, password or token of this source")
    if answer.status == 403:
        return SourceError(GapKind.UNAUTHORIZED, said, "this login lacks the right to read here")
    if answer.status == 429 or answer.status >= 500:
        return SourceError(GapKind.UNAVAILABLE, said, "the server is overloaded or broken; try again later")
    return SourceError(GapKind.REJECTED, said)
