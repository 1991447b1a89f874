"""Create, update, patch and delete: what the server adds, keeps and refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rbgctrl.api.meta import Key
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.loop import run
from rbgctrl.sim.server import ApiServer
from rbgctrl.sim.status import Cause, Refusal
from unit.sim.servers import (
    CONFIG_MAPS,
    GROUPS,
    JSON,
    MERGE,
    PODS,
    STRATEGIC,
    Obj,
    Talk,
    config_map,
    group,
    pod,
    server,
)

GROUP = f"{GROUPS}/g"


def test_only_a_change_of_the_spec_is_a_new_generation() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", GROUPS, group("g"))
        assert made["metadata"]["generation"] == 1
        generations = []
        for change, path in (
            ({"metadata": {"labels": {"a": "b"}}}, GROUP),
            ({"status": {"observedGeneration": 1, "conditions": [], "roleStatuses": []}}, f"{GROUP}/status"),
            ({"spec": {"roles": [{"name": "main", "replicas": 2}]}}, GROUP),
            ({"spec": {"roles": [{"name": "main", "replicas": 2}]}}, GROUP),
        ):
            generations.append((await talk.send("PATCH", path, change, MERGE))["metadata"]["generation"])
        assert generations == [1, 1, 2, 2]

    run(main())


def test_a_change_that_changes_nothing_has_no_version_and_no_event() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", CONFIG_MAPS, config_map("a", {"x": "1"}))
        events = len(talk.server.storage.history)
        await asyncio.sleep(5)
        same = await talk.send("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "1"}}, MERGE)
        assert same == made
        assert len(talk.server.storage.history) == events

    run(main())


def test_status_and_spec_are_written_through_doors_of_their_own() -> None:
    async def main() -> None:
        talk = Talk(server())
        status = {"observedGeneration": 7, "conditions": [], "roleStatuses": []}
        made = await talk.send("POST", GROUPS, {**group("g"), "status": status})
        assert "status" not in made
        through = await talk.send("PATCH", f"{GROUP}/status", {"status": status, "spec": {"roles": []}}, MERGE)
        assert through["status"] == status
        assert through["spec"] == made["spec"]
        plain = await talk.send("PATCH", GROUP, {"status": {"observedGeneration": 9}}, MERGE)
        assert plain["status"] == status

    run(main())


def test_a_dry_run_answers_as_if_and_stores_nothing() -> None:
    async def main() -> None:
        talk = Talk(server())
        before = talk.server.storage.revision
        shown = await talk.send("POST", CONFIG_MAPS, config_map("a"), dryRun="All")
        assert talk.code == 201
        assert "resourceVersion" not in shown["metadata"]
        await talk.send("POST", CONFIG_MAPS, config_map("A"), dryRun="All")
        assert talk.code == 422
        await talk.send("POST", CONFIG_MAPS, config_map("b", {"x": "1"}))
        patched = await talk.send("PATCH", f"{CONFIG_MAPS}/b", {"data": {"x": "2"}}, MERGE, dryRun="All")
        assert patched["data"] == {"x": "2"}
        await talk.send("DELETE", f"{CONFIG_MAPS}/b", dryRun="All")
        assert talk.code == 200
        assert (await talk.send("GET", f"{CONFIG_MAPS}/b"))["data"] == {"x": "1"}
        assert talk.server.storage.revision == before + 1

    run(main())


def test_unknown_fields_are_dropped_told_or_refused_as_asked() -> None:
    async def main() -> None:
        talk = Talk(server())
        body = group("g", surplus={"a": 1})
        body["spec"]["more"] = 1
        await talk.send("POST", GROUPS, body, fieldValidation="Strict")
        assert talk.code == 400
        made = await talk.send("POST", GROUPS, body)
        assert (
            talk.headers["Warning"]
            == '299 - "unknown field \\"metadata.surplus\\"", 299 - "unknown field \\"spec.more\\""'
        )
        assert "more" not in made["spec"]
        await talk.send("POST", GROUPS, {**body, "metadata": {"name": "h", "surplus": 1}}, fieldValidation="Ignore")
        assert (talk.code, "Warning" in talk.headers) == (201, False)

    run(main())


def test_an_update_based_on_an_old_version_or_another_object_is_a_conflict() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", GROUPS, group("g"))
        await talk.send("PATCH", GROUP, {"metadata": {"labels": {"a": "b"}}}, MERGE)
        await talk.send("PUT", GROUP, made)
        assert talk.code == 409
        await talk.send("PUT", GROUP, group("g"))
        assert talk.code == 422
        await talk.send("PATCH", GROUP, {"metadata": {"uid": "another"}}, MERGE)
        assert talk.code == 422
        await talk.send("PATCH", GROUP, {"metadata": {"resourceVersion": "1"}}, MERGE)
        assert talk.code == 409

    run(main())


@pytest.mark.parametrize(
    ("path", "kind", "body", "code"),
    [
        (f"{CONFIG_MAPS}/a", "application/other", {}, 415),
        (GROUP, STRATEGIC, {}, 415),
        (f"{CONFIG_MAPS}/a", MERGE, [], 400),
        (f"{CONFIG_MAPS}/a", MERGE, b"{", 400),
        (f"{CONFIG_MAPS}/a", JSON, {}, 400),
        (f"{CONFIG_MAPS}/a", JSON, [{"op": "test", "path": "/data", "value": 1}], 422),
        (f"{CONFIG_MAPS}/a", JSON, [{"op": "replace", "path": "", "value": 1}], 422),
        (f"{CONFIG_MAPS}/a", MERGE, {"data": {"x": 1}}, 422),
        (f"{CONFIG_MAPS}/a", STRATEGIC, {"metadata": {"$patch": "explode"}}, 500),
        (f"{CONFIG_MAPS}/a", MERGE, {"metadata": {"name": "b"}}, 400),
        (f"{CONFIG_MAPS}/b", MERGE, {}, 404),
    ],
)
def test_a_patch_that_cannot_be_carried_out_is_refused(path: str, kind: str, body: Any, code: int) -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("a"))
        await talk.send("POST", GROUPS, group("g"))
        await talk.send("PATCH", path, body, kind)
        assert talk.code == code

    run(main())


def test_names_are_made_from_the_seed_and_uids_are_never_alike() -> None:
    async def names(seed: int) -> list[str]:
        talk = Talk(ApiServer(seed=seed))
        made = [await talk.send("POST", CONFIG_MAPS, {"metadata": {"generateName": "a-"}}) for _ in range(5)]
        assert len({item["metadata"]["uid"] for item in made}) == 5
        return [item["metadata"]["name"] for item in made]

    first, again, other = run(names(1)), run(names(1)), run(names(2))
    assert first == again
    assert first != other
    assert all(len(name) == 7 for name in first)


# Deleting -------------------------------------------------------------------------------------------------------------


def test_a_delete_answers_with_a_status_or_with_the_object_as_the_kind_wants_it() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", CONFIG_MAPS, config_map("a"))
        gone = await talk.send("DELETE", f"{CONFIG_MAPS}/a")
        assert gone == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
        }
        await talk.send("POST", PODS, pod("p"))
        gone = await talk.send("DELETE", f"{PODS}/p")
        assert gone["kind"] == "Pod"
        assert int(gone["metadata"]["resourceVersion"]) == talk.server.storage.revision
        assert talk.server.storage.history[-1].type == "DELETED"

    run(main())


def test_preconditions_protect_another_object_of_the_same_name() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", CONFIG_MAPS, config_map("a"))
        for wrong in ({"uid": "another"}, {"resourceVersion": "1"}):
            await talk.send("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": wrong})
            assert talk.code == 409
        await talk.send("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
        assert talk.code == 200

    run(main())


def test_a_finalizer_holds_an_object_until_it_is_removed() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", GROUPS, group("g", finalizers=["x.io/y"]))
        going = await talk.send("DELETE", GROUP)
        assert going["metadata"]["deletionTimestamp"]
        assert going["metadata"]["generation"] == 2
        again = await talk.send("DELETE", GROUP)
        assert again == going
        await talk.send("PATCH", GROUP, {"metadata": {"finalizers": ["x.io/y", "x.io/z"]}}, MERGE)
        assert talk.code == 422
        last = await talk.send("PATCH", GROUP, {"metadata": {"finalizers": None}}, MERGE)
        assert last["metadata"]["resourceVersion"] == going["metadata"]["resourceVersion"]
        await talk.send("GET", GROUP)
        assert talk.code == 404

    run(main())


def test_a_pod_on_a_node_ends_gracefully_and_one_without_a_node_at_once() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", PODS, pod("free"))
        await talk.send("DELETE", f"{PODS}/free")
        assert (await talk.send("GET", f"{PODS}/free"))["reason"] == "NotFound"
        await talk.send("POST", PODS, pod("bound", node="n"))
        going = await talk.send("DELETE", f"{PODS}/bound")
        assert going["metadata"]["deletionGracePeriodSeconds"] == 30
        assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
        sooner = await talk.send("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 10})
        assert sooner["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:10Z"
        later = await talk.send("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 60})
        assert later == sooner
        await talk.send("POST", PODS, pod("bound", node="n"))
        assert talk.code == 409
        await talk.send("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 0})
        await talk.send("GET", f"{PODS}/bound")
        assert talk.code == 404

    run(main())


def test_a_collection_is_deleted_by_selector() -> None:
    async def main() -> None:
        talk = Talk(server())
        for name, label in (("a", "1"), ("b", "2"), ("c", "1")):
            await talk.send("POST", CONFIG_MAPS, config_map(name, labels={"l": label}))
        await talk.send("DELETE", CONFIG_MAPS, labelSelector="l=1")
        left = await talk.send("GET", CONFIG_MAPS)
        assert [item["metadata"]["name"] for item in left["items"]] == ["b"]
        await talk.send("DELETE", "/api/v1/configmaps")
        assert talk.code == 405

    run(main())


# Subresources, and writes from inside -------------------------------------------------------------------------------


def test_binding_puts_a_pod_on_a_node_once() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", PODS, pod("p"))
        binding = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n"}}
        await talk.send("POST", f"{PODS}/p/binding", binding)
        bound = await talk.send("GET", f"{PODS}/p")
        assert bound["spec"]["nodeName"] == "n"
        assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
        await talk.send("POST", f"{PODS}/p/binding", binding)
        assert talk.code == 409

    run(main())


def test_scale_shows_and_sets_replicas_alone() -> None:
    async def main() -> None:
        talk = Talk(server())
        path = "/apis/apps/v1/namespaces/default/deployments"
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await talk.send("POST", path, {"metadata": {"name": "d"}, "spec": spec})
        scale = await talk.send("GET", f"{path}/d/scale")
        assert (scale["kind"], scale["spec"], scale["status"]) == (
            "Scale",
            {"replicas": 2},
            {"replicas": 0, "selector": "a=b"},
        )
        await talk.send("PATCH", f"{path}/d/scale", {"spec": {"replicas": 5}}, MERGE)
        scaled = await talk.send("GET", f"{path}/d")
        assert (scaled["spec"]["replicas"], scaled["metadata"]["generation"]) == (5, 2)
        await talk.send("PUT", f"{path}/d/scale", {**scale, "spec": {"replicas": 1}})
        assert talk.code == 409
        await talk.send("GET", f"{GROUP}/scale")
        assert talk.code == 404

    run(main())


def test_components_write_under_the_same_rules_and_are_audited() -> None:
    async def main() -> None:
        api = server()
        api.create(
            "pods", {**pod("p"), "metadata": {"name": "p", "namespace": "default"}}, user="system:kube-scheduler"
        )
        key = Key("default", "p")

        def running(obj: Obj) -> Obj:
            return {**obj, "status": {**obj["status"], "phase": "Running"}}

        changed = api.update("pods", key, running, user="system:node:n", subresource="status")
        assert changed["status"]["phase"] == "Running"
        with pytest.raises(Refusal) as raised:
            api.update("pods", key, lambda obj: {**obj, "spec": {**obj["spec"], "hostname": "x"}}, user="system:x")
        assert raised.value.code == 422
        assert api.delete("pods", key, user="system:x")
        with pytest.raises(Refusal):
            api.delete("pods", key, user="system:x")
        assert [(entry.user, entry.request.verb.value, entry.code) for entry in list(api.audit)[-4:]] == [
            ("system:kube-scheduler", "create", 201),
            ("system:node:n", "update", 200),
            ("system:x", "update", 422),
            ("system:x", "delete", 200),
        ]

    run(main())


def test_rules_of_our_own_are_asked_as_a_webhook_would_be() -> None:
    async def main() -> None:
        talk = Talk(server())

        def no_fridays(row: Row, obj: Obj, old: Obj | None) -> list[Cause]:
            wrong = row.kind.kind == "ConfigMap" and obj["metadata"]["name"] == "friday"
            return [Cause("FieldValueForbidden", "Forbidden: not today", "metadata.name")] if wrong else []

        talk.server.admission.append(no_fridays)
        refused = await talk.send("POST", CONFIG_MAPS, config_map("friday"))
        assert refused["message"] == 'ConfigMap "friday" is invalid: metadata.name: Forbidden: not today'
        await talk.send("POST", CONFIG_MAPS, config_map("monday"))
        assert talk.code == 201

    run(main())
