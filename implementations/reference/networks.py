"""The network tasks: losses and gradients by hand, backwards through each layer.

Both classes compute with complex parameters too, and take their second derivatives by complex step
through the hand-written gradient: ∇²f(x) y = Im ∇f(x + iεy) / ε for analytic f, exact to rounding
because nothing is subtracted (Squire and Trapp 1998). So no conjugate, absolute value or maximum of
a parameter stands in them.

Magnitudes carry, beside each quantity, the size of what its rounding error is relative to: a
product adds |W||h| to |W| times what h has brought along (running error analysis, Higham 2002,
§3.3); tanh, with a slope of at most 1, passes it on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks.base import ProblemBatch, unflatten

Float = NDArray[np.float64]
Complex = NDArray[Any]
"""Real, or complex in a complex step."""
Layers = tuple[Complex, ...]

COMPLEX_STEP = 1e-30


class _Network:
    """A task whose Hessian-vector product is a complex step through its gradient."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.layout = batch.layout

    def _forwards(self, p: dict[str, Complex], step: int) -> Layers:
        """What the way back needs of each layer, from the input to q."""
        raise NotImplementedError

    def _backwards(self, x: Complex, layers: Layers) -> Complex:
        """The gradient at x, from what `_forwards` found there."""
        raise NotImplementedError

    def _gradient(self, x: Complex, step: int) -> Complex:
        return self._backwards(x, self._forwards(unflatten(x, self.layout), step))

    def hessian_vector(self, parameters: Float, step: int, vector: Float) -> Float:
        """Im ∇f(x + iεy) / ε, with y scaled to a largest entry of one."""
        size = np.abs(vector).max(axis=1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        moved = parameters + 1j * COMPLEX_STEP * (vector / size)
        product: Float = self._gradient(moved, step).imag / COMPLEX_STEP * size
        return product


def _flat(gradients: dict[str, Complex], layout: Any) -> Complex:
    n_problems = len(next(iter(gradients.values())))
    return np.concatenate([gradients[name].reshape(n_problems, -1) for name in layout], axis=1)


def _swap(array: Complex) -> Complex:
    return np.swapaxes(array, -1, -2)


class TwoMoonsProblems(_Network):
    """The multilayer perceptron of `loptbench.tasks.two_moons`, for each problem of a batch.

    Rows are points: h₁ is (n_problems, n_samples, width).
    """

    def __init__(self, batch: ProblemBatch) -> None:
        super().__init__(batch)
        self.u, self.y = batch.shared["points"], batch.shared["labels"][:, None]
        self.penalty = float(batch.shared["penalty"])

    def _forwards(self, p: dict[str, Complex], step: int) -> Layers:
        """h₁, h₂ and q."""
        h1 = np.tanh(self.u @ _swap(p["W_1"]) + p["b_1"][:, None])
        h2 = np.tanh(h1 @ _swap(p["W_2"]) + p["b_2"][:, None])
        return h1, h2, h2 @ _swap(p["W_3"]) + p["b_3"][:, None]

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """f = mean(log(1 + exp(q)) − y q) + penalty ‖x‖₂, and ∇f."""
        layers = self._forwards(unflatten(parameters, self.layout), step)
        q = layers[-1]
        data = np.mean(np.logaddexp(0, q) - self.y * q, axis=(1, 2))
        norm = np.sqrt(np.sum(parameters**2, axis=1))
        return data + self.penalty * norm, self._backwards(parameters, layers)

    def _backwards(self, x: Complex, layers: Layers) -> Complex:
        """∂f/∂q = (sigmoid(q) − y) / n, then backwards; the penalty's is penalty · x / ‖x‖₂."""
        p = unflatten(x, self.layout)
        h1, h2, q = layers
        to_q = (0.5 * (1 + np.tanh(q / 2)) - self.y) / len(self.u)
        to_a2 = (to_q @ p["W_3"]) * (1 - h2**2)
        to_a1 = (to_a2 @ p["W_2"]) * (1 - h1**2)
        data = {
            "W_1": _swap(to_a1) @ self.u,
            "b_1": to_a1.sum(axis=1),
            "W_2": _swap(to_a2) @ h1,
            "b_2": to_a2.sum(axis=1),
            "W_3": _swap(to_q) @ h2,
            "b_3": to_q.sum(axis=1),
        }
        norm = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
        gradient: Complex = _flat(data, self.layout) + self.penalty * x / norm
        return gradient

    def rounding_scale(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """The sizes of the terms of f and ∇f, what the layers bring along included."""
        p = unflatten(parameters, self.layout)
        h1, h2, q = self._forwards(p, step)
        a = {name: np.abs(array) for name, array in p.items()}
        e1 = np.abs(h1) + (1 - h1**2) * (np.abs(self.u) @ _swap(a["W_1"]) + a["b_1"][:, None])
        e2 = np.abs(h2) + (1 - h2**2) * (e1 @ _swap(a["W_2"]) + a["b_2"][:, None])
        eq = e2 @ _swap(a["W_3"]) + a["b_3"][:, None]
        norm = np.sqrt(np.sum(parameters**2, axis=1))
        loss = np.mean(np.logaddexp(0, q) + self.y * np.abs(q) + eq, axis=(1, 2))
        y_found = 0.5 * (1 + np.tanh(q / 2))
        exact_q = (y_found - self.y) / len(self.u)
        exact_2 = exact_q @ p["W_3"]
        exact_1 = (exact_2 * (1 - h2**2)) @ p["W_2"]
        # A sigmoid is known to |q| roundings: frameworks compute it as exp(q − log(1 + exp(q))).
        moved = y_found * (1 - y_found) * (1 + eq) + y_found * np.abs(q)
        to_q = np.abs(exact_q) + moved / len(self.u)
        to_a2 = to_q @ a["W_3"] * (1 - h2**2) + np.abs(2 * exact_2 * h2) * e2
        to_a1 = to_a2 @ a["W_2"] * (1 - h1**2) + np.abs(2 * exact_1 * h1) * e1
        terms = {
            "W_1": _swap(to_a1) @ np.abs(self.u),
            "b_1": to_a1.sum(axis=1),
            "W_2": _swap(to_a2) @ e1,
            "b_2": to_a2.sum(axis=1),
            "W_3": _swap(to_q) @ e2,
            "b_3": to_q.sum(axis=1),
        }
        x = np.abs(parameters)
        gradient = _flat(terms, self.layout) * _depth(len(self.u))
        return loss + self.penalty * norm, gradient + self.penalty * x / norm[:, None]


class DigitsProblems(_Network):
    """The convolutional network of `loptbench.tasks.digits`, for each problem of a batch.

    A convolution is a product of the patches of its input, (…, side², 9 · channels), with the
    kernel, (channels, 9 · channels).
    """

    def __init__(self, batch: ProblemBatch) -> None:
        super().__init__(batch)
        self.pixels, self.labels = batch.shared["pixels"], batch.shared["labels"]
        self.white = float(batch.shared["white"])
        self.minibatches = batch.arrays["minibatches"]

    def _minibatch(self, step: int) -> tuple[Float, NDArray[np.bool_]]:
        """Patches of the images, (n_problems, batch, side², 9), and one-hot labels."""
        chosen = self.minibatches[:, step % self.minibatches.shape[1]]
        images = self.pixels[chosen] / self.white
        return _patches(images[..., None]), self.labels[chosen][..., None] == np.arange(10)

    def _forwards(self, p: dict[str, Complex], step: int) -> Layers:
        """The patches of the images, one-hot labels, h₁, the patches of h₁, h₂ and q."""
        u, hot = self._minibatch(step)
        h1 = np.tanh(u @ _kernel(p["K_1"]) + p["b_1"][:, None, None])
        patches = _patches(_square(h1))
        h2 = np.tanh(patches @ _kernel(p["K_2"]) + p["b_2"][:, None, None])
        features = h2.reshape(*h2.shape[:2], -1)
        return u, hot, h1, patches, h2, features @ _swap(p["W_3"]) + p["b_3"][:, None]

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """f = mean(log Σ exp(q) − q_label) over the minibatch, and ∇f."""
        layers = self._forwards(unflatten(parameters, self.layout), step)
        _, hot, *_, q = layers
        top = q.max(axis=2)
        total = top + np.log(np.sum(np.exp(q - top[..., None]), axis=2))
        loss = np.mean(total - np.sum(q, axis=2, where=hot), axis=1)
        return loss, self._backwards(parameters, layers)

    def _backwards(self, x: Complex, layers: Layers) -> Complex:
        """∂f/∂q = (softmax(q) − [c = label]) / batch, then backwards."""
        p = unflatten(x, self.layout)
        u, hot, h1, patches, h2, q = layers
        grown = np.exp(q - q.real.max(axis=2, keepdims=True))
        to_q = (grown / grown.sum(axis=2, keepdims=True) - hot) / hot.shape[1]
        features = h2.reshape(*h2.shape[:2], -1)
        to_a2 = (to_q @ p["W_3"]).reshape(h2.shape) * (1 - h2**2)
        to_patches = to_a2 @ _swap(_kernel(p["K_2"]))
        to_a1 = _unpatches(to_patches, _square(h1).shape).reshape(h1.shape) * (1 - h1**2)
        gradients = {
            "K_1": np.einsum("pnso,pnsk->pok", to_a1, u),
            "b_1": to_a1.sum(axis=(1, 2)),
            "K_2": np.einsum("pnso,pnsk->pok", to_a2, patches, optimize=True),
            "b_2": to_a2.sum(axis=(1, 2)),
            "W_3": _swap(to_q) @ features,
            "b_3": to_q.sum(axis=1),
        }
        return _flat(gradients, self.layout)

    def rounding_scale(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """The sizes of the terms of f and ∇f, what the layers bring along included."""
        p = unflatten(parameters, self.layout)
        u, hot, h1, _, h2, q = self._forwards(p, step)
        a = {name: np.abs(array) for name, array in p.items()}
        e1 = np.abs(h1) + (1 - h1**2) * (u @ _kernel(a["K_1"]) + a["b_1"][:, None, None])
        patches = _patches(_square(e1))
        brought = patches @ _kernel(a["K_2"]) + a["b_2"][:, None, None]
        e2 = np.abs(h2) + (1 - h2**2) * brought
        features = e2.reshape(*e2.shape[:2], -1)
        eq = features @ _swap(a["W_3"]) + a["b_3"][:, None]
        loss = np.mean(np.abs(q).max(axis=2) + np.log(10) + eq.max(axis=2), axis=1)
        grown = np.exp(q - q.max(axis=2, keepdims=True))
        share = grown / grown.sum(axis=2, keepdims=True)
        exact_q = (share - hot) / hot.shape[1]
        exact_2 = (exact_q @ p["W_3"]).reshape(h2.shape)
        flow = (exact_2 * (1 - h2**2)) @ _swap(_kernel(p["K_2"]))
        exact_1 = _unpatches(flow, _square(h1).shape).reshape(h1.shape)
        # An error of q moves each share by at most twice its largest entry.
        to_q = np.abs(exact_q) + 2 * share * (1 + eq.max(axis=2, keepdims=True)) / hot.shape[1]
        to_2 = (to_q @ a["W_3"]).reshape(h2.shape)
        to_a2 = to_2 * (1 - h2**2) + np.abs(2 * exact_2 * h2) * e2
        flow = to_a2 @ _swap(_kernel(a["K_2"]))
        to_1 = _unpatches(flow, _square(h1).shape).reshape(h1.shape)
        to_a1 = to_1 * (1 - h1**2) + np.abs(2 * exact_1 * h1) * e1
        terms = {
            "K_1": np.einsum("pnso,pnsk->pok", to_a1, u),
            "b_1": to_a1.sum(axis=(1, 2)),
            "K_2": np.einsum("pnso,pnsk->pok", to_a2, patches, optimize=True),
            "b_2": to_a2.sum(axis=(1, 2)),
            "W_3": _swap(to_q) @ features,
            "b_3": to_q.sum(axis=1),
        }
        return loss, _flat(terms, self.layout) * _depth(hot.shape[1] * h1.shape[2])


def _depth(n_terms: int) -> float:
    """How much deeper than 30 the sum of a matrix product is: it adds its terms one by one.

    The table's bounds are for sums of 30 terms, and the rounding error of a sum grows with their
    number (Higham 2002, §3.1).
    """
    return max(1.0, n_terms / 30)


def _kernel(K: Complex) -> Complex:
    """From (n_problems, out, 3, 3, in) to (n_problems, 1, 9 · in, out), to be multiplied with."""
    return _swap(K.reshape(*K.shape[:2], -1))[:, None]


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


def _unpatches(to_patches: Complex, shape: tuple[int, ...]) -> Complex:
    """The adjoint of `_patches`: what flows to each pixel, from every patch that it is in."""
    *lead, side, _, channels = shape
    half = -(-side // 2)
    to_padded = np.zeros((*lead, 2 * half + 1, 2 * half + 1, channels), to_patches.dtype)
    parts = to_patches.reshape(*lead, half, half, 9, channels)
    for i in range(9):
        r, s = divmod(i, 3)
        to_padded[..., r : r + 2 * half : 2, s : s + 2 * half : 2, :] += parts[..., i, :]
    return to_padded[..., 1 : side + 1, 1 : side + 1, :]
