"""RMSProp.

v' = gamma · v + (1 − gamma) · g²
Δ  = −alpha · g / (√v' + epsilon)
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import (
    Array,
    DrivesByStep,
    StartsAtZero,
    sqrt_with_slope,
)
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class RMSProp(StartsAtZero, DrivesByStep):
    """v' = gamma · v + (1 − gamma) · g²;  Δ = −alpha · g / (√v' + epsilon)."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.gamma = float(spec.parameters["gamma"])
        self.epsilon = spec.constants["epsilon"]

    def _squares(self, state: Array, gradient: Array) -> Array:
        v: Array = self.gamma * state[:, 0] + (1 - self.gamma) * gradient**2
        return v

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """v' = gamma · v + (1 − gamma) · g²;  Δ = −alpha · g / (√v' + epsilon)."""
        v = self._squares(state, gradient)
        return v[:, None], -self.alpha * gradient / (sqrt_with_slope(v)[0] + self.epsilon)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        A = gamma, B = 2 (1 − gamma) g, C = gamma ∂Δ/∂v'
        """
        _, by_v = self._slopes(state, gradient)
        A = np.full((gradient.size, 1, 1), self.gamma)
        B = 2 * (1 - self.gamma) * gradient
        D = self.gain(state, gradient)
        return Linearization(A, B[:, None], self.gamma * by_v[:, None], D)

    def _slopes(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """∂Δ/∂g at a constant v', and ∂Δ/∂v', with d = √v' + epsilon.

        ∂Δ/∂g = −alpha / d,  ∂Δ/∂v' = alpha · g / d² · d√v'/dv'
        """
        root, slope = sqrt_with_slope(self._squares(state, gradient))
        d = root + self.epsilon
        return -self.alpha / d, self.alpha * gradient / d**2 * slope

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = ∂Δ/∂g + 2 (1 − gamma) g ∂Δ/∂v'."""
        by_g, by_v = self._slopes(state, gradient)
        return by_g + 2 * (1 - self.gamma) * gradient * by_v

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, of alpha and gamma."""
        root, slope = sqrt_with_slope(self._squares(state, gradient))
        d = root + self.epsilon
        v_bar = state_bar[:, 0] + update_bar * self.alpha * gradient / d**2 * slope
        gradient_bar = -self.alpha * update_bar / d + 2 * (1 - self.gamma) * gradient * v_bar
        adjoints = {
            "alpha": np.asarray(-update_bar @ (gradient / d)),
            "gamma": np.asarray(v_bar @ (state[:, 0] - gradient**2)),
        }
        return self.gamma * v_bar[:, None], gradient_bar, adjoints

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ."""
        terms = np.abs(self.gamma * state) + np.abs(1 - self.gamma) * gradient[:, None] ** 2
        with np.errstate(invalid="ignore"):
            d = np.sqrt(self._squares(state, gradient)) + self.epsilon
        return terms, np.abs(self.alpha * gradient / d)
