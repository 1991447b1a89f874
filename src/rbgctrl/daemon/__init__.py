"""The daemon: settings, logging, event loop, signals around a manager."""
