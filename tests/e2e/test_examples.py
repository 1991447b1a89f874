"""The examples of the documentation, as a reader would run them."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import yaml

from e2e.support import eventually
from e2e.support.cli import started
from e2e.support.groups import V1ALPHA2, become_ready
from hack.controlplane import Api, Cluster

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_embedded_controller_marks_the_example_group_when_it_serves(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    example = yaml.safe_load((EXAMPLES / "prefill-decode.yaml").read_text())
    example["metadata"]["namespace"] = namespace
    program = (sys.executable, str(EXAMPLES / "embedded.py"), namespace)

    async def marked(serving: str) -> bool:
        found = await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace)
        return bool(found["metadata"].get("annotations", {}).get("example.com/serving") == serving)

    async with started(program=program, kubeconfig=cluster.kubeconfig) as controller:
        await api.create(example)
        await become_ready(api, "llm", namespace)
        await eventually(lambda: marked("yes"), 30, what="the group is marked as serving")
        lost = {"metadata": {"annotations": {"example.com/serving": None}}}
        await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", lost, namespace=namespace)
        await eventually(lambda: marked("yes"), 30, what="a lost mark is written again")
        controller.signal(signal.SIGINT)
        assert await controller.end() == 0, controller.out
    assert "Traceback" not in controller.out
    assert f"{namespace}/llm serving: no" in controller.out
    assert f"{namespace}/llm serving: yes" in controller.out
