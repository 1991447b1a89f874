"""Waiting has a deadline and says what it saw; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from hack.controlplane.errors import DeadlineError
from hack.controlplane.waiting import eventually
from rbgctrl.sim.loop import run


def test_the_first_true_answer_is_returned() -> None:
    answers = iter([0, "", "yes"])
    assert run(eventually(lambda: next(answers))) == "yes"


def test_a_failed_assertion_means_not_yet() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        begin = loop.time()

        async def probe() -> bool:
            assert loop.time() >= begin + 5
            return True

        await eventually(probe, 10.0, interval=1.0)
        return loop.time() - begin

    assert run(main()) == pytest.approx(5.0)


def test_the_deadline_names_the_condition_and_what_was_seen_last() -> None:
    async def main() -> None:
        def probe() -> bool:
            raise AssertionError("three of four")

        await eventually(probe, 7.0, what="four pods")

    with pytest.raises(DeadlineError, match=r"four pods did not come true within 7 s; last seen: .*three of four"):
        run(main())


def test_other_exceptions_are_raised_at_once() -> None:
    async def probe() -> bool:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        run(eventually(probe))


def test_chosen_exceptions_mean_not_yet() -> None:
    tries = iter([KeyError("a"), KeyError("b"), None])

    def probe() -> bool:
        error = next(tries)
        if error is not None:
            raise error
        return True

    assert run(eventually(probe, retry_on=(KeyError,))) is True
