"""Comparison of whole runs with the oracle's: scales, error amplification, bounds at every step.

The oracle is an argument: callers get it from `loptbench.discovery.oracle`. Beyond the protocol,
its optimizers and problems have the method `rounding_scale`: the sizes of the terms that a step or
an evaluation adds up, which rounding errors are relative to.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.memory import remembered
from loptbench.agreement.tolerances import free_running_bound
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, MetaGradient, Optimizer, Problems, Trajectory
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

PERTURBATION = 1e-12
"""Relative size of the errors that measure amplification: far above the rounding of float64 (1e-16)
and far below every nonlinearity."""

N_PERTURBED_RUNS = 2
"""Random perturbations of a run; the larger amplification counts."""

AXES = {
    "loss": ("step", "problem"),
    "parameters": ("step", "problem", "parameter"),
    "gradient": ("step", "problem", "parameter"),
    "state": ("step", "component", "unit"),
    "update": ("step", "problem", "parameter"),
}
"""Names of the axes of a trajectory's fields in messages."""


class OracleOptimizer(Optimizer, Protocol):
    """An optimizer of the oracle."""

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Float, Float]:
        """Sizes of the terms of the new state and of the update, in their shapes."""
        ...


class OracleProblems(Problems, Protocol):
    """Problems of the oracle."""

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Float, Float]:
        """Sizes of the terms of the loss and of the gradient, in their shapes."""
        ...


class Scales(NamedTuple):
    """One number for each rounding error of a run; the fields are those of `Trajectory`."""

    loss: Float
    parameters: Float
    gradient: Float
    state: Float
    update: Float


@remembered
def oracle_run(oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int) -> Trajectory:
    """The oracle's run of an optimizer on a batch of problems."""
    run: Trajectory = oracle.unroll(
        oracle.optimizer(spec, "float64", "cpu"),
        oracle.problems(batch, "float64", "cpu"),
        batch.initial_parameters,
        n_steps,
    )
    return run


@remembered
def oracle_meta_gradient(
    oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int
) -> MetaGradient:
    """The oracle's meta-objectives on a batch of problems, and the gradient of their mean."""
    result: MetaGradient = oracle.meta_gradient(
        oracle.optimizer(spec, "float64", "cpu"),
        oracle.problems(batch, "float64", "cpu"),
        batch.initial_parameters,
        n_steps,
    )
    return result


def rounding_scales(
    oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, run: Trajectory
) -> Scales:
    """The sizes that rounding errors are relative to, at every step of the oracle's run.

    Returns: the sizes of the terms that the oracle adds up, in the shapes of `run`.
    """
    optimizer: OracleOptimizer = oracle.optimizer(spec, "float64", "cpu")
    problems: OracleProblems = oracle.problems(batch, "float64", "cpu")
    rows: list[tuple[Float, ...]] = []
    for k in range(run.loss.shape[0]):
        loss, gradient = problems.rounding_scale(run.parameters[k], k)
        # The error of a gradient scales with its terms, and so do the errors of state and update.
        state, update = optimizer.rounding_scale(run.state[k], gradient.reshape(-1))
        rows.append((loss, gradient, state, update.reshape(gradient.shape)))
    loss, gradient, state, update = (np.stack(column) for column in zip(*rows, strict=True))
    parameters = np.abs(run.parameters)
    parameters[1:] += update
    return Scales(loss, parameters, gradient, np.concatenate([state[:1], state]), update)


def above_underflow(scale: Float, dtype: str) -> Float:
    """The scale, raised to where a bound relative to it is a normal number of the dtype."""
    return np.maximum(scale, float(np.finfo(dtype).tiny) / float(np.finfo(dtype).eps))


class PerturbedOptimizer:
    """The oracle's optimizer, with random errors of PERTURBATION times the rounding scale.

    The errors enter where rounding does: at the start, and in each step.
    """

    def __init__(self, optimizer: OracleOptimizer, seed: int) -> None:
        self.optimizer = optimizer
        self.rng = np.random.Generator(np.random.Philox(key=np.array([2, seed], dtype=np.uint64)))

    def perturb(self, values: Float, scale: Float) -> Float:
        """The values with errors of random sign."""
        signs: Float = self.rng.choice([-1.0, 1.0], values.shape)
        return values + PERTURBATION * scale * signs

    def initial_state(self, n_components: int) -> Float:
        """The initial state with errors."""
        state = self.optimizer.initial_state(n_components)
        scale, _ = self.optimizer.rounding_scale(state, np.zeros(n_components))
        return self.perturb(state, scale)

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """One step with errors in the new state and in the update."""
        new, update = self.optimizer.step(state, gradient)
        state_scale, update_scale = self.optimizer.rounding_scale(state, gradient)
        return self.perturb(new, state_scale), self.perturb(update, update_scale)


