"""The digest of a period as a Brief: the verdict over all services first, then a page for each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from opsbrief import phrase, text
from opsbrief.compose import episode as told
from opsbrief.compose import service, words
from opsbrief.model.brief import Block, Brief, Cell, Column, Figure, Line, Paragraph, Scorecard, Section, Table, Tone
from opsbrief.model.digest import Digest, Episode, Report, pattern_key
from opsbrief.model.finding import Finding

SUBJECT = 120  # characters of a mail subject
PAGER = 160  # characters of one short message
ROWS = 30  # services in the table of the first page
TELLING = 5  # releases told on the first page
GRAPHS = 40  # of all services together
GAPS = 6  # services with gaps named on the first page

_ORDER = {"bad": 0, "unknown": 1, "good": 2}


@dataclass(frozen=True)
class _Page:
    """A digest, indexed by what its pages ask."""

    digest: Digest

    @cached_property
    def releases(self) -> list[tuple[Report, Episode]]:
        """Every release that is news, the most telling first."""
        found = [(report, one) for report in self.digest.reports for one in service.news(self.digest, report)]
        return sorted(
            found, key=lambda pair: (_ORDER.get(told.tone(pair[1]), 3), -told.telling(pair[1]), pair[1].start)
        )

    @cached_property
    def bad(self) -> list[tuple[Report, Episode]]:
        return [pair for pair in self.releases if told.tone(pair[1]) == "bad"]

    @cached_property
    def figure(self) -> Figure | None:
        """The graph of the most telling release."""
        return next((one.figure for _, one in self.bad if one.figure), None)

    @cached_property
    def graphs(self) -> tuple[str, ...]:
        """The names of all graphs but the first page's, those of the most telling releases first."""
        figures = (figure for report, one in self.releases for figure in (one.figure, report.figure))
        return tuple(dict.fromkeys(figure.name for figure in figures if figure and figure is not self.figure))

    @cached_property
    def lost(self) -> list[Report]:
        return [report for report in self.digest.reports if report.error]

    @cached_property
    def stretch(self) -> str:
        """What the period is compared with: "the week before"."""
        before = self.digest.period.before.total_seconds()
        return "the week before" if abs(before - 7 * 86400) < 7200 else f"the {phrase.duration(before)} before"

    def title(self, pair: tuple[Report, Episode]) -> str:
        """Return "shop 2.14.0"."""
        report, one = pair
        return f"{service.name(report)} {told.name(one)}" if report.service else told.name(one)


def compose(digest: Digest) -> Brief:
    """Return the brief of a digest."""
    page = _Page(replace(digest, reports=tuple(_fresh(digest, report) for report in digest.reports)))
    headline, tone = _headline(page)
    who = service.name(digest.reports[0]) if len(digest.reports) == 1 else f"{len(digest.reports)} services"
    return Brief(
        title=f"{who}: {headline}",
        subject=words.cut(f"[opsbrief] {who}: {headline}", SUBJECT),
        pager=words.cut(f"{who}: {headline}", PAGER),
        headline=headline,
        tone=tone,
        sections=(*_first(page), *_services(page)),
        service=who,
        start=digest.period.start,
        end=digest.end,
        zone=digest.period.zone,
        version=digest.version,
        collected_at=digest.now,
        facts={"period": digest.period.name},
    )


def _fresh(digest: Digest, report: Report) -> Report:
    """Return the report without the log patterns that a digest of another period has told."""
    told_: dict[str, str] = {}
    episodes = []
    for one in report.episodes:
        patterns = {f.id: pattern_key(f) for f in one.findings if f.code == "log-pattern"}
        old = {ident: name for ident, key in patterns.items() if (name := digest.before(report.service, key))}
        told_ |= {patterns[ident]: name for ident, name in old.items()}
        episodes.append(replace(one, findings=tuple(f for f in one.findings if f.id not in old)))
    return replace(report, episodes=tuple(episodes), repeated=tuple(told_.values()))


def _headline(page: _Page) -> tuple[str, Tone]:
    """Return the digest in one sentence."""
    name, reports = page.digest.period.title, page.digest.reports
    if len(page.lost) == len(reports):
        return f"{name}: nothing is known of {_all(len(reports))}", "unknown"
    lost = f"; nothing is known of {phrase.count(len(page.lost), 'service')}" if page.lost else ""
    if not page.releases:
        old = " that was not told before" if any(report.episodes for report in reports) else ""
        return f"{name}: no release{old}{lost}", "unknown" if lost else "good"
    having = {report.service for report, _ in page.releases}
    of = f" of {phrase.count(len(having), 'service')}" if len(reports) > 1 else ""
    every = len(page.releases) + sum(report.skipped for report in reports)
    head = f"{name}: {phrase.count(every, 'release')}{of}"
    if page.bad:
        names = words.listing([page.title(pair) for pair in page.bad], 4)
        return f"{head}; something changed after {names}{lost}", "bad"
    unknown = sum(told.tone(one) == "unknown" for _, one in page.releases)
    if unknown:
        return f"{head}; cannot tell all of {unknown}{lost}", "unknown"
    return f"{head}; no watched metric changed, no new error{lost}", "unknown" if lost else "good"


