"""How hypothesis runs here: no stop-watch, because the machine may be busy, and the blob to repeat a failure.

And how several workers share the tests: those of the real servers stay together, because each server is started
once, and the tests of a file stay together, because they share what was expensive to make.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("opsbrief", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opsbrief")

_SYSTEM = Path(__file__).parent / "system"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test."""
    for item in items:
        group = "system" if item.path.is_relative_to(_SYSTEM) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
