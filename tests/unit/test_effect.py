from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.unit import mended
from tests.unit.mended import BEFORE, DURING, FIX, RELEASE

from opsbrief import bundle
from opsbrief.analysis import analyse
from opsbrief.analysis.effect import lines, phases, total
from opsbrief.bundle import files
from opsbrief.compose import compose
from opsbrief.errors import GapKind, WindowError
from opsbrief.maths import effect
from opsbrief.maths.effect import Estimate
from opsbrief.model.brief import Brief
from opsbrief.model.evidence import Evidence, Gap, Run, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.render import text
from opsbrief.resolve import Ask, fixed
from opsbrief.text import line

NOISES = {"quiet": 2.0, "usual": 10.0, "loud": 40.0}  # beside a slope of 3 a minute
ERROR = "connection to search-3:9300 not released after response, handle 2153007d8aee"
PATTERN = "connection to <*> not released after response, handle <*>"


def leaking(size: float, part: float, after: int, seed: int = 1, hosts: int = 8, **given: Any) -> Evidence:
    rows = [mended.leak(np.random.default_rng([seed, n]), size, part, after, **given) for n in range(hosts)]
    return mended.evidence(mended.series(rows), [mended.metric("sawtooth", hosts)], after)


def stepping(size: float, part: float, after: int, seed: int = 1, hosts: int = 8) -> Evidence:
    rows = [mended.step(np.random.default_rng([seed, n]), size, part, after) for n in range(hosts)]
    return mended.evidence(mended.series(rows), [mended.metric("step", hosts)], after)


def one(evidence: Evidence, code: str = "effect") -> Finding:
    (finding,) = [finding for finding in analyse(evidence) if finding.code == code]
    return finding


def logged(records: list[Any], after: int, told: Any = None) -> Finding:
    told = told or mended.pattern(PATTERN)
    return one(mended.evidence(mended.samples(records, after), [told], after), "effect-pattern")


def every(minutes: float, low: float, high: float) -> np.ndarray:
    return np.arange(low + minutes / 2, high, minutes)


# What the numbers may say.


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.69), (3, 0.619, 8.77), (10, 4.80, 18.39), (100, 81.4, 121.6)]
)
def test_the_interval_of_a_count_is_the_tables(count: int, low: float, high: float) -> None:
    assert effect.poisson(count) == (pytest.approx(low, rel=0.05, abs=0.005), pytest.approx(high, rel=0.02))


@pytest.mark.parametrize(("free", "errors"), [(1, 12.71), (2, 4.30), (3, 3.18), (5, 2.57), (10, 2.23), (30, 2.04)])
def test_few_points_are_wider_than_many(free: int, errors: float) -> None:
    assert effect.wide(free) == pytest.approx(errors, rel=0.1)


@pytest.mark.parametrize(
    ("low", "part", "high", "word"),
    [
        (-0.1, 0.0, 0.1, "fixed"),
        (0.06, 0.09, 0.12, "better"),  # a rest that is certainly there
        (-0.3, 0.0, 0.3, "better"),
        (0.4, 0.5, 0.6, "better"),
        (0.7, 1.0, 1.3, "unchanged"),
        (0.4, 0.8, 1.2, "too early"),
        (-1.0, 0.0, 1.0, "too early"),
        (-11.0, -6.0, -0.8, "too early"),  # a few values that happen to fall
        (3.0, 9.0, 15.0, "too early"),  # or to rise
        (1.2, 1.5, 1.8, "worse"),
        (4.2, 5.0, 5.9, "worse"),
        (-np.inf, 0.0, np.inf, "too early"),
    ],
)
def test_the_word_is_what_the_interval_allows(low: float, part: float, high: float, word: str) -> None:
    assert effect.word(part, low, high) == word


def test_a_slope_is_found_through_restarts_and_not_in_noise() -> None:
    rng = np.random.default_rng(3)
    rising = [mended.leak(rng, 5.0, 0.0, 300)[BEFORE + DURING :] for _ in range(4)]
    found = effect.slope(rising, 1.0, 80.0)
    assert found
    assert found.low < mended.SLOPE < found.high < 1.1 * mended.SLOPE
    still = effect.slope([mended.noise(rng, 200, 5.0, 0.7) for _ in range(4)], 1.0, 80.0)
    assert still
    assert still.low < 0 < still.high < 0.1


