"""Which of the hosts and services that a monitoring system knows are meant."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from opsbrief.model.scope import called

#: The options of a source that name more hosts than the service's own, and which checks count.
HOSTS = {"help": "more hosts beside the service's own, with * and ?: lb*"}
CHECKS = {"help": "only these checks, with * and ?; default: all"}


@dataclass(slots=True)
class Whose:
    """The hosts of a service, more hosts by pattern, and patterns of the checks; remembers what else it was shown."""

    hosts: tuple[str, ...]  # of the service; none: every host
    more: tuple[str, ...] = ()  # patterns with * and ?
    services: tuple[str, ...] = ()  # patterns with * and ?; none: every check
    seen: dict[str, None] = field(default_factory=dict)  # of those that are meant
    others: dict[str, None] = field(default_factory=dict)
    _cache: dict[str, str] = field(default_factory=dict)

    def host(self, name: str) -> str:
        """Return the host as the service calls it; empty when it is none of those meant."""
        if (found := self._cache.get(name)) is None:
            found = self._cache[name] = self._find(name)
        if found:
            self.seen[found] = None
        elif len(self.others) < 1000:
            self.others[name] = None
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """The hosts of the service that were not seen."""
        return tuple(host for host in self.hosts if host not in self.seen)

    def _find(self, name: str) -> str:
        if not self.hosts and not self.more:
            return name
        own = called(name, self.hosts)
        return own or (name if any(fnmatchcase(name.lower(), one.lower()) for one in self.more) else "")

    def wants(self, service: str) -> bool:
        """Return whether a check is meant; that of a host itself (no service) always is."""
        return not service or not self.services or any(fnmatchcase(service, one) for one in self.services)
