"""The brief about a fix: the first brief's page again, each line as before → during → after."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from opsbrief import phrase, text
from opsbrief.compose import figures, words
from opsbrief.compose.case import Case, detail, message, real, refs, said
from opsbrief.compose.front import ENTRIES, timeline
from opsbrief.compose.gaps import section as sources
from opsbrief.compose.ground import coverage
from opsbrief.compose.receipts import section as receipts
from opsbrief.model.brief import (
    Block,
    Brief,
    Cell,
    Column,
    Figure,
    Gallery,
    Line,
    Paragraph,
    Scorecard,
    Section,
    Table,
    Tone,
)
from opsbrief.model.effect import First, Told
from opsbrief.model.evidence import Change, Evidence, Series
from opsbrief.model.finding import Finding, Verdict

METRICS = 4  # metrics told one by one on the first page
PATTERNS = 10
HARMLESS = 2  # patterns that are no errors on the first page
COMMITS = 3
ROWS = 60

_TONES: dict[Verdict, Tone] = {
    **dict.fromkeys((Verdict.FIXED, Verdict.GONE), "good"),
    **dict.fromkeys((Verdict.UNCHANGED, Verdict.WORSE, Verdict.NEW), "bad"),
    **dict.fromkeys((Verdict.BETTER, Verdict.LESS, Verdict.TOO_EARLY, Verdict.CANNOT_TELL), "unknown"),
}
_NEAR = timedelta(minutes=10)  # a tag or deploy so near to the fix is the fix
_VAGUE = 2.0  # width of an interval of what is left that tells nothing
_NEWS = (Verdict.NEW, Verdict.EXPLODED)
_ERRORS = ("ERROR", "FATAL", "CRITICAL", "SEVERE")


def remember(evidence: Evidence, findings: Sequence[Finding], brief: Brief, bundle: str) -> First:
    """Return what a first brief told, for the brief about its fix: changes for the worse, and their axes."""
    names = {item.id: item.name for item in evidence.items(Series)}
    axes = {ref: figure.chart for figure in brief.figures() for ref in figure.refs if figure.chart.traces}
    told = []
    for finding in findings:
        metric = finding.code == "shift" and finding.verdict is Verdict.CHANGED and finding.facts.get("worse") != "good"
        pattern = finding.code == "log-pattern" and finding.verdict in _NEWS
        if metric or pattern:
            chart = axes.get(finding.id)
            told.append(
                Told(
                    finding=finding,
                    series=tuple(names[ident] for ident in finding.basis if ident in names) if metric else (),
                    bottom=chart.bottom if chart else None,
                    top=chart.top if chart else None,
                )
            )
    return First(
        bundle=bundle,
        headline=brief.headline,
        collected_at=evidence.collected_at,
        end=evidence.window.end,
        told=tuple(told),
    )


def compose(evidence: Evidence, findings: Sequence[Finding], *, people: bool = False) -> Brief:
    """Return the brief about the fix in ``evidence.window``, measured against ``evidence.first``."""
    case = Case(evidence, findings, people=people)
    headline, tone = _headline(case)
    key = _graphs(case)
    return Brief(
        title=f"{case.service}: {headline}",
        subject=words.cut(f"[opsbrief] {case.service}: {headline}", words.SUBJECT),
        pager=words.cut(f"{case.service}: {headline}{_needed(case)}", words.PAGER),
        headline=headline,
        tone=tone,
        sections=tuple(_sections(case, key)),
        service=case.service,
        start=case.window.start,
        end=case.window.end,
        zone=case.window.zone,
        version=evidence.version,
        collected_at=evidence.collected_at,
        facts=_facts(case),
    )


def _first(case: Case) -> First:
    assert case.evidence.first is not None  # noqa: S101 - compose sends only such evidence here
    return case.evidence.first


def _fix(case: Case) -> str:
    """Return the fix with its time: "2.14.1 (Mon 08:30)", "the fix (Mon 08:30)"."""
    fix = case.window.fix
    assert fix is not None  # noqa: S101 - whoever has a first brief has a fix
    at = f"{case.clock.weekday(fix.at)} {case.clock.time(fix.at, seconds=False)}"
    return f"{text.line(fix.ref, 40) or 'the fix'} ({at})"


def _metrics(case: Case) -> tuple[Finding, ...]:
    """Return the effect on each metric, the configured ones first, the lead of the first brief before all."""
    return tuple(sorted(case.all("effect"), key=lambda f: (bool(f.facts.get("rank")), -f.score)))


def _summary(case: Case) -> Finding | None:
    return case.first("effect-summary")


def _headline(case: Case) -> tuple[str, Tone]:
    """Return the first sentence: the word over all, since when, and what it is about."""
    summary = _summary(case)
    lead = next(iter(_metrics(case)), None)
    verdict = summary.verdict if summary else Verdict.CANNOT_TELL
    about = _about(lead) if lead else _lines_about(case)
    since = f"since {_fix(case)}"
    match verdict:
        case Verdict.TOO_EARLY:
            return f"too early to tell {since}: {about}", _TONES[verdict]
        case Verdict.BETTER:
            word = (
                "better, too early to say fixed,"
                if summary and summary.facts["needed_seconds"]
                else "better, not fixed,"
            )
            return f"{word} {since}: {about}", _TONES[verdict]
        case Verdict.CANNOT_TELL:
            return f"cannot tell what {_fix(case)} did: {about}", _TONES[verdict]
    return f"{verdict} {since}: {about}", _TONES.get(verdict, "plain")


def _about(lead: Finding) -> str:  # noqa: PLR0911 - a clause a word
    """Return what the lead metric does now, in a clause."""
    subject = text.line(lead.subject, 60)
    up = lead.facts.get("direction") != "down"
    slope = lead.facts.get("kind") == "slope"
    moves = "rising" if up else "falling"
    now = phrase.number(lead.after, text.line(lead.unit, 20))
    match lead.verdict:
        case Verdict.FIXED:
            return f"{subject} no longer {moves}" if slope else f"{subject} back to {now}"
        case Verdict.BETTER if lead.facts.get("held") is not None:
            return f"{subject} no longer {moves}, but still at {now}"
        case Verdict.BETTER:
            return (
                f"{subject} {moves} less" if slope else f"{subject} {'lower' if up else 'higher'} than before the fix"
            )
        case Verdict.UNCHANGED:
            return f"{subject} still {moves}" if slope else f"{subject} still at {now}"
        case Verdict.WORSE:
            return f"{subject} {moves} faster" if slope else f"{subject} at {now}"
        case Verdict.TOO_EARLY:
            return f"{subject} not told yet"
    return text.line(lead.headline, 120).replace(": cannot tell, ", ": ", 1)


def _lines_about(case: Case) -> str:
    pattern = next((f for f in case.all("effect-pattern") if f.facts.get("level") in _ERRORS), None)
    return f"{pattern.verdict}: {message(pattern, 60)}" if pattern else "the first brief told no change for the worse"


def _needed(case: Case) -> str:
    summary = _summary(case)
    return f"; {summary.detail}" if summary and summary.detail else ""


def _facts(case: Case) -> dict[str, str]:
    summary = _summary(case)
    facts = {"service": case.service, "since": case.since, "fix": _fix(case), "first": _first(case).bundle}
    return facts | ({"effect": str(summary.verdict)} if summary else {})


def _graphs(case: Case) -> tuple[Figure, ...]:
    """Return the first brief's graphs again, on axes at least as long: the lead large, then the others."""
    axes = {told.finding.subject: (told.bottom, told.top) for told in _first(case).told if told.finding.code == "shift"}
    found = []
    shown = [f for f in (*_metrics(case), *case.all("effect-other")) if f.basis]
    for number, finding in enumerate(shown[: figures.SMALL]):
        bottom, top = axes.get(finding.subject, (None, None))
        ends = (bottom, top) if bottom is not None and top is not None else None
        found.append(figures.again(case, finding, f"metric-{number:02d}" if number else "key", ends))
    return tuple(found)


