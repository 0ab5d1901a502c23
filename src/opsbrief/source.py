"""The contract of a source. A new source is one file in ``sources/`` and its test."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Event, Gap, Item, Role
from opsbrief.model.marking import Marking
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Deploy, Span, Window
from opsbrief.secret import Secret
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.dial import Dial
    from opsbrief.transport.http import Client
    from opsbrief.transport.ssh import Shell


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(ABC):
    """One configured system. Its fields are its options in the YAML; it holds no connection.

    A field's annotation is its type check, its default makes it optional, and its metadata
    ``{"help": "..."}`` is its line in ``opsbrief sources`` and in the JSON Schema; ``config.check``
    lists what else metadata may say (paths, durations, host patterns).
    """

    #: What it can give: any of "metrics", "logs", "changes", "runs", "events", "alarms", "readings", "deploys".
    gives: ClassVar[frozenset[str]] = frozenset()

    name: str = field(metadata={"internal": True})  # the key it stands under in the YAML
    timeout: float = field(
        default=30.0, metadata={"help": "time this source may take in all, e.g. 20s", "duration": True}
    )
    scope: Scope = field(default_factory=Scope, metadata={"internal": True})  # set by the pipeline, not in YAML

    @abstractmethod
    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Metric | Gap]:
        """Yield every item as soon as it is there, for every span of ``window.spans()``.

        Yield a Gap when one piece is missing and go on; raise SourceError when the rest is lost.
        What was yielded is kept in each case. A Metric that is yielded was found for the dashboard of the
        scope and becomes a part of the scope; its series name it.
        """

    @property
    def given(self) -> frozenset[str]:
        """Return what it gives as it is configured: all of ``gives``, or a part where its options decide."""
        return self.gives

    @property
    def role(self) -> Role:
        """Return whether changes seen here are of the infrastructure or of the application."""
        return ""


@runtime_checkable
class DeployLog(Protocol):
    """A source that also knows when something was deployed."""

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the deploys in [since, until], in any order; raise SourceError when it cannot be asked."""


@runtime_checkable
class AlarmLog(Protocol):
    """A source that knows alarms (``--since alert``)."""

    def alarms(self, span: Span, zone: str, deadline: Deadline) -> Iterator[Event | Gap]:
        """Yield the events of [span.start, span.end), in any order; raise SourceError when it cannot be asked.

        ``zone`` is that of stamps without an offset, where the source is not told another.
        """


@runtime_checkable
class RefLog(Protocol):
    """A source that can look up one tag or commit, however old (``--since tag:v2.14.0``)."""

    def instant(self, kind: Literal["tag", "commit"], ref: str, deadline: Deadline) -> Deploy | None:
        """Return the moment of a "tag" or "commit", None when there is none; raise SourceError when it cannot tell."""


@runtime_checkable
class Look(Protocol):
    """A source that looks at one host as it is now; the analysis may choose which (``pipeline``)."""

    host: str

    def at(self, host: str) -> Source:
        """Return the same, to look at this host."""


@runtime_checkable
class MarkLog(Protocol):
    """A source that a person's mark can be written to, and that gives it back in ``collect``."""

    def mark(self, marking: Marking, deadline: Deadline) -> str:
        """Write it, once, and return where it is now; raise SourceError when that is not sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Credentials in the YAML: each secret a reference such as {env: NAME}; {netrc: HOST} gives both."""

    user: str | Secret = field(default="", metadata={"help": "user name; may be a reference too"})
    password: Secret | None = field(default=None, metadata={"help": "password, by reference"})
    bearer: Secret | None = field(default=None, metadata={"help": "bearer token, by reference"})
    api_key: Secret | None = field(default=None, metadata={"help": "Elasticsearch API key, by reference"})
    headers: Mapping[str, Secret] = field(
        default_factory=dict, metadata={"help": "secret request headers, each by reference"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """TLS in the YAML: ``tls: {ca_file: F, cert: F, key: F, insecure: true}``."""

    ca_file: str = field(default="", metadata={"help": "CA certificates to believe", "path": True})
    cert: str = field(default="", metadata={"help": "client certificate", "path": True})
    key: str = field(default="", metadata={"help": "its key", "path": True})
    insecure: bool = field(default=False, metadata={"help": "believe anybody; better: ca_file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """SSH in the YAML: ``ssh: {user: U, key: F, jump: H, ...}``; what is not set is as in ~/.ssh/config."""

    user: str = field(default="", metadata={"help": "user name there"})
    port: int = field(default=0, metadata={"help": "port; 0: as in the SSH configuration, else 22"})
    key: str = field(default="", metadata={"help": "private key, and the only one that is offered", "path": True})
    jump: tuple[str, ...] = field(default=(), metadata={"help": "jump hosts in order, as for ssh -J", "single": True})
    config: str = field(default="", metadata={"help": "instead of ~/.ssh/config", "path": True})
    known_hosts: str = field(default="", metadata={"help": "instead of the usual known_hosts", "path": True})
    agent: bool = field(default=True, metadata={"help": "use the SSH agent's keys"})
    via: Literal["auto", "paramiko", "openssh"] = field(
        default="auto", metadata={"help": "auto takes the ssh program where there is one, else paramiko"}
    )

    def open(self, host: str, deadline: Deadline) -> "AbstractContextManager[Shell]":
        """Return a shell on ``host`` for a ``with`` block: ``run``, ``script``, ``files``, ``forward``.

        Host keys are checked whatever the configuration says, and nobody is asked for a password.
        Raises SourceError, perhaps with the first command only, see ``transport.ssh.connect``.
        """
        # Imported here, as the HTTP client below: --help needs neither.
        from opsbrief.transport.ssh import Access, connect  # noqa: PLC0415

        return connect(
            Access(
                user=self.user,
                port=self.port,
                key=self.key,
                jump=self.jump,
                config=self.config,
                known_hosts=self.known_hosts,
                agent=self.agent,
                via=self.via,
            ),
            host,
            deadline,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Web(Source):
    """A source behind HTTP: the options every such source has, and the client they make."""

    url: str = field(metadata={"help": "base URL, with its path prefix if it has one", "url": True})
    auth: Login = field(default_factory=Login, metadata={"help": "credentials, by reference"})
    tls: Trust = field(default_factory=Trust, metadata={"help": "CA file, client certificate"})
    proxy: str = field(default="", metadata={"help": "proxy URL; the environment is not read", "url": True})
    headers: Mapping[str, str] = field(default_factory=dict, metadata={"help": "more request headers"})

    def client(self, deadline: Deadline, *, dial: "Dial | None" = None, **options: int) -> "Client":
        """Return the HTTP client for this source's base URL, over ``dial`` where it is given; use it in a ``with``."""
        # Imported here: requests costs ten times an empty interpreter and --help needs none of it.
        from opsbrief.transport.http import Client  # noqa: PLC0415
        from opsbrief.transport.login import Auth, Tls  # noqa: PLC0415 - same

        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise SourceError(
                GapKind.REJECTED, f"the url of {self.name} is not http(s)", "it should look like https://host:port/path"
            )
        login = self.auth
        auth = Auth(
            user=_open(login.user),
            password=_open(login.password),
            bearer=_open(login.bearer),
            api_key=_open(login.api_key),
            headers={key: value.reveal() for key, value in login.headers.items()},
        )
        tls = Tls(ca_file=self.tls.ca_file, cert=self.tls.cert, key=self.tls.key, insecure=self.tls.insecure)
        return Client(
            self.url, deadline, auth=auth, tls=tls, proxy=self.proxy, headers=self.headers, dial=dial, **options
        )


def _open(secret: Secret | str | None) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret or ""
