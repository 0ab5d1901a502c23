"""The first page: what a developer needs to know in five lines, and what those lines rest on.

The order is fixed: window, verdicts, one graph, where, logs, changes, timeline, coverage. A line whose
evidence was never asked for is absent; a line whose evidence is missing says "cannot tell".
"""

from collections.abc import Iterator

from opsbrief import text
from opsbrief.compose import words
from opsbrief.compose.case import NEAR, TONES, Case, does, folded, hosts, real, refs, said, where, whole
from opsbrief.compose.gaps import missing
from opsbrief.model.brief import Cell, Column, Entry, Figure, Line, Scorecard, Section, Table, Timeline, Tone
from opsbrief.model.evidence import Change, LogSample, Release, Series
from opsbrief.model.finding import Finding, Verdict

CHANGED = 3  # metrics named on the first page; the others are counted
PATTERNS = 10
ENTRIES = 10


def page(case: Case, figure: Figure | None) -> Iterator[Section]:
    """Yield the sections of the first page, in order."""
    yield Section(name="verdict", heading="", blocks=(Scorecard(lines=(*window(case), *verdicts(case))),))
    if figure:
        yield Section(name="graph", heading="", blocks=(figure,))
    if lines := tuple(places(case)):
        yield Section(name="where", heading="Where", blocks=(Scorecard(lines=lines),))
    if logs := news(case):
        yield Section(name="logs", heading="New in the logs", blocks=(logs,))
    yield Section(name="changes", heading="What was changed", blocks=(Scorecard(lines=tuple(changes(case))),))
    if case.all("timeline"):
        yield Section(name="timeline", heading="Timeline", blocks=(timeline(case, ENTRIES),))
    yield Section(name="coverage", heading="What this rests on", blocks=(Scorecard(lines=tuple(coverage(case))),))


def window(case: Case) -> Iterator[Line]:
    """Say which time this is about, how it was found, and what it is compared with."""
    span = case.window
    baseline = [f"the {words.duration(span.before.total_seconds())} before"] if span.before else []
    if span.shifts:
        baseline.append(f"the same hours {words.listing([words.ago(shift) for _, shift in span.shifts])}")
    detail = (
        f"compared with {' and '.join(baseline)}" if baseline else "compared with nothing: no baseline was asked for"
    )
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


def verdicts(case: Case) -> Iterator[Line]:
    """Say what changed, what is ruled out, whether users feel it, what cannot be told, how sure that is."""
    moved = [f for f in case.shifts if f.verdict is Verdict.CHANGED and not f.facts.get("impact")]
    for shift in moved[:CHANGED]:
        yield _line("Changed", shift)
    if len(moved) > CHANGED:
        names = words.listing([text.line(f.subject, 40) for f in moved[CHANGED:]], 4)
        yield Line(
            label="Changed", text=f"and {words.count(len(moved) - CHANGED, 'more metric')}: {names}", tone="muted"
        )
    for shift in [f for f in case.shifts if f.verdict is Verdict.BEGAN_BEFORE][:2]:
        yield _line("Began before", shift)
    if case.shifts and not moved:
        still = sum(f.verdict is Verdict.UNCHANGED for f in case.shifts)
        yield Line(label="Unchanged", text=f"{still} of {words.count(len(case.shifts), 'watched metric')}", tone="good")
    for alibi in case.all("alibi"):
        yield _line(str(alibi.verdict).capitalize(), alibi)
    yield from _users(case)
    for shift in [f for f in case.shifts if f.verdict is Verdict.CANNOT_TELL][:2]:
        yield _line("Cannot tell", shift)
    for placebo in case.all("placebo")[:1]:
        yield Line(label="How sure", text=text.line(placebo.headline), detail=_detail(placebo), refs=refs(placebo))


def _users(case: Case) -> Iterator[Line]:
    """Say whether users feel it: from the finding about impact, else from each metric that tells."""
    told = case.all("impact") or [f for f in case.shifts if f.facts.get("impact")]
    for finding in told[:2]:
        yield _line("Users", finding)


def _line(label: str, finding: Finding) -> Line:
    return Line(
        label=label,
        text=text.line(finding.headline),
        detail=_detail(finding),
        refs=refs(finding),
        tone=TONES.get(finding.verdict, "plain"),
    )


