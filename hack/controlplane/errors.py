"""What can go wrong while building or running a control plane: one class per condition."""

from __future__ import annotations

__all__ = [
    "BuildError",
    "ComponentExitedError",
    "ControlPlaneError",
    "DeadlineError",
    "HttpError",
    "PortTakenError",
    "StateError",
    "ToolchainError",
    "UnsupportedError",
]


class ControlPlaneError(Exception):
    """Base of every error raised by this package."""


class UnsupportedError(ControlPlaneError):
    """Raised where the kernel lacks what keeps processes in hand (``/proc``, pidfds): anything but Linux."""


class ToolchainError(ControlPlaneError):
    """Raised when there is no Go that can build the pinned modules and none could be installed."""


class BuildError(ControlPlaneError):
    """Raised when a Go command failed; the message ends with what it printed."""


class ComponentExitedError(ControlPlaneError):
    """Raised when a component ended while it was waited for; the message ends with the tail of its log."""


class PortTakenError(ComponentExitedError):
    """Raised when a component ended because another process took its port first."""


class DeadlineError(ControlPlaneError):
    """Raised when something waited for did not come true in time; the message says what was last seen."""


class StateError(ControlPlaneError):
    """Raised when a state folder cannot be used: it already runs a cluster, or its file is not readable."""


class HttpError(ControlPlaneError):
    """Raised for an answer of the API server other than 2xx.

    Attributes:
        status: The HTTP status code.
        reason: ``reason`` of the Status object, ``""`` when the body was none.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        """Takes the parts of the Status object; ``message`` is the whole body when there was none."""
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
