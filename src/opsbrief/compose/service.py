"""The page of one service in a digest: each release, the comparison with the week before, the graphs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from opsbrief import phrase, text
from opsbrief.compose import episode as told
from opsbrief.compose import words
from opsbrief.compose.case import TONES, message, real, said
from opsbrief.compose.gaps import KINDS, alike
from opsbrief.model.brief import Block, Cell, Column, Line, Paragraph, Scorecard, Table, Tone
from opsbrief.model.digest import Digest, Episode, Report, change_key, pattern_key, release_key
from opsbrief.model.evidence import Change
from opsbrief.model.finding import Finding, Verdict, better

PATTERNS = 20
CHANGES = 20
GAPS = 8


def name(report: Report) -> str:
    """Return what to call the service."""
    return text.line(report.service, 60) or "all services"


def news(digest: Digest, report: Report) -> list[Episode]:
    """Return the releases that no digest of another period has told."""
    return [one for one in report.episodes if digest.news(report.service, release_key(one.deploy))]


def baseless(report: Report) -> bool:
    """Return whether the stretch before has nothing that the period could be compared with."""
    return all(f.verdict is Verdict.CANNOT_TELL or f.before is None for f in report.comparison)


def page(digest: Digest, report: Report, drawn: frozenset[str]) -> Iterator[Block]:
    """Yield the blocks of a service's page, of its graphs only those that are named in ``drawn``."""
    if report.error:
        yield Paragraph(text=f"Nothing is known: {text.line(report.error, 600)}", tone="unknown")
        return
    clock = words.Clock(digest.period.zone)
    fresh = news(digest, report)
    if report.figure and report.figure.name in drawn:
        yield report.figure
    for one in fresh:
        yield Scorecard(lines=tuple(_release(one, clock, report)))
        if one.figure and one.figure.name in drawn:
            yield one.figure
    if len(fresh) < len(report.episodes):
        yield Paragraph(text=f"{phrase.count(len(report.episodes) - len(fresh), 'release')} told before.", tone="muted")
    for failed in report.failed:
        at = f"{clock.weekday(failed.at)} {clock.time(failed.at, seconds=False)}"
        yield Paragraph(text=f"{at} {text.line(failed.ref, 40)} failed, says {text.line(failed.source, 40)}.")
    yield from _logs(report, fresh)
    yield from _compared(report)
    yield from _changes(digest, report, clock)
    if report.missing:
        yield Scorecard(lines=tuple(_missing(report)))


def _release(one: Episode, clock: words.Clock, report: Report) -> Iterator[Line]:
    at = f"{clock.day(one.start)} {clock.time(one.start, seconds=False)}"
    known = words.listing([text.line(source, 40) for source in words.unique(one.known_by)])
    length = phrase.duration((one.end - one.start).total_seconds())
    cut = f" ({text.line(one.cut, 80)})" if one.cut else ""
    yield Line(label=told.name(one), text=at, detail=f"known by {known}; looked at for {length}{cut}")
    tone = told.tone(one)
    moved = [*told.changed(one), *told.improved(one)]
    for shift in moved:
        yield Line(label="Changed", text=text.line(shift.headline), tone="good" if better(shift) else "bad")
    if not moved:
        yield Line(label="Verdict", text=told.summary(one), tone=tone)
    for code, label in (("wide-net", "Other series"), ("log-summary", "Logs"), ("release", "Contents")):
        for finding in [f for f in one.findings if f.code == code][:1]:
            yield Line(label=label, text=text.line(finding.headline), tone=_plain(finding))
    for kind, before, after in one.events:
        yield Line(label=kind.capitalize(), text=f"{before} → {after}", tone="bad" if after > before else "plain")
    for finding in [f for f in one.findings if f.code == "alibi"]:
        label = "Cannot tell" if finding.verdict is Verdict.CANNOT_TELL else str(finding.verdict).capitalize()
        yield Line(label=label, text=text.line(finding.headline), tone=TONES[finding.verdict])
    service = f"{text.line(report.service, 60)} " if report.service else ""
    since = f"'deploy:{text.line(one.deploy.ref, 40)}'" if one.deploy.ref else words.iso(one.start)
    yield Line(label="Look closer", text=f"opsbrief collect {service}--since {since} --until {words.iso(one.end)}")


def _plain(finding: Finding) -> Tone:
    return "unknown" if finding.verdict is Verdict.CANNOT_TELL else "plain"


def _logs(report: Report, fresh: Sequence[Episode]) -> Iterator[Block]:
    """Yield what is new in the logs after each release, each pattern once, without what was told before."""
    rows: dict[str, tuple[Episode, Finding]] = {}
    for one in fresh:
        for finding in told.patterns(one):
            rows.setdefault(pattern_key(finding), (one, finding))
    if rows:
        ranked = sorted(rows.values(), key=lambda row: -row[1].score)
        yield Table(
            columns=(
                Column(heading="Release"),
                Column(heading="What"),
                Column(heading="Level"),
                Column(heading="Pattern"),
                Column(heading="Per minute", align="right"),
            ),
            rows=tuple(_pattern(one, finding) for one, finding in ranked[:PATTERNS]),
            caption="New in the logs",
            cut=max(0, len(ranked) - PATTERNS),
        )
    if report.repeated:
        when = words.listing(words.unique(sorted(report.repeated)))
        many = phrase.count(len(report.repeated), "log pattern")
        yield Paragraph(text=f"Not repeated: {many}, told in {when}.", tone="muted")


