"""What can go wrong on the way, in words a person can act on.

Maps everything that requests, urllib3 and the socket raise to one SourceError, once, at the border.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import clean
from opsbrief.transport.deadline import Deadline

CONNECT = 5.0  # seconds for one address; the deadline bounds the sum


def bare(url: str) -> str:
    """Return a URL without user, password and query, safe to print."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


@contextmanager
def mapped(deadline: Deadline, base: str) -> Iterator[None]:
    """Turn whatever requests, urllib3 and the socket raise into one SourceError."""
    try:
        yield
    except SourceError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        where = bare(base)
        if deadline.expired:
            raise SourceError(
                GapKind.TIMEOUT,
                f"{where} did not answer whole within {deadline.seconds:g} s",
                "raise its timeout or ask for less",
            ) from None
        raise _translate(error, where) from None


#: Names of exceptions of which one is among the causes -> kind, sentence, hint; the first row that fits.
_TABLE: tuple[tuple[frozenset[str], GapKind, str, str], ...] = (
    (
        frozenset({"ProxyError"}),
        GapKind.UNREACHABLE,
        "the proxy on the way to {where} does not let us through",
        "check the option proxy",
    ),
    (
        frozenset({"SSLError", "SSLCertVerificationError", "SSLZeroReturnError"}),
        GapKind.UNREACHABLE,
        "no trusted TLS connection to {where}: {reason}",
        "set tls.ca_file to the server's CA, or check the host name and port",
    ),
    (
        frozenset({"NameResolutionError", "gaierror"}),
        GapKind.UNREACHABLE,
        "the name of {where} cannot be resolved",
        "check the host name",
    ),
    (
        frozenset({"ConnectionRefusedError"}),
        GapKind.UNREACHABLE,
        "{where} refuses the connection",
        "is the server running on this port?",
    ),
    (
        frozenset({"ConnectTimeoutError", "ConnectTimeout"}),
        GapKind.UNREACHABLE,
        f"no connection to {{where}} within {CONNECT:g} s",
        "is the address right, is a firewall between?",
    ),
    (
        frozenset({"ReadTimeoutError", "ReadTimeout", "TimeoutError"}),
        GapKind.TIMEOUT,
        "{where} did not answer in time",
        "raise its timeout or ask for less",
    ),
    (
        frozenset({"DecodeError", "ContentDecodingError"}),
        GapKind.BAD_ANSWER,
        "{where} sent a compressed body that cannot be unpacked",
        "",
    ),
    (
        frozenset(
            {"IncompleteRead", "InvalidChunkLength", "InvalidHeader", "LineTooLong", "BadStatusLine", "HTTPException"}
        ),
        GapKind.BAD_ANSWER,
        "{where} sent a broken or cut-off HTTP answer",
        "",
    ),
    (
        frozenset({"InvalidURL", "InvalidSchema", "MissingSchema", "LocationParseError", "InvalidProxyURL"}),
        GapKind.REJECTED,
        "the URL {where} cannot be used",
        "it should look like https://host:port/path",
    ),
)


def _translate(error: Exception, where: str) -> SourceError:
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    reasons = [getattr(cause, "verify_message", "") or getattr(cause, "reason", "") for cause in causes]
    told = next((reason for reason in reasons if reason and isinstance(reason, str)), "the handshake failed")
    reason = clean(told.replace("_", " ").lower() if told.isupper() else told, 200)
    for known, kind, sentence, hint in _TABLE:
        if names & known:
            return SourceError(kind, sentence.format(where=where, reason=reason), hint)
    return SourceError(
        GapKind.UNREACHABLE,
        f"the connection to {where} broke ({type(error).__name__})",
        "is the server running, and is this its port?",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything it wraps, in requests', urllib3's and Python's ways."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        cause = queue.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        queue.extend(found for found in inner if isinstance(found, BaseException))
