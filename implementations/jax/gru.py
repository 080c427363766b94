"""The learned optimizer's step, and the way back through it, as few large products.

z and r are computed as one array, and what the way back needs is kept on the way there. JAX's own
derivative of `loptbench.implementations.jax.optimizers.KINDS["gru"].step` gives the same numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers import Constants, Parameters


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


class Kept(NamedTuple):
    """What the way back needs of a step.

    Attributes:
        h: the state before it, (n_components, n_units).
        s: the gradient times input_scale, (n_components,).
        zr: z and r, (n_components, 2 · n_units).
        c: the candidate, (n_components, n_units).
    """

    h: Array
    s: Array
    zr: Array
    c: Array


def fuse(p: Parameters) -> Weights:
    """Stack what is computed together."""
    W_zr, a_zr, b_zr = (jnp.concatenate([p[f"{k}_z"], p[f"{k}_r"]]) for k in "Wab")
    return Weights(W_zr, a_zr, b_zr, *(p[name] for name in ("W_c", "a_c", "b_c", "w", "b")))


def split(weights: Weights) -> Parameters:
    """The parameters by name: what `fuse` came from."""
    found = {name: getattr(weights, name) for name in ("W_c", "a_c", "b_c", "w", "b")}
    for k in "Wab":
        found[f"{k}_z"], found[f"{k}_r"] = jnp.split(getattr(weights, f"{k}_zr"), 2)
    return found


def forward(
    p: Weights, constants: Constants, h: Array, gradient: Array
) -> tuple[tuple[Array, Array], Kept]:
    """z, r = sigmoid(W h + a s + b);  c = tanh(W (r ∘ h) + a s + b);  h' = z ∘ h + (1 − z) ∘ c."""
    s = constants["input_scale"] * gradient
    zr = jax.nn.sigmoid(h @ p.W_zr.T + s[:, None] * p.a_zr + p.b_zr)
    z, r = jnp.split(zr, 2, axis=1)
    c = jnp.tanh((r * h) @ p.W_c.T + s[:, None] * p.a_c + p.b_c)
    new = z * h + (1 - z) * c
    return (new, constants["output_scale"] * (new @ p.w + p.b)), Kept(h, s, zr, c)


def pullback(
    p: Weights, constants: Constants, kept: Kept, to_state: Array, to_update: Array
) -> tuple[Array, Array, Weights]:
    """Carry adjoints backwards through `forward`.

    The equations, without stacking, are those of `loptbench.implementations.reference.gru`.

    Args:
        p: the weights.
        constants: input_scale and output_scale.
        kept: what `forward` kept.
        to_state: the adjoint of h', (n_components, n_units).
        to_update: the adjoint of Δ, (n_components,).

    Returns: the adjoints of h, of the gradient, and of the weights (summed over components).
    """
    h, s, zr, c = kept
    z, r = jnp.split(zr, 2, axis=1)
    scaled = constants["output_scale"] * to_update
    to_new = to_state + scaled[:, None] * p.w

    before_c = to_new * (1 - z) * (1 - c**2)
    to_rh = before_c @ p.W_c
    before_z = to_new * (h - c) * z * (1 - z)
    before_r = to_rh * h * r * (1 - r)
    before_zr = jnp.concatenate([before_z, before_r], axis=1)
    to_h = to_new * z + to_rh * r + before_zr @ p.W_zr
    to_s = before_zr @ p.a_zr + before_c @ p.a_c

    adjoints = Weights(
        W_zr=before_zr.T @ h,
        a_zr=s @ before_zr,
        b_zr=before_zr.sum(axis=0),
        W_c=before_c.T @ (r * h),
        a_c=s @ before_c,
        b_c=before_c.sum(axis=0),
        w=scaled @ (z * h + (1 - z) * c),
        b=scaled.sum(),
    )
    return to_h, constants["input_scale"] * to_s, adjoints
