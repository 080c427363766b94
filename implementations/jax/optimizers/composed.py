"""Aggregated momentum, a hard clip and a learning-rate schedule in one.

ĝ    = min(max(g, −clip), clip)
m_i' = betas_i · m_i + ĝ
Δ    = −alpha · ρ · (1/K) Σ m_i'
ρ'   = 1 + decay · (ρ − 1)
"""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Parameters


def initial_state(p: Parameters, n_components: int) -> Array:
    """m = 0 and ρ = start, (n_components, K + 1)."""
    m = jnp.zeros((n_components, p["betas"].size), p["betas"].dtype)
    return jnp.concatenate([m, jnp.broadcast_to(p["start"], (n_components, 1))], axis=1)


def step(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state (m_1', …, m_K', ρ') and the update."""
    m, rho = state[:, :-1], state[:, -1]
    clipped = jnp.minimum(jnp.maximum(gradient, -p["clip"]), p["clip"])
    m = p["betas"] * m + clipped[:, None]
    new_rho = 1 + p["decay"] * (rho - 1)
    return jnp.concatenate([m, new_rho[:, None]], axis=1), -p["alpha"] * rho * m.mean(axis=1)
