"""Settings of every test, and the fixtures of those that need the real control plane."""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["e2e.support.plugin"]

# Examples drawn by chance belong to a developer's runs; one that CI cannot repeat helps nobody. No deadline per
# example anywhere: wall time on a shared machine is not what these tests are about.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_finish() -> None:
    """Spare the collector what was imported: it stays, and to look at it again and again is a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
