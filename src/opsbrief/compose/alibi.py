"""The page about the infrastructure: each kind of change with its verdict and its coverage, node by node."""

from collections.abc import Iterator

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import TONES, Case, folded, refs, whole
from opsbrief.model.brief import Block, Cell, Column, Paragraph, Table
from opsbrief.model.evidence import Change, Run
from opsbrief.model.finding import Finding

ROWS = 120

#: How the kinds of change are called on a page.
KINDS = {
    "commits": "Commits",
    "versions": "Applied versions",
    "resources": "Changed resources",
    "packages": "Packages",
    "freeze": "Agreed freeze",
    "alarms": "Alarms of the machines",
}


def page(case: Case) -> Iterator[Block]:
    """Yield the verdict in a sentence, then the table of its parts, the nodes, and what each change touched."""
    for finding in case.all("alibi"):
        yield Paragraph(text=both(finding), refs=refs(finding))
    if parts := case.all("alibi-part"):
        yield Table(
            columns=(Column(heading="Kind of change"), Column(heading="Verdict"), Column(heading="What was looked at")),
            rows=tuple(_part(part) for part in parts),
            caption="Each kind of change by itself; unread: no source of it is configured, so it takes no verdict away",
        )
    yield from _blast(case)
    yield from _nodes(case)


def _part(part: Finding) -> tuple[Cell, ...]:
    # A freeze weighs nothing where it was broken long before, or where what it rests on weighs itself.
    unread = not part.facts.get("weighs", 1) and part.subject != "freeze"
    verdict = "unread" if unread else str(part.verdict)
    said = "; ".join(words.unique((text.line(part.headline, 400), text.line(part.detail, 1200))))
    return (
        Cell(text=KINDS.get(part.subject, text.line(part.subject, 40))),
        Cell(text=verdict, tone=TONES.get(part.verdict, "plain") if verdict != "unread" else "unknown"),
        Cell(text=said, refs=refs(part)),
    )


def _blast(case: Case) -> Iterator[Block]:
    if found := case.all("blast"):
        yield Table(
            columns=(
                Column(heading="Change"),
                Column(heading="When", align="right"),
                Column(heading="Of the deviating", align="right"),
                Column(heading="Of the others", align="right"),
                Column(heading="Hosts"),
            ),
            rows=tuple(_radius(case, finding) for finding in found[:ROWS]),
            caption="Blast radius: hosts touched by each change, against the hosts that deviate; what fits best first. "
            "That a change fits is consistent with it, and no proof",
            cut=max(0, len(found) - ROWS),
        )


def _radius(case: Case, finding: Finding) -> tuple[Cell, ...]:
    known = finding.facts.get("touched") is not None
    others = whole(finding, "others")
    inside = f"{whole(finding, 'touched_deviating')} of {whole(finding, 'deviating')}" if known else "not known"
    outside = f"{whole(finding, 'touched_others')} of {others}" if known and others else "none compared"
    hosts = phrase.listed([text.line(host, 80) for host in finding.hosts], 8)
    return (
        Cell(text=text.line(finding.subject, 80), refs=refs(finding)),
        Cell(text=case.moment(finding.onset.at, seconds=False) if finding.onset else ""),
        Cell(text=inside),
        Cell(text=outside if known else "not known"),
        Cell(text=hosts),
    )


def _nodes(case: Case) -> Iterator[Block]:
    """Yield the runs of the nodes: the versions before and since, what was changed. Nodes alike are one row."""
    nodes: dict[str, list[Run]] = {}
    for run in sorted(case.evidence.items(Run), key=lambda run: run.at):
        nodes.setdefault(case.scope.host(run.host), []).append(run)
    changed: dict[str, int] = {}
    for change in case.evidence.items(Change):
        if change.kind == "resource" and change.state != "noop" and change.at >= case.window.whole.start:
            for host in change.hosts:
                changed[case.scope.host(host)] = changed.get(case.scope.host(host), 0) + 1
    rows: dict[tuple[str, str, int, str], list[str]] = {}
    for host in sorted(nodes, key=words.natural):
        rows.setdefault(_alike(case, nodes[host], changed.get(host, 0)), []).append(host)
    if rows:
        ranked = sorted(rows.items(), key=lambda row: (not row[0][2], row[0][0] == row[0][1], not row[0][3]))
        yield Table(
            columns=(
                Column(heading="Nodes"),
                Column(heading="Before"),
                Column(heading="Since"),
                Column(heading="Last run", align="right"),
                Column(heading="Changed", align="right"),
                Column(heading="Remarks"),
            ),
            rows=tuple(_row(case, key, hosts, nodes) for key, hosts in ranked[:ROWS]),
            caption="Puppet's runs: which version the nodes had before the start of the window, and have since",
            cut=max(0, len(rows) - ROWS),
        )


def _alike(case: Case, runs: list[Run], changed: int) -> tuple[str, str, int, str]:
    """Return what the table says of a node beside its name and the time of its last run."""
    before = [run for run in runs if run.at < case.window.start]
    since = [run for run in runs if run.at >= case.window.start]
    seen = [*before[-1:], *since]
    remarks = {
        "a run failed": any(run.status == "failed" for run in seen),
        "noop": any(run.noop for run in seen),
        "cached catalog": any(run.cached for run in seen),
        "puppet apply": any(not run.agent for run in seen),
    }
    told = ", ".join(word for word, holds in remarks.items() if holds)
    return _versions(before[-1:]), _versions(since), changed, told


def _versions(runs: list[Run]) -> str:
    named = (run.version[:10] or f"{run.stated[:20]} (no SHA)" for run in runs)
    return text.line(", ".join(dict.fromkeys(named)) or "no run", 120)


def _row(case: Case, key: tuple[str, str, int, str], hosts: list[str], nodes: dict[str, list[Run]]) -> tuple[Cell, ...]:
    old, new, changed, remarks = key
    last = [nodes[host][-1].at for host in hosts]
    ends = [case.moment(at, seconds=False) for at in (min(last), max(last))]
    named = words.listing(folded([text.line(host, 80) for host in hosts]), 10)
    return (
        Cell(text=f"{named} ({len(hosts)})" if len(hosts) > 1 else named),
        Cell(text=old, code=True),
        Cell(text=new, code=True, tone="plain" if old == new else "bad"),
        Cell(text=ends[0] if ends[0] == ends[1] else f"{ends[0]}–{ends[1]}"),
        Cell(text=f"{changed}", tone="bad" if changed else "plain"),
        Cell(text=remarks, tone="unknown"),
    )


def both(finding: Finding) -> str:
    """Return headline and detail as sentences."""
    return f"{words.sentence(text.line(finding.headline))} {words.sentence(text.line(finding.detail, 2000))}".strip()
