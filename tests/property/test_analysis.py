from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.unit.evidence_of import DEPLOY, commit, evidence, lines, outcome, series, window

from opsbrief.analysis import analyse
from opsbrief.maths.mining import Known, mask, settle
from opsbrief.maths.screen import promising
from opsbrief.maths.study import study
from opsbrief.maths.weekly import lay
from opsbrief.model.finding import Verdict
from opsbrief.model.scope import Metric

VALUES = arrays(
    np.float64,
    st.integers(0, 80),
    elements=st.one_of(st.just(float("nan")), st.floats(-1e12, 1e12), st.integers(0, 3).map(float)),
)
TEXT = st.text(max_size=60)


@settings(deadline=None, max_examples=60)
@given(VALUES, VALUES, st.lists(TEXT, max_size=8), st.lists(TEXT, max_size=8))
def test_any_evidence_gives_the_same_findings_twice(
    now: np.ndarray, week: np.ndarray, old: list[str], new: list[str]
) -> None:  # type: ignore[type-arg]  # any floats
    items = evidence(
        outcome("graphite", "graphite", series(now, before=40), series(week, before=40, span="1-weeks-ago")),
        outcome(
            "logs",
            "logfile",
            lines("before", [(1, "", t) for t in old]),
            lines("incident", [(2, "ERROR", t) for t in new]),
        ),
        outcome("puppet", "git", commit(-500), role="infrastructure"),
        metrics=(Metric(target="m", name="m", limit=5.0),),
        span=window(before=40, after=40, weeks=1),
    )
    first = analyse(items)
    assert first == analyse(items)
    assert [finding.id for finding in first] == [f"F{n}" for n in range(1, len(first) + 1)]
    assert all(finding.headline and "caused" not in finding.headline for finding in first if finding.code == "shift")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1e6), st.floats(-1e3, 1e3))
def test_the_unit_of_a_series_does_not_change_its_verdict(seed: int, scale: float, slope: float) -> None:
    chance = np.random.default_rng(seed)
    values = 100 + chance.normal(0, 3, 200)
    values[100:] += slope
    one, other = study(values, 100, 0), study(values * scale, 100, 0)
    assert one.changed == other.changed
    if abs(slope) > 12:
        assert one.changed


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 79))
def test_missing_is_not_zero(seed: int, missing: int) -> None:
    chance = np.random.default_rng(seed)
    values = 100 + chance.normal(0, 3, 200)
    values[chance.permutation(200)[:missing]] = np.nan
    assert not study(values, 100, 0).changed


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(20, 200))
def test_the_screen_lets_every_large_change_through(seed: int, size: float) -> None:
    chance = np.random.default_rng(seed)
    block = 100 + chance.normal(0, 3, (5, 200))
    block[2, 100:] += size
    assert 2 in promising(list(block), 100, 0)


@given(st.lists(TEXT, max_size=30))
def test_mask_gives_one_key_a_line_and_settle_knows_each(texts: list[str]) -> None:
    keys = mask(texts)
    assert len(keys) == len(texts)
    assert not any(digit in key for key in keys for digit in "0123456789")
    assert set(settle(keys)) == set(keys)
    known = Known(keys)
    assert all(known.covers(key) for key in keys)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from((10, 60, 600)))
def test_last_week_is_laid_on_its_own_slots(values: list[float], step: int) -> None:
    data = np.array(values)
    grid = 1000.0 * step + step * np.arange(len(values), dtype=np.float64)
    assert np.array_equal(lay(data, 1000 * step, step, grid), data)
    assert np.isnan(lay(data, 1000 * step + len(values) * step, step, grid)).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(-119, 119), st.booleans())
def test_the_alibi_never_holds_with_a_commit_or_an_unread_source(minutes: int, read: bool) -> None:  # noqa: FBT001 - drawn
    outcomes = [outcome("puppet", "git", commit(minutes), role="infrastructure")]
    if read:
        outcomes.append(outcome("puppetdb", "puppetdb"))
    (alibi,) = (f for f in analyse(evidence(*outcomes)) if f.code == "alibi")
    assert alibi.verdict is Verdict.NOT_RULED_OUT
    assert DEPLOY - timedelta(hours=2) <= DEPLOY + timedelta(minutes=minutes)
