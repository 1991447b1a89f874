from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.ordering import order


def test_roles_without_dependencies_start_together_in_name_order() -> None:
    assert order({"b": (), "a": ()}).waves == (("a", "b"),)


def test_a_role_is_one_layer_above_its_highest_dependency() -> None:
    found = order({"router": ("decode", "prefill"), "decode": ("prefill",), "prefill": ()})
    assert found.waves == (("prefill",), ("decode",), ("router",))
    assert found.fault == ""


def test_an_unknown_dependency_is_named_with_the_role_that_asks_for_it() -> None:
    found = order({"decode": ("prefil",), "prefill": ()})
    assert found.unknown == (("decode", "prefil"),)
    assert "role decode depends on prefil" in found.fault
    assert found.waves == ()


def test_a_cycle_is_reported_as_its_path() -> None:
    found = order({"a": ("b",), "b": ("c",), "c": ("a",), "d": ()})
    assert found.cycle == ("a", "b", "c", "a")
    assert "a -> b -> c -> a" in found.fault


def test_a_role_that_depends_on_itself_is_a_cycle() -> None:
    assert order({"a": ("a",)}).cycle == ("a", "a")


def test_a_chain_of_any_length_is_ordered() -> None:
    chain = {f"r{index:05}": (f"r{index - 1:05}",) if index else () for index in range(5000)}
    assert len(order(chain).waves) == 5000


graphs = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True), min_size=1
)


@given(graphs)
def test_every_graph_has_waves_or_a_fault_and_waves_respect_dependencies(graph: dict[str, list[str]]) -> None:
    found = order(graph)
    assert bool(found.waves) != bool(found.fault)
    layer = {role: index for index, wave in enumerate(found.waves) for role in wave}
    if found.waves:
        assert sorted(layer) == sorted(graph)
        assert all(layer[needed] < layer[role] for role in graph for needed in graph[role])
    if found.cycle:
        assert all(after in graph[before] for before, after in zip(found.cycle, found.cycle[1:], strict=False))


@given(graphs, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(graph: dict[str, list[str]], random: object) -> None:
    items = list(graph.items())
    random.shuffle(items)  # type: ignore[attr-defined]  # hypothesis' Random
    assert order(dict(items)) == order(graph)
