"""Pure data: kinds, names, defaults, validation, conversion and hashes. No I/O, no clock, no randomness."""
