"""The later pages: everything the first page rests on, in the order of its lines."""

from collections.abc import Iterator

from opsbrief import phrase, text
from opsbrief.compose import alibi, looks, words
from opsbrief.compose.alibi import both
from opsbrief.compose.case import TONES, Case, does, folded, hosts, real, refs, said, where, whole
from opsbrief.compose.front import first_seen, instant
from opsbrief.compose.gaps import section as sources
from opsbrief.compose.receipts import section as receipts
from opsbrief.model.brief import (
    Block,
    Cell,
    Column,
    Figure,
    Gallery,
    Paragraph,
    Section,
    Table,
    Verbatim,
)
from opsbrief.model.evidence import Change, Release
from opsbrief.model.finding import Finding, Verdict, better

ROWS = 120  # rows of a table on a later page
EXAMPLES = 60  # log patterns with an example
EXAMPLE = 2000  # characters of an example


def pages(case: Case, figures: tuple[Figure, ...], left: int) -> Iterator[Section]:
    """Yield the folded sections, in order; ``left`` graphs are not among ``figures``."""
    for name, heading, blocks in (
        ("metrics", "All metrics", _metrics(case, figures, left)),
        ("patterns", "All news in the logs, with an example each", _patterns(case)),
        ("alibi", "Infrastructure: what was looked at", alibi.page(case)),
        ("commits", "The release: commits and files", _commits(case)),
        ("other", "Other changes", _other(case)),
        ("events", "Timeline, complete", _events(case)),
        ("readings", "A look at the hosts", looks.blocks(case)),
    ):
        found = tuple(blocks)
        if found:
            yield Section(name=name, heading=heading, blocks=found, folded=True)
    yield sources(case)
    yield Section(name="method", heading="Method and settings", blocks=tuple(_method(case)), folded=True)
    yield receipts(case)


def _metrics(case: Case, figures: tuple[Figure, ...], left: int) -> Iterator[Block]:
    if case.shifts:
        yield Table(
            columns=(
                Column(heading="Metric"),
                Column(heading="What"),
                Column(heading="Before → after", align="right"),
                Column(heading="Began", align="right"),
                Column(heading="Hosts", align="right"),
            ),
            rows=tuple(_metric(case, shift) for shift in case.shifts[:ROWS]),
            caption="Every watched metric, before and after the start of the window",
            cut=max(0, len(case.shifts) - ROWS),
        )
    for wide in case.all("wide-net")[:1]:
        yield Paragraph(text=both(wide), refs=refs(wide))
    if figures:
        yield Gallery(figures=figures)
    if left:
        yield Paragraph(text=f"{phrase.count(left, 'more graph')} left out.", tone="muted")


def _metric(case: Case, shift: Finding) -> tuple[Cell, ...]:
    what = str(shift.verdict)
    if shift.verdict is Verdict.CHANGED and shift.shape:
        what = does(shift)
    elif shift.verdict is Verdict.BEGAN_BEFORE:
        what = f"{does(shift)}, {what}"
    return (
        Cell(text=text.line(shift.subject, 120), refs=refs(shift)),
        Cell(text=what, tone="good" if better(shift) else TONES.get(shift.verdict, "plain")),
        Cell(text=words.arrow(shift.before, shift.after, text.line(shift.unit, 20))),
        Cell(text=case.moment(shift.onset.at, seconds=False) if shift.onset else ""),
        Cell(text=where(shift).removesuffix("s").removesuffix(" host")),
    )


