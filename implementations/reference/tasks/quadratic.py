"""Random convex quadratics.

f  = ½ xᵀHx + vᵀx + c
∇f = Hx + v
∇²f y = Hy
"""

import numpy as np

from loptbench.implementations.reference.tasks.base import Array
from loptbench.tasks import ProblemBatch


class QuadraticProblems:
    """f = ½ xᵀHx + vᵀx + c, for each problem of a batch."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.H, self.v, self.c = (batch.arrays[name] for name in ("H", "v", "c"))

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """f and ∇f = Hx + v."""
        x = parameters
        Hx = np.einsum("pij,pj->pi", self.H, x)
        loss = 0.5 * np.sum(x * Hx, axis=1) + np.sum(self.v * x, axis=1) + self.c
        return loss, Hx + self.v

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        """∇²f(x) y = Hy."""
        product: Array = np.einsum("pij,pj->pi", self.H, vector)
        return product

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """½|x|ᵀ|H||x| + |v|ᵀ|x| + |c| for f, and |H||x| + |v| for ∇f.

        Near the minimum both are small differences of large terms, and their rounding error is
        relative to the terms (running error analysis, Higham 2002, §3.3).
        """
        x = np.abs(parameters)
        Hx = np.einsum("pij,pj->pi", np.abs(self.H), x)
        v = np.abs(self.v)
        loss = 0.5 * np.sum(x * Hx, axis=1) + np.sum(v * x, axis=1) + np.abs(self.c)
        return loss, Hx + v
