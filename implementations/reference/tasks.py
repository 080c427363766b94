"""The tasks that have a formula: losses, gradients and second derivatives by hand."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]


class ReferenceProblems(Protocol):
    """What the oracle knows of a batch of problems, beyond `loptbench.protocol.Problems`."""

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """f and ∇f; see `loptbench.protocol.Problems`."""
        ...

    def hessian_vector(self, parameters: Float, step: int, vector: Float) -> Float:
        """∇²f(x) y, for a vector y of each problem, (n_problems, n_parameters)."""
        ...

    def rounding_scale(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """What rounding errors of loss and gradient are relative to: the sizes of their terms.

        Shapes: (n_problems,), (n_problems, n_parameters).
        """
        ...


class QuadraticProblems:
    """f = ½ xᵀHx + vᵀx + c, for each problem of a batch."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.H, self.v, self.c = (batch.arrays[name] for name in ("H", "v", "c"))

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """f and ∇f = Hx + v."""
        x = parameters
        Hx = np.einsum("pij,pj->pi", self.H, x)
        loss = 0.5 * np.sum(x * Hx, axis=1) + np.sum(self.v * x, axis=1) + self.c
        return loss, Hx + self.v

    def hessian_vector(self, parameters: Float, step: int, vector: Float) -> Float:
        """∇²f(x) y = Hy, for a vector y of each problem, (n_problems, n_parameters)."""
        product: Float = np.einsum("pij,pj->pi", self.H, vector)
        return product

    def rounding_scale(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """What rounding errors of loss and gradient are relative to.

        Near the minimum both are small differences of large terms, and their rounding error is
        relative to the terms: ½|x|ᵀ|H||x| + |v|ᵀ|x| + |c|, and |H||x| + |v| (running error
        analysis, Higham 2002, §3.3). Shapes: (n_problems,), (n_problems, n_parameters).
        """
        x = np.abs(parameters)
        Hx = np.einsum("pij,pj->pi", np.abs(self.H), x)
        v = np.abs(self.v)
        loss = 0.5 * np.sum(x * Hx, axis=1) + np.sum(v * x, axis=1) + np.abs(self.c)
        return loss, Hx + v


class RosenbrockProblems:
    """f = Σ_i (1 − x_i)² + a r_i², with r_i = x_{i+1} − x_i², for each problem of a batch."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.a = batch.arrays["a"][:, None]

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """f, and ∂f/∂x_i = −2 (1 − x_i) − 4a x_i r_i + 2a r_{i−1}, each term where it exists."""
        u, w = parameters[:, :-1], parameters[:, 1:]
        r = w - u**2
        loss = np.sum((1 - u) ** 2 + self.a * r**2, axis=1)
        gradient = np.zeros_like(parameters)
        gradient[:, :-1] += -2 * (1 - u) - 4 * self.a * u * r
        gradient[:, 1:] += 2 * self.a * r
        return loss, gradient

    def hessian_vector(self, parameters: Float, step: int, vector: Float) -> Float:
        """The derivative of ∇f along y: r changes by y_{i+1} − 2 x_i y_i."""
        u, w = parameters[:, :-1], parameters[:, 1:]
        along_u, along_w = vector[:, :-1], vector[:, 1:]
        r, along_r = w - u**2, along_w - 2 * u * along_u
        product = np.zeros_like(vector)
        product[:, :-1] += 2 * along_u - 4 * self.a * (along_u * r + u * along_r)
        product[:, 1:] += 2 * self.a * along_r
        return product

    def rounding_scale(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """The error of r is relative to |x_{i+1}| + x_i², and r² magnifies it by 2 |r|."""
        u, w = np.abs(parameters[:, :-1]), np.abs(parameters[:, 1:])
        r = np.abs(parameters[:, 1:] - parameters[:, :-1] ** 2)
        terms = w + u**2
        # (1 − x)² is known to |1 − x| (1 + |x|), which is not small beside itself near x = 1.
        one = np.abs(1 - parameters[:, :-1]) * (1 + u)
        loss = np.sum(one + self.a * r * terms, axis=1)
        gradient = np.zeros_like(parameters)
        gradient[:, :-1] += 2 * (1 + u) + 4 * self.a * u * terms
        gradient[:, 1:] += 2 * self.a * terms
        return loss, gradient
