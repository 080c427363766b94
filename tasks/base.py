"""What a task is, and what it hands to an implementation."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError

Layout = Mapping[str, tuple[int, ...]]
"""The named arrays that a flat vector of parameters is made of, in their order, each row by row."""


def layout_size(layout: Layout) -> int:
    """How many parameters a layout has."""
    return sum(math.prod(shape) for shape in layout.values())


def unflatten(flat: Any, layout: Layout) -> dict[str, Any]:
    """The named arrays in flat vectors (..., n_parameters), each of shape (..., *its own).

    It slices and reshapes, and so takes the arrays of NumPy, PyTorch and JAX alike.
    """
    arrays: dict[str, Any] = {}
    start = 0
    for name, shape in layout.items():
        stop = start + math.prod(shape)
        arrays[name] = flat[..., start:stop].reshape(*flat.shape[:-1], *shape)
        start = stop
    return arrays


@dataclasses.dataclass(frozen=True)
class ProblemBatch:
    """Problems drawn from a task, as NumPy arrays that every implementation receives.

    Real numbers are float64, until `rounded_to`; integers (labels, pixels, the numbers of a
    minibatch) stay what they are.

    Attributes:
        task: the task's name; it says what `arrays` and `shared` mean.
        initial_parameters: x₀, (n_problems, n_parameters): one flat vector per problem.
        layout: what the flat vectors are made of.
        arrays: what defines the problems, by name; the first axis is the problem.
        shared: what the problems have in common, such as data, by name.
        split: the split they were drawn from.
        seed: the stream's seed.
        indices: the problems' numbers in the stream.
    """

    task: str
    initial_parameters: NDArray[np.float64]
    layout: Layout
    arrays: Mapping[str, NDArray[Any]]
    shared: Mapping[str, NDArray[Any]]
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

        def rounded(array: NDArray[Any]) -> NDArray[Any]:
            return array.astype(dtype).astype(np.float64) if array.dtype.kind == "f" else array

        return dataclasses.replace(
            self,
            initial_parameters=rounded(self.initial_parameters),
            arrays={name: rounded(array) for name, array in self.arrays.items()},
            shared={name: rounded(array) for name, array in self.shared.items()},
        )

    def part(self, chosen: Iterable[int]) -> "ProblemBatch":
        """Some of the problems, by their places in the batch, in this order."""
        places = list(chosen)
        return dataclasses.replace(
            self,
            initial_parameters=self.initial_parameters[places],
            arrays={name: array[places] for name, array in self.arrays.items()},
            indices=tuple(self.indices[i] for i in places),
        )

    def followed_by(self, others: Iterable["ProblemBatch"]) -> "ProblemBatch":
        """These problems and those of other batches of the same task and data, in one batch.

        It is for computing: it has this batch's seed, whatever those of the others are.
        """
        batches = [self, *others]
        return dataclasses.replace(
            self,
            initial_parameters=np.concatenate([one.initial_parameters for one in batches]),
            arrays={
                name: np.concatenate([one.arrays[name] for one in batches]) for name in self.arrays
            },
            indices=tuple(i for one in batches for i in one.indices),
        )

    def starting_at(self, parameters: NDArray[Any]) -> "ProblemBatch":
        """The same problems with other initial parameters, (n_problems, n_parameters)."""
        return dataclasses.replace(self, initial_parameters=np.asarray(parameters, np.float64))

    def describe(self) -> str:
        """How messages name the batch, such as `quadratic, evaluate, seed 7`."""
        return f"{self.task}, {self.split}, seed {self.seed}"

    @property
    def sha256(self) -> str:
        """The hash of every number in the batch: what was drawn, and the data."""
        digest = hashlib.sha256(f"{self.task} {dict(self.layout)}".encode())
        for group in ({"x0": self.initial_parameters}, self.arrays, self.shared):
            for name, array in sorted(group.items()):
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


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

    @property
    def n_floats(self) -> int:
        """About how many numbers one evaluation of loss and gradient holds, for each problem."""
        ...

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """Draw the problems with these numbers of this stream.

        Raises:
            LoptbenchError: none was asked for, or the stream does not exist.
        """
        ...


def definition(task: Task) -> dict[str, Any]:
    """What defines a task, as plain values: its name, its settings, and the hash of its data."""
    settings: dict[str, Any] = {"task": task.name}
    for field in dataclasses.fields(task):  # type: ignore[arg-type]  # every task is a dataclass
        value = getattr(task, field.name)
        settings[field.name] = list(value) if isinstance(value, tuple) else value
        if hasattr(value, "sha256"):
            settings[field.name] = value.sha256
    return settings


def numbers_of(indices: Iterable[int]) -> tuple[int, ...]:
    """The numbers of the problems that are asked for, at least one."""
    numbers = tuple(indices)
    if not numbers:
        raise LoptbenchError("a batch needs at least one problem, but none was asked for")
    return numbers


def require_positive(task: str, **settings: float) -> None:
    """Refuse a setting of a task that is not above zero (sizes: at least 1), by its name."""
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise LoptbenchError(
                f"{name.replace('_', ' ')} of task {task!r} must be above 0, but it is {value}"
            )
