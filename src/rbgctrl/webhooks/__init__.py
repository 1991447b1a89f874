"""Conversion and admission for the API server, with the certificates that takes.

``reviews`` answers questions, bytes to bytes; ``server`` listens; ``certificates`` decides when what has to be renewed;
``sources`` and ``bundles`` read and write the cluster; ``service`` runs it all.
"""

from __future__ import annotations

from rbgctrl.webhooks.service import SECRET, SERVICE, WebhookOptions, Webhooks

__all__ = ["SECRET", "SERVICE", "WebhookOptions", "Webhooks"]
