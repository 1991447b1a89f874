from __future__ import annotations

import copy
from typing import Any

import pytest

from golden import SCENARIOS, Scenario, go, scenario
from rbgctrl.api import canonical, gojson, labels, names
from rbgctrl.api.groups import RoleBasedGroupSpec
from rbgctrl.api.quantity import canonical as quantity

_CASES = [(name, revision.name) for name in SCENARIOS for revision in scenario(name).revisions]


def _spec(recorded: Scenario, group: str) -> RoleBasedGroupSpec:
    return RoleBasedGroupSpec.model_validate(recorded.one("RoleBasedGroup", group)["spec"])


def _compute(recorded: Scenario, owner: str, revision: str) -> tuple[bytes, str]:
    """Data and hash of the revision, from the object whose name it begins with."""
    parent = max(
        (item for item in recorded.of(owner) if revision.startswith(f"{item['metadata']['name']}-")),
        key=lambda item: len(item["metadata"]["name"]),
    )
    if owner == "RoleBasedGroup":
        data = canonical.group_revision_data(_spec(recorded, parent["metadata"]["name"]))
        return data, canonical.group_hash(data)
    if owner == "RoleInstanceSet":
        data = canonical.set_revision_data(parent["spec"]["roleInstanceTemplate"])
    else:
        data = canonical.instance_revision_data(parent["spec"]["components"])
    return data, canonical.revision_hash(data, parent["status"].get("collisionCount", 0))


@pytest.mark.parametrize(("name", "revision"), _CASES, ids=str)
def test_revision_data_and_hash_equal_the_recorded_ones_byte_for_byte(name: str, revision: str) -> None:
    recorded = scenario(name)
    wanted = next(item for item in recorded.revisions if item.name == revision)
    data, digest = _compute(recorded, wanted.owner, revision)
    assert data.decode() == wanted.data
    assert digest == wanted.labels.get(labels.GROUP_REVISION, wanted.labels.get(labels.REVISION_HASH))


