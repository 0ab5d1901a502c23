"""Numbers as a person would say them."""

import pytest

from opsbrief import phrase


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.02, "", "0.02"), (1.2, "ms", "1.2 ms"), (9310.0, "", "9,310"), (12.0, "%", "12%"), (None, "ms", "no data"),
        (999_999.4, "", "999,999"), (1_455_650_816.0, "B", "1.46 GB"), (1_590_626_304.0, "", "1.59 G"),
        (4.2e6, "requests", "4.2 M requests"), (2e6, "B/s", "2 MB/s"), (196_195_775.0, "/min", "196 M/min"),
        (-3e9, "B", "-3 GB"), (1e16, "B", "1.00e+16 B"),
    ],
)  # fmt: skip
def test_numbers_are_short_and_keep_their_unit(value: float | None, unit: str, said: str) -> None:
    assert phrase.number(value, unit) == said
