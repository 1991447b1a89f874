"""Before any work: can the API server be reached, does it know us, and are our kinds installed?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import CustomResourceDefinition
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.client import (
    ApiError,
    ApiStatusError,
    CertificateError,
    Client,
    ConnectError,
    ForbiddenError,
    NotFoundError,
    ResponseError,
    UnauthorizedError,
)
from rbgctrl.clock import Jitter, jitter

__all__ = ["REQUIRED_CRDS", "AccessError", "MissingCrdsError", "Preflight", "require_crds"]

log = structlog.get_logger(__name__)

REQUIRED_CRDS = tuple(
    kind.KIND.resource
    for kind in (
        RoleBasedGroup,
        RoleInstanceSet,
        RoleInstance,
        RoleBasedGroupSet,
        RoleBasedGroupScalingAdapter,
        ClusterEngineRuntimeProfile,
        RoleBasedGroupWarmup,
    )
)
"""Names of the CRDs the reconcilers cannot do without."""


class MissingCrdsError(Exception):
    """Kinds we work with are not installed, or not served yet. The message says which and how to install them.

    Attributes:
        missing: names of CRDs that do not exist.
        unserved: names of those that exist and are not Established.
    """

    def __init__(self, missing: Iterable[str], unserved: Iterable[str]) -> None:
        self.missing = tuple(missing)
        self.unserved = tuple(unserved)
        parts = []
        if self.missing:
            parts.append(f"CRDs are not installed: {', '.join(self.missing)}")
        if self.unserved:
            parts.append(f"CRDs are installed but not Established: {', '.join(self.unserved)}")
        super().__init__(f"{'; '.join(parts)}. Install them with: rbgctrl crds | kubectl apply --server-side -f -")


class AccessError(Exception):
    """The API server does not accept our credentials. The message says what to check."""


async def require_crds(
    client: Client, names: Iterable[str] = REQUIRED_CRDS, *, patience: float = 10.0, interval: float = 1.0
) -> None:
    """Make sure that CRDs are installed and served.

    Args:
        client: where to look.
        names: ``plural.group`` of each.
        patience: seconds that one which exists gets to become Established; they are often installed just before us.
        interval: seconds between looks.

    Raises:
        MissingCrdsError: at least one is missing, or not Established in time.
        ApiError: could not be found out.
    """
    wanted = tuple(names)
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        states = await asyncio.gather(*(_established(client, name) for name in wanted))
        missing = [name for name, state in zip(wanted, states, strict=True) if state is None]
        unserved = [name for name, state in zip(wanted, states, strict=True) if state is False]
        if not missing and not unserved:
            return
        if missing or asyncio.get_running_loop().time() >= deadline:
            raise MissingCrdsError(missing, unserved)
        await asyncio.sleep(interval)


async def _established(client: Client, name: str) -> bool | None:
    """None when there is no such CRD."""
    try:
        crd = await client.get(CustomResourceDefinition, Key("", name))
    except NotFoundError:
        return None
    return any(condition.type == "Established" and condition.true for condition in crd.status.conditions or ())


class Preflight:
    """Waits for the API server, for as long as it takes, and then checks what cannot mend itself.

    Args:
        client: where to look.
        crds: names of CRDs that have to be there.
        first: seconds before the second attempt; doubles with each further one.
        limit: the longest pause, in seconds.
        jitter: spreads the pauses of many replicas.
    """

    def __init__(
        self,
        client: Client,
        crds: Iterable[str] = REQUIRED_CRDS,
        *,
        first: float = 1.0,
        limit: float = 30.0,
        jitter: Jitter = jitter,
    ) -> None:
        self._client = client
        self._crds = tuple(crds)
        self._first = first
        self._limit = limit
        self._jitter = jitter

    async def __call__(self) -> None:
        """Return once work can begin.

        Raises:
            MissingCrdsError: CRDs are not there.
            AccessError: we are not who we say.
            CertificateError: the server's certificate, or ours, is not accepted.
            ApiError: something else that waiting does not mend.
        """
        pause = self._first
        while True:
            try:
                await require_crds(self._client, self._crds)
            except ForbiddenError as error:
                log.warning("may not read CRDs, so whether they are installed is not checked", error=str(error))
                return
            except UnauthorizedError as error:
                msg = f"The API server does not accept our credentials ({error}). Renew the token or log in again."
                raise AccessError(msg) from error
            except ApiError as error:
                if not _passing(error):
                    raise
                wait = pause * (0.8 + 0.4 * self._jitter())
                log.warning("the API server is not available, trying again", error=str(error), wait=round(wait, 1))
                await asyncio.sleep(wait)
                pause = min(pause * 2, self._limit)
            else:
                return


def _passing(error: ApiError) -> bool:
    """Whether an error may go away by itself: a server that is down, starting, overloaded, or behind a proxy."""
    match error:
        case CertificateError():
            return False
        case ConnectError() | ResponseError():
            return True
        case ApiStatusError():
            return error.status >= 500 or error.status == 429
    return False
