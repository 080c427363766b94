"""Losses of evaluated runs, beside the oracle's runs of a few of the same problems.

An evaluation runs hundreds of problems for hundreds of steps, so the oracle cannot repeat all of
it. It repeats whole runs of a few problems that are drawn, and each of their losses is compared
within the bound that this problem earns: that of rounding, amplified as the oracle's own run
amplifies small errors. Only losses are kept, so the memory is that of one step.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.tolerances import free_running_bound
from loptbench.agreement.trajectories import (
    N_PERTURBED_RUNS,
    PERTURBATION,
    PerturbedOptimizer,
    above_underflow,
)
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

FEWEST_DRAWN, MOST_DRAWN = 4, 32
"""Problems of an evaluation that the oracle runs too, at least and at most. Of an unroll that
repeats a sixteenth of its problems, one draw of 4 misses less than one in 10,000."""

COMPONENTS_DRAWN = 2048
"""Components up to which more than the fewest problems are drawn: the oracle takes seconds."""

LARGEST_GROWN = 1e-3
"""Relative distance at which a perturbed run is no longer near the run. From there on a chaotic run
is another one: small errors still grow, but the distance does not, and says nothing of them."""


def draw_problems(n_problems: int, n_parameters: int, seed: int) -> list[int]:
    """Problems of an evaluation, one drawn from each of several equal parts of the batch.

    >>> draw_problems(2, n_parameters=5, seed=0)
    [0, 1]

    Args:
        n_problems: the number of problems of the evaluation.
        n_parameters: the number of parameters of a problem.
        seed: the seed of the draw, from 0 to 2**64 − 1.

    Returns: their places in the batch, increasing.
    """
    n_drawn = min(max(COMPONENTS_DRAWN // n_parameters, FEWEST_DRAWN), MOST_DRAWN, n_problems)
    rng = np.random.Generator(np.random.Philox(key=np.array([6, seed], dtype=np.uint64)))
    ends = [n_problems * part // n_drawn for part in range(n_drawn + 1)]
    return [int(rng.integers(low, high)) for low, high in itertools.pairwise(ends)]


class OracleLosses(NamedTuple):
    """The oracle's losses of a run, and what errors of another's are held to.

    Attributes:
        loss: f(x_k), (n_steps, n_problems).
        scale: sizes of the terms that each loss adds up, in the same shape.
        amplification: factor by which errors so far have grown, in the same shape.
        n_comparable: steps before anything comes near overflow in the dtype, or a perturbed run
            leaves the neighbourhood of the run, (n_problems,).
        n_in_range: steps before anything comes near overflow in the dtype, (n_problems,).
        perturbed: f(x_k) of the perturbed runs, (n_steps, N_PERTURBED_RUNS, n_problems).
    """

    loss: Float
    scale: Float
    amplification: Float
    n_comparable: NDArray[np.int64]
    n_in_range: NDArray[np.int64]
    perturbed: Float


def oracle_losses(
    oracle: Any, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int, dtype: str
) -> OracleLosses:
    """Run the oracle, with and without perturbations; see `trajectories.error_amplification`.

    Args:
        oracle: the reference implementation.
        spec: the optimizer, rounded to `dtype`.
        batch: the problems, rounded to `dtype`.
        n_steps: the number of inner steps.
        dtype: the dtype whose range a run may leave. Intermediate values are squares at most, so
            runs are compared as long as numbers stay below the square root of its largest number.
    """
    problems = oracle.problems(batch, "float64", "cpu")
    optimizer = oracle.optimizer(spec, "float64", "cpu")
    perturbed = [PerturbedOptimizer(optimizer, seed) for seed in range(N_PERTURBED_RUNS)]
    stepping: list[Any] = [optimizer, *perturbed]
    x = [batch.initial_parameters] * len(stepping)
    state = [one.initial_state(x[0].size) for one in stepping]
    limit = np.sqrt(float(np.finfo(dtype).max))
    losses = np.empty((n_steps, len(stepping), batch.n_problems))
    scale = np.empty((n_steps, batch.n_problems))
    is_small = np.ones((n_steps, batch.n_problems), bool)
    is_near = np.ones((n_steps, batch.n_problems), bool)
    largest = np.abs(x[0]).max(axis=1)
    with np.errstate(all="ignore"):  # a run that diverges is a result, not a warning
        for k in range(n_steps):
            scale[k], gradient_scale = problems.rounding_scale(x[0], k)
            largest = np.maximum(largest, np.abs(x[0]).max(axis=1))
            away = np.max([np.abs(other - x[0]).max(axis=1) for other in x[1:]], axis=0)
            is_near[k] = ~(away > LARGEST_GROWN * largest)
            for i, one in enumerate(stepping):
                losses[k, i], gradient = problems.loss_and_gradient(x[i], k)
                if one is not optimizer:  # errors of the sizes of the run that is not perturbed
                    losses[k, i] = one.perturb(losses[k, i], scale[k])
                    gradient = one.perturb(gradient, gradient_scale)
                numbers = [scale[k], x[i], gradient, state[i]]
                state[i], update = one.step(state[i], gradient.reshape(-1))
                x[i] = x[i] + update.reshape(x[i].shape)
                by_problem = [np.abs(part).reshape(batch.n_problems, -1) for part in numbers]
                is_small[k] &= np.all([np.all(part < limit, axis=1) for part in by_problem], axis=0)
        distance = np.abs(losses[:, 1:] - losses[:, :1]).max(axis=1)
        factor = np.where(distance == 0, 0.0, distance / scale) / PERTURBATION
    factor = np.nan_to_num(np.maximum(factor, 1.0), nan=np.inf, posinf=np.inf)
    n_comparable = np.logical_and.accumulate(is_small & is_near).sum(axis=0)
    n_in_range = np.logical_and.accumulate(is_small).sum(axis=0)
    amplification = np.maximum.accumulate(factor)
    return OracleLosses(losses[:, 0], scale, amplification, n_comparable, n_in_range, losses[:, 1:])


def compare_losses(
    oracle: Any,
    actual: Array,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    dtype: str,
    device: str = "cpu",
) -> list[Comparison]:
    """Compare the losses of whole runs with the oracle's, at every step.

    A run that leaves the range of the dtype is compared up to there; from there on it has to
    diverge if the oracle's does. A chaotic run is compared as long as small errors stay small.

    Args:
        oracle: the reference implementation.
        actual: the losses that were evaluated, (n_steps, n_problems).
        spec: the optimizer.
        batch: the problems.
        dtype: the dtype that they were computed in.
        device: the device that they were computed on.

    Returns: one comparison for each problem.
    """
    n_steps = len(actual)
    expected = oracle_losses(
        oracle, spec.rounded_to(dtype), batch.rounded_to(dtype), n_steps, dtype
    )
    bounds = free_running_bound(expected.amplification, dtype, device)
    scale = above_underflow(expected.scale, dtype)
    comparisons = []
    for i, index in enumerate(batch.indices):
        n = int(expected.n_comparable[i])
        compared = compare(
            f"loss of problem {index}",
            actual[:n, i],
            expected.loss[:n, i],
            scale[:n, i],
            bounds[:n, i],
            ("step",),
        )
        if compared.ok and np.isfinite(actual[-1, i]) and not np.isfinite(expected.loss[-1, i]):
            first = int(np.flatnonzero(~np.isfinite(expected.loss[:, i]))[0])
            compared = dataclasses.replace(
                compared,
                error=np.append(compared.error, np.inf),
                bound=np.append(compared.bound, 1.0),
                deviation=f"step {n_steps - 1}: {compared.quantity} = {actual[-1, i]:.17g}, but "
                f"should have diverged by step {first}",
            )
        comparisons.append(compared)
    return comparisons
