"""Fairness as properties: of the order of ready keys, whatever comes in, and of backoffs."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api.meta import Key
from rbgctrl.runtime.backoff import Backoff
from rbgctrl.runtime.lanes import LANES, Lanes
from rbgctrl.runtime.result import Priority

LOW, NORMAL = Priority.LOW, Priority.NORMAL

keys = st.builds(Key, st.sampled_from(["big", "mid", "small"]), st.sampled_from("abcdefgh"))
adds = st.tuples(st.just("add"), keys)
pops = st.just(("pop", None))


@given(st.lists(st.one_of(adds, adds, pops), max_size=120))
def test_overtaking_is_bounded_by_the_keys_ahead_in_the_own_namespace(steps: list[tuple[str, Key | None]]) -> None:
    """While a key waits behind n keys of its namespace, each other namespace is served at most n + 1 times."""
    lanes = Lanes()
    served: Counter[str] = Counter()
    waiting: dict[Key, tuple[int, Counter[str]]] = {}
    for what, key in [*steps, *[("pop", None)] * 24]:
        if what == "add" and key is not None:
            if key not in waiting:
                ahead = sum(other.namespace == key.namespace for other in waiting)
                waiting[key] = (ahead, Counter(served))
            lanes.add(key, NORMAL, 0.0)
            continue
        item = lanes.pop(0.0)
        assert (item is None) is (not waiting)
        if item is None:
            continue
        ahead, before = waiting.pop(item.key)
        for namespace in served:
            if namespace != item.key.namespace:
                assert served[namespace] - before[namespace] <= ahead + 1
        assert served[item.key.namespace] - before[item.key.namespace] == ahead, "first come, first served"
        served[item.key.namespace] += 1
    assert len(lanes) == 0


def test_ten_thousand_keys_of_one_tenant_delay_one_key_of_another_by_one() -> None:
    lanes = Lanes()
    for number in range(10_000):
        lanes.add(Key("big", str(number)), NORMAL, 0.0)
    lanes.add(Key("small", "only"), NORMAL, 0.0)
    first, second = lanes.pop(0.0), lanes.pop(0.0)
    assert first is not None
    assert second is not None
    assert (first.key.namespace, second.key.namespace) == ("big", "small")


@given(st.floats(0.1, 10), st.integers(0, 5), st.integers(1, 4))
@settings(max_examples=50)
def test_no_key_starves_under_a_constant_stream_of_better_ones(pause: float, backlog: int, namespaces: int) -> None:
    """The stream never leaves the better lane empty; still a LOW key runs soon after it has aged."""
    lanes = Lanes(ageing=30.0)
    lanes.add(Key("ns0", "patient"), LOW, 0.0)
    number = 0
    now = 0.0
    for _ in range(backlog + 1):
        lanes.add(Key("ns0", f"busy{number}"), NORMAL, now)
        number += 1
    while True:
        lanes.add(Key(f"ns{number % namespaces}", f"busy{number}"), NORMAL, now)
        number += 1
        item = lanes.pop(now)
        assert item is not None
        if item.key.name == "patient":
            break
        now += pause
        assert now <= 30.0 + pause * (backlog + 3) * namespaces + pause
    assert now >= 30.0
    assert item.priority is LOW


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), keys, st.sampled_from(LANES)),
            st.tuples(st.just("pop"), keys, st.just(NORMAL)),
            st.tuples(st.just("wait"), keys, st.just(NORMAL)),
        ),
        max_size=80,
    )
)
def test_depth_counts_every_waiting_key_once_by_the_priority_it_was_added_with(
    steps: list[tuple[str, Key, Priority]],
) -> None:
    lanes = Lanes(ageing=30.0)
    model: dict[Key, Priority] = {}
    now = 0.0
    for what, key, priority in steps:
        match what:
            case "add":
                assert lanes.add(key, priority, now) is (key not in model)
                model[key] = max(priority, model.get(key, priority))
            case "wait":
                now += 11.0
            case _:
                item = lanes.pop(now)
                if item is not None:
                    assert model.pop(item.key) is item.priority
        assert {lane: count for lane, count in lanes.depth().items() if count} == Counter(model.values())
        assert len(lanes) == len(model)
        assert all(known in lanes for known in model)
    lanes.clear()
    assert not any(lanes.depth().values())
    assert lanes.pop(now) is None


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 200))
def test_a_backoff_lies_within_its_spread_and_never_above_the_cap(draw: float, failures: int) -> None:
    backoff: Backoff[str] = Backoff(jitter=lambda: draw)
    for _ in range(failures):
        backoff.next("key")
    delay = backoff.next("key")
    plain = 0.005 * 2.0**failures
    assert min(0.8 * plain, 200.0) - 1e-9 <= delay <= min(1.2 * plain, 300.0) + 1e-9
    assert backoff.failures("key") == failures + 1
    backoff.forget("key")
    assert len(backoff) == 0


def test_backoffs_at_the_cap_are_still_spread() -> None:
    low, high = (Backoff[str](jitter=lambda draw=draw: draw) for draw in (0.0, 0.999))  # type: ignore[misc]  # mypy cannot type a lambda with a default
    for _ in range(30):
        low.next("key")
        high.next("key")
    assert round(low.next("key")) == 200
    assert round(high.next("key")) == 300
