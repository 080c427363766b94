"""The hand-designed optimizers, forwards, linearized, and backwards."""

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization

Float = NDArray[np.float64]


class SGD:
    """Δ = −alpha · g; no state."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])

    def initial_state(self, n_components: int) -> Float:
        """An empty state, (n_components, 0)."""
        return np.zeros((n_components, 0))

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """Δ = −alpha · g."""
        return state.copy(), -self.alpha * gradient

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """D = −alpha; A, B, C are empty."""
        n = gradient.size
        empty = np.zeros((n, 0))
        return Linearization(np.zeros((n, 0, 0)), empty, empty, np.full(n, -self.alpha))

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, and of alpha; see `GRU.pullback`."""
        return to_state, -self.alpha * to_update, {"alpha": np.asarray(-to_update @ gradient)}

    def initial_state_pullback(self, to_state: Float) -> dict[str, Float]:
        """The initial state depends on no parameter."""
        return {}

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`."""
        return np.zeros_like(state), np.abs(self.alpha * gradient)


class OneState:
    """An optimizer with one state variable, which begins at zero."""

    def initial_state(self, n_components: int) -> Float:
        """Zero, (n_components, 1)."""
        return np.zeros((n_components, 1))

    def initial_state_pullback(self, to_state: Float) -> dict[str, Float]:
        """The initial state depends on no parameter."""
        return {}


class Momentum(OneState):
    """h' = beta · h + g;  Δ = −alpha · h'."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.beta = float(spec.parameters["beta"])

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """h' = beta · h + g;  Δ = −alpha · h'."""
        new = self.beta * state + gradient[:, None]
        return new, -self.alpha * new[:, 0]

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """A = beta, B = 1, C = −alpha · beta, D = −alpha."""
        one = np.ones((gradient.size, 1))
        return Linearization(
            self.beta * one[:, :, None], one, -self.alpha * self.beta * one, -self.alpha * one[:, 0]
        )

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, of alpha and beta; see `GRU.pullback`."""
        new = self.beta * state[:, 0] + gradient
        to_new = to_state[:, 0] - self.alpha * to_update
        adjoints = {"alpha": np.asarray(-to_update @ new), "beta": np.asarray(to_new @ state[:, 0])}
        return self.beta * to_new[:, None], to_new, adjoints

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`."""
        terms = np.abs(self.beta * state) + np.abs(gradient)[:, None]
        return terms, np.abs(self.alpha) * terms[:, 0]


class Nesterov(OneState):
    """h' = beta · h + g;  Δ = −alpha · (g + beta · h')."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha = float(spec.parameters["alpha"])
        self.beta = float(spec.parameters["beta"])

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """h' = beta · h + g;  Δ = −alpha · (g + beta · h')."""
        new = self.beta * state + gradient[:, None]
        return new, -self.alpha * (gradient + self.beta * new[:, 0])

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """A = beta, B = 1, C = −alpha · beta², D = −alpha · (1 + beta)."""
        one = np.ones((gradient.size, 1))
        return Linearization(
            self.beta * one[:, :, None],
            one,
            -self.alpha * self.beta**2 * one,
            -self.alpha * (1 + self.beta) * one[:, 0],
        )

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, of alpha and beta; see `GRU.pullback`."""
        h, new = state[:, 0], self.beta * state[:, 0] + gradient
        to_new = to_state[:, 0] - self.alpha * self.beta * to_update
        adjoints = {
            "alpha": np.asarray(-to_update @ (gradient + self.beta * new)),
            "beta": np.asarray(to_new @ h - self.alpha * to_update @ new),
        }
        return self.beta * to_new[:, None], to_new - self.alpha * to_update, adjoints

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`."""
        beta, g = np.abs(self.beta), np.abs(gradient)
        terms = beta * np.abs(state) + g[:, None]
        return terms, np.abs(self.alpha) * (g + beta * terms[:, 0])
