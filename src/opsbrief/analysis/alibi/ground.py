"""What every part of the alibi asks of the evidence: which stretch of time, which changes, which nodes, whose gaps."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise

from opsbrief import phrase
from opsbrief.model.evidence import Change, Evidence, Gap, Outcome, Run
from opsbrief.model.finding import Finding, Verdict

LEAD = timedelta(hours=2)  # a commit may be applied this much later, by the next run of the agent
DAY = timedelta(days=1)

PUPPET = ("puppetdb", "puppetreport")  # types of sources that know what was applied
_NEAR_SPANS = ("", "incident", "before")  # a gap in an earlier week's hours says nothing about this week


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one kind of evidence says about the infrastructure."""

    kind: str
    verdict: Verdict
    said: str  # a clause of the headline; empty when another part says it
    brief: str = ""  # the clause of the coverage that the first page has room for; default: its first
    coverage: tuple[str, ...] = ()  # what was read, what not, and what stands out, each as a clause
    basis: tuple[str, ...] = ()
    facts: dict[str, float | int | str | None] = field(default_factory=dict)
    weighs: bool = True  # False: no source of this is configured; said, but it takes no verdict away


@dataclass(frozen=True)
class Ground:
    """The evidence as the parts see it. ``first`` is the metric that the brief is about, if one changed."""

    evidence: Evidence
    first: Finding | None

    @cached_property
    def suspect(self) -> datetime:
        """The earliest instant at which the change may have begun: the start of the window, or an onset before it."""
        return min(self.evidence.window.start, self.first.onset.earliest if self.first and self.first.onset else _LATE)

    @cached_property
    def moment(self) -> datetime:
        """The latest instant at which it may have begun: what was in place then is what matters."""
        onset = self.first.onset if self.first else None
        return min(max(self.evidence.window.start, onset.latest if onset else _EARLY), self.evidence.window.end)

    @cached_property
    def interval(self) -> timedelta | None:
        """How often the nodes run their agent: the usual time between two runs; None when too few were seen."""
        steps = [other.at - one.at for runs in self.nodes.values() for one, other in pairwise(runs)]
        return sorted(steps)[len(steps) // 2] if len(steps) > 1 else None

    @cached_property
    def since(self) -> datetime:
        """Where the stretch begins that is looked at: a commit before the moment may be applied at it.

        Two hours before, or twice the time between two runs where agents run more seldom, but at most a day.
        """
        return self.suspect - min(DAY, max(LEAD, 2 * self.interval if self.interval else LEAD))

    def near(self, at: datetime) -> bool:
        """Return whether an instant lies in the stretch that is looked at."""
        return self.since <= at < self.evidence.window.end

    @cached_property
    def commits(self) -> list[Change]:
        """Every commit, tag or deploy of the infrastructure that touches a path that matters."""
        return [
            change for change in self.evidence.items(Change)
            if change.role == "infrastructure" and change.kind != "resource" and self.matters(change)
        ]  # fmt: skip

    def matters(self, change: Change) -> bool:
        """Return whether a change touches a path that matters; one without a list of files does."""
        paths = self.evidence.scope.infrastructure.paths
        if not paths or not change.files:
            return True
        return any(_under(stat.path, path) for stat in change.files for path in paths)

    @cached_property
    def touched(self) -> list[Change]:
        """Every resource that was changed, failed to change, or would have been changed, in the stretch."""
        return sorted(
            (
                c
                for c in self.evidence.items(Change)
                if c.kind == "resource" and c.role != "application" and self.near(c.at)
            ),
            key=lambda change: change.at,
        )

    @cached_property
    def resources(self) -> list[Change]:
        """Those of the resources that Puppet had in hand; a host's own package log tells of packages."""
        own = {outcome.source for outcome in self.puppet}
        return [c for c in self.touched if c.origin.source in own or not c.ref.startswith("Package[")]

    @cached_property
    def puppet(self) -> list[Outcome]:
        """What came of the sources that know what was applied."""
        return [
            outcome for outcome in self.evidence.outcomes
            if outcome.type in PUPPET or any(isinstance(item, Run) for item in outcome.items)
        ]  # fmt: skip

    @cached_property
    def nodes(self) -> dict[str, list[Run]]:
        """The runs of each node, oldest first, by the service's own name of the node."""
        found: dict[str, list[Run]] = {}
        for run in self.evidence.items(Run):
            found.setdefault(self.evidence.scope.host(run.host), []).append(run)
        return {host: sorted(runs, key=lambda run: run.at) for host, runs in sorted(found.items())}

    @cached_property
    def silent(self) -> list[str]:
        """Hosts of the service of which no run is known.

        Where nodes are configured by pattern the source names those that are missing: there the hosts may be
        called otherwise.
        """
        scope = self.evidence.scope
        return [] if scope.infrastructure.nodes else [host for host in scope.hosts if host not in self.nodes]

    def holes(self, outcomes: list[Outcome]) -> list[Gap]:
        """Return what is missing of these sources in the hours that matter."""
        return [gap for outcome in outcomes for gap in outcome.gaps if gap.span in _NEAR_SPANS]

    def clock(self, at: datetime) -> str:
        """Return an instant as said beside the window's start."""
        window = self.evidence.window
        return phrase.clock(at, window.zone, window.start)

    def stretch(self, first: datetime, last: datetime) -> str:
        """Return "14:58–15:20"."""
        low, high = self.clock(first), self.clock(last)
        return low if low == high else f"{low}–{high}"


_EARLY = datetime.min.replace(tzinfo=phrase.zone("UTC"))
_LATE = datetime.max.replace(tzinfo=phrase.zone("UTC"))


def missing(gaps: list[Gap]) -> tuple[str, ...]:
    """Return the first gaps as clauses."""
    return tuple(f"{gap.source}: {gap.detail}" for gap in gaps[:3])


def _under(name: str, path: str) -> bool:
    plain = path.strip("/")
    return name == plain or name.startswith(f"{plain}/") or fnmatchcase(name, path) or fnmatchcase(name, f"{plain}/*")
