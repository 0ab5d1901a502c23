"""The exception tree and the kinds of gaps. Imports nothing of ours.

OpsbriefError
├── ConfigError      configuration file or option is wrong        exit 2
├── WindowError      a time expression cannot be resolved         exit 2
│   └── NoDeployError  no deploy log knows a deploy in reach      exit 4
├── SourceError      one source (or a piece of it) is lost        never leaves collect
├── BundleError      a bundle cannot be written or read           exit 1
├── DeliveryError    a brief cannot be delivered                  exit 1
└── LockedError      another run holds the lock                   exit 5
"""

from dataclasses import dataclass
from enum import StrEnum


class GapKind(StrEnum):
    """Why something is missing from the evidence; stored in bundles and shown in briefs."""

    UNREACHABLE = "unreachable"  # no connection: name, route, port, TLS
    TIMEOUT = "timeout"  # connected, but not whole within the deadline
    UNAUTHORIZED = "unauthorized"  # 401, 403, wrong key, missing rights
    REJECTED = "rejected"  # the peer refuses the question itself: 4xx, bad target, bad query
    UNAVAILABLE = "unavailable"  # the peer answers but cannot serve it: 5xx, missing index or file, no data
    BAD_ANSWER = "bad_answer"  # an answer that is not what was asked for: HTML, broken JSON, wrong shape
    TRUNCATED = "truncated"  # a limit of ours or theirs cut the answer; the rest is kept
    SKIPPED = "skipped"  # not asked on purpose: option, budget, not configured
    BUG = "bug"  # a defect of opsbrief or a plug-in


class OpsbriefError(Exception):
    """Root of all errors that opsbrief itself raises; the message is one sentence for a person."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the sentence and, apart from it, what to do about it."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence, followed by the hint where there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it is, what it is, what to do."""

    where: str  # "opsbrief.yaml:12:5" or "--since"
    path: str  # "sources.graphite.url", empty for the whole file
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the problem as one line."""
        head = ": ".join(part for part in (self.where, self.path, self.message) if part)
        return f"{head} ({self.hint})" if self.hint else head


class ConfigError(OpsbriefError):
    """The configuration or an option is wrong; carries every mistake found, not just the first."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        """Keep all problems; the message is one line each."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class WindowError(OpsbriefError):
    """A time expression is wrong, or cannot be resolved to an instant."""

    exit_code = 2


class NoDeployError(WindowError):
    """Every deploy log was asked and none knows a deploy in reach."""

    exit_code = 4


class SourceError(OpsbriefError):
    """A source, or the rest of it, is lost. Becomes a Gap; never leaves collect.py."""

    def __init__(self, kind: GapKind, message: str, hint: str = "") -> None:
        """Keep the kind beside message and hint."""
        super().__init__(message, hint)
        self.kind = kind


class BundleError(OpsbriefError):
    """A bundle cannot be written or read."""


class DeliveryError(OpsbriefError):
    """A finished brief cannot be delivered; the bundle stays."""


class LockedError(OpsbriefError):
    """Another run holds the lock."""

    exit_code = 5
