"""The learned optimizer: its step, and the same step with a backward pass by hand.

s  = input_scale · g
z  = sigmoid(W_z h + a_z s + b_z)
r  = sigmoid(W_r h + a_r s + b_r)
c  = tanh(W_c (r ∘ h) + a_c s + b_c)
h' = z ∘ h + (1 − z) ∘ c
Δ  = output_scale · (w · h' + b)

`step` is these equations. `forward` returns also the residuals for `pullback`. JAX's own derivative
of `step` gives the same numbers, more slowly. `x_bar` is the adjoint of x: the derivative of the
meta-objective by x.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Parameters


def initial_state(p: Parameters, n_components: int) -> Array:
    """h0 for every component, (n_components, n_units)."""
    return jnp.broadcast_to(p["h0"], (n_components, p["h0"].size))


def step(p: Parameters, constants: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state and the update."""
    return forward(p, constants, state, gradient)[0]


class Residuals(NamedTuple):
    """The values of a step that the backward pass needs.

    Attributes:
        h: the state before the step, (n_components, n_units).
        s: the gradient times input_scale, (n_components,).
        z: the update gate, (n_components, n_units).
        r: the reset gate, (n_components, n_units).
        c: the candidate, (n_components, n_units).
    """

    h: Array
    s: Array
    z: Array
    r: Array
    c: Array


def forward(
    p: Parameters, constants: Constants, h: Array, gradient: Array
) -> tuple[tuple[Array, Array], Residuals]:
    """One step: (the next state, the update), residuals."""
    s = constants["input_scale"] * gradient
    z = jax.nn.sigmoid(h @ p["W_z"].T + p["a_z"] * s[:, None] + p["b_z"])
    r = jax.nn.sigmoid(h @ p["W_r"].T + p["a_r"] * s[:, None] + p["b_r"])
    c = jnp.tanh((r * h) @ p["W_c"].T + p["a_c"] * s[:, None] + p["b_c"])
    new = z * h + (1 - z) * c
    return (new, constants["output_scale"] * (new @ p["w"] + p["b"])), Residuals(h, s, z, r, c)


def pullback(
    p: Parameters, constants: Constants, residuals: Residuals, state_bar: Array, update_bar: Array
) -> tuple[Array, Array, Parameters]:
    """Carry adjoints backward through `forward`.

    `loptbench.implementations.reference.optimizers.gru` has the equations.

    Args:
        p: the parameters.
        constants: input_scale and output_scale.
        residuals: the residuals from `forward`.
        state_bar: the adjoint of h', (n_components, n_units).
        update_bar: the adjoint of Δ, (n_components,).

    Returns: the adjoints of h, of the gradient, and of the parameters (summed over components; that
        of h0 is zero: the initial state is not a part of a step).
    """
    h, s, z, r, c = residuals
    scaled = constants["output_scale"] * update_bar
    new_bar = state_bar + scaled[:, None] * p["w"]

    pre_c_bar = new_bar * (1 - z) * (1 - c**2)
    rh_bar = pre_c_bar @ p["W_c"]
    pre_z_bar = new_bar * (h - c) * z * (1 - z)
    pre_r_bar = rh_bar * h * r * (1 - r)
    h_bar = new_bar * z + rh_bar * r + pre_z_bar @ p["W_z"] + pre_r_bar @ p["W_r"]
    s_bar = pre_z_bar @ p["a_z"] + pre_r_bar @ p["a_r"] + pre_c_bar @ p["a_c"]

    adjoints = {"h0": jnp.zeros_like(p["h0"]), "w": scaled @ (z * h + (1 - z) * c)}
    adjoints["b"] = scaled.sum()
    inputs = {"z": (pre_z_bar, h), "r": (pre_r_bar, h), "c": (pre_c_bar, r * h)}
    s_and_one = jnp.stack([s, jnp.ones_like(s)])
    for gate, (pre_bar, multiplied) in inputs.items():
        adjoints[f"W_{gate}"] = pre_bar.T @ multiplied
        adjoints[f"a_{gate}"], adjoints[f"b_{gate}"] = s_and_one @ pre_bar
    return h_bar, constants["input_scale"] * s_bar, adjoints
