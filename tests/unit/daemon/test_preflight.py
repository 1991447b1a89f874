"""What is checked before work, and what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from rbgctrl.client import (
    ApiError,
    CertificateError,
    ConfigError,
    ConnectError,
    ForbiddenError,
    InternalServerError,
    ResponseError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from rbgctrl.client.transport import ApiRequest
from rbgctrl.daemon.preflight import REQUIRED_CRDS, AccessError, MissingCrdsError, Preflight, require_crds
from rbgctrl.sim.loop import run
from unit.runtime.fake_cluster import ClusterLink, FakeCluster


def cluster(**states: bool) -> ClusterLink:
    crds = {name: states.get(name.partition(".")[0], True) for name in REQUIRED_CRDS}
    return FakeCluster(crds=crds).link("m")


def answers(*errors: Exception | None) -> Callable[[ApiRequest], Exception | None]:
    """One for each round of looking at all CRDs; the last one for ever."""
    left = [error for error in errors for _ in REQUIRED_CRDS]

    def before(_: ApiRequest) -> Exception | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return before


def test_the_seven_kinds_that_reconcilers_read_are_required() -> None:
    assert REQUIRED_CRDS == (
        "rolebasedgroups.workloads.x-k8s.io",
        "roleinstancesets.workloads.x-k8s.io",
        "roleinstances.workloads.x-k8s.io",
        "rolebasedgroupsets.workloads.x-k8s.io",
        "rolebasedgroupscalingadapters.workloads.x-k8s.io",
        "clusterengineruntimeprofiles.workloads.x-k8s.io",
        "rolebasedgroupwarmups.workloads.x-k8s.io",
    )


def test_a_cluster_with_all_crds_passes_at_once() -> None:
    async def main() -> None:
        await Preflight(cluster().client())()
        assert asyncio.get_running_loop().time() < 0.1

    run(main())


def test_missing_crds_are_all_named_with_how_to_install_them() -> None:
    async def main() -> None:
        link = cluster()
        del link.server.crds[REQUIRED_CRDS[0]], link.server.crds[REQUIRED_CRDS[2]]
        with pytest.raises(MissingCrdsError) as caught:
            await require_crds(link.client())
        assert str(caught.value) == (
            "CRDs are not installed: rolebasedgroups.workloads.x-k8s.io, roleinstances.workloads.x-k8s.io. "
            "Install them with: rbgctrl crds | kubectl apply --server-side -f -"
        )
        assert caught.value.missing == (REQUIRED_CRDS[0], REQUIRED_CRDS[2])

    run(main())


def test_a_crd_that_is_just_being_established_is_waited_for_a_little() -> None:
    async def main() -> None:
        link = cluster(roleinstances=False)
        waiting = asyncio.create_task(require_crds(link.client()))
        await asyncio.sleep(4)
        link.server.crds[REQUIRED_CRDS[2]] = True
        await waiting
        assert asyncio.get_running_loop().time() < 6

    run(main())


def test_a_crd_that_is_never_established_is_named() -> None:
    async def main() -> None:
        with pytest.raises(MissingCrdsError, match="installed but not Established: roleinstances") as caught:
            await require_crds(cluster(roleinstances=False).client())
        assert caught.value.unserved == (REQUIRED_CRDS[2],)
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=1)

    run(main())


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("cannot connect to 127.0.0.1:1; check that it is up"),
        InternalServerError(500),
        UnavailableError(503),
        TooManyRequestsError(429),
        ResponseError("an HTML page of a proxy"),
    ],
    ids=["unreachable", "500", "503", "429", "proxy"],
)
def test_what_passes_is_waited_for_with_growing_pauses_and_one_line_each(error: ApiError) -> None:
    async def main() -> None:
        link = cluster()
        link.before = answers(*[error] * 8, None)
        with capture_logs() as logs:
            await Preflight(link.client(), jitter=lambda: 0.5)()
        assert [entry["wait"] for entry in logs] == [1, 2, 4, 8, 16, 30, 30, 30]
        assert all(str(error) in entry["error"] for entry in logs)

    run(main())


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (UnauthorizedError(401, message="Unauthorized"), AccessError),
        (CertificateError("the certificate is not trusted"), CertificateError),
        (ConfigError("the exec plugin is missing"), ConfigError),
    ],
    ids=["401", "certificate", "credentials"],
)
def test_what_waiting_does_not_mend_is_raised_at_once(error: Exception, raised: type[Exception]) -> None:
    async def main() -> None:
        link = cluster()
        link.before = answers(error)
        with pytest.raises(raised) as caught:
            await Preflight(link.client())()
        assert str(caught.value)
        assert asyncio.get_running_loop().time() < 0.1

    run(main())


def test_a_wrong_token_says_what_to_do() -> None:
    async def main() -> None:
        link = cluster()
        link.before = answers(UnauthorizedError(401, message="Unauthorized"))
        with pytest.raises(AccessError, match=r"does not accept our credentials.*Renew the token"):
            await Preflight(link.client())()

    run(main())


def test_without_the_right_to_read_crds_they_are_not_checked_and_that_is_said() -> None:
    async def main() -> None:
        link = cluster()
        link.before = answers(ForbiddenError(403))
        with capture_logs() as logs:
            await Preflight(link.client())()
        assert "not checked" in logs[0]["event"]

    run(main())


def test_a_server_that_comes_up_without_our_crds_is_still_noticed() -> None:
    async def main() -> None:
        link = FakeCluster().link("m")
        link.before = answers(ConnectError("refused"), ConnectError("refused"), None)
        with capture_logs(), pytest.raises(MissingCrdsError):
            await Preflight(link.client())()

    run(main())


def test_pauses_of_replicas_are_spread() -> None:
    async def waited(jitter: float) -> list[Any]:
        link = cluster()
        link.before = answers(ConnectError("refused"), None)
        with capture_logs() as logs:
            await Preflight(link.client(), jitter=lambda: jitter)()
        return [entry["wait"] for entry in logs]

    assert run(waited(0.0)) == [0.8]
    assert run(waited(1.0)) == [1.2]
