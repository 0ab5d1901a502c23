"""Which of Puppet's nodes are the service's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.scope import Scope, called
from opsbrief.text import line

#: The option of a source that names them.
NODES = {
    "help": "certificate names, with * and ?; default: the service's infrastructure.nodes, else its hosts",
    "single": True,
    "expand": True,
}
_NAMED = 5  # nodes in one gap; the number of the others is said


@dataclass(slots=True)
class Nodes:
    """The names and patterns that are meant; remembers which of them a node was seen for.

    ``names`` are host names or patterns with ``*`` and ``?``; none: every node. A name and a certificate name are the
    same node when one is the beginning of the other: app1 and app1.shop.example.
    """

    names: tuple[str, ...]
    hosts: tuple[str, ...] = ()  # how the service writes its hosts
    seen: set[str] = field(default_factory=set)  # of ``names``
    certnames: dict[str, set[str]] = field(default_factory=dict)  # of each host that was seen
    _cache: dict[str, str] = field(default_factory=dict)

    def wants(self, certname: str) -> bool:
        """Return whether a node is meant."""
        return bool(self.host(certname))

    def host(self, certname: str) -> str:
        """Return how the service calls the node: by its own name of the host, else by the certificate's; "" if not."""
        if (found := self._cache.get(certname)) is None:
            found = self._cache[certname] = self._find(certname)
            self.certnames.setdefault(found, set()).add(certname)
        return found

    def named(self, certname: str) -> bool:
        """Return whether a node is meant by its name, not by a pattern."""
        return any(called(certname, (name,)) for name in self.names)

    @property
    def doubles(self) -> list[str]:
        """What to warn of: hosts that several nodes may be, all of which are taken."""
        return [
            f"{host} may be any of the {listed(names)}: all are taken; say by nodes which it is"
            for host, names in sorted(self.certnames.items()) if host and len(names) > 1
        ]  # fmt: skip

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of ``names`` that no node was seen for."""
        return tuple(name for name in self.names if name not in self.seen)

    def _find(self, certname: str) -> str:
        own = called(certname, self.hosts)
        if not self.names:
            return own or certname
        lower = certname.lower()
        fitting = [name for name in self.names if called(certname, (name,)) or fnmatchcase(lower, name.lower())]
        self.seen.update(fitting)
        return (own or certname) if fitting else ""


def chosen(option: Sequence[str], scope: Scope) -> Nodes:
    """Return the nodes that the option of the source, else ``infrastructure.nodes``, else the hosts name."""
    names = tuple(option) or scope.infrastructure.nodes or scope.hosts
    if wrong := next((name for name in names if "[" in name or not name.strip()), None):
        raise SourceError(
            GapKind.REJECTED,
            f"nodes: {line(wrong, 80)!r} is no name or pattern of nodes",
            "* and ? stand for any characters: app*",
        )
    return Nodes(names, scope.hosts)


def listed(names: Iterable[str]) -> str:
    """Return "nodes app1, app2 and 3 others"."""
    every = sorted(names)
    shown = ", ".join(every[:_NAMED])
    more = f" and {len(every) - _NAMED:,} others" if len(every) > _NAMED else ""
    return f"{'node' if len(every) == 1 else 'nodes'} {shown}{more}"


def grouped(reasons: Mapping[str, str]) -> Iterable[tuple[str, list[str]]]:
    """Yield each reason with the nodes it holds for."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    yield from sorted(groups.items())
