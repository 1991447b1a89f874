"""Our objects against the ones the upstream controller made of the same manifests; each difference is spelled out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import pytest

from golden import SCENARIOS, Revision, scenario
from rbgctrl.api import labels, names

from .recorded import KINDS, Case, case

PLAYED: Final = tuple(name for name in SCENARIOS if scenario(name).of("RoleBasedGroup"))
PENDING: Final = {
    "exclusive": frozenset(("excl-engine-0",)),  # could not be scheduled
    "rich": frozenset(("rich-all-0",)),  # was refused by the API server
}
EVERYWHERE: Final = "*"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A difference that is meant.

    Attributes:
        scenarios: where it occurs, with spaces, or everywhere.
        kind: of the object.
        path: of the field, a regular expression.
        why: in a few words; docs/compat.md says more.
    """

    scenarios: str
    kind: str
    path: str
    why: str

    def covers(self, scenario: str, kind: str, path: str) -> bool:
        """Whether it allows that difference."""
        here = self.scenarios == EVERYWHERE or scenario in self.scenarios.split()
        return here and kind == self.kind and re.fullmatch(self.path, path) is not None


def _annotation(key: str) -> str:
    return re.escape(f"metadata.annotations.{key}")


def _label(key: str) -> str:
    return re.escape(f"metadata.labels.{key}")


_OWN_IDENTITY = f"({re.escape(labels.ROLE_INSTANCE_INDEX)}|{re.escape(labels.STATEFUL_POD_NAME)})"
_SEVERAL = "leader-worker policy runtime standalone templates"
"""Scenarios with several instances of one stateful set."""

