"""Controllers for role-based groups on Kubernetes, in asyncio: a library and a daemon."""

from rbgctrl.version import __version__

__all__ = ["__version__"]
