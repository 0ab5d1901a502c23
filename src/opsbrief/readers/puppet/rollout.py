"""Deploys that Puppet did itself: a package or a class that it brings to the nodes, one after the other."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import Deploy, TimeKind
from opsbrief.readers.puppet import version
from opsbrief.readers.puppet.record import Happening
from opsbrief.text import line
from opsbrief.timespec import spell

#: The option of a source that says what a deploy is.
ROLLOUTS = {
    "key": "deploys",
    "help": "resources whose change is a deploy, not infrastructure: Package[shop*], Class[Shop]",
    "single": True,
    "deploys": True,
}
SPREAD = timedelta(hours=6)  # nodes that get the same version this close behind each other belong to one deploy
_PATTERN = re.compile(r"([A-Za-z][\w:]*)\[([^\[\]]+)\]")
_NO_VERSION = frozenset(
    {
        "", "present", "installed", "latest", "absent", "purged", "held", "file", "directory", "link", "running",
        "stopped", "true", "false", "mounted", "unmounted", "role", "notrun",
    }
)  # fmt: skip
_NAMES = frozenset({"ensure", "version", "revision"})  # properties whose value may be a version


@dataclass(frozen=True, slots=True)
class Pattern:
    """Resources or a class, as ``Package[shop*]`` or ``Class[Shop::Deploy]``; ``*`` and ``?`` stand for anything."""

    type: str
    title: str

    @classmethod
    def read(cls, text: str) -> "Pattern":
        """Return the pattern that a person wrote. Raises SourceError."""
        if not (found := _PATTERN.fullmatch(text.strip())):
            raise SourceError(
                GapKind.REJECTED, f"deploys: {line(text, 80)!r} is no resource", "write Package[shop] or Class[Shop]"
            )
        kind = "::".join(part.capitalize() for part in found[1].split("::"))
        return cls(kind, found[2].strip())

    @property
    def regex(self) -> str:
        """The title as a regular expression that PostgreSQL and Python read alike."""
        parts = {"*": ".*", "?": "."}
        return "^" + "".join(parts.get(char) or re.escape(char) for char in self.title) + "$"

    def query(self) -> list[object]:
        """Return the question to PuppetDB's events."""
        what = "containing_class" if self.type == "Class" else "resource_title"
        title = _classes(self.title) if self.type == "Class" else self.title
        wild = "*" in title or "?" in title
        test: list[object] = ["~", what, Pattern(self.type, title).regex] if wild else ["=", what, title]
        return test if self.type == "Class" else ["and", ["=", "resource_type", self.type], test]

    def fits(self, one: Happening) -> bool:
        """Return whether a resource is meant."""
        if self.type == "Class":
            wanted = re.compile(self.regex, re.IGNORECASE)
            return any(wanted.fullmatch(name) for name in one.classes)
        return one.type == self.type and re.fullmatch(self.regex, one.title) is not None


def told(texts: Iterable[str], source: str) -> list[Pattern]:
    """Return the patterns of what is a deploy. Raises SourceError where a source is told none."""
    if patterns := [Pattern.read(text) for text in texts]:
        return patterns
    raise SourceError(
        GapKind.REJECTED, f"{source} is not told which resource is a deploy", "set deploys: Package[shop]"
    )


def _classes(name: str) -> str:
    return "::".join(part[:1].upper() + part[1:] for part in name.split("::"))


