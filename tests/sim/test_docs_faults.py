"""The example of docs/sim.md on faults."""

from rbgctrl.sim import run
from rbgctrl.sim.chaos import Answer, AnyFault, Drop, End, Ending, Match, Side
from rbgctrl.sim.world import World


def test_a_bad_afternoon() -> None:
    async def main() -> None:
        async with World() as world:
            faults: list[AnyFault] = [
                Drop(Match("create", "pods", nth=3), side=Side.AFTER),  # committed, and the answer is lost
                Answer(Match("patch", "*", subresource="status", every=4), status=429, retry_after=2),
                End(Match("watch", "pods", event="change", nth=5), how=Ending.RESET),
            ]
            daemon = await world.start(faults=faults, seed=7)
            role = {
                "name": "decode",
                "replicas": 4,
                "standalonePattern": {
                    "template": {"spec": {"containers": [{"name": "engine", "image": "registry.example/engine:1"}]}}
                },
            }
            await world.apply({"metadata": {"name": "llm"}, "spec": {"roles": [role]}})
            await world.until(lambda: world.is_ready("llm"))
            daemon.chaos.rules.check()  # every fault that was ordered has struck

    run(main())
