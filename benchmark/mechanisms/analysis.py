"""All probes on one optimizer, with given runs or with runs on a task's problems."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.adaptation import measure_adaptation
from loptbench.mechanisms.clipping import measure_clipping
from loptbench.mechanisms.convergence import find_convergence_point
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.mechanisms.dynamics.counters import (
    FrozenStateOptimizer,
    freeze_counters,
    full_state,
)
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.momentum import measure_momentum
from loptbench.mechanisms.schedule import measure_schedule
from loptbench.protocol import Implementation, Optimizer, Trajectory
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    FrozenVariable,
    MechanismsResult,
    NotApplicable,
)
from loptbench.rollout.evaluation import problems_at_once
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks import get_task
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

MAX_PROBLEMS = 64
"""Number of problems on which an optimizer is measured, where they fit into memory."""

MAX_STARTS = 128
"""Number of states from real runs from which the convergence point is searched again."""

DEFAULT_SCHEDULE_STEPS = 201
"""Length of the schedule without real runs."""


class Measurement(NamedTuple):
    """An analysis, and the runs on which it was made.

    Attributes:
        analysis: the results of the probes.
        run: the runs.
        batch: the problems of the runs.
    """

    analysis: MechanismsResult
    run: Trajectory
    batch: ProblemBatch


def measure(
    optimizer: Optimizer,
    task: str,
    seed: int,
    oracle: Implementation,
    n_problems: int | None = None,
) -> Measurement:
    """Run an optimizer on problems of a task, and measure it with every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        task: the name of the task.
        seed: the seed of the problems.
        oracle: the implementation of the problems, usually the reference.
        n_problems: the number of problems; if None 64, or as many as fit into memory.

    Raises:
        ContractError: the optimizer does not keep to the protocol.

    >>> from loptbench.discovery import get_implementation
    >>> from loptbench.optimizers import momentum
    >>> reference = get_implementation("reference")
    >>> optimizer = reference.optimizer(momentum(0.1, 0.9), "float64", "cpu")
    >>> analysis = measure(optimizer, "quadratic", 0, reference, n_problems=2).analysis
    >>> round(analysis.momentum.index, 9)
    0.9
    """
    definition = get_task(task)
    with np.errstate(all="ignore"):  # a run that diverges is a result, not a warning
        require_optimizer(optimizer)
        n_state = np.shape(optimizer.initial_state(1))[1]
        size = n_problems or analysis_size(n_state, task)
        batch = definition.sample("evaluate", seed, range(size))
        problems = oracle.problems(batch, "float64", "cpu")
        run = unroll_by_steps(optimizer, problems, batch.initial_parameters, definition.n_steps)
        return Measurement(analyze(optimizer, run), run, batch)


def analysis_size(n_state: int, task: str) -> int:
    """The number of problems on which an optimizer is measured: 64, or as many as memory allows.

    Args:
        n_state: the size of the optimizer's state.
        task: the name of the task.
    """
    definition = get_task(task)
    batch = definition.sample("evaluate", 0, [0])
    return min(MAX_PROBLEMS, problems_at_once(n_state, batch, definition.n_steps))


def analyze(
    optimizer: Optimizer,
    run: Trajectory | None = None,
    n_steps: int | None = None,
    statistics: GradientStatistics | None = None,
) -> MechanismsResult:
    """Measure an optimizer with every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        run: its runs on a task, for the probes that need runs.
        n_steps: the length of its schedule; that of the runs if None, or 201 steps.
        statistics: the gradients that it meets; those of `run` if None.

    Returns: the result of each probe, or why there is none.

    Raises:
        ContractError: the optimizer does not keep to the protocol.
    """
    require_optimizer(optimizer)
    statistics = statistics or GradientStatistics.from_run(run)
    n_steps = n_steps or (len(run.loss) if run is not None else DEFAULT_SCHEDULE_STEPS)
    if run is not None and not _is_finite(run):
        run = None  # it diverged: only its first gradients are used
    typical_update = None if run is None else _root_mean_square(run.update)
    schedule = measure_schedule(optimizer, statistics, n_steps)
    frozen: tuple[FrozenVariable, ...] = ()
    frozen_optimizer = optimizer
    if _has_derivatives(optimizer):
        freezing = freeze_counters(optimizer, statistics.largest)
        if isinstance(freezing, NotApplicable):
            return MechanismsResult(
                convergence_point=freezing,
                momentum=freezing,
                clipping=measure_clipping(optimizer, None, statistics, run),
                schedule=schedule,
                adaptation=freezing,
            )
        frozen_optimizer, frozen = freezing
    frozen_run = None if run is None else _without_frozen(run, frozen_optimizer)
    starts = None
    if frozen_run is not None and _has_derivatives(optimizer):
        starts = _starts(frozen_run)
    point = find_convergence_point(frozen_optimizer, starts, statistics, frozen, typical_update)
    convergence_state = None
    if isinstance(point, ConvergencePointResult):
        convergence_state = full_state(frozen_optimizer, point.state[None])[0]
    return MechanismsResult(
        convergence_point=point,
        momentum=measure_momentum(point, frozen_run),
        clipping=measure_clipping(optimizer, convergence_state, statistics, run),
        schedule=schedule,
        adaptation=measure_adaptation(frozen_optimizer, point, statistics),
    )


def _is_finite(run: Trajectory) -> bool:
    parts = (run.state.astype(np.float64), run.update, run.parameters)
    return all(bool(np.all(np.isfinite(part))) for part in parts)


def _root_mean_square(values: Float) -> float:
    largest = float(np.abs(values).max(initial=0.0))  # avoids overflow of the squares
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0


def _has_derivatives(optimizer: Optimizer) -> bool:
    return np.issubdtype(np.asarray(optimizer.initial_state(1)).dtype, np.floating)


def _without_frozen(run: Trajectory, optimizer: Optimizer) -> Trajectory:
    """The run in terms of the state variables that are not frozen in an optimizer."""
    free = optimizer.free if isinstance(optimizer, FrozenStateOptimizer) else slice(None)
    return run._replace(state=run.state[:, :, free])


def _starts(run: Trajectory) -> Float:
    """128 states, evenly spaced over all steps and components, (128, n_state)."""
    states = np.concatenate(list(run.state))
    return np.asarray(states[np.linspace(0, len(states) - 1, MAX_STARTS).astype(int)])
