"""A multilayer perceptron that separates two moons, the paper's third task."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks.base import (
    CheckSettings,
    Layout,
    ProblemBatch,
    as_indices,
    layout_size,
    require_positive,
)
from loptbench.tasks.networks import initial_weights
from loptbench.tasks.streams import generator


@functools.cache
def _moons(n_samples: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    from sklearn.datasets import make_moons  # the import takes a second

    points, labels = make_moons(n_samples, noise=0.1, shuffle=True, random_state=0)
    return np.asarray(points, np.float64), np.asarray(labels, np.int32)


@dataclasses.dataclass(frozen=True)
class TwoMoons:
    """A multilayer perceptron 2-w-w-1 with tanh units on all of `make_moons(n, noise=0.1)`.

        h₁ = tanh(W_1 u + b_1),  h₂ = tanh(W_2 h₁ + b_2),  q = W_3 h₂ + b_3
        f(x) = mean over the points (u, y) of log(1 + exp(q)) − y q  +  penalty · ‖x‖₂

    ‖x‖₂ is the norm of all parameters, not its square. Data, loss and penalty are those of the
    authors' code; w = 16 is our choice. Problems differ only in their initial weights.

    The shared arrays of a batch: `points` u (n_samples, 2), `labels` y (n_samples,) of 0 and 1,
    `penalty` ().

    Attributes:
        width: w, the units of a layer; this scales the task.
        n_samples: the number of points.
        penalty: the factor of the norm of the parameters.
        n_steps: the number of inner steps.

    Example:
        >>> TwoMoons().sample("evaluate", 0, range(3)).initial_parameters.shape
        (3, 337)
    """

    width: int = 16
    n_samples: int = 1024
    penalty: float = 5e-3
    n_steps: int = 100
    name: str = dataclasses.field(default="two_moons", init=False)
    checks: ClassVar[CheckSettings] = CheckSettings(
        small={"width": 4, "n_samples": 40},
        resized={"width": 3, "n_samples": 25, "penalty": 2e-2},
        rate=0.3,
        scales=(0.7, 0.01),
    )

    def __post_init__(self) -> None:
        require_positive(
            self.name,
            width=self.width,
            n_samples=self.n_samples,
            penalty=self.penalty,
            n_steps=self.n_steps,
        )

    @property
    def layout(self) -> Layout:
        """The order and shapes of the parameters; the first axis is the output unit."""
        w = self.width
        return {
            "W_1": (w, 2),
            "b_1": (w,),
            "W_2": (w, w),
            "b_2": (w,),
            "W_3": (1, w),
            "b_3": (1,),
        }

    @property
    def n_parameters(self) -> int:
        """w² + 5w + 1."""
        return layout_size(self.layout)

    @property
    def n_floats(self) -> int:
        """The activations of both layers and their adjoints for every point."""
        return 4 * self.n_samples * (2 * self.width + 1)

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """See `loptbench.tasks.Task`."""
        indices = as_indices(indices)
        x0 = np.stack(
            [
                initial_weights(self.layout, generator(self.name, split, seed, index))
                for index in indices
            ]
        )
        points, labels = _moons(self.n_samples)
        shared: dict[str, NDArray[Any]] = {
            "points": points,
            "labels": labels,
            "penalty": np.asarray(self.penalty),
        }
        return ProblemBatch(self.name, x0, self.layout, {}, shared, split, seed, indices)
