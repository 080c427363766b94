"""Aggregated momentum, a hard clip and a schedule, forwards, linearized, and backwards."""

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization

Float = NDArray[np.float64]


class Composed:
    """m' = betas · m + clip(g);  Δ = −alpha · ρ · mean(m');  ρ' = 1 + decay · (ρ − 1)."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha, self.clip, self.start, self.decay = (
            float(spec.parameters[name]) for name in ("alpha", "clip", "start", "decay")
        )
        self.betas = np.asarray(spec.parameters["betas"], np.float64)

    def initial_state(self, n_components: int) -> Float:
        """m = 0, ρ = start, (n_components, K + 1)."""
        state = np.zeros((n_components, self.betas.size + 1))
        state[:, -1] = self.start
        return state

    def _clipped(self, gradient: Float) -> Float:
        return np.minimum(np.maximum(gradient, -self.clip), self.clip)

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """m' = betas · m + clip(g);  Δ = −alpha · ρ · mean(m');  ρ' = 1 + decay · (ρ − 1)."""
        m, rho = state[:, :-1], state[:, -1]
        m = self.betas * m + self._clipped(gradient)[:, None]
        new = np.concatenate([m, 1 + self.decay * (rho[:, None] - 1)], axis=1)
        return new, -self.alpha * rho * m.mean(axis=1)

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """The derivatives of `step`; i is 1 where the gradient is not clipped, else 0.

        A = diag(betas, decay),  B = (i, …, i, 0)
        C = (−alpha ρ betas / K, −alpha mean(m')),  D = −alpha ρ i
        """
        n, k = gradient.size, self.betas.size
        rho, inside = state[:, -1], (np.abs(gradient) < self.clip).astype(np.float64)
        new = self.step(state, gradient)[0]
        A = np.tile(np.diag(np.append(self.betas, self.decay)), (n, 1, 1))
        B = np.concatenate([np.tile(inside[:, None], k), np.zeros((n, 1))], axis=1)
        by_m = -self.alpha * rho[:, None] * self.betas / k
        by_rho = -self.alpha * new[:, :-1].mean(axis=1, keepdims=True)
        C = np.concatenate([by_m, by_rho], axis=1)
        return Linearization(A, B, C, -self.alpha * rho * inside)

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """The adjoints of h, of g, and of the parameters; see `GRU.pullback`."""
        m, rho = state[:, :-1], state[:, -1]
        mean = self.step(state, gradient)[0][:, :-1].mean(axis=1)
        to_m = to_state[:, :-1] - (self.alpha * rho * to_update / self.betas.size)[:, None]
        to_clipped = to_m.sum(axis=1)
        beyond = np.where(np.abs(gradient) < self.clip, 0.0, np.sign(gradient))
        adjoints = {
            "alpha": np.asarray(-to_update @ (rho * mean)),
            "betas": np.sum(to_m * m, axis=0),
            "clip": np.asarray(to_clipped @ beyond),
            "decay": np.asarray(to_state[:, -1] @ (rho - 1)),
            "start": np.asarray(0.0),
        }
        to_rho = self.decay * to_state[:, -1] - self.alpha * mean * to_update
        to_h = np.concatenate([self.betas * to_m, to_rho[:, None]], axis=1)
        return to_h, np.where(beyond == 0, to_clipped, 0.0), adjoints

    def initial_state_pullback(self, to_state: Float) -> dict[str, Float]:
        """The adjoint of start: ρ_0 = start."""
        return {"start": np.asarray(to_state[:, -1].sum())}

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """The sizes of the terms that are added; see `GRU.rounding_scale`."""
        m, rho = np.abs(state[:, :-1]), np.abs(state[:, -1])
        terms = np.abs(self.betas) * m + np.abs(self._clipped(gradient))[:, None]
        of_rho = 1 + np.abs(self.decay) * (rho[:, None] + 1)
        update = np.abs(self.alpha) * rho * terms.mean(axis=1)
        return np.concatenate([terms, of_rho], axis=1), update