@pytest.mark.parametrize("name", SCENARIOS)
def test_role_hashes_equal_the_labels_of_recorded_workloads(name: str) -> None:
    recorded = scenario(name)
    for group in recorded.of("RoleBasedGroup"):
        spec = _spec(recorded, group["metadata"]["name"])
        templates = {item.name: item.template for item in spec.role_templates}
        for role in spec.roles:
            key = labels.role_revision(role.name)
            found = {item["metadata"].get("labels", {}).get(key) for item in recorded.objects} - {None}
            assert found == {canonical.role_hash(role, templates)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_recorded_templates_are_already_as_go_writes_them(name: str) -> None:
    for item in scenario(name).of("RoleInstanceSet"):
        for component in item["spec"]["roleInstanceTemplate"]["components"]:
            template = component["template"]
            assert canonical.go_pod_template(template) == template


def test_pod_templates_are_encoded_byte_for_byte_as_go_encodes_them() -> None:
    for case in go()["templates"]:
        before = copy.deepcopy(case["template"])
        encoded = canonical.go_pod_template(case["template"])
        assert gojson.encode(encoded).decode() == case["encoded"]
        assert canonical.go_pod_template(encoded) == encoded
        assert case["template"] == before


def test_quantities_are_spelt_as_go_spells_them() -> None:
    assert [quantity(text) for text, _ in go()["quantities"]] == [wanted for _, wanted in go()["quantities"]]


def test_an_empty_template_gets_what_go_never_leaves_out() -> None:
    assert canonical.go_pod_template({}) == {"metadata": {}, "spec": {"containers": None}}


def test_fields_younger_than_the_table_and_malformed_ones_stay() -> None:
    template = {"spec": {"containers": [{"name": "c", "quantum": 1, "ports": "none"}], "hostNetwork": "yes"}}
    spec = canonical.go_pod_template(template)["spec"]
    assert spec["hostNetwork"] == "yes"
    assert spec["containers"] == [{"name": "c", "quantum": 1, "ports": "none", "resources": {}}]


def _group(**role: Any) -> RoleBasedGroupSpec:
    return RoleBasedGroupSpec.model_validate({"roles": [{"name": "a", **role}]})


def test_replicas_and_unknown_keys_are_no_part_of_a_group_revision() -> None:
    plain = canonical.group_revision_data(_group())
    assert canonical.group_revision_data(_group(replicas=7)) == plain
    assert canonical.group_revision_data(_group(surplus={"a": 1})) == plain
    assert canonical.group_revision_data(_group(labels={}, dependencies=[])) == plain
    assert canonical.group_revision_data(_group(minReadySeconds=1)) != plain


def test_an_absent_patch_and_an_empty_one_are_different_revisions() -> None:
    absent = _group(standalonePattern={"templateRef": {"name": "t"}})
    empty = _group(standalonePattern={"templateRef": {"name": "t", "patch": {}}})
    assert canonical.group_revision_data(absent) != canonical.group_revision_data(empty)


def test_a_role_hash_covers_the_template_it_refers_to() -> None:
    role = _group(standalonePattern={"templateRef": {"name": "t", "patch": {}}}).roles[0]
    one, other = ({"spec": {"containers": [{"name": name}]}} for name in "xy")
    assert canonical.role_hash(role, {"t": one}) != canonical.role_hash(role, {"t": other})
    assert canonical.role_hash(role, {"t": one, "u": other}) == canonical.role_hash(role, {"t": one})
    assert canonical.role_hash(role, {}) not in (canonical.role_hash(role, {"t": one}), "")


def test_known_hashes() -> None:
    assert canonical.group_hash(b"") == "65bb57b6b5"
    assert canonical.revision_hash(b"x", 0) != canonical.revision_hash(b"x", 1)


@pytest.mark.parametrize(
    ("digits", "text"),
    [(str(digit), letter) for digit, letter in enumerate("456789bcdf")] + [("2166136261", "65bb57b6b5")],
)
def test_digits_of_a_hash_are_encoded_one_by_one(digits: str, text: str) -> None:
    assert canonical.safe_encode(digits) == text


def test_the_group_uid_is_the_sha1_of_its_key() -> None:
    assert names.group_uid("ml", "llm") == "26b0a0edada839b26bf296191ecf0aaae8e525a0"


_TEMPLATE = b'{"metadata":{},"spec":{"containers":%s}}'


@pytest.mark.parametrize(
    ("template", "encoded"),
    [
        # What Go's zero values leave out, and what pointers and required fields keep.
        ({"spec": {"containers": []}}, _TEMPLATE % b"[]"),
        ({"spec": {"containers": [{"name": "a", "image": "", "args": []}]}}, None),
        (
            {"spec": {"containers": [], "hostNetwork": False, "nodeSelector": {}, "tolerations": None}},
            _TEMPLATE % b"[]",
        ),
        (
            {"spec": {"containers": [], "terminationGracePeriodSeconds": 0, "enableServiceLinks": False}},
            b'{"metadata":{},"spec":{"containers":[],"enableServiceLinks":false,"terminationGracePeriodSeconds":0}}',
        ),
        (
            {"metadata": {"annotations": {"n": "<&\u2028", "é": "ü"}}, "spec": {"containers": None}},
            b'{"metadata":{"annotations":{"n":"\\u003c\\u0026\\u2028","\xc3\xa9":"\xc3\xbc"}},"spec":{"containers":null}}',
        ),
        (
            {"spec": {"containers": [{"resources": {"limits": {"m": "1024Mi", "c": "0.5", "z": 1}}, "name": "a"}]}},
            _TEMPLATE % b'[{"name":"a","resources":{"limits":{"c":"500m","m":"1Gi","z":"1"}}}]',
        ),
        (
            {"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 0, "privileged": False}}]}},
            _TEMPLATE % b'[{"name":"a","resources":{},"securityContext":{"privileged":false,"runAsUser":0}}]',
        ),
        (
            {
                "spec": {
                    "containers": [{"name": "a", "readinessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 0}}]
                }
            },
            _TEMPLATE % b'[{"name":"a","readinessProbe":{"httpGet":{"port":"web"}},"resources":{}}]',
        ),
    ],
    ids=str,
)
def test_zero_values_and_field_order_of_a_template_are_gos(template: dict[str, Any], encoded: bytes | None) -> None:
    wanted = encoded or _TEMPLATE % b'[{"name":"a","resources":{}}]'
    assert gojson.encode(canonical.go_pod_template(template)) == wanted
