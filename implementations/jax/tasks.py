"""The losses of the tasks in JAX; their gradients are JAX's own."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.tasks import unflatten

Arrays = Mapping[str, Array]
"""What defines the problems, and what they share."""

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The layout of the parameters, as something that can be hashed."""


def _quadratic(_: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    # f = ½ xᵀHx + vᵀx + c
    Hx = jnp.einsum("pij,pj->pi", arrays["H"], x)
    return jnp.sum((0.5 * Hx + arrays["v"]) * x, axis=1) + arrays["c"]


def _rosenbrock(_: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    # f = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)²
    u, w = x[:, :-1], x[:, 1:]
    return jnp.sum((1 - u) ** 2 + arrays["a"][:, None] * (w - u**2) ** 2, axis=1)


def _two_moons(shapes: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    # f = mean(log(1 + exp(q)) − y q) + penalty ‖x‖₂
    p = unflatten(x, dict(shapes))
    u, y = arrays["points"], arrays["labels"].astype(x.dtype)
    h = jnp.tanh(u @ p["W_1"].mT + p["b_1"][:, None])
    h = jnp.tanh(h @ p["W_2"].mT + p["b_2"][:, None])
    q = (h @ p["W_3"].mT + p["b_3"][:, None])[..., 0]
    data = jnp.mean(jax.nn.softplus(q) - y * q, axis=1)
    return data + arrays["penalty"] * jnp.sqrt(jnp.sum(x**2, axis=1))


def _patches(images: Array) -> Array:
    """From (…, side, side, channels) to (…, ⌈side/2⌉², 9 · channels): row, column, channel."""
    side, lead = images.shape[-2], images.shape[:-3]
    half = -(-side // 2)
    after = 2 * half - side
    padded = jnp.pad(images, [(0, 0)] * len(lead) + [(1, after), (1, after), (0, 0)])
    parts = [
        padded[..., r : r + 2 * half - 1 : 2, s : s + 2 * half - 1 : 2, :]
        for r in range(3)
        for s in range(3)
    ]
    return jnp.stack(parts, axis=-2).reshape(*lead, half**2, -1)


def _convolution(patches: Array, K: Array, b: Array) -> Array:
    """(problems, batch, side², 9 · in) by (problems, out, 3, 3, in): (…, side, side, out)."""
    n_problems, batch, places, depth = patches.shape
    side = round(places**0.5)
    # One product for each problem: XLA's convolution over weights of each problem is far slower.
    rows = patches.reshape(n_problems, -1, depth)
    found = rows @ K.reshape(*K.shape[:2], -1).mT + b[:, None]
    return found.reshape(n_problems, batch, side, side, -1)


def _digits(shapes: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    # f = mean(log Σ exp(q) − q_label) over the minibatch
    p = unflatten(x, dict(shapes))
    minibatches = arrays["minibatches"]
    chosen = minibatches[:, step % minibatches.shape[1]]
    images = arrays["pixels"][chosen].astype(x.dtype) / arrays["white"]
    h = jnp.tanh(_convolution(_patches(images[..., None]), p["K_1"], p["b_1"]))
    h = jnp.tanh(_convolution(_patches(h), p["K_2"], p["b_2"]))
    q = h.reshape(*h.shape[:2], -1) @ p["W_3"].mT + p["b_3"][:, None]
    hot = jax.nn.one_hot(arrays["labels"][chosen], q.shape[-1], dtype=x.dtype)
    return jnp.mean(jax.nn.logsumexp(q, axis=2) - jnp.sum(q * hot, axis=2), axis=1)


LOSSES: dict[str, Callable[[Shapes, Arrays, Array, Array], Array]] = {
    "quadratic": _quadratic,
    "rosenbrock": _rosenbrock,
    "two_moons": _two_moons,
    "digits": _digits,
}
"""Per task: (layout, arrays, parameters (n_problems, n_parameters), step) -> loss (n_problems,)."""


def loss_and_gradient(
    task: str, shapes: Shapes, arrays: Arrays, x: Array, step: Array
) -> tuple[Array, Array]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
    loss, pullback = jax.vjp(lambda x: LOSSES[task](shapes, arrays, x, step), x)
    return loss, pullback(jnp.ones_like(loss))[0]
