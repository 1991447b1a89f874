from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from golden import SCENARIOS, scenario
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec, RoleSpec
from rbgctrl.api.hooks import dec_hook, enc_hook


def _spec(**role: object) -> RoleBasedGroupSpec:
    return RoleBasedGroupSpec.model_validate({"roles": [{"name": "a", **role}]})


@pytest.mark.parametrize("name", SCENARIOS)
def test_reading_and_writing_a_stored_group_changes_nothing(name: str) -> None:
    for stored in scenario(name).of("RoleBasedGroup"):
        group = msgspec.json.decode(msgspec.json.encode(stored), type=RoleBasedGroup, dec_hook=dec_hook)
        assert group.spec is not None
        assert group.spec.wire() == stored["spec"]
        assert group.status is not None
        assert [role.name for role in group.status.role_statuses or ()] == [role.name for role in group.spec.roles]


def test_what_only_the_controller_assumes_is_not_written() -> None:
    wire = _spec(rolloutStrategy={"rollingUpdate": {}}, scalingAdapter={}).roles[0].wire()
    assert "paused" not in wire["rolloutStrategy"]["rollingUpdate"]
    assert "labels" not in wire["scalingAdapter"]
    assert "dependencies" not in wire


def test_what_was_written_empty_is_written_empty_again() -> None:
    assert _spec(labels={}, dependencies=[]).roles[0].wire()["labels"] == {}
    assert _spec(labels={}, dependencies=[]).roles[0].wire()["dependencies"] == []


def test_a_spec_cannot_be_changed() -> None:
    spec = _spec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.roles[0].replicas = 5  # type: ignore[misc]  # the point of the test


def test_a_snake_case_key_of_a_manifest_is_an_unknown_key() -> None:
    role = RoleSpec.model_validate({"name": "a", "min_ready_seconds": 9})
    assert role.min_ready_seconds == 0
    assert role.wire()["min_ready_seconds"] == 9


def test_a_status_with_null_lists_is_read() -> None:
    body = b'{"metadata":{"name":"g"},"status":{"roleStatuses":null,"conditions":null}}'
    group = msgspec.json.decode(body, type=RoleBasedGroup, dec_hook=dec_hook)
    assert group.status is not None
    assert not group.status.role_statuses


def test_a_refusal_names_the_field_and_never_repeats_the_value() -> None:
    with pytest.raises(ValueError, match=r"^roles.0.podManagementPolicy: Input should be") as raised:
        dec_hook(RoleBasedGroupSpec, {"roles": [{"name": "a", "podManagementPolicy": "s3cret"}]})
    assert "s3cret" not in str(raised.value)


def test_the_hooks_leave_other_types_alone() -> None:
    with pytest.raises(NotImplementedError):
        dec_hook(bytes, "x")
    with pytest.raises(NotImplementedError):
        enc_hook(object())


def test_roles_and_templates_are_found_by_name() -> None:
    template = {"spec": {"containers": [{"name": "c"}]}}
    spec = RoleBasedGroupSpec.model_validate(
        {"roles": [{"name": "a"}], "roleTemplates": [{"name": "t", "template": template}]}
    )
    assert spec.role("a") is spec.roles[0]
    assert spec.role("b") is None
    assert spec.template("t") == template
    assert spec.template("u") is None
