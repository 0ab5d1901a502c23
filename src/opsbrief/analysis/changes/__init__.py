"""The release, and what else was changed around it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from opsbrief import phrase
from opsbrief.analysis.changes import puppet
from opsbrief.model.evidence import Change, Evidence, Release
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.window import Window
from opsbrief.releases import same

MOST = 50  # other changes that are told
_LEAD = timedelta(hours=2)  # before the anchor: still near enough to matter
_SAME = timedelta(minutes=10)  # a tag or deploy marker this near to the anchor is the anchor's own
_FOLDERS = 3


def find(evidence: Evidence, _: Sequence[Finding]) -> Iterator[Finding]:
    """Yield "release" for each known release, then "other-change" for what is not part of it."""
    releases = list(evidence.items(Release))
    for release in releases:
        yield _release(release)
    anchor = evidence.window.anchor
    if not releases and anchor.kind in ("deploy", "tag"):
        yield Finding(
            code="release",
            subject=anchor.ref or "release",
            verdict=Verdict.CANNOT_TELL,
            headline="what the release contains is not known: no repository told it",
            detail="" if evidence.window.previous else "no deploy before this one is known",
        )
    yield from _others(evidence, releases)


def _release(release: Release) -> Finding:
    folders = Counter(_folder(stat.path) for stat in release.files)
    top = [name for name, _ in sorted(folders.items(), key=lambda pair: (-pair[1], pair[0]))]
    lines = sum(stat.added for stat in release.files), sum(stat.deleted for stat in release.files)
    made = f"{phrase.count(len(release.commits), 'commit')}, {phrase.count(len(release.files), 'file')}"
    limits = "" if release.complete else "the diff was cut: more lines were added than are kept"
    touched = f"touches {phrase.listed(top, _FOLDERS)}" if top else ""
    return Finding(
        code="release",
        subject=f"{release.base}..{release.head}",
        verdict=Verdict.CHANGED if release.commits or release.files else Verdict.UNCHANGED,
        headline=f"{release.base}..{release.head}: {made}",
        detail="; ".join(part for part in (touched, limits) if part),
        basis=(release.id,),
        score=float(len(release.commits)),
        facts={
            "base": release.base,
            "head": release.head,
            "commits": len(release.commits),
            "files": len(release.files),
            "added": lines[0],
            "deleted": lines[1],
            "complete": int(release.complete),
        },
    )


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _others(evidence: Evidence, releases: Sequence[Release]) -> Iterator[Finding]:
    window = evidence.window
    own = {commit.ref for release in releases for commit in release.commits}
    told = puppet.groups(evidence, window.start - _LEAD)
    others = [
        change
        for change in evidence.items(Change)
        if window.start - _LEAD <= change.at < window.end
        and change.kind != "resource"
        and change.ref not in own
        and not _anchors(change, window)
    ]
    others.sort(key=lambda change: (change.role != "infrastructure", change.at, change.ref))
    many = len(told) + len(others)
    for place, group in enumerate(told[:MOST]):
        yield _applied(group, window, puppet.nodes(evidence), rank=many - place)
    for place, change in enumerate(others[: max(0, MOST - len(told))]):
        yield _other(change, window, rank=many - len(told) - place)


def _applied(group: puppet.Group, window: Window, nodes: int, rank: int) -> Finding:
    first, last = (phrase.clock(at, window.zone, window.start) for at in (group.first, group.last))
    said = group.said(nodes)
    return Finding(
        code="other-change",
        subject="packages" if group.kind == "package" else f"Puppet {group.version[:10]}".strip(),
        verdict=Verdict.CHANGED,
        headline=f"{first if first == last else f'{first}–{last}'} {said}",
        detail=f"on {phrase.listed(list(group.hosts), 8)}" if len(group.hosts) > 1 else "",
        basis=tuple(name for name in group.basis[:20] if name),
        score=float(rank),
        onset=Onset(at=group.first, earliest=group.first, latest=group.last),
        hosts=tuple(group.hosts),
        facts={
            "kind": group.kind,
            "role": "infrastructure",
            "source": group.source,
            "said": said,
            "version": group.version,
            "resources": len(group.refs),
        },
    )


def _anchors(change: Change, window: Window) -> bool:
    """Whether a change is the anchor itself: the same deploy or its tag."""
    if change.kind not in ("tag", "deploy"):
        return False
    near = change.kind == "deploy" and abs(change.at - window.anchor.at) <= _SAME
    return near or same(change.ref, window.anchor.ref)


def _other(change: Change, window: Window, rank: int) -> Finding:
    role = f"{change.role} " if change.role else ""
    files = f", {phrase.count(len(change.files), 'file')}" if change.files else ""
    landed = "" if change.landed else ", not yet on the branch"
    ref = change.ref[:10] if change.kind == "commit" else change.ref
    when = phrase.clock(change.at, window.zone, window.start)
    return Finding(
        code="other-change",
        subject=ref,
        verdict=Verdict.CHANGED,
        headline=f"{when} {role}{change.kind} {ref}: {change.summary[:100]}{files}{landed}",
        detail=", ".join(stat.path for stat in change.files[:3]),
        basis=(change.id,),
        score=float(rank),
        onset=Onset(at=change.at, earliest=change.at, latest=change.at),
        hosts=change.hosts,
        facts={"kind": change.kind, "role": change.role, "source": change.origin.source, "files": len(change.files)},
    )
