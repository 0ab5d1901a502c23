"""Evidence and findings, indexed by the questions a page asks of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property

from opsbrief import text
from opsbrief.compose import words
from opsbrief.compose.words import Clock, natural
from opsbrief.model.brief import Tone
from opsbrief.model.chart import MarkKind, Moment
from opsbrief.model.evidence import Change, Event, Evidence, Series
from opsbrief.model.finding import Finding, Verdict, lead, telling
from opsbrief.sightings import once

NEAR = 7200.0  # seconds around the anchor within which another deploy log speaks of the same deploy
MARKS = 200  # restarts and alarms that are marked at most
NEWS = (Verdict.NEW, Verdict.EXPLODED, Verdict.VANISHED)

#: What a changed metric is said to do: by shape, then by direction.
_DOES: Mapping[str, tuple[str, str]] = {
    "step": ("stepped up", "stepped down"),
    "ramp": ("rising", "falling"),
    "sawtooth": ("rising", "falling"),
    "spike": ("spiked", "dipped"),
    "drop": ("dropped", "dropped"),
    "silent": ("gone silent", "gone silent"),
    "noisier": ("noisier", "noisier"),
    "": ("higher", "lower"),
}

TONES: Mapping[Verdict, Tone] = {
    Verdict.CHANGED: "bad",
    Verdict.NEW: "bad",
    Verdict.EXPLODED: "bad",
    Verdict.NOT_RULED_OUT: "bad",
    Verdict.UNCHANGED: "good",
    Verdict.RULED_OUT: "good",
    Verdict.BEGAN_BEFORE: "unknown",
    Verdict.CANNOT_TELL: "unknown",
    Verdict.VANISHED: "unknown",
}


#: "[main] c.e.shop.Config - " and "c.e.shop.Config : ": a thread or a dotted name before a dash or colon.
_NAME = r"[\w$<>*]{1,60}(?:\.[\w$<>*]{1,60}){1,9}"
_LOGGER = re.compile(rf"^(?:\[[^\]]{{0,60}}\] +(?:(?:{_NAME}|[A-Z][\w$]{{1,60}}) +)?|{_NAME} +)[-:] +(?=\S)")


class Case:
    """One brief's material. Pages ask it; it words nothing but the names of things."""

    def __init__(self, evidence: Evidence, findings: Iterable[Finding], *, people: bool) -> None:
        """Index the findings; ``people`` allows the names of authors on the page."""
        self.evidence = evidence
        self.window = evidence.window
        self.scope = evidence.scope
        self.findings = tuple(findings)
        self.people = people
        self.clock = Clock(evidence.window.zone)

    def all(self, code: str) -> tuple[Finding, ...]:
        """Return the findings of one code, the most telling first."""
        return tuple(sorted((f for f in self.findings if f.code == code), key=lambda f: -f.score))

    def first(self, code: str) -> Finding | None:
        """Return the most telling finding of a code."""
        return next(iter(self.all(code)), None)

    @cached_property
    def shifts(self) -> tuple[Finding, ...]:
        """One finding a metric, in the order of telling: changed, worse, key, configured, strong."""
        return tuple(sorted(self.all("shift"), key=telling))

    @cached_property
    def lead(self) -> Finding | None:
        """The metric that the brief is about: the first that changed."""
        return lead(self.findings)

    @cached_property
    def patterns(self) -> tuple[Finding, ...]:
        """Log patterns that are news, in the order of telling."""
        return tuple(f for f in self.all("log-pattern") if f.verdict in NEWS)

    @cached_property
    def series(self) -> Mapping[str, Series]:
        """Every series by its id."""
        return {item.id: item for item in self.evidence.items(Series)}

    @cached_property
    def marks(self) -> tuple[Moment, ...]:
        """What is marked on every graph: restarts, hard alarms, other deploys, changes of the infrastructure."""
        return tuple(_marks(self.evidence))

    @cached_property
    def service(self) -> str:
        """Name of the service, or what stands for it."""
        return text.line(self.scope.service, 60) or "all services"

    @cached_property
    def anchor(self) -> str:
        """What the window starts from, in words that follow "since": "release 2.14.0"."""
        anchor = self.window.anchor
        ref = text.line(anchor.ref, 40)
        match anchor.kind:
            case "deploy":
                return f"release {ref}" if ref else "the last release"
            case "tag":
                return f"tag {ref}" if ref else "the tag"
            case "commit":
                return f"commit {ref[:10]}" if ref else "the commit"
            case "alert":
                return f"the alert {ref}" if ref else "the alert"
        return self.when

    @cached_property
    def when(self) -> str:
        """The start of the window: "Fri 15:02"; with its date where a weekday alone could be another week's."""
        start = self.window.start
        day = self.clock.weekday(start) if self.window.end - start < timedelta(days=6) else self.clock.day(start)
        return f"{day} {self.clock.time(start, seconds=False)}"

    @cached_property
    def since(self) -> str:
        """The anchor with its time: "release 2.14.0 (Fri 15:02)"."""
        return self.anchor if self.anchor == self.when else f"{self.anchor} ({self.when})"

    def moment(self, at: datetime, *, seconds: bool | None = None) -> str:
        """Return an instant as said beside the window's start."""
        return self.clock.moment(at, self.window.start, seconds=seconds)


