"""The first page: what a developer needs to know in five lines, and what those lines rest on.

The order is fixed: window, verdicts, one graph, where, logs, changes, timeline, coverage. A line whose
evidence was never asked for is absent; a line whose evidence is missing says "cannot tell".
"""

from collections.abc import Iterator
from dataclasses import replace

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import NEAR, Case, message, real, refs, said
from opsbrief.compose.ground import changes, coverage, places
from opsbrief.compose.verdict import verdicts
from opsbrief.model.brief import Cell, Column, Entry, Figure, Line, Scorecard, Section, Table, Timeline, Tone
from opsbrief.model.finding import Finding, Verdict


def page(case: Case, figure: Figure | None, rows: int, instants: int) -> Iterator[Section]:
    """Yield the sections of the first page with so many patterns of the logs and instants of the timeline."""
    yield Section(name="verdict", heading="", blocks=(Scorecard(lines=(*window(case), *verdicts(case))),))
    if figure:
        yield Section(name="graph", heading="", blocks=(figure,))
    if lines := tuple(places(case)):
        yield Section(name="where", heading="Where", blocks=(Scorecard(lines=lines),))
    if logs := news(case, rows):
        yield Section(name="logs", heading="New in the logs", blocks=(logs,))
    yield Section(name="changes", heading="What was changed", blocks=(Scorecard(lines=tuple(changes(case))),))
    if case.all("timeline"):
        yield Section(name="timeline", heading="Timeline", blocks=(timeline(case, instants, 72),))
    yield Section(name="coverage", heading="What this rests on", blocks=(Scorecard(lines=tuple(coverage(case))),))


def window(case: Case) -> Iterator[Line]:
    """Say which time this is about, how it was found, and what it is compared with."""
    span = case.window
    baseline = [f"the {phrase.duration(span.before.total_seconds())} before"] if span.before else []
    baseline += [words.ago(shift) for _, shift in span.shifts]
    detail = f"compared with {words.listing(baseline) or 'nothing: no baseline was asked for'}"
    yield Line(label="Window", text=case.clock.span(span.start, span.end), detail=detail)
    if taken := _taken(case):
        yield Line(label="Found by", text=taken)
    for warning in span.receipt.warnings if span.receipt else ():
        yield Line(label="Note", text=text.line(warning, 300), tone="unknown")


def _taken(case: Case) -> str:
    """Return which instant was taken, by whose word, and what the other deploy logs say."""
    anchor, receipt = case.window.anchor, case.window.receipt
    expression = f"--since {text.line(receipt.since, 60)}: " if receipt and receipt.since else ""
    if not anchor.source:
        return f"{expression}a given time" if receipt else ""
    parts = [f"{text.line(anchor.source, 40)} {case.moment(anchor.at, seconds=True)} ({anchor.time_kind}), taken"]
    for candidate in receipt.candidates if receipt else ():
        deploy = candidate.deploy
        if not candidate.taken and abs(candidate.offset) <= NEAR:
            name = f"{text.line(deploy.source, 40)} {case.moment(deploy.at, seconds=True)}"
            parts.append(f"{name} ({deploy.time_kind}, {words.offset(candidate.offset)})")
    return expression + " · ".join(parts[:4])


def news(case: Case, rows: int) -> Table | None:
    """Return the log patterns that are new, exploded or vanished, with rates; None when no logs were read."""
    summary = case.first("log-summary")
    if not case.patterns and (summary is None or summary.verdict is Verdict.CANNOT_TELL):
        return None
    louder = [
        f"{text.line(f.subject, 20)} lines {words.arrow(f.before, f.after, f.unit)}"
        for f in case.all("log-volume")
        if f.verdict is Verdict.CHANGED and f.facts.get("level") in ("ERROR", "FATAL")
    ]
    told = [text.line(summary.headline)] if summary else []
    rows += len(case.patterns) == rows + 1  # "and 1 more" takes the line that the one would have
    return Table(
        columns=(
            Column(heading="What"),
            Column(heading="Level"),
            Column(heading="Pattern"),
            Column(heading="Per minute", align="right"),
            Column(heading="First seen", align="right"),
        ),
        rows=tuple(_pattern(case, finding) for finding in case.patterns[:rows]),
        caption="; ".join([*told, *louder[:2]]),
        cut=max(0, len(case.patterns) - rows),
    )


def _pattern(case: Case, finding: Finding) -> tuple[Cell, ...]:
    level = said(finding, "level", 12)
    tone: Tone = "bad" if level in ("ERROR", "FATAL") and finding.verdict is not Verdict.VANISHED else "plain"
    return (
        Cell(text=str(finding.verdict), tone=tone),
        Cell(text=level, tone=tone),
        Cell(text=message(finding, 160), code=True, refs=refs(finding)),
        Cell(text=f"{phrase.number(real(finding, 'rate_before'))} → {phrase.number(real(finding, 'rate_after'))}"),
        Cell(text=first_seen(case, finding)),
    )


def first_seen(case: Case, finding: Finding) -> str:
    """Return when a pattern was first seen, as a time of the brief's zone."""
    if finding.onset is None:
        return ""
    return f"{case.moment(finding.onset.at)}{', at start only' if finding.facts.get('starting') else ''}"


def timeline(case: Case, most: int, cap: int = 200) -> Timeline:
    """Return the instants in order, each in ``cap`` characters; of more than ``most``, those that tell most."""
    ranked = [finding for finding in case.all("timeline") if finding.onset and finding.subject != "end"]
    shown = sorted(ranked[:most], key=lambda finding: finding.onset.at if finding.onset else case.window.start)
    entries = tuple(
        Entry(at=case.moment(finding.onset.at, seconds=False), text=instant(finding, cap))
        for finding in shown
        if finding.onset
    )
    return Timeline(entries=entries, cut=len(ranked) - len(shown))


def instant(finding: Finding, cap: int) -> str:
    """Return what happened; of a log line the message without its thread and logger."""
    what, colon, said_ = text.line(finding.headline, 1000).partition(": ")
    if finding.subject == "first-error" and colon:
        return words.cut(f"{what}: {message(replace(finding, subject=said_), cap)}", cap)
    return words.cut(finding.headline, cap)
