"""Models and schemas are two descriptions of the same objects: they take, refuse and complete the same ones.

What is inside of pod templates is left to the server: models look at the names of containers only.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hack.kinds import CRDS, Version
from hack.schema import structural
from rbgctrl.api.spec import TYPED, Spec
from rbgctrl.crds import inlined
from rbgctrl.sim.celrules import RULES
from rbgctrl.sim.mutation.groups import pod_templates
from rbgctrl.sim.mutation.schemas import from_schema, spoiled
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.schema import Found, Schema, admit

Obj = dict[str, Any]
AUTHORED = [version for crd in CRDS for version in crd.versions if issubclass(version.spec, Spec)]
FOREIGN = {
    "PodTemplateSpec": pod_templates(),
    "Container": st.fixed_dictionaries({"name": st.sampled_from("ab")}, optional={"image": st.just("i")}),
    "Volume": st.fixed_dictionaries({"name": st.sampled_from("ab")}),
    "Toleration": st.just({"operator": "Exists"}),
    "LabelSelector": st.just({"matchLabels": {"a": "b"}}),
}
# A failing object is readable as drawn; shrinking it would outlast the test.
DRAWN = settings(
    database=None, suppress_health_check=list(HealthCheck), deadline=None, phases=[Phase.explicit, Phase.generate]
)


def _foreign(schema: Obj, path: str) -> dict[str, str]:
    """Places of types of core/v1, and of templates without a schema, with the type's name."""
    if TYPED in schema:
        return {path: schema[TYPED]}
    if path.endswith("components[].template"):
        return {path: "PodTemplateSpec"}
    found: dict[str, str] = {}
    for name, field in schema.get("properties", {}).items():
        found |= _foreign(field, f"{path}.{name}" if path else name)
    found |= _foreign(schema["items"], f"{path}[]") if "items" in schema else {}
    extra = schema.get("additionalProperties")
    return found | (_foreign(extra, f"{path}{{}}") if isinstance(extra, dict) else {})


class _Pair:
    """A version's two descriptions, and what to draw."""

    def __init__(self, version: Version) -> None:
        marked = structural(version.spec, version.overrides)
        self.model: type[Spec] = version.spec
        self.places = _foreign(marked, "")
        source = inlined(marked)
        self.schema: Schema = compile_schema(source, RULES)
        overrides = {path: FOREIGN[name] for path, name in self.places.items()}
        self.values = from_schema(source, rules=RULES, overrides=overrides, most=2)

    def stored(self, value: Obj) -> tuple[Obj, str]:
        """As the server stores it, and why it refuses it."""
        found = Found()
        stored = admit(self.schema, value, found)
        if not found.causes:
            found.evaluate()
        return stored, "; ".join(f"{cause.field}: {cause.message}" for cause in found.causes)

    def written(self, value: Any) -> tuple[Obj, str]:
        """As the model writes it, and why it refuses it."""
        try:
            return self.model.model_validate(value).wire(), ""
        except ValidationError as error:
            return {}, str(error)

    def inside(self, words: str) -> bool:
        """Whether the words are about something that models leave to the server."""
        names = {re.split(r"[.]", path)[-1].rstrip("[]{}") for path in self.places}
        return any(re.search(rf"\b{name}\b", words) for name in names)


PAIRS = {f"{version.kind.KIND.kind} {version.kind.KIND.version}": version for version in AUTHORED}


@pytest.mark.parametrize("name", PAIRS)
def test_what_the_schema_takes_the_models_take_and_complete_alike(name: str) -> None:
    pair = _Pair(PAIRS[name])

    @settings(DRAWN, max_examples=10)
    @given(pair.values)
    def check(value: Obj) -> None:
        stored, refused = pair.stored(value)
        assert not refused
        assert pair.written(value) == (stored, "")
        assert pair.written(stored) == (stored, "")

    check()


@pytest.mark.parametrize("name", PAIRS)
def test_schema_and_models_refuse_the_same_spoiled_objects(name: str) -> None:
    pair = _Pair(PAIRS[name])

    @settings(DRAWN, max_examples=25)
    @given(spoiled(pair.values))
    def check(value: Obj) -> None:
        stored, refused = pair.stored(value)
        written, unread = pair.written(value)
        if pair.inside(refused + unread):
            return
        assert bool(refused) == bool(unread), (refused, unread)
        assert refused or pair.stored(written)[0] == stored

    check()
