"""Tells the API server whom to trust: keeps ``caBundle`` of our CRDs and webhook configuration as it should be.

Only configurations that call our Service are touched, and only when they differ. Several replicas may do this at once:
all of them write what the one Secret says, and a write says which version it is based on.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import structlog

from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import ApiError, Client, ConflictError, InvalidError, NotFoundError
from rbgctrl.client.client import PatchType
from rbgctrl.informers import Informer, InformerOptions
from rbgctrl.webhooks.kinds import ConvertedCrd, ValidatingConfiguration

__all__ = ["CONFIGURATION", "CONVERTED_CRDS", "Bundles"]

log = structlog.get_logger(__name__)

CONVERTED_CRDS: Final = (RoleBasedGroup.KIND.resource, "rolebasedgroupsets.workloads.x-k8s.io")
"""CRDs with two versions that differ."""
CONFIGURATION: Final = "rbgs-validating-webhook-configuration"
"""Name of the ValidatingWebhookConfiguration."""

_Configured: TypeAlias = ConvertedCrd | ValidatingConfiguration


class Bundles:
    """Watches the configurations and corrects them.

    Args:
        client: to read and write with; any replica writes, not only the leader.
        service: namespace and name of the Service in front of the webhooks.
        changed: called when a configuration changed, or appeared.
        options: timing of the informers.
    """

    def __init__(
        self, client: Client, service: Key, changed: Callable[[], None], options: InformerOptions | None = None
    ) -> None:
        self._client = client
        self._service = service
        self._told: set[Key] = set()
        watched: Sequence[tuple[type[ConvertedCrd | ValidatingConfiguration], str]] = (
            *((ConvertedCrd, name) for name in CONVERTED_CRDS),
            (ValidatingConfiguration, CONFIGURATION),
        )
        self._informers: list[Informer[_Configured]] = [
            Informer(client, kind, field_selector=f"metadata.name={name}", options=options) for kind, name in watched
        ]
        for informer in self._informers:
            informer.add_handler(lambda _: changed())

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())

    def current(self, ca: bytes) -> bool:
        """Whether everything is known and trusts exactly ``ca``."""
        return all(informer.synced for informer in self._informers) and not self._wrong(ca)

    async def correct(self, ca: bytes) -> bool:
        """Make every configuration that calls us trust ``ca``, certificates in PEM; whether all of them do now."""
        done = all(informer.synced for informer in self._informers)
        self._tell_unconfigured()
        for informer, obj in self._wrong(ca):
            try:
                informer.observe(await self._patch(obj, ca))
            except (ConflictError, InvalidError, NotFoundError):
                done = False  # changed or gone meanwhile: the watch will say so
            except ApiError as error:
                done = False
                log.warning("caBundle cannot be written", kind=obj.KIND.kind, name=obj.key.name, error=str(error))
            else:
                log.info("caBundle written", kind=obj.KIND.kind, name=obj.key.name)
        return done

    def _tell_unconfigured(self) -> None:
        """Say once of each definition that its conversion is not asked of us."""
        for informer in self._informers:
            for obj in informer.store.list():
                asked = any(config.calls(self._service) for config in obj.configs.values())
                if not asked and obj.key not in self._told:
                    self._told.add(obj.key)
                    hint = f"the API server does not ask {self._service}; apply config/crd and config/webhook"
                    log.warning("webhooks are served and not used", kind=obj.KIND.kind, name=obj.key.name, why=hint)

    def _wrong(self, ca: bytes) -> list[tuple[Informer[_Configured], _Configured]]:
        return [
            (informer, obj) for informer in self._informers for obj in informer.store.list() if self._places(obj, ca)
        ]

    def _places(self, obj: _Configured, ca: bytes) -> list[int]:
        wanted = base64.b64encode(ca).decode()
        return [
            index for index, config in obj.configs.items() if config.calls(self._service) and config.ca_bundle != wanted
        ]

    async def _patch(self, obj: _Configured, ca: bytes) -> _Configured:
        wanted = base64.b64encode(ca).decode()
        version = {"op": "test", "path": "/metadata/resourceVersion", "value": obj.metadata.resource_version}
        start = "/spec/conversion/webhook" if isinstance(obj, ConvertedCrd) else "/webhooks/{}"
        writes = [
            {"op": "add", "path": f"{start.format(index)}/clientConfig/caBundle", "value": wanted}
            for index in self._places(obj, ca)
        ]
        return await self._client.patch(type(obj), obj.key, [version, *writes], type=PatchType.JSON)
