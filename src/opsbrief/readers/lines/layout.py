"""How a file's lines are built, and the records they make.

A layout finds the heads of records in a block (a line without a head, such as that of a stack trace,
belongs to the record before it) and makes a LogRecord of the few that are kept.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from opsbrief.model.evidence import LogRecord
from opsbrief.readers.lines import level
from opsbrief.readers.lines.stamp import Clock, Form, behind
from opsbrief.text import LINE_CAP, clean, decode, line

_REACH = 140  # bytes behind the stamp in which a level is looked for
_LEAD = re.compile(r"\A[\s\]|:,-]*(?:\[?(?:[A-Za-z]+:)?([A-Za-z]+)\]?(?:\s*[|:-])?\s+)?")
_SEPARATORS = re.compile(r"\A[\s\]]*(?:[-|:] )?")
_RFC3164 = re.compile(r"\A\s*([\w.:-]+) ([\w./@-]+)(?:\[(\d+)\])?:\s?")
_RSYSLOG = re.compile(r"\A\s([\w.-]+) ([\w./@-]+)\[(\d+)\]:\s?")
_RFC5424 = re.compile(r'\A\s(\S+) (\S+) (\S+) \S+ (?:-|(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+)\s?')


#: Where a record begins (the offset of the line break before it), its level, and its time: the text to the second
#: and what else decides the instant. A plain tuple, since one is made of every line there is.
Head = tuple[int, str, bytes, bytes | None]


class Layout(Protocol):
    """One way to build lines."""

    @property
    def name(self) -> str:
        """What the lines look like, for people."""

    def heads(self, block: bytes) -> list[Head]:
        """Return the records that begin in ``block``; it begins with a line break or in the middle of a line."""

    def epoch(self, text: bytes, rest: bytes | None) -> int:
        """Return the second of a head's time. Raises ValueError when there is no such time."""

    def record(self, raw: bytes, at: int, level: str, cut: int) -> LogRecord:
        """Return the record of these bytes, which begin at its first line; ``cut`` bytes were left off."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Lines that begin with a stamp."""

    form: Form
    clock: Clock

    @property
    def name(self) -> str:
        """See Layout."""
        return f"lines with {self.form.name} stamps"

    def heads(self, block: bytes) -> list[Head]:
        """See Layout."""
        search, names, inside = level.SEARCH.search, level.NAMES, self.form.inside
        found = []
        for match in self.form.head.finditer(block):
            hint, second, rest = match.groups()
            if hint:
                name = level.priority(hint) if hint.isdigit() else level.normal(hint.decode())
            else:
                near = match.start() + 1 if inside else match.end()
                word = search(block, near, near + _REACH)
                name = names.get(word[word.lastindex or 0], "") if word else ""
            found.append((match.start(), name, second, rest))
        return found

    def epoch(self, text: bytes, rest: bytes | None) -> int:
        """See Layout."""
        return self.form.read(self.clock, text, rest)

    def record(self, raw: bytes, at: int, level: str, cut: int) -> LogRecord:
        """See Layout. The stamp is left off the body; of syslog's, host and program go to the resource."""
        match = self.form.head.match(b"\n" + raw)
        if match is None:  # not reachable: these bytes were found by this pattern
            return LogRecord(timestamp=datetime.fromtimestamp(at, UTC), body=clean(raw), severity_text=level)
        text = decode(raw[match.end() - 1 :])
        attributes: dict[str, str] = {}
        resource: dict[str, str] = {}
        if found := self._syslog(match, text):
            text = text[found.end() :]
            resource = {key: line(found[number]) for key, number in (("host.name", 1), ("service.name", 2))}
            if found[3]:
                attributes["process.pid"] = line(found[3])
        elif self.form.name == "access log" or self.form.inside:
            text = decode(raw[: match.start(2) - 1]).rstrip("[ ") + " " + text.lstrip(" ]")
        return LogRecord(
            timestamp=datetime.fromtimestamp(at, UTC) + timedelta(microseconds=behind(raw, match.end(2) - 1)),
            body=body(_lead(text, level), cut),
            severity_text=level,
            attributes=attributes,
            resource={key: value for key, value in resource.items() if value != "-"},
        )

    def _syslog(self, match: re.Match[bytes], text: str) -> re.Match[str] | None:
        if self.form.name == "syslog":
            return _RFC3164.match(text)
        if match[0].startswith(b"\n<") and b">1 " in match[0]:
            return _RFC5424.match(text)
        return _RSYSLOG.match(text) if self.form.name == "ISO 8601" else None


def _lead(text: str, name: str) -> str:
    """Return the text without what stands between stamp and message: brackets, and the level already known."""
    found = _LEAD.match(text)
    if found and found[1] and name and level.normal(found[1]) == name:
        return text[found.end() :]
    return _SEPARATORS.sub("", text)


def body(text: str, cut: int) -> str:
    """Return the text clean, without line breaks at its end, and with what was cut said."""
    shown = clean(text.rstrip("\r\n"), LINE_CAP)
    return f"{shown}… (+{cut:,} bytes)" if cut else shown


@dataclass(frozen=True, slots=True)
class Custom:
    """Lines that match a configured pattern with the groups time, level, message and host."""

    pattern: re.Pattern[bytes]
    read: "Reader"
    name: str = "lines that match the pattern"

    def heads(self, block: bytes) -> list[Head]:
        """See Layout."""
        found: list[Head] = []
        offset = block.find(b"\n")
        while offset >= 0:
            end = block.find(b"\n", offset + 1)
            match = self.pattern.match(block, offset + 1, end if end >= 0 else len(block))
            if match and (time := match["time"]):
                found.append((offset, self._level(match), time, None))
            offset = end
        return found

    def _level(self, match: re.Match[bytes]) -> str:
        if "level" in self.pattern.groupindex:
            return level.normal(decode(match["level"] or b""))
        return level.find(match.string, match.start(), match.end())

    def epoch(self, text: bytes, rest: bytes | None) -> int:  # noqa: ARG002 - the pattern's time is one piece
        """See Layout."""
        return int(self.read(text))

    def record(self, raw: bytes, at: int, level: str, cut: int) -> LogRecord:
        """See Layout. With a group ``message`` the rest of the first line is left off."""
        first, _, more = raw.partition(b"\n")
        match = self.pattern.match(first)
        groups = {key: decode(value) for key, value in (match.groupdict() if match else {}).items() if value}
        text = groups.get("message") or decode(first)
        if more:
            text += "\n" + decode(more)
        exact = self.read(groups["time"].encode()) if "time" in groups else float(at)
        return LogRecord(
            timestamp=datetime.fromtimestamp(exact, UTC),
            body=body(text, cut),
            severity_text=level,
            resource={"host.name": line(groups["host"])} if "host" in groups else {},
        )


class Reader(Protocol):
    """Reads a configured stamp."""

    def __call__(self, text: bytes, /) -> float:
        """Return epoch seconds. Raises ValueError when it is none."""
