"""The protocol in JAX: NumPy at the boundary, `kernels` inside."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.jax import kernels
from loptbench.implementations.jax.compiled import compiled, make_room
from loptbench.implementations.jax.declaration import Declaration
from loptbench.implementations.jax.optimizers import KINDS, Constants, Parameters
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import Shapes, loss_and_gradient
from loptbench.implementations.jax.through_time import meta_gradient, meta_gradients
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization, MetaGradient, OuterState, Sweep, Trajectory
from loptbench.tasks.base import ProblemBatch
from loptbench.training.settings import MetaTraining

P = ParamSpec("P")
R = TypeVar("R")

_loss_and_gradient = compiled("task", "shapes")(loss_and_gradient)


@contextmanager
def precise() -> Iterator[None]:
    """JAX computes in the precision of its arrays; the user's process keeps its own settings.

    JAX turns float64 into float32 unless told not to, and multiplies float32 on a GPU in TF32,
    which has 10 bits of its 23.
    """
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


def _precisely(function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        make_room()
        with precise():
            return function(*args, **kwargs)

    return wrapped


@dataclasses.dataclass(frozen=True)
class _Placed:
    """Where and in which precision arrays live."""

    dtype: str
    device: jax.Device

    def put(self, array: NDArray[Any]) -> jax.Array:
        # Real numbers in the precision of the call; whole ones stay what they are.
        array = np.asarray(array, self.dtype if array.dtype.kind == "f" else None)
        placed: jax.Array = jax.device_put(array, self.device)
        return placed

    def put_all(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, jax.Array]:
        return {name: self.put(array) for name, array in arrays.items()}


def _placed(dtype: str, device: str) -> _Placed:
    return _Placed(dtype, jax.devices(device)[0])


@dataclasses.dataclass(frozen=True)
class JaxOptimizer:
    """An optimizer in JAX."""

    kind: str
    constants: Constants
    parameters: Mapping[str, jax.Array]
    placed: _Placed

    @_precisely
    def initial_state(self, n_components: int) -> Array:
        """See `loptbench.protocol.Optimizer`."""
        return np.array(KINDS[self.kind].initial_state(self.parameters, n_components))

    def _padded(self, state: Array, gradient: Array) -> tuple[jax.Array, jax.Array]:
        # Every number of components is compiled for; so there are as few as powers of two.
        n = len(gradient)
        more = (1 << max(n - 1, 0).bit_length()) - n
        state = np.concatenate([state, np.zeros((more, state.shape[1]), state.dtype)])
        gradient = np.concatenate([gradient, np.zeros(more, gradient.dtype)])
        return self.placed.put(state), self.placed.put(gradient)

    @_precisely
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """See `loptbench.protocol.Optimizer`."""
        n = len(gradient)
        new, update = kernels.step(
            self.kind, self.constants, self.parameters, *self._padded(state, gradient)
        )
        return np.array(new)[:n].copy(), np.array(update)[:n].copy()

    @_precisely
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """See `loptbench.protocol.LinearizableOptimizer`."""
        (A, B), (C, D) = kernels.linearize(
            self.kind, self.constants, self.parameters, *self._padded(state, gradient)
        )
        n = len(gradient)
        return Linearization(*(np.array(matrix)[:n].copy() for matrix in (A, B, C, D)))


@dataclasses.dataclass(frozen=True)
class JaxProblems:
    """A batch of problems in JAX."""

    task: str
    shapes: Shapes
    arrays: Mapping[str, jax.Array]
    placed: _Placed

    @_precisely
    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """See `loptbench.protocol.Problems`."""
        loss, gradient = _loss_and_gradient(
            self.task, self.shapes, self.arrays, self.placed.put(parameters), jnp.asarray(step)
        )
        return np.array(loss), np.array(gradient)


class Implementation(Declaration):
    """JAX: all five levels."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The CPU, and the GPU if JAX has one."""
        try:
            jax.devices("cuda")
        except RuntimeError:
            return ("cpu",)
        return "cpu", "cuda"

    @_precisely
    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> JaxOptimizer:
        """See `loptbench.protocol.Implementation`."""
        placed = _placed(dtype, device)
        parameters = placed.put_all(spec.parameters)
        return JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)

    @_precisely
    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> JaxProblems:
        """See `loptbench.protocol.Implementation`."""
        placed = _placed(dtype, device)
        arrays = placed.put_all({**batch.arrays, **batch.shared})
        return JaxProblems(batch.task, tuple(batch.layout.items()), arrays, placed)

    @_precisely
    def unroll(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        """See `loptbench.protocol.Unrolls`."""
        fields = kernels.unroll(*_run(optimizer, problems, initial_parameters, n_steps))
        return Trajectory(*(np.array(field) for field in fields))

    @_precisely
    def unroll_losses(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Array:
        """See `loptbench.protocol.UnrollsLosses`."""
        run = _run(optimizer, problems, initial_parameters, n_steps)
        return np.array(kernels.unroll_losses(*run))

    @_precisely
    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: JaxProblems,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        """See `loptbench.protocol.Sweeps`."""
        placed = problems.placed
        loss, x, state = kernels.sweep(
            Program(kind, problems.task, problems.shapes, n_steps),
            Inputs(dict(constants), problems.arrays),
            placed.put_all(hyperparameters),
            placed.put(at.state),
            placed.put(at.parameters),
            placed.put(at.step),
        )
        return np.array(loss), Sweep(np.array(x), np.array(state), at.step + n_steps)

    @_precisely
    def meta_gradient(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        """See `loptbench.protocol.MetaGradients`."""
        objective, gradient = meta_gradient(*_run(optimizer, problems, initial_parameters, n_steps))
        return MetaGradient(np.array(objective), _to_numpy(gradient))

    @_precisely
    def outer_init(self, parameters: Mapping[str, Array], config: MetaTraining) -> OuterState:
        """See `loptbench.protocol.MetaTrains`."""
        placed = _placed(config.dtype, config.device)
        start = placed.put_all(parameters)
        return _outer_state(start, kernels.outer_optimizer(config).init(start))

    @_precisely
    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        """See `loptbench.protocol.MetaTrains`."""
        placed = _placed(config.dtype, config.device)
        parameters, memory = _to_jax(outer, placed, config)
        problems = self.problems(batch, config.dtype, config.device)
        optimizer = JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)
        objective, gradient = meta_gradient(
            *_run(optimizer, problems, batch.initial_parameters, config.n_steps),
            config.bptt_segment,
        )
        new, memory, finite = kernels.outer_update(config, parameters, memory, gradient)
        mean = float(np.mean(np.asarray(objective)))
        return _outer_state(new, memory), mean if finite else np.nan

    @_precisely
    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        """See `loptbench.protocol.MetaTrainsSideBySide`."""
        placed = _placed(config.dtype, config.device)
        # Stacked and taken apart in NumPy: JAX needs as long for that as a GPU for the rest.
        parameters, memory = _to_jax(_stacked(outers), placed, config)
        batch = batches[0].followed_by(batches[1:])
        problems = self.problems(batch, config.dtype, config.device)
        optimizer = JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)
        objective, gradient = meta_gradients(
            *_run(optimizer, problems, batch.initial_parameters, config.n_steps),
            config.bptt_segment,
        )
        new, memory, finite = kernels.outer_updates(config, parameters, memory, gradient)
        means = np.asarray(objective).reshape(len(outers), -1).mean(axis=1)
        objectives = np.where(np.asarray(finite), means, np.nan).tolist()
        return list(zip(_taken_apart(_outer_state(new, memory)), objectives, strict=True))


def _run(
    optimizer: JaxOptimizer, problems: JaxProblems, initial_parameters: Array, n_steps: int
) -> tuple[Program, Inputs, Parameters, jax.Array]:
    return (
        Program(optimizer.kind, problems.task, problems.shapes, n_steps),
        Inputs(optimizer.constants, problems.arrays),
        optimizer.parameters,
        optimizer.placed.put(initial_parameters),
    )


def _to_numpy(arrays: Mapping[str, jax.Array]) -> dict[str, Array]:
    return {name: np.array(array) for name, array in arrays.items()}


def _to_jax(
    outer: OuterState, placed: _Placed, config: MetaTraining
) -> tuple[dict[str, jax.Array], Any]:
    """Parameters and optax's state, of which the memory has the leaves."""
    parameters = placed.put_all(outer.parameters)
    structure = jax.tree.structure(jax.eval_shape(kernels.outer_optimizer(config).init, parameters))
    leaves = [placed.put(outer.memory[f"{i:03d}"]) for i in range(len(outer.memory))]
    return parameters, jax.tree.unflatten(structure, leaves)


def _outer_state(parameters: Mapping[str, jax.Array], memory: Any) -> OuterState:
    # optax's state is a tree; its leaves in their own order are what has to be kept.
    leaves = jax.tree.leaves(memory)
    return OuterState(
        _to_numpy(parameters), {f"{i:03d}": np.array(leaf) for i, leaf in enumerate(leaves)}
    )


def _stacked(outers: Sequence[OuterState]) -> OuterState:
    """Several states as one, whose arrays have an axis before all others."""
    first = outers[0]
    return OuterState(
        {name: np.stack([outer.parameters[name] for outer in outers]) for name in first.parameters},
        {name: np.stack([outer.memory[name] for outer in outers]) for name in first.memory},
    )


def _taken_apart(stacked: OuterState) -> list[OuterState]:
    """What `_stacked` put together."""
    n = len(next(iter(stacked.parameters.values())))
    return [
        OuterState(*({name: array[i, ...] for name, array in part.items()} for part in stacked))
        for i in range(n)
    ]
