from __future__ import annotations

import msgspec
import pytest

from golden import SCENARIOS, scenario
from rbgctrl.api import conditions
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet


@pytest.mark.parametrize("name", SCENARIOS)
def test_stored_sets_decode_with_every_field_and_keep_their_template_as_bytes(name: str) -> None:
    for stored in scenario(name).of("RoleInstanceSet"):
        found = msgspec.json.decode(msgspec.json.encode(stored), type=RoleInstanceSet)
        assert found.spec is not None
        assert found.status is not None
        assert msgspec.json.decode(found.spec.role_instance_template) == stored["spec"]["roleInstanceTemplate"]
        assert found.spec.replicas == stored["spec"]["replicas"]
        assert found.spec.selector is not None
        assert found.spec.selector.match_labels == stored["spec"]["selector"]["matchLabels"]
        assert found.spec.update_strategy is not None
        assert found.spec.update_strategy.max_unavailable == stored["spec"]["updateStrategy"]["maxUnavailable"]
        assert found.status.update_revision == stored["status"]["updateRevision"]
        assert found.status.ready_replicas == stored["status"]["readyReplicas"]
        declared = stored["spec"]["roleInstanceTemplate"]["components"]
        assert [component.name for component in found.spec.instance_spec().components] == [
            component["name"] for component in declared
        ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_stored_instances_decode_with_every_field(name: str) -> None:
    for stored in scenario(name).of("RoleInstance"):
        found = msgspec.json.decode(msgspec.json.encode(stored), type=RoleInstance)
        assert found.spec is not None
        assert found.status is not None
        for component, declared in zip(found.spec.components, stored["spec"]["components"], strict=True):
            assert component.size == declared["size"]
            assert component.service_name == declared.get("serviceName", "")
            assert component.annotations == declared.get("annotations", {})
            assert msgspec.json.decode(component.template) == declared["template"]
        assert [item.name for item in found.status.component_statuses] == [item.name for item in found.spec.components]
        ready = found.condition(conditions.INSTANCE_READY)
        stored_types = [item["type"] for item in stored["status"]["conditions"]]
        assert (ready is not None) == (conditions.INSTANCE_READY in stored_types)


def test_defaults_are_those_of_the_schema() -> None:
    body = b'{"metadata":{"name":"s"},"spec":{"roleInstanceTemplate":{"components":[{"name":"c","template":{}}]}}}'
    found = msgspec.json.decode(body, type=RoleInstanceSet).spec
    assert found is not None
    assert (found.pod_management_policy, found.revision_history_limit, found.replicas) == ("Parallel", 10, None)
    instance = found.instance_spec()
    assert (instance.ready_policy, instance.restart_policy, instance.restart_policy_config) == (
        "AllPodReady",
        None,
        None,
    )
    assert instance.components[0].size is None


def test_a_set_without_a_spec_or_status_is_read() -> None:
    assert msgspec.json.decode(b'{"metadata":{"name":"s"}}', type=RoleInstanceSet).spec is None
    assert msgspec.json.decode(b'{"metadata":{"name":"s"}}', type=RoleInstance).condition("Ready") is None


def test_a_template_that_is_no_instance_spec_is_an_error_only_when_it_is_used() -> None:
    body = b'{"metadata":{"name":"s"},"spec":{"roleInstanceTemplate":{"components":"none"}}}'
    found = msgspec.json.decode(body, type=RoleInstanceSet).spec
    assert found is not None
    with pytest.raises(msgspec.ValidationError, match="components"):
        found.instance_spec()


def test_odd_wire_names_are_kept() -> None:
    body = (
        b'{"metadata":{"name":"i"},"status":{"inPlaceUpdateContainerBaselines":'
        b'{"p":{"c":{"restartCount":2,"imageID":"sha"}}}}}'
    )
    status = msgspec.json.decode(body, type=RoleInstance).status
    assert status is not None
    baseline = status.in_place_update_container_baselines["p"]["c"]
    assert (baseline.restart_count, baseline.image_id) == (2, "sha")
    lifecycle = b'{"preDelete":{"markPodNotReady":true}}'
    hook = b'{"metadata":{"name":"s"},"spec":{"roleInstanceTemplate":{},"lifecycle":%s}}' % lifecycle
    spec = msgspec.json.decode(hook, type=RoleInstanceSet).spec
    assert spec is not None
    assert spec.lifecycle is not None
    assert spec.lifecycle.pre_delete is not None
    assert spec.lifecycle.pre_delete.mark_not_ready
