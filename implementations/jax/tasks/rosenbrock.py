"""Rosenbrock's function.

f = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)²
"""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks.base import Arrays, Shapes


def loss(_: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    """f, (n_problems,)."""
    u, w = x[:, :-1], x[:, 1:]
    return jnp.sum((1 - u) ** 2 + arrays["a"][:, None] * (w - u**2) ** 2, axis=1)
