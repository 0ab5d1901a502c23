"""The lines of the first page about a fix: what is compared, what became of it, what else was changed."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import Case, detail, refs
from opsbrief.compose.effect import ask
from opsbrief.compose.ground import RECORDS
from opsbrief.model.brief import Line
from opsbrief.model.evidence import Change
from opsbrief.model.finding import Finding, Verdict

METRICS = 4  # metrics told one by one on the first page
COMMITS = 3
_PHASES = ("before", "during", "after")

_NEAR = timedelta(minutes=10)  # a tag or deploy so near to the fix is the fix


def window(case: Case) -> Iterator[Line]:
    """Say which three stretches are compared, and with which brief."""
    window, first = case.window, ask.first(case)
    assert window.fix is not None  # noqa: S101 - see ask.fixed
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


def verdicts(case: Case) -> Iterator[Line]:
    """Say what is fixed and what is not, metric by metric; the logs and events in a line each; what is needed."""
    metrics = [f for f in ask.metrics(case) if not f.facts.get("rank")] or list(ask.metrics(case)[:1])
    for finding in metrics[:METRICS]:
        yield _line(finding)
    rest = [f for f in ask.metrics(case) if f not in metrics[:METRICS]]
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
    yield from _logs(case)
    yield from _events(case)
    summary = ask.summary(case)
    if summary and summary.detail:
        yield Line(
            label="Still needed",
            text=summary.detail.removesuffix(" more needed"),
            detail="then ask again: what is gone will be told as gone, at this noise",
            tone="unknown",
        )


def _logs(case: Case) -> Iterator[Line]:
    errors = [
        f for f in case.all("effect-pattern") if f.facts.get("level") in ask.ERRORS and not f.facts.get("starting")
    ]
    if errors:
        bad = any(ask.TONES.get(f.verdict) == "bad" for f in errors)
        well = all(ask.TONES.get(f.verdict) == "good" for f in errors)
        yield Line(
            label="Logs",
            text=_tally(errors, "error pattern"),
            refs=tuple(ref for f in errors[:4] for ref in refs(f)),
            tone="bad" if bad else "good" if well else "unknown",
        )


def _events(case: Case) -> Iterator[Line]:
    events = list(case.all("effect-event"))
    gone = [finding for finding in events if finding.verdict is Verdict.GONE]
    if len(gone) > 1:  # what is over needs one line, not one each
        counts = (
            f"{text.line(f.subject, 60)} {' → '.join(str(f.facts[f'count_{name}']) for name in _PHASES)}" for f in gone
        )
        ids = tuple(ref for f in gone for ref in refs(f))
        yield Line(label="Events", text=f"gone: {words.listing(list(counts), 4)}", refs=ids, tone="good")
    for finding in [f for f in events if f not in gone or len(gone) == 1]:
        yield Line(
            label="Events", text=text.line(finding.headline), detail=detail(finding), refs=refs(finding),
            tone=ask.TONES.get(finding.verdict, "plain"),
        )  # fmt: skip


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


def changes(case: Case) -> Iterator[Line]:
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
    applied = [f for f in case.all("other-change") if f.facts.get("said") and f.onset and f.onset.latest > window.start]
    for finding in applied[:COMMITS]:  # what Puppet did, a version in one line
        may = "may have a part in the effect"
        yield Line(
            label="Also changed", text=text.line(finding.headline, 200), detail=may, refs=refs(finding), tone="unknown"
        )
    if len(applied) > COMMITS:
        yield Line(label="Also changed", text=f"and {len(applied) - COMMITS:,} more by Puppet", tone="muted")
    others = [c for c in found if c not in own and c.kind != "resource"]
    others = [c for c in others if not (c.kind in ("tag", "deploy") and abs(c.at - fix) <= _NEAR)]
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
    asked = [o.source for o in case.evidence.outcomes if o.type in RECORDS and not o.gaps]
    if not others and not applied and asked:
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
        tone=ask.TONES.get(finding.verdict, "plain"),
    )
