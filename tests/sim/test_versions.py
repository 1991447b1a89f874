"""Both versions of our kinds on the embedded cluster; tests/e2e/test_webhooks.py has the same cases on a real one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contract.support.api import Api
from contract.support.versions import ADMISSION_CASES, CASES, Case
from rbgctrl.client import Client
from rbgctrl.sim.loop import run as run_virtual
from rbgctrl.sim.server import ApiServer
from rbgctrl.sim.versions import webhook_admission

_START = datetime(2026, 1, 1, tzinfo=UTC)


async def _never() -> None:
    raise AssertionError("no case needs that")


async def _embedded(case: Case) -> None:
    loop = asyncio.get_running_loop()
    server = ApiServer(now=lambda: _START + timedelta(seconds=loop.time()))
    server.admission.append(webhook_admission(server))
    async with Client(server.transport()) as client:
        await case(Api(client, "default", _never))


@pytest.mark.parametrize("case", [*CASES, *ADMISSION_CASES], ids=lambda case: case.__name__)
def test_both_versions_on_the_embedded_cluster(case: Case) -> None:
    run_virtual(_embedded(case))
