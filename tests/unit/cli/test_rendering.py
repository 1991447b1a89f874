from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api import labels
from rbgctrl.api.workloads import LeaderWorkerSet
from rbgctrl.cli.rendering import Look, group_lines, list_lines, plain
from rbgctrl.cli.summary import summarize
from rbgctrl.cli.views import GroupView
from unit.cli import scene
from unit.cli.apiserver import Manifest
from unit.cli.scene import ADAPTERS, DEPLOYMENTS, GROUPS, INSTANCES, PODS, SETS, graph, nodes

PLAIN = """\
llm  namespace ml  Not ready: RoleNotReady: Not all roles are ready: decode waits for prefill
|-- router   1/1 ready  Standalone
|   `-- llm-router-0   ready
|       `-- llm-router-0             Running  ready      2 restarts  10.0.0.12  node-0       fabric.0  zone-a
|-- prefill  1/2 ready  LeaderWorker      after router
|   |-- llm-prefill-0  ready
|   |   |-- llm-prefill-0-0  leader  Running  ready                  10.0.0.15  node-0       fabric.0  zone-a
|   |   `-- llm-prefill-0-1  worker  Running  ready                  10.0.0.15  node-1       fabric.1  zone-b
|   `-- llm-prefill-1  not ready  PodsNotReady: waiting for pods
|       |-- llm-prefill-1-0  leader  Pending  not ready                         no node yet                    REASON
|       `-- 1 pod of worker to come
`-- decode   0/1 ready  CustomComponents  after prefill  waits for prefill
""".replace("REASON", "Unschedulable: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")

NARROW = """\
○ llm  namespace ml
│     Not ready: RoleNotReady: Not all roles are ready: decode waits for
│     prefill
├── ● router   1/1 ready  Standalone
│   └── ● llm-router-0   ready
│       └── ● llm-router-0     Running  ready      node-0       fabric.0
├── ○ prefill  1/2 ready  LeaderWorker      after router
│   ├── ● llm-prefill-0  ready
│   │   ├── ● llm-prefill-0-0  Running  ready      node-0       fabric.0
│   │   └── ● llm-prefill-0-1  Running  ready      node-1       fabric.1
│   └── ○ llm-prefill-1  not ready  PodsNotReady: waiting for pods
│       ├── ○ llm-prefill-1-0  Pending  not ready  no node yet
│       │       Unschedulable: 0/2 nodes are available: 2 Insufficient
│       │       nvidia.com/gpu.
│       └── 1 pod of worker to come
└── ○ decode   0/1 ready  CustomComponents  after prefill
        waits for prefill
"""


def _view() -> GroupView:
    return summarize(graph(), nodes())


def test_plain_text_is_ascii_in_aligned_columns_and_says_everything() -> None:
    text = plain(group_lines(_view(), Look()))
    assert text == PLAIN
    assert text.isascii()


def test_a_narrow_terminal_loses_the_least_important_columns_but_no_reason() -> None:
    lines = group_lines(_view(), Look(symbols=True, width=72))
    text = plain(lines)
    assert max(map(len, text.splitlines())) <= 72
    assert [line.split() for line in text.splitlines()] == [line.split() for line in NARROW.splitlines()]


def test_a_ready_group_is_one_word() -> None:
    found = scene.scene()
    found[GROUPS] = [scene.group(ready=True)]
    (heading, *_) = group_lines(summarize(graph(found)), Look())
    assert plain([heading]) == "llm  namespace ml  Ready\n"


def test_a_change_nobody_acted_on_yet_is_not_called_ready() -> None:
    found = scene.scene()
    found[GROUPS] = [scene.group(ready=True, generation=2, observed=1)]
    (heading, *_) = group_lines(summarize(graph(found)), Look())
    assert "Not ready: the last change has not been acted on yet" in plain([heading])


def test_a_group_without_a_controller_says_so() -> None:
    found = scene.scene()
    del found[GROUPS][0]["status"]
    assert "no controller has reported on it yet" in plain(group_lines(summarize(graph(found)), Look()))


@pytest.mark.parametrize("evil", ["\x1b[31mred\x1b[0m", "a\r\nb", "bell\a", "\u202egnal"])
def test_what_others_wrote_cannot_move_the_cursor(evil: str) -> None:
    found = scene.scene()
    found[PODS][3]["status"]["conditions"] = [scene.condition("PodScheduled", true=False, reason="X", message=evil)]
    text = plain(group_lines(summarize(graph(found)), Look()))
    assert all(sign.isprintable() for sign in text.replace("\n", ""))
    assert len(text.splitlines()) == len(PLAIN.splitlines())


