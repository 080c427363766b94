"""Rosenbrock's function, f = Σ_i (1 − x_i)² + a r_i² with r_i = x_{i+1} − x_i²."""

import numpy as np

from loptbench.implementations.reference.tasks.base import Array
from loptbench.tasks import ProblemBatch


class RosenbrockProblems:
    """f = Σ_i (1 − x_i)² + a r_i², with r_i = x_{i+1} − x_i², for each problem of a batch."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.a = batch.arrays["a"][:, None]

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """f, and ∂f/∂x_i = −2 (1 − x_i) − 4a x_i r_i + 2a r_{i−1}, each term where it exists."""
        u, w = parameters[:, :-1], parameters[:, 1:]
        r = w - u**2
        loss = np.sum((1 - u) ** 2 + self.a * r**2, axis=1)
        gradient = np.zeros_like(parameters)
        gradient[:, :-1] += -2 * (1 - u) - 4 * self.a * u * r
        gradient[:, 1:] += 2 * self.a * r
        return loss, gradient

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        """The derivative of ∇f along y: r changes by y_{i+1} − 2 x_i y_i."""
        u, w = parameters[:, :-1], parameters[:, 1:]
        along_u, along_w = vector[:, :-1], vector[:, 1:]
        r, along_r = w - u**2, along_w - 2 * u * along_u
        product = np.zeros_like(vector)
        product[:, :-1] += 2 * along_u - 4 * self.a * (along_u * r + u * along_r)
        product[:, 1:] += 2 * self.a * along_r
        return product

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The scale of r is |x_{i+1}| + x_i², and r² multiplies it by 2 |r|."""
        u, w = np.abs(parameters[:, :-1]), np.abs(parameters[:, 1:])
        r = np.abs(parameters[:, 1:] - parameters[:, :-1] ** 2)
        terms = w + u**2
        # (1 − x)² has the scale |1 − x| (1 + |x|), which is much larger than itself near x = 1.
        square = np.abs(1 - parameters[:, :-1]) * (1 + u)
        loss = np.sum(square + self.a * r * terms, axis=1)
        gradient = np.zeros_like(parameters)
        gradient[:, :-1] += 2 * (1 + u) + 4 * self.a * u * terms
        gradient[:, 1:] += 2 * self.a * terms
        return loss, gradient
