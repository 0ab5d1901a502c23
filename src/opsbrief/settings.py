"""Parts of the configuration that later steps read: defaults, redaction, mail. Values only.

They stand apart from ``config`` so that the steps right of the bundle can name them without
reaching the sources through it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Literal

from opsbrief.errors import WindowError
from opsbrief.secret import Secret
from opsbrief.timespec import duration

_WEEKS = 8  # weekly baselines at most
_BEFORE = timedelta(minutes=1), timedelta(days=14)  # least and most length of the time before
_BASELINES = ("before", "before:6h", "last-week", "last-4-weeks", "2-weeks-ago", "none")


def baselines(items: Sequence[str]) -> tuple[timedelta | None, tuple[int, ...]]:
    """Return the length of the stretch before (None: as long as the incident, 0: none) and the weeks back.

    Raises WindowError for what is no baseline.
    """
    before: timedelta | None = timedelta(0)
    weeks: set[int] = set()
    for item in items:
        name, _, length = item.strip().lower().partition(":")
        found = re.fullmatch(r"last-week|last-([0-9]+)-weeks?|([0-9]+)-weeks?-ago", name)
        many, single = (int(found[1] or 1), int(found[2] or 0)) if found else (0, 0)
        if name == "before":
            before = duration(length) if length else None
            if before is not None and not _BEFORE[0] <= before <= _BEFORE[1]:
                raise WindowError(f"{item!r} is no useful baseline", "between before:1m and before:14d")
        elif found and not length and 1 <= (single or many) <= _WEEKS:
            weeks |= {single} if single else set(range(1, many + 1))
        elif name == "none" and not length:
            if len(items) > 1:
                raise WindowError("the baseline 'none' stands alone", "leave it out, or the others")
        else:
            near = get_close_matches(item, _BASELINES, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_BASELINES)}; at most {_WEEKS} weeks"
            raise WindowError(f"there is no baseline {item!r}", hint)
    return before, tuple(sorted(weeks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where a command says nothing else."""

    baseline: tuple[str, ...] = field(
        default=("before", "last-week"),
        metadata={"help": "what the incident is compared with", "single": True, "baseline": True},
    )
    timeout: float | None = field(
        default=None, metadata={"help": "time each source may take, where it says nothing itself", "duration": True}
    )
    out: str = field(default=".", metadata={"help": "folder the bundles are written to", "path": True})

    def __post_init__(self) -> None:
        """Refuse baselines that exclude each other."""
        baselines(self.baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Something personal or secret of your own to take out of the evidence."""

    name: str = field(metadata={"help": "what stands in its place: [name]"})
    regex: re.Pattern[str] = field(metadata={"help": "regular expression"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """What is taken out of the evidence. Credentials are, always."""

    share: Literal["internal", "external"] = field(
        default="internal",
        metadata={"help": "external: pseudonyms instead of hosts, addresses and people, as with --share"},
    )
    patterns: tuple[Pattern, ...] = field(default=(), metadata={"help": "patterns of your own"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """How a brief is sent."""

    smtp: str = field(default="", metadata={"help": "host name of the mail relay"})
    port: int = field(default=0, metadata={"help": "0: 587 with starttls, 465 with implicit, 25 with none"})
    tls: Literal["starttls", "implicit", "none"] = field(
        default="starttls", metadata={"help": "how the connection is protected; a password is only sent when it is"}
    )
    ca_file: str = field(default="", metadata={"help": "CA certificates to believe", "path": True})
    user: str = field(default="", metadata={"help": "user to log in as; empty: no login"})
    password: Secret | None = field(default=None, metadata={"help": "its password, by reference"})
    sendmail: tuple[str, ...] = field(
        default=(), metadata={"help": "program and options instead of SMTP, e.g. [/usr/sbin/sendmail, -t, -i]"}
    )
    sender: str = field(metadata={"help": "address the mail comes from", "key": "from"})
    to: tuple[str, ...] = field(default=(), metadata={"help": "addresses it goes to", "single": True})
    timeout: float = field(
        default=60.0, metadata={"help": "time the sending may take, retries included", "duration": True}
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if bool(self.smtp) == bool(self.sendmail):
            raise ValueError("give either smtp or sendmail")
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together")
        if self.password is not None and self.tls == "none":
            raise ValueError("a password is only sent over TLS: take tls: starttls or implicit, or leave user out")
        for address in (self.sender, *self.to):
            mailbox(address)


def mailbox(text: str) -> tuple[str, str]:
    """Return display name and bare address of "name@host" or "Name <name@host>"; ValueError when it is neither."""
    if not (match := _MAILBOX.fullmatch(text.strip())) or len(text) > 320:
        raise ValueError(f"{text[:80]!r} is no mail address; it should look like name@example.com")
    return (match["name"] or "").strip().strip('"'), match["bare"] or match["inner"]


_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # no quotes, blanks, brackets: nothing that means something in a header
_BARE = (
    rf"{_WORD}(?:\.{_WORD})*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_MAILBOX = re.compile(rf"(?P<bare>{_BARE})|(?P<name>[^<>]*)<(?P<inner>{_BARE})>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Where a finished brief goes."""

    mail: Mail | None = field(default=None, metadata={"help": "the mail relay and the addresses"})
