"""Thresholds that were moved: what a commit changed in the configuration of monitoring.

A limit that was raised explains an alarm that stayed away, one that was lowered explains restarts that came. Only
numbers are looked for that changed in a line which otherwise stayed as it was.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from opsbrief import phrase
from opsbrief.model.evidence import Change, Edit, Evidence
from opsbrief.model.finding import Finding, Onset, Verdict

MOST = 20  # thresholds that are told
_LEAD = timedelta(hours=2)

_NUMBER = re.compile(r"(?<![\w.])\d{1,15}(?:\.\d{1,9})?(?![\d.]*\.\d)(?=[A-Za-z%]{0,3}(?!\w))")
#: What a line must have to be about a threshold: a comparison, or a word for one.
_ABOUT = re.compile(
    r"[<>]|warn|crit|thresh|limit|greater|less|max|min\b|exceed|ceiling|(?:^|[\s\"'])-[wc]\b|!\d|above|below",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?<![\w-])[A-Za-z_][\w:./-]{0,80}")
_FLAG = re.compile(r"(?:^|[\s\"'])(--?[A-Za-z][\w-]{0,30})[\s=\"']*$")
_FILLERS = frozenset(
    ("if", "is", "than", "then", "for", "while", "when", "greater", "less", "expr", "value", "and", "or", "vars", "to")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """One threshold before and after."""

    name: str
    old: str
    new: str


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield one "threshold" per number that a commit near the window moved, the first commit that did it."""
    window = evidence.window
    told: set[tuple[str, str, str, str]] = set()
    changes = [c for c in evidence.items(Change) if c.edits and window.start - _LEAD <= c.at < window.end]
    for change in sorted(changes, key=lambda change: change.at):
        for edit in change.edits:
            moved = read(edit)
            if moved is None or (key := (edit.path, moved.name, moved.old, moved.new)) in told:
                continue
            told.add(key)
            if len(told) <= MOST:
                yield _finding(change, edit, moved, evidence)


def _finding(change: Change, edit: Edit, moved: Moved, evidence: Evidence) -> Finding:
    window = evidence.window
    at = phrase.clock(change.at, window.zone, window.start)
    landed = "" if change.landed else ", not yet on the branch"
    return Finding(
        code="threshold",
        subject=moved.name,
        verdict=Verdict.CHANGED,
        headline=f"threshold of {moved.name} changed {moved.old} → {moved.new} at {at} "
        f"by commit {change.ref[:10]}{landed}",
        detail=f"{edit.path}:{edit.line}: {edit.new}",
        basis=(change.id,) if change.id else (),
        score=1.0 if change.at >= window.start else 0.5,
        onset=Onset(at=change.at, earliest=change.at, latest=change.at),
        facts={
            "old": moved.old,
            "new": moved.new,
            "path": edit.path,
            "ref": change.ref,
            "source": change.origin.source,
        },
    )


def read(edit: Edit) -> Moved | None:
    """Return the first number of a line that moved and what it is the threshold of; None when it is none."""
    old, new = list(_NUMBER.finditer(edit.old)), list(_NUMBER.finditer(edit.new))
    if len(old) != len(new) or not _ABOUT.search(edit.new) or edit.new.lstrip().startswith(("#", "//", ";")):
        return None
    pair = next(((a, b) for a, b in zip(old, new, strict=True) if a[0] != b[0]), None)
    if pair is None or _NUMBER.sub("#", edit.old) != _NUMBER.sub("#", edit.new):
        return None
    before, after = pair
    return Moved(_name(edit.new[: after.start()], edit), _unit(edit.old, before), _unit(edit.new, after))


def _name(head: str, edit: Edit) -> str:
    """Return what the number belongs to: the last word before it, with the flag it stands behind; else the file."""
    flag = _FLAG.search(head)
    words = [word for word in _TOKEN.findall(head[: flag.start()] if flag else head) if word.lower() not in _FILLERS]
    name = (words[-1] if words else edit.path.rpartition("/")[2]).strip(":./-").removeprefix("vars.")
    return f"{name} {flag[1]}" if flag else name


def _unit(line: str, number: re.Match[str]) -> str:
    """Return the number with the unit behind it: "400 MB", "90%"."""
    unit = re.match(r"%| ?(?:[KMGT]i?B|B|ms|s|m|h|cycles)\b", line[number.end() :])
    return number[0] + (unit[0] if unit else "")