ALLOWED: Final = (
    # Stamps against old views, of everything that is made for somebody.
    *(
        Allowed(EVERYWHERE, kind, _annotation(labels.OWNER_GENERATION), "old views are not acted on")
        for kind in ("RoleInstanceSet", "RoleInstance", "Pod")
    ),
    *(
        Allowed("workloads v1alpha1", kind, _annotation(labels.OWNER_GENERATION), "old views are not acted on")
        for kind in ("Deployment", "StatefulSet")
    ),
    Allowed("workloads", "LeaderWorkerSet", _annotation(labels.OWNER_GENERATION), "old views are not acted on"),
    Allowed(
        "components v1alpha1",
        "RoleBasedGroupScalingAdapter",
        _annotation(labels.OWNER_GENERATION),
        "old views are not acted on",
    ),
    # Identity.
    Allowed(EVERYWHERE, "RoleInstance", _label(labels.ROLE_ID), "RoleID"),
    Allowed(EVERYWHERE, "Pod", _label(labels.ROLE_ID), "RoleID"),
    Allowed(EVERYWHERE, "Pod", "metadata.generateName", "the name is fixed"),
    Allowed("components", "RoleInstance", "metadata.generateName", "the name is fixed"),
    Allowed(
        _SEVERAL,
        "RoleInstance",
        rf"spec\.components\[\]\.template\.metadata\.labels\.{_OWN_IDENTITY}",
        "instances carry their own ordinal",
    ),
    Allowed(_SEVERAL, "RoleInstance", r"status\.(current|update)Revision", "which their revisions are made of"),
    Allowed(_SEVERAL, "Pod", rf"metadata\.labels\.{_OWN_IDENTITY}", "instances carry their own ordinal"),
    Allowed(_SEVERAL, "Pod", _label(labels.CONTROLLER_REVISION_HASH), "which their revisions are made of"),
    # Discovery and Services.
    Allowed(EVERYWHERE, "ConfigMap", _label(labels.GROUP_NAME), "only our ConfigMaps are watched"),
    Allowed(EVERYWHERE, "ConfigMap", r"data\.config\.yaml\.topology", "addresses of every pod"),
    Allowed(
        "components exclusive rich runtime",
        "Service",
        _annotation(labels.ROLE_ANNOTATIONS),
        "what a role loses leaves the Service",
    ),
    # Status.
    Allowed(EVERYWHERE, "RoleBasedGroup", r"status\.conditions\.(Progressing|Degraded)", "says what is going on"),
    Allowed("exclusive rich", "RoleBasedGroup", r"status\.conditions\.Ready\.message", "says what is missing"),
    Allowed(
        "standalone", "RoleInstanceSet", r"status\.availableReplicas", "status writes do not restart minReadySeconds"
    ),
    Allowed("exclusive", "RoleInstance", r"status\.conditions\..*\.message", "says which pod"),
    # Exclusive topology.
    Allowed(
        "exclusive",
        "RoleInstanceSet",
        re.escape(f"spec.roleInstanceTemplate.components[].template.metadata.labels.{labels.GROUP_UNIQUE_HASH}"),
        "pods carry the label that their affinity selects",
    ),
    Allowed("exclusive", "RoleInstanceSet", r"status\.(current|update)Revision", "so the revision is another one"),
    Allowed(
        "exclusive",
        "RoleInstance",
        re.escape(f"spec.components[].template.metadata.labels.{labels.GROUP_UNIQUE_HASH}"),
        "pods carry the label that their affinity selects",
    ),
    Allowed("exclusive", "RoleInstance", _label(labels.CONTROLLER_REVISION_HASH), "so the revision is another one"),
    Allowed("exclusive", "RoleInstance", r"status\.(current|update)Revision", "so the revision is another one"),
    Allowed("exclusive", "Pod", _label(labels.GROUP_UNIQUE_HASH), "pods carry the label that their affinity selects"),
    Allowed("exclusive", "Pod", _label(labels.CONTROLLER_REVISION_HASH), "so the revision is another one"),
    # In-place scheduling and engine runtimes.
    Allowed(
        "exclusive runtime",
        "RoleInstanceSet",
        _annotation(labels.PREFIX_NODE) + ".*",
        "where pods ran survives a restart of the controller",
    ),
    Allowed("runtime", "RoleInstanceSet", _annotation(labels.RUNTIME_PROFILES), "NoUpdate pins the content"),
    # Stateless instances.
    Allowed("components", "RoleInstance", _annotation(labels.INSTANCE_LIFECYCLE_TIMESTAMP), "another moment"),
    Allowed("components", "RoleInstance", r"spec\.readinessGates", "the gate comes with in-place updates"),
    Allowed(
        "components",
        "RoleInstance",
        r"status\.conditions\.RoleInstanceInPlaceUpdateReady\..*",
        "the gate comes with in-place updates",
    ),
    Allowed("components", "RoleInstanceSet", r"status\.labelSelector", "pods carry what it selects"),
    Allowed(
        "components v1alpha1",
        "RoleBasedGroupScalingAdapter",
        r"status\.selector",
        "selects pods, one for each instance",
    ),
    # Other workloads.
    *(
        Allowed("workloads v1alpha1", kind, _annotation(labels.TEMPLATE_HASH), "what the server fills in is no change")
        for kind in ("Deployment", "StatefulSet")
    ),
    Allowed("workloads", "LeaderWorkerSet", _annotation(labels.TEMPLATE_HASH), "what the server fills in is no change"),
    # Sets of groups.
    Allowed("set", "RoleBasedGroup", _annotation(labels.DISCOVERY_MODE), "the set leaves it alone"),
    Allowed("set", "RoleBasedGroup", _annotation(labels.GROUPSET_TEMPLATE), "groups are updated one after the other"),
    Allowed("set", "RoleBasedGroup", _annotation(labels.OWNER_GENERATION), "old views are not acted on"),
    Allowed(
        "set",
        "RoleBasedGroupSet",
        r"status\.(observedGeneration|conditions\.(Progressing|Ready\.(message|observedGeneration)))",
        "says what is going on, and about which spec",
    ),
    # Not there yet.
    Allowed("policy", "RoleInstanceSet", r"spec\.updateStrategy\.maxUnavailable", "policies are not acted on yet"),
    Allowed("policy", "RoleInstanceSet", r"status\.observedGeneration", "which scale in steps, too"),
    # This world has no API server that refuses the pod.
    Allowed("rich", "RoleInstance", r"status\.componentStatuses\[\]\.(size|updatedReplicas)", "the pod is not refused"),
    Allowed("rich", "RoleInstance", r"status\.conditions\.FailedScale\..*", "the pod is not refused"),
    Allowed("rich", "RoleInstance", r"status\.conditions\.RoleInstance.*\.(message|reason)", "the pod is not refused"),
)


