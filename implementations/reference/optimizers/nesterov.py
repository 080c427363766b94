"""Nesterov momentum.

h' = beta · h + g
Δ  = −alpha · (g + beta · h')
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep, StartsAtZero
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class Nesterov(StartsAtZero, DrivesByStep):
    """h' = beta · h + g;  Δ = −alpha · (g + beta · h')."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.beta = float(spec.parameters["beta"])

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """h' = beta · h + g;  Δ = −alpha · (g + beta · h')."""
        new = self.beta * state + gradient[:, None]
        return new, -self.alpha * (gradient + self.beta * new[:, 0])

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A = beta, B = 1, C = −alpha · beta², D = −alpha · (1 + beta)."""
        ones = np.ones((gradient.size, 1))
        return Linearization(
            self.beta * ones[:, :, None],
            ones,
            -self.alpha * self.beta**2 * ones,
            self.gain(state, gradient),
        )

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = −alpha · (1 + beta)."""
        return np.full(gradient.size, -self.alpha * (1 + self.beta))

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, of alpha and beta."""
        h, new = state[:, 0], self.beta * state[:, 0] + gradient
        new_bar = state_bar[:, 0] - self.alpha * self.beta * update_bar
        adjoints = {
            "alpha": np.asarray(-update_bar @ (gradient + self.beta * new)),
            "beta": np.asarray(new_bar @ h - self.alpha * update_bar @ new),
        }
        return self.beta * new_bar[:, None], new_bar - self.alpha * update_bar, adjoints

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ."""
        beta, g = np.abs(self.beta), np.abs(gradient)
        terms = beta * np.abs(state) + g[:, None]
        return terms, np.abs(self.alpha) * (g + beta * terms[:, 0])
