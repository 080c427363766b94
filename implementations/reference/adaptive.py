"""RMSProp and Adam, forwards, linearized, and backwards.

d√v/dv is taken as 0 at v = 0; see `loptbench.optimizers`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.reference.baselines import OneState
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization

Float = NDArray[np.float64]


def _root(v: Float) -> tuple[Float, Float]:
    """√v and its derivative ½ / √v."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a negative v has none: NaN
        root = np.sqrt(v)
        return root, np.where(v == 0, 0.0, 0.5 / root)


def _power(base: float, exponent: Float) -> tuple[Float, Float, Float]:
    """base^exponent, and its derivatives by base and by exponent (0 where the base is)."""
    value = np.power(base, exponent)
    logarithm = np.log(base) if base > 0 else (0.0 if base == 0 else np.nan)
    return value, exponent * np.power(base, exponent - 1), value * logarithm


class RMSProp(OneState):
    """v' = gamma · v + (1 − gamma) · g²;  Δ = −alpha · g / (√v' + epsilon)."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.gamma = float(spec.parameters["gamma"])
        self.epsilon = spec.constants["epsilon"]

    def _squares(self, state: Float, gradient: Float) -> Float:
        v: Float = self.gamma * state[:, 0] + (1 - self.gamma) * gradient**2
        return v

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """v' = gamma · v + (1 − gamma) · g²;  Δ = −alpha · g / (√v' + epsilon)."""
        v = self._squares(state, gradient)
        return v[:, None], -self.alpha * gradient / (_root(v)[0] + self.epsilon)

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """The derivatives of `step`, by the chain rule, with d = √v' + epsilon.

        A = gamma, B = 2 (1 − gamma) g,
        ∂Δ/∂v' = alpha · g / d² · d√v'/dv',  C = gamma ∂Δ/∂v',  D = −alpha / d + B ∂Δ/∂v'
        """
        root, slope = _root(self._squares(state, gradient))
        d = root + self.epsilon
        by_v = self.alpha * gradient / d**2 * slope
        B = 2 * (1 - self.gamma) * gradient
        A = np.full((gradient.size, 1, 1), self.gamma)
        return Linearization(A, B[:, None], self.gamma * by_v[:, None], -self.alpha / d + B * by_v)

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, of alpha and gamma; see `GRU.pullback`."""
        root, slope = _root(self._squares(state, gradient))
        d = root + self.epsilon
        to_v = to_state[:, 0] + to_update * self.alpha * gradient / d**2 * slope
        to_gradient = -self.alpha * to_update / d + 2 * (1 - self.gamma) * gradient * to_v
        adjoints = {
            "alpha": np.asarray(-to_update @ (gradient / d)),
            "gamma": np.asarray(to_v @ (state[:, 0] - gradient**2)),
        }
        return self.gamma * to_v[:, None], to_gradient, adjoints

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`."""
        terms = np.abs(self.gamma * state) + np.abs(1 - self.gamma) * gradient[:, None] ** 2
        with np.errstate(invalid="ignore"):
            d = np.sqrt(self._squares(state, gradient)) + self.epsilon
        return terms, np.abs(self.alpha * gradient / d)


class Adam:
    """m, v and t; the equations stand in `loptbench.optimizers`."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha, self.beta1, self.beta2 = (
            float(spec.parameters[name]) for name in ("alpha", "beta1", "beta2")
        )
        self.epsilon = spec.constants["epsilon"]

    def initial_state(self, n_components: int) -> Float:
        """m = v = t = 0, (n_components, 3)."""
        return np.zeros((n_components, 3))

    def _moments(self, state: Float, gradient: Float) -> tuple[Float, Float, Float]:
        m, v, t = state.T
        new_m = self.beta1 * m + (1 - self.beta1) * gradient
        return new_m, self.beta2 * v + (1 - self.beta2) * gradient**2, t + 1

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """Δ = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)."""
        m, v, t = self._moments(state, gradient)
        mean = m / (1 - np.power(self.beta1, t))
        root, _ = _root(v / (1 - np.power(self.beta2, t)))
        return np.stack([m, v, t], axis=1), -self.alpha * mean / (root + self.epsilon)

    def _response(self, m: Float, v: Float, t: Float) -> "_Response":
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
        root, slope = _root(v / c2)
        d = root + self.epsilon
        by_m = -1 / (c1 * d)
        value = by_m * m
        by_p1 = value / c1
        by_ratio = -value / d * slope
        by_p2 = by_ratio * v / c2**2
        by_t = by_p1 * p1_by_t + by_p2 * p2_by_t
        return _Response(value, by_m, by_ratio / c2, by_t, by_p1 * p1_by_beta, by_p2 * p2_by_beta)

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        A = diag(beta1, beta2, 1),  B = (1 − beta1, 2 (1 − beta2) g, 0)
        C = alpha (∂R/∂m', ∂R/∂v', ∂R/∂t') A,  D = alpha (∂R/∂m', ∂R/∂v', ∂R/∂t') B
        """
        r = self._response(*self._moments(state, gradient))
        n = gradient.size
        diagonal = np.array([self.beta1, self.beta2, 1.0])
        A = np.tile(np.diag(diagonal), (n, 1, 1))
        B = np.stack(
            [np.full(n, 1 - self.beta1), 2 * (1 - self.beta2) * gradient, np.zeros(n)], axis=1
        )
        slopes = self.alpha * np.stack([r.by_m, r.by_v, r.by_t], axis=1)
        return Linearization(A, B, slopes * diagonal, np.sum(slopes * B, axis=1))

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, of alpha, beta1 and beta2; see `GRU.pullback`."""
        m, v, _ = state.T
        r = self._response(*self._moments(state, gradient))
        scaled = self.alpha * to_update
        to_m = to_state[:, 0] + scaled * r.by_m
        to_v = to_state[:, 1] + scaled * r.by_v
        to_t = to_state[:, 2] + scaled * r.by_t
        adjoints = {
            "alpha": np.asarray(to_update @ r.value),
            "beta1": np.asarray(to_m @ (m - gradient) + scaled @ r.by_beta1),
            "beta2": np.asarray(to_v @ (v - gradient**2) + scaled @ r.by_beta2),
        }
        to_h = np.stack([self.beta1 * to_m, self.beta2 * to_v, to_t], axis=1)
        to_gradient = (1 - self.beta1) * to_m + 2 * (1 - self.beta2) * gradient * to_v
        return to_h, to_gradient, adjoints

    def initial_state_pullback(self, to_state: Float) -> dict[str, Float]:
        """The initial state depends on no parameter."""
        return {}

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`.

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


class _Response(NamedTuple):
    """Δ / alpha and its derivatives, each (n_components,)."""

    value: Float
    by_m: Float
    by_v: Float
    by_t: Float
    by_beta1: Float
    by_beta2: Float
