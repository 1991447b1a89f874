"""Server-side apply: who owns what, who may change it, and what goes when its owner forgets it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.sim.loop import run
from unit.sim.servers import APPLY, CONFIG_MAPS, GROUPS, MERGE, Obj, Talk, config_map, group, server

PATH = f"{CONFIG_MAPS}/a"


def owned(obj: Obj, manager: str) -> Any:
    entries = obj["metadata"].get("managedFields", ())
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == manager), None)


def test_applying_creates_and_applying_again_changes_nothing() -> None:
    async def main() -> None:
        talk = Talk(server())
        first = await talk.send("PATCH", PATH, config_map("a", {"x": "1"}), APPLY, fieldManager="me")
        assert talk.code == 201
        again = await talk.send("PATCH", PATH, config_map("a", {"x": "1"}), APPLY, fieldManager="me")
        assert talk.code == 200
        assert again == first
        assert owned(first, "me") == {"f:data": {"f:x": {}}}

    run(main())


def test_a_field_its_only_owner_no_longer_mentions_is_removed() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("PATCH", PATH, config_map("a", {"x": "1", "y": "2"}), APPLY, fieldManager="me")
        await talk.send("PATCH", PATH, config_map("a", {"y": "2"}), APPLY, fieldManager="you")
        left = await talk.send("PATCH", PATH, config_map("a"), APPLY, fieldManager="me")
        assert left["data"] == {"y": "2"}
        assert owned(left, "you") == {"f:data": {"f:y": {}}}

    run(main())


def test_a_field_of_another_owner_is_a_conflict_that_names_it_and_force_takes_it() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("a", {"x": "1", "y": "2"}), fieldManager="them")
        wanted = config_map("a", {"x": "9", "y": "2"})
        refused = await talk.send("PATCH", PATH, wanted, APPLY, fieldManager="me")
        assert (talk.code, refused["reason"]) == (409, "Conflict")
        assert refused["message"] == 'Apply failed with 1 conflict: conflict with "them" using v1: .data.x'
        assert refused["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "them" using v1', "field": ".data.x"}
        ]
        taken = await talk.send("PATCH", PATH, wanted, APPLY, fieldManager="me", force="true")
        assert taken["data"]["x"] == "9"
        assert owned(taken, "them") == {"f:data": {".": {}, "f:y": {}}}
        assert owned(taken, "me") == {"f:data": {"f:x": {}, "f:y": {}}}

    run(main())


def test_several_conflicts_are_listed_by_manager() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("PATCH", PATH, config_map("a", {"x": "1"}), APPLY, fieldManager="one")
        await talk.send("PATCH", PATH, config_map("a", {"y": "1", "z": "1"}), APPLY, fieldManager="two")
        wanted = config_map("a", {"x": "2", "y": "2", "z": "2"})
        refused = await talk.send("PATCH", PATH, wanted, APPLY, fieldManager="me")
        assert refused["message"] == (
            'Apply failed with 3 conflicts: conflicts with "one":\n- .data.x\n'
            'conflicts with "two":\n- .data.y\n- .data.z'
        )

    run(main())


def test_roles_are_merged_by_name_and_an_unmentioned_one_goes_with_its_defaults() -> None:
    async def main() -> None:
        talk = Talk(server())
        path = f"{GROUPS}/g"
        one, two = {"name": "one", "replicas": 1}, {"name": "two", "replicas": 2}
        await talk.send("PATCH", path, group("g", one, two), APPLY, fieldManager="me")
        third = group("g", {"name": "three", "replicas": 3})
        await talk.send("PATCH", path, third, APPLY, fieldManager="you")
        left = await talk.send("PATCH", path, group("g", two), APPLY, fieldManager="me")
        assert [role["name"] for role in left["spec"]["roles"]] == ["two", "three"]
        assert left["spec"]["roles"][0]["podManagementPolicy"] == "Parallel"

    run(main())


def test_fences_stop_an_apply_to_another_object_or_version() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("PATCH", PATH, config_map("a", {"x": "1"}), APPLY, fieldManager="me")
        stale = config_map("a", {"x": "2"}, resourceVersion="1")
        await talk.send("PATCH", PATH, stale, APPLY, fieldManager="me", force="true")
        assert talk.code == 409
        stranger = config_map("a", {"x": "2"}, uid="another")
        await talk.send("PATCH", PATH, stranger, APPLY, fieldManager="me", force="true")
        assert talk.code == 422
        await talk.send("DELETE", PATH)
        ghost = config_map("a", {"x": "2"}, uid=made["metadata"]["uid"])
        await talk.send("PATCH", PATH, ghost, APPLY, fieldManager="me", force="true")
        assert talk.code == 409
        await talk.send("GET", PATH)
        assert talk.code == 404

    run(main())


def test_a_configuration_the_schema_cannot_read_is_refused_before_anything_is_merged() -> None:
    async def main() -> None:
        talk = Talk(server())
        twice = group("g", {"name": "one"}, {"name": "one"})
        refused = await talk.send("PATCH", f"{GROUPS}/g", twice, APPLY, fieldManager="me")
        assert talk.code == 500
        assert refused["message"].endswith('.spec.roles: duplicate entries for key [name="one"]')
        unknown = {**config_map("a"), "surplus": 1}
        refused = await talk.send("PATCH", PATH, unknown, APPLY, fieldManager="me")
        assert refused["message"].endswith(".surplus: field not declared in schema")
        refused = await talk.send("PATCH", PATH, config_map("a"), APPLY)
        assert talk.code == 422
        assert "fieldManager: Required value" in refused["message"]

    run(main())


def test_a_merge_patch_takes_what_it_changes_and_forgets_what_it_removes() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("a", {"x": "1", "y": "2"}), fieldManager="one")
        left = await talk.send("PATCH", PATH, {"data": {"x": "3", "y": None}}, MERGE, fieldManager="two")
        assert owned(left, "one") == {"f:data": {".": {}}} or owned(left, "one") == {"f:data": {}}
        assert owned(left, "two") == {"f:data": {"f:x": {}}}

    run(main())


def test_ownership_can_be_forgotten_and_starts_again_with_an_apply() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("a", {"x": "1"}), fieldManager="one")
        bare = await talk.send("PATCH", PATH, {"metadata": {"managedFields": [{}]}}, MERGE)
        assert "managedFields" not in bare["metadata"]
        still = await talk.send("PATCH", PATH, {"data": {"x": "2"}}, MERGE, fieldManager="two")
        assert "managedFields" not in still["metadata"]
        again = await talk.send("PATCH", PATH, config_map("a", {"y": "1"}), APPLY, fieldManager="me")
        assert {entry["manager"] for entry in again["metadata"]["managedFields"]} == {"me", "before-first-apply"}

    run(main())


CONFIGS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(("one", "two")), CONFIGS), min_size=1, max_size=8))
def test_after_forced_applies_every_field_is_the_last_word_of_somebody_who_still_says_it(
    applies: list[tuple[str, dict[str, str]]],
) -> None:
    async def main() -> None:
        talk = Talk(server(install_crds=False))
        said: dict[str, dict[str, str]] = {}
        found: Obj = {}
        for manager, data in applies:
            found = await talk.send("PATCH", PATH, config_map("a", data), APPLY, fieldManager=manager, force="true")
            assert talk.code in (200, 201)
            for other, before in said.items():
                said[other] = {name: value for name, value in before.items() if data.get(name, value) == value}
            said[manager] = data
        wanted: dict[str, str] = {}
        for data in said.values():
            wanted |= data
        assert found.get("data", {}) == wanted

    run(main())
