"""A host that was looked at: whether it confirms the graph on the first page, everything it said on a later one."""

from collections.abc import Iterator, Mapping

from opsbrief import phrase, text
from opsbrief.compose import words
from opsbrief.compose.case import Case, refs, said, whole
from opsbrief.model.brief import Block, Line, Scorecard, Tone, Verbatim
from opsbrief.model.evidence import Reading
from opsbrief.model.finding import Finding, Verdict

HOSTS = 2  # on the first page
READINGS = 60
ROWS = 30  # lines of one reading
_NEWEST_LAST = ("kernel", "journal", "packages")
_MEASURED = 220  # characters

_TONES: Mapping[Verdict, Tone] = {Verdict.CONFIRMED: "bad", Verdict.NOT_CONFIRMED: "unknown"}


def lines(case: Case) -> Iterator[Line]:
    """Say whether the host confirms the graph and what was counted there; apart from it, what this goes with."""
    fixed = case.evidence.first is not None
    for finding in case.all("look")[:HOSTS]:
        tone: Tone = "plain" if fixed else _TONES.get(finding.verdict, "unknown")
        measured = said(finding, "measured", 600)
        if was := _was(case, finding):
            measured = f"{was}; {measured}" if measured else was
        why = said(finding, "why", 120)
        parts = [words.cut(measured, _MEASURED), f"chosen: {why}" if why else ""]
        yield Line(
            label="Look", text=text.line(finding.headline), detail="; ".join(part for part in parts if part),
            refs=refs(finding), tone=tone,
        )  # fmt: skip
        if inferred := said(finding, "inferred", 400):
            yield Line(label="Inferred", text=words.cut(inferred, _MEASURED), refs=refs(finding))


def _was(case: Case, now: Finding) -> str:
    """Return what the first brief counted on the same host, where this brief is about a fix."""
    for told in case.evidence.first.told if case.evidence.first else ():
        was = told.finding
        same = (
            was.code == "look" and was.subject == now.subject and was.facts.get("counted") == now.facts.get("counted")
        )
        if same and was.facts.get("established") is not None and now.facts.get("established") is not None:
            counts = [
                f"{phrase.number(float(whole(was, name)))} → {phrase.number(float(whole(now, name)))} {called}"
                for name, called in (("established", "established"), ("close_wait", "in CLOSE-WAIT"))
                if whole(was, name) or whole(now, name)
            ]
            return f"first brief → now: {', '.join(counts)}"
    return ""


def blocks(case: Case) -> Iterator[Block]:
    """Yield what was found of each host, then what each command answered, or why it did not."""
    for finding in case.all("look"):
        yield Scorecard(lines=tuple(_whole(finding)))
    readings = list(case.evidence.items(Reading))
    for reading in readings[:READINGS]:
        yield _answer(case, reading)


def _whole(finding: Finding) -> Iterator[Line]:
    yield Line(label="Look", text=text.line(finding.headline), refs=refs(finding))
    rows = (("Measured", "measured"), ("Inferred", "inferred"), ("Chosen", "why"), ("Not told", "untold"))
    for label, name in rows:
        if told := said(finding, name, 1000):
            yield Line(label=label, text=told)


def _answer(case: Case, reading: Reading) -> Verbatim:
    status = "did not end" if reading.exit_status is None else f"exit {reading.exit_status}"
    state = reading.state or ("" if reading.about and not reading.exit_status else status)
    notes = ", ".join(part for part in (state, case.moment(reading.at)) if part)
    told = text.clean((reading.stderr if reading.state else "") or reading.stdout or reading.stderr, 65_536)
    rows = told.strip("\n").split("\n")
    if len(rows) > ROWS and reading.about in _NEWEST_LAST:
        rows = [f"… {phrase.count(len(rows) - ROWS, 'earlier line')}", *rows[-ROWS:]]
    elif len(rows) > ROWS:
        rows = [*rows[:ROWS], f"… {phrase.count(len(rows) - ROWS, 'more line')}"]
    return Verbatim(
        lines=tuple(rows) if told.strip() else ("nothing",),
        caption=f"{text.line(reading.host, 80)}: {text.line(reading.command, 200)} ({notes})",
        refs=(reading.id,) if reading.id else (),
    )
