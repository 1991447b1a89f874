"""The daemon: settings, logging, event loop, signals around a manager."""

from __future__ import annotations

from rbgctrl.daemon.process import EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_OK, run
from rbgctrl.daemon.settings import Settings, SettingsError, parse_duration

__all__ = ["EXIT_CONFIGURATION", "EXIT_FAILURE", "EXIT_OK", "Settings", "SettingsError", "parse_duration", "run"]
