"""Measure the mechanisms of one optimizer on its own rollouts."""

import dataclasses
import sys
from contextlib import redirect_stdout

import numpy as np

from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError
from loptbench.mechanisms.analysis import Analysis
from loptbench.mechanisms.analysis import analyze as probe
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.protocol import Trajectory
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.storage.weights import Checkpoint
from loptbench.study.mechanisms import analysis_size
from loptbench.study.resolve import AnyOptimizer, realize, resolve
from loptbench.tasks import get_task


@dataclasses.dataclass(frozen=True)
class AnalyzedRollouts:
    """An analysis, and the rollouts that it was made on.

    Attributes:
        analysis: the measurements.
        trajectory: the rollouts.
        task: the name of the task.
        split: the split of the task that the problems are from.
        seed: the seed of the problems.
    """

    analysis: Analysis
    trajectory: Trajectory
    task: str
    split: str
    seed: int

    @property
    def n_problems(self) -> int:
        """Number of problems, one rollout each."""
        return int(self.trajectory.loss.shape[1])

    @property
    def n_diverged(self) -> int:
        """Number of rollouts with a loss or final parameters that are not finite."""
        losses_are_finite = np.all(np.isfinite(self.trajectory.loss), axis=0)
        ends_are_finite = np.all(np.isfinite(self.trajectory.parameters[-1]), axis=1)
        return self.n_problems - int((losses_are_finite & ends_are_finite).sum())


def analyze(
    optimizer: AnyOptimizer,
    task: str | None = None,
    *,
    implementation: str = "reference",
    seed: int = 0,
    n_problems: int | None = None,
) -> Analysis:
    """Measure the mechanisms of an optimizer.

    >>> analysis = analyze("momentum:alpha=0.1,beta=0.9", n_problems=2)
    >>> round(analysis.momentum.index, 6)
    0.9

    Args:
        optimizer: a checkpoint's name or file, a baseline such as `sgd:alpha=0.1`,
            `package.module:Object`, an `OptimizerSpec`, or any object with `initial_state` and
            `step`, in float64.
        task: the task of the rollouts; the checkpoint's own if None, else `quadratic`.
        implementation: the implementation that computes a checkpoint or a baseline.
        seed: the seed of the problems.
        n_problems: the number of problems; if None 64, or as many as fit into memory.

    Raises:
        LoptbenchError: the optimizer is unknown, breaks the protocol, or fails.
    """
    return analyze_rollouts(
        optimizer, task, implementation=implementation, seed=seed, n_problems=n_problems
    ).analysis


def analyze_rollouts(
    optimizer: AnyOptimizer,
    task: str | None = None,
    *,
    implementation: str = "reference",
    seed: int = 0,
    n_problems: int | None = None,
) -> AnalyzedRollouts:
    """`analyze`, with the rollouts that it was made on."""
    resolved = resolve(optimizer)
    name = task or (resolved.task if isinstance(resolved, Checkpoint) else "quadratic")
    problem = get_task(name)
    realized = realize(resolved, implementation)
    try:
        # A rollout that blows up is a result, not a warning; an optimizer may print.
        with np.errstate(all="ignore"), redirect_stdout(sys.stderr):
            require_optimizer(realized)
            size = n_problems or analysis_size(np.shape(realized.initial_state(1))[1], name)
            batch = problem.sample("evaluate", seed, range(size))
            problems = oracle().problems(batch, "float64", "cpu")
            trajectory = unroll_by_steps(
                realized, problems, batch.initial_parameters, problem.n_steps
            )
            analysis = probe(realized, trajectory)
    except LoptbenchError:
        raise
    except (Exception, SystemExit) as error:
        what = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
        raise LoptbenchError(
            f"{what} failed while it was run: {type(error).__name__}: {error}; see "
            "loptbench.protocol.Optimizer for what it must offer"
        ) from error
    return AnalyzedRollouts(analysis, trajectory, name, batch.split, seed)
