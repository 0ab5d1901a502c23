"""Which commits of a branch lie in a stretch of time. Ids and dates only, so that depth costs little.

Dates are committer dates, and they lie: a clock that was wrong makes a commit older than its parent.
git's own ``--since`` stops at the first such commit; this walk goes on until a thousand commits in a
row are too old.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opsbrief.errors import GapKind, SourceError
from opsbrief.readers.history.command import Repository
from opsbrief.text import line

SLOP = 1000  # commits in a row that are older than the stretch before the walk ends
DEEP = 4000  # commits newer than the stretch from which on a commit-graph of our own is worth its making


class DeepError(Exception):
    """The stretch lies so far back that the walk should be begun again with a commit-graph."""


@dataclass(slots=True)
class Found:
    """Commits of one branch in [start, end), newest first as git orders them, and the branch around them."""

    ids: list[str] = field(default_factory=list)
    chain: frozenset[str] = frozenset()  # those of ``ids`` on the branch itself, not inside a merged one
    before: str = ""  # the branch's newest commit before ``start``
    tip: str = ""  # the branch's newest commit before ``end``
    unlanded: frozenset[str] = frozenset()  # dated inside, but merged into the branch only later
    oldest: int = 0  # epoch of the oldest commit seen
    ended: bool = False  # the walk came to the first commit there is


def walk(repository: Repository, tip: str, start: int, end: int, *, first_parent: bool, deep: bool = False) -> Found:
    """Return the commits of ``tip`` in [start, end) (epoch seconds).

    Two walks where there are merges: along the branch itself, then through what it merged. In one walk a commit
    can come before the branch's own child of it (equal or wrong dates), and the branch would be lost there.
    Raises DeepError after DEEP commits newer than the end, unless ``deep`` says to go on.
    """
    found = Found(ended=True)
    before = inside = newer = 0
    # Once it is sure that the stretch lies deep, git itself passes over what is newer: tens of thousands of rows. What
    # was merged there is not seen then. A shallow clone must tell where it ends.
    passing = (f"--until={end - 1}",) if deep and not repository.shallow else ()
    merged = bool(passing)
    for when, name, parents in _near(repository, tip, start, found, *passing, "--first-parent", "--parents"):
        merged = merged or parents > 1
        if when >= end:
            newer += 1
            if newer > DEEP and not deep:
                raise DeepError
            continue
        if when > inside:
            found.tip, inside = name, when
        if when >= start:
            found.ids.append(name)
        elif when > before:
            found.before, before = name, when
    found.chain = frozenset(found.ids)
    if merged and not first_parent:
        found.ids = [name for when, name, _ in _near(repository, tip, start, found, *passing) if start <= when < end]
        if found.tip != tip:
            found.unlanded = _unlanded(repository, [name for name in found.ids if name not in found.chain], found.tip)
    return found


def _near(repository: Repository, tip: str, start: int, found: Found, *options: str) -> Iterator[tuple[int, str, int]]:
    """Yield what ``_dated`` does until too many commits in a row are older than ``start``."""
    older = 0
    for row in _dated(repository, tip, *options):
        found.oldest = row[0]
        yield row
        older = older + 1 if row[0] < start else 0
        if older > SLOP:
            found.ended = False
            return


def _unlanded(repository: Repository, names: list[str], tip: str) -> frozenset[str]:
    """Return those of ``names`` that ``tip`` did not contain."""
    if not names or not tip:
        return frozenset(names)
    asked = "\n".join([*names, f"^{tip}"]) + "\n"
    done = repository.run("rev-list", "--stdin", stdin=asked.encode())
    return frozenset(names) & frozenset(done.stdout.decode().split())


def _dated(repository: Repository, tip: str, *options: str) -> Iterator[tuple[int, str, int]]:
    """Yield (committer date, id, number of parents, 0 when not asked) of each commit behind ``tip``."""
    width = len(tip)
    rest = b""
    with repository.stream("rev-list", "--timestamp", *options, tip, "--") as running:
        for chunk in running:
            *rows, rest = (rest + chunk).split(b"\n")
            for row in rows:
                gap = row.find(b" ")
                yield int(row[:gap]), row[gap + 1 : gap + 1 + width].decode(), (len(row) - gap) // (width + 1) - 1
        if running.wait():
            raise SourceError(GapKind.BAD_ANSWER, f"git rev-list failed: {line(running.stderr)}", "try git fsck")
