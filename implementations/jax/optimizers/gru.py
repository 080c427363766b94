"""The learned optimizer: its step, and the same step with a backward pass of few large products.

s  = input_scale · g
z  = sigmoid(W_z h + a_z s + b_z)
r  = sigmoid(W_r h + a_r s + b_r)
c  = tanh(W_c (r ∘ h) + a_c s + b_c)
h' = z ∘ h + (1 − z) ∘ c
Δ  = output_scale · (w · h' + b)

`step` is these equations. `forward` computes z and r as one array and returns the residuals for
`pullback`. JAX's own derivative of `step` gives the same numbers, more slowly. `x_bar` is the
adjoint of x: the derivative of the meta-objective by x.
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
    h, s = state, constants["input_scale"] * gradient[:, None]
    z = jax.nn.sigmoid(h @ p["W_z"].T + p["a_z"] * s + p["b_z"])
    r = jax.nn.sigmoid(h @ p["W_r"].T + p["a_r"] * s + p["b_r"])
    c = jnp.tanh((r * h) @ p["W_c"].T + p["a_c"] * s + p["b_c"])
    h = z * h + (1 - z) * c
    return h, constants["output_scale"] * (h @ p["w"] + p["b"])


class Weights(NamedTuple):
    """The parameters of a GRU, those of the update and reset gates stacked.

    Attributes:
        W_zr: W_z over W_r, (2 · n_units, n_units).
        a_zr: a_z and a_r, (2 · n_units,).
        b_zr: b_z and b_r, (2 · n_units,).
        W_c: (n_units, n_units).
        a_c: (n_units,).
        b_c: (n_units,).
        w: (n_units,).
        b: ().
    """

    W_zr: Array
    a_zr: Array
    b_zr: Array
    W_c: Array
    a_c: Array
    b_c: Array
    w: Array
    b: Array


class Residuals(NamedTuple):
    """The values of a step that the backward pass needs.

    Attributes:
        h: the state before the step, (n_components, n_units).
        s: the gradient times input_scale, (n_components,).
        zr: z and r, (n_components, 2 · n_units).
        c: the candidate, (n_components, n_units).
    """

    h: Array
    s: Array
    zr: Array
    c: Array


def fuse(p: Parameters) -> Weights:
    """Stack the parameters that are used together."""
    W_zr, a_zr, b_zr = (jnp.concatenate([p[f"{k}_z"], p[f"{k}_r"]]) for k in "Wab")
    return Weights(W_zr, a_zr, b_zr, *(p[name] for name in ("W_c", "a_c", "b_c", "w", "b")))


def split(weights: Weights) -> Parameters:
    """The parameters by name: the inverse of `fuse`."""
    parameters = {name: getattr(weights, name) for name in ("W_c", "a_c", "b_c", "w", "b")}
    for k in "Wab":
        parameters[f"{k}_z"], parameters[f"{k}_r"] = jnp.split(getattr(weights, f"{k}_zr"), 2)
    return parameters


def forward(
    p: Weights, constants: Constants, h: Array, gradient: Array
) -> tuple[tuple[Array, Array], Residuals]:
    """One step: (the next state, the update), residuals."""
    s = constants["input_scale"] * gradient
    zr = jax.nn.sigmoid(h @ p.W_zr.T + s[:, None] * p.a_zr + p.b_zr)
    z, r = jnp.split(zr, 2, axis=1)
    c = jnp.tanh((r * h) @ p.W_c.T + s[:, None] * p.a_c + p.b_c)
    new = z * h + (1 - z) * c
    return (new, constants["output_scale"] * (new @ p.w + p.b)), Residuals(h, s, zr, c)


def pullback(
    p: Weights, constants: Constants, residuals: Residuals, state_bar: Array, update_bar: Array
) -> tuple[Array, Array, Weights]:
    """Carry adjoints backward through `forward`.

    `loptbench.implementations.reference.optimizers.gru` has the equations, without stacking.

    Args:
        p: the weights.
        constants: input_scale and output_scale.
        residuals: the residuals from `forward`.
        state_bar: the adjoint of h', (n_components, n_units).
        update_bar: the adjoint of Δ, (n_components,).

    Returns: the adjoints of h, of the gradient, and of the weights (summed over components).
    """
    h, s, zr, c = residuals
    z, r = jnp.split(zr, 2, axis=1)
    scaled = constants["output_scale"] * update_bar
    new_bar = state_bar + scaled[:, None] * p.w

    pre_c_bar = new_bar * (1 - z) * (1 - c**2)
    rh_bar = pre_c_bar @ p.W_c
    pre_z_bar = new_bar * (h - c) * z * (1 - z)
    pre_r_bar = rh_bar * h * r * (1 - r)
    pre_zr_bar = jnp.concatenate([pre_z_bar, pre_r_bar], axis=1)
    h_bar = new_bar * z + rh_bar * r + pre_zr_bar @ p.W_zr
    s_bar = pre_zr_bar @ p.a_zr + pre_c_bar @ p.a_c

    adjoints = Weights(
        W_zr=pre_zr_bar.T @ h,
        a_zr=s @ pre_zr_bar,
        b_zr=pre_zr_bar.sum(axis=0),
        W_c=pre_c_bar.T @ (r * h),
        a_c=s @ pre_c_bar,
        b_c=pre_c_bar.sum(axis=0),
        w=scaled @ (z * h + (1 - z) * c),
        b=scaled.sum(),
    )
    return h_bar, constants["input_scale"] * s_bar, adjoints