def _all(count: int) -> str:
    return "the service" if count == 1 else f"all {count} services"


def _first(page: _Page) -> Iterator[Section]:
    """Yield the first page: what stretch, the most telling releases, one graph, the services, what is missing."""
    yield Section(name="verdict", heading="", blocks=(Scorecard(lines=tuple(_opening(page))),))
    if page.figure:
        title = next(page.title(pair) for pair in page.bad if pair[1].figure is page.figure)
        figure = replace(page.figure, caption=f"{title}: {page.figure.caption}")
        yield Section(name="graph", heading="", blocks=(figure,))
    if table := _table(page):
        yield Section(name="services", heading="Services", blocks=(table,))
    yield Section(name="coverage", heading="What this rests on", blocks=(Scorecard(lines=tuple(_coverage(page))),))


def _opening(page: _Page) -> Iterator[Line]:
    digest, clock = page.digest, words.Clock(page.digest.period.zone)
    so_far = ", so far" if digest.end < digest.period.end else ""
    span = clock.span(digest.period.start, digest.end)
    named = f"{digest.period.name}, " if digest.period.name == digest.period.title else ""
    yield Line(label="Period", text=f"{named}{span}{so_far}", detail=f"compared with {page.stretch}")
    yield _counts(page)
    for pair in page.releases[:TELLING]:
        one = pair[1]
        at = f"{clock.weekday(one.start)} {clock.time(one.start, seconds=False)}"
        yield Line(label=page.title(pair), text=f"{at}: {told.summary(one)}", tone=told.tone(one))
    if len(page.releases) > TELLING:
        rest = page.releases[TELLING:]
        bad = sum(told.tone(one) == "bad" for _, one in rest)
        changed = f", {bad} of them with something changed" if bad else ""
        yield Line(label="More", text=f"{phrase.count(len(rest), 'release')}{changed}: see the services", tone="muted")
    yield from _week(page)
    yield from _ground(page)
    yield from _old(page)
    for note in digest.notes:
        yield Line(label="Note", text=text.line(note, 400), tone="unknown")


def _counts(page: _Page) -> Line:
    """Compare the number of releases with the stretch before."""
    told_ = [report for report in page.digest.reports if not report.error]
    now = sum(len(report.episodes) + report.skipped for report in told_)
    earlier = [report.earlier for report in told_ if report.earlier is not None]
    unclear = len(earlier) < len(told_)
    before = f"{'at least ' if unclear and earlier else ''}{sum(earlier)}" if earlier or not told_ else "cannot tell"
    failed = [f"{service.name(report)} {text.line(one.ref, 40)}" for report in told_ for one in report.failed]
    detail = f"failed: {words.listing(failed, 5)}" if failed else ""
    return Line(label="Releases", text=f"{now}, {page.stretch}: {before}", detail=detail)


def _week(page: _Page) -> Iterator[Line]:
    """Say what differs from the stretch before beside the releases, and where there is nothing to compare with."""
    reports = [report for report in page.digest.reports if not report.error]
    moved = [f"{service.name(report)}: {_moved(f)}" for report in reports for f in service.compared(report)]
    if moved:
        yield Line(label="The week", text="; ".join(moved[:3]), detail=_more(len(moved) - 3), tone="bad")
    empty = [service.name(report) for report in reports if service.baseless(report)]
    if empty:
        what = f"no data of {page.stretch}"
        yield Line(label="Compared with", text=f"nothing for {words.listing(empty)}: {what}", tone="unknown")
    idle = [service.name(report) for report in reports if not report.episodes]
    if idle:
        yield Line(label="No release", text=words.listing(idle, 12))


def _ground(page: _Page) -> Iterator[Line]:
    """Say what was changed of the infrastructure in the period: commits, and what Puppet did to the nodes."""
    changes = {(one.kind, one.ref, one.hosts, one.at): one for report in page.digest.reports for one in report.changes}
    commits = len({one.ref for one in changes.values() if one.kind == "commit"})
    applied = [one for one in changes.values() if one.kind == "resource" and one.state != "noop"]
    parts = [phrase.count(commits, "commit")] if commits else []
    if applied:
        nodes = phrase.count(len({host for one in applied for host in one.hosts}), "node")
        parts.append(f"Puppet changed {phrase.count(len(applied), 'resource')} on {nodes}")
        drift, failed = sum(one.corrective for one in applied), sum(one.state == "failed" for one in applied)
        parts += [f"{drift} of them changed by hand before"] if drift else []
        parts += [f"{failed} of them failed"] if failed else []
    if parts:
        yield Line(label="Infrastructure", text=", ".join(parts), detail="by service on the later pages")


