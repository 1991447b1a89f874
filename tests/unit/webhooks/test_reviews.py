from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.conversion import V1ALPHA1, V1ALPHA2, convert
from rbgctrl.webhooks.reviews import Answer, admit, answer_conversion

_POD = {"spec": {"containers": [{"name": "c", "image": "registry.example/a:1"}]}}
_OPTIONS = AdmissionOptions()


def _group(version: str = V1ALPHA2, name: str = "g", **role: Any) -> dict[str, Any]:
    made = {"name": "a", "replicas": 1, "standalonePattern": {"template": _POD}, **role}
    return {"apiVersion": version, "kind": "RoleBasedGroup", "metadata": {"name": name}, "spec": {"roles": [made]}}


def _conversion(*objects: Any, to: Any = V1ALPHA1, **more: Any) -> bytes:
    request = {"uid": "u-1", "desiredAPIVersion": to, "objects": [*objects]}
    return orjson.dumps(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request, **more}
    )


def _admission(new: Any, old: Any = None, **more: Any) -> bytes:
    request = {
        "uid": "u-2",
        "namespace": "n",
        "operation": "CREATE" if old is None else "UPDATE",
        "object": new,
        "oldObject": old,
        **more,
    }
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


def _response(answer: Answer) -> Any:
    return orjson.loads(answer.body)["response"]


async def _no_adapter(namespace: str, name: str) -> int | None:
    return None


async def _admit(body: bytes, options: AdmissionOptions = _OPTIONS, kind: str = "RoleBasedGroup") -> Answer:
    return await admit(kind, body, options, _no_adapter)


# Conversion -----------------------------------------------------------------------------------------------------------


def test_objects_come_back_converted_in_order_under_the_same_uid() -> None:
    objects = [_group(name="x"), _group(V1ALPHA1, name="y"), _group(name="z")]
    answer = answer_conversion(_conversion(*objects))
    assert answer.status == answer.code == 200
    found = orjson.loads(answer.body)
    assert (found["apiVersion"], found["kind"]) == ("apiextensions.k8s.io/v1", "ConversionReview")
    assert found["response"]["uid"] == "u-1"
    assert found["response"]["result"] == {"status": "Success"}
    assert found["response"]["convertedObjects"] == [convert(item, V1ALPHA1) for item in objects]


def test_one_object_that_cannot_be_converted_fails_all_and_is_named() -> None:
    broken = _group(name="broken", leaderWorkerPattern=5)
    broken["metadata"]["namespace"] = "n"
    answer = answer_conversion(_conversion(_group(), broken))
    found = _response(answer)
    assert (answer.status, answer.code) == (200, 422)
    assert (found["uid"], found["convertedObjects"], found["result"]["status"]) == ("u-1", [], "Failure")
    assert "RoleBasedGroup n/broken cannot be converted" in found["result"]["message"]
    assert "spec.roles[0].leaderWorkerPattern: is a number" in found["result"]["message"]


def _deep(levels: int) -> bytes:
    """A review of a group with a template nested that deeply."""
    template = b'{"x":' * levels + b"1" + b"}" * levels
    custom = b'{"components":[{"name":"c","template":' + template + b"}]}"
    return orjson.dumps(_group(customComponentsPattern="HERE", standalonePattern=None)).replace(b'"HERE"', custom)


def _around(review: bytes, group: bytes) -> bytes:
    return review.replace(b'"HERE"', group)


@pytest.mark.parametrize("levels", [50, 300, 900])
async def test_deep_objects_are_converted_and_admitted(levels: int) -> None:
    found = answer_conversion(_around(_conversion("HERE"), _deep(levels)))
    assert (found.code, found.body.count(b'"x":')) == (200, levels)
    assert (await _admit(_around(_admission("HERE"), _deep(levels)))).code == 200


@pytest.mark.parametrize("levels", [985, 1005, 50_000])
async def test_what_nests_too_deeply_is_refused_before_it_can_spoil_lists(levels: int) -> None:
    for answer in (
        answer_conversion(_around(_conversion("HERE"), _deep(levels))),
        await _admit(_around(_admission("HERE"), _deep(levels))),
    ):
        assert answer.code in (400, 422)
        assert not _response(answer).get("allowed", False)


# Admission ------------------------------------------------------------------------------------------------------------


async def test_a_good_object_is_allowed_and_a_bad_one_denied_with_every_reason() -> None:
    assert _response(await _admit(_admission(_group()))) == {"uid": "u-2", "allowed": True}
    bad = _group(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "partition": 9}})
    answer = await _admit(_admission(bad))
    found = _response(answer)
    assert (answer.status, answer.code, found["allowed"]) == (200, 403, False)
    assert found["status"]["code"] == 403
    assert "cannot both be 0" in found["status"]["message"]
    assert "partition" in found["status"]["message"]


