"""Pure data: the typed object graph that all reconcilers share. No I/O, no clock, no randomness."""
