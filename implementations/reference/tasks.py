"""The tasks: losses, gradients and second derivatives by hand."""

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]


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

    def magnitude(self, parameters: Float, step: int) -> tuple[Float, Float]:
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
