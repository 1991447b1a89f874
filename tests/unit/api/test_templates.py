"""Where pod templates come from, and what is said of those that nobody can work with."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook
from rbgctrl.api.podshape import malformed
from rbgctrl.api.templates import TemplateError, checked, patched
from rbgctrl.api.validate import group_findings

TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}

MALFORMED: dict[str, Any] = {
    "no object": "nonsense",
    "metadata": {"metadata": ["a"], "spec": {"containers": [{"name": "a"}]}},
    "labels": {"metadata": {"labels": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}},
    "annotations": {"metadata": {"annotations": "a"}, "spec": {"containers": [{"name": "a"}]}},
    "spec is no object": {"spec": ["a"]},
    "containers is empty": {"spec": {"containers": []}},
    "containers is no list": {"spec": {"containers": "a"}},
    "containers has an item without a name": {"spec": {"containers": [{"image": "a"}]}},
    "initContainers": {"spec": {"containers": [{"name": "a"}], "initContainers": ["b"]}},
    "volumes": {"spec": {"containers": [{"name": "a"}], "volumes": {"name": "b"}}},
    "env of container a": {"spec": {"containers": [{"name": "a", "env": [{"value": "b"}]}]}},
    "volumeMounts of container a": {"spec": {"containers": [{"name": "a", "volumeMounts": ["b"]}]}},
    "args of container a": {"spec": {"containers": [{"name": "a", "args": "b"}]}},
    "spec.affinity is no object": {"spec": {"containers": [{"name": "a"}], "affinity": ["b"]}},
    "spec.affinity.podAffinity": {"spec": {"containers": [{"name": "a"}], "affinity": {"podAffinity": "b"}}},
    "required terms": {
        "spec": {
            "containers": [{"name": "a"}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": ["b"]}},
        }
    },
}


@pytest.mark.parametrize("words", MALFORMED)
def test_a_template_of_another_shape_is_refused_with_its_place_and_what_to_do(words: str) -> None:
    with pytest.raises(TemplateError) as refusal:
        checked(MALFORMED[words], "component main")
    message = str(refusal.value)
    assert message == f"component main: {refusal.value.problem}"
    assert words in message
    assert "; " in message


def test_null_is_as_good_as_absent() -> None:
    container = {"name": "a", "env": None, "volumeMounts": None, "args": None}
    spec = {"containers": [container], "initContainers": None, "volumes": None, "affinity": None}
    assert malformed({"metadata": None, "spec": spec}) == ""


@pytest.mark.parametrize("patch", [None, {}])
def test_without_a_patch_a_template_is_itself(patch: Any) -> None:
    assert patched(TEMPLATE, patch, "leaderTemplatePatch") is TEMPLATE


ODD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a patch without its merge key": (
        {"leaderWorkerPattern": {"template": TEMPLATE, "workerTemplatePatch": {"spec": {"containers": [{}]}}}},
        "spec.roles[0].leaderWorkerPattern.workerTemplatePatch",
        "is no strategic merge patch for the template",
    ),
    "a patch of a role template that is no object": (
        {"standalonePattern": {"templateRef": {"name": "t", "patch": "x"}}},
        "spec.roles[0].standalonePattern.templateRef.patch",
        "is no object; write a strategic merge patch",
    ),
    "a patch that takes the containers away": (
        {"leaderWorkerPattern": {"template": TEMPLATE, "leaderTemplatePatch": {"spec": {"containers": None}}}},
        "spec.roles[0].leaderWorkerPattern.leaderTemplatePatch",
        "leaves a template in which spec.containers is empty",
    ),
    "a component of another shape": (
        {
            "customComponentsPattern": {
                "components": [{"name": "c", "template": {"metadata": {"labels": {"a": 1}}, **TEMPLATE}}]
            }
        },
        "spec.roles[0].customComponentsPattern.components[0].template",
        "metadata.labels does not map text to text; quote its values",
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_what_does_not_fit_together_stops_its_role_and_admission_warns_of_it(what: str) -> None:
    role, path, words = ODD[what]
    spec = {"roles": [{"name": "a", **role}], "roleTemplates": [{"name": "t", "template": TEMPLATE}]}
    group = msgspec.convert({"metadata": {"name": "g"}, "spec": spec}, RoleBasedGroup, dec_hook=dec_hook)
    (finding,) = group_findings(group)
    assert (finding.path, finding.role) == (path, "a")
    assert words in finding.message
    assert finding.is_error
    assert not finding.is_refused


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("name", "env", "containers", "spec", "$patch", "metadata")), inner, max_size=3
        )
    ),
    max_leaves=12,
)
patches = st.builds(lambda found: {"spec": {"containers": found}}, json) | json


@given(json, patches)
def test_any_json_is_a_template_and_a_patch_or_is_refused_and_changes_neither(template: Any, patch: Any) -> None:
    before = copy.deepcopy((template, patch, TEMPLATE))
    for base in (template, TEMPLATE):
        try:
            built = patched(checked(base, "template"), patch, "leaderTemplatePatch")
        except TemplateError:
            continue
        assert malformed(built) == ""
    assert (template, patch, TEMPLATE) == before
