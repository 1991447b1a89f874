"""What objects of one set of files say about each other, and what is said about nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import labels, names
from rbgctrl.cli.validate.item import Item, mapping, sequence
from rbgctrl.cli.validate.keys import RENAMED

__all__ = ["check", "is_about_us"]

_FAMILY: Final = "workloads.x-k8s.io/"
_ON_PODS: Final = frozenset(
    (
        labels.GROUP_NAME,
        labels.ROLE_NAME,
        labels.GROUP_UID,
        labels.GROUP_UNIQUE_HASH,
        labels.ROLE_ID,
        labels.ROLE_INSTANCE_NAME,
        labels.ROLE_INSTANCE_INDEX,
        labels.COMPONENT_NAME,
        labels.COMPONENT_ID,
        labels.COMPONENT_INDEX,
        labels.COMPONENT_SIZE,
        labels.WARMUP_NAME,
        labels.WARMUP_NODE,
        labels.WARMUP_UID,
    )
)
"""Labels of our families that pods have."""
_BY_OTHERS: Final = frozenset(
    (labels.STATEFUL_POD_NAME, labels.CONTROLLER_REVISION_HASH, labels.APPS_POD_INDEX, labels.GANG_POD_GROUP)
)
_CHILDREN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A group that will exist, written as such or made by a set; ``spec`` is as stored."""

    namespace: str
    name: str
    spec: Mapping[str, Any]

    def roles(self) -> dict[str, Mapping[str, Any]]:
        found = (mapping(role) for role in sequence(self.spec.get("roles")))
        return {role["name"]: role for role in found if isinstance(role.get("name"), str)}


class _Known:
    """The groups of the files."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._groups = {(group.namespace, group.name): group for item in items for group in _groups(item)}

    @property
    def any(self) -> bool:
        return bool(self._groups)

    def group(self, item: Item, name: Any) -> _Group | None:
        return self._groups.get((item.namespace, name)) if isinstance(name, str) else None

    def names(self, item: Item) -> str:
        """Names of the groups in an object's namespace, for people."""
        found = sorted(name for namespace, name in self._groups if namespace == item.namespace)
        shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        where = f"namespace {item.namespace}" if item.namespace else "the files without namespace"
        return f"the groups of {where} are {shown}" if found else f"there are no groups in {where}"


def _groups(item: Item) -> list[_Group]:
    if item.kind == "RoleBasedGroup" and item.name:
        return [_Group(namespace=item.namespace, name=item.name, spec=item.spec)]
    if item.kind != "RoleBasedGroupSet" or not item.name:
        return []
    replicas = item.spec.get("replicas")
    count = min(replicas, _CHILDREN_MAX) if isinstance(replicas, int) else 0
    spec = mapping(mapping(item.spec.get("groupTemplate")).get("spec"))
    found = (names.group_in_set(item.name, index) for index in range(count))
    return [_Group(namespace=item.namespace, name=name, spec=spec) for name in found]


def check(items: Sequence[Item], services: Sequence[Item]) -> None:
    """Warn of references to nobody; silent where the files hold no group to compare with.

    Args:
        items: objects of our kinds; get issues.
        services: Services that select by our labels; get issues.
    """
    known = _Known(items)
    _twice((*items, *services))
    for item in items:
        if known.any:
            match item.kind:
                case "CoordinatedPolicy":
                    _policy(item, known)
                case "RoleBasedGroupScalingAdapter":
                    _adapter(item, known)
                case "PlacementPolicy":
                    _placement(item, known)
                case "RoleBasedGroupWarmup":
                    _warmup(item, known)
    for service in services:
        _service(service, known)


def _twice(items: Iterable[Item]) -> None:
    seen: dict[tuple[str, ...], Item] = {}
    for item in items:
        if not item.name:
            continue
        key = (item.api_version.partition("/")[0], item.kind, item.namespace, item.name)
        first = seen.setdefault(key, item)
        if first is not item:
            place = f"{first.file}:{first.node.line}"
            item.warn("metadata.name", f"is the name of the object at {place}, too; the last one wins", "twice")


# Kinds ----------------------------------------------------------------------------------------------------------------


def _policy(item: Item, known: _Known) -> None:
    group = known.group(item, item.name)
    if group is None:
        message = f"is no group's name, so the policy applies to nobody; {known.names(item)}"
        item.warn("metadata.name", message, "policy-name")
        return
    for index, rule in enumerate(sequence(item.spec.get("policies"))):
        for place, name in enumerate(sequence(mapping(rule).get("roles"))):
            _role(item, f"spec.policies[{index}].roles[{place}]", group, name)


def _adapter(item: Item, known: _Known) -> None:
    target = mapping(item.spec.get("scaleTargetRef"))
    group = _target(item, "spec.scaleTargetRef.name", target.get("name"), known)
    if group is not None:
        _role(item, "spec.scaleTargetRef.role", group, target.get("role"))