def _pattern(one: Episode, finding: Finding) -> tuple[Cell, ...]:
    level = said(finding, "level", 12)
    bad = level in ("ERROR", "FATAL") and finding.verdict is not Verdict.VANISHED
    rates = f"{phrase.number(real(finding, 'rate_before'))} → {phrase.number(real(finding, 'rate_after'))}"
    return (
        Cell(text=told.name(one)),
        Cell(text=str(finding.verdict), tone="bad" if bad else "plain"),
        Cell(text=level, tone="bad" if bad else "plain"),
        Cell(text=message(finding, 160), code=True),
        Cell(text=rates),
    )


def compared(report: Report) -> list[Finding]:
    """Return metrics and error rates of the period that differ from the stretch before."""
    return [f for f in report.comparison if f.verdict is Verdict.CHANGED and not f.facts.get("rank") and _weighs(f)]


def _weighs(finding: Finding) -> bool:
    return finding.code == "shift" or finding.facts.get("level") in ("ERROR", "FATAL")


def _compared(report: Report) -> Iterator[Block]:
    """Yield the period beside the stretch before."""
    rows = [f for f in report.comparison if _weighs(f)]
    if not rows:
        return
    if baseless(report):
        yield Paragraph(text="Compared with nothing: there are no data of the week before.", tone="unknown")
        return
    yield Table(
        columns=(
            Column(heading="Metric"),
            Column(heading="Week before → this", align="right"),
            Column(heading="What"),
        ),
        rows=tuple(
            (
                Cell(text=f"{text.line(f.subject, 80)}{' lines' if f.code == 'log-volume' else ''}"),
                Cell(text=words.arrow(f.before, f.after, text.line(f.unit, 20))),
                Cell(
                    text=f"{f.verdict}{_share(f, report)}", tone="good" if better(f) else TONES.get(f.verdict, "plain")
                ),
            )
            for f in rows
        ),
        caption="Compared with the week before",
    )


def _share(finding: Finding, report: Report) -> str:
    """Return what part of all lines those of one level are: rates alone mislead where lines are missing."""
    every = next((f for f in report.comparison if f.code == "log-volume" and f.facts.get("level") is None), None)
    if finding.code != "log-volume" or not every or not every.before or not every.after:
        return ""
    parts = [
        100 * (part or 0.0) / whole for part, whole in ((finding.before, every.before), (finding.after, every.after))
    ]
    return f", {words.arrow(parts[0], parts[1], '%')} of all lines" if finding.before is not None else ""


def _changes(digest: Digest, report: Report, clock: words.Clock) -> Iterator[Block]:
    """Yield the changes of the infrastructure that were not told before."""
    fresh = _together([one for one in report.changes if digest.news(report.service, change_key(one))])
    if fresh:
        yield Table(
            columns=(Column(heading="When"), Column(heading="Kind"), Column(heading="Ref"), Column(heading="What")),
            rows=tuple(
                (
                    Cell(text=f"{clock.weekday(one.at)} {clock.time(one.at, seconds=False)}"),
                    Cell(text=one.kind),
                    Cell(text=text.line(one.ref, 40)[: 40 if one.kind in ("tag", "deploy") else 10], code=True),
                    Cell(text=words.cut(one.summary, 120)),
                )
                for one in sorted(fresh, key=lambda one: one.at)[:CHANGES]
            ),
            caption="Changes of the infrastructure",
            cut=max(0, len(fresh) - CHANGES),
        )
    elif report.changes:
        yield Paragraph(text="Changes of the infrastructure: all told before.", tone="muted")
    elif report.watched:
        yield Paragraph(text="Changes of the infrastructure: none.", tone="muted")
    else:
        yield Paragraph(text="Changes of the infrastructure: cannot tell, no source records them.", tone="unknown")


def _together(changes: Sequence[Change]) -> list[Change]:
    """Return the changes with what Puppet did of one version in one row: "applied on 8 nodes: File[...]"."""
    rest = [one for one in changes if one.kind != "resource"]
    groups: dict[tuple[str, str], list[Change]] = {}
    for one in changes:
        if one.kind == "resource":
            what = "put back what was changed by hand" if one.corrective else str(one.state or "changed")
            groups.setdefault((one.version, what), []).append(one)
    for (version, did), each in groups.items():
        nodes = phrase.count(len({host for one in each for host in one.hosts}), "node")
        named = phrase.listed([text.line(ref, 60) for ref in words.unique(one.ref for one in each)])
        first = min(each, key=lambda one: one.at)
        who = "Puppet " if version or not first.ref.startswith("Package[") else ""  # a package log says not who
        rest.append(replace(first, ref=version, summary=f"{who}{did} on {nodes}: {named}"))
    return rest


def _missing(report: Report) -> Iterator[Line]:
    groups = alike(report.missing)
    for group in groups[:GAPS]:
        gap = group[0]
        names = words.listing(words.unique(words.cut(one.what, 60) for one in group), 3)
        said_ = f"{text.line(gap.source, 60)}: {names} ({KINDS[gap.kind]}: {words.cut(gap.detail, 200)})"
        yield Line(label="Missing", text=said_, detail=words.cut(gap.hint, 200), tone="unknown")
    if len(groups) > GAPS:
        yield Line(label="Missing", text=f"and {phrase.count(len(groups) - GAPS, 'more gap')}", tone="unknown")
