"""The short ways to medians and quantiles say what numpy's long ones do, to the last bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from opsbrief.maths.sample import Sample, cliff, median, windows

VALUES = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=60)


@given(VALUES, st.floats(0, 1))
def test_a_quantile_is_that_of_numpy(values: list[float], part: float) -> None:
    sample = Sample(np.array(values))
    assert sample.quantile(part) == np.quantile(values, part)
    assert sample.median == median(values) == np.median(values)


@given(VALUES, st.data())
def test_the_medians_of_windows_are_those_of_each_window(values: list[float], data: st.DataObject) -> None:
    length = data.draw(st.integers(1, len(values)))
    every = sliding_window_view(np.array(values), length)[:: max(1, length // 8)]
    assert np.array_equal(windows(np.array(values), length), np.median(every, axis=1))


@given(VALUES, VALUES)
def test_the_order_of_the_later_values_does_not_matter(before: list[float], after: list[float]) -> None:
    pairs = np.sign(np.subtract.outer(after, before)).sum() / (len(after) * len(before))
    assert cliff(np.array(before), np.array(after)) == cliff(np.array(before), np.sort(after))
    assert np.isclose(cliff(np.array(before), np.array(after)), pairs)
