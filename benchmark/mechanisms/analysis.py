"""All probes on one optimizer, with given runs or with runs on a task's problems."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.adaptation import measure_adaptation
from loptbench.mechanisms.clipping import measure_clipping
from loptbench.mechanisms.convergence import DEFAULT_STEPS, find_convergence_point
from loptbench.mechanisms.dynamics.contract import (
    require_derivatives_at_rest,
    require_derivatives_on_runs,
    require_optimizer,
)
from loptbench.mechanisms.dynamics.counters import (
    FrozenStateOptimizer,
    freeze_counters,
    full_state,
)
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.momentum import measure_momentum
from loptbench.mechanisms.schedule import measure_schedule
from loptbench.mechanisms.states_met import StatesMet, measure_states_met
from loptbench.mechanisms.views import measure_views
from loptbench.protocol import Array, Implementation, Optimizer, Trajectory
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    FrozenVariable,
    MechanismsResult,
    NotApplicable,
)
from loptbench.rollout.evaluation import problems_at_once
from loptbench.rollout.later import (
    LaterRuns,
    continue_runs,
    finite_problems,
    n_continued,
    of_problems,
)
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks import get_task
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

MAX_PROBLEMS = 64
"""Number of problems on which an optimizer is measured, where they fit into memory."""

MIN_PROBLEMS = 2
"""Number of problems below which no run is given up for the sake of time."""

MAX_MULTIPLICATIONS = 2**31
"""Bound of n_components · n_steps · n_state² for more than two problems. Each state is visited some
four times, so this takes a few seconds. The same bounds the gradients of a task."""

MULTIPLICATIONS_PER_FLOAT = 8
"""The multiplications that a float of a gradient's intermediate values counts as. It takes as long
as 16 to 75 of them, because of memory and hyperbolic tangents. With 8, no learned optimizer of 32
units or more has fewer problems for it."""

MAX_STARTS = 128
"""Number of states from real runs from which the convergence point is searched again."""


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
    gradients: Float | None = None,
) -> Measurement:
    """Run an optimizer on problems of a task, and measure it with every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        task: the name of the task.
        seed: the seed of the problems.
        oracle: the implementation of the problems, usually the reference.
        n_problems: the number of problems; if None, `analysis_size` says.
        gradients: the constant gradients of the adaptation probe, none of them zero; 200 over the
            range that the optimizer meets if None.

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
        require_derivatives_on_runs(optimizer, run)
        later = later_runs(optimizer, oracle, batch, run)
        analysis = _analyze(optimizer, run, None, None, later, gradients)
        return Measurement(analysis, run, batch)


def later_runs(
    optimizer: Optimizer, implementation: Implementation, batch: ProblemBatch, run: Trajectory
) -> LaterRuns | None:
    """The continuation of real runs, on their first problems that have not diverged.

    Args:
        optimizer: any optimizer in float64.
        implementation: the implementation of the problems.
        batch: the problems of the runs.
        run: the runs.

    Returns: the continuation; None if all runs have diverged.
    """
    n_steps, _, n_parameters = run.gradient.shape
    finite = np.flatnonzero(finite_problems(run))
    n = n_continued(finite.size, n_parameters, run.state.shape[2], n_steps) if finite.size else 0
    if not n:
        return None
    chosen = finite[:n]
    problems = implementation.problems(batch.part(chosen.tolist()), "float64", "cpu")
    return continue_runs(optimizer, problems, of_problems(run, chosen))