def test_hosts_that_move_together_count_once() -> None:
    rng = np.random.default_rng(4)
    common = mended.noise(rng, 60, 5.0, 0.0)
    together, apart = (
        effect.slope(rows, 1.0, 80.0)
        for rows in ([common + rng.normal(0, 0.1, 60) for _ in range(8)], [rng.normal(0, 5, 60) for _ in range(8)])
    )
    assert together
    assert apart
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_a_few_values_in_a_row_know_nothing_of_the_noise_they_stand_in() -> None:
    rng = np.random.default_rng(5)
    before = effect.slope([rng.normal(40, 5, 150)], 1.0)
    lucky = effect.slope([np.array([40.0, 40.1, 40.2, 40.1, 40.2, 40.3])], 1.0)
    honest = effect.settled(lucky, [before], cubic=True)
    assert lucky
    assert honest
    assert honest.value == lucky.value
    assert honest.high - honest.low > 10 * (lucky.high - lucky.low)


# Fixes of 0, 50 and 100 % at three levels of noise: the claims must match.


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("after", [4, 15, 45, 150])
@pytest.mark.parametrize("planted", [leaking, stepping])
@pytest.mark.parametrize("seed", range(3))
def test_no_or_half_a_fix_is_never_called_fixed(planted: Any, noise: str, after: int, seed: int) -> None:
    assert one(planted(NOISES[noise], 0.0, after, seed)).verdict not in (Verdict.FIXED, Verdict.BETTER)
    assert one(planted(NOISES[noise], 0.5, after, seed)).verdict not in (
        Verdict.FIXED,
        Verdict.UNCHANGED,
        Verdict.WORSE,
    )
    assert one(planted(NOISES[noise], 1.0, after, seed)).verdict not in (Verdict.UNCHANGED, Verdict.WORSE)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("part", "verdict"), [(0.0, Verdict.UNCHANGED), (0.5, Verdict.BETTER), (1.0, Verdict.FIXED)])
