"""Whatever the noise and however short the time: no victory over nothing, and no sentence without its data."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit import mended

from opsbrief.analysis import analyse
from opsbrief.bundle import content
from opsbrief.codec import decode, encode
from opsbrief.compose import compose
from opsbrief.maths import effect
from opsbrief.maths.effect import Estimate
from opsbrief.model.effect import First
from opsbrief.model.evidence import Evidence
from opsbrief.model.finding import Verdict
from opsbrief.render import data, text

SHAPES = {"sawtooth": mended.leak, "ramp": mended.leak, "step": mended.step}
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def planted(draw: st.DrawFn, parts: st.SearchStrategy[float]) -> Evidence:
    """Evidence of a leak or step that a fix takes a part of away, at any noise, any time after the fix."""
    shape = draw(st.sampled_from(sorted(SHAPES)))
    hosts, after = draw(st.integers(1, 4)), draw(st.integers(1, 120))
    size = draw(st.floats(0.5, 60 if shape != "step" else 20))
    seed, part = draw(st.integers(0, 10_000)), draw(parts)
    rows = [SHAPES[shape](np.random.default_rng([seed, n]), size, part, after) for n in range(hosts)]
    return mended.evidence(mended.series(rows), [mended.metric(shape, hosts)], after)


@given(planted(st.floats(-0.5, 0.5)))
@settings(max_examples=60)
def test_half_a_fix_or_less_is_never_called_fixed(evidence: Evidence) -> None:
    found = analyse(evidence)
    assert not [f for f in found if f.code in ("effect", "effect-summary") and f.verdict is Verdict.FIXED]


@given(planted(st.floats(0, 1)))
@settings(max_examples=25)
def test_every_word_has_its_page_in_every_form(evidence: Evidence) -> None:
    found = analyse(evidence)
    brief = compose(evidence, found)
    assert brief.headline
    assert len(brief.subject) <= 120
    assert "nan" not in text.render(brief).lower().split()
    assert data.findings(evidence, found, brief)
    for finding in found:
        needed = finding.facts.get("needed_seconds")
        assert needed is None or float(needed) >= 0
        if finding.code == "effect" and finding.verdict is Verdict.TOO_EARLY:
            assert needed is None or float(needed) > 0


@given(planted(st.just(1.0)), st.lists(st.integers(0, 400), max_size=200))
@settings(max_examples=25)
def test_missing_datapoints_are_survived(evidence: Evidence, gone: list[int]) -> None:
    items = []
    for item in evidence.items(mended.Series):
        values = item.values.copy()
        values[[place for place in gone if place < len(values)]] = np.nan
        items.append(replace(item, values=values))
    holes = replace(evidence, outcomes=(replace(evidence.outcomes[0], items=tuple(items)),))
    assert compose(holes, analyse(holes)).headline


@given(numbers, numbers, numbers, st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_what_is_left_lies_in_its_own_interval(
    before: float, during: float, after: float, some: float, more: float, most: float
) -> None:
    found = effect.left(
        Estimate(before, before - some, before + some, 10),
        Estimate(during, during - more, during + more, 10),
        Estimate(after, after - most, after + most, 10),
    )
    if found:
        assert found.low <= found.value <= found.high


@given(st.integers(0, 10_000))
def test_the_interval_of_a_count_holds_it_and_is_narrower_for_more(count: int) -> None:
    low, high = effect.poisson(count)
    assert 0 <= low <= count < high
    assert (high - low) / max(1, count) >= (np.subtract(*effect.poisson(4 * count + 4)[::-1])) / (4 * count + 4)


@given(planted(st.just(1.0)))
@settings(max_examples=10)
def test_what_a_first_brief_told_travels_whole(evidence: Evidence) -> None:
    assert evidence.first
    assert decode(First, encode(evidence.first)) == evidence.first
    assert content.name("shop", evidence.collected_at, "effect").startswith("opsbrief-shop-effect-")
