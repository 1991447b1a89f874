"""What the webhooks read of cluster objects that only they look at."""

from __future__ import annotations

from typing import ClassVar

from rbgctrl.api.meta import Key, Kind, Resource, Value

__all__ = ["ClientConfig", "ConvertedCrd", "Secret", "ValidatingConfiguration"]


class Secret(Resource, frozen=True):
    """A core/v1 Secret; read one by one, never cached."""

    KIND: ClassVar[Kind[Secret]] = Kind("", "v1", "Secret", "secrets")

    data: dict[str, str] | None = None

    def __repr__(self) -> str:  # what is in it stays out of logs
        return f"Secret({self.key})"


class ServiceReference(Value, frozen=True):
    """``clientConfig.service``."""

    namespace: str = ""
    name: str = ""


class ClientConfig(Value, frozen=True):
    """How the API server reaches a webhook."""

    service: ServiceReference | None = None
    ca_bundle: str = ""

    def calls(self, service: Key) -> bool:
        """Whether it calls that Service."""
        return self.service is not None and Key(self.service.namespace, self.service.name) == service


class _ConversionWebhook(Value, frozen=True):
    client_config: ClientConfig | None = None


class _Conversion(Value, frozen=True):
    strategy: str = ""
    webhook: _ConversionWebhook | None = None


class _CrdSpec(Value, frozen=True):
    conversion: _Conversion | None = None


class ConvertedCrd(Resource, frozen=True):
    """A CustomResourceDefinition, as far as conversion goes."""

    KIND: ClassVar[Kind[ConvertedCrd]] = Kind(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
    )

    spec: _CrdSpec = _CrdSpec()

    @property
    def configs(self) -> dict[int, ClientConfig]:
        """The conversion webhook's, if there is one, as number 0."""
        conversion = self.spec.conversion
        if conversion is None or conversion.strategy != "Webhook" or conversion.webhook is None:
            return {}
        return {} if conversion.webhook.client_config is None else {0: conversion.webhook.client_config}


class _Hook(Value, frozen=True):
    name: str = ""
    client_config: ClientConfig = ClientConfig()


class ValidatingConfiguration(Resource, frozen=True):
    """A ValidatingWebhookConfiguration."""

    KIND: ClassVar[Kind[ValidatingConfiguration]] = Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
    )

    webhooks: tuple[_Hook, ...] = ()

    @property
    def configs(self) -> dict[int, ClientConfig]:
        """Those of all webhooks, by their place in the list."""
        return {index: hook.client_config for index, hook in enumerate(self.webhooks)}
