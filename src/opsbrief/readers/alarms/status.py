"""Monit's status as XML: what runs now, and since when.

The document holds the administrator's user and password in clear text, for everybody who may look at it. Nothing of
that element is ever kept. A DTD is refused, and so are entities: Monit writes none. The document says ISO-8859-1
and carries UTF-8 of what programs print.
"""

from dataclasses import dataclass, field
from datetime import datetime
from xml.parsers import expat

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import utc
from opsbrief.text import line

CAP = 16 << 20  # bytes of a document; a host with a thousand services has one of a megabyte
_DEEP = 40  # levels of elements
_WANTED = {
    ("server", "localhostname"),
    ("server", "uptime"),
    ("server", "version"),
    ("service", "name"),
    ("service", "collected_sec"),
    ("service", "status"),
    ("service", "monitor"),
    ("service", "uptime"),
    ("program", "output"),
}
_SECRET = frozenset({"credentials", "httpd"})
_KINDS = {"0": "filesystem", "1": "directory", "2": "file", "3": "process", "4": "host", "5": "system",
          "6": "fifo", "7": "program", "8": "net"}  # fmt: skip
#: Bits of a service's status, as Monit's own pages name them.
_BITS = {
    0x1: "checksum", 0x2: "resource limit", 0x4: "timeout", 0x8: "timestamp", 0x10: "size", 0x20: "connection",
    0x40: "permission", 0x80: "owner", 0x100: "group", 0x200: "does not exist", 0x400: "invalid type",
    0x800: "data access error", 0x1000: "execution failed", 0x2000: "filesystem flags", 0x4000: "ICMP failed",
    0x8000: "content", 0x10000: "Monit instance", 0x20000: "action done", 0x40000: "PID changed",
    0x80000: "PPID changed", 0x100000: "heartbeat", 0x200000: "program status", 0x400000: "link",
    0x800000: "link speed", 0x1000000: "link saturation", 0x2000000: "upload bytes", 0x4000000: "download bytes",
    0x8000000: "upload packets",
    0x10000000: "download packets", 0x20000000: "exists", 0x40000000: "uptime",
}  # fmt: skip
_PASSING = 0x10000 | 0x20000 | 0x40000 | 0x80000  # tell that something happened, not that something is wrong


@dataclass(slots=True)
class Service:
    """One service as Monit sees it now. ``uptime`` (seconds) is None where there is none: no process, not running."""

    kind: str = ""
    name: str = ""
    at: datetime | None = None
    status: int = 0
    monitored: bool = True
    uptime: int | None = None
    output: str = ""

    @property
    def wrong(self) -> str:
        """What is wrong, in Monit's words; empty when nothing is."""
        bits = self.status & ~_PASSING
        return ", ".join(name for bit, name in _BITS.items() if bits & bit) or ("failed" if bits else "")


@dataclass(slots=True)
class Status:
    """The whole document, without its credentials."""

    host: str = ""
    version: str = ""
    uptime: int | None = None  # seconds since Monit itself was started
    services: list[Service] = field(default_factory=list)


def parse(body: bytes) -> Status:
    """Return what the document says. Raises SourceError(BAD_ANSWER) for what is none of Monit's."""
    if len(body) > CAP:
        raise SourceError(GapKind.TRUNCATED, f"a status of more than {CAP >> 20} MiB is not read")
    try:
        body.decode()
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "iso-8859-1"
    reader = _Reader()
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes no keyword
    except expat.ExpatError as error:
        reason = line(expat.ErrorString(error.code), 100)
        raise SourceError(
            GapKind.BAD_ANSWER, f"is no XML: {reason} in line {error.lineno}", "Monit answers at /_status?format=xml"
        ) from None
    if not reader.monit:
        raise SourceError(GapKind.BAD_ANSWER, "is XML, but not of Monit", "Monit answers at /_status?format=xml")
    return reader.status


def _refuse(*_declared: object) -> None:
    raise SourceError(GapKind.BAD_ANSWER, "has a document type or an entity, which Monit never writes; not read")


class _Reader:
    """Keeps the few elements that are wanted, by their place, and nothing below a secret one."""

    def __init__(self) -> None:
        self.status = Status()
        self.monit = False
        self._path: list[str] = []
        self._secret = 0  # depth at which a secret element began
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) > _DEEP:
            raise SourceError(GapKind.BAD_ANSWER, "is nested deeper than Monit ever writes")
        if len(self._path) == 1:
            self.monit = name == "monit"
        elif name in _SECRET:
            self._secret = self._secret or len(self._path)
        elif name == "service" and not self._secret and "event" not in self._path:
            self.status.services.append(
                Service(kind=_KINDS.get(attributes.get("type", ""), ""), name=line(attributes.get("name", ""), 200))
            )

    def data(self, text: str) -> None:
        if not self._secret and tuple(self._path[-2:]) in _WANTED:
            self._text.append(text)

    def end(self, name: str) -> None:
        place = tuple(self._path[-2:])
        if not self._secret and place in _WANTED:
            self._keep(place[0], name, line("".join(self._text)))
        if self._secret == len(self._path):
            self._secret = 0
        self._path.pop()
        self._text.clear()

    def _keep(self, parent: str, name: str, text: str) -> None:
        if parent == "server":
            if name == "uptime":
                self.status.uptime = _number(text)
            else:
                setattr(self.status, {"localhostname": "host"}.get(name, name), line(text, 200))
            return
        if not self.status.services:
            return
        service = self.status.services[-1]
        if name in {"name", "output"}:
            setattr(service, name, line(text, 300))
        elif name == "collected_sec":
            seconds = _number(text)
            service.at = utc(seconds) if seconds is not None and 0 < seconds < 10**10 else None
        elif name == "status":
            service.status = _number(text) or 0
        elif name == "monitor":
            service.monitored = text != "0"
        else:
            uptime = _number(text)
            service.uptime = uptime if uptime is not None and uptime >= 0 else None


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
