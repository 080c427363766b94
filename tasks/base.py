"""The protocol of a task, and the batch of problems that it gives to an implementation."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError, require_array

Layout = Mapping[str, tuple[int, ...]]
"""Names and shapes of the arrays that a flat parameter vector consists of, in order, row-major."""


def layout_size(layout: Layout) -> int:
    """The number of parameters of a layout.

    >>> layout_size({"W": (2, 3), "b": (2,)})
    8
    """
    return sum(math.prod(shape) for shape in layout.values())


def unflatten(flat: Any, layout: Layout) -> dict[str, Any]:
    """The named arrays of flat vectors (..., n_parameters), each with its own shape after `...`.

    It only slices and reshapes, so it takes arrays of NumPy, PyTorch and JAX.

    >>> unflatten(np.arange(3.0), {"w": (2,), "b": ()})
    {'w': array([0., 1.]), 'b': array(2.)}
    """
    arrays: dict[str, Any] = {}
    start = 0
    for name, shape in layout.items():
        stop = start + math.prod(shape)
        arrays[name] = flat[..., start:stop].reshape((*flat.shape[:-1], *shape))
        start = stop
    return arrays


@dataclasses.dataclass(frozen=True)
class ProblemBatch:
    """Problems drawn from a task, as the NumPy arrays that every implementation receives.

    Real numbers are float64, integers (labels, pixels, indices of a minibatch) have their own type.

    Attributes:
        task: the task's name. The task's class describes `arrays` and `shared`.
        initial_parameters: x₀, (n_problems, n_parameters), a flat vector per problem.
        layout: the arrays that a flat vector consists of.
        arrays: the arrays that define each problem, by name; the first axis is the problem.
        shared: the arrays that all problems share, such as data, by name.
        split: the split that the problems were drawn from.
        seed: the seed of the stream.
        indices: the index of each problem in the stream.
        custom: the `CustomTask` that brings the loss; None of a task that loptbench ships,
            whose loss each implementation has.
    """

    task: str
    initial_parameters: NDArray[np.float64]
    layout: Layout
    arrays: Mapping[str, NDArray[Any]]
    shared: Mapping[str, NDArray[Any]]
    split: str
    seed: int
    indices: tuple[int, ...]
    custom: Any = None

    @property
    def n_problems(self) -> int:
        """The number of problems."""
        return len(self.initial_parameters)

    @property
    def n_parameters(self) -> int:
        """The number of parameters of each problem."""
        return int(self.initial_parameters.shape[1])

    def rounded_to(self, dtype: str) -> "ProblemBatch":
        """The same batch with every real number rounded to `dtype`, stored as float64.

        The oracle in float64 and an implementation in float32 then start from the same numbers, so
        that a comparison measures the arithmetic and not the rounding of the input.
        """

        def rounded(array: NDArray[Any]) -> NDArray[Any]:
            return array.astype(dtype).astype(np.float64) if array.dtype.kind == "f" else array

        return dataclasses.replace(
            self,
            initial_parameters=rounded(self.initial_parameters),
            arrays={name: rounded(array) for name, array in self.arrays.items()},
            shared={name: rounded(array) for name, array in self.shared.items()},
        )

    def part(self, positions: Iterable[int]) -> "ProblemBatch":
        """The problems at these positions of the batch, in this order."""
        rows = list(positions)
        return dataclasses.replace(
            self,
            initial_parameters=self.initial_parameters[rows],
            arrays={name: array[rows] for name, array in self.arrays.items()},
            indices=tuple(self.indices[i] for i in rows),
        )

    def followed_by(self, batches: Iterable["ProblemBatch"]) -> "ProblemBatch":
        """These problems and those of other batches of the same task and data, in one batch.

        The joint batch has the seed of this one. It is meant for computing, not for records.
        """
        joined = [self, *batches]
        return dataclasses.replace(
            self,
            initial_parameters=np.concatenate([batch.initial_parameters for batch in joined]),
            arrays={
                name: np.concatenate([batch.arrays[name] for batch in joined])
                for name in self.arrays
            },
            indices=tuple(index for batch in joined for index in batch.indices),
        )

    def starting_at(self, parameters: NDArray[Any]) -> "ProblemBatch":
        """The same problems with other initial parameters, (n_problems, n_parameters)."""
        require_array(parameters, "initial parameters")
        return dataclasses.replace(self, initial_parameters=np.asarray(parameters, np.float64))

    def describe(self) -> str:
        """The name of the batch in messages, such as `quadratic, evaluate, seed 7`."""
        return f"{self.task}, {self.split}, seed {self.seed}"

    @property
    def sha256(self) -> str:
        """The SHA-256 hash of all arrays of the batch."""
        digest = hashlib.sha256(f"{self.task} {dict(self.layout)}".encode())
        for group in ({"x0": self.initial_parameters}, self.arrays, self.shared):
            for name, array in sorted(group.items()):
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class CheckSettings:
    """How `loptbench check` uses a task.

    Attributes:
        small: settings of the task that differ from its own where the oracle runs often.
        resized: settings of another size, which finds sizes that are built in.
        rate: factor of the learning rates of the hand-designed optimizers, below 1 where those of
            `loptbench.conformance.cases.EXAMPLES` diverge.
        scales: input and output scale of random learned optimizers: their units receive gradients
            of order one, and their updates do not let the parameters diverge.
    """

    small: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    resized: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rate: float = 1.0
    scales: tuple[float, float] = (1.0, 0.01)


class Task(Protocol):
    """A distribution of optimization problems.

    Implement it as a frozen dataclass: its fields are the settings that identify the task. A task
    from outside is a `loptbench.tasks.CustomTask`.
    """

    checks: ClassVar[CheckSettings]

    @property
    def name(self) -> str:
        """The name used on the command line and in files."""
        ...

    @property
    def n_steps(self) -> int:
        """The default number of inner steps of a run."""
        ...

    @property
    def n_parameters(self) -> int:
        """The number of parameters of a problem."""
        ...

    @property
    def n_floats(self) -> int:
        """Rough number of floats that loss and gradient hold in memory, per problem."""
        ...

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """Draw the problems with these indices from a stream.

        Args:
            split: one of `loptbench.tasks.SPLITS`.
            seed: the seed of the stream.
            indices: the indices of the problems in the stream; problem i is the same in any batch.

        Raises:
            LoptbenchError: there are no indices, or the split or seed does not exist.
        """
        ...


def definition(task: Task) -> dict[str, Any]:
    """A task's name, its settings, and the hash of its data, as plain values.

    >>> from loptbench.tasks import Rosenbrock
    >>> definition(Rosenbrock())["curvature"]
    100.0
    """
    settings: dict[str, Any] = {"task": task.name}
    for field in dataclasses.fields(task):  # type: ignore[arg-type]  # every task is a dataclass
        value = getattr(task, field.name)
        settings[field.name] = list(value) if isinstance(value, tuple) else value
        if hasattr(value, "sha256"):
            settings[field.name] = value.sha256
    # A task from outside has its code and data in files that loptbench does not know.
    return settings | getattr(task, "description", dict)()


def as_indices(indices: Iterable[int]) -> tuple[int, ...]:
    """The indices of at least one problem, as a tuple."""
    as_tuple = tuple(indices)
    if not as_tuple:
        raise LoptbenchError("a batch needs at least one problem, but none was asked for")
    return as_tuple


def require_positive(task: str, **settings: float) -> None:
    """Refuse settings that are not above zero; the message has the setting's name."""
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise LoptbenchError(
                f"{name.replace('_', ' ')} of task {task!r} must be above 0, but it is {value}"
            )
