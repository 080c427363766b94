"""Rosenbrock's banana valley, the paper's second task."""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import CheckSettings, ProblemBatch, as_indices, require_positive
from loptbench.tasks.streams import generator


@dataclasses.dataclass(frozen=True)
class Rosenbrock:
    """f(x) = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)², i = 1 … n − 1, with minimum zero at x = 1.

    The function is the paper's, with n = 2 and a = 100. The paper's distribution of x₀ is not
    published; uniform in [−2, 2]ⁿ is our choice.

    The arrays of a batch: `a` (n_problems,).

    Attributes:
        n_parameters: n, the dimension, at least 2; this scales the task.
        curvature: a; a larger one makes the valley narrower and worse conditioned.
        n_steps: the number of inner steps.

    Example:
        >>> Rosenbrock().sample("evaluate", 0, range(3)).initial_parameters.shape
        (3, 2)
    """

    n_parameters: int = 2
    curvature: float = 100.0
    n_steps: int = 200
    name: str = dataclasses.field(default="rosenbrock", init=False)
    checks: ClassVar[CheckSettings] = CheckSettings(
        resized={"n_parameters": 3, "curvature": 30.0},
        rate=1e-3,
        scales=(0.007, 0.03),
    )

    def __post_init__(self) -> None:
        require_positive(self.name, curvature=self.curvature, n_steps=self.n_steps)
        if self.n_parameters < 2:
            raise LoptbenchError(
                f"n parameters of task 'rosenbrock' must be at least 2, but it is "
                f"{self.n_parameters}"
            )

    @property
    def n_floats(self) -> int:
        """Eight vectors such as x."""
        return 8 * self.n_parameters

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """See `loptbench.tasks.Task`."""
        indices = as_indices(indices)
        x0 = np.stack(
            [
                generator(self.name, split, seed, index).uniform(-2, 2, self.n_parameters)
                for index in indices
            ]
        )
        arrays = {"a": np.full(len(indices), self.curvature)}
        layout = {"x": (self.n_parameters,)}
        return ProblemBatch(self.name, x0, layout, arrays, {}, split, seed, indices)
