"""Histories of a group: what people do to one, in sequences of steps.

Every sequence ends with a group that this version can run, so that the whole of it can be judged; in between there may
be anything, also what the API server refuses. The API has no field that suspends a group; scaling to zero is what there
is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from rbgctrl.api.names import is_dns_label
from rbgctrl.sim.crds import RULES
from rbgctrl.sim.mutation.schemas import Overrides, from_schema
from rbgctrl.sim.oracles.steps import Step
from rbgctrl.sim.oracles.verdict import group_row, verdict

__all__ = ["BREAKING", "MUTATIONS", "edited", "groups", "mended", "pod_templates", "sequences"]

Obj: TypeAlias = dict[str, Any]
Mutation: TypeAlias = Callable[[DrawFn, Obj], None]
"""Changes a group in place."""

NAMES: Final = ("router", "prefill", "decode", "cache", "embed")
GHOST: Final = "ghost"
_IMAGES: Final = tuple(f"registry.example/engine:{number}" for number in (1, 2, 3))
_WAITS: Final = (None, None, 0.0, 0.3, 1.0, 1.5, 4.0, 30.0)
_MOST_ROLES: Final = 4


# Groups ---------------------------------------------------------------------------------------------------------------


@st.composite
def pod_templates(draw: DrawFn) -> Obj:
    """Pod templates that every API server takes."""
    container: Obj = {"name": "main", "image": draw(st.sampled_from(_IMAGES))}
    if draw(st.booleans()):
        container["env"] = [{"name": "MODE", "value": draw(st.sampled_from(("fast", "exact")))}]
    if draw(st.booleans()):
        container["resources"] = {"requests": {"cpu": draw(st.sampled_from(("100m", "1")))}}
    template: Obj = {"spec": {"containers": [container]}}
    if draw(st.booleans()):
        template["metadata"] = {"labels": {"team": draw(st.sampled_from(("search", "chat")))}}
    if draw(st.booleans()):
        template["spec"]["containers"].append({"name": "side", "image": "registry.example/side:1"})
    return template


def _standalone(draw: DrawFn) -> Obj:
    template = {"spec": {"containers": [{"name": "main", "image": draw(st.sampled_from(_IMAGES))}]}}
    return {"standalonePattern": {"template": template}}


def _role(draw: DrawFn, name: str, others: Sequence[str]) -> Obj:
    body: Obj = {"name": name, "replicas": draw(st.integers(0, 3)), **_standalone(draw)}
    if others and (needs := draw(st.lists(st.sampled_from(others), unique=True, max_size=2))):
        body["dependencies"] = needs
    if draw(st.integers(0, 3)) == 0:
        body["podManagementPolicy"] = "OrderedReady"
    if draw(st.integers(0, 3)) == 0:
        body["minReadySeconds"] = draw(st.integers(1, 5))
    return body


@st.composite
def groups(draw: DrawFn, *, name: str = "llm", namespace: str = "default") -> Obj:
    """Groups of one to three roles that this version can run."""
    chosen = draw(st.permutations(NAMES))[: draw(st.integers(1, 3))]
    roles = [_role(draw, role, chosen[:index]) for index, role in enumerate(chosen)]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"roles": roles}}


# Mutations ------------------------------------------------------------------------------------------------------------


def _some_role(draw: DrawFn, body: Obj) -> Obj:
    found: Obj = draw(st.sampled_from(body["spec"]["roles"]))
    return found


def _replicas(role: Obj) -> int:
    return int(role.get("replicas") or 0)


def _scale_up(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role["replicas"] = min(_replicas(role) + draw(st.integers(1, 2)), 4)


def _scale_down(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role["replicas"] = max(_replicas(role) - draw(st.integers(1, 2)), 0)


def _scale_to_zero(draw: DrawFn, body: Obj) -> None:
    for role in body["spec"]["roles"] if draw(st.booleans()) else (_some_role(draw, body),):
        role["replicas"] = 0


def _change_image(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    if "template" in role.get("standalonePattern", {}):
        role["standalonePattern"]["template"]["spec"]["containers"][0]["image"] = draw(st.sampled_from(_IMAGES))


def _add_role(draw: DrawFn, body: Obj) -> None:
    roles = body["spec"]["roles"]
    free = [name for name in NAMES if name not in _names(body)]
    if free and len(roles) < _MOST_ROLES:
        roles.insert(draw(st.integers(0, len(roles))), _role(draw, draw(st.sampled_from(free)), _names(body)))


def _remove_role(draw: DrawFn, body: Obj) -> None:
    roles = body["spec"]["roles"]
    if len(roles) > 1:
        gone = roles.pop(draw(st.integers(0, len(roles) - 1)))["name"]
        if draw(st.integers(0, 4)):  # now and then a dependency on it is forgotten
            _rename(body, gone, None)


def _rename_role(draw: DrawFn, body: Obj) -> None:
    free = [name for name in NAMES if name not in _names(body)]
    role = _some_role(draw, body)
    old, role["name"] = role["name"], draw(st.sampled_from(free))
    _rename(body, old, role["name"])


def _rename(body: Obj, old: str, new: str | None) -> None:
    for role in body["spec"]["roles"]:
        if "dependencies" in role:
            named = [new if name == old else name for name in role["dependencies"]]
            role["dependencies"] = [name for name in named if name is not None]


def _reorder_roles(draw: DrawFn, body: Obj) -> None:
    body["spec"]["roles"] = list(draw(st.permutations(body["spec"]["roles"])))


def _rewire(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role["dependencies"] = draw(st.lists(st.sampled_from(_names(body)), unique=True, max_size=3))


def _make_cycle(draw: DrawFn, body: Obj) -> None:
    names = draw(st.permutations(_names(body)))
    for role in body["spec"]["roles"]:
        place = names.index(role["name"])
        role["dependencies"] = [names[place - 1]]


def _depend_on_nobody(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role["dependencies"] = [*role.get("dependencies", ()), GHOST]


def _switch_pattern(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    was_standalone = role.pop("standalonePattern", None) is not None
    for pattern in ("leaderWorkerPattern", "customComponentsPattern"):
        role.pop(pattern, None)
    template = draw(pod_templates())
    if not was_standalone:
        role["standalonePattern"] = {"template": template}
    elif draw(st.booleans()):
        role["leaderWorkerPattern"] = {"size": draw(st.integers(1, 3)), "template": template}
    else:
        component = {"name": "main", "size": draw(st.integers(1, 2)), "template": template}
        role["customComponentsPattern"] = {"components": [component]}


def _ask_for_no_profile(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role["engineRuntimes"] = [{"profileName": GHOST}]


def _pause(draw: DrawFn, body: Obj) -> None:
    update = _rolling_update(draw, body)
    update["paused"] = not update.get("paused", False)


def _move_partition(draw: DrawFn, body: Obj) -> None:
    _rolling_update(draw, body)["partition"] = draw(st.integers(0, 3) | st.sampled_from(("0%", "50%", "100%")))


def _rolling_update(draw: DrawFn, body: Obj) -> Obj:
    strategy: Obj = _some_role(draw, body).setdefault("rolloutStrategy", {"type": "RollingUpdate"})
    update: Obj = strategy.setdefault("rollingUpdate", {})
    return update


def _nothing(draw: DrawFn, body: Obj) -> None:
    """Applied once more as it is."""


def _refused(draw: DrawFn, body: Obj) -> None:
    """What no API server takes."""
    role = _some_role(draw, body)
    match draw(st.sampled_from(("twice", "negative", "both", "nameless"))):
        case "twice":
            body["spec"]["roles"].append(copy.deepcopy(role))
        case "negative":
            role["replicas"] = -1
        case "both":
            role.update(_standalone(draw), leaderWorkerPattern={"size": 2})
        case _:
            role["name"] = ""


_TEMPLATE: Final = pod_templates()
_LABELS: Final = st.dictionaries(
    st.sampled_from(("team", "tier", "example.com/x", "no key!")), st.sampled_from(("a", "b", "", "no value!"))
)
_EDITS: Final[Overrides] = {
    **{f"{pattern}.template": _TEMPLATE for pattern in ("standalonePattern", "leaderWorkerPattern")},
    "customComponentsPattern.components[].template": _TEMPLATE,
    "replicas": st.integers(0, 4),
    "minReadySeconds": st.integers(-1, 6),
    "dependencies[]": st.sampled_from((*NAMES, GHOST)),
    "labels": _LABELS,
    "annotations": _LABELS,
    "leaderWorkerPattern.size": st.integers(-1, 4),
}
"""Where anything that the schema allows would be too much to run, or is nothing the API server of pods would take."""


def _edit(draw: DrawFn, body: Obj) -> None:
    role = _some_role(draw, body)
    role.update(draw(edited()))


@st.composite
def edited(draw: DrawFn) -> Obj:
    """One field of a role, with a value that the schema allows."""
    source = group_row().source["properties"]["spec"]["properties"]["roles"]["items"]["properties"]
    name = draw(st.sampled_from(sorted(set(source) - {"name"})))
    if name in _EDITS:
        return {name: draw(_EDITS[name])}
    inner = {path.removeprefix(name).removeprefix("."): item for path, item in _EDITS.items() if path.startswith(name)}
    return {name: draw(from_schema(source[name], rules=RULES, overrides=inner, most=2))}


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "scale up": _scale_up,
    "scale down": _scale_down,
    "scale to zero": _scale_to_zero,
    "change image": _change_image,
    "add role": _add_role,
    "remove role": _remove_role,
    "rename role": _rename_role,
    "reorder roles": _reorder_roles,
    "rewire dependencies": _rewire,
    "pause or resume": _pause,
    "move partition": _move_partition,
    "apply again": _nothing,
    "recreate": _nothing,
    "edit a field": _edit,
    "switch pattern": _switch_pattern,
    "make a cycle": _make_cycle,
    "depend on nobody": _depend_on_nobody,
    "ask for a profile that is missing": _ask_for_no_profile,
    "refused": _refused,
}
"""By name. ``recreate`` deletes the group first."""

BREAKING: Final = ("make a cycle", "depend on nobody", "ask for a profile that is missing", "refused")
"""Those that leave what cannot be run, or not at all."""


# Sequences ------------------------------------------------------------------------------------------------------------


@st.composite
def sequences(
    draw: DrawFn,
    *,
    length: tuple[int, int] = (3, 6),
    names: Sequence[str] = tuple(MUTATIONS),
    waits: Sequence[float | None] = _WAITS,
    through: Sequence[str] = (),
    starts: SearchStrategy[Obj] | None = None,
) -> tuple[Step, ...]:
    """Steps of somebody who makes a group and changes it; the last leaves what this version can run.

    Args:
        draw: of hypothesis.
        length: least and most steps, the first (a new group) included; one is added when the group must be mended.
        names: of :data:`MUTATIONS` to draw from.
        waits: after each step, virtual seconds or None for settled, to draw from.
        through: mutations of which one is taken in the middle, e.g. :data:`BREAKING`.
        starts: first groups; :func:`groups` unless given.
    """
    body = draw(starts if starts is not None else groups())
    steps = [Step("create", copy.deepcopy(body), draw(st.sampled_from(waits)))]
    count = draw(st.integers(*length)) - 1
    chosen = [draw(st.sampled_from(names)) for _ in range(count)]
    if through:
        chosen[max(count // 2 - 1, 0)] = draw(st.sampled_from(through))
    for name in chosen:
        changed = copy.deepcopy(body)
        MUTATIONS[name](draw, changed)
        steps.append(Step(name, changed, draw(st.sampled_from(waits)), recreate=name == "recreate"))
        if not verdict(changed).refused:  # nobody goes on from what was never taken
            body = changed
    if not verdict(body).runnable:
        steps.append(Step("mend", mended(body)))
    return tuple(steps)


def mended(body: Mapping[str, Any]) -> Obj:
    """A group as it is, but for what this version cannot run: that becomes a plain role."""
    found = copy.deepcopy(dict(body))
    roles: list[Obj] = []
    for role in found["spec"]["roles"]:
        earlier = [other["name"] for other in roles]
        kept = {**role, "dependencies": [name for name in role.get("dependencies") or () if name in earlier]}
        if not verdict(_alone(found, {**kept, "dependencies": []})).runnable:
            template = {"spec": {"containers": [{"name": "main", "image": _IMAGES[0]}]}}
            kept = {
                "name": role["name"] if is_dns_label(role["name"]) else f"mended-{len(roles)}",
                "replicas": _replicas(role),
                "standalonePattern": {"template": template},
                "dependencies": kept["dependencies"],
            }
        roles.append(kept)
    found["spec"]["roles"] = roles
    return found


def _alone(body: Obj, role: Obj) -> Obj:
    return {**body, "spec": {**body["spec"], "roles": [role]}}


def _names(body: Obj) -> list[str]:
    return [role["name"] for role in body["spec"]["roles"]]