def test_a_pod_on_a_lost_node_says_so() -> None:
    known = nodes() | {"node-0": scene.decode(type(nodes()["node-0"]), [scene.node("node-0", ready=False)])[0]}
    text = plain(group_lines(summarize(graph(), known), Look()))
    assert text.count("its node is not ready") == 2


def _text(found: dict[str, list[Manifest]], **look: Any) -> str:
    return plain(group_lines(summarize(graph(found), nodes(found)), Look(**look)))


def test_pods_of_a_component_are_numbered_where_there_are_several() -> None:
    found = scene.scene()
    found[SETS].append(scene.instance_set("decode", 1, 0))
    found[INSTANCES].append(scene.instance("decode", 0, {"leader": 1, "worker": 2}, ready=False))
    found[PODS].append(scene.pod("llm-decode-0-leader-0", "llm-decode-0", "leader", 0, node="node-0"))
    found[PODS].append(scene.pod("llm-decode-0-worker-1", "llm-decode-0", "worker", 1, node="node-1"))
    text = _text(found)
    assert re.search(r"llm-decode-0-leader-0  leader    Running", text)
    assert re.search(r"llm-decode-0-worker-1  worker 1  Running", text)
    assert "1 pod of worker to come" in text


def test_pods_of_a_workload_of_another_kind_hang_below_the_role_itself() -> None:
    lines = _text(scene.with_deployment()).splitlines()
    (role,) = [index for index, line in enumerate(lines) if " web " in line]
    assert lines[role].split()[1:6] == ["web", "1/2", "ready", "Standalone", "Deployment"]
    assert [line.split()[1] for line in lines[role + 1 : role + 3]] == ["llm-web-5d-a", "llm-web-5d-b"]


def test_an_adapter_says_to_what_it_scales_its_role_or_that_it_does_not() -> None:
    found = scene.scene()
    found[GROUPS][0]["spec"]["roles"][1]["scalingAdapter"] = {"enable": True}
    found[ADAPTERS] = [scene.adapter("prefill", 4)]
    assert "1/4 ready  LeaderWorker      after router   scaled by adapter to 4; 2 of 4 exist" in _text(found)
    found[ADAPTERS] = [scene.adapter("prefill", 4, phase="NotBound")]
    assert "1/2 ready  LeaderWorker      after router   adapter llm-prefill does not scale it, it is NotBound" in _text(
        found
    )
    found[ADAPTERS] = [scene.adapter("prefill", None, phase="")]
    assert "adapter llm-prefill does not scale it yet" in _text(found)


def test_a_role_that_changed_its_kind_waits_for_the_end_of_what_stood_there() -> None:
    found = scene.with_deployment()
    web = found[GROUPS][0]["spec"]["roles"][-1]
    del web["annotations"]
    assert "waits until Deployment llm-web is gone" in _text(found)


def test_a_kind_that_the_cluster_does_not_know_is_the_problem_of_the_role() -> None:
    found = scene.with_deployment()
    found[GROUPS][0]["spec"]["roles"][-1]["annotations"] = {
        labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET
    }
    found[DEPLOYMENTS] = []
    text = plain(group_lines(summarize(graph(found, absent=(LeaderWorkerSet,)), {}), Look()))
    assert "this cluster does not know its kind of workload, LeaderWorkerSet" in text


def test_notes_and_leaving_workloads_stand_below_the_tree() -> None:
    view = summarize(graph(), notes=["you may not read nodes"])
    assert plain(group_lines(view, Look())).splitlines()[-1] == "note: you may not read nodes"


def test_a_list_is_a_table_with_the_namespace_only_where_it_differs() -> None:
    view = _view()
    assert plain(list_lines([view], Look(), with_namespace=True)) == (
        "NAMESPACE  NAME  READY  ROLES                              MESSAGE\n"
        "ml         llm   False  router 1/1 prefill 1/2 decode 0/1  "
        "RoleNotReady: Not all roles are ready: decode waits for prefill\n"
    )
    assert plain(list_lines([view], Look(), with_namespace=False)).startswith("NAME  READY  ROLES")
    assert list_lines([], Look(), with_namespace=True) == []


@given(width=st.integers(min_value=1, max_value=200), symbols=st.booleans())
def test_every_name_and_reason_is_shown_whatever_the_width(width: int, symbols: bool) -> None:
    text = plain(group_lines(_view(), Look(symbols=symbols, width=width)))
    flat = "".join(text.replace("│", "").replace("|", "").split())
    for name in ("llm-router-0", "llm-prefill-1-0", "waitsforprefill", "Insufficientnvidia.com/gpu.", "PodsNotReady"):
        assert name in flat
