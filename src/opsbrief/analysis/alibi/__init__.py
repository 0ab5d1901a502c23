"""The alibi: can the infrastructure be ruled out? Only what was looked at may say so.

One part per kind of change: commits, applied versions, changed resources, packages, the agreed freeze, alarms of
the machines. One change, one failure, one noop run, one gap or one node that was not read is enough to take "ruled
out" away. Packages and alarms that no source was configured for take nothing away: a reader without Icinga would
else never get an answer from Git and Puppet. But they are said to be unread, beside the verdict.
"""

from collections.abc import Iterator, Sequence

from opsbrief.analysis.alibi import alarms, commits, freeze, packages, resources, versions
from opsbrief.analysis.alibi.ground import Ground, Part
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding, Verdict, lead

_CLAUSES = 3  # of the headline

#: What is said first of several parts with one verdict: what was applied weighs more than what was committed.
_ORDER = {
    Verdict.NOT_RULED_OUT: ("resources", "versions", "packages", "commits", "alarms", "freeze"),
    Verdict.CANNOT_TELL: ("commits", "versions", "resources", "alarms", "packages", "freeze"),
    Verdict.RULED_OUT: ("commits", "versions", "resources"),
}
#: In which order the coverage is said, for the first page has room for its first clauses only.
_COVERED = ("versions", "packages", "freeze", "alarms", "resources", "commits")


def find(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the one "alibi", then an "alibi-part" for each kind of change with what it rests on."""
    ground = Ground(evidence, lead(found) or _earlier(found))
    parts = [look(ground) for look in (commits.look, versions.look, resources.look, packages.look, alarms.look)]
    agreed = freeze.look(ground, parts)
    parts += [agreed] if agreed else []
    verdict = _verdict([part.verdict for part in parts if part.weighs])
    yield Finding(
        code="alibi",
        subject="infrastructure",
        verdict=verdict,
        headline=f"infrastructure: {'; '.join(_clauses(parts, verdict))}",
        detail="; ".join(_detail(parts, verdict)),
        basis=tuple(dict.fromkeys(each for part in parts for each in part.basis)),
        score=1.0,
        facts={part.kind: str(part.verdict) for part in parts} | {k: v for p in parts for k, v in p.facts.items()},
    )
    for place, part in enumerate(parts):
        yield Finding(
            code="alibi-part",
            subject=part.kind,
            verdict=part.verdict,
            headline=part.said or next(iter(part.coverage), ""),
            detail="; ".join(clause for clause in part.coverage if clause != part.said),
            basis=part.basis,
            score=float(len(parts) - place),
            facts={"weighs": int(part.weighs), **part.facts},
        )


def _earlier(found: Sequence[Finding]) -> Finding | None:
    """Return the strongest metric that changed before the window: then what was before it is suspect too."""
    return max(
        (f for f in found if f.code == "shift" and f.verdict is Verdict.BEGAN_BEFORE),
        key=lambda f: f.score,
        default=None,
    )


def _verdict(verdicts: Sequence[Verdict]) -> Verdict:
    return next((v for v in (Verdict.NOT_RULED_OUT, Verdict.CANNOT_TELL) if v in verdicts), Verdict.RULED_OUT)


def _clauses(parts: Sequence[Part], verdict: Verdict) -> list[str]:
    """Return the clauses of the headline: what stands against it, or what it rests on.

    Of what cannot be told, the commits that are ruled out are said as well: often the one thing that is known.
    """
    kinds = {part.kind: part for part in parts}
    told = [kinds[kind] for kind in _ORDER[verdict] if kind in kinds and _tells(kinds[kind], verdict)]
    return list(dict.fromkeys(part.said for part in told))[:_CLAUSES]


def _tells(part: Part, verdict: Verdict) -> bool:
    if part.kind == "commits" and verdict is Verdict.CANNOT_TELL:
        return part.verdict in (Verdict.RULED_OUT, verdict)
    return bool(part.said) and part.verdict is verdict and part.weighs


def _detail(parts: Sequence[Part], verdict: Verdict) -> Iterator[str]:
    """Yield what every part rests on, each clause once, those with the verdict first."""
    ranked = sorted(parts, key=lambda part: (part.verdict is not verdict, _COVERED.index(part.kind)))
    said = set(_clauses(parts, verdict))
    if verdict is Verdict.RULED_OUT:  # first of each part one clause: the first page has room for a few
        firsts = [part.brief or next(iter(part.coverage), "") for part in sorted(parts, key=_place)]
        yield from (clause for clause in dict.fromkeys(firsts) if clause and clause not in said)
        said |= set(firsts)
    else:  # what else has the verdict, beyond the headline's few clauses
        more = [part.said for part in ranked if part.verdict is verdict and part.said and part.said not in said]
        yield from more
        said |= set(more)
    seen = dict.fromkeys(clause for part in ranked for clause in part.coverage)
    yield from (clause for clause in seen if clause not in said)


def _place(part: Part) -> int:
    return _COVERED.index(part.kind)
