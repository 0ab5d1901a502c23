"""What several deploy logs say becomes one list of releases.

The same deploy stands in several logs, at slightly different times and under slightly different
names (``v2.14.0``, ``2.14.0``, a commit id), and a deploy to eight hosts may leave eight marks.
Entries are one release when their names agree and they are near each other, or when they are within
five minutes and their names do not contradict. A tag may be much older than the deploy of it. The
first configured log that knows a release gives its time. Pure values; used by resolve.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opsbrief.model.window import Deploy, TimeKind

NEAR = timedelta(minutes=5)  # entries this close may be one deploy; more than this is a disagreement
SAME = timedelta(hours=12)  # entries of the same name this close are one deploy
_MARKS = frozenset({TimeKind.TAG_TIME, TimeKind.COMMIT_TIME})  # may lie any time before the deploy
_COMMIT = re.compile(r"(?=.*[0-9])[0-9a-f]{7,64}")


@dataclass(slots=True)
class Release:
    """One deploy as all logs together know it: one entry a log, the leading one first."""

    told: list[Deploy]
    marks: int = 1  # entries of the leading log that are this one deploy: one a host, often

    @property
    def lead(self) -> Deploy:
        """The entry of the first configured log that knows it."""
        return self.told[0]

    @property
    def at(self) -> datetime:
        """When it was, by its leading log."""
        return self.told[0].at

    def called(self, ref: str) -> bool:
        """Return whether any log knows it by this name."""
        return any(same(entry.ref, ref) for entry in self.told)


@dataclass(slots=True)
class _Index:
    """Releases so far, to be found by name and by time."""

    releases: list[Release] = field(default_factory=list)
    names: dict[str, list[int]] = field(default_factory=dict)
    times: list[tuple[datetime, int]] = field(default_factory=list)

    def add(self, fresh: Iterable[Release]) -> None:
        for release in fresh:
            self.releases.append(release)
        self.times = sorted((release.at, at) for at, release in enumerate(self.releases))
        self.names = {}
        for at, release in enumerate(self.releases):
            for entry in release.told:
                self.names.setdefault(_key(entry.ref), []).append(at)

    def near(self, entry: Deploy) -> Iterator[tuple[timedelta, int]]:
        """Yield (distance, number) of every release that ``entry`` may be."""
        low = bisect_left(self.times, (entry.at - NEAR, -1))
        high = bisect_right(self.times, (entry.at + NEAR, len(self.releases)))
        found = {at for _, at in self.times[low:high]} | set(self.names.get(_key(entry.ref), ()) if entry.ref else ())
        for at in found:
            distance = _distance(entry, self.releases[at].lead)
            if distance is not None:
                yield distance, at


def merge(logs: Sequence[Iterable[Deploy]]) -> list[Release]:
    """Return the releases that ``logs`` (in the configured order) know, oldest first."""
    index = _Index()
    for log in logs:
        entries = list(_thin(log))
        pairs = sorted((*pair, number) for number, entry in enumerate(entries) for pair in index.near(entry.lead))
        matched: dict[int, int] = {}
        for _, at, number in pairs:
            if number not in matched and at not in matched.values():
                matched[number] = at
        for number, at in matched.items():
            index.releases[at].told.append(entries[number].lead)
        index.add(entry for number, entry in enumerate(entries) if number not in matched)
    return sorted(index.releases, key=lambda release: release.at)


def same(one: str, other: str) -> bool:
    """Return whether two names mean one release: v2.14.0 and 2.14.0, a commit and its abbreviation."""
    one, other = _key(one), _key(other)
    if one == other:
        return bool(one)
    short, long = sorted((one, other), key=len)
    return bool(_COMMIT.fullmatch(short) and _COMMIT.fullmatch(long)) and long.startswith(short)


def _key(ref: str) -> str:
    name = ref.strip().removeprefix("refs/tags/").casefold()
    return name[1:] if re.match("v[0-9]", name) else name


def _contradict(one: str, other: str) -> bool:
    """Return whether two names cannot be one release: two versions, or two commits."""
    if not one or not other or same(one, other):
        return False
    return bool(_COMMIT.fullmatch(_key(one))) == bool(_COMMIT.fullmatch(_key(other)))


def _distance(entry: Deploy, lead: Deploy) -> timedelta | None:
    """Return how far apart two entries of one deploy are; None when they are two deploys."""
    apart = abs(entry.at - lead.at)
    if _contradict(entry.ref, lead.ref):
        return None
    if apart <= NEAR or (same(entry.ref, lead.ref) and apart <= SAME):
        return apart
    if not same(entry.ref, lead.ref) or entry.rollback or lead.rollback:
        return None
    mark, deployed = (entry, lead) if entry.time_kind in _MARKS else (lead, entry)
    return apart if mark.time_kind in _MARKS and mark.at <= deployed.at else None


def _thin(log: Iterable[Deploy]) -> Iterator[Release]:
    """Yield the deploys of one log, marks of one deploy (same name, each within NEAR of the last) as one."""
    open_: dict[str, tuple[Release, datetime]] = {}
    for entry in sorted(log, key=lambda entry: entry.at):
        name = f"{_key(entry.ref)}\0{entry.rollback}"
        before = open_.get(name)
        if before and entry.at - before[1] <= NEAR:
            before[0].marks += 1
            open_[name] = (before[0], entry.at)
        else:
            if before:
                yield before[0]
            open_[name] = (Release([entry]), entry.at)
    yield from (release for release, _ in open_.values())