async def test_warnings_are_told_with_an_object_that_is_allowed() -> None:
    odd = _group(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": {"type": "Sideways"}})
    found = _response(await _admit(_admission(odd)))
    assert found["allowed"]
    assert any("Sideways" in text for text in found["warnings"])


async def test_deprecated_workload_types_are_refused_where_they_are_not_enabled() -> None:
    old = _group(annotations={"rbg.workloads.x-k8s.io/role-workload-type": "apps/v1/StatefulSet"})
    assert _response(await _admit(_admission(old)))["allowed"]
    strict = AdmissionOptions(deprecated_workload_types=False)
    assert not _response(await _admit(_admission(old), strict))["allowed"]


async def test_replicas_that_an_adapter_decides_are_checked_against_the_adapter_of_that_moment() -> None:
    asked: list[tuple[str, str]] = []
    wanted: list[int | None] = [3]

    async def adapters(namespace: str, name: str) -> int | None:
        asked.append((namespace, name))
        return wanted[0]

    scaled: dict[str, Any] = {"scalingAdapter": {"enable": True}}
    body = _admission(_group(replicas=2, **scaled), _group(replicas=1, **scaled))
    denied = _response(await admit("RoleBasedGroup", body, _OPTIONS, adapters))
    assert "spec.replicas 3" in denied["status"]["message"]
    assert asked == [("n", "g-a")]
    wanted[0] = 2
    assert _response(await admit("RoleBasedGroup", body, _OPTIONS, adapters))["allowed"]


async def test_an_adapter_that_cannot_be_read_denies_for_now_and_says_why() -> None:
    async def adapters(namespace: str, name: str) -> int | None:
        raise OSError("no route")

    scaled: dict[str, Any] = {"scalingAdapter": {"enable": True}}
    body = _admission(_group(replicas=2, **scaled), _group(replicas=1, **scaled))
    answer = await admit("RoleBasedGroup", body, _OPTIONS, adapters)
    assert answer.code == 503
    assert "g-a cannot be read (no route); try again" in _response(answer)["status"]["message"]


async def test_an_object_of_the_older_version_is_judged_as_what_will_be_stored() -> None:
    bad = convert(_group(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}), V1ALPHA1)
    assert not _response(await _admit(_admission(bad)))["allowed"]


@pytest.mark.parametrize("more", [{"operation": "DELETE"}, {"operation": "CONNECT"}, {"subResource": "status"}])
async def test_there_is_nothing_to_say_about_deletions_and_the_status(more: dict[str, Any]) -> None:
    assert _response(await _admit(_admission({"kind": 1}, **more)))["allowed"]


async def test_another_kind_than_the_paths_is_a_bad_request() -> None:
    answer = await _admit(_admission(_group()), kind="RoleBasedGroupSet")
    assert (answer.status, answer.code) == (400, 400)
    assert not _response(answer)["allowed"]


# Anything -------------------------------------------------------------------------------------------------------------

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
_ENVELOPES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"kind":"ConversionReview"}',
    b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}',
    b'{"kind":"AdmissionReview","apiVersion":1,"request":{"uid":"x"}}',
    b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":7}}',
    b'{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1","request":{"uid":"x","objects":{}}}',
    b'{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1","request":{"uid":"x","objects":[]}}',
]


@pytest.mark.parametrize("body", _ENVELOPES, ids=range(len(_ENVELOPES)))
async def test_a_malformed_question_is_answered_with_what_is_wrong_with_it(body: bytes) -> None:
    for answer in (answer_conversion(body), await _admit(body)):
        found = _response(answer)
        assert (answer.status, answer.code) == (400, 400)
        assert found["uid"] in ("", "x")
        text = found["result"]["message"] if "result" in found else found["status"]["message"]
        assert "no review that can be read" in text
        assert not found.get("allowed", False)


@given(_JSON, _JSON, _JSON)
def test_any_json_in_the_place_of_an_object_gets_an_answer_with_its_uid(first: Any, second: Any, to: Any) -> None:
    for obj in (first, {**_group(), "spec": first}, {**_group(), "metadata": second, "spec": {"roles": [first]}}):
        for target in (to, V1ALPHA1, V1ALPHA2):
            found = _response(answer_conversion(_conversion(obj, to=target)))
            assert found["uid"] == "u-1"
            assert (found["result"]["status"] == "Failure") == bool(found["result"].get("message"))


@given(_JSON, _JSON)
async def test_any_json_in_the_place_of_an_object_is_judged_or_refused(first: Any, second: Any) -> None:
    for obj in (first, {**_group(), "spec": first}, {**_group(), "metadata": second}):
        for old in (None, second, {**_group(), "spec": second}):
            answer = await _admit(_admission(obj, old, operation="UPDATE"))
            found = _response(answer)
            assert found["uid"] == "u-2"
            assert found["allowed"] == (answer.code == 200)
            assert answer.code != 500


def _megabyte() -> dict[str, Any]:
    group = _group()
    env = [{"name": f"N{index}", "value": "v" * 20} for index in range(400)]
    role = group["spec"]["roles"][0]
    role["standalonePattern"] = {"template": {"spec": {"containers": [{"name": "c", "image": "i", "env": env}]}}}
    group["spec"]["roles"] = [{**copy.deepcopy(role), "name": f"r{index}"} for index in range(56)]
    return group


async def test_an_object_of_a_megabyte_is_answered() -> None:
    group = _megabyte()
    assert len(orjson.dumps(group)) > 1_000_000
    answer = await _admit(_admission(group, group))
    converted = answer_conversion(_conversion(group))
    assert answer.code == converted.code == 200