def _patterns(case: Case) -> Iterator[Block]:
    """Yield each pattern with what is known of it and one line that was really written."""
    if volumes := case.all("log-volume"):
        yield Table(
            columns=(
                Column(heading="Lines"),
                Column(heading="Verdict"),
                Column(heading="Per minute, before → after", align="right"),
                Column(heading="Last week", align="right"),
            ),
            rows=tuple(_volume(finding) for finding in volumes[:ROWS]),
            caption="How much was logged",
        )
    for finding in case.patterns[:EXAMPLES]:
        lines = [f"pattern  {text.line(finding.subject, 1000)}"]
        example = text.clean(str(finding.facts.get("example") or ""), EXAMPLE).rstrip().split("\n")
        lines += [f"example  {example[0]}", *(f"         {line}" for line in example[1:30])] if example[0] else []
        if place := said(finding, "code_at", 160):
            lines.append(f"code     {place}: {said(finding, 'code_text', 200)}")
        yield Verbatim(lines=tuple(lines), caption=_known(case, finding), refs=refs(finding))
    if len(case.patterns) > EXAMPLES:
        left = phrase.count(len(case.patterns) - EXAMPLES, "more pattern")
        yield Paragraph(text=f"{left} in findings.json.", tone="muted")


def _volume(finding: Finding) -> tuple[Cell, ...]:
    week = real(finding, "rate_last_week")
    return (
        Cell(text=text.line(finding.subject, 60), refs=refs(finding)),
        Cell(text=str(finding.verdict), tone=TONES.get(finding.verdict, "plain")),
        Cell(text=words.arrow(finding.before, finding.after, "")),
        Cell(text=phrase.number(week) if week is not None else "not read"),
    )


def _known(case: Case, finding: Finding) -> str:
    """Return everything measured about one pattern: "new ERROR: 0 → 14.1 a minute, 2,227 lines, ..."."""
    before, after, week = (real(finding, f"rate_{when}") for when in ("before", "after", "last_week"))
    parts = [f"{phrase.number(before)} → {phrase.number(after)} a minute"]
    parts += [f"{phrase.number(week)} last week"] if week is not None else []
    parts += [f"{phrase.count(whole(finding, 'count'), 'line')}"] if finding.facts.get("count") is not None else []
    parts += [f"first {seen}"] if (seen := first_seen(case, finding)) else []
    parts += [f"on {words.listing(folded(hosts(finding.hosts)))}"] if finding.hosts else []
    parts += [text.line(finding.detail, 300)] if finding.detail else []
    return f"{finding.verdict} {said(finding, 'level', 12)}".strip() + f": {', '.join(parts)}"


def _commits(case: Case) -> Iterator[Block]:
    for release in list(case.evidence.items(Release))[:3]:
        ends = f"{text.line(release.base, 60)}..{text.line(release.head, 60)}"
        whole = "" if release.complete else " (cut: the repository holds more)"
        commits = f"{phrase.count(len(release.commits), 'commit')}, {phrase.count(len(release.files), 'file')}"
        yield _changes(case, release.commits, f"{ends}: {commits}{whole}")
        if release.files:
            files = sorted(release.files, key=lambda file: -(file.added + file.deleted))
            yield Table(
                columns=(Column(heading="File"), Column(heading="Status"), Column(heading="Lines", align="right")),
                rows=tuple(
                    (
                        Cell(text=text.line(file.path, 300), code=True),
                        Cell(text=_STATUS.get(file.status, text.line(file.status, 4))),
                        Cell(text="binary" if file.binary else f"+{file.added:,} -{file.deleted:,}"),
                    )
                    for file in files[:ROWS]
                ),
                caption="Files of the release, the most changed first",
                cut=max(0, len(files) - ROWS),
            )


_STATUS = {"A": "new", "M": "changed", "D": "deleted", "R": "renamed", "C": "copied", "T": "type changed"}


def _changes(case: Case, changes: tuple[Change, ...], caption: str) -> Table:
    """Return changes as a table; the author is a column only where people may be named."""
    heads = [Column(heading="When"), Column(heading="Ref"), Column(heading="What")]
    heads += [Column(heading="By")] if case.people else []
    rows = []
    for change in changes[:ROWS]:
        files = f" ({phrase.count(len(change.files), 'file')})" if change.files else ""
        row = [
            Cell(text=case.moment(change.at)),
            Cell(text=text.line(change.ref, 60)[:12], code=True, refs=(change.id,) if change.id else ()),
            Cell(text=f"{words.cut(change.summary, 200)}{files}"),
        ]
        rows.append(tuple(row + ([Cell(text=text.line(change.author, 80))] if case.people else [])))
    return Table(columns=tuple(heads), rows=tuple(rows), caption=caption, cut=max(0, len(changes) - ROWS))


