"""Our kinds in v1alpha1 and v1alpha2: pure functions over JSON objects, as the API server's webhook needs them.

Example: somebody reads a v1alpha2 group with ``podManagementPolicy`` as v1alpha1, which has no such field, changes an
image and writes it back. ``convert`` put the policy into an annotation when it was read and takes it out again when it
is written, so that only the image changes; had the role been deleted meanwhile, the policy would go with it.

The rules are the contract's (``rules.py``, ``roles.py``). What they leave out is carried (``carrier.py``), both ways:
``to v1alpha1`` compares the object with what the rules would make of its own result, so reading and writing back
without a change gives the same object, whatever is in it.
"""

from __future__ import annotations

from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.conversion import carrier
from rbgctrl.api.conversion.roles import v1alpha1_condition, v1alpha2_condition
from rbgctrl.api.conversion.rules import GROUP, GROUP_SET, Rules
from rbgctrl.api.conversion.values import ConversionError, Obj, written

__all__ = ["CARRIERS", "RULES", "V1ALPHA1", "V1ALPHA2", "ConversionError", "convert", "written"]

V1ALPHA1: Final = "workloads.x-k8s.io/v1alpha1"
V1ALPHA2: Final = "workloads.x-k8s.io/v1alpha2"
CARRIERS: Final = (labels.CONVERSION_V1ALPHA1_FIELDS, labels.CONVERSION_V1ALPHA2_FIELDS)
"""Annotations of ours that hold what was carried."""
RULES: Final[dict[str, Rules | None]] = {
    "RoleBasedGroup": GROUP,
    "RoleBasedGroupSet": GROUP_SET,
    "RoleBasedGroupScalingAdapter": None,
    "ClusterEngineRuntimeProfile": None,
}
"""Kinds that both versions have; None for those that differ in nothing but ``apiVersion``."""
_CARRIED_MAX: Final = 192 * 1024
"""Characters that may be stored: an API server refuses objects with more than 256 KiB of annotations."""


def convert(obj: Obj, to: str) -> Obj:
    """An object in another version.

    Neither changes ``obj`` nor copies what stays the same: the result shares parts with it. Nulls and empty optional
    fields are left out.

    Args:
        obj: an object of one of our kinds, as JSON values.
        to: ``apiVersion`` of the result.

    Raises:
        ConversionError: the kind or a version is unknown, or a field that decides something has a wrong type.
    """
    if not isinstance(obj, dict):
        raise ConversionError("", "an object to convert has to be a JSON object")
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if version == to:
        return obj
    if not isinstance(kind, str) or kind not in RULES:
        raise ConversionError("kind", f"{kind!r} exists in one version only; known are {', '.join(RULES)}")
    for given, path in ((version, "apiVersion"), (to, "desiredAPIVersion")):
        if given not in (V1ALPHA1, V1ALPHA2):
            raise ConversionError(path, f"{given!r} is unknown; known are {V1ALPHA1} and {V1ALPHA2}")
    rules = RULES[kind]
    if rules is None:
        return {**obj, "apiVersion": to}
    try:
        made = _to_v1alpha2(rules, obj) if to == V1ALPHA2 else _to_v1alpha1(rules, obj)
    except RecursionError as error:
        raise ConversionError("", "is nested too deeply; simplify it") from error
    made["apiVersion"] = to
    return made


def _to_v1alpha2(rules: Rules, obj: Obj) -> Obj:
    obj, carried = _opened(obj, labels.CONVERSION_V1ALPHA2_FIELDS)
    made = carrier.put_back(rules.up(obj), carried, rules.v1alpha2_roles, v1alpha2_condition)
    left = carrier.changes(rules.down(made), obj, rules.v1alpha1_roles, v1alpha1_condition)
    text = carrier.encode(left) if left else ""
    return _closed(made, labels.CONVERSION_V1ALPHA1_FIELDS, text if len(text) <= _CARRIED_MAX else "")


def _to_v1alpha1(rules: Rules, obj: Obj) -> Obj:
    obj, carried = _opened(obj, labels.CONVERSION_V1ALPHA1_FIELDS)
    made = carrier.put_back(rules.down(obj), carried, rules.v1alpha1_roles, v1alpha1_condition)
    left = carrier.changes(rules.up(made), obj, rules.v1alpha2_roles, v1alpha2_condition)
    return _closed(made, labels.CONVERSION_V1ALPHA2_FIELDS, carrier.encode(left) if left else "")


def _opened(obj: Obj, name: str) -> tuple[Obj, list[carrier.Change]]:
    """The object without carriers, and what the one of that name carries. The other one has no business here."""
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(annotations, dict) or not any(key in annotations for key in CARRIERS):
        return obj, []
    kept = {key: value for key, value in annotations.items() if key not in CARRIERS}
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}, carrier.decode(annotations.get(name))


def _closed(obj: Obj, name: str, text: str) -> Obj:
    """The object, which may be changed at its top, with what is carried."""
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.pop("annotations", None) or {})
    if text:
        annotations[name] = text
    if annotations:
        metadata["annotations"] = annotations
    return {**obj, "metadata": metadata} if metadata or "metadata" in obj else dict(obj)
