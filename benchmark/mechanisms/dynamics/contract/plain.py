"""An optimizer whose results are plain NumPy arrays, whatever it returns itself."""

import numpy as np

from loptbench.mechanisms.dynamics.arrays import plain_array
from loptbench.mechanisms.dynamics.linearization import checked_linearization, checked_step
from loptbench.protocol import Array, LinearizableOptimizer, Linearization, Optimizer


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


class PlainLinearizableOptimizer(PlainOptimizer):
    """The same for an optimizer that differentiates itself."""

    inner: LinearizableOptimizer

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A, B, C, D; see `checked_linearization`."""
        return checked_linearization(self.inner, state, gradient)


def as_plain(optimizer: Optimizer) -> Optimizer:
    """The optimizer with plain results."""
    if isinstance(optimizer, LinearizableOptimizer):
        return PlainLinearizableOptimizer(optimizer)
    return PlainOptimizer(optimizer)
