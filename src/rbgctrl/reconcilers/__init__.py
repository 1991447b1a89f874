"""Wiring only: which snapshot, which planner, which triggers. Decisions live in :mod:`rbgctrl.plan`."""
