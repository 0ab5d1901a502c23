"""One host over SSH: what it says of itself now, by commands that only read, as one script over one connection.

Which host: the one that is named, else the one that the analysis chooses (see ``pipeline``). Sockets are counted
twice, some seconds apart.
"""

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import ClassVar, Literal

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Reading
from opsbrief.model.window import Window, utc
from opsbrief.readers.host.parts import named, parts
from opsbrief.readers.host.script import Answer, answers, script
from opsbrief.source import Source, Ssh
from opsbrief.text import clean, decode, line
from opsbrief.transport.deadline import Deadline

_CAP = 2 << 20
_LATE = 60  # seconds by which a clock may differ before that is said
_PAUSE = 60.0  # seconds at most
_NO_ENTRIES = b"-- No entries --"  # says journalctl, also where it may not look
_DENIED = re.compile(
    r"not permitted|permission denied|must be root|access denied|insufficient permission|not seeing messages",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"not found|no such file|not been booted|no journal files", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Source):
    """One host over SSH: sockets, processes, descriptors, memory, kernel and journal messages, packages."""

    gives: ClassVar[frozenset[str]] = frozenset({"readings"})

    host: str = field(default="", metadata={"help": "host to look at; default: the one that deviates most"})
    ssh: Ssh = field(default_factory=Ssh, metadata={"help": "how to get in"})
    port: tuple[int, ...] = field(
        default=(), metadata={"help": "ports on which the service listens, to tell its processes by", "single": True}
    )
    process: tuple[str, ...] = field(
        default=(), metadata={"help": "names of the service's processes, or a word of their arguments", "single": True}
    )
    pause: float = field(default=5.0, metadata={"help": "time between the two counts of sockets", "duration": True})

    def at(self, host: str) -> "Host":
        """See Look."""
        return replace(self, host=host)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Reading per command, two of those that count sockets."""
        host = self.host or next(iter(self.scope.hosts), "")
        if not host:
            raise SourceError(GapKind.REJECTED, "no host is named, and the service has none", "set host, or --host")
        for port in self.port:
            if not 0 < port < 65536:
                raise SourceError(GapKind.REJECTED, f"{port} is no port", "write a number from 1 to 65535")
        for process in self.process:
            if not named(process):
                said = f"{line(process, 80)!r} is no name of a process"
                raise SourceError(GapKind.REJECTED, said, "letters, digits and @ . / : + - _")
        asked = parts(window.whole.start, window.end, self.port, self.process)
        key = secrets.token_hex(12)
        text = script(asked, min(self.pause, _PAUSE, deadline.remaining() / 2), key)
        with self.ssh.open(host, deadline) as shell:
            begun = time.time()
            done = shell.script(text, cap=_CAP, seconds=max(1.0, deadline.remaining() - 1), keep=True)
        found, clock = answers(asked, key, done.stdout, done.stderr)
        if clock is not None and abs(clock - begun) > _LATE:
            way = "ahead" if clock > begun else "behind"
            deadline.warn(f"the clock of {line(host, 80)} is {abs(clock - begun) / 60:.0f} min {way}")
        yield from self._told(found, host, begun)
        if missing := [part.about for part in asked if part.about not in {one.part.about for one in found}]:
            late = done.status == 124
            said = "its time was over before they were asked" if late else line(done.stderr, 300) or "it ended early"
            yield Gap(
                source=self.name,
                what=f"{', '.join(missing)} of {line(host, 80)}",
                kind=GapKind.TIMEOUT if late else GapKind.BAD_ANSWER,
                detail=said,
                hint="raise its timeout" if late else "is there a plain sh?",
            )

    def _told(self, found: list[Answer], host: str, begun: float) -> Iterator[Item | Gap]:
        first = found[0].uptime if found else 0.0
        told: Reading | None = None
        for one in found:
            reading = self._reading(one, host, utc(round(begun + one.uptime - first)))
            yield reading
            if one.part.about == "sockets" and told is None:
                told = reading
        if told and told.state:  # everything else may be missing; without this there is no look
            kind = {"timed out": GapKind.TIMEOUT, "not permitted": GapKind.UNAUTHORIZED}.get(
                told.state, GapKind.UNAVAILABLE
            )
            said = f"{told.state}: {line(told.stderr, 200)}"
            yield Gap(
                source=self.name,
                what=f"sockets of {line(host, 80)}",
                kind=kind,
                detail=said,
                hint="it needs ss (iproute2)",
            )

    def _reading(self, one: Answer, host: str, at: datetime) -> Reading:
        said = decode(one.stderr)
        state = _state(one, said)
        return Reading(
            host=line(host, 200),
            command=one.part.shown,
            exit_status=None if state in ("timed out", "not permitted") else one.status,
            stdout=clean(one.stdout, 65_536),
            stderr=clean(one.stderr, 4000),
            at=at,
            about=one.part.about,
            state=state,
            origin=Origin(
                source=self.name,
                query=f"ssh {line(host, 200)}: {one.part.shown}",
                fetched_at=datetime.now(UTC).replace(microsecond=0),
                bytes=len(one.stdout),
                digest=f"sha256:{sha256(one.stdout).hexdigest()}",
            ),
        )


def _state(one: Answer, said: str) -> Literal["", "not permitted", "not there", "timed out"]:
    """Tell why there is no answer; "" where there is one, be it an error of the command's own."""
    if one.status in (124, 137) or one.status is None:
        return "timed out"
    if one.stdout.strip() not in (b"", _NO_ENTRIES):
        return ""
    if one.status == 126 or _DENIED.search(said):
        return "not permitted"
    if one.status == 127 or _ABSENT.search(said):
        return "not there"
    return ""
