"""The brief about a fix: the first brief's page again, each line as before → during → after."""

from collections.abc import Iterator, Sequence

from opsbrief.compose import figures, fit, looks, words
from opsbrief.compose.case import Case
from opsbrief.compose.effect import ask, headline, lines, tables
from opsbrief.compose.front import timeline
from opsbrief.compose.gaps import section as sources
from opsbrief.compose.ground import coverage
from opsbrief.compose.receipts import section as receipts
from opsbrief.model.brief import Block, Brief, Cell, Column, Figure, Gallery, Line, Paragraph, Scorecard, Section, Table
from opsbrief.model.effect import First, Told
from opsbrief.model.evidence import Evidence, Series
from opsbrief.model.finding import Finding, Verdict

_NEWS = (Verdict.NEW, Verdict.EXPLODED)


def remember(evidence: Evidence, findings: Sequence[Finding], brief: Brief, bundle: str) -> First:
    """Return what a first brief told, for the brief about its fix: worse changes with their axes, and a look."""
    names = {item.id: item.name for item in evidence.items(Series)}
    axes = {ref: figure.chart for figure in brief.figures() for ref in figure.refs if figure.chart.traces}
    told = []
    for finding in findings:
        metric = finding.code == "shift" and finding.verdict is Verdict.CHANGED and finding.facts.get("worse") != "good"
        pattern = finding.code == "log-pattern" and finding.verdict in _NEWS
        if metric or pattern or finding.code == "look":
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
    sentence, tone = headline.sentence(case)
    key = _graphs(case)
    first = fit.fitted(f"{case.service} · {sentence}", lambda rows, instants: tuple(_page(case, key, rows, instants)))
    return Brief(
        title=f"{case.service}: {sentence}",
        subject=words.cut(f"[opsbrief] {case.service}: {sentence}", words.SUBJECT),
        pager=words.cut(f"{case.service}: {sentence}{headline.needed(case)}", words.PAGER),
        headline=sentence,
        tone=tone,
        sections=(*first, *_later(case, key)),
        service=case.service,
        start=case.window.start,
        end=case.window.end,
        zone=case.window.zone,
        version=evidence.version,
        collected_at=evidence.collected_at,
        facts=_facts(case),
    )


def _facts(case: Case) -> dict[str, str]:
    summary = ask.summary(case)
    facts = {"service": case.service, "since": case.since, "fix": ask.fixed(case), "first": ask.first(case).bundle}
    return facts | ({"effect": str(summary.verdict)} if summary else {})


def _graphs(case: Case) -> tuple[Figure, ...]:
    """Return the first brief's graphs again, on axes at least as long: the lead large, then the others."""
    axes = {
        told.finding.subject: (told.bottom, told.top) for told in ask.first(case).told if told.finding.code == "shift"
    }
    found = []
    shown = [f for f in (*ask.metrics(case), *case.all("effect-other")) if f.basis]
    for number, finding in enumerate(shown[: figures.SMALL]):
        bottom, top = axes.get(finding.subject, (None, None))
        ends = (bottom, top) if bottom is not None and top is not None else None
        found.append(figures.again(case, finding, f"metric-{number:02d}" if number else "key", ends))
    return tuple(found)


def _page(case: Case, graphs: tuple[Figure, ...], rows: int, instants: int) -> Iterator[Section]:
    yield Section(name="verdict", heading="", blocks=(Scorecard(lines=(*lines.window(case), *lines.verdicts(case))),))
    if graphs:
        yield Section(name="graph", heading="", blocks=graphs[:1])
    if case.all("effect"):
        yield Section(name="metrics", heading="Before, during, after", blocks=(tables.table(case),))
    if logs := tables.logs(case, rows):
        yield Section(name="logs", heading="In the logs", blocks=(logs,))
    if seen := tuple(looks.lines(case)):
        yield Section(name="where", heading="On the host", blocks=(Scorecard(lines=seen),))
    yield Section(name="changes", heading="What was changed", blocks=(Scorecard(lines=tuple(lines.changes(case))),))
    yield Section(name="timeline", heading="Timeline", blocks=(timeline(case, instants, 72),))
    yield Section(name="coverage", heading="What this rests on", blocks=(Scorecard(lines=tuple(coverage(case))),))
    yield _onward(case)


def _later(case: Case, graphs: tuple[Figure, ...]) -> Iterator[Section]:
    logs = tables.logs(case, fit.LEAST)
    if logs and logs.cut:
        table = tables.rates(
            case, tables.patterns(case)[: tables.ROWS], cut=max(0, len(tables.patterns(case)) - tables.ROWS)
        )
        yield Section(name="patterns", heading="All log patterns", blocks=(table,), folded=True)
    if graphs[1:]:
        yield Section(name="graphs", heading="The other graphs", blocks=(Gallery(figures=graphs[1:]),), folded=True)
    if readings := tuple(looks.blocks(case)):
        yield Section(name="readings", heading="A look at the hosts", blocks=readings, folded=True)
    yield sources(case)
    yield Section(name="method", heading="Method", blocks=tuple(_method(case)), folded=True)
    yield receipts(case)


def _onward(case: Case) -> Section:
    window = case.window
    assert window.fix is not None  # noqa: S101 - see ask.fixed
    again = f"opsbrief effect {ask.first(case).bundle} --fix {words.iso(window.fix.at)}"
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
        "when it leaves no room for half of it being gone. Restarts and alarms are gone when none came where at least "
        "five were due. A leak is measured by its slope between restarts, so that a "
        "restart alone fixes nothing. What began only some time after the release is not called gone before the fix "
        "has been in for as long. That one thing followed another does not show that it came of it."
    )
    rows = [
        ("Before", f"{window.prior.start.isoformat()} to {window.start.isoformat()}"),
        ("Until the fix", f"{window.start.isoformat()} to {window.fix.at.isoformat() if window.fix else ''}"),
        ("Since the fix", f"{window.fix.at.isoformat() if window.fix else ''} to {window.end.isoformat()}"),
        ("Earlier weeks", words.listing([words.ago(shift) for _, shift in window.shifts]) or "none"),
        ("First brief", ask.first(case).bundle),
    ]
    yield Table(
        columns=(Column(heading="Setting"), Column(heading="Value")),
        rows=tuple((Cell(text=name), Cell(text=value, code=True)) for name, value in rows),
    )
