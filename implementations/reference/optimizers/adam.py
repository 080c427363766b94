"""Adam.

m' = beta1 · m + (1 − beta1) · g
v' = beta2 · v + (1 − beta2) · g²
t' = t + 1
Δ  = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)
"""

from typing import NamedTuple

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep, sqrt_with_slope
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class _Response(NamedTuple):
    """Δ / alpha and its derivatives, each (n_components,)."""

    value: Array
    by_m: Array
    by_v: Array
    by_t: Array
    by_beta1: Array
    by_beta2: Array


class Adam(DrivesByStep):
    """Adam with the state h = (m, v, t)."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha, self.beta1, self.beta2 = (
            float(spec.parameters[name]) for name in ("alpha", "beta1", "beta2")
        )
        self.epsilon = spec.constants["epsilon"]

    def initial_state(self, n_components: int) -> Array:
        """m = v = t = 0, (n_components, 3)."""
        return np.zeros((n_components, 3))

    def _moments(self, state: Array, gradient: Array) -> tuple[Array, Array, Array]:
        m, v, t = state.T
        new_m = self.beta1 * m + (1 - self.beta1) * gradient
        return new_m, self.beta2 * v + (1 - self.beta2) * gradient**2, t + 1

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """Δ = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)."""
        m, v, t = self._moments(state, gradient)
        mean = m / (1 - np.power(self.beta1, t))
        root, _ = sqrt_with_slope(v / (1 - np.power(self.beta2, t)))
        return np.stack([m, v, t], axis=1), -self.alpha * mean / (root + self.epsilon)

    def _response(self, m: Array, v: Array, t: Array) -> _Response:
        """R = Δ / alpha, and its derivatives by m', v', t', beta1 and beta2.

        The derivatives by beta1 and beta2 are those through the corrections alone. With
        c₁ = 1 − beta1^t', c₂ = 1 − beta2^t', d = √(v'/c₂) + epsilon, R = −m' / (c₁ d):

            ∂R/∂m' = −1 / (c₁ d)
            ∂R/∂beta1^t' = R / c₁
            ∂R/∂(v'/c₂) = −R / d · ½ / √(v'/c₂),   ∂(v'/c₂)/∂beta2^t' = v' / c₂²
        """
        p1, p1_by_beta, p1_by_t = _power(self.beta1, t)
        p2, p2_by_beta, p2_by_t = _power(self.beta2, t)
        c1, c2 = 1 - p1, 1 - p2
        root, slope = sqrt_with_slope(v / c2)
        d = root + self.epsilon
        by_m = -1 / (c1 * d)
        value = by_m * m
        by_p1 = value / c1
        by_ratio = -value / d * slope
        by_p2 = by_ratio * v / c2**2
        by_t = by_p1 * p1_by_t + by_p2 * p2_by_t
        return _Response(value, by_m, by_ratio / c2, by_t, by_p1 * p1_by_beta, by_p2 * p2_by_beta)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        A = diag(beta1, beta2, 1),  B = (1 − beta1, 2 (1 − beta2) g, 0)
        C = alpha (∂R/∂m', ∂R/∂v', ∂R/∂t') A
        """
        r = self._response(*self._moments(state, gradient))
        n = gradient.size
        diagonal = np.array([self.beta1, self.beta2, 1.0])
        A = np.tile(np.diag(diagonal), (n, 1, 1))
        B = np.stack(
            [np.full(n, 1 - self.beta1), 2 * (1 - self.beta2) * gradient, np.zeros(n)], axis=1
        )
        slopes = self.alpha * np.stack([r.by_m, r.by_v, r.by_t], axis=1)
        return Linearization(A, B, slopes * diagonal, self.gain(state, gradient))

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = alpha ((1 − beta1) ∂R/∂m' + 2 (1 − beta2) g ∂R/∂v')."""
        r = self._response(*self._moments(state, gradient))
        by_g = (1 - self.beta1) * r.by_m + 2 * (1 - self.beta2) * gradient * r.by_v
        return self.alpha * by_g

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, of alpha, beta1 and beta2."""
        m, v, _ = state.T
        r = self._response(*self._moments(state, gradient))
        scaled = self.alpha * update_bar
        m_bar = state_bar[:, 0] + scaled * r.by_m
        v_bar = state_bar[:, 1] + scaled * r.by_v
        t_bar = state_bar[:, 2] + scaled * r.by_t
        adjoints = {
            "alpha": np.asarray(update_bar @ r.value),
            "beta1": np.asarray(m_bar @ (m - gradient) + scaled @ r.by_beta1),
            "beta2": np.asarray(v_bar @ (v - gradient**2) + scaled @ r.by_beta2),
        }
        h_bar = np.stack([self.beta1 * m_bar, self.beta2 * v_bar, t_bar], axis=1)
        gradient_bar = (1 - self.beta1) * m_bar + 2 * (1 - self.beta2) * gradient * v_bar
        return h_bar, gradient_bar, adjoints

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The initial state depends on no parameter."""
        return {}

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ.

        1 − beta^t' cancels for small t': its error is relative to 1 / (1 − beta^t').
        """
        _, v, t = self._moments(state, gradient)
        m_terms = np.abs(self.beta1 * state[:, 0]) + np.abs((1 - self.beta1) * gradient)
        p1, p2 = np.power(self.beta1, t), np.power(self.beta2, t)
        with np.errstate(invalid="ignore"):
            d = np.sqrt(v / (1 - p2)) + self.epsilon
        cancelled = 1 + p1 / (1 - p1) + p2 / (1 - p2)
        update = np.abs(self.alpha) * m_terms / ((1 - p1) * d) * cancelled
        return np.stack([m_terms, np.abs(v), np.abs(t)], axis=1), np.abs(update)


def _power(base: float, exponent: Array) -> tuple[Array, Array, Array]:
    """base^exponent, and its derivatives by base and by exponent (0 where the base is)."""
    value = np.power(base, exponent)
    logarithm = np.log(base) if base > 0 else (0.0 if base == 0 else np.nan)
    return value, exponent * np.power(base, exponent - 1), value * logarithm
