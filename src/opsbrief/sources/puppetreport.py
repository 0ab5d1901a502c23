"""Puppet's own reports, where there is no PuppetDB: the server's store, or the last report of each node, also by SSH.

A node keeps only its last report (``last_run_report.yaml``) and its summary (``last_run_summary.yaml``); the server
keeps them all where it is told to (``reports = store``). ``puppet apply`` leaves them too, but never tells that
something was put back, and writes none when its manifests do not compile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Role
from opsbrief.model.window import Deploy, Span, Window
from opsbrief.readers.puppet.nodes import NODES, chosen
from opsbrief.readers.puppet.rollout import ROLLOUTS, Pattern, rollouts, told
from opsbrief.readers.puppet.shelf import SLACK, File, Shelf, local
from opsbrief.readers.puppet.tale import named
from opsbrief.source import Source, Ssh
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.flight import side_by_side

_BACK = timedelta(days=1)  # before the window, in which the last run before it is looked for on other hosts
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class PuppetReport(Source):
    """Report files of Puppet, of the server or of the nodes."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "runs", "deploys"})

    path: str | tuple[str, ...] = field(
        metadata={
            "help": "folder, file or glob, or a list: reports/*/*.yaml of the server, last_run_report.yaml of a node",
            "path": True,
        }
    )
    ssh: Ssh | None = field(default=None, metadata={"help": "read them by SSH; ssh: {} is as in ~/.ssh/config"})
    host: str = field(default="", metadata={"help": "by SSH: the host they are on; default: each host of the service"})
    nodes: tuple[str, ...] = field(default=(), metadata=NODES)
    rollouts: tuple[str, ...] = field(default=(), metadata=ROLLOUTS)
    max_reports: int = field(default=5_000, metadata={"help": "most files to read; the newest are taken"})

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
        shelf = self._shelf(window.whole, deadline)
        tale = shelf.tale(self._files(window.whole, deadline, shelf.gaps))
        yield from tale.tell(window.whole, shelf.nodes, patterns)
        yield from shelf.gaps

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield a deploy for each version that Puppet brought to the nodes in [since, until]."""
        patterns = told(self.rollouts, self.name)
        span = Span("", since, until + timedelta(seconds=1))
        shelf = self._shelf(span, deadline)
        shelf.changes = True
        tale = shelf.tale(self._files(span, deadline, shelf.gaps))
        inside = [named(one, shelf.nodes) for one, _ in tale.events if span.start <= one.at < span.end]
        yield from (found.deploy(self.name) for found in rollouts(inside, patterns) if found.at <= until)
        yield from shelf.gaps

    def _shelf(self, span: Span, deadline: Deadline) -> Shelf:
        return Shelf(self.name, chosen(self.nodes, self.scope), span, deadline, self.max_reports)

    def _files(self, span: Span, deadline: Deadline, gaps: list[Gap]) -> Iterator[File]:
        paths = (self.path,) if isinstance(self.path, str) else self.path
        if self.ssh is None and not self.host:
            yield from local(paths)
            return
        hosts = (self.host,) if self.host else self.scope.hosts
        if not hosts:
            raise SourceError(GapKind.REJECTED, f"{self.name} reads by SSH, and the service has no hosts", "set host")
        lost: list[SourceError] = []
        for host, found in side_by_side(lambda host: self._remote(host, paths, span, deadline), hosts, deadline):
            if isinstance(found, SourceError):
                lost.append(found)
                gaps.append(
                    Gap(source=self.name, what=f"reports on {line(host)}", kind=found.kind, detail=found.message,
                        hint=found.hint)
                )  # fmt: skip
            else:
                yield from found
        if len(lost) == len(hosts):
            gaps.clear()
            raise lost[0]

    def _remote(self, host: str, paths: tuple[str, ...], span: Span, deadline: Deadline) -> list[File]:
        """Return the files of one host: of a store those of the window and the day before it, single ones whatever."""
        since = (span.start - _BACK - SLACK).timestamp()
        found: list[File] = []
        with (self.ssh or Ssh()).open(host, deadline) as shell:
            for wild in (False, True):
                some = [path for path in paths if bool(_WILD & set(path)) is wild]
                if some:
                    for path, modified, data in shell.files(some, since=since if wild else None):
                        found.append(File(path, modified, lambda data=data: data, host))  # type: ignore[misc] # reason: bound now
        return found