@pytest.mark.parametrize("seed", range(3))
def test_with_time_the_leak_gets_its_right_word_at_any_noise(
    noise: str, part: float, verdict: Verdict, seed: int
) -> None:
    found = one(leaking(NOISES[noise], part, 200, seed))
    assert found.verdict is verdict
    low, high = found.facts["left_low"], found.facts["left_high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low - 0.05 <= 1 - part <= high + 0.05


@pytest.mark.parametrize(("part", "verdict"), [(0.0, Verdict.UNCHANGED), (0.5, Verdict.BETTER), (1.0, Verdict.FIXED)])
def test_a_step_gets_its_right_word(part: float, verdict: Verdict) -> None:
    assert one(stepping(4.0, part, 90)).verdict is verdict


def test_a_fix_that_makes_it_worse_is_called_worse() -> None:
    assert one(leaking(4.0, -0.6, 90)).verdict is Verdict.WORSE
    assert one(stepping(4.0, -0.6, 90)).verdict is Verdict.WORSE


def test_the_time_that_is_still_needed_is_enough_and_not_much_too_long() -> None:
    early = one(leaking(NOISES["loud"], 1.0, 25))
    needed = early.facts["needed_seconds"]
    assert early.verdict in (Verdict.TOO_EARLY, Verdict.BETTER)
    assert isinstance(needed, float)
    assert "more needed to tell +0.59/min from 0" in early.detail
    assert 600 < needed < 3 * 3600
    late = one(leaking(NOISES["loud"], 1.0, 25 + round(1.5 * needed / 60)))
    assert late.verdict is Verdict.FIXED


def test_a_restart_alone_fixes_nothing() -> None:
    found = one(leaking(4.0, 0.0, 60))
    assert found.verdict is Verdict.UNCHANGED
    after, during = found.after, found.before
    assert after is not None
    assert during is not None
    assert after < during  # the level alone would have said so


def test_what_is_still_held_is_not_fixed() -> None:
    found = one(leaking(4.0, 1.0, 90, restart=False))
    assert found.verdict is Verdict.BETTER
    assert "not let go yet" in found.detail


def test_one_host_without_the_fix_is_named() -> None:
    rows = [mended.leak(np.random.default_rng([7, n]), 4.0, 0.0 if n == 5 else 1.0, 90) for n in range(8)]
    found = one(mended.evidence(mended.series(rows), [mended.metric("sawtooth", 8)], 90))
    assert found.verdict is Verdict.BETTER
    assert found.facts["hosts_fixed"] == 7
    assert "not on app5" in found.detail


def test_what_begins_late_is_not_fixed_before_it_could_begin_again() -> None:
    rows = [mended.step(np.random.default_rng(8), 2.0, 1.0, 30)]
    rows[0][BEFORE : BEFORE + 60] -= mended.LEVEL
    told = [mended.metric("step", late=60)]
    found = one(mended.evidence(mended.series(rows), told, 30))
    assert found.verdict is Verdict.TOO_EARLY
    assert found.facts["needed_seconds"] == 30 * 60


def test_a_series_that_went_silent_and_came_back_is_fixed() -> None:
    values = 40 + np.random.default_rng(9).normal(0, 2, BEFORE + DURING + 60)
    values[BEFORE : BEFORE + DURING] = np.nan
    back = mended.evidence(mended.series([values]), [mended.metric("silent")], 60)
    assert one(back).verdict is Verdict.FIXED
    values = values.copy()
    values[BEFORE:] = np.nan
    assert one(mended.evidence(mended.series([values]), [mended.metric("silent")], 60)).verdict is Verdict.UNCHANGED


@pytest.mark.parametrize("part", [0.0, 1.0])
def test_rare_counts_are_compared_by_how_often_they_are_there(part: float) -> None:
    rng = np.random.default_rng(10)
    values = rng.poisson(0.02, BEFORE + DURING + 120).astype(float)
    values[BEFORE : BEFORE + DURING] += rng.poisson(1.2, DURING)
    values[BEFORE + DURING :] += rng.poisson(1.2 * (1 - part) + 1e-9, 120)
    found = one(mended.evidence(mended.series([values]), [mended.metric("step")], 120))
    assert found.facts["kind"] == "share"
    assert found.verdict is (Verdict.FIXED if part else Verdict.UNCHANGED)


def test_without_a_datapoint_after_the_fix_nothing_is_told() -> None:
    whole = leaking(4.0, 1.0, 30)
    cut = [replace(item, values=item.values[: BEFORE + DURING]) for item in whole.items(Series)]
    none = replace(whole, outcomes=(replace(whole.outcomes[0], items=tuple(cut)),))
    assert one(none).verdict is Verdict.CANNOT_TELL
    assert one(none, "effect-summary").verdict is Verdict.CANNOT_TELL
    assert "no datapoint after the fix" in one(none).headline


# Log lines.


def test_a_pattern_that_is_not_written_any_more_is_gone() -> None:
    found = logged(mended.lines(every(0.2, 0, DURING), ERROR), 60)
    assert found.verdict is Verdict.GONE
    assert found.facts["count_after"] == 0
    assert "at most" in found.detail


def test_it_is_too_early_while_so_few_lines_could_be_chance() -> None:
    found = logged(mended.lines(every(10, 0, DURING), ERROR), 30)
    assert found.verdict is Verdict.TOO_EARLY
    needed = found.facts["needed_seconds"]
    assert isinstance(needed, float)
    assert 2 * 3600 < needed < 6 * 3600


@pytest.mark.parametrize(("part", "verdict"), [(0.0, Verdict.UNCHANGED), (0.5, Verdict.LESS), (-1.0, Verdict.WORSE)])
def test_rates_before_and_after_decide(part: float, verdict: Verdict) -> None:
    at = [*every(0.2, 0, DURING), *every(0.2 / (1 - part), DURING, DURING + 60)]
    assert logged(mended.lines(at, ERROR), 60).verdict is verdict


def test_an_exploded_error_is_gone_when_it_is_as_rare_as_before() -> None:
    at = [*every(10, -BEFORE, 0), *every(0.2, 0, DURING), *every(10, DURING, DURING + 60)]
    assert logged(mended.lines(at, ERROR), 60, mended.pattern(PATTERN, before=0.1)).verdict is Verdict.GONE


def test_an_error_that_took_an_hour_to_come_is_not_gone_after_ten_minutes() -> None:
    late = mended.lines(every(0.1, 60, DURING), ERROR)
    found = logged(late, 12)
    assert found.verdict is Verdict.TOO_EARLY
    assert "began only 60 min after the release" in found.detail
    assert logged(late, 70).verdict is Verdict.GONE


def test_what_came_late_is_not_worse_because_it_goes_on() -> None:
    records = mended.lines(every(0.2, 60, DURING + 60), ERROR)
    found = logged(records, 60)
    assert found.verdict is Verdict.UNCHANGED
    assert found.before == pytest.approx(5, rel=0.1)


def test_a_delay_is_seen_behind_a_few_early_ones() -> None:
    steady = np.sort(np.random.default_rng(11).uniform(0, 9000, 400))
    assert phases.delay(list(steady), 9000) < 300
    assert phases.delay([600.0, 1500.0, *np.linspace(3600, 9000, 300)], 9000) == pytest.approx(3600, abs=60)
    assert phases.delay([1.0, 2.0], 9000) == 0


def test_a_pattern_is_known_again_though_its_finding_cut_it() -> None:
    long = "ERROR while " + "doing this and that " * 30 + "for host app1"
    cut = lines.Shape(line(long, 300))
    assert cut.fits(long.split())
    assert not cut.fits(["ERROR", "while", "doing", "something", "else"])


def test_lines_of_a_sample_stand_for_all_lines() -> None:
    records = mended.lines(every(1, 0, DURING), ERROR)
    spans = (
        mended.sample(records, "before", -BEFORE, 0),
        mended.sample(records, "during", 0, DURING, total=DURING * 10),
        mended.sample(records, "after", DURING, DURING + 60),
    )
    found = one(mended.evidence(spans, [mended.pattern(PATTERN)], 60), "effect-pattern")
    assert found.before == pytest.approx(10, rel=0.05)


def test_one_sample_over_both_phases_is_cut_at_the_fix() -> None:
    records = mended.lines(every(0.2, 0, DURING), ERROR)
    spans = (mended.sample(records, "before", -BEFORE, 0), mended.sample(records, "incident", 0, DURING + 60))
    assert one(mended.evidence(spans, [mended.pattern(PATTERN)], 60), "effect-pattern").verdict is Verdict.GONE


def test_without_lines_of_the_time_after_nothing_is_told() -> None:
    records = mended.lines(every(0.2, 0, DURING), ERROR)
    spans = mended.samples(records, 60)[:2]
    assert one(mended.evidence(spans, [mended.pattern(PATTERN)], 60), "effect-pattern").verdict is Verdict.CANNOT_TELL


def test_an_error_that_is_new_since_the_fix_is_told_and_counts_against_it() -> None:
    records = mended.lines(every(0.2, 0, DURING), ERROR)
    records += mended.lines(every(1, DURING, DURING + 60), "cannot parse the answer of search")
    found = analyse(mended.evidence(mended.samples(records, 60), [mended.pattern(PATTERN)], 60))
    new = [finding for finding in found if finding.code == "effect-pattern" and finding.verdict is Verdict.NEW]
    assert [finding.subject for finding in new] == ["cannot parse the answer of search"]
    assert found[[f.code for f in found].index("effect-summary")].verdict is Verdict.BETTER


# Restarts and alarms, other metrics, all together.


def test_few_restarts_are_gone_when_none_came_where_some_were_due() -> None:
    burst = [mended.event(minute) for minute in range(70, 118, 6)]
    assert one(mended.evidence(burst, [], 118), "effect-event").verdict is Verdict.GONE
    assert one(mended.evidence(burst, [], 20), "effect-event").verdict is Verdict.TOO_EARLY


def test_restarts_stop_with_the_fix() -> None:
    often = [mended.event(minute) for minute in every(5, 0, DURING)]
    assert one(mended.evidence(often, [], 150), "effect-event").verdict is Verdict.GONE
    still = [*often, *(mended.event(minute) for minute in every(5, DURING, DURING + 150))]
    assert one(mended.evidence(still, [], 150), "effect-event").verdict is Verdict.UNCHANGED
    assert one(mended.evidence(often, [], 10), "effect-event").verdict is Verdict.TOO_EARLY


def test_an_alarm_of_two_sources_counts_once() -> None:
    often = [mended.event(minute) for minute in every(5, 0, DURING)]
    again = [replace(event, origin=replace(event.origin, source="other")) for event in often]
    told = one(mended.evidence([*often, *again], [], 150), "effect-event")
    assert told.facts["count_during"] == len(often)


def test_failed_runs_of_puppet_stop_with_the_fix() -> None:
    runs = [
        Run(at=event.at, host="app1", status="failed", version="ac97852", origin=event.origin)
        for event in (mended.event(minute) for minute in every(30, -BEFORE, DURING + 150))
    ]
    until = [run for run in runs if run.at < mended.event(DURING).at]
    told = one(mended.evidence(until, [], 150), "effect-event")
    assert told.subject == "failed runs of Puppet"
    assert told.facts["count_after"] == 0


def test_a_metric_that_was_well_until_the_fix_is_told() -> None:
    rng = np.random.default_rng(12)
    calm = 40 + rng.normal(0, 2, BEFORE + DURING + 90)
    calm[BEFORE + DURING :] += 60
    assert one(mended.evidence(mended.series([calm]), [], 90), "effect-other").verdict is Verdict.WORSE


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        ([Verdict.FIXED, Verdict.GONE], Verdict.FIXED),
        ([Verdict.FIXED, Verdict.TOO_EARLY], Verdict.TOO_EARLY),
        ([Verdict.FIXED, Verdict.UNCHANGED], Verdict.BETTER),
        ([Verdict.FIXED, Verdict.CANNOT_TELL], Verdict.TOO_EARLY),
        ([Verdict.UNCHANGED, Verdict.UNCHANGED], Verdict.UNCHANGED),
        ([Verdict.UNCHANGED, Verdict.TOO_EARLY], Verdict.TOO_EARLY),
        ([Verdict.WORSE, Verdict.UNCHANGED], Verdict.WORSE),
        ([Verdict.GONE, Verdict.NEW], Verdict.BETTER),
        ([Verdict.CANNOT_TELL], Verdict.CANNOT_TELL),
        ([], Verdict.CANNOT_TELL),
    ],
)
def test_it_is_fixed_only_when_everything_is(verdicts: list[Verdict], word: Verdict) -> None:
    parts = [
        Finding(
            code="effect", subject=str(n), verdict=verdict, headline="", facts={"worse": "bad", "needed_seconds": None}
        )
        for n, verdict in enumerate(verdicts)
    ]
    assert total.summary(parts, leaking(4.0, 1.0, 30)).verdict is word


