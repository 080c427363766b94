"""Evaluation of optimizers on held-out problems."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError, require_array
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import UnrollsLosses
from loptbench.results.schema.evaluation import Estimate, Evaluation, Ratios
from loptbench.rollout.held_out import PAPER
from loptbench.rollout.trajectory import meta_objective, run_for_losses
from loptbench.statistics.bootstrap import OfProblems, Sample, over_problems
from loptbench.statistics.ratios import (
    MedianRatio,
    ProbabilityOfImprovement,
    RatioOfTrimmedMeans,
)
from loptbench.tasks import ProblemBatch, get_task

Float = NDArray[np.float64]


def summarize(loss: Float) -> Evaluation:
    """The evaluation of runs.

    Curves are of the loss relative to each problem's first, as the meta-objective is, over the
    first 128 problems, as in the paper's figure. A run that diverges has an infinite
    meta-objective, and is never left out of a mean.

    Args:
        loss: (n_steps, n_problems).
    """
    n_problems = loss.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        measured = meta_objective(loss)
        objective = np.where(np.isfinite(measured), measured, np.inf).astype(np.float64)
        shown = loss[:, :PAPER]
        relative = shown / shown[0]
        return Evaluation(
            n_problems=n_problems,
            n_diverged=int(np.sum(~np.all(np.isfinite(loss), axis=0))),
            objective=objective,
            objective_mean=float(np.mean(objective)),
            objective_standard_error=float(_standard_error(objective)),
            objective_median=float(np.median(objective)),
            final_loss_mean=float(np.mean(loss[-1])),
            final_loss_median=float(np.median(loss[-1])),
            n_curve_problems=shown.shape[1],
            curve_mean=np.mean(relative, axis=1),
            curve_standard_error=_standard_error(relative),
        )


def _standard_error(values: Float) -> Float:
    """s / √n over the last axis, the problems; NaN for a single problem."""
    n_problems = values.shape[-1]
    if n_problems == 1:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(np.std(values, axis=-1, ddof=1) / np.sqrt(n_problems))


MEMORY_FLOATS = 2**25
"""Largest number of floats that the rollouts of a batch hold; it bounds the memory."""

COMPONENTS_AT_ONCE = 2**16
"""Components that are evaluated at once. On a CPU, PyTorch takes twice as long per problem where
the intermediate values of 512 networks have left the cache."""

STATES_AT_ONCE = 2**19
"""State variables of these components, for the same reason: with more, JAX takes a tenth longer."""

FLOATS_AT_ONCE = 2**21
"""Floats of the losses and gradients that are computed at once, for the same reason. Of 128
networks, JAX takes nearly twice as long per problem as of 16, and PyTorch as long."""

LOSS_ONLY_STEPS = 7
"""Memory of a loss-only rollout, in recorded steps: gates and other intermediate values."""


def problems_at_once(n_state: int, batch: ProblemBatch, n_steps: int) -> int:
    """The number of problems that fit into memory, with this many recorded steps.

    Returns: a power of two, at least 1.
    """
    floats_per_problem = (n_steps + 1) * batch.n_parameters * (n_state + 3)
    return 1 << max(0, (MEMORY_FLOATS // floats_per_problem).bit_length() - 1)


def problems_in_cache(n_state: int, batch: ProblemBatch) -> int:
    """The number of problems whose intermediate values stay in a processor's cache.

    >>> batch = get_task("two_moons").sample("evaluate", 0, [0])
    >>> problems_in_cache(32, batch), problems_in_cache(256, batch)
    (16, 4)

    Returns: a power of two, at least 1.
    """
    n_components = min(COMPONENTS_AT_ONCE, STATES_AT_ONCE / max(1, n_state))
    of_optimizer = n_components / batch.n_parameters
    of_task = FLOATS_AT_ONCE / get_task(batch.task).n_floats
    # The power of two below the first, and the one nearest to the second.
    return 1 << max(0, min(math.floor(math.log2(of_optimizer)), round(math.log2(of_task))))


def evaluated_losses(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str,
    device: str = "cpu",
) -> Float:
    """Run an optimizer on a batch of problems, as many at once as memory and cache allow.

    Returns: the losses, (n_steps, n_problems).

    Raises:
        ContractError: the implementation returns losses of another shape.
    """
    n_recorded = LOSS_ONLY_STEPS if isinstance(implementation, UnrollsLosses) else n_steps
    size = min(
        problems_at_once(spec.n_state, batch, n_recorded), problems_in_cache(spec.n_state, batch)
    )
    losses = []
    with np.errstate(all="ignore"):  # a run that diverges is a result, not a warning
        for start in range(0, batch.n_problems, size):
            part = batch.part(range(start, min(start + size, batch.n_problems)))
            loss = run_for_losses(implementation, spec, part, n_steps, dtype, device)
            require_array(loss, "the losses of a run")
            if np.shape(loss) != (n_steps, part.n_problems):
                raise ContractError(
                    f"the losses of a run must have shape {(n_steps, part.n_problems)}, but have "
                    f"{np.shape(loss)}"
                )
            losses.append(loss)
    return np.concatenate(losses, axis=1).astype(np.float64)


def evaluate(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str,
    device: str = "cpu",
) -> Evaluation:
    """The evaluation of an optimizer on a batch of problems."""
    return summarize(evaluated_losses(implementation, spec, batch, n_steps, dtype, device))


def paired_ratios(learned: Evaluation, baseline: Evaluation) -> Ratios:
    """A learned optimizer against a baseline on the problems that both were evaluated on.

    The learned optimizer is better if the interval of the ratio lies below 1.
    `loptbench.statistics` has the definitions and the intervals.

    Args:
        learned: the learned optimizer.
        baseline: the baseline, on the same problems or on more of the same stream.
    """
    n_problems = min(learned.n_problems, baseline.n_problems)
    a, b = learned.objective[:n_problems], baseline.objective[:n_problems]
    return Ratios(
        n_problems=n_problems,
        of_means=estimate(Sample(a, b)),
        of_trimmed_means=estimate(RatioOfTrimmedMeans(a, b)),
        median=estimate(MedianRatio(a, b)),
        probability_of_improvement=estimate(ProbabilityOfImprovement(a, b)),
    )


def estimate(statistic: OfProblems) -> Estimate:
    """A ratio and its interval; NaN where they are not finite."""
    with np.errstate(all="ignore"):
        interval = over_problems(statistic).within(0.0, np.inf)
    numbers = np.array([interval.value, interval.low, interval.high])
    value, low, high = np.where(np.isfinite(numbers), numbers, np.nan).tolist()
    return Estimate(value=value, low=low, high=high)
