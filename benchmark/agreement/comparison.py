"""Comparing an implementation with the oracle, at every step."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.tolerances import bound, free_running_bound
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.implementation import ReferenceOptimizer
from loptbench.implementations.reference.tasks import ReferenceProblems
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Trajectory
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

ORACLE = Reference()
PERTURBATION = 1e-12

AXES = {
    "loss": ("step", "problem"),
    "parameters": ("step", "problem", "parameter"),
    "gradient": ("step", "problem", "parameter"),
    "state": ("step", "component", "unit"),
    "update": ("step", "problem", "parameter"),
}
"""What the axes of a trajectory's fields are called in messages."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One quantity of an implementation beside the oracle's.

    Attributes:
        quantity: what was compared.
        error: the scaled error at each step, where it came nearest to its bound, (n_steps,).
        bound: what was allowed there, (n_steps,).
        deviation: in words, where the bound was first exceeded; empty if it never was.
    """

    quantity: str
    error: Float
    bound: Float
    deviation: str = ""

    @property
    def ok(self) -> bool:
        """Whether the bound held at every step."""
        return not self.deviation

    @property
    def ratio(self) -> float:
        """The largest error over its bound: below 1 all is well, and 1/ratio is the headroom."""
        return float(np.max(self.error / self.bound, initial=0.0))

    @property
    def first_exceeded(self) -> int:
        """The first step at which the bound did not hold; the number of steps if it always did."""
        exceeded = np.flatnonzero(~(self.error <= self.bound))
        return int(exceeded[0]) if exceeded.size else len(self.error)


def compare(
    quantity: str,
    actual: NDArray[Any],
    expected: Float,
    scale: Float | float,
    bounds: Float | float,
    names: tuple[str, ...] = ("step", "component"),
) -> Comparison:
    """Compare arrays whose first axis is the step.

    Args:
        quantity: what they are, for messages.
        actual: the implementation's, (n_steps, ...).
        expected: the oracle's, of the same shape.
        scale: what errors are relative to; broadcast against `expected`.
        bounds: the largest allowed scaled error; broadcast against `expected`.
        names: what the axes are called in messages.
    """
    n_steps = expected.shape[0]
    bounds = np.broadcast_to(np.asarray(bounds, np.float64), expected.shape)
    actual = np.asarray(actual, np.float64)
    scale = np.broadcast_to(np.asarray(scale, np.float64), expected.shape)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.abs(actual - expected)
        scaled = np.where(difference == 0, 0.0, difference / scale)
    # Where both blew up alike, they agree; where only one did, no bound is wide enough.
    both = ~np.isfinite(actual) & ~np.isfinite(expected)
    alike = both & ((actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    scaled = np.where(alike, 0.0, np.where(np.isnan(scaled), np.inf, scaled))
    if not expected.size:
        return Comparison(quantity, np.zeros(n_steps), np.full(n_steps, np.inf))
    with np.errstate(invalid="ignore"):
        nearest = (scaled / bounds).reshape(n_steps, -1).argmax(axis=1)
    places = np.arange(n_steps), nearest
    error = scaled.reshape(n_steps, -1)[places]
    allowed_there = bounds.reshape(n_steps, -1)[places]
    exceeded = np.flatnonzero(~(error <= allowed_there))
    if not exceeded.size:
        return Comparison(quantity, error, allowed_there)
    step = int(exceeded[0])
    within = np.unravel_index(int(nearest[step]), expected.shape[1:])
    where = (step, *(int(index) for index in within))
    labels = [*names, *["index"] * (len(where) - len(names))]
    place = ", ".join(f"{label} {index}" for label, index in zip(labels, where, strict=False))
    allowed = bounds[where] * scale[where]
    deviation = (
        f"{place}: {quantity} = {actual[where]:.17g}, "
        f"but should be {expected[where]:.17g} ± {allowed:.1e}"
    )
    return Comparison(quantity, error, allowed_there, deviation)


def compare_arrays(
    quantity: str,
    label: str,
    actual: NDArray[Any],
    expected: Float,
    dtype: str,
    device: str = "cpu",
    scale: Float | float | None = None,
    limit: float | None = None,
) -> Comparison:
    """Compare two arrays that have no step, relative to the oracle's largest entry.

    Args:
        quantity: the entry of the table of tolerances.
        label: what the array is called in messages.
        actual: the implementation's.
        expected: the oracle's.
        dtype: what the implementation computed in.
        device: where it computed.
        scale: what errors are relative to instead.
        limit: the bound on the scaled error, instead of the table's.
    """
    if scale is None:
        scale = float(np.abs(expected).max(initial=0.0))
    limit = bound(quantity, dtype, device) if limit is None else limit
    compared = compare(
        label, actual[None], expected[None], np.asarray(scale)[None], limit, ("call", "index")
    )
    return dataclasses.replace(compared, deviation=compared.deviation.removeprefix("call 0, "))


@dataclasses.dataclass(frozen=True)
class Scales:
    """What rounding errors along a trajectory are relative to; fields as in `Trajectory`."""

    loss: Float
    parameters: Float
    gradient: Float
    state: Float
    update: Float


def scales(spec: OptimizerSpec, batch: ProblemBatch, run: Trajectory) -> Scales:
    """The sizes of the terms that the oracle added up, at every step of its trajectory."""
    optimizer = ORACLE.optimizer(spec, "float64", "cpu")
    problems = ORACLE.problems(batch, "float64", "cpu")
    rows: list[tuple[Float, ...]] = []
    for k in range(run.loss.shape[0]):
        loss, gradient = problems.rounding_scale(run.parameters[k], k)
        # A gradient is known to within the size of its terms, and so is all that is made of it.
        state, update = optimizer.rounding_scale(run.state[k], gradient.reshape(-1))
        rows.append((loss, gradient, state, update.reshape(gradient.shape)))
    loss, gradient, state, update = (np.stack(column) for column in zip(*rows, strict=True))
    x = np.abs(run.parameters)
    x[1:] += update
    return Scales(loss, x, gradient, np.concatenate([state[:1], state]), update)


def above_underflow(scale: Float, dtype: str) -> Float:
    """The scale, but not so small that bounds relative to it fall below what the dtype can hold."""
    return np.maximum(scale, float(np.finfo(dtype).tiny) / float(np.finfo(dtype).eps))


class _Disturbed:
    """The oracle's optimizer and problems, with errors of 1e-12 of the scale, everywhere.

    At the start, in each gradient, and in each step: where rounding enters. Those of the gradient
    matter for optimizers that divide by its size: of a gradient that is nearly zero, they are all.
    """

    def __init__(
        self, optimizer: ReferenceOptimizer, problems: ReferenceProblems, seed: int
    ) -> None:
        self.optimizer, self.problems = optimizer, problems
        self.rng = np.random.Generator(np.random.Philox(key=np.array([2, seed], dtype=np.uint64)))

    def disturb(self, values: Float, scale: Float) -> Float:
        signs: Float = self.rng.choice([-1.0, 1.0], values.shape)
        return values + PERTURBATION * scale * signs

    def loss_and_gradient(self, parameters: Float, step: int) -> tuple[Float, Float]:
        loss, gradient = self.problems.loss_and_gradient(parameters, step)
        loss_scale, gradient_scale = self.problems.rounding_scale(parameters, step)
        return self.disturb(loss, loss_scale), self.disturb(gradient, gradient_scale)

    def initial_state(self, n_components: int) -> Float:
        state = self.optimizer.initial_state(n_components)
        scale, _ = self.optimizer.rounding_scale(state, np.zeros(n_components))
        return self.disturb(state, scale)

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        new, update = self.optimizer.step(state, gradient)
        state_scale, update_scale = self.optimizer.rounding_scale(state, gradient)
        return self.disturb(new, state_scale), self.disturb(update, update_scale)


def growth(spec: OptimizerSpec, batch: ProblemBatch, run: Trajectory, within: Scales) -> Scales:
    """How much the oracle itself magnifies small errors, by the step.

    Its trajectory beside one that is disturbed, in random directions, by 1e-12 of the scale: at the
    start, in each gradient, and at every step, because that is how rounding enters. (Disturbed at
    the start only, a trained optimizer that contracts first and expands later seems less harmful
    than it is: for the first one that was meta-trained here, since replaced, on the 64 evaluation
    problems of seeds 0 and 1, that measures a growth of at most 5e3 and 2e4, where errors in each
    step, gradients left out, grow by up to 9e4 and 1e7.)

    Returned is, for each problem, the distance over 1e-12, its largest value up to each step, at
    least 1, in fields of shape (n_steps, n_problems) or (n_steps + 1, n_problems).
    """
    largest: dict[str, Float] = {}
    problems = ORACLE.problems(batch, "float64", "cpu")
    for seed in range(2):
        both = _Disturbed(ORACLE.optimizer(spec, "float64", "cpu"), problems, seed)
        moved = unroll_by_steps(both, both, batch.initial_parameters, len(run.loss))
        for name in Trajectory._fields:
            distance = np.abs(getattr(moved, name) - getattr(run, name))
            with np.errstate(invalid="ignore", divide="ignore"):
                scaled = np.where(distance == 0, 0.0, distance / getattr(within, name))
            of_problem = scaled.reshape(len(scaled), batch.n_problems, -1).max(axis=2, initial=0.0)
            grown = np.nan_to_num(of_problem / PERTURBATION, nan=np.inf)
            grown = np.maximum.accumulate(np.maximum(1.0, grown))
            largest[name] = np.maximum(largest.get(name, 1.0), grown)
    return Scales(**largest)


def oracle_run(spec: OptimizerSpec, batch: ProblemBatch, n_steps: int) -> Trajectory:
    """The oracle's trajectory."""
    return ORACLE.unroll(
        ORACLE.optimizer(spec, "float64", "cpu"),
        ORACLE.problems(batch, "float64", "cpu"),
        batch.initial_parameters,
        n_steps,
    )


