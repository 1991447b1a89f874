"""Which events become which objects: pure rules, no clock."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.plan.model import Severity
from rbgctrl.runtime.correlator import COMBINED, Correlator, CorrelatorOptions, Occurrence, Series
from unit.runtime.fake_events import subject

STAMP = "2026-01-01T00:00:00Z"


def happened(message: str = "m", reason: str = "R", uid: str = "u1", component: str = "c") -> Occurrence:
    return Occurrence(component, subject(uid=uid), Severity.NORMAL, reason, message)


def test_equal_occurrences_are_one_series_with_a_count() -> None:
    correlator = Correlator()
    first = correlator.observe(happened(), 0, "t0")
    again = correlator.observe(happened(), 599, "t1")
    assert again is first
    assert (first.count, first.first, first.last) == (2, "t0", "t1")


def test_after_the_window_a_new_series_with_a_new_name_begins() -> None:
    correlator = Correlator()
    first = correlator.observe(happened(), 0, "t0")
    later = correlator.observe(happened(), 601, "t1")
    assert later is not first
    assert later.name != first.name
    assert later.count == 1


def test_each_repetition_extends_the_window() -> None:
    correlator = Correlator()
    first = correlator.observe(happened(), 0, STAMP)
    for at in range(500, 5000, 500):
        assert correlator.observe(happened(), at, STAMP) is first


def test_different_subjects_reasons_messages_severities_and_components_stay_apart() -> None:
    correlator = Correlator()
    warning = Occurrence("c", subject(), Severity.WARNING, "R", "m")
    occurrences = [
        happened(),
        happened(uid="u2"),
        happened(reason="S"),
        happened("n"),
        happened(component="d"),
        warning,
    ]
    found = [correlator.observe(occurrence, 0, STAMP) for occurrence in occurrences]
    assert len({series.name for series in found}) == len(occurrences)


def test_from_the_tenth_different_message_on_the_rest_is_combined() -> None:
    correlator = Correlator()
    found = [correlator.observe(happened(f"m{number}"), number, STAMP) for number in range(15)]
    assert len({id(series) for series in found}) == 10
    assert [series.occurrence.message for series in found[:9]] == [f"m{number}" for number in range(9)]
    combined = found[9]
    assert all(series is combined for series in found[9:])
    assert combined.count == 6
    assert combined.occurrence.message == f"{COMBINED}m14"


def test_messages_known_before_the_combination_keep_their_own_series() -> None:
    correlator = Correlator()
    first = correlator.observe(happened("m0"), 0, STAMP)
    for number in range(1, 20):
        correlator.observe(happened(f"m{number}"), number, STAMP)
    assert correlator.observe(happened("m0"), 30, STAMP) is first


def test_a_quiet_time_ends_the_combination() -> None:
    correlator = Correlator()
    for number in range(20):
        correlator.observe(happened(f"m{number}"), number, STAMP)
    fresh = correlator.observe(happened("new"), 1000, STAMP)
    assert fresh.occurrence.message == "new"


def test_the_budget_allows_a_burst_and_then_one_write_in_five_minutes() -> None:
    correlator = Correlator()
    series = correlator.observe(happened(), 0, STAMP)
    allowed = [correlator.allow(series, 0) for _ in range(30)]
    assert allowed == [True] * 25 + [False] * 5
    assert not correlator.allow(series, 299)
    assert correlator.allow(series, 301)
    assert not correlator.allow(series, 302)


def test_budgets_of_subjects_and_severities_are_separate() -> None:
    correlator = Correlator(CorrelatorOptions(burst=1))
    one = correlator.observe(happened(), 0, STAMP)
    other = correlator.observe(happened(uid="u2"), 0, STAMP)
    warning = correlator.observe(Occurrence("c", subject(), Severity.WARNING, "R", "m"), 0, STAMP)
    assert [correlator.allow(series, 0) for series in (one, other, warning, one)] == [True, True, True, False]


def test_a_name_is_the_same_for_the_same_series_and_short_enough() -> None:
    names = []
    for _ in range(2):
        occurrence = Occurrence("c", subject(name="x" * 253), Severity.NORMAL, "R", "m")
        names.append(Correlator().observe(occurrence, 0, STAMP).name)
    assert names[0] == names[1]
    assert len(names[0]) <= 253


def test_memory_is_bounded() -> None:
    correlator = Correlator(CorrelatorOptions(remembered=10))
    for number in range(100):
        series = correlator.observe(happened(uid=f"u{number}"), 0, STAMP)
        correlator.allow(series, 0)
    assert len(correlator._series) == len(correlator._groups) == len(correlator._budgets) == 10


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc"), st.integers(0, 14)), max_size=60))
def test_every_occurrence_is_counted_exactly_once(history: list[tuple[int, str, int]]) -> None:
    correlator = Correlator()
    at = 0
    seen: dict[int, Series] = {}
    expected: Counter[str] = Counter()
    for pause, uid, message in history:
        at += pause
        series = correlator.observe(happened(f"m{message}", uid=uid), at, f"t{at}")
        seen[id(series)] = series
        expected[uid] += 1
    counted: Counter[str] = Counter()
    for series in seen.values():
        counted[series.occurrence.subject.uid] += series.count
    assert counted == expected
