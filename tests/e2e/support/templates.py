"""Pod templates and strategic merge patches of them, drawn so that they often meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["patches", "templates"]

Obj = dict[str, Any]
Drawn = st.SearchStrategy[Obj]

_NAMES = ("a", "b", "c")
_TEXTS = st.sampled_from(("", "1", "2", "x y"))
_SMALL_MAPS = st.dictionaries(st.sampled_from(("k1", "k2", "k3")), st.sampled_from(("1", "2")), max_size=3)


def _listed(item: Drawn, key: str, *, least: int = 0, most: int = 3) -> st.SearchStrategy[list[Obj]]:
    return st.lists(item, min_size=least, max_size=most, unique_by=lambda found: found[key])


def _object(required: dict[str, Any], **optional: Any) -> Drawn:
    return st.fixed_dictionaries(required, optional=optional)


_ENV = st.one_of(
    _object({"name": st.sampled_from(("E1", "E2", "E3", "E4"))}, value=_TEXTS),
    _object(
        {"name": st.sampled_from(("E1", "E5")), "valueFrom": st.just({"fieldRef": {"fieldPath": "metadata.name"}})},
    ),
)
_PORT = _object(
    {"containerPort": st.sampled_from((80, 81, 82))},
    protocol=st.sampled_from(("TCP", "UDP")),
    hostIP=st.just("127.0.0.1"),
)
_MOUNT = _object(
    {"mountPath": st.sampled_from(("/m1", "/m2", "/m3")), "name": st.sampled_from(("v1", "v2"))}, readOnly=st.booleans()
)
_PROBE = st.sampled_from(
    (
        {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        {"tcpSocket": {"port": 80}},
        {"exec": {"command": ["true"]}, "failureThreshold": 2},
    )
)
_WORDS = st.lists(st.sampled_from(("p", "q", "r")), max_size=3)
_RESOURCES = st.sampled_from(
    ({"limits": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"cpu": "2"}}, {"requests": {"memory": "1Mi"}})
)
_CONTAINER_FIELDS: Obj = {
    "env": _listed(_ENV, "name", most=4),
    "ports": _listed(_PORT, "containerPort"),
    "volumeMounts": _listed(_MOUNT, "mountPath"),
    "args": _WORDS,
    "command": _WORDS,
    "envFrom": st.lists(st.sampled_from(({"secretRef": {"name": "s"}}, {"configMapRef": {"name": "c"}})), max_size=2),
    "resources": _RESOURCES,
    "readinessProbe": _PROBE,
    "imagePullPolicy": st.sampled_from(("Always", "Never")),
    "securityContext": st.sampled_from(({"runAsUser": 1}, {"capabilities": {"drop": ["ALL"]}, "privileged": False})),
}
_VOLUME = st.one_of(
    *(
        _object({"name": st.sampled_from(("v1", "v2", "v3")), kind: st.just(value)})
        for kind, value in (
            ("emptyDir", {}),
            ("emptyDir", {"medium": "Memory"}),
            ("hostPath", {"path": "/h"}),
            ("configMap", {"name": "c", "items": [{"key": "k", "path": "p"}]}),
            ("secret", {"secretName": "s"}),
        )
    )
)
_SPREAD = _object(
    {
        "topologyKey": st.sampled_from(("zone", "rack")),
        "maxSkew": st.sampled_from((1, 2)),
        "whenUnsatisfiable": st.sampled_from(("DoNotSchedule", "ScheduleAnyway")),
    }
)
_TOLERATION = st.sampled_from(
    (
        {"key": "t1", "operator": "Exists"},
        {"key": "t2", "operator": "Equal", "value": "v", "effect": "NoSchedule"},
        {"operator": "Exists"},
    )
)
_NODE_AFFINITY = {"matchExpressions": [{"key": "k", "operator": "In", "values": ["1"]}]}
_SPEC_FIELDS: Obj = {
    "imagePullSecrets": _listed(_object({"name": st.sampled_from(_NAMES)}), "name"),
    "hostAliases": _listed(
        _object({"ip": st.sampled_from(("10.0.0.1", "10.0.0.2"))}, hostnames=st.lists(st.sampled_from(_NAMES))), "ip"
    ),
    "topologySpreadConstraints": _listed(_SPREAD, "topologyKey", most=2),
    "tolerations": st.lists(_TOLERATION, max_size=2),
    "readinessGates": st.lists(st.sampled_from(({"conditionType": "G1"}, {"conditionType": "G2"})), max_size=2),
    "schedulingGates": _listed(_object({"name": st.sampled_from(("g/1", "g/2"))}), "name"),
    "resourceClaims": _listed(
        _object({"name": st.sampled_from(("r1", "r2")), "resourceClaimName": st.sampled_from(("x", "y"))}), "name"
    ),
    "nodeSelector": _SMALL_MAPS,
    "securityContext": st.sampled_from(({"fsGroup": 1}, {"runAsUser": 2, "supplementalGroups": [1, 2]})),
    "affinity": st.just(
        {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_AFFINITY]},
            }
        }
    ),
    "hostname": st.sampled_from(("h1", "h2")),
    "terminationGracePeriodSeconds": st.sampled_from((0, 5)),
    "dnsConfig": st.sampled_from(({"nameservers": ["1.1.1.1"]}, {"options": [{"name": "ndots", "value": "2"}]})),
}
_META_FIELDS: Obj = {
    "labels": _SMALL_MAPS,
    "annotations": _SMALL_MAPS,
    "finalizers": st.lists(st.sampled_from(("f/1", "f/2", "f/3")), unique=True, max_size=3),
}
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
}


def _containers(prefix: str, *, least: int) -> st.SearchStrategy[list[Obj]]:
    names = st.sampled_from([prefix + name for name in _NAMES])
    return _listed(_object({"name": names, "image": _IMAGES}, **_CONTAINER_FIELDS), "name", least=least)


_IMAGES = st.sampled_from(("i:1", "i:2"))


def templates() -> Drawn:
    """Templates that an API server accepts, nearly always."""
    volumes = [{"name": "v1", "emptyDir": {}}, {"name": "v2", "hostPath": {"path": "/h"}}]
    more = _listed(_VOLUME, "name").map(lambda found: volumes + [item for item in found if item["name"] == "v3"])
    fields = {"containers": _containers("", least=1), "volumes": more}
    spec = _object(fields, initContainers=_containers("i", least=0), **_SPEC_FIELDS)
    return _object({"spec": spec}, metadata=_object({}, **_META_FIELDS))


@st.composite
def patches(draw: st.DrawFn) -> Obj:
    """Patches of templates: changes, additions, nulls and every directive."""
    fields = {"containers": _changed_containers(""), "volumes": _changed_volumes(), **_SPEC_FIELDS}
    fields["initContainers"] = _changed_containers("i")
    patch: Obj = {}
    if draw(st.integers(0, 3)):
        patch["spec"] = _directed(draw, draw(_some(fields)), rarely=9)
    if "spec" not in patch or draw(st.booleans()):
        patch["metadata"] = _directed(draw, draw(_some(_META_FIELDS)), rarely=9)
    return patch


def _some(fields: Obj) -> Drawn:
    """A few of the fields, some of them null."""
    several = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True)
    return several.flatmap(
        lambda names: st.fixed_dictionaries(
            {
                name: st.one_of(st.none(), *[fields[name]] * 5) if name != "containers" else fields[name]
                for name in names
            }
        )
    )


def _changed_containers(prefix: str) -> st.SearchStrategy[list[Obj]]:
    names = st.sampled_from([prefix + name for name in _NAMES])

    @st.composite
    def change(draw: st.DrawFn) -> Obj:
        image = draw(st.one_of(st.just({}), st.just({}), _IMAGES.map(lambda text: {"image": text})))
        return _directed(draw, {"name": draw(names), **image, **draw(_some(_CONTAINER_FIELDS))}, rarely=12)

    return _listed(change(), "name", least=1)


def _changed_volumes() -> st.SearchStrategy[list[Obj]]:
    @st.composite
    def change(draw: st.DrawFn) -> Obj:
        found: Obj = draw(_VOLUME)
        if draw(st.integers(0, 2)):
            found = {**found, "$retainKeys": draw(st.permutations(sorted(found)))}
        return found

    return _listed(change(), "name", least=1)


def _directed(draw: st.DrawFn, patch: Obj, *, rarely: int) -> Obj:
    """The patch with directives for some of its lists and objects, and rarely for itself."""
    found: Obj = {}
    for name, value in patch.items():
        found[name] = value
        if isinstance(value, list) and name in _KEYS:
            found |= _directed_list(draw, name, value, _KEYS[name])
        elif name == "finalizers" and isinstance(value, list) and draw(st.booleans()):
            del found[name]
            found[f"$deleteFromPrimitiveList/{name}"] = value
        elif isinstance(value, dict) and draw(st.integers(0, 3)) == 0:
            found[name] = {**value, "$patch": draw(st.sampled_from(("replace", "delete", "merge")))}
    if draw(st.integers(0, rarely)) == 0:
        found["$retainKeys"] = sorted({name for name in found if not name.startswith("$")} | {"name", "image"})
    return found


def _directed_list(draw: st.DrawFn, name: str, items: list[Obj], key: str) -> Obj:
    found: Obj = {name: items}
    match draw(st.integers(0, 8)):
        case 0 if items:
            removed = {key: items[0][key], "$patch": "delete"}
            found[name] = [removed, *items[1:]]
        case 1:
            found[name] = [*items, {"$patch": "replace"}]
        case 2 if items:
            found[name] = [{**items[0], "$patch": "merge"}, *items[1:]]
        case 3 | 4:
            others = [{key: value} for value in draw(st.permutations(_others(name, items, key)))]
            order = [{key: item[key]} for item in items]
            place = draw(st.integers(0, len(order)))
            found[f"$setElementOrder/{name}"] = order[:place] + others + order[place:]
        case _:
            pass
    return found


def _others(name: str, items: list[Obj], key: str) -> list[Any]:
    """Keys that the patch does not mention and the template may have."""
    known: dict[str, tuple[Any, ...]] = {
        "containers": _NAMES,
        "initContainers": tuple("i" + item for item in _NAMES),
        "volumes": ("v1", "v2", "v3"),
        "env": ("E1", "E2", "E3", "E4", "E5"),
        "ports": (80, 81, 82),
        "volumeMounts": ("/m1", "/m2", "/m3"),
        "imagePullSecrets": _NAMES,
        "hostAliases": ("10.0.0.1", "10.0.0.2"),
        "topologySpreadConstraints": ("zone", "rack"),
        "schedulingGates": ("g/1", "g/2"),
        "resourceClaims": ("r1", "r2"),
    }
    mentioned = {item.get(key) for item in items}
    return [value for value in known[name] if value not in mentioned]
