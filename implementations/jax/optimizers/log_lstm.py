"""The LSTM that is handed the logarithm and the sign of the gradient; see `lstm`.

s = (log(|x|) / p, sign(x)) if |x| ≥ e^(−p), else (−1, e^p x);  x = input_scale · g, p = log_range
"""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants
from loptbench.implementations.jax.optimizers.lstm import initial_state, step_with


def log_and_sign(a: Array, constants: Constants, gradient: Array) -> Array:
    """A s; both cases of s are log(max(|x|, e^(−p))) / p and e^p x, clipped to ±1."""
    x, p = constants["input_scale"] * gradient, constants["log_range"]
    size = jnp.log(jnp.maximum(jnp.abs(x), jnp.exp(-p))) / p
    sign = jnp.clip(jnp.exp(p) * x, -1, 1)
    return jnp.stack([size, sign], axis=1) @ a.T


step = step_with(log_and_sign)

__all__ = ["initial_state", "step"]
