"""How two bundles differ: window, sources, gaps, verdicts, levels, patterns, changes.

Subjects are compared by name. A pattern of log lines may have got one more wildcard in one of the
bundles; it is still the same.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opsbrief import phrase
from opsbrief.model.evidence import Change, Evidence, Release
from opsbrief.model.finding import Finding
from opsbrief.text import line

ABSENT = "-"
_ANY = "<*>"
_LEVEL = 0.1  # share by which a level must differ to be told
_ASKED = ("shift", "log-volume", "wide-net", "alibi", "effect")  # codes with a verdict to compare


@dataclass(frozen=True, slots=True)
class Row:
    """One difference: what is told of ``what`` in either bundle."""

    part: str
    what: str
    a: str
    b: str


def diff(one: Evidence, first: Sequence[Finding], other: Evidence, second: Sequence[Finding]) -> Iterator[Row]:
    """Yield the differences of two bundles, each as evidence and its findings, in the order of PARTS."""
    yield from _pairs("window", _window(one), _window(other))
    yield from _pairs("sources", _sources(one), _sources(other))
    yield from _pairs("gaps", _gaps(one), _gaps(other))
    yield from _findings(first, second)
    yield from _patterns(first, second)
    yield from _pairs("changes", _changes(one), _changes(other))


PARTS = ("window", "sources", "gaps", "verdicts", "levels", "log patterns", "changes")


def _pairs(part: str, one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Row]:
    for what in dict.fromkeys([*one, *other]):
        a, b = one.get(what, ABSENT), other.get(what, ABSENT)
        if a != b:
            yield Row(part, what, a, b)


def _window(evidence: Evidence) -> dict[str, str]:
    window = evidence.window
    anchor = window.anchor
    said = {
        "service": evidence.scope.service,
        "start": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{window.end:%Y-%m-%dT%H:%M:%SZ}",
        "anchor": f"{anchor.kind} {anchor.ref}".strip(),
        "compared with": ", ".join([f"{phrase.duration(window.before.total_seconds())} before", *dict(window.shifts)]),
        "version": evidence.version,
        "hosts": ", ".join(evidence.scope.hosts) or ABSENT,
    }
    if window.fix:
        said["fix"] = f"{window.fix.at:%Y-%m-%dT%H:%M:%SZ} {window.fix.ref}".strip()
    return said


def _sources(evidence: Evidence) -> dict[str, str]:
    return {outcome.source: f"{outcome.type}, {outcome.status}" for outcome in evidence.outcomes}


def _gaps(evidence: Evidence) -> dict[str, str]:
    return {f"{gap.source}: {gap.what}": f"{gap.kind}: {gap.detail}" for gap in evidence.gaps}


def _changes(evidence: Evidence) -> dict[str, str]:
    releases = ", ".join(f"{release.base}..{release.head}" for release in evidence.items(Release))
    return {"release": releases or ABSENT} | {
        f"{change.kind} {change.ref[:12]}": line(change.summary, 80) or change.kind
        for change in evidence.items(Change)
        if change.in_window
    }


def _findings(first: Iterable[Finding], second: Iterable[Finding]) -> Iterator[Row]:
    one, other = ({_key(each): each for each in found if each.code in _ASKED} for found in (first, second))
    both = [(key, one[key], other[key]) for key in one if key in other]
    for key in dict.fromkeys([*one, *other]):
        a, b = (str(found[key].verdict) if key in found else ABSENT for found in (one, other))
        if a != b:
            yield Row("verdicts", key, a, b)
    for key, was, now in both:
        if _apart(was.after, now.after):
            yield Row("levels", key, phrase.number(was.after, was.unit), phrase.number(now.after, now.unit))


def _key(finding: Finding) -> str:
    names = {"log-volume": "log lines: ", "effect": "effect: "}
    return f"{names.get(finding.code, '')}{finding.subject}"


def _apart(one: float | None, other: float | None) -> bool:
    a, b = (math.nan if value is None else value for value in (one, other))
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) != math.isnan(b)
    return abs(a - b) > _LEVEL * max(abs(a), abs(b))


def _patterns(first: Iterable[Finding], second: Iterable[Finding]) -> Iterator[Row]:
    """Yield patterns that are told in one bundle only, or with another verdict or rate."""
    one, other = ([each for each in found if each.code == "log-pattern"] for found in (first, second))
    left = list(other)
    for was in one:
        now = next((each for each in left if _same(was, each)), None)
        if now is None:
            yield Row("log patterns", _said(was), _rate(was), ABSENT)
            continue
        left.remove(now)
        if now.verdict != was.verdict or _apart(was.after, now.after):
            yield Row("log patterns", _said(was), _rate(was), _rate(now))
    for now in left:
        yield Row("log patterns", _said(now), ABSENT, _rate(now))


def _said(finding: Finding) -> str:
    return f"{finding.facts.get('level') or ''} {line(finding.subject, 120)}".strip()


def _rate(finding: Finding) -> str:
    return f"{finding.verdict}, {phrase.number(finding.after, finding.unit)}"


def _same(one: Finding, other: Finding) -> bool:
    return one.facts.get("level") == other.facts.get("level") and (
        fits(one.subject, other.subject) or fits(other.subject, one.subject)
    )


def fits(pattern: str, text: str) -> bool:
    """Whether ``text`` is ``pattern`` with something for each of its wildcards; one look along the text."""
    head, *rest = pattern.split(_ANY)
    if not rest:
        return pattern == text
    *middle, tail = rest
    if not text.startswith(head) or not text.endswith(tail) or len(text) < len(head) + len(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
