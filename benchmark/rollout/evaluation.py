"""Evaluation of optimizers on held-out problems."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import UnrollsLosses
from loptbench.results.schema.evaluation import Evaluation, Ratio
from loptbench.rollout.trajectory import meta_objective, run_for_losses
from loptbench.statistics.bootstrap import Sample, over_problems
from loptbench.tasks import ProblemBatch

Float = NDArray[np.float64]


def summarize(loss: Float) -> Evaluation:
    """The evaluation of runs.

    Curves are of the loss relative to each problem's first, as the meta-objective is. A run that
    diverges has an infinite meta-objective, and is never left out of a mean.

    Args:
        loss: (n_steps, n_problems).
    """
    n_problems = loss.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        measured = meta_objective(loss)
        objective = np.where(np.isfinite(measured), measured, np.inf).astype(np.float64)
        relative = loss / loss[0]
        return Evaluation(
            n_problems=n_problems,
            n_diverged=int(np.sum(~np.all(np.isfinite(loss), axis=0))),
            objective=objective,
            objective_mean=float(np.mean(objective)),
            objective_standard_error=float(_standard_error(objective)),
            objective_median=float(np.median(objective)),
            final_loss_mean=float(np.mean(loss[-1])),
            final_loss_median=float(np.median(loss[-1])),
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

LOSS_ONLY_STEPS = 7
"""Memory of a loss-only rollout, in recorded steps: gates and other intermediate values."""


def problems_at_once(n_state: int, batch: ProblemBatch, n_steps: int) -> int:
    """The number of problems that fit into memory, with this many recorded steps.

    Returns: a power of two, at least 1.
    """
    floats_per_problem = (n_steps + 1) * batch.n_parameters * (n_state + 3)
    return 1 << max(0, (MEMORY_FLOATS // floats_per_problem).bit_length() - 1)


def evaluate(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str,
    device: str = "cpu",
) -> Evaluation:
    """Run an optimizer on a batch of problems, as many at once as fit into memory."""
    n_recorded = LOSS_ONLY_STEPS if isinstance(implementation, UnrollsLosses) else n_steps
    size = problems_at_once(spec.n_state, batch, n_recorded)
    losses = []
    with np.errstate(all="ignore"):  # a run that diverges is a result, not a warning
        for start in range(0, batch.n_problems, size):
            part = batch.part(range(start, min(start + size, batch.n_problems)))
            losses.append(run_for_losses(implementation, spec, part, n_steps, dtype, device))
    return summarize(np.concatenate(losses, axis=1).astype(np.float64))


def paired_ratio(learned: Evaluation, baseline: Evaluation) -> Ratio:
    """The ratio of mean meta-objectives, with a paired 95 % interval over problems.

    The learned optimizer is better if the interval lies below 1. The interval is that of
    `loptbench.statistics.bootstrap.over_problems`, and NaN where a run diverged.
    """
    numerator, denominator = learned.objective, baseline.objective
    ratio = float(np.mean(numerator) / np.mean(denominator))
    if not (np.all(np.isfinite(numerator)) and np.all(np.isfinite(denominator))):
        return Ratio(ratio=ratio if np.isfinite(ratio) else np.nan, low=np.nan, high=np.nan)
    interval = over_problems(Sample(numerator, denominator)).within(0.0, np.inf)
    return Ratio(ratio=ratio, low=interval.low, high=interval.high)
