"""What the answers of GitHub and GitLab have in common: pages, rate limits, environments."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import TimeKind, utc

if TYPE_CHECKING:
    from opsbrief.transport.answer import Answer

PAGE = 100  # the most that either gives at once


@dataclass(frozen=True, slots=True)
class Course:
    """What is known of how one deploy went, and which instant of it stands for it."""

    started: datetime | None
    ended: datetime | None
    created: datetime  # of its record, which may have waited long for its turn

    def instant(self, *, late: bool) -> tuple[datetime, TimeKind]:
        """Return its end if ``late``, else its start; the other one, then that of the record, where it is not known."""
        known = [(self.started, TimeKind.DEPLOY_START), (self.ended, TimeKind.DEPLOY_END)]
        for at, kind in reversed(known) if late else known:
            if at:
                return at, kind
        return self.created, TimeKind.EVENT_TIME


class Pages:
    """The pages of a list, asked one by one, at most ``most``; ``more`` is true when the last one had a next.

    Only whether a next page is announced is taken from an answer; its address is never followed.
    """

    def __init__(self, ask: "Callable[[int], Answer]", most: int) -> None:
        """Take how page 1, 2, ... is asked for."""
        self.more = False
        self._ask = ask
        self._most = most

    def __iter__(self) -> "Iterator[Answer]":
        """Yield the answers."""
        for number in range(1, self._most + 1):
            answer = self._ask(number)
            headers = answer.headers
            self.more = 'rel="next"' in headers.get("link", "") or bool(headers.get("x-next-page", "").strip())
            yield answer
            if not self.more:
                return


def accepted(answer: "Answer", what: str) -> "Answer":
    """Return the answer of a request that allows 403, 404 and 429. Raises SourceError with what the status means."""
    if answer.status < 400:
        return answer
    if answer.status == 404:
        raise SourceError(
            GapKind.REJECTED,
            f"there is no {what}, or this login may not see it: HTTP 404 says either",
            "check its name, and that the token may read deployments of it",
        )
    said = f"HTTP {answer.status}: {answer.excerpt()}"
    left = next((answer.headers[name] for name in _names("remaining") if name in answer.headers), "")
    reset = next((answer.headers[name] for name in _names("reset") if name in answer.headers), "")
    if answer.status == 429 or left.strip() == "0" or "retry-after" in answer.headers or "rate limit" in said.lower():
        raise SourceError(GapKind.UNAVAILABLE, f"the rate limit is used up{_until(reset)}: {said}", _LIMIT)
    raise SourceError(GapKind.UNAUTHORIZED, said, f"the token lacks the right to read deployments of {what}")


_LIMIT = "give a token of its own (without one the limit is far lower), or ask for fewer deploys: most"


def _names(what: str) -> tuple[str, ...]:
    return f"x-ratelimit-{what}", f"ratelimit-{what}"


def _until(reset: str) -> str:
    """Return when the limit ends, where the answer says it as an epoch."""
    if reset.strip().isdigit() and time.time() - 86400 < int(reset) < time.time() + 30 * 86400:
        return f" until {utc(int(reset)):%Y-%m-%d %H:%M:%S} UTC"
    return ""


def fits(environment: str, wanted: Iterable[str]) -> bool:
    """Return whether an environment is one of those wanted (``*`` and ``?`` allowed)."""
    return any(fnmatchcase(environment, one) for one in wanted)


def only(wanted: tuple[str, ...]) -> str:
    """Return the environment to ask the server for, where it is one by its whole name."""
    return wanted[0] if len(wanted) == 1 and not {*"*?["} & {*wanted[0]} else ""
