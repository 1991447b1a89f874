"""What somebody with kubectl sees of our kinds on a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from e2e.support.kubectl import kubectl

CONFIG = Path(__file__).parents[2] / "config"
GROUP = """
apiVersion: workloads.x-k8s.io/v1alpha2
kind: RoleBasedGroup
metadata: {name: llm}
spec:
  roles:
  - name: decode
    standalonePattern: {template: {spec: {containers: [{name: engine, image: "registry.example/engine:1"}]}}}
"""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rbg.spec.roles", ("replicas", "dependencies", "leaderWorkerPattern", "-required-")),
        ("rbg.spec.roles.leaderWorkerPattern", ("sharedServiceSelection", "enum: All, LeaderOnly")),
        ("rbg.spec.roles.standalonePattern.template.spec.containers", ("image", "volumeMounts")),
        ("rbgs.spec.groupTemplate.spec", ("roles", "roleTemplates")),
        ("rbgsa.spec", ("scaleTargetRef",)),
        ("cpolicy.spec.policies.strategy", ("recovery", "scaling", "scheduling")),
        ("clustertopologies.spec.levels", ("tier", "keys")),
    ],
)
async def test_kubectl_explains_the_fields(kubeconfig: Path, path: str, words: tuple[str, ...]) -> None:
    told = await kubectl(kubeconfig, "explain", path)
    assert not [word for word in words if word not in told]
    described = "<empty>" not in told and "<no description>" not in told
    assert described or ".containers" in path, "only the fields of pods are left without, for the size of it"


async def test_kubectl_applies_shows_and_refuses(kubeconfig: Path, namespace: str) -> None:
    here = ("-n", namespace)
    assert "created" in await kubectl(kubeconfig, "apply", *here, "-f", "-", stdin=GROUP)
    assert (await kubectl(kubeconfig, "get", "rbg", *here)).split()[:4] == ["NAME", "READY", "AGE", "llm"]
    wrong = GROUP.replace("name: decode", "name: decode\n    replicas: -1")
    told = await kubectl(kubeconfig, "apply", *here, "-f", "-", stdin=wrong, fails=True)
    assert "spec.roles[0].replicas" in told
    unknown = GROUP.replace("  roles:", "  rolls: 1\n  roles:")
    assert 'unknown field "spec.rolls"' in await kubectl(
        kubeconfig, "apply", *here, "-f", "-", stdin=unknown, fails=True
    )


@pytest.mark.parametrize("folder", ["crd", "rbac", "manager", "default"])
async def test_kustomize_builds_what_is_installed(kubeconfig: Path, folder: str) -> None:
    rendered = list(yaml.load_all(await kubectl(kubeconfig, "kustomize", str(CONFIG / folder)), yaml.CSafeLoader))
    assert rendered
    assert all(document["metadata"]["name"] for document in rendered)