# The page.


def page(evidence: Evidence) -> Brief:
    return compose(evidence, analyse(evidence))


def test_the_first_lines_say_what_became_of_it() -> None:
    assert page(leaking(4.0, 1.0, 90)).headline == "fixed since 2.14.1 (Fri 16:30): connections no longer rising"
    assert page(leaking(4.0, 0.0, 90)).headline == "unchanged since 2.14.1 (Fri 16:30): connections still rising"
    half = page(leaking(4.0, 0.5, 90)).headline
    assert half == "better, not fixed, since 2.14.1 (Fri 16:30): connections rising less"
    early = page(leaking(40.0, 0.0, 10))
    assert early.headline.startswith("too early to tell since 2.14.1 (Fri 16:30)")
    assert "more needed" in early.pager


def test_the_graph_has_the_first_ones_axis_and_both_lines() -> None:
    brief = page(leaking(4.0, 1.0, 90))
    key = next(iter(brief.figures())).chart
    assert key.top == 420.0
    assert key.healed is not None
    assert {mark.kind for mark in key.marks} >= {"deploy", "fix"}
    assert len(key.traces) == 8


def test_the_first_page_fits_a_page() -> None:
    records = mended.lines(every(0.2, 0, DURING), ERROR)
    whole = leaking(4.0, 1.0, 90)
    outcome = replace(whole.outcomes[0], items=(*whole.outcomes[0].items, *mended.samples(records, 90)))
    told = replace(whole.first, told=(*whole.first.told, mended.pattern(PATTERN))) if whole.first else None
    written = text.render(page(replace(whole, outcomes=(outcome,), first=told)))
    assert len(written.split("─" * 20)[0].rstrip().splitlines()) <= 45
    assert "1 error pattern gone" in written


