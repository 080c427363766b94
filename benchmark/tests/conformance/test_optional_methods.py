"""Optional methods that are left out are reported as not offered."""

from typing import Any

import pytest

from loptbench.conformance import CheckStatus, check_all
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
from loptbench.tests.conformance.planted_base import Small

pytestmark = pytest.mark.harness


class _StepOnly:
    """The methods of level 1 of an optimizer."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def initial_state(self, n_components: int) -> Array:
        state: Array = self.inner.initial_state(n_components)
        return state

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        result: tuple[Array, Array] = self.inner.step(state, gradient)
        return result


class LevelOne(Small):
    """The reference without the optional methods of its optimizers."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _StepOnly(super().optimizer(spec, dtype, device))


@pytest.mark.parametrize("name", ["drive", "gain"])
def test_a_method_left_out_is_not_offered(name: str) -> None:
    outcomes = list(check_all(LevelOne(), only=[name]))
    assert {outcome.status for outcome in outcomes} == {CheckStatus.SKIPPED}
    message = f"not offered: no method {name} on the optimizer"
    assert all(message in outcome.message for outcome in outcomes)
