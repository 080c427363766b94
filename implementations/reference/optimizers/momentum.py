"""Heavy-ball momentum.

h' = beta · h + g
Δ  = −alpha · h'
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep, StartsAtZero
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class Momentum(StartsAtZero, DrivesByStep):
    """h' = beta · h + g;  Δ = −alpha · h'."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.beta = float(spec.parameters["beta"])

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """h' = beta · h + g;  Δ = −alpha · h'."""
        new = self.beta * state + gradient[:, None]
        return new, -self.alpha * new[:, 0]

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A = beta, B = 1, C = −alpha · beta, D = −alpha."""
        ones = np.ones((gradient.size, 1))
        return Linearization(
            self.beta * ones[:, :, None],
            ones,
            -self.alpha * self.beta * ones,
            self.gain(state, gradient),
        )

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = −alpha."""
        return np.full(gradient.size, -self.alpha)

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, of alpha and beta."""
        new = self.beta * state[:, 0] + gradient
        new_bar = state_bar[:, 0] - self.alpha * update_bar
        adjoints = {
            "alpha": np.asarray(-update_bar @ new),
            "beta": np.asarray(new_bar @ state[:, 0]),
        }
        return self.beta * new_bar[:, None], new_bar, adjoints

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ."""
        terms = np.abs(self.beta * state) + np.abs(gradient)[:, None]
        return terms, np.abs(self.alpha) * terms[:, 0]
