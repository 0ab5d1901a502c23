import numpy as np
import pytest
from tests.unit.evidence_of import DEPLOY, evidence, noise, only, outcome, series, window

from opsbrief.analysis import analyse
from opsbrief.compose import compose
from opsbrief.maths.study import study
from opsbrief.model.evidence import Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric

M = Metric(target="m", name="m", worse="up", unit="ms")


def shift(*members: Series, metric: Metric = M, weeks: int = 0, before: int = 120, after: int = 120) -> Finding:
    span = window(weeks=weeks, before=before, after=after)
    return only(analyse(evidence(outcome("graphite", "graphite", *members), metrics=(metric,), span=span)), "shift")


def test_a_quiet_series_is_unchanged() -> None:
    found = shift(series(noise(1)))
    assert (found.verdict, found.shape, found.onset) == (Verdict.UNCHANGED, "", None)


def test_a_step_is_dated_to_the_minute_and_says_its_levels() -> None:
    values = noise(2)
    values[123:] += 30
    found = shift(series(values))
    assert (found.verdict, found.shape, found.facts["worse"]) == (Verdict.CHANGED, "step", "bad")
    assert found.onset is not None
    assert abs((found.onset.at - DEPLOY).total_seconds() - 180) <= 60
    assert found.before == pytest.approx(50, abs=1)
    assert found.after == pytest.approx(80, abs=1)


def test_a_leak_with_restarts_keeps_its_slope_across_them() -> None:
    values = noise(3)
    since = np.arange(120)
    values[120:] += (since % 40) * 1.5
    found = shift(series(values), metric=Metric(target="m", name="m", worse="up", limit=120.0))
    assert (found.shape, found.facts["resets"]) == ("sawtooth", 2)
    assert found.facts["slope_per_minute"] == pytest.approx(1.5, abs=0.1)
    assert found.facts["minutes_to_limit"] == pytest.approx(70 / 1.5, abs=4)


@pytest.mark.parametrize("size", [0.5, 2.0, 6.0])
def test_the_interval_of_a_slope_holds_the_true_one_as_often_as_it_says(size: float) -> None:
    forms = []
    for seed in range(60):
        values = noise(seed, size=size)
        values[120:] += (np.arange(120) % 40) * 1.5
        forms.append(study(values, 120, 0).form)
    held = [
        f.slope_low <= 1.5 <= f.slope_high for f in forms if f and f.slope_low is not None and f.slope_high is not None
    ]
    assert len(held) >= 55
    assert sum(held) >= 0.87 * len(held)  # 95 %, less what 60 draws may miss


def test_a_ramp_is_named_and_dated() -> None:
    values = noise(4)
    values[120:] += np.arange(120) * 0.2
    found = shift(series(values))
    assert found.shape == "ramp"
    assert found.onset is not None
    assert abs((found.onset.at - DEPLOY).total_seconds()) <= 600


@pytest.mark.parametrize("level", [0.0, 1e6])
def test_values_that_appear_from_a_constant_are_a_change(level: float) -> None:
    values = np.full(240, level)
    values[120:] = level + 20 + 0.1 * level
    assert shift(series(values)).verdict is Verdict.CHANGED


def test_rare_errors_that_become_common_are_a_change() -> None:
    chance = np.random.default_rng(5)
    values = np.concatenate((chance.poisson(0.05, 120), chance.poisson(0.8, 120))).astype(float)
    found = shift(series(values))
    assert found.verdict is Verdict.CHANGED
    assert found.before == pytest.approx(0.05, abs=0.05)


def test_a_series_that_stops_is_silent_not_zero() -> None:
    values = noise(6)
    values[130:] = np.nan
    found = shift(series(values))
    assert (found.verdict, found.shape) == (Verdict.CHANGED, "silent")
    assert "no data any more" in found.headline


def test_a_series_at_zero_has_dropped() -> None:
    values = noise(7)
    values[122:] = 0
    assert shift(series(values)).shape == "drop"


def test_a_change_of_earlier_began_before() -> None:
    values = noise(8)
    values[80:] += 40
    found = shift(series(values))
    assert found.verdict is Verdict.BEGAN_BEFORE
    assert "before the deploy" in found.detail


@pytest.mark.parametrize("values", [[], [float("nan")] * 240, [1.0] * 3])
def test_without_data_nothing_is_unchanged(values: list[float]) -> None:
    assert shift(series(values)).verdict is Verdict.CANNOT_TELL