@dataclass(slots=True)
class Rollout:
    """One version on its way over the nodes."""

    ref: str
    resource: str
    old: str
    at: datetime  # on the first node where it worked, else the first try
    last: datetime  # try
    arrived: datetime  # on the last node where it worked
    hosts: dict[str, None] = field(default_factory=dict)  # where it worked, in the order of time
    failed: dict[str, None] = field(default_factory=dict)
    corrective: bool = False
    rollback: bool = False
    run: str = ""  # the report of the first

    @property
    def succeeded(self) -> bool:
        """Whether it worked anywhere."""
        return bool(self.hosts)

    def deploy(self, source: str) -> Deploy:
        """Return it as a deploy log has it; it is dated where it first arrived."""
        return Deploy(
            at=self.at, ref=self.ref, note=self.note, source=source, time_kind=TimeKind.EVENT_TIME,
            succeeded=self.succeeded, rollback=self.rollback,
        )  # fmt: skip

    @property
    def note(self) -> str:
        """What it was, from the first node to the last."""
        nodes = list(self.hosts) or list(self.failed)
        what = f"{self.resource} {self.old} → {self.ref}" if self.old and self.ref else self.resource
        where = f"on {nodes[0]}"
        if len(nodes) > 1:
            later = (self.arrived if self.hosts else self.last) - self.at
            after = f" {spell(later, 2)} later" if later >= timedelta(seconds=1) else ""
            where = f"on {len(nodes)} nodes, first {nodes[0]}, last {nodes[-1]}{after}"
        failed = [node for node in self.failed if node not in self.hosts]
        lost = f"; failed on {', '.join(failed[:5])}{', ...' if len(failed) > 5 else ''}" if failed else ""
        return line(f"{what} {where}{lost}{'; put back what was changed by hand' if self.corrective else ''}")


def rollouts(told: Iterable[Happening], patterns: Sequence[Pattern]) -> list[Rollout]:
    """Return the deploys among what happened, the oldest first."""
    done: list[Rollout] = []
    open_: dict[str, Rollout] = {}
    for each in matching(told, patterns):
        steps = [one for one in each if one.state != "noop"]
        if not steps:
            continue
        first = steps[0]
        ref, old = _named(steps)
        for other in [name for name, one in open_.items() if name != ref and first.node in one.hosts]:
            del open_[other]  # a node that went on to another version ends the deploy of that one
        failed = any(one.state == "failed" for one in steps)
        group = open_.get(ref)
        if not group or first.at - group.last > SPREAD:
            group = open_[ref] = Rollout(ref, first.ref, old, first.at, first.at, first.at, run=first.run)
            group.rollback = _back(ref, old, done)
            done.append(group)
        if not failed:
            group.at, group.arrived = (group.at if group.hosts else first.at), first.at
        group.last = first.at
        (group.failed if failed else group.hosts)[first.node] = None
        group.corrective |= any(one.corrective for one in steps)
    return sorted(done, key=lambda one: one.at)


def matching(told: Iterable[Happening], patterns: Sequence[Pattern]) -> list[list[Happening]]:
    """Return what each run did to the resources of a deploy, the one with a version first, in the order of time.

    A service that is restarted belongs to the deploy of the package that restarts it, and alone is none.
    """
    groups: dict[tuple[str, str], list[Happening]] = {}
    for one in told:
        if any(pattern.fits(one) for pattern in patterns):
            groups.setdefault((one.node, one.run), []).append(one)
    found = [group for group in groups.values() if any(one.attribute for one in group)]
    for group in found:
        group.sort(key=lambda one: (not _version(one), one.at))
    return sorted(found, key=lambda group: group[0].at)


def _named(steps: Sequence[Happening]) -> tuple[str, str]:
    """Return the version that came and the one that was there: of the resource, else the commit of the catalog."""
    one = steps[0]
    if found := _version(one):
        return found, "" if one.old in _NO_VERSION else one.old
    return version.commit(one.stated), ""


def _version(one: Happening) -> str:
    fits = one.attribute in _NAMES and one.new not in _NO_VERSION and len(one.new) <= 80
    return one.new if fits else ""


def _back(ref: str, old: str, done: Sequence[Rollout]) -> bool:
    """Return whether a version is an older one than it replaces: by its number, else because it was there before."""
    if ref[:1].isdigit() and old[:1].isdigit() and version.commit(ref) != ref:
        return _key(ref) < _key(old)
    return bool(ref and done) and done[-1].ref != ref and any(one.ref == ref and one.succeeded for one in done)


def _key(name: str) -> list[tuple[int, int, str]]:
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"[0-9]{1,18}|[^0-9]+", name)]
