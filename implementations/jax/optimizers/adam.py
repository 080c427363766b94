"""Adam.

m' = beta1 · m + (1 − beta1) · g
v' = beta2 · v + (1 − beta2) · g²
t' = t + 1
Δ  = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)
"""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import (
    Constants,
    Parameters,
    safe_sqrt,
    zero_state,
)

initial_state = zero_state(3)


def step(p: Parameters, constants: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state (m', v', t') and the update."""
    m = p["beta1"] * state[:, 0] + (1 - p["beta1"]) * gradient
    v = p["beta2"] * state[:, 1] + (1 - p["beta2"]) * gradient**2
    t = state[:, 2] + 1
    mean, square = m / (1 - p["beta1"] ** t), v / (1 - p["beta2"] ** t)
    update = -p["alpha"] * mean / (safe_sqrt(square) + constants["epsilon"])
    return jnp.stack([m, v, t], axis=1), update
