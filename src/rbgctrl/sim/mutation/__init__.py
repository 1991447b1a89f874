"""Objects drawn from a kind's schema, and histories of groups that change: strategies for hypothesis.

:mod:`rbgctrl.sim.mutation.schemas` draws what a CustomResourceDefinition allows, and what it almost allows;
:mod:`rbgctrl.sim.mutation.groups` draws sequences of steps of somebody who changes a group. What must be true after
them is :mod:`rbgctrl.sim.oracles`, which needs no hypothesis::

    @given(groups.sequences())
    def test_my_controller_survives_whatever_users_do(steps: tuple[Step, ...]) -> None:
        oracles.judge(steps)

Raises:
    ImportError: hypothesis is not installed.
"""

from __future__ import annotations

try:
    import hypothesis
except ImportError as error:
    raise ImportError(
        "rbgctrl.sim.mutation draws its specs with hypothesis, which is not installed; pip install 'hypothesis>=6.130'"
    ) from error

from rbgctrl.sim.mutation.groups import MUTATIONS, edited, groups, sequences
from rbgctrl.sim.mutation.schemas import SchemaError, from_crd, from_schema, spoiled

__all__ = ["MUTATIONS", "SchemaError", "edited", "from_crd", "from_schema", "groups", "sequences", "spoiled"]

del hypothesis
