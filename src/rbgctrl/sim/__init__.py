"""Simulation helpers for tests: virtual time now, an embedded cluster later. Never imported by production code."""
