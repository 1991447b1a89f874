"""Coverage-guided fuzzing, beside the properties of the unit tests. Not part of any check."""
