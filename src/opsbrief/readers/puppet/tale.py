"""What was read of Puppet, from wherever, as values of the evidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from opsbrief.model.evidence import Change, Origin, Run
from opsbrief.model.window import Span, TimeKind
from opsbrief.readers.puppet import record
from opsbrief.readers.puppet.nodes import Nodes
from opsbrief.readers.puppet.record import Happening, Report
from opsbrief.readers.puppet.rollout import Pattern, Rollout, matching, rollouts


@dataclass(slots=True)
class Tale:
    """Runs that touch a span, the last one of each node before it, and what all of them did."""

    runs: list[tuple[Report, Origin]] = field(default_factory=list)
    earlier: dict[str, tuple[Report, Origin]] = field(default_factory=dict)  # by node
    events: list[tuple[Happening, Origin]] = field(default_factory=list)

    def tell(self, span: Span, nodes: Nodes, patterns: Sequence[Pattern]) -> Iterator[Run | Change]:
        """Yield the runs that ended in the span, then the changes in it; those by ``patterns`` are deploys.

        A run may end in the span and have begun before, so a change counts by its own time.
        """
        every = sorted((one for one, _ in self.events), key=lambda one: one.at)
        released = {id(one) for group in matching(every, patterns) for one in group}
        done: dict[str, list[Happening]] = {}
        for one in every:
            done.setdefault(one.run, []).append(one)

        def run(report: Report, origin: Origin, *, inside: bool) -> Run:
            """Return a run as one of the infrastructure: what it deployed is told apart."""
            told = done.get(report.id, [])
            own = [one for one in told if id(one) not in released]
            if len(own) < len(told) and report.status == "changed" and all(one.state == "noop" for one in own):
                report = replace(report, status="unchanged")
            return record.run(report, own, nodes.host(report.node), origin, inside=inside)

        for report, origin in sorted(self.earlier.values(), key=lambda one: one[0].end):
            yield run(report, origin, inside=False)
        for report, origin in sorted(self.runs, key=lambda one: (one[0].end, one[0].id)):
            if span.start <= report.end < span.end:
                yield run(report, origin, inside=True)
        origins = {one.run: origin for one, origin in self.events}
        inside = [one for one in every if span.start <= one.at < span.end]
        for group in record.resources(one for one in inside if id(one) not in released):
            yield record.change(group, nodes.host(group[0].node), origins[group[0].run])
        for found in rollouts([named(one, nodes) for one in inside if id(one) in released], patterns):
            yield deployed(found, origins[found.run])


def named(one: Happening, nodes: Nodes) -> Happening:
    """Return what happened under the name that the service has for the host."""
    return replace(one, node=nodes.host(one.node))


def deployed(found: Rollout, origin: Origin) -> Change:
    """Return a deploy as a change of the application."""
    return Change(
        kind="deploy", at=found.at, ref=found.ref, summary=("" if found.succeeded else "failed: ") + found.note,
        role="application", hosts=tuple(found.hosts or found.failed), time_kind=TimeKind.EVENT_TIME, origin=origin,
    )  # fmt: skip
