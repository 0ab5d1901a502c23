"""What somebody wants remembered at one instant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

#: The tag that tells what opsbrief wrote itself from what others did.
TAG = "opsbrief"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """A deploy, a fix that is none, or a note; read back by the next brief of the service."""

    kind: Literal["deploy", "fix", "note"]
    at: datetime
    text: str  # one clean line
    ref: str = ""  # the version in it, where there is one
    service: str = ""
