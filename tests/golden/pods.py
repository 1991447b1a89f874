"""What servers make of pod templates, whose every field they know; models look at the names of containers only."""

from __future__ import annotations

from typing import Any

from golden.vectors import KindVector, no
from rbgctrl.api.groups import RoleBasedGroup

__all__ = ["VECTORS"]


def _pod(**spec: Any) -> Any:
    template = {"spec": {"containers": [{"name": "c"}], **spec}}
    return {"roles": [{"name": "a", "standalonePattern": {"template": template}}]}


def _container(**fields: Any) -> Any:
    return _pod(containers=[{"name": "c", **fields}])


_IN_POD = "roles.0.standalonePattern.template.spec"
_IN_CONTAINER = f"{_IN_POD}.containers.0"

_ROWS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("a port without protocol", _container(ports=[{"containerPort": 80}]), {
        "stored": {f"{_IN_CONTAINER}.ports.0.protocol": "TCP"}}),
    ("a port twice", _container(ports=[{"containerPort": 80}, {"containerPort": 80}]), no("Duplicate value")),
    ("a port for each protocol", _container(
        ports=[{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"}]), {}),
    ("a variable twice", _container(env=[{"name": "A"}, {"name": "A"}]), no("Duplicate value")),
    ("a mount path twice", _container(
        volumeMounts=[{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/v"}]), no("Duplicate value")),
    ("a container twice", _pod(containers=[{"name": "c"}, {"name": "c"}]), no("Duplicate value")),
    ("a volume twice", _pod(volumes=[{"name": "v"}, {"name": "v"}]), no("Duplicate value")),
    ("a volume without a name", _pod(volumes=[{"emptyDir": {}}]), no("name: Required value")),
    ("no containers in the list", _pod(containers=[]), {}),
    ("a quantity that is none", _container(resources={"limits": {"cpu": "much"}}), no("limits.cpu")),
    ("quantities as number and text", _container(resources={"limits": {"cpu": 2, "memory": "1Gi"}}), {
        "stored": {f"{_IN_CONTAINER}.resources.limits": {"cpu": 2, "memory": "1Gi"}}}),
    ("a probe of gRPC", _container(livenessProbe={"grpc": {"port": 80}}), {
        "stored": {f"{_IN_CONTAINER}.livenessProbe.grpc.service": ""}}),
    ("a reference without a name", _container(envFrom=[{"secretRef": {}}]), {
        "stored": {f"{_IN_CONTAINER}.envFrom.0.secretRef.name": ""}}),
    ("a variable from a file", _container(
        env=[{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}]), {
        "stored": {f"{_IN_CONTAINER}.env.0.valueFrom.fileKeyRef.optional": False}}),
    ("an azure disk", _pod(volumes=[{"name": "v", "azureDisk": {"diskName": "d", "diskURI": "u"}}]), {
        "stored": {f"{_IN_POD}.volumes.0.azureDisk": {
            "diskName": "d", "diskURI": "u", "cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared",
            "readOnly": False}}}),
    ("a rados block device", _pod(volumes=[{"name": "v", "rbd": {"image": "i", "monitors": ["m"]}}]), {
        "stored": {f"{_IN_POD}.volumes.0.rbd": {
            "image": "i", "monitors": ["m"], "keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}}}),
    ("an iSCSI volume", _pod(volumes=[{"name": "v", "iscsi": {"iqn": "i", "lun": 0, "targetPortal": "t"}}]), {
        "stored": {f"{_IN_POD}.volumes.0.iscsi.iscsiInterface": "default"}}),
    ("an unknown field of a pod", _pod(surplus=1), {
        "strict": f"{_IN_POD.replace('.0', '[0]')}.surplus", "stored": {f"{_IN_POD}.surplus": ...}}),
    ("pod-level resources and a host name", _pod(resources={"limits": {"cpu": "1"}}, hostnameOverride="h"), {
        "stored": {f"{_IN_POD}.resources.limits.cpu": "1", f"{_IN_POD}.hostnameOverride": "h"}}),
    ("metadata of a template", {"roles": [{"name": "a", "standalonePattern": {
        "template": {"metadata": {"labels": {"a": "b"}, "generateName": "x"}}}}]}, {
        "strict": "generateName",
        "stored": {"roles.0.standalonePattern.template.metadata": {"labels": {"a": "b"}}}}),
)  # fmt: skip

VECTORS = tuple(
    KindVector(name=name, kind=RoleBasedGroup, spec=spec, server_only=True, **more) for name, spec, more in _ROWS
)
