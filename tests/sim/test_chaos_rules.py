"""Faults are addressed by meaning, decided by the seed, written down, and had again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.client.transport import Verb
from rbgctrl.sim.chaos import (
    Answer,
    Call,
    Drop,
    Duplicate,
    Frame,
    Match,
    Rules,
    Side,
    Silence,
    Trace,
    UnusedFaultError,
    load,
    replay,
)
from rbgctrl.sim.chaos.match import call_of, http_call, read_frame
from sim.scripted import end_mark, line, request

POD_PATCH = Call(verb="patch", resource="pods", namespace="ns", name="llm-decode-0", subresource="status")
WATCH = Call(verb="watch", resource="pods")


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match("patch", "pods"), True),
        (Match("write", "pods", "status"), True),
        (Match("read", "pods"), False),
        (Match("patch", "pods", ""), False),
        (Match("create|patch", "pods|services"), True),
        (Match("patch", "roleinstances.*"), False),
        (Match("patch", name="llm-*-0"), True),
        (Match("patch", name="llm-prefill-?"), False),
        (Match("patch", namespace="other"), False),
        (Match("patch", form="page"), False),
        (Match("write", "!events|leases.*"), True),
        (Match("write", "!pods|events"), False),
    ],
)
def test_a_request_fits_a_match_when_every_pattern_does(match: Match, fits: bool) -> None:
    assert match.fits(POD_PATCH) is fits


def test_an_event_fits_a_match_by_its_type_and_object_within_the_watches_it_names() -> None:
    frame = Frame(event="DELETED", namespace="ns", name="a", uid="1", rv="5", owner="RoleInstance/llm-decode-0")
    assert Match("watch", "pods", event="DELETED").fits(WATCH, frame)
    assert Match("watch", "pods", event="change").fits(WATCH, frame)
    assert Match("watch", owner="RoleInstance/*-0").fits(WATCH, frame, "change")
    assert not Match("watch", "services").fits(WATCH, frame, "change")
    assert not Match("watch", event="ADDED|MODIFIED").fits(WATCH, frame)


@pytest.mark.parametrize(
    ("match", "chosen"),
    [
        (Match(), [1, 2, 3, 4, 5, 6]),
        (Match(nth=3), [3]),
        (Match(nth=(2, 5)), [2, 5]),
        (Match(every=2), [2, 4, 6]),
        (Match(times=2), [1, 2]),
        (Match(skip=2, nth=1), [3]),
        (Match(skip=1, every=2, times=4), [3, 5]),
    ],
)
def test_a_match_chooses_occurrences_by_number(match: Match, chosen: list[int]) -> None:
    assert [number for number in range(1, 7) if match.chooses(number)] == chosen


def test_the_two_carriers_read_the_same_request_the_same_way() -> None:
    owner = {"kind": "RoleInstance", "name": "llm-decode-0", "controller": True}
    body = {"metadata": {"name": "llm-decode-0", "ownerReferences": [owner]}}
    created = request(Verb.CREATE, body=body)
    assert call_of(created) == http_call("POST", created.path, "", {}, created.body or b"")
    assert call_of(created).owner == "RoleInstance/llm-decode-0"
    patched = request(Verb.PATCH, "a", subresource="status", query=(("fieldManager", "rbg"),))
    assert call_of(patched) == http_call("PATCH", patched.path, "fieldManager=rbg", {}, b"{}")
    applied = request(Verb.APPLY, "a", body=body)
    headers = {"Content-Type": "application/apply-patch+yaml"}
    assert call_of(applied) == http_call("PATCH", applied.path, "", headers, applied.body or b"")
    watch = request(Verb.WATCH, query=(("watch", "true"), ("sendInitialEvents", "true"), ("resourceVersion", "5")))
    assert call_of(watch) == http_call(
        "GET", watch.path, "watch=true&sendInitialEvents=true&resourceVersion=5", {}, b""
    )
    assert call_of(watch).forms == {"initial", "since"}


@pytest.mark.parametrize(
    ("path", "resource", "namespace", "name"),
    [
        ("/apis/workloads.x-k8s.io/v1alpha2/rolebasedgroups", "rolebasedgroups.workloads.x-k8s.io", "", ""),
        ("/api/v1/namespaces/ns", "namespaces", "", "ns"),
        ("/api/v1/namespaces/ns/pods/a/status", "pods", "ns", "a"),
        ("/api/v1/namespaces/ns/status", "namespaces", "", "ns"),
        ("/version", "", "", ""),
    ],
)
def test_paths_are_read_as_the_api_means_them(path: str, resource: str, namespace: str, name: str) -> None:
    call = http_call("GET", path, "", {}, b"")
    assert (call.resource, call.namespace, call.name) == (resource, namespace, name)


def test_lines_of_a_watch_are_read_whatever_they_are() -> None:
    assert read_frame(line("a", 5)) == Frame(event="MODIFIED", namespace="ns", name="a", uid="a", rv="5")
    assert read_frame(end_mark(9)).event == "END"
    assert read_frame(b"<html>").event == ""
    assert read_frame(b'{"type":"ERROR","object":{"code":410}}').event == "ERROR"


def test_the_same_seed_strikes_the_same_requests_and_another_one_others() -> None:
    def struck(seed: int) -> list[bool]:
        rules = Rules([Drop(Match("patch", probability=0.5))], seed=seed)
        return [bool(rules.on_call(POD_PATCH)) for _ in range(40)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)


def test_arming_one_more_fault_changes_nothing_for_the_others() -> None:
    half = Drop(Match("patch", probability=0.5))
    alone, together = Rules([half]), Rules([half, Silence(Match("watch", probability=0.5))])
    for _ in range(30):
        together.on_call(WATCH)
        assert bool(alone.on_call(POD_PATCH)) is bool(together.on_call(POD_PATCH))


def test_a_fault_that_never_strikes_fails_the_test_that_ordered_it() -> None:
    rules = Rules([Drop(Match("create", "pods")), Drop(Match("patch", "pods", nth=2))])
    rules.on_call(POD_PATCH)
    with pytest.raises(UnusedFaultError, match=r"create.*fitted 0 times.*patch.*fitted 1 times"):
        rules.check()
    assert len(rules.unused()) == 2
    rules.on_call(POD_PATCH)
    assert [fault.match.verb for fault in rules.unused()] == ["create"]


def test_a_fault_counts_from_when_it_is_armed_and_strikes_no_more_once_withdrawn() -> None:
    rules = Rules()
    rules.on_call(POD_PATCH)
    fault = Drop(Match("patch", nth=1))
    rules.add(fault)
    assert rules.on_call(POD_PATCH) == (fault,)
    always = Drop(Match("patch"))
    rules.add(always)
    rules.withdraw(always)
    assert rules.on_call(POD_PATCH) == ()
    assert rules.count(fault) == 1


@given(
    faults=st.lists(
        st.builds(
            Drop,
            st.builds(
                Match,
                st.sampled_from(["patch", "write", "watch", "*"]),
                skip=st.integers(0, 3),
                every=st.integers(0, 3),
                times=st.integers(0, 5),
                probability=st.sampled_from([0.3, 0.7, 1.0]),
            ),
        ),
        max_size=4,
    ),
    seed=st.integers(0, 100),
    calls=st.lists(st.sampled_from([POD_PATCH, WATCH]), max_size=30),
)
def test_a_replayed_trace_strikes_exactly_the_same(faults: list[Drop], seed: int, calls: list[Call]) -> None:
    first = Rules(faults, seed=seed)
    struck = [len(first.on_call(call)) for call in calls]
    again = Rules(replay(first.trace.dump()), seed=seed + 1)
    assert [len(again.on_call(call)) for call in calls] == struck
    assert [entry.what for entry in again.trace.strikes()] == [entry.what for entry in first.trace.strikes()]


def test_a_trace_holds_every_decision_as_a_json_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    rules = Rules([Answer(Match("patch", nth=2), status=409, side=Side.AFTER)], trace=Trace(path), clock=lambda: 1.5)
    rules.on_call(WATCH)
    rules.on_call(POD_PATCH)
    rules.on_call(POD_PATCH)
    entries = load(path)
    assert entries == rules.trace.entries
    assert len(path.read_text().splitlines()) == 3  # armed, passed over, struck
    (strike,) = rules.trace.strikes()
    assert (strike.occurrence, strike.at, strike.what) == (2, 1.5, "patch pods/status ns/llm-decode-0")


def test_faults_of_events_leave_requests_alone_and_the_other_way_round() -> None:
    rules = Rules([Duplicate(Match("watch", "pods")), Silence(Match("watch", "pods"))])
    assert [type(fault) for fault in rules.on_call(WATCH)] == [Silence]
    assert [type(fault) for fault in rules.on_frame(WATCH, read_frame(line("a", 1)))] == [Duplicate]
    assert rules.on_frame(WATCH, read_frame(end_mark(1))) == ()
    assert rules.concerns(WATCH)
    assert not rules.concerns(Call(verb="watch", resource="services"))
