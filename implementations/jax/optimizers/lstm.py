"""The learned optimizer as an LSTM.

s  = input_scale · g
i, f, o = sigmoid(W_k h + a_k s + b_k), k = i, f, o
u  = tanh(W_u h + a_u s + b_u)
c' = f ∘ c + i ∘ u
h' = o ∘ tanh(c')
Δ  = output_scale · (w · h' + b)

The state is (h, c). The four gates are one product. JAX differentiates the step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import (
    Constants,
    Parameters,
    Step,
    starting_at,
)

GateInputs = Callable[[Array, Constants, Array], Array]
"""From the a of all gates, the constants and the gradient: a s, (n_components, 4 · n_units)."""

initial_state = starting_at("h0", "c0")


def scaled(a: Array, constants: Constants, gradient: Array) -> Array:
    """A s, with s = input_scale · g."""
    return constants["input_scale"] * gradient[:, None] * a


def step_with(gate_inputs: GateInputs) -> Step:
    """The step of an LSTM whose gates see the gradient in this way."""

    def step(
        p: Parameters, constants: Constants, state: Array, gradient: Array
    ) -> tuple[Array, Array]:
        h, c = jnp.split(state, 2, axis=1)
        W, a, b = (jnp.concatenate([p[f"{name}_{gate}"] for gate in "ifou"]) for name in "Wab")
        pre = h @ W.T + gate_inputs(a, constants, gradient) + b
        pre_ifo, pre_u = jnp.split(pre, [3 * h.shape[1]], axis=1)
        i, f, o = jnp.split(jax.nn.sigmoid(pre_ifo), 3, axis=1)
        c = f * c + i * jnp.tanh(pre_u)
        h = o * jnp.tanh(c)
        update = constants["output_scale"] * (h @ p["w"] + p["b"])
        return jnp.concatenate([h, c], axis=1), update

    return step


step = step_with(scaled)
