"""What a task is, and what it hands to an implementation."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class ProblemBatch:
    """Problems drawn from a task, as float64 NumPy arrays that every implementation receives.

    Attributes:
        task: the task's name; it says what `arrays` mean.
        initial_parameters: x₀, (n_problems, n_parameters): one flat vector per problem.
        arrays: what defines the problems, by name; the first axis is the problem.
        split: the split they were drawn from.
        seed: the stream's seed.
        indices: the problems' numbers in the stream.
    """

    task: str
    initial_parameters: NDArray[np.float64]
    arrays: Mapping[str, NDArray[np.float64]]
    split: str
    seed: int
    indices: tuple[int, ...]

    @property
    def n_problems(self) -> int:
        """How many problems the batch holds."""
        return len(self.initial_parameters)

    @property
    def n_parameters(self) -> int:
        """How many parameters each problem has."""
        return int(self.initial_parameters.shape[1])

    def rounded_to(self, dtype: str) -> "ProblemBatch":
        """The same batch with every number rounded to `dtype`, still stored as float64.

        An oracle in float64 and an implementation in float32 are compared on the same numbers:
        what is measured is their arithmetic, not the rounding of their input.
        """

        def rounded(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return array.astype(dtype).astype(np.float64)

        return dataclasses.replace(
            self,
            initial_parameters=rounded(self.initial_parameters),
            arrays={name: rounded(array) for name, array in self.arrays.items()},
        )

    def starting_at(self, parameters: NDArray[Any]) -> "ProblemBatch":
        """The same problems with other initial parameters, (n_problems, n_parameters)."""
        return dataclasses.replace(self, initial_parameters=np.asarray(parameters, np.float64))

    def describe(self) -> str:
        """How messages name the batch, such as `quadratic, evaluate, seed 7`."""
        return f"{self.task}, {self.split}, seed {self.seed}"


class Task(Protocol):
    """A distribution of optimization problems."""

    @property
    def name(self) -> str:
        """The name used on the command line and in files."""
        ...

    @property
    def n_steps(self) -> int:
        """How many inner steps one run takes, unless asked otherwise."""
        ...

    @property
    def n_parameters(self) -> int:
        """How many parameters one problem has."""
        ...

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """Draw the problems with these numbers of this stream."""
        ...