def _sections(case: Case, graphs: tuple[Figure, ...]) -> Iterator[Section]:
    yield Section(name="verdict", heading="", blocks=(Scorecard(lines=(*_window(case), *_verdicts(case))),))
    if graphs:
        yield Section(name="graph", heading="", blocks=graphs[:1])
    if case.all("effect"):
        yield Section(name="metrics", heading="Before, during, after", blocks=(_table(case),))
    logs = _logs(case)
    if logs:
        yield Section(name="logs", heading="In the logs", blocks=(logs,))
    yield Section(name="changes", heading="What was changed", blocks=(Scorecard(lines=tuple(_changes(case))),))
    yield Section(name="timeline", heading="Timeline", blocks=(timeline(case, ENTRIES - 1),))
    yield Section(name="coverage", heading="What this rests on", blocks=(Scorecard(lines=tuple(coverage(case))),))
    yield _onward(case)
    if logs and logs.cut:
        table = _rates(case, _patterns(case)[:ROWS], cut=max(0, len(_patterns(case)) - ROWS))
        yield Section(name="patterns", heading="All log patterns", blocks=(table,), folded=True)
    if graphs[1:]:
        yield Section(name="graphs", heading="The other graphs", blocks=(Gallery(figures=graphs[1:]),), folded=True)
    yield sources(case)
    yield Section(name="method", heading="Method", blocks=tuple(_method(case)), folded=True)
    yield receipts(case)