def does(shift: Finding) -> str:
    """Return what a changed metric does, without its numbers: "rising", "stepped up"."""
    up, down = _DOES.get(shift.shape, _DOES[""])
    return down if shift.facts.get("direction") == "down" else up


def where(shift: Finding) -> str:
    """Return "8 of 8 hosts", or nothing where hosts were not told apart."""
    total = whole(shift, "hosts_total")
    if total and shift.hosts:
        return f"{len(shift.hosts)} of {total} host{'s' if total > 1 else ''}"
    return ""


def whole(finding: Finding, fact: str) -> int:
    """Return a fact as a whole number, 0 when it is not there."""
    value = finding.facts.get(fact)
    return int(value) if isinstance(value, (int, float)) and abs(value) < 1e15 else 0


def real(finding: Finding, fact: str) -> float | None:
    """Return a fact as a number, None when it is not there."""
    value = finding.facts.get(fact)
    return float(value) if isinstance(value, (int, float)) else None


def said(finding: Finding, fact: str, cap: int = 400) -> str:
    """Return a fact as words, "" when it is not there."""
    value = finding.facts.get(fact)
    return text.line(str(value), cap) if value is not None else ""


def refs(finding: Finding) -> tuple[str, ...]:
    """Return the id to be shown behind what a finding says; the receipts lead on to its basis."""
    return (finding.id,) if finding.id else finding.basis


def detail(finding: Finding, cap: int = 80) -> str:
    """Return what limits or supports a finding in whole clauses of at most ``cap`` characters; at least one clause.

    The later pages say all of it.
    """
    kept = ""
    for clause in text.line(finding.detail, 2000).split("; "):
        if kept and len(kept) + len(clause) > cap:
            break
        kept = f"{kept}; {clause}" if kept else clause
    return words.cut(kept, 2 * cap)


def hosts(names: Iterable[str]) -> list[str]:
    """Return host names in the order a person expects, app2 before app10."""
    return sorted((text.line(name, 80) for name in names), key=natural)


def folded(names: Iterable[str]) -> list[str]:
    """Return sorted host names with runs of numbers folded: ["app1–app8", "db1"]."""
    runs: list[list[str]] = []
    for name in names:
        stem, number = _numbered(name)
        last, before = _numbered(runs[-1][-1]) if runs else ("", -1)
        if stem == last and number == before + 1 >= 1 and len(runs[-1][-1]) <= len(name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [part for run in runs for part in ([f"{run[0]}–{run[-1]}"] if len(run) > 2 else run)]


def _numbered(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits) if digits and len(digits) < 10 else -2


def message(pattern: Finding, cap: int) -> str:
    """Return a log pattern for a narrow place: without the thread and the logger that many lines begin with."""
    whole = text.line(pattern.subject, 1000)
    return words.cut(_LOGGER.sub("", whole) or whole, cap)


def _marks(evidence: Evidence) -> Iterator[Moment]:
    whole, receipt = evidence.window.whole, evidence.window.receipt
    for candidate in receipt.candidates if receipt else ():
        deploy = candidate.deploy
        if whole.start <= deploy.at < whole.end and not candidate.taken and abs(candidate.offset) > NEAR:
            yield Moment("deploy", deploy.at, text.line(deploy.ref, 40))
    count = 0
    for event in once(evidence.items(Event)):
        kind: MarkKind | None = "restart" if event.kind == "restart" else "alarm" if _alarm(event) else None
        if kind and whole.start <= event.at < whole.end and count < MARKS:
            count += 1
            yield Moment(kind, event.at, text.line(event.host, 60))
    applied: set[tuple[str, int]] = set()
    for change in evidence.items(Change):
        if change.role != "infrastructure" or not change.in_window or not whole.start <= change.at < whole.end:
            continue
        if change.kind == "resource":  # eight nodes with ten resources each are one mark in ten minutes
            key = (change.version, int(change.at.timestamp() // 600))
            if change.state == "noop" or key in applied:
                continue
            applied.add(key)
            yield Moment(
                "change", change.at, words.cut(f"Puppet {change.version[:10]}" if change.version else change.ref, 40)
            )
        else:
            yield Moment("change", change.at, words.cut(change.summary, 40))


def _alarm(event: Event) -> bool:
    return event.kind == "state" and event.state_type == "hard" and event.state in ("WARNING", "CRITICAL", "DOWN")
