"""Random convex quadratics.

f = ½ xᵀHx + vᵀx + c
"""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks.base import Arrays, Shapes


def loss(_: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    """f, (n_problems,)."""
    Hx = jnp.einsum("pij,pj->pi", arrays["H"], x)
    return jnp.sum((0.5 * Hx + arrays["v"]) * x, axis=1) + arrays["c"]
