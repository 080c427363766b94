"""Second derivatives and helpers for the network tasks of the reference.

Losses and gradients are written by hand, backward through each layer. They compute with complex
parameters too, so that a complex step through the gradient gives the second derivatives:
∇²f(x) y = Im ∇f(x + iεy) / ε for analytic f. It is exact to rounding, because nothing is subtracted
(Squire and Trapp 1998). Such a function must not take the conjugate, absolute value or maximum of a
parameter.

`rounding_scale` carries, beside each quantity, the size that its rounding error is relative to
(running error analysis, Higham 2002, §3.3). Let s ≥ |h| be the scale of h. Then that of a = W h + b
is |W| s + |b|, and that of tanh(a) is |tanh(a)| plus the slope of tanh times the scale of a.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.reference.tasks.base import Array
from loptbench.tasks import Layout, ProblemBatch, unflatten

Complex = NDArray[Any]
"""Real, or complex in a complex step."""
Layers = tuple[Complex, ...]

COMPLEX_STEP = 1e-30
"""ε: its square underflows beside every parameter."""


class Network:
    """Problems whose Hessian-vector product is a complex step through their gradient."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.layout = batch.layout

    def _forward(self, p: dict[str, Complex], step: int) -> Layers:
        """The values that `_backward` needs of each layer, from the input to q."""
        raise NotImplementedError

    def _backward(self, x: Complex, layers: Layers) -> Complex:
        """The gradient at x, from the layers that `_forward` returned there."""
        raise NotImplementedError

    def _gradient(self, x: Complex, step: int) -> Complex:
        return self._backward(x, self._forward(unflatten(x, self.layout), step))

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        """Im ∇f(x + iεy) / ε, with y scaled to a largest entry of one."""
        size = np.abs(vector).max(axis=1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        shifted = parameters + 1j * COMPLEX_STEP * (vector / size)
        product: Array = self._gradient(shifted, step).imag / COMPLEX_STEP * size
        return product


def flatten(gradients: dict[str, Complex], layout: Layout) -> Complex:
    """Named gradients of each problem as flat vectors, (n_problems, n_parameters)."""
    n_problems = len(next(iter(gradients.values())))
    return np.concatenate([gradients[name].reshape(n_problems, -1) for name in layout], axis=1)


def swap(array: Complex) -> Complex:
    """The transpose of the last two axes."""
    return np.swapaxes(array, -1, -2)


def sum_length(n_terms: int) -> float:
    """The length of a sum relative to the 30 terms that the tolerances allow for, at least 1.

    The rounding error of a sum grows with the number of its terms (Higham 2002, §3.1).
    """
    return max(1.0, n_terms / 30)
