"""``version``, ``crds`` and completion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rbgctrl import crds as shipped
from rbgctrl import sim
from rbgctrl.api.core import CustomResourceDefinition
from rbgctrl.api.meta import Key
from rbgctrl.cli import crds, main
from rbgctrl.cli.completion import group_names
from rbgctrl.version import __version__
from unit.cli import scene
from unit.cli.apiserver import ApiServer, api_server

KINDS = {"rolebasedgroups", "roleinstancesets", "roleinstances"}
CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "config")))
        yield running


def test_version_needs_no_cluster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nope")
    assert main(["version"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["rbgctrl", __version__]
    assert main(["version", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rbgctrl"], found["server"]) == (__version__, None)


def test_version_asks_the_server_when_told_to(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--server"]) == 0
    assert f"v1.36.3 at {server.url}" in capsys.readouterr().out
    assert main(["version", "--server", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["server"] == {"gitVersion": "v1.36.3", "url": server.url}


def test_crds_are_printed_as_one_yaml_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds"]) == 0
    found = list(yaml.load_all(capsys.readouterr().out, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    assert {crd["kind"] for crd in found} == {"CustomResourceDefinition"}
    assert {crd["spec"]["names"]["plural"] for crd in found} >= KINDS
    assert [crd["metadata"]["name"] for crd in found] == [crd["metadata"]["name"] for crd in crds.manifests()]
    served = {
        crd["spec"]["names"]["plural"]: [v["name"] for v in crd["spec"]["versions"] if v["served"]] for crd in found
    }
    assert served["rolebasedgroups"] == ["v1alpha2"], "without a webhook v1alpha1 would be cut down"
    assert served["rolebasedgroupscalingadapters"] == ["v1alpha2", "v1alpha1"], "these are the same in both"


@sim.virtual
async def test_an_older_version_that_needs_conversion_is_served_only_where_it_is_already() -> None:
    name = "rolebasedgroups.workloads.x-k8s.io"
    (crd,) = (crd for crd in crds.manifests() if crd["metadata"]["name"] == name)
    options = sim.ClusterOptions(server=sim.ServerOptions(install_crds=False))
    async with sim.EmbeddedCluster(options) as cluster, cluster.client() as client:

        async def installed() -> list[str]:
            await crds.submit(client, [crd])
            found = cluster.server.get("customresourcedefinitions.apiextensions.k8s.io", Key("", name))
            assert found is not None
            return [version["name"] for version in found["spec"]["versions"] if version["served"]]

        assert await installed() == ["v1alpha2"]
        await client.apply(CustomResourceDefinition, Key("", name), crd)
        assert await installed() == ["v1alpha2", "v1alpha1"]


def test_installing_crds_waits_until_they_are_served(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.establish = True
    assert main(["crds", "--install"]) == 0
    out = capsys.readouterr().out
    for kind in KINDS:
        assert f"applied {kind}.workloads.x-k8s.io" in out
        assert any(path.endswith(f"/{kind}") for path in server.asked)
    assert "the cluster serves all" in out


def test_crds_that_are_never_served_are_named(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds", "--install", "--timeout", "0.05"]) == 1
    error = capsys.readouterr().err
    assert "rolebasedgroups.workloads.x-k8s.io" in error
    assert "kubectl describe crd" in error


def test_an_installation_without_crds_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shipped, "documents", tuple)
    assert main(["crds"]) == 1
    assert "install it again" in capsys.readouterr().err


def test_names_of_groups_are_completed(server: ApiServer) -> None:
    scene.load(server)
    server.put(scene.GROUPS, scene.group("other"))
    assert group_names({}, "") == ["llm", "other"]
    assert group_names({"namespace": "ml"}, "l") == ["llm"]
    assert group_names({"namespace": "else"}, "") == []


def test_completion_never_fails(server: ApiServer, tmp_path: Path) -> None:
    assert group_names({}, "") == []  # no CRDs
    assert group_names({"kubeconfig": str(tmp_path / "nope")}, "") == []


def test_the_shell_gets_names_through_completion(
    server: ApiServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.load(server)
    monkeypatch.setenv("_RBGCTRL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rbgctrl tree l")
    monkeypatch.setenv("COMP_CWORD", "2")
    main([])
    assert "llm" in capsys.readouterr().out