def test_a_bundle_keeps_what_the_effect_is_measured_against(tmp_path: Any) -> None:
    whole = leaking(4.0, 1.0, 30)
    path = bundle.write(tmp_path, bundle.name("shop", whole.collected_at, "effect"), files(whole, ()))
    assert path.name == "opsbrief-shop-effect-20261120T170000Z"
    again = bundle.read(path)
    assert again.first == whole.first
    assert again.window == whole.window
    assert text.render(page(again)) == text.render(page(whole))


# The window.


@pytest.mark.parametrize(
    ("fix", "until", "words"),
    [
        ("2026-11-20T13:00Z", "now", "not after the deploy 2.14.0 of the first brief"),
        ("2026-11-20T14:00Z", "now", "not after the deploy 2.14.0"),
        ("2026-11-20T16:30Z", "2026-11-20T16:20Z", "the data asked for ends"),
        ("deploy", "now", "no deploy log is configured"),
    ],
)
def test_a_fix_must_lie_between_the_release_and_the_end(fix: str, until: str, words: str) -> None:
    first = replace(mended.window(30), fix=None, end=FIX)
    with pytest.raises(WindowError, match=words):
        fixed(first, Ask(since=fix, until=until), (), now=FIX + timedelta(hours=1))


def test_weeks_that_would_hold_the_incident_are_left_out() -> None:
    first = replace(
        mended.window(30), fix=None, shifts=(("last-week", timedelta(days=7)), ("2-weeks-ago", timedelta(days=14)))
    )
    found = fixed(first, Ask(since="2026-11-20T16:30Z"), (), now=RELEASE + timedelta(days=9))
    assert [label for label, _ in found.shifts] == ["2-weeks-ago"]
    assert found.fix
    assert found.fix.at == FIX
    assert (found.start, found.before) == (first.start, first.before)


