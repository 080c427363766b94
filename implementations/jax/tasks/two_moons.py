"""A multilayer perceptron on two moons.

h₁ = tanh(W_1 u + b_1),  h₂ = tanh(W_2 h₁ + b_2),  q = W_3 h₂ + b_3
f  = mean over the points of log(1 + exp(q)) − y q  +  penalty · ‖x‖₂
"""

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks.base import Arrays, Shapes
from loptbench.tasks import unflatten


def loss(shapes: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    """f, (n_problems,)."""
    p = unflatten(x, dict(shapes))
    u, y = arrays["points"], arrays["labels"].astype(x.dtype)
    h = jnp.tanh(u @ p["W_1"].mT + p["b_1"][:, None])
    h = jnp.tanh(h @ p["W_2"].mT + p["b_2"][:, None])
    q = (h @ p["W_3"].mT + p["b_3"][:, None])[..., 0]
    data = jnp.mean(jax.nn.softplus(q) - y * q, axis=1)
    return data + arrays["penalty"] * jnp.sqrt(jnp.sum(x**2, axis=1))
