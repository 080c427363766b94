"""An optimizer whose results are plain NumPy arrays, whatever it returns itself."""

from collections.abc import Sequence

import numpy as np

from loptbench.mechanisms.dynamics.arrays import plain_array
from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.linearization import (
    checked_gain,
    checked_linearization,
    checked_step,
)
from loptbench.protocol import (
    Array,
    Drives,
    Gains,
    LinearizableOptimizer,
    Linearization,
    Optimizer,
)


class PlainOptimizer:
    """An optimizer, with its results validated and converted to NumPy arrays.

    Args:
        inner: the optimizer.
    """

    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner

    def initial_state(self, n_components: int) -> Array:
        """The initial state, in an array of its own."""
        state = self.inner.initial_state(n_components)
        return np.array(plain_array("the state that initial_state returns", state))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """One step; see `checked_step`."""
        return checked_step(self.inner, state, gradient)


class _Linearizing(PlainOptimizer):
    inner: LinearizableOptimizer

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        return checked_linearization(self.inner, state, gradient)


class _Gaining(PlainOptimizer):
    inner: Gains

    def gain(self, state: Array, gradient: Array) -> Array:
        return checked_gain(self.inner, state, gradient)


class _Driving(PlainOptimizer):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return drive(self.inner, state, gradients, times)


def as_plain(optimizer: Optimizer) -> Optimizer:
    """The optimizer with plain results, and those optional methods that it offers."""
    offered: dict[type, type[PlainOptimizer]] = {
        LinearizableOptimizer: _Linearizing,
        Gains: _Gaining,
        Drives: _Driving,
    }
    bases = [plain for protocol, plain in offered.items() if isinstance(optimizer, protocol)]
    combined = type("PlainOptimizer", (*bases, PlainOptimizer), {})
    result: PlainOptimizer = combined(optimizer)
    return result