def test_an_estimate_of_nothing_is_not_sure() -> None:
    assert not Estimate(0.0, -1.0, 1.0, 10).sure
    assert Estimate(2.0, 1.0, 3.0, 10).sure


def test_each_phase_is_asked_for_by_itself() -> None:
    whole = mended.window(30)
    assert [(span.label, span.end - span.start) for span in whole.phases()] == [
        ("after", timedelta(minutes=30)),
        ("during", timedelta(minutes=DURING)),
        ("before", timedelta(minutes=BEFORE)),
    ]
    assert not list(replace(whole, fix=None).phases())


def test_an_error_that_came_a_few_times_is_gone_when_it_was_due_and_did_not_come() -> None:
    records = mended.lines(every(50, 10, DURING), ERROR)
    told = [mended.pattern(PATTERN)]
    assert one(mended.evidence(mended.samples(records, 60), told, 60), "effect-pattern").verdict is Verdict.TOO_EARLY
    assert one(mended.evidence(mended.samples(records, 600), told, 600), "effect-pattern").verdict is Verdict.GONE


def test_the_silence_of_a_source_that_was_not_read_whole_is_no_sign_that_restarts_are_gone() -> None:
    often = [mended.event(minute) for minute in every(5, 0, DURING)]
    whole = mended.evidence(often, [], 150)
    gap = Gap(
        source=mended.ORIGIN.source, what="alarms after 17:00", kind=GapKind.UNAVAILABLE, detail="the log ends there"
    )
    outcomes = tuple(replace(outcome, source=mended.ORIGIN.source, gaps=(gap,)) for outcome in whole.outcomes)
    assert one(replace(whole, outcomes=outcomes), "effect-event").verdict is Verdict.CANNOT_TELL
