"""A small convolutional network on handwritten digits.

h₁ = tanh(conv(u; K_1) + b_1),  h₂ = tanh(conv(h₁; K_2) + b_2),  q = W_3 h₂ + b_3
f  = mean over the minibatch of log Σ_c exp(q_c) − q_label
"""

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks.base import Arrays, Shapes
from loptbench.tasks import unflatten


def loss(shapes: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
    """f of the minibatch of this step, (n_problems,)."""
    p = unflatten(x, dict(shapes))
    minibatches = arrays["minibatches"]
    images_of_step = minibatches[:, step % minibatches.shape[1]]
    images = arrays["pixels"][images_of_step].astype(x.dtype) / arrays["white"]
    h = jnp.tanh(_convolution(_patches(images[..., None]), p["K_1"], p["b_1"]))
    h = jnp.tanh(_convolution(_patches(h), p["K_2"], p["b_2"]))
    q = h.reshape(*h.shape[:2], -1) @ p["W_3"].mT + p["b_3"][:, None]
    hot = jax.nn.one_hot(arrays["labels"][images_of_step], q.shape[-1], dtype=x.dtype)
    return jnp.mean(jax.nn.logsumexp(q, axis=2) - jnp.sum(q * hot, axis=2), axis=1)


def _patches(images: Array) -> Array:
    """The 3×3 patches of a convolution with stride 2 and one pixel of padding.

    From (…, side, side, channels) to (…, ⌈side/2⌉², 9 · channels), by row, column, channel.
    """
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
    """K * patches + b, of (n_problems, batch, side², 9 · in) and (n_problems, out, 3, 3, in).

    Returns: (n_problems, batch, side, side, out).
    """
    n_problems, batch, places, depth = patches.shape
    side = round(places**0.5)
    # A product per problem: XLA's convolution is far slower if each problem has its own kernel.
    rows = patches.reshape(n_problems, -1, depth)
    output = rows @ K.reshape(*K.shape[:2], -1).mT + b[:, None]
    return output.reshape(n_problems, batch, side, side, -1)
