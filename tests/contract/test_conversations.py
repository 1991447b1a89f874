"""Conversations drawn by chance: the embedded server and the real one must give the same answers, word for word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from contract.support.api import Api
from contract.support.backends import Backend, Embedded, Real
from contract.support.conversations import Step, Transcript, held, steps
from hack.controlplane import Cluster

Conversation: TypeAlias = list[Step]

STEPS = 25
AT_ONCE = 10


@pytest.fixture(scope="session")
def real(cluster: Cluster) -> Real:
    return Real(cluster)


def drawn(number: int) -> list[Conversation]:
    """Conversations that only depend on a number. Drawn first and held at the same time: nothing is shrunk."""
    found: list[Conversation] = []

    @seed(number)
    @settings(max_examples=AT_ONCE, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(conversation=steps(STEPS))
    def collect(conversation: Conversation) -> None:
        found.append(conversation)

    collect()
    return found


def told(backend: Backend, conversations: list[Conversation]) -> list[Transcript]:
    """What was answered in each of them."""
    answers: list[Transcript] = [[] for _ in conversations]

    def case(index: int) -> Callable[[Api], Awaitable[None]]:
        async def hold(api: Api) -> None:
            answers[index] = await held(api, conversations[index])

        return hold

    for failure in backend.run(*map(case, range(len(conversations)))):
        if failure is not None:
            raise failure
    return answers


@pytest.mark.parametrize("number", range(12))
def test_both_servers_say_the_same(real: Real, number: int) -> None:
    conversations = drawn(number)
    for conversation, theirs in zip(conversations, told(real, conversations), strict=True):
        (ours,) = told(Embedded(), [conversation])  # a server of its own: versions and uids depend on nobody else
        for index, step in enumerate(conversation):
            said = "\n".join(map(repr, conversation[:index]))
            assert ours[index] == theirs[index], f"after\n{said}\nstep {index} is\n{step!r}"
        assert ours == theirs
