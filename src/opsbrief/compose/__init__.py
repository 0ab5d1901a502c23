"""Evidence and findings to a Brief: what to say, in which order, in which words."""

from collections.abc import Sequence

from opsbrief import text
from opsbrief.compose import details, figures, fit, front, verdict, words
from opsbrief.compose.case import Case, message, said, where
from opsbrief.model.brief import Brief, Line, Paragraph, Scorecard, Section
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Finding


def compose(evidence: Evidence, findings: Sequence[Finding], *, people: bool = False) -> Brief:
    """Return the brief of ``evidence`` and what the analysis found in it.

    ``people`` allows the names of authors on the page; without it no person is named.
    """
    if evidence.first:
        from opsbrief.compose import effect  # noqa: PLC0415 - few briefs are about a fix; the others need not wait

        return effect.compose(evidence, findings, people=people)
    case = Case(evidence, findings, people=people)
    headline, tone = verdict.headline(case)
    key = figures.key(case)
    others, left = figures.rest(case, key)
    first = fit.fitted(
        f"{case.service} · {headline}",
        lambda rows, instants: (*front.page(case, key, rows, instants), _onward(case)),
    )
    return Brief(
        title=f"{case.service}: {headline}",
        subject=words.cut(f"[opsbrief] {case.service}: {headline}", words.SUBJECT),
        pager=_pager(case, headline),
        headline=headline,
        tone=tone,
        sections=(*first, *details.pages(case, others, left)),
        service=case.service,
        start=case.window.start,
        end=case.window.end,
        zone=case.window.zone,
        version=evidence.version,
        collected_at=evidence.collected_at,
        facts=_facts(case),
    )


def _pager(case: Case, headline: str) -> str:
    """Return the story for a small screen: the headline, then the loudest news of the logs."""
    news = next(iter(case.patterns), None)
    tail = f"; {news.verdict} {said(news, 'level', 8)}: {message(news, 60)}" if news else ""
    return words.cut(f"{case.service}: {headline}{tail}", words.PAGER)


def _onward(case: Case) -> Section:
    """Return the end of the first page: how to repeat it, how to look closer, what its words mean."""
    window = case.window
    service = "" if case.service == "all services" else f"{case.service} "
    again = f"opsbrief collect {service}--since {words.iso(window.start)} --until {words.iso(window.end)}"
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


def _facts(case: Case) -> dict[str, str]:
    """Return a few words for machines that only want the gist: the lead metric and the alibi."""
    facts = {"service": case.service, "since": case.since}
    if case.lead:
        facts |= {"metric": text.line(case.lead.subject, 120), "where": where(case.lead)}
    if alibi := case.first("alibi"):
        facts["infrastructure"] = str(alibi.verdict)
    return facts