def _window(case: Case) -> Iterator[Line]:
    """Say which three stretches are compared, and with which brief."""
    window, first = case.window, _first(case)
    assert window.fix is not None  # noqa: S101 - see _fix
    lengths = (window.before, window.fix.at - window.start, window.end - window.fix.at)
    before, during, after = (phrase.duration(length.total_seconds()) for length in lengths)
    yield Line(
        label="Window",
        text=case.clock.span(window.start, window.end),
        detail=f"{before} before {case.anchor}, {during} until the fix, {after} after it",
    )
    asked = f"--fix {text.line(window.receipt.since, 60)}: " if window.receipt else ""
    by = f"{text.line(window.fix.source, 40)}, {window.fix.time_kind}" if window.fix.source else "a given time"
    named = " ".join(words.unique((text.line(window.fix.ref, 40), case.moment(window.fix.at))))
    yield Line(label="Fix", text=f"{asked}{named} ({by})")
    for warning in window.receipt.warnings if window.receipt else ():
        yield Line(label="Note", text=text.line(warning, 300), tone="unknown")
    made = case.moment(first.end, seconds=False)
    yield Line(label="First brief", text=words.cut(first.headline, 160), detail=f"{first.bundle}, until {made}")


def _verdicts(case: Case) -> Iterator[Line]:
    """Say what is fixed and what is not, metric by metric; the logs and events in a line each; what is needed."""
    metrics = [f for f in _metrics(case) if not f.facts.get("rank")] or list(_metrics(case)[:1])
    for finding in metrics[:METRICS]:
        yield _line(finding)
    rest = [f for f in _metrics(case) if f not in metrics[:METRICS]]
    if rest:
        yield Line(
            label="Others",
            text=_tally(rest, "more metric"),
            refs=tuple(ref for f in rest[:3] for ref in refs(f)),
        )
    for finding in case.all("effect-other"):
        yield Line(
            label="Worse since",
            text=text.line(finding.headline),
            detail=detail(finding),
            refs=refs(finding),
            tone="bad",
        )
    errors = [f for f in case.all("effect-pattern") if f.facts.get("level") in _ERRORS and not f.facts.get("starting")]
    if errors:
        bad = any(_TONES.get(f.verdict) == "bad" for f in errors)
        well = all(_TONES.get(f.verdict) == "good" for f in errors)
        yield Line(
            label="Logs",
            text=_tally(errors, "error pattern"),
            refs=tuple(ref for f in errors[:4] for ref in refs(f)),
            tone="bad" if bad else "good" if well else "unknown",
        )
    for finding in case.all("effect-event"):
        yield Line(
            label="Events", text=text.line(finding.headline), detail=detail(finding), refs=refs(finding),
            tone=_TONES.get(finding.verdict, "plain"),
        )  # fmt: skip
    summary = _summary(case)
    if summary and summary.detail:
        yield Line(
            label="Still needed",
            text=summary.detail.removesuffix(" more needed"),
            detail="then ask again: what is gone will be told as gone, at this noise",
            tone="unknown",
        )


def _tally(findings: Sequence[Finding], thing: str) -> str:
    """Return "2 of 3 patterns gone, 1 too early", "1 pattern gone"."""
    counts: dict[str, int] = {}
    for finding in findings:
        word = "not told" if finding.verdict is Verdict.CANNOT_TELL else str(finding.verdict)
        counts[word] = counts.get(word, 0) + 1
    (first, many), *rest = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    if len(findings) == 1:
        return f"1 {thing} {first}"
    return ", ".join([f"{many} of {phrase.count(len(findings), thing)} {first}", *(f"{n} {word}" for word, n in rest)])


