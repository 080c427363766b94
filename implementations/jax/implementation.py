"""The protocol in JAX: NumPy at the boundary, compiled functions inside.

`loptbench.protocol` describes every method.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from loptbench.implementations.jax import outer_step, rollout
from loptbench.implementations.jax.arrays import (
    Placement,
    in_full_precision,
    padded,
    placement,
    size_class,
    to_numpy,
)
from loptbench.implementations.jax.bptt import meta_gradient, meta_gradients
from loptbench.implementations.jax.compiled import compilation_seconds, compiled
from loptbench.implementations.jax.declaration import Declaration
from loptbench.implementations.jax.optimizers import Constants, Parameters, get_kind
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import Arrays, Loss, Shapes, loss_and_gradient, loss_of
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import (
    Array,
    Linearization,
    MetaGradient,
    OuterSettings,
    OuterState,
    Sweep,
    Trajectory,
)
from loptbench.tasks import ProblemBatch

_loss_and_gradient = compiled("loss_function", "shapes")(loss_and_gradient)

MIN_COMPONENTS = 128
"""Steps of up to this many components share a program; they take some microseconds."""

MIN_LINEARIZED = 8
"""The same for Jacobians, which are larger."""

MIN_TIMES = 4
"""Numbers of times of a drive up to this one share a program."""


@dataclasses.dataclass(frozen=True)
class JaxOptimizer:
    """An optimizer in JAX."""

    kind: str
    constants: Constants
    parameters: Parameters
    placement: Placement

    @in_full_precision
    def initial_state(self, n_components: int) -> Array:
        # One component in JAX, and copies of it: nothing is compiled for each number of components.
        state = np.asarray(get_kind(self.kind).initial_state(self.parameters, 1))
        return np.tile(state, (n_components, 1))

    def _padded(self, state: Array, gradient: Array, least: int) -> tuple[jax.Array, jax.Array]:
        size = size_class(max(len(gradient), least))
        return self.placement.put(padded(state, size)), self.placement.put(padded(gradient, size))

    @in_full_precision
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        n = len(gradient)
        next_state, update = rollout.step(
            self.kind,
            self.constants,
            self.parameters,
            *self._padded(state, gradient, MIN_COMPONENTS),
        )
        return np.array(next_state)[:n].copy(), np.array(update)[:n].copy()

    @in_full_precision
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        n, n_times = len(state), len(times)
        padded_times = size_class(max(n_times, MIN_TIMES))
        size = size_class(n, per_octave=8)
        if gradients.ndim == 2:
            gradients = padded(gradients, size_class(len(gradients)), size)
        else:
            gradients = padded(gradients, size)
        states = rollout.drive(
            self.kind,
            self.constants,
            self.parameters,
            self.placement.put(padded(state, size)),
            self.placement.put(gradients),
            # The last time repeated: no steps are taken for it.
            jnp.asarray(np.pad(times, (0, padded_times - n_times), "edge")),
        )
        return np.asarray(states)[:n_times, :n].copy()

    @in_full_precision
    def gain(self, state: Array, gradient: Array) -> Array:
        padded_arguments = self._padded(state, gradient, MIN_COMPONENTS)
        D = rollout.gain(self.kind, self.constants, self.parameters, *padded_arguments)
        return np.asarray(D)[: len(gradient)].copy()

    @in_full_precision
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        (A, B), (C, D) = rollout.linearize(
            self.kind,
            self.constants,
            self.parameters,
            *self._padded(state, gradient, MIN_LINEARIZED),
        )
        n = len(gradient)
        return Linearization(*(np.array(matrix)[:n].copy() for matrix in (A, B, C, D)))


@dataclasses.dataclass(frozen=True)
class JaxProblems:
    """A batch of problems in JAX."""

    loss: Loss
    shapes: Shapes
    arrays: Arrays
    placement: Placement

    @in_full_precision
    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = _loss_and_gradient(
            self.loss, self.shapes, self.arrays, self.placement.put(parameters), jnp.asarray(step)
        )
        return np.array(loss), np.array(gradient)


class Implementation(Declaration):
    """JAX, compiled: all five levels."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The CPU, and the GPU if JAX has one."""
        try:
            jax.devices("cuda")
        except RuntimeError:
            return ("cpu",)
        return "cpu", "cuda"

    def compilation_seconds(self) -> float:
        return compilation_seconds()

    @in_full_precision
    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> JaxOptimizer:
        placed = placement(dtype, device)
        parameters = placed.put_all(spec.parameters)
        return JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)

    @in_full_precision
    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> JaxProblems:
        placed = placement(dtype, device)
        arrays = placed.put_all({**batch.arrays, **batch.shared})
        return JaxProblems(loss_of(batch), tuple(batch.layout.items()), arrays, placed)

    @in_full_precision
    def unroll(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        fields = rollout.unroll(*_run(optimizer, problems, initial_parameters, n_steps))
        return Trajectory(*(np.array(field) for field in fields))

    @in_full_precision
    def unroll_losses(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Array:
        run = _run(optimizer, problems, initial_parameters, n_steps)
        return np.array(rollout.unroll_losses(*run))

    @in_full_precision
    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Constants,
        problems: JaxProblems,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        put, put_all = problems.placement.put, problems.placement.put_all
        loss, x, state = rollout.sweep(
            Program(kind, problems.loss, problems.shapes, n_steps),
            Inputs(dict(constants), problems.arrays),
            put_all(hyperparameters),
            put(at.state),
            put(at.parameters),
            put(at.step),
        )
        return np.array(loss), Sweep(np.array(x), np.array(state), at.step + n_steps)

    @in_full_precision
    def meta_gradient(
        self,
        optimizer: JaxOptimizer,
        problems: JaxProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        objective, gradient = meta_gradient(*_run(optimizer, problems, initial_parameters, n_steps))
        return MetaGradient(np.array(objective), to_numpy(gradient))

    @in_full_precision
    def outer_init(self, parameters: Mapping[str, Array], config: OuterSettings) -> OuterState:
        start = placement(config.dtype, config.device).put_all(parameters)
        memory = outer_step.outer_optimizer(outer_step.settings(config)).init(start)
        return outer_step.to_outer_state(start, memory)

    @in_full_precision
    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: OuterSettings
    ) -> tuple[OuterState, float]:
        placed = placement(config.dtype, config.device)
        parameters, memory = outer_step.to_jax(outer, placed)
        problems = self.problems(batch, config.dtype, config.device)
        optimizer = JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)
        run = _run(optimizer, problems, batch.initial_parameters, config.n_steps)
        objective, gradient = meta_gradient(*run, config.bptt_segment)
        parameters, memory, finite = outer_step.outer_update(
            outer_step.settings(config), parameters, memory, gradient
        )
        mean = float(np.mean(np.asarray(objective)))
        return outer_step.to_outer_state(parameters, memory), mean if finite else np.nan

    @in_full_precision
    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: OuterSettings,
    ) -> list[tuple[OuterState, float]]:
        placed = placement(config.dtype, config.device)
        parameters, memory = outer_step.to_jax(outer_step.stack(outers), placed)
        batch = batches[0].followed_by(batches[1:])
        problems = self.problems(batch, config.dtype, config.device)
        optimizer = JaxOptimizer(spec.kind, dict(spec.constants), parameters, placed)
        run = _run(optimizer, problems, batch.initial_parameters, config.n_steps)
        objective, gradient = meta_gradients(*run, config.bptt_segment)
        parameters, memory, finite = outer_step.outer_updates(
            outer_step.settings(config), parameters, memory, gradient
        )
        means = np.asarray(objective).reshape(len(outers), -1).mean(axis=1)
        objectives = np.where(np.asarray(finite), means, np.nan).tolist()
        states = outer_step.unstack(outer_step.to_outer_state(parameters, memory))
        return list(zip(states, objectives, strict=True))


def _run(
    optimizer: JaxOptimizer, problems: JaxProblems, initial_parameters: Array, n_steps: int
) -> tuple[Program, Inputs, Parameters, jax.Array]:
    """The arguments of a compiled run."""
    return (
        Program(optimizer.kind, problems.loss, problems.shapes, n_steps),
        Inputs(optimizer.constants, problems.arrays),
        optimizer.parameters,
        optimizer.placement.put(initial_parameters),
    )