class PerturbedOracle(PerturbedOptimizer):
    """The same, and the oracle's problems with such errors in loss and gradient.

    Those of the gradient matter for optimizers that divide by its size. Their sizes are those of
    the run that is not perturbed: as long as the other is near, its terms have the same.
    """

    def __init__(
        self, optimizer: OracleOptimizer, problems: OracleProblems, scales: Scales, seed: int
    ) -> None:
        super().__init__(optimizer, seed)
        self.problems, self.scales = problems, scales

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        """Loss and gradient with errors."""
        loss, gradient = self.problems.loss_and_gradient(parameters, step)
        scales = self.scales
        return self.perturb(loss, scales.loss[step]), self.perturb(gradient, scales.gradient[step])


def error_amplification(
    oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, run: Trajectory, scales: Scales
) -> Scales:
    """The factor by which the oracle's own dynamics magnify small errors, at every step.

    The oracle's run is compared with runs that are perturbed in random directions by 1e-12 of the
    rounding scale: at the start, in each gradient, and at every step, as rounding errors enter. A
    perturbation of the start alone underestimates: a trained optimizer may contract first and
    expand later. (On the 64 evaluation problems of seeds 0 and 1, the first optimizer that was
    meta-trained here, since replaced, magnified errors of the start by at most 5e3 and 2e4, and
    errors in each step, gradients left out, by up to 9e4 and 1e7.)

    Args:
        oracle: the reference implementation.
        spec: the optimizer.
        batch: the problems.
        run: the oracle's run.
        scales: its rounding scales.

    Returns: for each problem, the largest distance up to each step over 1e-12, at least 1, in
        fields of shape (n_steps, n_problems) or (n_steps + 1, n_problems).
    """
    largest: dict[str, Float] = {}
    problems = oracle.problems(batch, "float64", "cpu")
    for seed in range(N_PERTURBED_RUNS):
        optimizer = oracle.optimizer(spec, "float64", "cpu")
        perturbed = PerturbedOracle(optimizer, problems, scales, seed)
        perturbed_run = unroll_by_steps(
            perturbed, perturbed, batch.initial_parameters, len(run.loss)
        )
        for name in Trajectory._fields:
            distance = np.abs(getattr(perturbed_run, name) - getattr(run, name))
            with np.errstate(invalid="ignore", divide="ignore"):
                scaled = np.where(distance == 0, 0.0, distance / getattr(scales, name))
            by_problem = scaled.reshape(len(scaled), batch.n_problems, -1).max(axis=2, initial=0.0)
            factor = np.nan_to_num(by_problem / PERTURBATION, nan=np.inf)
            factor = np.maximum.accumulate(np.maximum(1.0, factor))
            largest[name] = np.maximum(largest.get(name, 1.0), factor)
    return Scales(**largest)


class MeasuredRun(NamedTuple):
    """A run of the oracle, and how it magnifies rounding errors.

    Attributes:
        run: the run.
        scales: its rounding scales.
        amplification: its error amplification.
    """

    run: Trajectory
    scales: Scales
    amplification: Scales


@remembered
def measured_run(
    oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int
) -> MeasuredRun:
    """`oracle_run`, `rounding_scales` and `error_amplification` of it."""
    run = oracle_run(oracle, spec, batch, n_steps)
    scales = rounding_scales(oracle, spec, batch, run)
    return MeasuredRun(run, scales, error_amplification(oracle, spec, batch, run, scales))


def compare_trajectories(
    oracle: Any,
    actual: Trajectory,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    dtype: str,
    device: str = "cpu",
    expected: Trajectory | None = None,
    fields: Sequence[str] = Trajectory._fields,
    positions: NDArray[np.int64] | None = None,
) -> list[Comparison]:
    """Compare a free-running trajectory with the oracle's, at every step.

    The bound of a problem at step k is the rounding bound of one step times the error amplification
    of the oracle for that problem up to step k; see `tolerances.free_running_bound`.

    Args:
        oracle: the reference implementation.
        actual: the implementation's run.
        spec: the optimizer, rounded to `dtype`.
        batch: the problems, rounded to `dtype`.
        dtype: dtype that the implementation computed in.
        device: device that it computed on.
        expected: a run to compare with instead of the oracle's, within the same bounds.
        fields: the fields to compare.
        positions: the problem of `batch` that each problem of `actual` equals; None if they are
            those of `batch` in order. The oracle then runs each problem once, however often it
            occurs.

    Returns: one comparison for each of the fields.
    """
    run, scales, amplification = measured_run(oracle, spec, batch, actual.loss.shape[0])
    rows = np.arange(batch.n_problems) if positions is None else positions
    comparisons = []
    for name in fields:
        shape = getattr(actual, name).shape
        values = np.asarray(getattr(expected or run, name), np.float64)
        scale = above_underflow(getattr(scales, name), dtype)
        bounds = free_running_bound(getattr(amplification, name), dtype, device)[:, rows, None]
        # From (step, problem, …) to every parameter, component and unit of the actual problems.
        values, scale = (
            array.reshape(len(array), batch.n_problems, -1)[:, rows] for array in (values, scale)
        )
        bounds = np.broadcast_to(bounds, values.shape)
        values, scale, bounds = (array.reshape(shape) for array in (values, scale, bounds))
        comparisons.append(compare(name, getattr(actual, name), values, scale, bounds, AXES[name]))
    return comparisons
