"""JSON for machines: findings.json in the bundle, and what ``collect --json`` prints.

Times are RFC 3339 in UTC; a number that is not there is null, never 0.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from opsbrief.codec import pretty
from opsbrief.model.brief import Brief
from opsbrief.model.evidence import Evidence, Gap, Outcome
from opsbrief.model.finding import Finding
from opsbrief.model.window import Window

FINDINGS = "opsbrief.findings/1"
COLLECT = "opsbrief.collect/1"


def findings(evidence: Evidence, found: Sequence[Finding], brief: Brief) -> bytes:
    """Return findings.json: verdicts and numbers, the window, the sources and what is missing."""
    document = {
        "format": FINDINGS,
        **_about(evidence, brief),
        "findings": [_finding(finding) for finding in found],
        "sources": [_source(outcome) for outcome in evidence.outcomes],
        "gaps": [_gap(gap) for gap in evidence.gaps],
        "redactions": dict(evidence.redactions),
    }
    return f"{pretty(document)}\n".encode("utf-8", "backslashreplace")  # a lone surrogate becomes its JSON escape


def collected(
    evidence: Evidence, found: Sequence[Finding], brief: Brief, bundle: Path, artifacts: Sequence[str], code: int
) -> dict[str, object]:
    """Return the document of ``collect --json``: where the bundle is, what is in it, how the run ended."""
    return {
        "format": COLLECT,
        "bundle": str(bundle),
        **_about(evidence, brief),
        "findings": [_finding(finding) for finding in found],
        "gaps": [_gap(gap) for gap in evidence.gaps],
        "artifacts": list(artifacts),
        "exit": code,
    }


def _about(evidence: Evidence, brief: Brief) -> dict[str, object]:
    return {
        "version": evidence.version,
        "service": evidence.scope.service,
        "window": _window(evidence.window),
        "collected_at": _time(evidence.collected_at),
        "headline": brief.headline,
        "pager": brief.pager,
    }


def _window(window: Window) -> dict[str, object]:
    anchor, previous = window.anchor, window.previous
    return {
        "start": _time(window.start),
        "end": _time(window.end),
        "zone": window.zone,
        "before_seconds": window.before.total_seconds(),
        "baselines": {label: shift.total_seconds() for label, shift in window.shifts},
        "anchor": {
            "kind": anchor.kind,
            "at": _time(anchor.at),
            "ref": anchor.ref,
            "source": anchor.source,
            "time_kind": str(anchor.time_kind),
        },
        **(
            {"fix": {"at": _time(window.fix.at), "ref": window.fix.ref, "source": window.fix.source}}
            if window.fix
            else {}
        ),
        "previous": {"at": _time(previous.at), "ref": previous.ref, "source": previous.source} if previous else None,
    }


def _finding(finding: Finding) -> dict[str, object]:
    onset = finding.onset
    return {
        "id": finding.id,
        "code": finding.code,
        "subject": finding.subject,
        "verdict": str(finding.verdict),
        "headline": finding.headline,
        "detail": finding.detail,
        "score": _plain(finding.score),
        "before": _plain(finding.before),
        "after": _plain(finding.after),
        "unit": finding.unit,
        "shape": finding.shape,
        "onset": {"at": _time(onset.at), "earliest": _time(onset.earliest), "latest": _time(onset.latest)}
        if onset
        else None,
        "hosts": list(finding.hosts),
        "facts": _facts(finding.facts),
        "basis": list(finding.basis),
    }


def _facts(facts: Mapping[str, float | int | str | None]) -> dict[str, float | int | str | None]:
    return {name: _plain(value) for name, value in facts.items()}


def _plain(value: float | str | None) -> float | int | str | None:
    """Return a value as JSON can hold it: not a number and infinite are null."""
    if isinstance(value, (bool, str)) or value is None or math.isfinite(value):
        return value
    return None


def _source(outcome: Outcome) -> dict[str, object]:
    return {
        "source": outcome.source,
        "type": outcome.type,
        "role": outcome.role,
        "status": outcome.status,
        "items": len(outcome.items),
        "gaps": len(outcome.gaps),
        "took_seconds": outcome.took,
        "requests": outcome.requests,
        "bytes": outcome.bytes,
    }


def _gap(gap: Gap) -> dict[str, object]:
    return {
        "source": gap.source,
        "what": gap.what,
        "kind": str(gap.kind),
        "detail": gap.detail,
        "hint": gap.hint,
        "span": gap.span,
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
