"""What delivering works on: a finished mail, who it is from and to, and what became of it."""

from dataclasses import dataclass

from opsbrief.errors import DeliveryError


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a mail belongs: what later mails about the same incident answer to."""

    incident: str  # the id that every mail about the incident refers to; no mail has it itself
    message: str  # Message-ID of this one
    subject: str  # without "Re: "; clients part a thread where it differs


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail as it is sent, and as it is shown by ``--dry-run``."""

    identity: Identity
    sender: str  # bare address of the envelope; empty for a draft
    recipients: tuple[str, ...]  # bare addresses of the envelope
    data: bytes  # the whole message, lines end with CRLF
    left_out: tuple[str, ...] = ()  # what did not fit, one sentence each


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the relay did not take, and in its words why."""

    address: str
    reason: str  # "550 no such user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a letter."""

    letter: Letter
    relay: str  # "mail.example.com:587 over TLSv1.3" or the program
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()


class OversizeError(DeliveryError):
    """The relay takes no message of this size; ``limit`` is what it takes, in bytes."""

    def __init__(self, message: str, hint: str, limit: int) -> None:
        """Keep the size beside message and hint."""
        super().__init__(message, hint)
        self.limit = limit
