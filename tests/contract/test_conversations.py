"""Conversations drawn by chance: the embedded server and the real one must give the same answers, word for word."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from contract.support.backends import Backend, Embedded, Real
from contract.support.conversations import Step, held, steps


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest) -> Real:
    return Real(request.getfixturevalue("cluster"))


def told(backend: Backend, conversation: list[Step]) -> list[object]:
    answers: list[object] = []

    async def case(api: object) -> None:
        answers.extend(await held(api, conversation))  # type: ignore[arg-type]

    for failure in backend.run(case):
        if failure is not None:
            raise failure
    return answers


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conversation=steps(25))
def test_both_servers_say_the_same(real: Real, conversation: list[Step]) -> None:
    ours, theirs = told(Embedded(), conversation), told(real, conversation)
    for index, step in enumerate(conversation):
        assert ours[index] == theirs[index], f"step {index}: {step!r}"
    assert ours == theirs