def _moved(finding: Finding) -> str:
    lines = " lines" if finding.code == "log-volume" else ""
    return f"{text.line(finding.subject, 60)}{lines} {words.arrow(finding.before, finding.after, finding.unit)}"


def _more(many: int) -> str:
    return f"and {many:,} more" if many > 0 else ""


def _old(page: _Page) -> Iterator[Line]:
    """Say what is not repeated, or that there is no earlier digest."""
    digest = page.digest
    periods = {name for keys in digest.told.values() for name in keys.values()} - {digest.period.name}
    if not periods:
        yield Line(label="Told before", text="nothing: no earlier digest is known here, so everything is news")
        return
    old = sum(len(report.episodes) for report in digest.reports) - len(page.releases)
    if old:
        yield Line(label="Told before", text=f"{phrase.count(old, 'release')}, not repeated")


def _table(page: _Page) -> Table | None:
    """Return one row a service that has something to tell, the most telling first."""
    if len(page.digest.reports) == 1:
        return None
    rank = {id(report): at for at, (report, _) in reversed(list(enumerate(page.releases)))}
    reports = [report for report in page.digest.reports if report.episodes or report.error]
    reports.sort(key=lambda report: rank.get(id(report), len(rank) + 1))
    if not reports:
        return None
    return Table(
        columns=(
            Column(heading="Service"),
            Column(heading="Releases", align="right"),
            Column(heading="Before", align="right"),
            Column(heading="What"),
        ),
        rows=tuple(_row(page, report) for report in reports[:ROWS]),
        caption="One line a service; its page below tells more",
        cut=max(0, len(reports) - ROWS),
    )


def _row(page: _Page, report: Report) -> tuple[Cell, ...]:
    if report.error:
        return (Cell(text=service.name(report)), Cell(text="?"), Cell(text="?"),
                Cell(text=words.cut(report.error, 120), tone="unknown"))  # fmt: skip
    best = next((one for owner, one in page.releases if owner is report), None)
    what = f"{told.name(best)}: {told.summary(best, 1)}" if best else "told before"
    return (
        Cell(text=service.name(report)),
        Cell(text=f"{len(report.episodes)}"),
        Cell(text="?" if report.earlier is None else f"{report.earlier}"),
        Cell(text=words.cut(what, 160), tone=told.tone(best) if best else "muted"),
    )


def _coverage(page: _Page) -> Iterator[Line]:
    """Say how many services were read whole, and name those that were not."""
    reports = page.digest.reports
    holes = [report for report in reports if report.missing and not report.error]
    whole = len(reports) - len(holes) - len(page.lost)
    yield Line(label="Coverage", text=f"{whole} of {phrase.count(len(reports), 'service')} read whole")
    if (left := len(page.graphs) - GRAPHS) > 0:
        yield Line(label="Graphs", text=f"those of the most telling releases; {left} left out", tone="muted")
    for report in page.lost[:GAPS]:
        yield Line(label="Missing", text=f"{service.name(report)}: {words.cut(report.error, 240)}", tone="unknown")
    for report in holes[:GAPS]:
        sources = words.unique(text.line(gap.source, 40) for gap in report.missing)
        many = phrase.count(len(report.missing), "gap")
        yield Line(label="Missing", text=f"{service.name(report)}: {many} in {words.listing(sources)}", tone="unknown")
    if (rest := max(0, len(holes) - GAPS) + max(0, len(page.lost) - GAPS)) > 0:
        yield Line(label="Missing", text=f"and {phrase.count(rest, 'more service')}", tone="unknown")


def _services(page: _Page) -> Iterator[Section]:
    """Yield a folded page for each service that has something to tell, in the configured order."""
    drawn = frozenset(page.graphs[:GRAPHS])
    for number, report in enumerate(page.digest.reports, 1):
        blocks: tuple[Block, ...] = tuple(service.page(page.digest, report, drawn))
        if blocks:
            fresh = service.news(page.digest, report)
            none = "no new release" if report.episodes else "no release"
            what = "nothing is known" if report.error else phrase.count(len(fresh), "release") if fresh else none
            yield Section(
                name=f"service-{number:03}", heading=f"{service.name(report)}: {what}", blocks=blocks, folded=True
            )
    yield Section(
        name="method", heading="How this was made", blocks=(Paragraph(text=_METHOD, tone="muted"),), folded=True
    )


_METHOD = (
    "Each release is compared with the stretch before it and with last week's same hours, for a few hours at most or "
    "until the next release; the period as a whole is compared with the one before by the same tests. A release, a "
    "log pattern or a change that an earlier digest has told is not told again. That something came after a release "
    "does not say why."
)
