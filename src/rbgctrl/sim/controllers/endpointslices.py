"""EndpointSlices: the addresses behind every Service with a selector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rbgctrl.api.meta import Key, Kind
from rbgctrl.sim.controllers.clockwork import Agenda
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.controllers.owned import is_ready, key_of, owner_reference
from rbgctrl.sim.controllers.podstatus import is_terminal
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["EndpointSlices"]

_SLICES: Final[Kind[Any]] = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
_SERVICE: Final[Kind[Any]] = Kind("", "v1", "Service", "services")
_PODS: Final = "pods"
_BATCH_SECONDS: Final = 0.5
_ZONE: Final = "topology.kubernetes.io/zone"


class EndpointSlices:
    """Keeps one slice for each Service.

    Args:
        desk: its access to the cluster.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._look)
        self._selectors: dict[Key, Mapping[str, str]] = {}
        self._services: dict[tuple[str, str, str], dict[Key, None]] = {}  # by one label each selected pod has
        self._pods: dict[Key, dict[Key, None]] = {}  # selected pods by Service
        self._slices: dict[str, Key] = {}  # by uid of the Service
        self._labelled: dict[tuple[str, str, str], dict[Key, None]] = {}  # pods by each of their labels
        desk.watch("services", self._on_service)
        desk.watch(_PODS, self._on_pod)

    def _on_service(self, event: StoredEvent) -> None:
        before = self._selectors.pop(event.key, None)
        if before:
            self._services[_place(event.key.namespace, before)].pop(event.key, None)
        selector = event.new["spec"].get("selector") if event.new is not None else None
        if not selector:
            self._pods.pop(event.key, None)
            self._slices.pop(event.obj["metadata"]["uid"], None)
            return
        self._selectors[event.key] = selector
        self._services.setdefault(_place(event.key.namespace, selector), {})[event.key] = None
        if selector != before:
            keys = self._labelled.get(_place(event.key.namespace, selector), ())
            pods = ((key, self._desk.get(_PODS, key)) for key in keys)
            self._pods[event.key] = {key: None for key, pod in pods if pod is not None and _selected(selector, pod)}
        self._agenda.add_after(event.key, _BATCH_SECONDS)

    def _on_pod(self, event: StoredEvent) -> None:
        if event.old is not None and event.new is not None and _shown(event.old) == _shown(event.new):
            return
        found = self._of(event.key.namespace, event.new)
        if event.old is None or event.new is None or _labels(event.old) != _labels(event.new):
            self._index(event)
            found = {**self._of(event.key.namespace, event.old), **found}
        for key in found:
            pods = self._pods.setdefault(key, {})
            if event.new is not None and _selected(self._selectors[key], event.new):
                pods[event.key] = None
            else:
                pods.pop(event.key, None)
            self._agenda.add_after(key, _BATCH_SECONDS)

    def _index(self, event: StoredEvent) -> None:
        namespace = event.key.namespace
        for pair in (_labels(event.old) if event.old is not None else {}).items():
            self._labelled[(namespace, *pair)].pop(event.key, None)
        for pair in (_labels(event.new) if event.new is not None else {}).items():
            self._labelled.setdefault((namespace, *pair), {})[event.key] = None

    def _of(self, namespace: str, pod: Obj | None) -> dict[Key, None]:
        """The Services that select a pod."""
        found: dict[Key, None] = {}
        if pod is None:
            return found
        for pair in _labels(pod).items():
            for key in self._services.get((namespace, *pair), ()):
                if _selected(self._selectors[key], pod):
                    found[key] = None
        return found

    def _look(self, key: Key) -> None:
        service = self._desk.get("services", key)
        if service is None or "deletionTimestamp" in service["metadata"]:
            return
        pods = [self._desk.get(_PODS, pod) for pod in self._pods.get(key, ())]
        publish = service["spec"].get("publishNotReadyAddresses", False)
        shown = [pod for pod in pods if pod is not None and _address(pod) and not is_terminal(pod)]
        endpoints = [self._endpoint(pod, key, publish=publish) for pod in shown]
        ports = [
            {"name": port.get("name", ""), "port": _number(port), "protocol": port.get("protocol", "TCP")}
            for port in service["spec"].get("ports") or ()
        ]
        body = {"endpoints": endpoints or None, "ports": ports or None}
        name = self._slices.get(service["metadata"]["uid"])
        if name is None or self._desk.get(_SLICES.resource, name) is None:
            self._create(service, body)
        else:
            self._desk.update(_SLICES.resource, name, lambda live: {**live, **body} if _differs(live, body) else None)

    def _create(self, service: Obj, body: Mapping[str, Any]) -> None:
        labels = {
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": service["metadata"]["name"],
        }
        if service["spec"].get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        made = {
            "apiVersion": _SLICES.api_version,
            "kind": _SLICES.kind,
            "metadata": {
                "generateName": f"{service['metadata']['name']}-",
                "labels": labels,
                "ownerReferences": [owner_reference(_SERVICE, service)],
            },
            "addressType": "IPv4",
            **body,
        }
        created = self._desk.create(_SLICES.resource, service["metadata"]["namespace"], made)
        if created is not None:
            self._slices[service["metadata"]["uid"]] = key_of(created)

    def _endpoint(self, pod: Obj, service: Key, *, publish: bool) -> dict[str, Any]:
        terminating = "deletionTimestamp" in pod["metadata"]
        ready = is_ready(pod)
        made: dict[str, Any] = {
            "addresses": [_address(pod)],
            "conditions": {
                "ready": publish or (ready and not terminating),
                "serving": publish or ready,
                "terminating": terminating,
            },
            "targetRef": {
                "kind": "Pod",
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            },
            "nodeName": pod["spec"]["nodeName"],
        }
        if pod["spec"].get("subdomain") == service.name and pod["spec"].get("hostname"):
            made["hostname"] = pod["spec"]["hostname"]
        zone = (pod["metadata"].get("labels") or {}).get(_ZONE)
        return made | ({"zone": zone} if zone else {})


def _place(namespace: str, selector: Mapping[str, str]) -> tuple[str, str, str]:
    return (namespace, *min(selector.items()))


def _labels(pod: Obj) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def _selected(selector: Mapping[str, str], pod: Obj) -> bool:
    labels = _labels(pod)
    return all(labels.get(name) == value for name, value in selector.items())


def _address(pod: Obj) -> str:
    address: str = (pod.get("status") or {}).get("podIP", "")
    return address


def _shown(pod: Obj) -> tuple[Any, ...]:
    """What of a pod a slice depends on."""
    return _address(pod), is_ready(pod), is_terminal(pod), "deletionTimestamp" in pod["metadata"], _labels(pod)


def _number(port: Mapping[str, Any]) -> int:
    target = port.get("targetPort")
    return target if isinstance(target, int) else int(port["port"])


def _differs(live: Obj, body: Mapping[str, Any]) -> bool:
    return any(live.get(name) != value for name, value in body.items())
