"""PuppetDB: which version of the infrastructure each node ran, what that changed on it, and who was not heard of.

The open-source PuppetDB never fills ``corrective_change``: what was put back is known by the words of the event.
Reports are kept for some days only (14 unless it is told otherwise), and are stored a little after the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from opsbrief.model.evidence import Gap, Item, Role
from opsbrief.model.window import Deploy, Span, Window
from opsbrief.readers.puppet.ask import Ask
from opsbrief.readers.puppet.database import OPTIONAL, Reading
from opsbrief.readers.puppet.nodes import NODES, Nodes, chosen
from opsbrief.readers.puppet.rollout import ROLLOUTS, Pattern, told
from opsbrief.source import Web
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.http import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PuppetDb(Web):
    """PuppetDB by its query API, version 4."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "runs", "deploys"})

    nodes: tuple[str, ...] = field(default=(), metadata=NODES)
    rollouts: tuple[str, ...] = field(default=(), metadata=ROLLOUTS)
    max_reports: int = field(default=10_000, metadata={"help": "most reports to read; the newest are kept"})
    max_events: int = field(default=20_000, metadata={"help": "most events of resources to read; the newest are kept"})

    @property
    def role(self) -> Role:
        """What Puppet applies is the infrastructure."""
        return "infrastructure"

    @property
    def given(self) -> frozenset[str]:
        """Deploys only where it is said what one is."""
        return self.gives if self.rollouts else self.gives - {"deploys"}

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Run for each run that ended in the window or the time before, and a Change for each resource of it.

        For each node also the last Run before that; a Gap for what is not known of a node that is meant.
        """
        patterns = [Pattern.read(text) for text in self.rollouts]
        nodes = chosen(self.nodes, self.scope)
        with self.client(deadline) as http:
            reading = self._reading(http, nodes, window.whole, deadline)
            yield from reading.tale().tell(window.whole, nodes, patterns)
            yield from reading.gaps

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield a deploy for each version that Puppet brought to the nodes in [since, until]."""
        patterns = told(self.rollouts, self.name)
        span = Span("", since, until + timedelta(seconds=1))
        with self.client(deadline) as http:
            reading = self._reading(http, chosen(self.nodes, self.scope), span, deadline)
            for found in reading.rollouts(patterns):
                if since <= found.at <= until:
                    yield found.deploy(self.name)
            yield from reading.gaps

    def _reading(self, http: "Client", nodes: Nodes, span: Span, deadline: Deadline) -> Reading:
        from opsbrief.transport.failure import bare  # noqa: PLC0415 - brings requests, which --help does not need

        ask = Ask(self.name, bare(self.url).rstrip("/"), http, OPTIONAL)
        return Reading(self.name, ask, nodes, span, deadline, self.max_reports, self.max_events)
