"""Settings of every test, and the fixtures of those that need the real control plane."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["e2e.support.plugin"]

# A run in a shell's background ignores Ctrl-C, and so would every program it starts; some tests send them just that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples drawn by chance belong to a developer's runs; one that CI cannot repeat helps nobody. No deadline per
# example anywhere: wall time on a shared machine is not what these tests are about.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