@pytest.fixture(params=PLAYED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _case(name: str) -> Case:
    return case(name, PENDING.get(name, frozenset()))


def _found(name: str) -> list[tuple[str, str, str]]:
    """Every difference: kind, name of the object, path."""
    played = _case(name)
    return [
        (kind, item, path)
        for kind, objects in played.theirs.items()
        for item in objects
        if item in played.names(kind)
        for path in sorted(played.different(kind, item))
    ]


def test_the_same_objects_are_made(name: str) -> None:
    played = _case(name)
    theirs = {kind: sorted(played.theirs.get(kind, ())) for kind in KINDS}
    if name == "rich":
        theirs["Pod"] = sorted(PENDING[name])
    assert {kind: played.names(kind) for kind in KINDS} == theirs


def test_objects_are_those_upstream_makes_but_for_documented_differences(name: str) -> None:
    unexpected = [
        (kind, item, path)
        for kind, item, path in _found(name)
        if not any(allowed.covers(name, kind, path) for allowed in ALLOWED)
    ]
    assert unexpected == []


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: f"{allowed.kind}: {allowed.path}")
def test_every_allowed_difference_is_there(allowed: Allowed) -> None:
    scenarios = PLAYED if allowed.scenarios == EVERYWHERE else allowed.scenarios.split()
    missing = [
        name
        for name in scenarios
        if allowed.kind in _case(name).theirs
        and not any(allowed.covers(name, kind, path) for kind, _, path in _found(name))
    ]
    assert missing == []
    assert any(allowed.kind in _case(name).theirs for name in scenarios)


def test_the_discovery_file_begins_with_what_upstream_writes(name: str) -> None:
    for body in scenario(name).of("ConfigMap"):
        theirs = body["data"]["config.yaml"]
        ours = _case(name).text("ConfigMap", body["metadata"]["name"])["config.yaml"]
        assert ours.startswith(theirs)


def test_pods_are_told_their_role_id_and_for_the_rest_what_upstream_tells_them(name: str) -> None:
    played = _case(name)
    for item in played.names("Pod"):
        ours = played.raw("Pod", item)
        told = {"name": labels.ENV_ROLE_ID, "value": ours["metadata"]["labels"][labels.ROLE_ID]}
        for container in ours["spec"]["containers"]:
            assert container["env"].count(told) == 1
            assert [variable["name"] for variable in container["env"]].count(labels.ENV_ROLE_ID) == 1


# Revisions ------------------------------------------------------------------------------------------------------------


def _of_another_ordinal(revision: Revision) -> bool:
    """Whether the recorded revision of an instance carries the identity of another one, which is upstream's defect."""
    if revision.owner != "RoleInstance":
        return False
    components: list[dict[str, Any]] = json.loads(revision.data)["spec"]["components"]
    told = {component["template"]["metadata"]["labels"].get(labels.STATEFUL_POD_NAME) for component in components}
    return not told <= {None, revision.name.rpartition("-")[0]}


def _of_another_template(revision: Revision) -> bool:
    """Whether it is of an exclusive role, whose pods lack the label that they select."""
    return revision.owner != "RoleBasedGroup" and labels.GROUP_EXCLUSIVE_TOPOLOGY in revision.data


def test_the_recorded_revision_bytes_are_what_is_sent(name: str) -> None:
    played = _case(name)
    stored, sent = played.our_revisions(), played.sent()
    compared = 0
    for revision in played.revisions:
        if _of_another_ordinal(revision) or _of_another_template(revision):
            assert revision.name not in stored, "a difference that is none"
            continue
        assert stored[revision.name]["revision"] == revision.revision
        assert stored[revision.name]["metadata"]["labels"] == revision.labels
        assert sent[revision.name] == revision.data.encode()
        compared += 1
    assert compared >= 1
    assert len(stored) == len(played.revisions)


def test_the_hash_of_an_exclusive_role_differs_by_the_label_alone() -> None:
    (theirs,) = (item for item in _case("exclusive").revisions if item.name.startswith("excl-engine-5"))
    (ours,) = (data for name, data in _case("exclusive").sent().items() if re.fullmatch(r"excl-engine-\w{6,}", name))
    hashed = names.group_uid("golden", "excl")
    assert ours.decode().replace(f'"{labels.GROUP_UNIQUE_HASH}":"{hashed}",', "") == theirs.data
