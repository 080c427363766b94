"""The protocol of the tasks of the reference."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Problems

Array = NDArray[np.float64]


class ReferenceProblems(Problems, Protocol):
    """Problems that also have second derivatives and bound their rounding errors."""

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        """∇²f(x) y, for a vector y of each problem, (n_problems, n_parameters)."""
        ...

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The scales of the rounding errors of f and ∇f: the sizes of the terms they add.

        Returns: the scales of f, (n_problems,), and of ∇f, (n_problems, n_parameters).
        """
        ...
