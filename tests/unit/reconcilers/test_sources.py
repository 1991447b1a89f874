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
    assert {informer.kind.__name__: informer.label_selector for informer in cache.informers()} == {
        "RoleBasedGroup": "",
        "RoleInstanceSet": "",
        "RoleInstance": "",
        "Pod": labels.ROLE_INSTANCE_NAME,
        "Service": labels.GROUP_NAME,
        "ConfigMap": labels.GROUP_NAME,
        "ControllerRevision": "",
    }
    assert Informers(cache).pods is found.pods
