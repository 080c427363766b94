"""Rosenbrock's banana valley, the paper's second task."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import ProblemBatch, numbers_of, require_positive
from loptbench.tasks.streams import generator


@dataclasses.dataclass(frozen=True)
class Rosenbrock:
    """f(x) = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)², i = 1 … n − 1, with minimum zero at x = 1.

    The function is the paper's, for n = 2 and a = 100; where the paper starts is not published, and
    x₀ uniform in [−2, 2]ⁿ is our choice.

    The arrays of a batch: `a` (n_problems,).

    Attributes:
        n_parameters: n, the dimension, at least 2; this scales the task.
        curvature: a; the larger, the narrower the valley and the worse its condition.
    """

    n_parameters: int = 2
    curvature: float = 100.0
    n_steps: int = 200
    name: str = dataclasses.field(default="rosenbrock", init=False)

    def __post_init__(self) -> None:
        require_positive(self.name, curvature=self.curvature, n_steps=self.n_steps)
        if self.n_parameters < 2:
            raise LoptbenchError(
                f"n parameters of task 'rosenbrock' must be at least 2, but it is "
                f"{self.n_parameters}"
            )

    @property
    def n_floats(self) -> int:
        """x and a few of its like."""
        return 8 * self.n_parameters

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """Draw the problems with these numbers of this stream."""
        numbers = numbers_of(indices)
        x0 = np.stack(
            [
                generator(self.name, split, seed, index).uniform(-2, 2, self.n_parameters)
                for index in numbers
            ]
        )
        arrays = {"a": np.full(len(numbers), self.curvature)}
        layout = {"x": (self.n_parameters,)}
        return ProblemBatch(self.name, x0, layout, arrays, {}, split, seed, numbers)
