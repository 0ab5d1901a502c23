"""Follow an incident: ask again and again, only for what is new, and say what is known at each tick.

The loop is pure: time and waiting are handed in, what it yields are values. Memory stays bounded over days
(series are folded, lines sampled, events capped), a source that dies becomes a state and comes back, and one
that hangs is left alone until it lets go.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from math import floor
from time import monotonic

from opsbrief import __version__, phrase, text
from opsbrief.collect import Listener, Runner
from opsbrief.model.brief import Tone
from opsbrief.model.chart import Moment
from opsbrief.model.effect import First
from opsbrief.model.evidence import Change, Event, Evidence, Gap, Item, LogSample, Outcome, Series
from opsbrief.model.finding import Verdict
from opsbrief.model.tick import Note, State, Tick
from opsbrief.model.window import Anchor, Deploy, TimeKind
from opsbrief.releases import NEAR, merge, same
from opsbrief.watch.feed import Clean, Feed, Log
from opsbrief.watch.lines import cut
from opsbrief.watch.plan import Plan
from opsbrief.watch.settle import Rule
from opsbrief.watch.view import View, first, look

NOTES = 200  # of the journal that are kept
TOLD = 2000  # log patterns that are remembered as told
BURST = 20  # notes of one tick
_TAGS = (TimeKind.TAG_TIME, TimeKind.COMMIT_TIME)


class Watch:
    """One watch; ``tick`` asks once."""

    def __init__(
        self,
        plan: Plan,
        clean: Callable[[], Clean] = lambda: lambda items: items,
        judge: Callable[[Evidence], View] = look,
    ) -> None:
        """Take the plan, what makes a redactor (anew each tick: secrets are revealed on first use), and the judge."""
        self._plan = plan
        self._clean, self._judge = clean, judge
        self._feeds = [Feed(kind, source) for kind, source in plan.sources]
        self._logs = [Log(kind, source) for kind, source in plan.logs]
        self._fix = plan.fix
        self._first: First | None = None
        self._rule = Rule() if plan.ticks is None else Rule(plan.ticks)
        self._view = View(headline="", tone="unknown")
        self._notes: deque[Note] = deque(maxlen=NOTES)
        self._told: dict[tuple[str, Verdict], None] = {}
        self._said: dict[str, Verdict] = {}  # the last word on each metric that was told
        self._doubt: dict[str, Verdict] = {}  # the word of the last tick
        self._states: dict[str, State] = {}
        self._gaps: tuple[Gap, ...] = ()
        self._number = 0

    def ticks(
        self,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        stop: Callable[[Tick], bool],
        listen: Listener | None = None,
    ) -> Iterator[Tick]:
        """Yield a tick every so often until ``stop`` says so; a beat that asking overran is left out."""
        begun = clock()
        every = timedelta(seconds=self._plan.every)
        while True:
            tick = self.tick(clock(), listen)
            yield tick
            if stop(tick):
                return
            beats = floor((clock() - begun) / every) + 1
            sleep((begun + beats * every - clock()).total_seconds())

    def tick(self, now: datetime, listen: Listener | None = None) -> Tick:
        """Ask everybody who is due, judge what is known, and say it. Raises KeyboardInterrupt on Ctrl-C."""
        begun = monotonic()
        self._number += 1
        fresh: list[Note] = []
        defect = ""
        try:
            fresh = self._ask(now, listen)
            evidence = self._evidence(now)
            self._gaps = evidence.gaps
            self._view = self._judge(self._with_fix(evidence))
        except Exception:  # noqa: BLE001 - a defect must not end a watch of hours; the next tick tries again
            defect = text.line(traceback.format_exc(limit=-1), 300)
        turned = list(self._turned(now))
        fresh += [*self._found(now), *turned, *self._answers(now)]
        self._notes.extend(fresh[:BURST])
        waits = "no fix yet" if self._fix is None else defect or self._view.waits or self._lost()
        return Tick(
            number=self._number,
            at=now,
            service=text.line(self._plan.scope.service, 60) or "all services",
            zone=self._plan.window.zone,
            start=self._plan.window.start,
            before=self._plan.window.prior.start,
            headline=self._view.headline,
            tone=self._view.tone,
            rows=self._view.rows,
            news=self._view.news,
            notes=tuple(self._notes),
            fresh=tuple(fresh[:BURST]),
            states=tuple(self._states.values()),
            gaps=self._gaps,
            marks=tuple(self._marks()),
            fix=self._mark(self._fix) if self._fix else None,
            settling=self._rule.step(now, self._view.rows, fixed=self._view.fixed, waits=waits),
            turned=bool(turned),
            took=monotonic() - begun,
            defect=defect,
        )

    def _ask(self, now: datetime, listen: Listener | None) -> list[Note]:
        """Ask sources and deploy logs side by side; return what came up."""
        plan = self._plan
        feeds = [feed for feed in self._feeds if feed.due(now)]
        logs = [log for log in self._logs if log.due(now)]
        since = plan.window.start - NEAR  # what several logs say of the release at the start is one release
        jobs = [feed.job(plan.window, now, plan.every) for feed in feeds]
        asked = Runner([*jobs, *(log.job(since, now, plan.every) for log in logs)], listen)
        trays = asked.run()
        if asked.interrupted:
            raise KeyboardInterrupt
        clean = self._clean()
        found: list[Note] = []
        for feed, tray in zip(feeds, trays, strict=False):
            found += map(_noted, feed.take(tray, now, clean))
        for log, tray in zip(logs, trays[len(feeds) :], strict=True):
            log.take(tray, now, clean)
        return [*sorted(found, key=lambda note: note.at), *self._deployed(now)]

    def _deployed(self, now: datetime) -> Iterator[Note]:
        """Look for a newer release: the newest one is taken for the fix, unless that was given."""
        newer = self._releases()
        if not newer or self._plan.fix:
            return
        latest = newer[-1]
        if self._fix is None or latest.at > self._fix.at:
            self._fix = Anchor("deploy", latest.at, latest.ref, latest.note, latest.source, latest.time_kind)
            self._first = None
            name = f"deploy {text.line(latest.ref, 40)}".strip()
            when = phrase.clock(latest.at, self._plan.window.zone, now)
            yield Note(at=now, kind="deploy", text=f"{name} at {when}, taken for the fix", tone="good")

    def _releases(self) -> list[Deploy]:
        """Return the successful deploys after the start that are not the one at the start, oldest first.

        Where only a time was given, a deploy within minutes of it is the one that was meant.
        """
        window = self._plan.window
        told = [[deploy for deploy in log.deploys.values() if deploy.succeeded] for log in self._logs]
        tags = window.anchor.time_kind in _TAGS  # where deploys are known, a tag alone is none
        return [
            release.lead
            for release in merge(told)
            if release.at > window.start + (timedelta(0) if window.anchor.ref else NEAR)
            and not any(same(each.ref, window.anchor.ref) for each in release.told)
            and (tags or release.lead.time_kind not in _TAGS)
        ]

    def _evidence(self, now: datetime) -> Evidence:
        outcomes: list[Outcome] = []
        count = 0
        for feed in self._feeds:
            outcome = feed.outcome
            items = []
            for item in outcome.items:
                count += 1
                items.append(replace(item, id=f"E{count}"))
            outcomes.append(replace(outcome, items=tuple(items)))
        return Evidence(
            window=replace(self._plan.window, end=now),
            scope=self._plan.scope.joined(metric for feed in self._feeds for metric in feed.found.values()),
            outcomes=tuple(outcomes),
            collected_at=now,
            version=__version__,
        )

    def _with_fix(self, evidence: Evidence) -> Evidence:
        """Return the evidence with the fix and what was told until then, once there is a fix."""
        fix, window = self._fix, evidence.window
        if fix is None or not window.start < fix.at < window.end:
            return evidence
        if self._first is None:
            self._first = first(_until(evidence, fix.at))
        return replace(evidence, window=replace(window, fix=fix), first=self._first)

    def _found(self, now: datetime) -> Iterator[Note]:
        """Yield the log patterns that were not told yet; those of the first tick are no news."""
        for news in self._view.news:
            key = news.text, news.verdict
            if key in self._told:
                continue
            self._told[key] = None
            if self._number > 1:
                rate = f"{phrase.number(news.after)}/min"
                said = f"{news.verdict} {news.level or 'line'} {rate}: {news.text}"
                tone: Tone = (
                    "bad" if news.level in ("ERROR", "FATAL") and news.verdict is not Verdict.VANISHED else "plain"
                )
                yield Note(at=now, kind="log", text=said, tone=tone)
        while len(self._told) > TOLD:
            del self._told[next(iter(self._told))]

    def _turned(self, now: datetime) -> Iterator[Note]:
        """Yield the metrics of which two ticks say something else than was told: one alone rings no bell."""
        for row in self._view.rows:
            word, said = row.effect or row.verdict, self._said.get(row.name)
            if said is None:
                self._said[row.name] = word
            elif word != said and self._doubt.get(row.name) == word:
                self._said[row.name] = word
                yield Note(at=now, kind="verdict", text=f"{row.name}: {word}, was {said}", tone=row.tone)
        self._doubt = {row.name: row.effect or row.verdict for row in self._view.rows}

    def _answers(self, now: datetime) -> Iterator[Note]:
        """Yield the sources that stopped answering, and those that are back."""
        states: dict[str, State] = {}
        for asked in (*self._feeds, *self._logs):
            state, known = asked.state(now), states.get(asked.source.name)
            if known is None or known.well:
                states[state.source] = state
        for name, state in states.items():
            was = self._states.get(name)
            if not state.well and (was is None or was.well):
                word = "nothing new" if state.state == "silent" else "no answer"
                yield Note(at=now, kind="source", text=text.line(f"{name}: {word}, {state.detail}"), tone="unknown")
            elif state.well and was and not was.well:
                word = "new data again" if was.state == "silent" else "answers again"
                yield Note(at=now, kind="source", text=f"{name}: {word}", tone="good")
        self._states = states

    def _lost(self) -> str:
        """Return which source does not answer."""
        lost = [name for name, state in self._states.items() if state.state in ("failed", "stuck")]
        return f"no answer of {', '.join(lost)}" if lost else ""

    def _marks(self) -> Iterator[Moment]:
        anchor = self._plan.window.anchor
        yield self._mark(anchor) if anchor.kind != "time" else Moment("note", anchor.at, "start")
        for deploy in self._releases():
            if self._fix is None or deploy.at != self._fix.at:
                yield Moment("deploy", deploy.at, text.line(deploy.ref, 40))
        if self._fix:
            yield Moment("fix", self._fix.at, text.line(self._fix.ref, 40))
        yield from self._view.marks

    def _mark(self, anchor: Anchor) -> Moment:
        return Moment("fix" if anchor is self._fix else "deploy", anchor.at, text.line(anchor.ref, 40))


def _noted(item: Event | Change) -> Note:
    if isinstance(item, Change):
        role = f"{item.role} " if item.role else ""
        return Note(
            at=item.at, kind="change", text=text.line(f"{role}{item.kind} {item.ref[:10]}: {item.summary}", 160)
        )
    bad = item.kind in ("restart", "state") and item.state not in ("OK", "UP")
    said = f"{item.host} {item.service} {item.state} {item.output}"
    return Note(at=item.at, kind="event", text=text.line(said, 160), tone="bad" if bad else "plain")


def _until(evidence: Evidence, at: datetime) -> Evidence:
    """Return the evidence as it would have been at an earlier instant."""

    def items(outcome: Outcome) -> Iterator[Item]:
        for item in outcome.items:
            if isinstance(item, Series) and not item.span:
                yield replace(item, values=item.values[: max(0, int((at.timestamp() - item.start) // item.step))])
            elif isinstance(item, LogSample) and item.span in ("", "incident"):
                if part := cut(item, at):
                    yield part
            elif not isinstance(item, (Event, Change)) or item.at < at:
                yield item

    outcomes = tuple(replace(outcome, items=tuple(items(outcome))) for outcome in evidence.outcomes)
    return replace(evidence, window=replace(evidence.window, end=at), outcomes=outcomes)