def _detail(finding: Finding) -> str:
    return text.line(finding.detail, 300)


def places(case: Case) -> Iterator[Line]:
    """Say on which hosts, and how the restarts go with it."""
    lead = case.lead
    for finding in case.all("hosts")[:1]:
        yield Line(label="Hosts", text=text.line(finding.headline), detail=_detail(finding), refs=refs(finding))
        return
    if lead is None or not where(lead):
        return
    deviate, known = hosts(lead.hosts), hosts(case.scope.hosts)
    rest = [host for host in known if host not in deviate]
    note = f"not on {words.listing(folded(rest), 8)}" if rest and deviate else ""
    yield Line(
        label="Hosts", text=f"{where(lead)} deviate: {words.listing(folded(deviate), 10)}", detail=note, refs=refs(lead)
    )
    resets = whole(lead, "resets")
    if resets:
        fell = f"{words.count(resets, 'sudden return', 'sudden returns')} to the start level since {case.anchor}"
        yield Line(label="Resets", text=fell, detail=_ahead(lead), refs=refs(lead))


def _ahead(lead: Finding) -> str:
    """Return the estimate of when the limit is reached, marked as one."""
    minutes, limit = real(lead, "minutes_to_limit"), real(lead, "limit")
    if minutes is None or limit is None:
        return ""
    return f"~ {words.duration(minutes * 60)} to the limit of {words.quantity(limit, lead.unit)} at this slope"


def news(case: Case) -> Table | None:
    """Return the log patterns that are new, exploded or vanished, with rates; None when no logs were read."""
    summary = case.first("log-summary")
    if not case.patterns and summary is None:
        return None
    return Table(
        columns=(
            Column(heading="What"),
            Column(heading="Level"),
            Column(heading="Pattern"),
            Column(heading="Per minute", align="right"),
            Column(heading="First seen", align="right"),
        ),
        rows=tuple(_pattern(case, finding) for finding in case.patterns[:PATTERNS]),
        caption=text.line(summary.headline) if summary else "",
        cut=max(0, len(case.patterns) - PATTERNS),
    )


def _pattern(case: Case, finding: Finding) -> tuple[Cell, ...]:
    level = said(finding, "level", 12)
    tone: Tone = "bad" if level in ("ERROR", "FATAL") and finding.verdict is not Verdict.VANISHED else "plain"
    return (
        Cell(text=str(finding.verdict), tone=tone),
        Cell(text=level, tone=tone),
        Cell(text=words.cut(finding.subject, 160), code=True, refs=refs(finding)),
        Cell(text=f"{words.number(real(finding, 'rate_before'))} → {words.number(real(finding, 'rate_after'))}"),
        Cell(text=first_seen(case, finding)),
    )


def first_seen(case: Case, finding: Finding) -> str:
    """Return when a pattern was first seen, as a time of the brief's zone."""
    at = finding.onset.at if finding.onset else None
    return case.moment(at) if at else ""


def changes(case: Case) -> Iterator[Line]:
    """Say what the release is made of and what else was changed."""
    yield from _release(case)
    for finding in [f for f in case.patterns if said(f, "code_at")][:2]:
        place = said(finding, "code_at", 160)
        said_ = f"{place}, added by this release, says “{words.cut(finding.subject, 60)}”"
        yield Line(label="In its code", text=said_, refs=refs(finding))
    other = case.all("other-change")
    for finding in other[:3]:
        yield Line(label="Other changes", text=text.line(finding.headline), detail=_detail(finding), refs=refs(finding))
    if len(other) > 3:
        yield Line(label="Other changes", text=f"and {len(other) - 3:,} more, on a later page", tone="muted")
    if not other:
        asked = [o.source for o in case.evidence.outcomes if o.type in ("git", "puppet", "puppetdb") and not o.gaps]
        if asked:
            named = words.listing([text.line(source, 40) for source in asked])
            yield Line(label="Other changes", text=f"none in the window, by {named}", tone="good")
        else:
            yield Line(label="Other changes", text="cannot tell: no record of changes was read whole", tone="unknown")


