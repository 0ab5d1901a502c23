"""The configuration as the rest of opsbrief sees it: built sources, services, defaults."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from opsbrief.config.check import Setting
from opsbrief.config.option import suggest
from opsbrief.errors import ConfigError, Problem
from opsbrief.model.scope import Dashboard, Infrastructure, Logs, Metric, Scope
from opsbrief.secret import Secret
from opsbrief.settings import Defaults, Deliver, Redact
from opsbrief.source import AlarmLog, Source

Sourced = tuple[str, Source]  # (type, source)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a service is made of, as the YAML has it."""

    hosts: tuple[str, ...] = field(
        default=(), metadata={"help": "host names; app{1..8} stands for eight", "single": True, "expand": True}
    )
    metrics: tuple[Metric, ...] = field(default=(), metadata={"help": "the series to look at"})
    dashboard: Literal["collectd"] | Dashboard | None = field(
        default=None,
        metadata={"help": "metrics that are found by themselves: collectd, or {kind: collectd, ports: 8080}"},
    )
    logs: tuple[Logs, ...] = field(default=(), metadata={"help": "which log lines are its own", "single": True})
    infrastructure: Infrastructure = field(
        default_factory=Infrastructure, metadata={"help": "what its ground is, for ruling it out"}
    )
    sources: tuple[str, ...] = field(
        default=(), metadata={"help": "ask only these sources; default: all", "single": True}
    )
    deploys: tuple[str, ...] = field(
        default=(), metadata={"help": "only these deploy logs know its deploys; default: all", "single": True}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its scope, and the names of the sources and deploy logs that are its own (empty: all)."""

    scope: Scope = field(default_factory=Scope)
    sources: tuple[str, ...] = ()
    deploys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the name; empty when no service is configured."""
        return self.scope.service


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the files, the environment and the built-in values say together."""

    timezone: str = "UTC"
    defaults: Defaults = field(default_factory=Defaults)
    sources: Mapping[str, Sourced] = field(default_factory=dict)
    deploys: tuple[Sourced, ...] = ()  # in the order they are asked
    marks: tuple[Sourced, ...] = ()  # where marks are written to
    services: Mapping[str, Service] = field(default_factory=dict)
    redact: Redact = field(default_factory=Redact)
    deliver: Deliver = field(default_factory=Deliver)
    files: tuple[Path, ...] = ()  # that were read, the strongest first
    searched: tuple[Path, ...] = ()  # where files were looked for
    settings: tuple[Setting, ...] = ()  # every effective value and where it comes from
    references: tuple[Secret, ...] = ()  # every secret that is referred to

    def service(self, name: str | None = None) -> Service:
        """Return a service by name; without one, the only one, or one without a name when none is configured.

        Raises ConfigError.
        """
        if name is None:
            if len(self.services) > 1:
                raise _wrong("SERVICE", "several services are configured", f"name one: {', '.join(self.services)}")
            return next(iter(self.services.values()), Service())
        if name not in self.services:
            hint = suggest(name, tuple(self.services)) if self.services else "the configuration has no services"
            raise _wrong("SERVICE", f"there is no service {name!r}", hint)
        return self.services[name]

    def active(self, service: Service, only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Sourced]:
        """Return the (type, source) pairs to ask about a service, each with its scope set.

        ``only`` and ``skip`` take names and types of sources. Raises ConfigError for one that is not there.
        """
        if not self.sources:
            looked = ", ".join(str(path) for path in self.files or self.searched)
            raise ConfigError(
                Problem(looked, "sources", "no sources are configured", "'opsbrief init' writes a first configuration")
            )
        self._known(only, "--only")
        self._known(skip, "--skip")
        return [
            (kind, replace(source, scope=service.scope))
            for name, (kind, source) in self.sources.items()
            if (not service.sources or name in service.sources)
            and (not only or name in only or kind in only)
            and not (name in skip or kind in skip)
        ]

    def deploy_logs(self, service: Service) -> list[Sourced]:
        """Return the (type, source) pairs that know deploys of a service, in the order they are asked."""
        return [
            (kind, replace(source, scope=service.scope))
            for kind, source in self.deploys
            if not service.deploys or source.name in service.deploys
        ]

    def alarm_logs(self, service: Service) -> list[Sourced]:
        """Return the (type, source) pairs that know alarms of a service."""
        return [
            (kind, replace(source, scope=service.scope))
            for name, (kind, source) in self.sources.items()
            if isinstance(source, AlarmLog) and (not service.sources or name in service.sources)
        ]

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value that has been revealed so far, for the redactor.

        Only these can have got into the evidence; the others are neither fetched nor run for this.
        """
        return tuple({secret.known: None for secret in self.references if secret.known})

    def _known(self, names: Iterable[str], where: str) -> None:
        known = {*self.sources, *(kind for kind, _ in self.sources.values())}
        problems = [
            Problem(where, "", f"there is no source {name!r}", suggest(name, sorted(known)))
            for name in names
            if name not in known
        ]
        if problems:
            raise ConfigError(*problems)


def _wrong(where: str, message: str, hint: str) -> ConfigError:
    return ConfigError(Problem(where, "", message, hint))
