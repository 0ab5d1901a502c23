"""How hypothesis runs here: no stop-watch, because the machine may be busy, and the blob to repeat a failure.

And how several workers share the tests: those of the real servers stay together, because each server is started
once, and the tests of a file stay together, because they share what was expensive to make.
"""

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("opsbrief", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opsbrief")


class Shared(LoadScopeScheduling):
    """Gives a worker what belongs together, the largest parts first."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the part that a test belongs to."""
        return "system" if nodeid.startswith("tests/system/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shared:
    """See xdist."""
    return Shared(config, log)
