"""Aggregated momentum, a hard clip and a learning-rate schedule in one.

ĝ    = min(max(g, −clip), clip)
m_i' = betas_i · m_i + ĝ
Δ    = −alpha · ρ · (1/K) Σ m_i'
ρ'   = 1 + decay · (ρ − 1)
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization


class Composed(DrivesByStep):
    """m' = betas · m + clip(g);  Δ = −alpha · ρ · mean(m');  ρ' = 1 + decay · (ρ − 1)."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.alpha, self.clip, self.start, self.decay = (
            float(spec.parameters[name]) for name in ("alpha", "clip", "start", "decay")
        )
        self.betas = np.asarray(spec.parameters["betas"], np.float64)

    def initial_state(self, n_components: int) -> Array:
        """m = 0, ρ = start, (n_components, K + 1)."""
        state = np.zeros((n_components, self.betas.size + 1))
        state[:, -1] = self.start
        return state

    def _clipped(self, gradient: Array) -> Array:
        return np.minimum(np.maximum(gradient, -self.clip), self.clip)

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """m' = betas · m + clip(g);  Δ = −alpha · ρ · mean(m');  ρ' = 1 + decay · (ρ − 1)."""
        m, rho = state[:, :-1], state[:, -1]
        m = self.betas * m + self._clipped(gradient)[:, None]
        new = np.concatenate([m, 1 + self.decay * (rho[:, None] - 1)], axis=1)
        return new, -self.alpha * rho * m.mean(axis=1)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`; i is 1 where the gradient is not clipped, else 0.

        A = diag(betas, decay),  B = (i, …, i, 0)
        C = (−alpha ρ betas / K, −alpha mean(m'))
        """
        n, k = gradient.size, self.betas.size
        rho, inside = state[:, -1], (np.abs(gradient) < self.clip).astype(np.float64)
        new = self.step(state, gradient)[0]
        A = np.tile(np.diag(np.append(self.betas, self.decay)), (n, 1, 1))
        B = np.concatenate([np.tile(inside[:, None], k), np.zeros((n, 1))], axis=1)
        by_m = -self.alpha * rho[:, None] * self.betas / k
        by_rho = -self.alpha * new[:, :-1].mean(axis=1, keepdims=True)
        C = np.concatenate([by_m, by_rho], axis=1)
        return Linearization(A, B, C, self.gain(state, gradient))

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = −alpha ρ where the gradient is not clipped, else 0."""
        return -self.alpha * state[:, -1] * (np.abs(gradient) < self.clip)

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, and of the parameters."""
        m, rho = state[:, :-1], state[:, -1]
        mean = self.step(state, gradient)[0][:, :-1].mean(axis=1)
        m_bar = state_bar[:, :-1] - (self.alpha * rho * update_bar / self.betas.size)[:, None]
        clipped_bar = m_bar.sum(axis=1)
        beyond = np.where(np.abs(gradient) < self.clip, 0.0, np.sign(gradient))
        adjoints = {
            "alpha": np.asarray(-update_bar @ (rho * mean)),
            "betas": np.sum(m_bar * m, axis=0),
            "clip": np.asarray(clipped_bar @ beyond),
            "decay": np.asarray(state_bar[:, -1] @ (rho - 1)),
            "start": np.asarray(0.0),
        }
        rho_bar = self.decay * state_bar[:, -1] - self.alpha * mean * update_bar
        h_bar = np.concatenate([self.betas * m_bar, rho_bar[:, None]], axis=1)
        return h_bar, np.where(beyond == 0, clipped_bar, 0.0), adjoints

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The adjoint of start: ρ_0 = start."""
        return {"start": np.asarray(state_bar[:, -1].sum())}

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ."""
        m, rho = np.abs(state[:, :-1]), np.abs(state[:, -1])
        terms = np.abs(self.betas) * m + np.abs(self._clipped(gradient))[:, None]
        rho_terms = 1 + np.abs(self.decay) * (rho[:, None] + 1)
        update = np.abs(self.alpha) * rho * terms.mean(axis=1)
        return np.concatenate([terms, rho_terms], axis=1), update
