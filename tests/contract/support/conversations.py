"""Requests drawn by chance, and transcripts of their answers that two servers can be compared by."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from hypothesis import strategies as st

from contract.support.api import Api, Kind, Obj
from contract.support.bodies import group, instance_set, metadata, pod, role, service
from rbgctrl.api.core import ConfigMap, Lease, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.client import ApiStatusError, PatchType

__all__ = ["Step", "Transcript", "held", "steps"]

Transcript: TypeAlias = list[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    Attributes:
        verb: ``create``, ``apply``, ``merge``, ``json``, ``strategic``, ``replace``, ``delete``, ``get`` or ``list``.
        kind: of what.
        name: of which.
        manager: by whom.
        body: what is sent; for a replace, a merge patch of the object as the case saw it last.
        options: of the verb.
    """

    verb: str
    kind: Kind
    name: str
    manager: str
    body: Any = None
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        options = "".join(f" {name}={value}" for name, value in self.options)
        body = "" if self.body is None else " " + msgspec.json.encode(self.body).decode()
        return f"{self.manager}: {self.verb} {self.kind.__name__}/{self.name}{options}{body}"


# -- drawing -----------------------------------------------------------------------------------------------------------

_LABELS = st.sampled_from([{}, {"x": "1"}, {"x": "2"}, {"x": "1", "y": "1"}, {"y": "2"}, {"x": "not ok"}])
_ANNOTATIONS = st.sampled_from([None, {}, {"example.com/a": "1"}, {"example.com/b": "2"}])
_FINALIZERS = st.sampled_from([None, None, None, [], ["example.com/f"], ["example.com/f", "example.com/g"]])
_PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": 8081}]
_UNSCHEDULED = {"schedulerName": "nobody"}
_VARIABLE = {"name": "A", "value": "1"}
_PARTS: dict[Kind, list[Obj]] = {
    ConfigMap: [
        {"data": {"a": "1"}},
        {"data": {"a": "2", "b": "1"}},
        {"data": {"b": "2"}},
        {},
        {"immutable": False},
        {"data": {}},
    ],
    Lease: [
        {"spec": {"holderIdentity": "a"}},
        {"spec": {"holderIdentity": "b", "leaseDurationSeconds": 15}},
        {"spec": {}},
        {"spec": {"leaseDurationSeconds": -1}},
    ],
    Service: [
        {"spec": {"clusterIP": "None", "selector": {"a": "1"}, "ports": _PORTS}},
        {"spec": {"clusterIP": "None", "selector": {"a": "2"}, "ports": _PORTS[1:]}},
        {"spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"b": "1"}}},
        {"spec": service("x")["spec"] | {"clusterIP": "None", "selector": {"a": "1"}}},
    ],
    Pod: [
        {"spec": pod("x")["spec"]},
        {"spec": pod("x", {"nodeName": "nowhere"})["spec"]},
        {"spec": {"containers": [{"name": "main", "image": "i:2"}], **_UNSCHEDULED}},
        {"spec": {"containers": [{"name": "side", "image": "i:1", "env": [_VARIABLE]}], **_UNSCHEDULED}},
        {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}], **_UNSCHEDULED}},
        {"spec": {**pod("x")["spec"], "activeDeadlineSeconds": 100}},
        {"spec": {"activeDeadlineSeconds": 50, "tolerations": []}},
    ],
    RoleBasedGroup: [
        {"spec": group("x", role("one"), role("two", 2))["spec"]},
        {"spec": {"roles": [{"name": "one", "replicas": 3}]}},
        {"spec": {"roles": [{"name": "two"}, {"name": "three", "labels": {"a": "1"}}]}},
        {"spec": {"roles": [{"name": "one", "servicePorts": [{"port": 80}], "annotations": {"a": "1"}}]}},
        {"spec": {"roles": [{"name": "one", "rolloutStrategy": {"rollingUpdate": {"maxSurge": "10%"}}}]}},
        {"spec": {"roles": [{"name": "one", "replicas": -1}]}},
        {"spec": {"roles": [{"name": "one", "surplus": 1}], "more": {}}},
        {"spec": {"roles": [{"name": "one"}, {"name": "one"}]}},
        {"spec": {"roles": []}},
    ],
    RoleInstanceSet: [
        {"spec": instance_set("x")["spec"]},
        {"spec": {"replicas": 3, "roleInstanceTemplate": {"a": {"b": [1, 2]}}}},
        {"spec": {"roleInstanceTemplate": {"a": {"c": 1}}, "updateStrategy": {"maxSurge": 1}}},
        {"spec": {"selector": {"matchLabels": {"a": "1"}}, "podManagementPolicy": "OrderedReady"}},
    ],
}
_COUNTS = (
    "replicas",
    "readyReplicas",
    "availableReplicas",
    "currentReplicas",
    "updatedReplicas",
    "updatedReadyReplicas",
)
_STATUSES: dict[Kind, list[Obj]] = {
    Pod: [
        {"phase": "Running"},
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}, {"type": "y/z", "status": "True"}]},
    ],
    RoleBasedGroup: [
        {"observedGeneration": 1, "roleStatuses": []},
        {"roleStatuses": [{"name": "one", "replicas": 1, "readyReplicas": 0, "updatedReplicas": 1}]},
        {"observedGeneration": 2},
    ],
    RoleInstanceSet: [dict.fromkeys(_COUNTS, 1), {"labelSelector": "a=b"}, {"readyReplicas": 2}],
}
_KINDS: list[Kind] = list(_PARTS)
_JSON_PATCHES: list[list[Obj]] = [
    [{"op": "add", "path": "/metadata/labels", "value": {"j": "1"}}],
    [{"op": "add", "path": "/metadata/labels/k", "value": "2"}],
    [{"op": "remove", "path": "/metadata/labels/x"}],
    [{"op": "test", "path": "/metadata/labels/x", "value": "1"}, {"op": "remove", "path": "/metadata/labels"}],
    [{"op": "remove", "path": "/metadata/finalizers"}],
    [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/j"}],
]


@st.composite
def _bodies(draw: st.DrawFn, kind: Kind) -> Obj:
    meta: Obj = {}
    labels, annotations, finalizers = draw(_LABELS), draw(_ANNOTATIONS), draw(_FINALIZERS)
    meta |= {"labels": labels} if labels else {}
    meta |= {"annotations": annotations} if annotations is not None else {}
    meta |= {"finalizers": finalizers} if finalizers is not None else {}
    return {**draw(st.sampled_from(_PARTS[kind])), "metadata": meta}


@st.composite
def _step(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(_KINDS))
    name, manager = draw(st.sampled_from("ab")), draw(st.sampled_from(["us", "them"]))
    verbs = ["create", "apply", "apply", "apply", "merge", "json", "replace", "delete", "get", "list"]
    verbs += ["strategic"] if kind in (ConfigMap, Lease, Service, Pod) else []
    verbs += ["status"] * 2 if kind in _STATUSES else []
    verb = draw(st.sampled_from(verbs))
    if verb == "status":
        status = draw(st.sampled_from(_STATUSES[kind]))
        how = draw(st.sampled_from(["merge", "apply", *(["strategic"] if kind is Pod else [])]))
        return Step(how, kind, name, manager, {"status": status}, (("subresource", "status"),))
    if verb == "create":
        body = draw(_bodies(kind))
        return Step(verb, kind, name, manager, {**body, "metadata": {**body["metadata"], "name": name}})
    if verb == "apply":
        body = draw(_bodies(kind))
        if kind in (RoleBasedGroup, RoleInstanceSet):
            # Written again each time if the real server's cache is up to date, else not: test_apply.py has it alone.
            body["metadata"] = {name: item for name, item in body["metadata"].items() if item}
        return Step(verb, kind, name, manager, body, (("force", draw(st.booleans())),))
    if verb in ("merge", "strategic", "replace"):
        return Step(verb, kind, name, manager, draw(_bodies(kind)))
    if verb == "json":
        return Step(verb, kind, name, manager, draw(st.sampled_from(_JSON_PATCHES)))
    if verb == "list":
        selector = draw(st.sampled_from(["x", "x=1", "x!=1", "y in (1,2)", "!x"]))
        return Step(verb, kind, "", manager, None, (("labelSelector", selector),))
    return Step(verb, kind, name, manager)


def steps(count: int) -> st.SearchStrategy[list[Step]]:
    """Conversations of ``count`` steps."""
    return st.lists(_step(), min_size=count, max_size=count)


# -- holding -----------------------------------------------------------------------------------------------------------

_PATCHES = {"merge": PatchType.MERGE, "json": PatchType.JSON, "strategic": PatchType.STRATEGIC}


async def held(api: Api, conversation: Sequence[Step]) -> Transcript:
    """Hold a conversation; what was answered, and in the end what is there, without what differs from run to run."""
    seen: dict[tuple[Kind, str], Obj] = {}
    answers: Transcript = []
    for step in conversation:
        try:
            answer = await _ask(api.manager(step.manager), step, seen)
        except ApiStatusError as error:
            answers.append({"refused": error.status, "reason": error.reason, "message": error.message})
            continue
        answers.append(answer)
        if answer.get("kind") == step.kind.KIND.kind:
            seen[step.kind, step.name] = answer
    for kind in _KINDS:
        items = (await api.list(kind))["items"]
        answers.append([item for item in items if item["metadata"]["name"] != "kube-root-ca.crt"])
    return _Namer(api.namespace).named(answers)  # type: ignore[no-any-return]  # a list stays a list


async def _ask(api: Api, step: Step, seen: dict[tuple[Kind, str], Obj]) -> Obj:
    options: dict[str, Any] = dict(step.options)
    match step.verb:
        case "create":
            return await api.create(step.kind, step.body)
        case "apply":
            return await api.apply(step.kind, step.name, step.body, **options)
        case "merge" | "json" | "strategic":
            return await api.patch(step.kind, step.name, step.body, type=_PATCHES[step.verb], **options)
        case "replace":
            last = copy.deepcopy(seen.get((step.kind, step.name), {"metadata": metadata(step.name)}))
            last["metadata"] |= step.body["metadata"]
            return await api.replace(step.kind, step.name, {**last, **step.body, "metadata": last["metadata"]})
        case "delete":
            return await api.delete(step.kind, step.name)
        case "get":
            return await api.get(step.kind, step.name)
    found = await api.list(step.kind, **options)
    return {"items": [item for item in found["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]}


_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class _Namer:
    """Calls uids and versions by the order in which they appear, and all times alike."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._uids: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def named(self, value: Any, field: str = "") -> Any:
        """A value without what differs from run to run."""
        if isinstance(value, dict):
            return {name: self.named(item, name) for name, item in value.items()}
        if isinstance(value, list):
            found = [self.named(item) for item in value]
            if field == "managedFields":  # sorted by time, among others
                found.sort(key=lambda item: (item["manager"], item["operation"], item.get("subresource", "")))
            return found
        if not isinstance(value, str):
            return value
        if field == "resourceVersion":
            return self._versions.setdefault(value, f"version {len(self._versions)}")
        if field == "message":
            if "pod updates may not change fields" in value:
                value = value.partition("\n")[0]  # what follows shows both specs as Go prints them
            value = _sorted_parts(value)
        value = value.replace(self._namespace, "NAMESPACE")
        value = _UID.sub(lambda found: self._uids.setdefault(found[0], f"uid {len(self._uids)}"), value)
        return _TIME.sub("TIME", value)


def _sorted_parts(message: str) -> str:
    """A refusal for several reasons, with the reasons in a fixed order: Go walks maps in any."""
    head, _, rest = message.partition("is invalid: [")
    return f"{head}is invalid: {sorted(re.split(r', (?=[a-z]+[.:])', rest.removesuffix(']')))}" if rest else message
