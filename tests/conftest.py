"""How hypothesis runs here: no stop-watch, because the machine may be busy, and the blob to repeat a failure."""

from hypothesis import HealthCheck, settings

settings.register_profile("opsbrief", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opsbrief")