def _placement(item: Item, known: _Known) -> None:
    chosen = []
    for index, name in enumerate(sequence(item.spec.get("groupNames"))):
        group = _target(item, f"spec.groupNames[{index}]", name, known)
        chosen += [group] if group is not None else []
    if item.spec.get("selector") is not None or not chosen:
        return  # the labels of groups may change
    roles = {name for group in chosen for name in group.roles()}
    places = {f"spec.roles.{name}": name for name in mapping(item.spec.get("roles"))}
    for index, cell in enumerate(sequence(item.spec.get("cells"))):
        places |= {f"spec.cells[{index}].roles.{name}": name for name in mapping(mapping(cell).get("roles"))}
    for path, name in places.items():
        if name not in roles:
            item.warn(path, f"{name} is no role of the groups it selects", "unknown-role")


def _warmup(item: Item, known: _Known) -> None:
    target = mapping(item.spec.get("targetRoleBasedGroup"))
    if not target:
        return
    group = _target(item, "spec.targetRoleBasedGroup.name", target.get("name"), known)
    for name in mapping(target.get("roles")) if group is not None else ():
        if group is not None:
            _role(item, f"spec.targetRoleBasedGroup.roles.{name}", group, name)


def _target(item: Item, path: str, name: Any, known: _Known) -> _Group | None:
    group = known.group(item, name)
    if group is None:
        item.warn(path, f"{name} is no group of these files; {known.names(item)}", "unknown-group")
    return group


def _role(item: Item, path: str, group: _Group, name: Any) -> None:
    roles = group.roles()
    if roles and name not in roles:
        message = f"{name} is no role of group {group.name}; it has {', '.join(sorted(roles))}"
        item.warn(path, message, "unknown-role")


# Services -------------------------------------------------------------------------------------------------------------


def is_about_us(item: Item) -> bool:
    """Whether an object is a Service that selects by labels of our families."""
    return any(_FAMILY in key for key in _selector(item))


def _selector(item: Item) -> Mapping[str, Any]:
    return mapping(mapping(item.body.get("spec")).get("selector"))


def _service(item: Item, known: _Known) -> None:
    selector = _selector(item)
    for key in selector:
        if _FAMILY in key and key not in _ON_PODS | _BY_OTHERS:
            now = RENAMED.get(key)
            hint = f"; write {now}" if now else ""
            item.warn(f"spec.selector[{key}]", f"is a label that no pod has{hint}", "selects-nobody")
    group = known.group(item, selector.get(labels.GROUP_NAME))
    if labels.GROUP_NAME not in selector or not known.any:
        return
    if group is None:
        name = selector[labels.GROUP_NAME]
        message = f"{name} is no group of these files, so nobody is selected; {known.names(item)}"
        item.warn(f"spec.selector[{labels.GROUP_NAME}]", message, "selects-nobody")
        return
    roles = group.roles()
    wanted = selector.get(labels.ROLE_NAME)
    if wanted is not None:
        _role(item, f"spec.selector[{labels.ROLE_NAME}]", group, wanted)
        roles = {name: role for name, role in roles.items() if name == wanted}
    pods = [pod for name, role in roles.items() for pod in _pods(group, name, role)]
    written = [key for key in selector if key == labels.COMPONENT_NAME or not (_FAMILY in key or key in _BY_OTHERS)]
    for key in written:
        if pods and not any(pod.get(key) == selector[key] for pod in pods):
            message = f"{selector[key]} is a value that no pod of group {group.name} has for this label"
            item.warn(f"spec.selector[{key}]", message, "selects-nobody")


def _pods(group: _Group, name: str, role: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Labels of each kind of pod of a role, as far as they are written down."""
    if custom := sequence(mapping(role.get("customComponentsPattern")).get("components")):
        return [
            {
                **_labels(mapping(component).get("template")),
                **mapping(mapping(component).get("labels")),
                labels.COMPONENT_NAME: mapping(component).get("name"),
            }
            for component in custom
        ]
    leader_worker = mapping(role.get("leaderWorkerPattern"))
    pattern = leader_worker or mapping(role.get("standalonePattern"))
    base = _labels(pattern.get("template"))
    reference = mapping(pattern.get("templateRef"))
    for entry in sequence(group.spec.get("roleTemplates")):
        if reference and mapping(entry).get("name") == reference.get("name"):
            base = {**base, **_labels(mapping(entry).get("template")), **_labels(reference.get("patch"))}
    if not leader_worker:
        return [{**base, labels.COMPONENT_NAME: name}]
    return [
        {**base, **_labels(leader_worker.get(f"{component}TemplatePatch")), labels.COMPONENT_NAME: component}
        for component in (labels.LEADER_COMPONENT, labels.WORKER_COMPONENT)
    ]


def _labels(template: Any) -> dict[str, Any]:
    return dict(mapping(mapping(mapping(template).get("metadata")).get("labels")))
