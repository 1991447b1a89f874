from __future__ import annotations

from rbgctrl.api import labels
from rbgctrl.client import Client
from rbgctrl.informers import Cache
from rbgctrl.reconcilers.sources import Informers


class Nowhere:
    async def close(self) -> None:
        return None


def test_built_in_kinds_are_narrowed_by_our_labels_and_revisions_have_no_label_in_common() -> None:
    cache = Cache(Client(Nowhere()))  # type: ignore[arg-type]  # nothing is sent
    found = Informers(cache)
    narrowed = {
        (informer.kind.KIND.resource, informer.label_selector)
        for informer in cache.informers()
        if not informer.kind.KIND.group.endswith("x-k8s.io")
    }
    assert narrowed == {
        ("pods", labels.ROLE_INSTANCE_NAME),
        ("pods", labels.WARMUP_NAME),
        ("pods", f"{labels.GROUP_NAME},!{labels.ROLE_INSTANCE_NAME}"),
        ("services", labels.GROUP_NAME),
        ("configmaps", labels.GROUP_NAME),
        ("deployments.apps", labels.GROUP_NAME),
        ("statefulsets.apps", labels.GROUP_NAME),
        ("controllerrevisions.apps", ""),
        ("nodes", ""),
    }
    assert Informers(cache).pods is found.pods


def test_kinds_that_nobody_acts_on_are_not_read() -> None:
    cache = Cache(Client(Nowhere()))  # type: ignore[arg-type]  # nothing is sent
    Informers(cache)
    read = {informer.kind.KIND.kind for informer in cache.informers()}
    assert not read & {"CoordinatedPolicy", "ClusterTopology", "PlacementPolicy"}
    assert "RoleBasedGroup" in read