def _changes(case: Case) -> Iterator[Line]:
    """Say what else was changed since the release: what was committed until the fix, and what may have helped."""
    window = case.window
    fix = window.fix.at if window.fix else window.end
    found = [
        change for change in case.evidence.items(Change) if window.start < change.at < window.end and change.landed
    ]
    own = [change for change in found if change.role == "application" and change.kind == "commit" and change.at <= fix]
    for change in own[-COMMITS:]:
        yield Line(
            label="Until the fix",
            text=_named(case, change),
            detail=words.listing([text.line(stat.path, 80) for stat in change.files], 3),
            refs=(change.id,) if change.id else (),
        )
    if len(own) > COMMITS:
        yield Line(label="Until the fix", text=f"{phrase.count(len(own), 'commit')} in all", tone="muted")
    others = [c for c in found if c not in own and not (c.kind in ("tag", "deploy") and abs(c.at - fix) <= _NEAR)]
    for change in others[:COMMITS]:
        yield Line(
            label="Also changed",
            text=_named(case, change, f"{change.role} {change.kind} ".lstrip()),
            detail="may have a part in the effect" if change.role == "infrastructure" else "",
            refs=(change.id,) if change.id else (),
            tone="unknown",
        )
    if len(others) > COMMITS:
        yield Line(label="Also changed", text=f"and {len(others) - COMMITS:,} more", tone="muted")
    asked = [o.source for o in case.evidence.outcomes if o.type in ("git", "puppet", "puppetdb") and not o.gaps]
    if not others and asked:
        named = words.listing([text.line(source, 40) for source in asked])
        yield Line(label="Also changed", text=f"nothing since the release, by {named}", tone="good")
    if not asked:
        yield Line(label="Also changed", text="cannot tell: no record of changes was read whole", tone="unknown")


def _named(case: Case, change: Change, kind: str = "") -> str:
    """Return a change as "16:21 4f16e642cc Release the handle after the response"."""
    at = case.moment(change.at, seconds=False)
    return f"{at} {kind}{text.line(change.ref, 40)[:10]} {words.cut(change.summary, 110)}"


def _line(finding: Finding) -> Line:
    headline = text.line(finding.headline)
    head = f"{text.line(finding.subject)}: "
    said_ = headline.removeprefix(head)
    word = str(finding.verdict)
    said_ = said_.removeprefix(word).removeprefix(", ").lstrip()
    return Line(
        label=word.capitalize(),
        text=f"{head}{said_}",
        detail=detail(finding, 120),
        refs=refs(finding),
        tone=_TONES.get(finding.verdict, "plain"),
    )


def _table(case: Case) -> Table:
    found = _metrics(case)
    return Table(
        columns=(
            Column(heading="Metric"),
            Column(heading="Now"),
            Column(heading="Level", align="right"),
            Column(heading="Slope", align="right"),
            Column(heading="Left of it", align="right"),
        ),
        rows=tuple(_row(finding) for finding in found[:ROWS]),
        caption="What the first brief called changed: before the release → until the fix → since the fix",
        cut=max(0, len(found) - ROWS),
    )


def _row(finding: Finding) -> tuple[Cell, ...]:
    levels = [real(finding, f"level_{name}") for name in ("before", "during", "after")]
    low, high = real(finding, "left_low"), real(finding, "left_high")
    known = low is not None and high is not None and high - low <= _VAGUE
    share = f"{_percent(low)} to {_percent(high)}%" if low is not None and high is not None and known else "not known"
    return (
        Cell(text=text.line(finding.subject, 120), refs=refs(finding)),
        Cell(text=str(finding.verdict), tone=_TONES.get(finding.verdict, "plain")),
        Cell(
            text=" → ".join(map(phrase.number, levels[:2]))
            + f" → {phrase.number(levels[2], text.line(finding.unit, 20))}"
        ),
        Cell(text=_slope(finding)),
        Cell(text=share),
    )


def _percent(part: float) -> str:
    return f"{round(100 * part) + 0:,}"


def _slope(finding: Finding) -> str:
    during, after = real(finding, "slope_during"), real(finding, "slope_after")
    if during is None:
        return ""
    scale, unit = (1.0, "min") if abs(during) >= 0.05 else (60.0, "h")
    rounded = round(after * scale, 2) if after is not None else None
    now = "?" if rounded is None else phrase.signed(rounded) if rounded else "0"
    return f"{phrase.signed(round(during * scale, 2))} → {now}/{unit}"


