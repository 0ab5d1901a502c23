"""What the verdicts stand on: the hosts, the changes, and how much of what was asked was answered."""

from collections.abc import Iterator

from opsbrief import phrase, text
from opsbrief.compose import looks, words
from opsbrief.compose.case import Case, detail, folded, hosts, message, refs, said, where
from opsbrief.compose.gaps import missing
from opsbrief.model.brief import Line
from opsbrief.model.evidence import Event, LogSample, Release, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.sightings import once

RECORDS = ("git", "puppetdb", "puppetreport")  # types of sources that record changes


def places(case: Case) -> Iterator[Line]:
    """Say on which hosts, and how the restarts go with it."""
    lead = case.lead
    for finding in case.all("hosts")[:1]:
        yield Line(label="Hosts", text=text.line(finding.headline), detail=detail(finding), refs=refs(finding))
    if lead and where(lead) and not case.all("hosts"):
        yield _hosts(case, lead)
    yield from _restarts(case)
    yield from looks.lines(case)


def _hosts(case: Case, lead: Finding) -> Line:
    """Say which hosts deviate, and of each other host what was found of it; silence is not "unchanged"."""
    deviate = hosts(lead.hosts)
    said_ = f"{where(lead)} deviate: {words.listing(folded(deviate), 10)}"
    others: dict[str, list[str]] = {}
    found = _verdicts(case, lead)
    for host in hosts({*case.scope.hosts, *found}):
        if host not in deviate and (host in found or not lead.facts.get("rank")):
            others.setdefault(found.get(host, "no series"), []).append(host)
    notes = [f"{verdict} on {words.listing(folded(names), 8)}" for verdict, names in others.items()]
    return Line(label="Hosts", text=said_, detail="; ".join(notes), refs=refs(lead))


def _verdicts(case: Case, lead: Finding) -> dict[str, str]:
    """Return what the analysis says of the lead's metric on each host that has a series of it."""
    metrics = {case.series[name].metric for name in lead.basis if name in case.series}
    found = {
        text.line(item.host, 80): "not told"
        for item in case.series.values()
        if item.host and item.metric in metrics and not lead.facts.get("rank")
    }
    for finding in case.all("series"):
        for item in [case.series[name] for name in finding.basis if name in case.series]:
            if item.host and item.metric in metrics:
                found[text.line(item.host, 80)] = str(finding.verdict)
    return found


def _restarts(case: Case) -> Iterator[Line]:
    """Say how often something was restarted since the start of the window, and in the time before it."""
    events = [event for event in once(case.evidence.items(Event)) if event.kind == "restart"]
    since = [event for event in events if case.window.start <= event.at < case.window.end]
    if not since:
        return
    before = sum(case.window.prior.start <= event.at < case.window.start for event in events)
    stretch = phrase.duration(case.window.before.total_seconds())
    first = min(since, key=lambda event: event.at)
    at = case.moment(first.at, seconds=False)
    yield Line(
        label="Restarts",
        text=f"{len(since):,} since {case.anchor}, {before:,} in the {stretch} before, first {at}",
        refs=(first.id,) if first.id else (),
    )


def changes(case: Case) -> Iterator[Line]:
    """Say what the release is made of and what else was changed."""
    yield from _release(case)
    for finding in [f for f in case.patterns if said(f, "code_at")][:2]:
        place = said(finding, "code_at", 160)
        said_ = f"{place}, added by this release, says “{message(finding, 44)}”"
        yield Line(label="In its code", text=said_, refs=refs(finding))
    yield from _radius(case)
    for finding in case.all("threshold")[:2]:
        said_ = text.line(finding.headline).removeprefix("threshold of ")
        yield Line(label="Thresholds", text=said_, detail=detail(finding), refs=refs(finding))
    other = case.all("other-change")
    for finding in other[:3]:
        yield Line(label="Other changes", text=text.line(finding.headline), detail=detail(finding), refs=refs(finding))
    if len(other) > 3:
        yield Line(label="Other changes", text=f"and {len(other) - 3:,} more, on a later page", tone="muted")
    if not other:
        asked = [o.source for o in case.evidence.outcomes if o.type in RECORDS and not o.gaps]
        if asked:
            named = words.listing([text.line(source, 40) for source in asked])
            yield Line(label="Other changes", text=f"none in the window, by {named}", tone="good")
        else:
            yield Line(label="Other changes", text="cannot tell: no record of changes was read whole", tone="unknown")


