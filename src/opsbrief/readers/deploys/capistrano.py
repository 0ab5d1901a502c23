"""Rollbacks in Capistrano's revisions.log, which writes down that one happened but not when.

Between which deploys it was is told by its place in the log; what Capistrano leaves on the disk tells more.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from opsbrief.errors import WindowError
from opsbrief.readers.marks import CAPISTRANO, ROLLBACK, Mark, Reader

_DEPLOY = re.compile(CAPISTRANO)
_BACK = re.compile(ROLLBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """One line that says "rolled back to release ..."."""

    release: str  # that is current since
    left: str  # that was current before; "" when the log does not say
    ref: str  # what that release had deployed
    after: datetime | None  # of the deploy before it in the log
    before: datetime | None  # of the next deploy in the log
    newest: bool  # nothing in the log is newer
    raw: str

    def mark(self, at: datetime) -> Mark:
        """Return it as an entry of the log, at a time that something else told."""
        note = f"rolled back to release {self.release}"
        return Mark(at=at, ref=self.ref, note=note, state="ended", rollback=True, raw=self.raw)

    def possible(self, at: datetime) -> bool:
        """Return whether it can have been at that time."""
        return (self.after is None or self.after <= at) and (self.before is None or at <= self.before)


def rollbacks(lines: Iterable[str], *, end: bool) -> Iterator[Rollback]:
    """Yield every rollback in lines that follow each other in one log; ``end``: the last is the newest of the log."""
    reader = Reader(format="capistrano")
    refs: dict[str, str] = {}  # release -> what it deployed
    open_: list[Rollback] = []  # after which no deploy has come yet
    after, left = None, ""
    for line in lines:
        if back := _BACK.search(line):
            release = back["release"]
            found = Rollback(
                release=release, left=left, ref=refs.get(release, ""), after=after, before=None, newest=False, raw=line
            )
            open_.append(found)
            left = release
        elif deploy := _DEPLOY.search(line):
            try:
                mark = reader.mark(line)
            except (ValueError, WindowError):
                continue  # the reader of the log complains about it
            yield from (replace(found, before=mark.at) for found in open_)
            open_.clear()
            refs[deploy["time"]] = mark.ref
            after, left = mark.at, deploy["time"]
    for place, found in enumerate(open_):
        yield replace(found, newest=end and place == len(open_) - 1)
