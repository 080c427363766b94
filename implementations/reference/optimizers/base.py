"""The protocol and helpers of the optimizers of the reference.

`x_bar` is the adjoint of x: the derivative of the meta-objective by x.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Drives, Gains, LinearizableOptimizer, Optimizer

Array = NDArray[np.float64]


class ReferenceOptimizer(LinearizableOptimizer, Drives, Gains, Protocol):
    """An optimizer that also backpropagates through its step and bounds its rounding errors."""

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """Carry adjoints backward through `step`.

        Args:
            state: h, (n_components, n_state).
            gradient: g, (n_components,).
            state_bar: the adjoint of h', (n_components, n_state).
            update_bar: the adjoint of Δ, (n_components,).

        Returns: the adjoints of h, of g, and of each parameter (summed over components).
        """
        ...

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The adjoints of the parameters that `initial_state` uses, from the adjoint of h_0."""
        ...

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The scales of the rounding errors of `step`: the sizes of the terms it adds.

        Returns: the scales of h', (n_components, n_state), and of Δ, (n_components,).
        """
        ...


class DrivesByStep(Optimizer, Protocol):
    """An optimizer whose `drive` takes one `step` after another."""

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        """h[k + 1] = F(h[k], g[k]); the states at `times`, (len(times), n_components, n_state)."""
        rows = gradient_rows(gradients, times[-1])
        states = np.empty((len(times), *state.shape))
        h = state
        with np.errstate(all="ignore"):  # a component may diverge
            for i, (last, time) in enumerate(pairwise([0, *times])):
                for k in range(last, time):
                    h, _ = self.step(h, rows[k])
                states[i] = h
        return states


class StartsAtZero:
    """An optimizer with one state variable that starts at zero."""

    def initial_state(self, n_components: int) -> Array:
        """Zero, (n_components, 1)."""
        return np.zeros((n_components, 1))

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The initial state depends on no parameter."""
        return {}


def sqrt_with_slope(v: Array) -> tuple[Array, Array]:
    """√v and its derivative ½ / √v, which is taken as 0 at v = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):  # the root of a negative v is NaN
        root = np.sqrt(v)
        return root, np.where(v == 0, 0.0, 0.5 / root)


def gradient_rows(gradients: Array, n_steps: int) -> Array:
    """The gradient of each step, (n_steps or more, n_components), from one that is constant.

    >>> gradient_rows(np.array([1.0, 2.0]), 3).shape
    (3, 2)
    """
    if gradients.ndim == 2:
        return gradients
    return np.broadcast_to(gradients, (n_steps, gradients.size))
