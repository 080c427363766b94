"""The protocol and helpers of the optimizers of the reference.

`x_bar` is the adjoint of x: the derivative of the meta-objective by x.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import LinearizableOptimizer

Array = NDArray[np.float64]


class ReferenceOptimizer(LinearizableOptimizer, Protocol):
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