def compare_trajectories(
    actual: Trajectory,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    dtype: str,
    device: str = "cpu",
    expected: Trajectory | None = None,
) -> list[Comparison]:
    """Hold a free-running trajectory to the oracle's, at every step.

    The bound of a problem at step k is the rounding bound of one step times the growth that the
    oracle itself measures for that problem up to there; see `tolerances.free_running_bound`.

    Args:
        actual: the implementation's run.
        spec: the optimizer, rounded to `dtype`.
        batch: the problems, rounded to `dtype`.
        dtype: what the implementation computed in.
        device: where it computed.
        expected: another run of the same to hold it to, within the same bounds.
    """
    n_steps = actual.loss.shape[0]
    run = oracle_run(spec, batch, n_steps)
    within = scales(spec, batch, run)
    grown = growth(spec, batch, run, within)
    compared = []
    for name in Trajectory._fields:
        wanted = np.asarray(getattr(expected or run, name), np.float64)
        limits = free_running_bound(getattr(grown, name), dtype, device)
        # From (step, problem) to every parameter, component and unit of the problem.
        of_problem = (len(wanted), batch.n_problems, -1)
        spread = np.broadcast_to(limits[:, :, None], wanted.reshape(of_problem).shape)
        limits = spread.reshape(wanted.shape)
        size = above_underflow(getattr(within, name), dtype)
        compared.append(compare(name, getattr(actual, name), wanted, size, limits, AXES[name]))
    return compared
