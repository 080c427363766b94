"""A small convolutional network on handwritten digits.

h₁ = tanh(conv(u; K_1) + b_1),  h₂ = tanh(conv(h₁; K_2) + b_2),  q = W_3 h₂ + b_3
f  = mean over the minibatch of log Σ_c exp(q_c) − q_label
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.reference.tasks.base import Array
from loptbench.implementations.reference.tasks.networks import (
    Complex,
    Layers,
    Network,
    flatten,
    sum_length,
    swap,
)
from loptbench.tasks import ProblemBatch, unflatten


class DigitsProblems(Network):
    """The convolutional network of `loptbench.tasks.digits`, for each problem of a batch.

    A convolution is a product of the patches of its input, (…, side², 9 · channels), with the
    kernel, (channels, 9 · channels).
    """

    def __init__(self, batch: ProblemBatch) -> None:
        super().__init__(batch)
        self.pixels, self.labels = batch.shared["pixels"], batch.shared["labels"]
        self.white = float(batch.shared["white"])
        self.minibatches = batch.arrays["minibatches"]

    def _minibatch(self, step: int) -> tuple[Array, NDArray[np.bool_]]:
        """Patches of the images, (n_problems, batch, side², 9), and one-hot labels."""
        images_of_step = self.minibatches[:, step % self.minibatches.shape[1]]
        images = self.pixels[images_of_step] / self.white
        return _patches(images[..., None]), self.labels[images_of_step][..., None] == np.arange(10)

    def _forward(self, p: dict[str, Complex], step: int) -> Layers:
        """The patches of the images, one-hot labels, h₁, the patches of h₁, h₂ and q."""
        u, hot = self._minibatch(step)
        h1 = np.tanh(u @ _kernel(p["K_1"]) + p["b_1"][:, None, None])
        patches = _patches(_square(h1))
        h2 = np.tanh(patches @ _kernel(p["K_2"]) + p["b_2"][:, None, None])
        features = h2.reshape(*h2.shape[:2], -1)
        return u, hot, h1, patches, h2, features @ swap(p["W_3"]) + p["b_3"][:, None]

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """f = mean(log Σ exp(q) − q_label) over the minibatch, and ∇f."""
        layers = self._forward(unflatten(parameters, self.layout), step)
        _, hot, *_, q = layers
        top = q.max(axis=2)
        log_sum_exp = top + np.log(np.sum(np.exp(q - top[..., None]), axis=2))
        loss = np.mean(log_sum_exp - np.sum(q, axis=2, where=hot), axis=1)
        return loss, self._backward(parameters, layers)

    def _backward(self, x: Complex, layers: Layers) -> Complex:
        """∂f/∂q = (softmax(q) − [c = label]) / batch, then backward."""
        p = unflatten(x, self.layout)
        u, hot, h1, patches, h2, q = layers
        exponentials = np.exp(q - q.real.max(axis=2, keepdims=True))
        q_bar = (exponentials / exponentials.sum(axis=2, keepdims=True) - hot) / hot.shape[1]
        features = h2.reshape(*h2.shape[:2], -1)
        a2_bar = (q_bar @ p["W_3"]).reshape(h2.shape) * (1 - h2**2)
        patches_bar = a2_bar @ swap(_kernel(p["K_2"]))
        a1_bar = _unpatches(patches_bar, _square(h1).shape).reshape(h1.shape) * (1 - h1**2)
        return self._by_parameter((a1_bar, a2_bar, q_bar), (u, patches, features))

    def _by_parameter(self, bars: Layers, inputs: Layers) -> Complex:
        """The flat gradient, from each layer's adjoint before tanh and its input."""
        (a1_bar, a2_bar, q_bar), (u, patches, features) = bars, inputs
        gradients = {
            "K_1": np.einsum("pnso,pnsk->pok", a1_bar, u),
            "b_1": a1_bar.sum(axis=(1, 2)),
            "K_2": np.einsum("pnso,pnsk->pok", a2_bar, patches, optimize=True),
            "b_2": a2_bar.sum(axis=(1, 2)),
            "W_3": swap(q_bar) @ features,
            "b_3": q_bar.sum(axis=1),
        }
        return flatten(gradients, self.layout)

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The sizes of the terms of f and ∇f, rounding errors of the layers included."""
        p = unflatten(parameters, self.layout)
        u, hot, h1, _, h2, q = self._forward(p, step)
        a = {name: np.abs(array) for name, array in p.items()}
        h1_scale = np.abs(h1) + (1 - h1**2) * (u @ _kernel(a["K_1"]) + a["b_1"][:, None, None])
        patches = _patches(_square(h1_scale))
        a2_scale = patches @ _kernel(a["K_2"]) + a["b_2"][:, None, None]
        h2_scale = np.abs(h2) + (1 - h2**2) * a2_scale
        features = h2_scale.reshape(*h2_scale.shape[:2], -1)
        q_scale = features @ swap(a["W_3"]) + a["b_3"][:, None]
        loss = np.mean(np.abs(q).max(axis=2) + np.log(10) + q_scale.max(axis=2), axis=1)
        exponentials = np.exp(q - q.max(axis=2, keepdims=True))
        softmax = exponentials / exponentials.sum(axis=2, keepdims=True)
        q_bar_exact = (softmax - hot) / hot.shape[1]
        h2_bar_exact = (q_bar_exact @ p["W_3"]).reshape(h2.shape)
        patches_bar = (h2_bar_exact * (1 - h2**2)) @ swap(_kernel(p["K_2"]))
        h1_bar_exact = _unpatches(patches_bar, _square(h1).shape).reshape(h1.shape)
        # An error of q changes each softmax by at most twice the largest error.
        q_bar = (
            np.abs(q_bar_exact)
            + 2 * softmax * (1 + q_scale.max(axis=2, keepdims=True)) / hot.shape[1]
        )
        h2_bar = (q_bar @ a["W_3"]).reshape(h2.shape)
        a2_bar = h2_bar * (1 - h2**2) + np.abs(2 * h2_bar_exact * h2) * h2_scale
        patches_bar = a2_bar @ swap(_kernel(a["K_2"]))
        h1_bar = _unpatches(patches_bar, _square(h1).shape).reshape(h1.shape)
        a1_bar = h1_bar * (1 - h1**2) + np.abs(2 * h1_bar_exact * h1) * h1_scale
        terms = self._by_parameter((a1_bar, a2_bar, q_bar), (u, patches, features))
        return loss, terms * sum_length(hot.shape[1] * h1.shape[2])


def _kernel(K: Complex) -> Complex:
    """From (n_problems, out, 3, 3, in) to (n_problems, 1, 9 · in, out), to be multiplied with."""
    return swap(K.reshape(*K.shape[:2], -1))[:, None]


def _square(h: Complex) -> Complex:
    """From (…, side², channels) to (…, side, side, channels)."""
    side = round(h.shape[-2] ** 0.5)
    return h.reshape(*h.shape[:-2], side, side, h.shape[-1])


def _patches(images: Complex) -> Complex:
    """From (…, side, side, channels) to (…, ⌈side/2⌉², 9 · channels): row, column, channel."""
    side, lead = images.shape[-2], images.shape[:-3]
    half = -(-side // 2)
    padded = np.zeros((*lead, 2 * half + 1, 2 * half + 1, images.shape[-1]), images.dtype)
    padded[..., 1 : side + 1, 1 : side + 1, :] = images
    parts = [
        padded[..., r : r + 2 * half : 2, s : s + 2 * half : 2, :]
        for r in range(3)
        for s in range(3)
    ]
    return np.stack(parts, axis=-2).reshape(*lead, half**2, -1)


def _unpatches(patches_bar: Complex, shape: tuple[int, ...]) -> Complex:
    """The adjoint of `_patches`: the sum over the patches that a pixel is in."""
    *lead, side, _, channels = shape
    half = -(-side // 2)
    padded_bar = np.zeros((*lead, 2 * half + 1, 2 * half + 1, channels), patches_bar.dtype)
    parts = patches_bar.reshape(*lead, half, half, 9, channels)
    for i in range(9):
        r, s = divmod(i, 3)
        padded_bar[..., r : r + 2 * half : 2, s : s + 2 * half : 2, :] += parts[..., i, :]
    return padded_bar[..., 1 : side + 1, 1 : side + 1, :]
