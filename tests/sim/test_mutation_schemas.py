"""What is drawn from a schema is what the schema allows, feature by feature."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook
from rbgctrl.crds import documents
from rbgctrl.sim.crds import rows_of
from rbgctrl.sim.mutation.groups import pod_templates
from rbgctrl.sim.mutation.schemas import SchemaError, accepted, from_crd, from_schema, places, spoiled
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.oracles import admitted

Obj = dict[str, Any]
CRDS = {crd["spec"]["names"]["kind"]: crd for crd in documents()}
OPEN = {"x-kubernetes-preserve-unknown-fields": True}
TEXT: Obj = {"type": "string"}
DAY: Obj = {"type": "integer", "minimum": 1, "maximum": 31}


def _object(**fields: Obj) -> Obj:
    return {"type": "object", "properties": fields}


def _pairs(kind: str) -> Obj:
    item = _object(a={**TEXT, "enum": ["x", "y"]}, b={"type": "boolean", "default": True})
    return {"type": "array", "items": item, "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["a", "b"]}


FEATURES: dict[str, tuple[Obj, Callable[[Any], bool], tuple[Callable[[Any], bool], ...]]] = {
    "text": (TEXT, lambda v: isinstance(v, str), (lambda v: v == "", lambda v: len(v) > 3)),
    "whole numbers": ({"type": "integer"}, lambda v: type(v) is int, (lambda v: v < 0, lambda v: v > 2**40)),
    "int32": ({"type": "integer", "format": "int32"}, lambda v: -(2**31) <= v < 2**31, (lambda v: v > 2**30,)),
    "int64": ({"type": "integer", "format": "int64"}, lambda v: -(2**63) <= v < 2**63, (lambda v: v > 2**60,)),
    "bounds": (DAY, lambda v: 1 <= v <= 31, (lambda v: v == 1, lambda v: v == 31)),
    "bounds beside themselves": (
        {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True},
        lambda v: 0 < v < 9,
        (lambda v: v == 1, lambda v: v == 8),
    ),
    "steps": ({**DAY, "multipleOf": 7}, lambda v: v in (7, 14, 21, 28), (lambda v: v == 28,)),
    "numbers": ({"type": "number", "minimum": 0, "maximum": 1}, lambda v: 0 <= v <= 1, (lambda v: 0 < v < 1,)),
    "truth": ({"type": "boolean"}, lambda v: isinstance(v, bool), (lambda v: v, lambda v: not v)),
    "enums": ({**TEXT, "enum": ["a", "b"]}, lambda v: v in ("a", "b"), (lambda v: v == "b",)),
    "null": ({**TEXT, "nullable": True}, lambda v: v is None or isinstance(v, str), (lambda v: v is None,)),
    "an enum with null": ({**TEXT, "enum": ["a", None], "nullable": True}, lambda v: v in ("a", None), ()),
    "patterns": (
        {**TEXT, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "minLength": 2, "maxLength": 5},
        lambda v: bool(re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", v)) and 2 <= len(v) <= 5,
        (lambda v: "-" in v,),
    ),
    "lengths": ({**TEXT, "minLength": 3, "maxLength": 4}, lambda v: 3 <= len(v) <= 4, (lambda v: len(v) == 4,)),
    "moments": ({**TEXT, "format": "date-time"}, lambda v: bool(datetime.fromisoformat(v)), ()),
    "bytes": ({**TEXT, "format": "byte"}, lambda v: re.fullmatch("[A-Za-z0-9+/]*=*", v) is not None, ()),
    "a format nobody knows": ({**TEXT, "format": "colour"}, lambda v: isinstance(v, str), ()),
    "numbers or text": (
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, TEXT]},
        lambda v: type(v) in (int, str),
        (lambda v: type(v) is int, lambda v: str(v).endswith("%")),
    ),
    "anything": (OPEN, lambda v: bool(orjson.dumps(v)), (lambda v: isinstance(v, dict), lambda v: v is None)),
    "required fields": (
        {**_object(a=TEXT, b=DAY, c=TEXT), "required": ["a", "b"]},
        lambda v: {"a", "b"} <= v.keys() <= {"a", "b", "c"},
        (lambda v: "c" in v, lambda v: "c" not in v),
    ),
    "required with a default": (
        {**_object(a={**DAY, "default": 3}), "required": ["a"]},
        lambda v: v.keys() <= {"a"},
        (lambda v: not v, lambda v: "a" in v),
    ),
    "unknown fields": (
        {**_object(a=DAY), **OPEN},
        lambda v: "a" not in v or 1 <= v["a"] <= 31,
        (lambda v: v.keys() - {"a"}, lambda v: "a" in v),
    ),
    "maps": (
        {"type": "object", "additionalProperties": DAY, "minProperties": 1, "maxProperties": 2},
        lambda v: 1 <= len(v) <= 2 and all(1 <= item <= 31 for item in v.values()),
        (lambda v: len(v) == 2,),
    ),
    "maps of anything": ({"type": "object", "additionalProperties": True}, lambda v: isinstance(v, dict), ()),
    "fields in number": ({**_object(a=DAY, b=DAY, c=DAY), "minProperties": 2}, lambda v: len(v) >= 2, ()),
    "lists": (
        {"type": "array", "items": DAY, "minItems": 2, "maxItems": 3},
        lambda v: 2 <= len(v) <= 3,
        (lambda v: len(v) == 3, lambda v: len(set(v)) == 1),
    ),
    "longer lists than usual": ({"type": "array", "items": DAY, "minItems": 5}, lambda v: len(v) == 5, ()),
    "lists of anything": ({"type": "array"}, lambda v: isinstance(v, list), ()),
    "sets": (
        {"type": "array", "items": {**DAY, "maximum": 3}, "x-kubernetes-list-type": "set"},
        lambda v: len(set(v)) == len(v),
        (lambda v: len(v) == 3,),
    ),
    "keyed lists": (
        _pairs("map"),
        lambda v: len({(item.get("a"), item.get("b", True)) for item in v}) == len(v),
        (lambda v: len(v) == 3, lambda v: any("b" not in item for item in v)),
    ),
    "rules": (
        {
            **_object(low={**DAY, "default": 4}, high={**DAY, "default": 9}),
            "x-kubernetes-validations": [{"rule": "self.low <= self.high"}],
        },
        lambda v: v.get("low", 4) <= v.get("high", 9),
        (lambda v: v.get("low", 4) == 9,),
    ),
}
RULES = {"self.low <= self.high": lambda self: self["low"] <= self["high"]}
SEARCH = settings(max_examples=3000, database=None, phases=[Phase.generate])
QUICK = settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_drawn_is_what_the_schema_allows(feature: str) -> None:
    source, allowed, reached = FEATURES[feature]
    strategy = from_schema(source, rules=RULES)
    plain = {key: value for key, value in source.items() if not key.startswith("anyOf")}
    schema = compile_schema(plain, RULES)

    @QUICK
    @given(strategy)
    def check(value: Any) -> None:
        assert allowed(value), value
        assert value is None or accepted(schema, value), value

    check()
    for wanted in reached:
        find(strategy, lambda value: bool(wanted(value)), settings=SEARCH)  # noqa: B023 - called at once


def test_no_text_ends_in_a_newline_that_only_python_would_forgive() -> None:
    schema = compile_schema({**TEXT, "pattern": "^a|b$"})
    assert accepted(schema, "b")
    assert not accepted(schema, "b\n")
    assert accepted(compile_schema({**TEXT, "pattern": r"^[$a]\$$"}), "$$")


@pytest.mark.parametrize("keyword", ["oneOf", "not", "$ref", "x-kubernetes-embedded-resource"])
def test_what_is_not_understood_is_an_error_that_names_the_place(keyword: str) -> None:
    source = _object(spec=_object(parts={"type": "array", "items": {**TEXT, keyword: {}}}))
    with pytest.raises(SchemaError, match=re.escape(f"spec.parts[]: cannot draw what {keyword} allows")):
        from_schema(source)


def test_a_type_that_is_none_is_an_error() -> None:
    with pytest.raises(SchemaError, match="type 'text' is none"):
        from_schema({"type": "text"})


def test_overrides_replace_what_is_drawn_at_a_place() -> None:
    source = _object(roles={"type": "array", "items": _object(size=DAY, marks={"additionalProperties": DAY})})
    source["properties"]["roles"]["items"]["properties"]["marks"]["type"] = "object"
    overrides = {"roles[].size": st.just(99), "roles[].marks{}": st.just(98)}

    @QUICK
    @given(from_schema(source, overrides=overrides))
    def check(value: Any) -> None:
        for role in value.get("roles", ()):
            assert role.get("size", 99) == 99
            assert set(role.get("marks", {}).values()) <= {98}

    check()


# Whole pod templates take long to draw; with those given, tests/sim/test_parity.py does the same for the others.
@pytest.mark.parametrize(
    "kind", ["RoleInstanceSet", "RoleInstance", "RoleBasedGroupScalingAdapter", "CoordinatedPolicy", "ClusterTopology"]
)
def test_objects_of_some_of_our_kinds_are_taken_by_the_server(kind: str) -> None:
    row = rows_of(CRDS[kind])[0]

    @QUICK
    @given(from_crd(CRDS[kind], most=2))
    def check(value: Any) -> None:
        assert value.keys() <= {"spec"}
        assert accepted(row.schema, value)

    check()


def test_places_are_paths_to_everything_inside() -> None:
    assert list(places({"a": [1, {"b": 2}]})) == [("a",), ("a", 0), ("a", 1), ("a", 1, "b")]


# Models and schema ----------------------------------------------------------------------------------------------------

# What is in a pod template is left to whoever takes the pod; and that of a component has no schema at all.
GROUPS = from_crd(
    CRDS["RoleBasedGroup"],
    most=2,
    overrides={
        "spec.roles[].customComponentsPattern.components[].template": pod_templates(),
        "spec.roles[].engineRuntimes[].containers": st.just([{"name": "a"}]),
        "spec.roles[].standalonePattern.template": pod_templates(),
        "spec.roles[].leaderWorkerPattern.template": pod_templates(),
        "spec.roleTemplates[].template": pod_templates(),
    },
)


def _read(body: Obj) -> str:
    """Why the models cannot read it, or ``""``."""
    try:
        msgspec.json.decode(orjson.dumps(body), type=RoleBasedGroup, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _judged(value: Obj) -> tuple[str, str]:
    body = {"metadata": {"name": "a"}, **value}
    stored, refused = admitted(body)
    return refused, _read(body if refused else stored)


@QUICK
@given(GROUPS)
def test_what_the_schema_takes_the_models_read(value: Obj) -> None:
    assert _judged(value) == ("", "")


@settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
@given(spoiled(GROUPS))
def test_schema_and_models_refuse_the_same_spoiled_groups(value: Obj) -> None:
    refused, unread = _judged(value)
    inside = "template" in refused or "ontainers" in refused or re.search(r"components\.\d+\.template", unread)
    assert bool(refused) == bool(unread) or inside, (refused, unread)


# Without hypothesis ---------------------------------------------------------------------------------------------------


def test_only_the_strategies_need_hypothesis_and_say_what_to_install() -> None:
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import rbgctrl.sim, rbgctrl.sim.oracles, rbgctrl.sim.world\n"
        "import rbgctrl.sim.mutation\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter
    assert "line 3, in <module>" in done.stderr
    assert "pip install 'hypothesis" in done.stderr.splitlines()[-1]