def _other(case: Case) -> Iterator[Block]:
    for finding in (*case.all("other-change"), *case.all("threshold")):
        yield Paragraph(text=both(finding), refs=refs(finding))
    for role, caption in (
        ("infrastructure", "Infrastructure: changes in the window, and the last one before it"),
        ("", "Changes without a role"),
    ):
        found = tuple(
            change
            for change in case.evidence.items(Change)
            if change.role == role and change.kind not in ("deploy", "resource")
        )
        if found:
            yield _changes(case, tuple(sorted(found, key=lambda change: change.at, reverse=True)), caption)


def _events(case: Case) -> Iterator[Block]:
    found = [finding for finding in case.all("timeline") if finding.onset]
    found.sort(key=lambda finding: finding.onset.at if finding.onset else case.window.start)
    if found:
        yield Table(
            columns=(Column(heading="When"), Column(heading="What"), Column(heading="By")),
            rows=tuple(
                (
                    Cell(text=case.moment(finding.onset.at)),
                    Cell(text=instant(finding, 200), refs=finding.basis[:2]),
                    Cell(text=said(finding, "source", 60)),
                )
                for finding in found
                if finding.onset
            ),
            caption="Everything in the order of time, by the clock of each source",
        )
    for finding in case.all("clock"):
        yield Paragraph(text=both(finding), refs=refs(finding))


def _method(case: Case) -> Iterator[Block]:
    window = case.window
    yield Paragraph(
        text="Each series is compared at the known instant, by ranks, with the time directly before and with the same "
        "hours of earlier weeks, so that a daily or weekly rhythm is not taken for a change. The number of series is "
        "allowed for. A missing datapoint is missing, never 0."
    )
    yield Paragraph(
        text="Log lines are folded into patterns; rates are lines per minute, so that stretches of different length "
        "can be compared. A pattern is new when no line of the baseline has it."
    )
    yield Paragraph(
        text="Measured values stand as they were read; ~ marks an estimate. “Ruled out” is said only when "
        "everything that was asked about it has answered; what was not read is “cannot tell”. Times say "
        "what came first. That one thing followed another does not show that it came of it."
    )
    rows = [
        ("Window", f"{window.start.isoformat()} to {window.end.isoformat()}"),
        ("Time before", phrase.duration(window.before.total_seconds())),
        ("Earlier weeks", words.listing([words.ago(shift) for _, shift in window.shifts]) or "none"),
        ("Zone", window.zone),
    ]
    if window.previous:
        rows.append(
            ("Deploy before", f"{text.line(window.previous.ref, 40)} {case.moment(window.previous.at)}".strip())
        )
    if window.receipt:
        rows += [("Since", text.line(window.receipt.since, 100)), ("Until", text.line(window.receipt.until, 100))]
        rows += [("Taken because", text.line(window.receipt.reason, 300))] if window.receipt.reason else []
    rows += [(f"Redacted: {text.line(rule, 60)}", f"{amount:,}") for rule, amount in case.evidence.redactions.items()]
    for metric in case.scope.metrics[:ROWS]:
        said_ = [f"worse: {metric.worse}"] if metric.worse != "either" else []
        said_ += [f"limit {phrase.number(metric.limit, metric.unit)}"] if metric.limit is not None else []
        name = text.line(metric.name or metric.target, 80)
        rows.append((f"Metric {name}", ", ".join([text.line(metric.target, 200), *said_])))
    yield Table(
        columns=(Column(heading="Setting"), Column(heading="Value")),
        rows=tuple((Cell(text=name), Cell(text=value, code=True)) for name, value in rows),
    )