def _release(case: Case) -> Iterator[Line]:
    found = case.all("release")
    for finding in found[:2]:
        yield Line(label="The release", text=text.line(finding.headline), detail=_detail(finding), refs=refs(finding))
    for release in [] if found else list(case.evidence.items(Release))[:2]:
        made = f"{words.count(len(release.commits), 'commit')}, {words.count(len(release.files), 'file')}"
        ends = f"{text.line(release.base, 40)}..{text.line(release.head, 40)}"
        yield Line(label="The release", text=f"{ends}: {made}", refs=(release.id,) if release.id else ())


def timeline(case: Case, most: int) -> Timeline:
    """Return the instants in order; when there are more than ``most``, those that tell most."""
    ranked = [finding for finding in case.all("timeline") if finding.onset]
    shown = sorted(ranked[:most], key=lambda finding: finding.onset.at if finding.onset else case.window.start)
    entries = tuple(
        Entry(at=case.moment(finding.onset.at, seconds=False), text=words.cut(finding.headline, 140))
        for finding in shown
        if finding.onset
    )
    return Timeline(entries=entries, cut=len(ranked) - len(shown))


def coverage(case: Case) -> Iterator[Line]:
    """Say what was asked and what came, name everything that is missing, and how to go on from here."""
    yield Line(label="Coverage", text=answered(case), detail="; ".join(amounts(case)))
    yield from missing(case)


def answered(case: Case) -> str:
    """Return "7 of 8 sources answered in 21 s"; a source with gaps is said to have answered in part."""
    outcomes = case.evidence.outcomes
    if not outcomes:
        return "no source was asked"
    good = sum(outcome.status == "ok" for outcome in outcomes)
    partly = sum(outcome.status == "partial" for outcome in outcomes)
    took = words.duration(max(outcome.took for outcome in outcomes))
    part = f", {partly} in part," if partly else ""
    return f"{good} of {words.count(len(outcomes), 'source')} answered{part} in {took}"


def amounts(case: Case) -> Iterator[str]:
    """Yield how much was read, and what it cost the servers."""
    series = [item for item in case.evidence.items(Series) if not item.span]
    if series:
        silent = sum(not (item.values == item.values).any() for item in series)
        yield f"{len(series):,} series{f', {silent:,} without data' if silent else ''}"
    total = sum(sample.total for sample in case.evidence.items(LogSample) if sample.span in ("", "incident"))
    if total:
        yield words.count(total, "log line")
    if changes := sum(1 for _ in case.evidence.items(Change)):
        yield words.count(changes, "change")
    if redacted := sum(case.evidence.redactions.values()):
        yield f"{words.count(redacted, 'value')} redacted"
    requests = sum(outcome.requests for outcome in case.evidence.outcomes)
    amount = sum(outcome.bytes for outcome in case.evidence.outcomes)
    if requests or amount:
        yield f"{words.count(requests, 'request')}, {words.size(amount)}"


def headline(case: Case) -> tuple[str, Tone]:
    """Return the brief's first sentence and its tone."""
    about, tone = lead(case)
    if alibi := case.first("alibi"):
        subject = text.line(alibi.subject, 40)
        unclear = alibi.verdict is Verdict.CANNOT_TELL
        about += f"; {subject}: cannot tell" if unclear else f"; {subject} {alibi.verdict}"
    return about, tone


def lead(case: Case) -> tuple[str, Tone]:
    """Return what the brief is about in one clause: a metric, else a log pattern, else nothing, else cannot tell."""
    if shift := case.lead:
        place = f" on {where(shift)}" if where(shift) else ""
        return f"{text.line(shift.subject, 60)} {does(shift)} since {case.since}{place}", TONES[shift.verdict]
    if pattern := next((f for f in case.patterns if said(f, "level") in ("ERROR", "FATAL")), None):
        return f"{pattern.verdict} error in the logs since {case.since}: {words.cut(pattern.subject, 60)}", "bad"
    if earlier := next((f for f in case.shifts if f.verdict is Verdict.BEGAN_BEFORE), None):
        return f"{text.line(earlier.subject, 60)} {does(earlier)}, but from before {case.since}", "unknown"
    if any(f.verdict is Verdict.UNCHANGED for f in case.shifts):
        return f"no watched metric changed since {case.since}", "good"
    return f"cannot tell what changed since {case.since}", "unknown"