def test_a_baseline_without_data_cannot_tell() -> None:
    values = noise(9)
    values[:120] = np.nan
    assert shift(series(values)).verdict is Verdict.CANNOT_TELL


def test_a_configured_metric_without_series_cannot_tell() -> None:
    found = shift()
    assert (found.verdict, found.facts["series_total"]) == (Verdict.CANNOT_TELL, 0)


def test_four_datapoints_are_enough_for_a_large_change() -> None:
    values = noise(10, 124)
    values[120:] += 25
    assert shift(series(values), after=4).verdict is Verdict.CHANGED


def test_last_week_explains_the_daily_course() -> None:
    wave = 30 * np.sin(np.arange(240) / 76)
    now, week = noise(11) + wave, noise(12) + wave
    assert shift(series(now), series(week, span="1-weeks-ago"), weeks=1).verdict is Verdict.UNCHANGED
    now[120:] += 25
    found = shift(series(now), series(week, span="1-weeks-ago"), weeks=1)
    assert (found.verdict, found.facts["weekly"]) == (Verdict.CHANGED, 1)


def test_hosts_that_deviate_are_named_as_a_fraction() -> None:
    members = []
    for number in range(4):
        values = noise(20 + number)
        values[121:] += 30 if number < 3 else 0
        members.append(series(values, host=f"app{number}"))
    found = shift(*members)
    assert found.hosts == ("app0", "app1", "app2")
    assert (found.facts["hosts_total"], found.facts["series_changed"]) == (4, 3)
    assert "on 3 of 4 hosts" in found.headline


def test_the_wide_net_keeps_what_changed_and_counts_the_rest() -> None:
    members = [series(noise(30 + n), metric="all", host=f"app{n}") for n in range(12)]
    loud = noise(50)
    loud[120:] += 30
    members.append(series(loud, metric="all", host="db1"))
    found = analyse(evidence(outcome("graphite", "graphite", *members), metrics=(Metric(target="all", rank=True),)))
    assert only(found, "wide-net").facts["looked_at"] == 13
    assert [f.subject for f in found if f.code == "series"] == ["stats.db1.all"]


@pytest.mark.parametrize(("before", "said"), [(120, "0 of 4 other series changed"), (0, "too few datapoints")])
def test_a_wide_net_with_nothing_to_compare_with_says_so(before: int, said: str) -> None:
    members = [series(noise(30 + n)[: 120 + before], metric="all", host=f"app{n}", before=before) for n in range(4)]
    found = analyse(evidence(outcome("graphite", "graphite", *members), metrics=(Metric(target="all", rank=True),)))
    wide = only(found, "wide-net")
    assert said in wide.headline
    assert wide.verdict is (Verdict.UNCHANGED if before else Verdict.CANNOT_TELL)
    lead = "none of 4 series changed since" if before else "cannot tell what changed since"
    assert lead in compose(evidence(outcome("graphite", "graphite", *members)), found).headline


def test_impact_repeats_the_verdict_of_its_metric_and_a_betterment_is_none() -> None:
    values = noise(60)
    values[121:] -= 30
    metric = Metric(target="m", name="m", worse="up", impact=True)
    found = only(analyse(evidence(outcome("graphite", "graphite", series(values)), metrics=(metric,))), "impact")
    assert (found.verdict, "better" in found.headline) == (Verdict.UNCHANGED, True)


def test_placebo_deploys_give_an_error_rate_or_say_that_history_is_short() -> None:
    values = noise(61, 480)
    values[361:] += 30
    long = only(_placebo(values, 360), "placebo")
    assert (long.facts["strong"], long.verdict) == (0, Verdict.CHANGED)
    assert int(long.facts["tried"] or 0) >= 3
    short = only(_placebo(values[340:], 20), "placebo")
    assert short.verdict is Verdict.CANNOT_TELL


def _placebo(values: np.ndarray, before: int) -> tuple[Finding, ...]:  # type: ignore[type-arg]  # any floats
    items = outcome("graphite", "graphite", series(values, before=before))
    return analyse(evidence(items, metrics=(M,), span=window(before=before)))


def test_a_level_that_grew_less_than_last_week_is_said_to_be_less_than_that() -> None:
    calm, grown = noise(31, level=50), noise(32, level=50)
    calm[120:] += 20
    grown[120:] += 60
    found = shift(series(calm), series(grown, span="1-weeks-ago"), weeks=1)
    assert (found.verdict, found.facts["direction"]) == (Verdict.CHANGED, "down")
    assert found.before is not None
    assert found.after is not None
    assert found.after > found.before
    assert "less than last week's same hours would give" in found.headline
