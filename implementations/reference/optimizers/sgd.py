"""Gradient descent.

Δ = −alpha · g
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class SGD(DrivesByStep):
    """Δ = −alpha · g; no state."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])

    def initial_state(self, n_components: int) -> Array:
        """An empty state, (n_components, 0)."""
        return np.zeros((n_components, 0))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """Δ = −alpha · g."""
        return state.copy(), -self.alpha * gradient

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """D = −alpha; A, B, C are empty."""
        n = gradient.size
        empty = np.zeros((n, 0))
        return Linearization(np.zeros((n, 0, 0)), empty, empty, self.gain(state, gradient))

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = −alpha."""
        return np.full(gradient.size, -self.alpha)

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, and of alpha."""
        return state_bar, -self.alpha * update_bar, {"alpha": np.asarray(-update_bar @ gradient)}

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The initial state depends on no parameter."""
        return {}

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ."""
        return np.zeros_like(state), np.abs(self.alpha * gradient)