def analysis_size(n_state: int, task: str) -> int:
    """The number of problems on which an optimizer is measured: 64, or fewer where a run is large.

    A large state has fewer problems, for the sake of memory and time, and so has a task whose
    gradients are long to compute; at least two if they fit into memory.

    >>> analysis_size(64, "quadratic"), analysis_size(256, "quadratic"), analysis_size(1, "digits")
    (64, 32, 27)

    Args:
        n_state: the size of the optimizer's state.
        task: the name of the task.
    """
    definition = get_task(task)
    batch = definition.sample("evaluate", 0, [0])
    in_memory = problems_at_once(n_state, batch, definition.n_steps)
    of_optimizer = batch.n_parameters * max(1, n_state) ** 2
    of_task = MULTIPLICATIONS_PER_FLOAT * definition.n_floats
    per_problem = definition.n_steps * max(of_optimizer, of_task)
    return min(MAX_PROBLEMS, in_memory, max(MIN_PROBLEMS, MAX_MULTIPLICATIONS // per_problem))


def analyze(
    optimizer: Optimizer,
    run: Trajectory | None = None,
    n_steps: int | None = None,
    statistics: GradientStatistics | None = None,
    later: LaterRuns | None = None,
    gradients: Float | None = None,
) -> MechanismsResult:
    """Measure an optimizer with every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        run: its runs on a task, for the probes that need runs.
        n_steps: T; the number of steps of the runs if None, or 201.
        statistics: the gradients that it meets; those of `run` if None.
        later: the continuation of the runs.
        gradients: the constant gradients of the adaptation probe; see `measure`.

    Returns: the result of each probe, or why there is none.

    Raises:
        ContractError: the optimizer does not keep to the protocol.
    """
    require_optimizer(optimizer)
    return _analyze(optimizer, run, n_steps, statistics, later, gradients)


def _analyze(
    optimizer: Optimizer,
    run: Trajectory | None,
    n_steps: int | None,
    statistics: GradientStatistics | None,
    later: LaterRuns | None,
    gradients: Float | None,
) -> MechanismsResult:
    """`analyze`, of an optimizer that has been checked."""
    statistics = statistics or GradientStatistics.from_run(run)
    n_steps = n_steps or (len(run.loss) if run is not None else DEFAULT_STEPS)
    runs = _Runs.of(run, later)
    typical_update = None if runs.run is None else _root_mean_square(runs.run.update)
    met = _states_met(optimizer, runs, statistics.typical)
    schedule = measure_schedule(optimizer, statistics, n_steps, met.get("T"))
    frozen: tuple[FrozenVariable, ...] = ()
    frozen_optimizer, not_frozen = optimizer, ""
    if _has_derivatives(optimizer):
        freezing = freeze_counters(optimizer, statistics.largest)
        if isinstance(freezing, NotApplicable):
            not_frozen = freezing.reason
        else:
            frozen_optimizer, frozen = freezing
    frozen_runs = runs.without_frozen(frozen_optimizer)
    starts = None if frozen_runs.run is None else _starts(frozen_runs.run)
    point: ConvergencePointResult | NotApplicable = (
        NotApplicable(not_applicable=not_frozen)
        if not_frozen
        else find_convergence_point(
            frozen_optimizer, starts, statistics, frozen, typical_update, n_steps
        )
    )
    convergence_state = None
    if isinstance(point, ConvergencePointResult):
        convergence_state = full_state(frozen_optimizer, point.state[None])[0]
        require_derivatives_at_rest(optimizer, convergence_state, statistics.typical)
    momentum = measure_momentum(point, frozen_runs.run, frozen_runs.last, runs.missing)
    adaptation = measure_adaptation(
        frozen_optimizer, point, statistics, n_steps, gradients, not_frozen
    )
    return MechanismsResult(
        convergence_point=point,
        momentum=momentum,
        clipping=measure_clipping(optimizer, convergence_state, statistics, runs.run, met),
        schedule=schedule,
        adaptation=adaptation,
        views=measure_views(
            frozen_optimizer, point, momentum, adaptation, starts, statistics, n_steps
        ),
    )


class _Runs(NamedTuple):
    """The runs that have not diverged, and what is missing.

    Attributes:
        run: the first T steps; None if all have diverged, or if there are none.
        last: the last T of 5 T steps; None if there are none.
        missing: why some are missing; empty if none are.
        second: the second T steps.
    """

    run: Trajectory | None
    last: Trajectory | None
    missing: str
    second: Trajectory | None = None

    @classmethod
    def of(cls, run: Trajectory | None, later: LaterRuns | None) -> "_Runs":
        """Those of all runs and their continuation that are finite numbers."""
        if run is None:
            return cls(None, None, "")
        finite = finite_problems(run)
        n_diverged = int(np.sum(~finite))
        missing = [f"{n_diverged} of {finite.size} runs diverged"] if n_diverged else []
        kept = of_problems(run, np.flatnonzero(finite)) if finite.any() else None
        last = None
        if later is not None:
            lasting = finite_problems(later.second) & finite_problems(later.last)
            last = of_problems(later.last, np.flatnonzero(lasting)) if lasting.any() else None
            if not lasting.all():
                missing.append(f"{np.sum(~lasting)} of {lasting.size} diverged before 5 T steps")
        second = later.second if later is not None and finite_problems(later.second).all() else None
        return cls(kept, last, "; ".join(missing), second)

    def without_frozen(self, optimizer: Optimizer) -> "_Runs":
        """The runs in terms of the state variables that are not frozen in an optimizer."""
        run, last = (
            part and part._replace(state=_free(part.state, optimizer))
            for part in (self.run, self.last)
        )
        return _Runs(run, last, self.missing)


def _free(state: Array, optimizer: Optimizer) -> Array:
    """The state variables that are not frozen in an optimizer, the last axis."""
    return state[..., optimizer.free] if isinstance(optimizer, FrozenStateOptimizer) else state


def _states_met(optimizer: Optimizer, runs: _Runs, typical: float) -> dict[str, StatesMet]:
    """The response at the states of real runs, over T and, where they go on, over 2 T steps."""
    if runs.run is None:
        return {}
    met = measure_states_met(optimizer, runs.run, typical)
    if runs.second is None:
        return {"T": met}
    return {"T": met, "2T": met.then(measure_states_met(optimizer, runs.second, typical))}


def _root_mean_square(values: Float) -> float:
    largest = float(np.abs(values).max(initial=0.0))  # avoids overflow of the squares
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0


def _has_derivatives(optimizer: Optimizer) -> bool:
    return np.issubdtype(np.asarray(optimizer.initial_state(1)).dtype, np.floating)


def _starts(run: Trajectory) -> Float:
    """128 states, evenly spaced over all steps and components, (128, n_state)."""
    n_steps, n_components, n_state = run.state.shape
    states = run.state.reshape(n_steps * n_components, n_state)
    return np.asarray(states[np.linspace(0, len(states) - 1, MAX_STARTS).astype(int)])