def _patterns(case: Case) -> tuple[Finding, ...]:
    """Return the patterns: errors before the rest, what is not gone before what is."""
    order = {"bad": 0, "unknown": 1, "plain": 1, "good": 2}

    def rank(finding: Finding) -> tuple[bool, int, float]:
        tone = _TONES.get(finding.verdict, "plain")
        return finding.facts.get("level") not in _ERRORS, order.get(tone, 1), -finding.score

    return tuple(sorted(case.all("effect-pattern"), key=rank))


def _logs(case: Case) -> Table | None:
    """Return the patterns of the first page: errors, and of the others those that something can be told of."""
    errors = [f for f in _patterns(case) if f.facts.get("level") in _ERRORS]
    others = [f for f in _patterns(case) if f not in errors and f.verdict is not Verdict.CANNOT_TELL]
    shown = [*errors[: PATTERNS - HARMLESS], *others[:HARMLESS]]
    return _rates(case, shown, cut=len(case.all("effect-pattern")) - len(shown)) if shown else None


def _rates(case: Case, found: Sequence[Finding], cut: int) -> Table:
    """Return patterns with their rates in the three stretches."""
    return Table(
        columns=(
            Column(heading="What"),
            Column(heading="Level"),
            Column(heading="Pattern"),
            Column(heading="Per minute", align="right"),
            Column(heading="Last seen", align="right"),
        ),
        rows=tuple(_pattern(case, finding) for finding in found),
        caption="Per minute: before the release → until the fix → since the fix; what is no error is not counted",
        cut=cut,
    )


def _pattern(case: Case, finding: Finding) -> tuple[Cell, ...]:
    level = said(finding, "level", 12)
    tone: Tone = _TONES.get(finding.verdict, "plain") if level in _ERRORS else "plain"
    read = real(finding, "rate_after") is not None
    rates = " → ".join(phrase.number(real(finding, f"rate_{name}")) for name in ("before", "during", "after"))
    return (
        Cell(text=str(finding.verdict), tone=tone),
        Cell(text=level),
        Cell(text=message(finding, 160), code=True, refs=refs(finding)),
        Cell(text=rates),
        Cell(text=case.moment(finding.onset.at) if finding.onset else "not since" if read else ""),
    )


def _onward(case: Case) -> Section:
    window = case.window
    assert window.fix is not None  # noqa: S101 - see _fix
    again = f"opsbrief effect {_first(case).bundle} --fix {words.iso(window.fix.at)}"
    return Section(
        name="onward",
        heading="",
        blocks=(
            Scorecard(lines=(Line(label="Ask again", text=again),)),
            Paragraph(
                text=f"opsbrief {case.evidence.version} · ~ estimated · no cause is proven · [F1]: opsbrief show . F1",
                tone="muted",
            ),
        ),
    )


def _method(case: Case) -> Iterator[Block]:
    window = case.window
    yield Paragraph(
        text="The same series as in the first brief, collected anew, on the same axis. Of each change it is measured "
        "how much is left: 100% is as it was between release and fix, 0% is as before the release. Intervals are 95%, "
        "widened by the memory of a series and by what hosts share."
    )
    yield Paragraph(
        text="“Fixed” and “gone” are said only when the interval leaves no room for a fifth of the change; “unchanged” "
        "when it leaves no room for half of it being gone. A leak is measured by its slope between restarts, so that a "
        "restart alone fixes nothing. What began only some time after the release is not called gone before the fix "
        "has been in for as long. That one thing followed another does not show that it came of it."
    )
    rows = [
        ("Before", f"{window.prior.start.isoformat()} to {window.start.isoformat()}"),
        ("Until the fix", f"{window.start.isoformat()} to {window.fix.at.isoformat() if window.fix else ''}"),
        ("Since the fix", f"{window.fix.at.isoformat() if window.fix else ''} to {window.end.isoformat()}"),
        ("Earlier weeks", words.listing([words.ago(shift) for _, shift in window.shifts]) or "none"),
        ("First brief", _first(case).bundle),
    ]
    yield Table(
        columns=(Column(heading="Setting"), Column(heading="Value")),
        rows=tuple((Cell(text=name), Cell(text=value, code=True)) for name, value in rows),
    )
