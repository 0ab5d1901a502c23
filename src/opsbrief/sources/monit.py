"""Monit: restarts, failures and recoveries from its log; what runs now, and since when, from its status.

The log is the history: a file, or the page that Monit shows it on, which takes a full user. The status knows only
the present, and carries the administrator's password; see ``alarms.status``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item, Origin
from opsbrief.model.scope import called
from opsbrief.model.window import Span, Window, utc
from opsbrief.readers.alarms import clock, files, monit, status
from opsbrief.readers.alarms.whose import Whose
from opsbrief.source import Ssh, Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

if TYPE_CHECKING:
    from opsbrief.transport.dial import Dial
    from opsbrief.transport.ssh import Shell

_BEFORE = timedelta(hours=1)  # read before the window, to know what was wrong already
_SAME = timedelta(minutes=2)  # a process that began so close behind a restart in the log is that restart
_HOST = "{host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monit(Web):
    """Monit by HTTP, its log and status as files, or both of them from the hosts themselves."""

    gives: ClassVar[frozenset[str]] = frozenset({"events", "alarms"})

    url: str = field(
        default="",
        metadata={
            "help": "Monit's own pages: http://app1:2812; {host} stands for each host; "
            "with ssh as the host itself sees them: http://127.0.0.1:2812",
            "url": True,
        },
    )
    path: str = field(default="", metadata={"help": "the status as a file: /_status?format=xml, saved", "path": True})
    log: str | tuple[str, ...] = field(
        default=(), metadata={"help": "log file or glob, or a list of them; also of syslog", "path": True}
    )
    host: str = field(default="", metadata={"help": r"host, or a regex on the path of the files: ([a-z0-9]+)/monit"})
    zone: str = field(default="", metadata={"help": "time zone of old stamps, which name none; default: the window's"})
    ssh: Ssh | None = field(
        default=None,
        metadata={"help": "log, path and url are of the host, or of each host of the service; how to get in"},
    )
    services: tuple[str, ...] = field(
        default=(), metadata={"help": "only these services of Monit, with * and ?; default: all"}
    )

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield an Event for each restart, failure and recovery of the window and the time before it."""
        yield from self.alarms(window.whole, window.zone, deadline)

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:
        """See AlarmLog."""
        logs = (self.log,) if isinstance(self.log, str) else self.log
        if not (self.url or self.path or logs):
            raise SourceError(GapKind.REJECTED, f"{self.name} has no url, log or path", "log: /var/log/monit.log")
        told: list[Event] = []
        if self.ssh:
            yield from self._remote(self.ssh, logs, span, zone, deadline)
            return
        if logs:
            for item in self._files(logs, span, zone, deadline):
                if isinstance(item, Event):
                    told.append(item)
                yield item
        if self.path:
            yield from self._file(span, told, deadline, history=bool(logs))
        if self.url:
            yield from self._web(span, zone, told, deadline, history=bool(logs))

    # --- the log

    def _files(self, logs: tuple[str, ...], span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:
        shelf = files.Shelf(self.name, logs)
        start, end = (span.start - _BEFORE).timestamp(), span.end.timestamp()
        lines = shelf.read(start, end, monit.reader(self._zone(zone), span.end), deadline)
        yield from self._lines(shelf, lines, span, "")

    def _lines(
        self, shelf: files.Shelf, lines: Iterator[tuple[Path, float, bytes]], span: Span, on: str
    ) -> Iterator[Event | Gap]:
        now = datetime.now(UTC).replace(microsecond=0)
        tales: dict[str, monit.Tale] = {}
        for path, at, text in lines:
            if not (found := monit.record(text)):
                continue
            host = self._called(on or found.host or self._host_of(path))
            tale = tales.setdefault(host, monit.Tale())
            yield from self._told(tale, at, found, host, span, partial(files.origin, self.name, path, text, now))
        yield from shelf.gaps
        yield from self._holes(shelf.first, span, tales)

    def _remote(
        self, ssh: Ssh, logs: tuple[str, ...], span: Span, zone: str, deadline: Deadline
    ) -> Iterator[Event | Gap]:
        """Read log, status and pages on each host, over SSH, a connection a host."""
        hosts = (self.host,) if self.host and "(" not in self.host else self.scope.hosts
        if not hosts:
            raise SourceError(GapKind.REJECTED, f"{self.name} has ssh, but no host is known", "set host, or hosts")
        if self.proxy:
            raise SourceError(
                GapKind.REJECTED, f"{self.name} has ssh and a proxy", "through SSH there is none; drop it"
            )
        reader = monit.reader(self._zone(zone), span.end)

        def ask(host: str) -> list[Event | Gap]:
            found: list[Event | Gap] = []
            with ssh.open(host, deadline) as shell:
                if logs:
                    shelf = files.Shelf(self.name, logs)
                    start, end = (span.start - _BEFORE).timestamp(), span.end.timestamp()
                    found += self._lines(shelf, shelf.hold(shell.files(logs), start, end, reader), span, host)
                if self.path:
                    told = [item for item in found if isinstance(item, Event)]
                    for name, _, body in shell.files([self.path], cap=2 * status.CAP):
                        origin = partial(files.origin, self.name, Path(f"{host}:{name}"), body)
                        found += self._present(status.parse(body), host, span, told, origin)
                    found += [] if logs or self.url else [self._no_history(host)]
                if self.url:
                    found += self._forwarded(shell, span, zone, found, deadline, history=bool(logs))
            return found

        for host, found in side_by_side(ask, hosts, deadline):
            if isinstance(found, SourceError):
                yield self._gap(f"alarms of {line(host, 80)}", found.kind, found.message, found.hint)
            else:
                yield from found

    def _forwarded(
        self, shell: "Shell", span: Span, zone: str, before: list[Event | Gap], deadline: Deadline, *, history: bool
    ) -> list[Event | Gap]:
        """Ask Monit on the other side of a shell; what was read there ``before`` is kept when that fails."""
        parts = urlsplit(self.url.replace(_HOST, shell.host))
        told = [item for item in before if isinstance(item, Event)]
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            with shell.forward(parts.hostname or "", port) as dial:
                return list(self._server(shell.host, span, zone, told, deadline, history=history, dial=dial))
        except SourceError as error:
            if not before:
                raise
            return [self._gap(f"the pages of Monit on {shell.host}", error.kind, error.message, error.hint)]

    def _page(self, body: bytes, host: str, span: Span, zone: str, asked: tuple[str, str]) -> Iterator[Event | Gap]:
        """Read the page that shows the log; ``asked`` are query and url of its origin."""
        now = datetime.now(UTC).replace(microsecond=0)
        said = monit.viewed(body)
        stamp = monit.reader(self._zone(zone), span.end)(now.timestamp())
        tale, first = monit.Tale(), None
        start, end = (span.start - _BEFORE).timestamp(), span.end.timestamp()
        for text in said.splitlines():
            at = stamp(text)
            if at is None:
                continue
            first = at if first is None else min(first, at)
            if start <= at < end and (found := monit.record(text)):
                origin = partial(
                    Origin, source=self.name, query=f"one line of {asked[0]}", url=asked[1], fetched_at=now,
                    bytes=len(text), digest=f"sha256:{sha256(text).hexdigest()}",
                )  # fmt: skip
                yield from self._told(tale, at, found, host, span, origin)
        if first is None:
            detail = "its page shows no log" if not said.strip() else "no line of its log begins with a time"
            hint = "set log FILE in monitrc, or give this source the log as a file"
            yield self._gap(f"the history of {host}", GapKind.UNAVAILABLE, detail, hint)
        else:
            yield from self._holes(first, span, {host: tale})

    def _told(
        self, tale: monit.Tale, at: float, found: monit.Record, host: str, span: Span, origin: "partial[Origin]"
    ) -> Iterator[Event]:
        whose = Whose((), services=self.services)
        for told in tale.tell(at, found):
            if utc(at) >= span.start and whose.wants(told.service):
                yield Event(
                    at=utc(at), host=host, service=told.service, state=told.state, state_type=told.state_type,
                    kind=told.kind, output=told.output, origin=origin(),
                )  # fmt: skip

    def _holes(self, first: float | None, span: Span, tales: dict[str, monit.Tale]) -> Iterator[Gap]:
        """Yield what of the stretch the log does not cover."""
        if first is not None and first > span.start.timestamp():
            yield self._gap(
                f"alarms before {files.shown(first)}", GapKind.UNAVAILABLE, "the log begins there",
                "rotated files count when log is a glob: monit.log*",
            )  # fmt: skip
        for host, tale in tales.items():
            for begin, end in files.pauses(tale.runs, span.start.timestamp(), span.end.timestamp()):
                yield self._gap(
                    f"alarms of {host or 'this host'} from {files.shown(begin)} to {files.shown(end)}",
                    GapKind.UNAVAILABLE,
                    "Monit did not run",
                )

    # --- the status

    def _file(self, span: Span, told: list[Event], deadline: Deadline, *, history: bool) -> Iterator[Event | Gap]:
        path = Path(self.path).expanduser()
        try:
            if not path.is_file():
                raise SourceError(GapKind.UNAVAILABLE, f"there is no file {line(str(path))}", "check path")
            with path.open("rb") as file:
                body = file.read(status.CAP + 1)
        except OSError as error:
            kind = GapKind.UNAUTHORIZED if isinstance(error, PermissionError) else GapKind.UNAVAILABLE
            raise SourceError(kind, f"cannot read {line(str(path))}: {error.strerror}", "check path and mode") from None
        deadline.spend(size=len(body))
        found = status.parse(body)
        host = self._called(self._host_of(path) or found.host)
        yield from self._present(found, host, span, told, partial(files.origin, self.name, path, body))
        if not history:
            yield self._no_history(host)

    def _web(
        self, span: Span, zone: str, told: list[Event], deadline: Deadline, *, history: bool
    ) -> Iterator[Event | Gap]:
        if _HOST not in self.url:
            yield from self._server("", span, zone, told, deadline, history=history)
            return
        if not self.scope.hosts:
            raise SourceError(GapKind.REJECTED, "the url has {host}, and the service has no hosts", "set its hosts")

        def ask(host: str) -> list[Event | Gap]:
            return list(self._server(host, span, zone, told, deadline, history=history))

        for host, found in side_by_side(ask, self.scope.hosts, deadline):
            if isinstance(found, SourceError):
                yield self._gap(f"alarms of {host}", found.kind, found.message, found.hint)
            else:
                yield from found

    def _server(
        self,
        host: str,
        span: Span,
        zone: str,
        told: list[Event],
        deadline: Deadline,
        *,
        history: bool,
        dial: "Dial | None" = None,
    ) -> Iterator[Event | Gap]:
        """Ask one Monit for its status, and for its log when no file was given; by ``dial``, from the host itself."""
        source = replace(self, url=self.url.replace(_HOST, host))
        over = host if dial else ""
        with source.client(deadline, dial=dial) as http:
            answer = http.get("/_status", [("format", "xml")], headers={"Accept": "text/xml"})
            ahead = clock.off(answer.headers.get("date", ""), datetime.now(UTC))
            body = answer.body
            found = status.parse(body)
            name = host or self._called(("" if "(" in self.host else self.host) or found.host)
            if not history:
                answer = http.get("/_viewlog", headers={"Accept": "text/html"}, allow=(403, 404))
                if answer.status == 200:
                    log = list(self._page(answer.body, name, span, zone, source.asked("/_viewlog", over)))
                    told = [*told, *(item for item in log if isinstance(item, Event))]
                    yield from log
                elif answer.status == 403:
                    yield self._gap(
                        f"the history of {name}", GapKind.UNAUTHORIZED, "Monit shows its log to full users only (403)",
                        "give auth a user that is not read-only, or this source the log as a file",
                    )  # fmt: skip
                else:
                    yield self._no_history(name)
        query, url = source.asked("/_status?format=xml", over)
        origin = partial(
            Origin, source=self.name, query=query, url=url, bytes=len(body), digest=f"sha256:{sha256(body).hexdigest()}"
        )
        if ahead:
            what, hint = f"the exact times of {name}", "let both machines set their clocks by NTP"
            yield self._gap(what, GapKind.BAD_ANSWER, clock.said(ahead), hint)
        yield from self._present(found, name, span, told, lambda now: origin(fetched_at=now), ahead)

    def _present(
        self,
        found: status.Status,
        host: str,
        span: Span,
        told: list[Event],
        origin: Callable[[datetime], Origin],
        ahead: timedelta = timedelta(),
    ) -> Iterator[Event]:
        """Yield what is wrong now and which processes began in the stretch, unless the log told it.

        The status is of now, whatever the clock there says: its times are put right where that is ``ahead``.
        """
        now = origin(datetime.now(UTC).replace(microsecond=0))
        whose = Whose((), services=self.services)
        for service in found.services:
            if service.at is None or not whose.wants(service.name):
                continue
            at = service.at - ahead
            mine = [event for event in told if (event.host, event.service) == (host, service.name)]
            last = next((event for event in reversed(mine) if event.kind == "state"), None)
            known = last is not None and last.state != "OK"
            if service.wrong and service.monitored and not known and span.start <= at < span.end:
                said = f"{service.wrong}, says Monit's status" + (f": {service.output}" if service.output else "")
                yield Event(
                    at=at, host=host, service=service.name, state="CRITICAL", state_type="hard",
                    output=said, origin=now,
                )  # fmt: skip
            if service.kind != "process" or service.uptime is None:
                continue
            began = at - timedelta(seconds=service.uptime)
            same = any(event.kind == "restart" and abs(began + ahead - event.at) <= _SAME for event in mine)
            if span.start <= began < span.end and not same:
                yield Event(
                    at=began, host=host, service=service.name, state="RESTART", kind="restart",
                    output="its process began then, by the uptime in Monit's status", origin=now,
                )  # fmt: skip

    # --- small things

    @property
    def shown(self) -> str:
        """The url without user, password and slash at its end."""
        scheme, _, rest = self.url.partition("://")
        place, slash, path = rest.partition("/")
        return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}".rstrip("/")

    def asked(self, path: str, over: str) -> tuple[str, str]:
        """Return query and url of an origin; what was asked ``over`` a host is no link for whoever reads it here."""
        url = f"{self.shown}{path}"
        return (f"ssh {line(over, 200)} curl {url}", "") if over else (f"GET {path}", url)

    def _called(self, name: str) -> str:
        """Return the service's own name of a host; where none is said and there is only one, that one."""
        hosts = self.scope.hosts
        return called(name, hosts) or name or (hosts[0] if len(hosts) == 1 else "")

    def _host_of(self, path: Path) -> str:
        if "(" not in self.host:
            return self.host
        try:
            found = re.search(self.host, str(path))
        except re.error as error:
            raise SourceError(GapKind.REJECTED, f"host is no regular expression: {error}", "") from None
        return line(found[1] or "", 200) if found and found.re.groups else ""

    def _zone(self, window: str) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone or window)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SourceError(
                GapKind.REJECTED,
                f"there is no time zone {line(self.zone or window, 60)!r}",
                "write it as Europe/Berlin",
            ) from None

    def _no_history(self, host: str) -> Gap:
        detail = "Monit's status knows only the present; its log is the history"
        return self._gap(f"the history of {host or 'this host'}", GapKind.UNAVAILABLE, detail, "set log, or url")

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "") -> Gap:
        return Gap(source=self.name, what=what, kind=kind, detail=detail, hint=hint)