def _radius(case: Case) -> Iterator[Line]:
    """Say which change touched the hosts that deviate, where that tells anything: where hosts differ."""
    told = case.all("release")  # which says of itself where it was
    telling = [f for f in case.all("blast") if _tells(f) and not (f.facts.get("kind") == "release" and told)]
    if telling:
        first, *rest = telling
        more = text.line(rest[0].headline, 120) if rest else ""
        ids = tuple(ref for f in telling[:2] for ref in refs(f))
        yield Line(label="Blast radius", text=text.line(first.headline, 200), detail=more, refs=ids)


def _tells(blast: Finding) -> bool:
    """Return whether it is known which hosts a change touched, and whether that tells some from others."""
    facts = blast.facts
    return facts.get("touched") is not None and bool(
        facts.get("others") or facts.get("touched_deviating") != facts.get("deviating")
    )


def _release(case: Case) -> Iterator[Line]:
    """Say what the release contains, and of which hosts it is known to have touched."""
    found = case.all("release")
    reach = next((f for f in case.all("blast") if f.facts.get("kind") == "release" and _tells(f)), None)
    where_ = text.line(reach.headline, 200).partition(" touched ")[2].partition(":")[0] if reach else ""
    for number, finding in enumerate(found[:2]):
        notes = [*([f"on {where_}"] if where_ and not number else []), detail(finding)]
        ids = (*refs(finding), *(refs(reach) if reach and where_ and not number else ()))
        yield Line(
            label="The release", text=text.line(finding.headline), detail="; ".join(filter(None, notes)), refs=ids
        )
    for release in [] if found else list(case.evidence.items(Release))[:2]:
        made = f"{phrase.count(len(release.commits), 'commit')}, {phrase.count(len(release.files), 'file')}"
        ends = f"{text.line(release.base, 40)}..{text.line(release.head, 40)}"
        yield Line(label="The release", text=f"{ends}: {made}", refs=(release.id,) if release.id else ())


def coverage(case: Case) -> Iterator[Line]:
    """Say what was asked and what came, name everything that is missing, and how to go on from here."""
    yield Line(label="Coverage", text=answered(case), detail=", ".join(amounts(case)))
    for finding in [f for f in case.all("clock") if f.verdict is Verdict.CHANGED][:2]:
        weak = text.line(finding.detail, 160)
        yield Line(label="Clocks", text=text.line(finding.headline), detail=weak, refs=refs(finding), tone="unknown")
    yield from missing(case)


def answered(case: Case) -> str:
    """Return "7 of 8 sources answered in 21 s"; a source with gaps is said to have answered in part."""
    outcomes = case.evidence.outcomes
    if not outcomes:
        return "no source was asked"
    good = sum(outcome.status == "ok" for outcome in outcomes)
    partly = sum(outcome.status == "partial" for outcome in outcomes)
    took = words.took(max(outcome.took for outcome in outcomes))
    part = f", {partly} in part," if partly else ""
    return f"{good} of {phrase.count(len(outcomes), 'source')} answered{part} in {took}"


def amounts(case: Case) -> Iterator[str]:
    """Yield how much was read, and what it cost the servers."""
    series = [item for item in case.evidence.items(Series) if not item.span]
    if series:
        silent = sum(not (item.values == item.values).any() for item in series)
        yield f"{len(series):,} series{f', {silent:,} without data' if silent else ''}"
    total = sum(sample.total for sample in case.evidence.items(LogSample) if sample.span in ("", "incident"))
    if total:
        yield phrase.count(total, "log line")
    agree = [f for f in case.all("clock") if f.verdict is Verdict.UNCHANGED]
    if agree:
        within = max(float(f.facts.get("within") or 0.0) for f in agree)
        yield f"clocks agree within {phrase.duration(within)}"
    if redacted := sum(case.evidence.redactions.values()):
        yield f"{phrase.count(redacted, 'value')} redacted"
    requests = sum(outcome.requests for outcome in case.evidence.outcomes)
    amount = sum(outcome.bytes for outcome in case.evidence.outcomes)
    if requests or amount:
        yield f"{phrase.count(requests, 'request')}, {words.size(amount)}"
