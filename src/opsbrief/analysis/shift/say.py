"""The sentences about a metric: what a person would say aloud, and what it rests on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from opsbrief import phrase
from opsbrief.analysis.shift import restarts
from opsbrief.analysis.shift.read import Case
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.window import Window


def worded(finding: Finding, cases: Sequence[Case], evidence: Evidence) -> Finding:
    """Return the finding with its headline and detail, and with how many of its resets a restart explains."""
    finding = replace(finding, facts={**finding.facts, **restarts.explained(finding, cases, evidence)})
    return replace(
        finding,
        headline=f"{finding.subject}: {_said(finding, evidence.window)}",
        detail="; ".join(_rests(finding, cases, evidence)),
    )


def _said(finding: Finding, window: Window) -> str:
    levels = f"{phrase.number(finding.before)} → {phrase.number(finding.after, finding.unit)}"
    if finding.verdict is Verdict.CANNOT_TELL:
        return "cannot tell, too few datapoints" if finding.facts["series_total"] else "cannot tell, no series"
    if finding.verdict is Verdict.UNCHANGED:
        return f"unchanged, {levels}"
    if finding.shape == "silent":
        parts = [f"no data any more{_where(finding)}", f"{phrase.number(finding.before, finding.unit)} before"]
    elif finding.shape in ("ramp", "sawtooth"):
        parts = [f"{levels}{_where(finding)}", _slope(finding)]
    elif finding.shape == "noisier":
        parts = [f"noisier at about the same level ({levels}){_where(finding)}"]
    elif finding.shape == "spike":
        parts = [f"{levels}{_where(finding)} for a while, then back"]
    else:
        parts = [f"{levels}{_where(finding)}"]
    if finding.facts["weekly"] and _against(finding):
        way = "less" if finding.facts["direction"] == "down" else "more"
        parts.append(f"{way} than last week's same hours would give")
    parts.append(_began(finding, window))
    resets = finding.facts["resets"]
    if finding.shape == "sawtooth" and resets:
        falls = "falls" if finding.facts["direction"] == "up" else "recovers"
        near = finding.facts.get("resets_near_restart")
        near = f", {near} of them within {restarts.NEAR} s of a restart" if near else ""
        parts.append(f"{falls} only at {phrase.count(int(resets), 'reset')}{near}")
    return ", ".join(part for part in parts if part)


def _against(finding: Finding) -> bool:
    """Whether the levels moved to the other side than the metric did beside last weeks' same hours."""
    if finding.before is None or finding.after is None or finding.shape in ("silent", "noisier"):
        return False
    moved = finding.after - finding.before
    return moved < 0 if finding.facts["direction"] == "up" else moved > 0 and finding.facts["direction"] == "down"


def _where(finding: Finding) -> str:
    """Return " on 8 of 8 hosts" or " in 3 of 4 series"; nothing where there is one series."""
    hosts, total = finding.facts["hosts_total"], finding.facts["series_total"]
    if finding.code == "series":
        return ""
    if hosts and finding.hosts:
        return f" on {len(finding.hosts)} of {phrase.count(int(hosts), 'host')}"
    return f" in {len(finding.basis)} of {total} series" if total and int(total) > 1 else ""


def _slope(finding: Finding) -> str:
    slope, low, high = (finding.facts[name] for name in ("slope_per_minute", "slope_low", "slope_high"))
    if not isinstance(slope, float) or not isinstance(low, float) or not isinstance(high, float):
        return ""
    word = "rising" if slope > 0 else "falling"
    each = " each" if len(finding.basis) > 1 else ""
    value, unit = (slope, "min") if abs(slope) >= 0.05 or not slope else (slope * 60, "h")
    scale = value / slope if slope else 1.0
    return f"{word} {phrase.signed(value)}/{unit}{each} ({phrase.number(low * scale)} to {phrase.number(high * scale)})"


def _began(finding: Finding, window: Window) -> str:
    onset = finding.onset
    if onset is None:
        return ""
    low, high = (phrase.clock(at, window.zone, window.start) for at in (onset.earliest, onset.latest))
    return f"began {low}" if low == high else f"began {low}–{high}"


def _rests(finding: Finding, cases: Sequence[Case], evidence: Evidence) -> list[str]:
    """Return what limits or supports the sentence, each as a clause."""
    notes = []
    silent = sum(not np.isfinite(case.series.values).any() for case in cases)
    untold = sum(case.verdict is Verdict.CANNOT_TELL for case in cases)
    if finding.verdict is Verdict.BEGAN_BEFORE and finding.onset:
        lead = (evidence.window.start - finding.onset.at).total_seconds()
        notes.append(f"began about {phrase.duration(lead)} before the {evidence.window.anchor.kind}")
    if silent:
        notes.append(f"{silent} of {phrase.count(len(cases), 'series', 'series')} without any data")
    if untold > silent and finding.verdict is not Verdict.CANNOT_TELL:
        notes.append(f"{untold - silent} with too few datapoints to tell")
    week = finding.facts["last_week"]
    if isinstance(week, float) and finding.verdict is not Verdict.CANNOT_TELL:
        notes.append(f"last week's same hours: {phrase.number(week, finding.unit)}")
    peak = finding.facts["peak"]
    if finding.verdict is Verdict.CHANGED and finding.shape in ("ramp", "sawtooth") and isinstance(peak, float):
        notes.append(
            f"{'peak' if finding.facts['direction'] == 'up' else 'lowest'} {phrase.number(peak, finding.unit)}"
        )
    left, limit = finding.facts["minutes_left"], finding.facts["limit"]
    if isinstance(left, float) and isinstance(limit, float | int):
        notes.append(f"~ {phrase.duration(left * 60)} to the limit {phrase.number(float(limit))} at this slope")
    if not cases:
        gaps = [gap for gap in evidence.gaps if finding.subject in gap.what or gap.what == "everything"]
        notes += [f"{gap.source}: {gap.detail}" for gap in gaps[:2]]
    return notes
