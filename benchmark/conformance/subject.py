"""The implementation under test: all calls into it, with the form of what it returns validated.

Results must be NumPy arrays of the right shapes and dtype, and arguments must not have changed.
Whether the numbers are right is for the checks.
"""

import copy
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.conformance.cases import Case
from loptbench.errors import ContractError
from loptbench.optimizers import OptimizerSpec, get_kind
from loptbench.protocol import (
    Array,
    Level,
    Linearization,
    MetaGradient,
    OuterState,
    Trajectory,
    offers,
)
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks.base import ProblemBatch
from loptbench.training.settings import MetaTraining


def require_array(label: str, value: Any, shape: tuple[int, ...], dtype: str) -> Array:
    """Require a NumPy array of that shape and dtype.

    Raises:
        ContractError: it is something else; the message says what.
    """
    if type(value) is not np.ndarray:  # a subclass such as np.matrix changes * and @
        raise ContractError(f"{label} must be a NumPy array, but it is a {type(value).__name__}")
    if value.shape != shape:
        raise ContractError(f"{label} must have shape {shape}, but has {value.shape}")
    if value.dtype != np.dtype(dtype):
        raise ContractError(f"{label} must be {dtype}, but is {value.dtype}")
    return value


def _fields(label: str, value: Any, n: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or len(value) != n:
        returned = f"{len(value)} of them" if isinstance(value, tuple) else type(value).__name__
        raise ContractError(f"{label} must return a tuple of {n}, but returned {returned}")
    return value


class Unchanged:
    """Context manager that raises a `ContractError` if a call changes its arguments."""

    def __init__(self, call_name: str, *arguments: Any) -> None:
        self.call_name, self.arguments = call_name, arguments
        self.before = copy.deepcopy(arguments)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            for before, after in zip(self.before, self.arguments, strict=True):
                if not _equal(before, after):
                    raise ContractError(
                        f"{self.call_name} must not change what it is handed, but did"
                    )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    if dataclasses.is_dataclass(a):
        return all(_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return bool(a == b)


@dataclasses.dataclass(frozen=True)
class SubjectOptimizer:
    """An optimizer of the implementation under test."""

    raw: Any
    spec: OptimizerSpec
    dtype: str

    @property
    def n_state(self) -> int:
        """State variables per component."""
        return self.spec.n_state

    def initial_state(self, n_components: int) -> Array:
        """See `loptbench.protocol`; the result is validated."""
        shape = (n_components, self.n_state)
        state = self.raw.initial_state(n_components)
        require_array("the initial state", state, shape, self.dtype)
        if any(np.shares_memory(state, array) for array in self.spec.parameters.values()):
            raise ContractError("the initial state must be an array of its own, not the spec's")
        return np.asarray(state)

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """See `loptbench.protocol`; the result is validated."""
        with Unchanged("step", state, gradient):
            new, update = _fields("step", self.raw.step(state, gradient), 2)
        require_array("step's new state", new, state.shape, self.dtype)
        require_array("step's update", update, gradient.shape, self.dtype)
        if np.shares_memory(new, state) and new.size:
            raise ContractError("step's new state must be a new array, but it is the old one's")
        return new, update

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """See `loptbench.protocol`; the result is validated."""
        n, s = state.shape
        with Unchanged("linearize", state, gradient):
            matrices = _fields("linearize", self.raw.linearize(state, gradient), 4)
        for name, matrix, shape in zip(
            "ABCD", matrices, ((n, s, s), (n, s), (n, s), (n,)), strict=True
        ):
            require_array(f"linearize's {name}", matrix, shape, self.dtype)
        return Linearization(*matrices)

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        """See `loptbench.protocol`; the result is validated."""
        with Unchanged("drive", state, gradients, times):
            states = self.raw.drive(state, gradients, times)
        require_array("drive's states", states, (len(times), *state.shape), self.dtype)
        if np.shares_memory(states, state) and states.size:
            raise ContractError("drive's states must be a new array, but they are the start's")
        return np.asarray(states)

    def gain(self, state: Array, gradient: Array) -> Array:
        """See `loptbench.protocol`; the result is validated."""
        with Unchanged("gain", state, gradient):
            D = self.raw.gain(state, gradient)
        return require_array("gain's D", D, gradient.shape, self.dtype)


@dataclasses.dataclass(frozen=True)
class SubjectProblems:
    """A batch of problems of the implementation under test."""

    raw: Any
    dtype: str

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """See `loptbench.protocol`; the result is validated."""
        with Unchanged("loss_and_gradient", parameters):
            loss, gradient = _fields(
                "loss_and_gradient", self.raw.loss_and_gradient(parameters, step), 2
            )
        require_array("the loss", loss, (parameters.shape[0],), self.dtype)
        require_array("the gradient", gradient, parameters.shape, self.dtype)
        return loss, gradient


class Scope(enum.Enum):
    """What a check depends on; it runs on one of the subjects that are equal in that.

    A check of the implementation runs on one subject alone, and one of a run on all. A check of
    meta-training leaves out hand-designed optimizers in a coarse dtype: what follows after the
    meta-gradient does not know the optimizer.
    """

    IMPLEMENTATION = "implementation"
    OPTIMIZER = "optimizer"
    TASK = "task"
    RUN = "run"
    TRAINING = "training"


@dataclasses.dataclass(frozen=True)
class Subject:
    """An implementation on one case, in one dtype on one device.

    The case's numbers are rounded to the dtype, so that the oracle gets the same ones.

    Attributes:
        implementation: the implementation under test.
        case: the optimizer and the problems.
        dtype: dtype of the computation.
        scopes: scopes of the checks that run on this subject.
        device: device of the computation.
    """

    implementation: Any
    case: Case
    dtype: str
    scopes: frozenset[Scope] = frozenset(Scope)
    device: str = "cpu"

    @property
    def spec(self) -> OptimizerSpec:
        """The case's optimizer, rounded."""
        return self.case.spec.rounded_to(self.dtype)

    @property
    def batch(self) -> ProblemBatch:
        """The case's problems, rounded."""
        return self.case.batch.rounded_to(self.dtype)

    @property
    def full(self) -> ProblemBatch:
        """The case's problems of the default size, rounded."""
        return self.case.full.rounded_to(self.dtype)

    @property
    def resized(self) -> ProblemBatch:
        """The case's problems of another size, rounded."""
        return self.case.resized.rounded_to(self.dtype)

    @property
    def varies_sizes(self) -> bool:
        """Whether lengths and batches are varied: in the finest dtype; they do not depend on it."""
        return bool(self.dtype == max(self.implementation.dtypes))

    def describe(self, split: str = "evaluate") -> str:
        """The subject in messages.

        Args:
            split: the split that a check draws its problems from.
        """
        batch = dataclasses.replace(self.case.batch, split=split)
        return (
            f"{self.implementation.name} against reference, {self.case.label}, "
            f"{batch.describe()}, {self.dtype}"
        )

    def cast(self, array: Array) -> Array:
        """A copy of the array in the subject's dtype."""
        return np.asarray(array).astype(self.dtype)

    def optimizer(self, spec: OptimizerSpec | None = None) -> SubjectOptimizer:
        """Make an optimizer; the case's if none is given."""
        spec = spec or self.spec
        with Unchanged("optimizer", spec):
            raw = self.implementation.optimizer(spec, self.dtype, self.device)
        return SubjectOptimizer(raw, spec, self.dtype)

    def problems(self, batch: ProblemBatch | None = None) -> SubjectProblems:
        """Make a batch of problems; the case's if none is given."""
        batch = batch or self.batch
        with Unchanged("problems", batch):
            raw = self.implementation.problems(batch, self.dtype, self.device)
        return SubjectProblems(raw, self.dtype)

    def offers(self, level: Level) -> bool:
        """Whether the implementation offers a level."""
        optimizer = self.optimizer().raw if level is Level.LINEARIZE else None
        return offers(self.implementation, level, optimizer)

    def handles(
        self, batch: ProblemBatch | None = None
    ) -> tuple[SubjectOptimizer, SubjectProblems, Array]:
        """The case's optimizer, a batch of problems (the case's if None), and its start."""
        batch = batch or self.batch
        return self.optimizer(), self.problems(batch), self.cast(batch.initial_parameters)

    def unroll(
        self, n_steps: int, optimizer: SubjectOptimizer, problems: SubjectProblems, x0: Array
    ) -> Trajectory:
        """A run, natively if the implementation offers it."""
        if not self.offers(Level.UNROLL):
            return unroll_by_steps(optimizer, problems, x0, n_steps)
        with Unchanged("unroll", x0):
            fields = _fields(
                "unroll", self.implementation.unroll(optimizer.raw, problems.raw, x0, n_steps), 5
            )
        p, n = x0.shape
        shapes = {
            "loss": (n_steps, p),
            "parameters": (n_steps + 1, p, n),
            "gradient": (n_steps, p, n),
            "state": (n_steps + 1, p * n, optimizer.n_state),
            "update": (n_steps, p, n),
        }
        for (name, shape), value in zip(shapes.items(), fields, strict=True):
            require_array(f"unroll's {name}", value, shape, self.dtype)
        return Trajectory(*fields)

    def unroll_losses(
        self, n_steps: int, optimizer: SubjectOptimizer, problems: SubjectProblems, x0: Array
    ) -> Array:
        """The losses of a run that records nothing else."""
        with Unchanged("unroll_losses", x0):
            loss: Array = self.implementation.unroll_losses(
                optimizer.raw, problems.raw, x0, n_steps
            )
        require_array("unroll_losses' loss", loss, (n_steps, len(x0)), self.dtype)
        return loss

    def meta_gradient(
        self, n_steps: int, optimizer: SubjectOptimizer, problems: SubjectProblems, x0: Array
    ) -> MetaGradient:
        """The meta-gradient of a run."""
        with Unchanged("meta_gradient", x0):
            objective, gradient = _fields(
                "meta_gradient",
                self.implementation.meta_gradient(optimizer.raw, problems.raw, x0, n_steps),
                2,
            )
        require_array("the meta-objective", objective, (x0.shape[0],), self.dtype)
        self._require_parameters("the meta-gradient", gradient, self.spec, self.dtype)
        return MetaGradient(objective, gradient)

    def call_each_level(
        self,
        highest: Level,
        n_steps: int,
        optimizer: SubjectOptimizer,
        problems: SubjectProblems,
        x0: Array,
    ) -> None:
        """Make one call at each level that is offered, up to `highest`."""
        self.unroll(n_steps, optimizer, problems, x0)
        if highest >= Level.LINEARIZE and self.offers(Level.LINEARIZE):
            optimizer.linearize(optimizer.initial_state(x0.size), x0.reshape(-1))
        if highest >= Level.META_GRADIENT and self.offers(Level.META_GRADIENT):
            self.meta_gradient(n_steps, optimizer, problems, x0)

    def outer_init(self, spec: OptimizerSpec, config: MetaTraining) -> OuterState:
        """The state before the first outer step."""
        with Unchanged("outer_init", spec):
            outer = _fields(
                "outer_init", self.implementation.outer_init(spec.parameters, config), 2
            )
        return self._require_outer("outer_init", outer, spec, config)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        """One outer step."""
        with Unchanged("outer_step", outer, spec, batch):
            new, objective = _fields(
                "outer_step", self.implementation.outer_step(outer, spec, batch, config), 2
            )
        return self._require_outer_step("outer_step", (new, objective), spec, config)

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        """One outer step of several seeds at once."""
        with Unchanged("outer_steps", *outers, spec, *batches):
            steps = self.implementation.outer_steps(outers, spec, batches, config)
        if not isinstance(steps, list):
            raise ContractError(f"outer_steps must return a list, but returned {type(steps)}")
        return [
            self._require_outer_step("outer_steps", _fields("outer_steps", step, 2), spec, config)
            for step in _fields("outer_steps", tuple(steps), len(outers))
        ]

    def _require_outer_step(
        self, label: str, result: tuple[Any, ...], spec: OptimizerSpec, config: MetaTraining
    ) -> tuple[OuterState, float]:
        new, objective = result
        if not isinstance(objective, float):
            raise ContractError(
                f"{label}'s objective must be a float, but it is a {type(objective).__name__}"
            )
        return self._require_outer(label, _fields(label, new, 2), spec, config), objective

    def _require_outer(
        self, label: str, outer: tuple[Any, ...], spec: OptimizerSpec, config: MetaTraining
    ) -> OuterState:
        parameters, memory = outer
        self._require_parameters(f"{label}'s parameters", parameters, spec, config.dtype)
        if not isinstance(memory, Mapping):
            kind = type(memory).__name__
            raise ContractError(f"{label}'s memory must map names to arrays, but it is a {kind}")
        for name, value in memory.items():
            numeric = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
            if not isinstance(name, str) or not numeric:
                raise ContractError(
                    f"{label}'s memory must hold named arrays of numbers, but {name!r} is "
                    f"{getattr(value, 'dtype', type(value).__name__)}"
                )
        return OuterState(parameters, memory).canonical()

    def _require_parameters(self, label: str, values: Any, spec: OptimizerSpec, dtype: str) -> None:
        shapes = get_kind(spec.kind).shapes_of(spec.parameters)
        if not isinstance(values, Mapping) or set(values) != set(shapes):
            names = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise ContractError(f"{label} must hold {sorted(shapes)}, but holds {names}")
        for name, shape in shapes.items():
            require_array(f"{label} of {name!r}", values[name], shape, dtype)
