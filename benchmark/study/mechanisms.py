"""The mechanism trials: the probes of every optimizer in each implementation."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from loptbench.discovery import DiscoveredImplementation, oracle
from loptbench.mechanisms.analysis import analysis_size, analyze, later_runs
from loptbench.mechanisms.comparison import compare_analyses
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.optimizers import OptimizerSpec, momentum, sgd
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.mechanisms import MechanismsResult
from loptbench.results.schema.records import TrialStatus
from loptbench.rollout.trajectory import run
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.trials import (
    Trial,
    TrialOutcome,
    bind,
    comparison_result,
    learned,
    trial_key,
)
from loptbench.tasks import get_task
from loptbench.tuning.tuned_file import Tuned

CONTROLS = {"sgd": sgd(0.1), "momentum": momentum(0.1, 0.9)}
"""Optimizers whose momentum index is known: 0, and beta."""


class AnalysisWithStatistics(NamedTuple):
    """An analysis, and the gradient statistics with which it was made."""

    result: MechanismsResult
    statistics: GradientStatistics


class OracleAnalyses:
    """A cache of the oracle's analyses, each made when first needed."""

    def __init__(self) -> None:
        self._analyses: dict[tuple[str, str, int], AnalysisWithStatistics] = {}

    def of(self, spec: OptimizerSpec, task: str, seed: int) -> AnalysisWithStatistics:
        """The oracle's analysis of an optimizer on a task."""
        key = (weights_hash(spec), task, seed)
        if key not in self._analyses:
            self._analyses[key] = _analyze(oracle(), spec, task, seed)
        return self._analyses[key]


def mechanism_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    shared: Collection[str],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
    oracle: OracleAnalyses,
) -> Iterator[Trial]:
    """The mechanism trials of one implementation.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers that it measures, by name.
        shared: the names of those that are compared with the oracle.
        tuned: the baselines.
        seed: the seed of the problems.
        tasks: the tasks' names.
        oracle: the oracle's analyses.
    """
    implementation = entry.implementation
    candidates = [
        (checkpoint.optimizer, checkpoint.spec, checkpoint.task, checkpoint.name in shared)
        for checkpoint in learned(checkpoints, tasks)
    ]
    candidates += [
        (OptimizerId(role=Role.CONTROL, name=name), spec, "quadratic", True)
        for name, spec in CONTROLS.items()
    ]
    candidates += [
        (OptimizerId(role=Role.TUNED, name=baseline.kind), baseline.spec, task, False)
        for task in tasks
        for baseline in tuned.of(get_task(task))
    ]
    for optimizer, spec, task, compared in candidates:
        is_offered = task in implementation.tasks and spec.kind in implementation.optimizers
        if task in tasks and is_offered:
            key = trial_key(
                entry,
                TrialKind.MECHANISMS,
                optimizer,
                spec,
                task,
                seed,
                "float64",
                n_problems=analysis_size(spec.n_state, task),
                compared_with_oracle=compared,
            )
            expected = oracle if compared else None
            measurement = bind(_measure, implementation, spec, task, seed, expected)
            yield Trial(key, measurement, implementation)


def _analyze(
    implementation: Any,
    spec: OptimizerSpec,
    task_name: str,
    seed: int,
    statistics: GradientStatistics | None = None,
) -> AnalysisWithStatistics:
    """The analysis of an optimizer in one implementation.

    Args:
        implementation: the implementation.
        spec: the optimizer.
        task_name: the task's name.
        seed: the seed of the problems.
        statistics: the gradient statistics of the oracle's runs. With those of its own runs, which
            differ by rounding, an implementation would be measured at other points of the S-curve,
            and near a fold these are far apart.
    """
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(analysis_size(spec.n_state, task_name)))
    optimizer = implementation.optimizer(spec, "float64", "cpu")
    trajectory = run(implementation, spec, batch, task.n_steps)
    statistics = statistics or GradientStatistics.from_run(trajectory)
    later = later_runs(optimizer, implementation, batch, trajectory)
    analysis = analyze(optimizer, trajectory, statistics=statistics, later=later)
    return AnalysisWithStatistics(analysis, statistics)


def _measure(
    implementation: Any, spec: OptimizerSpec, task: str, seed: int, oracle: OracleAnalyses | None
) -> TrialOutcome:
    if oracle is None:
        return TrialStatus.OK, "", _analyze(implementation, spec, task, seed).result
    expected = oracle.of(spec, task, seed)
    result = _analyze(implementation, spec, task, seed, expected.statistics).result
    compared = compare_analyses(result, expected.result)
    agreement = tuple(comparison_result(comparison) for comparison in compared)
    result = result.model_copy(update={"agreement": agreement})
    deviations = [comparison.deviation for comparison in compared if not comparison.ok]
    if deviations:
        return TrialStatus.FAILED, deviations[0], result
    return TrialStatus.OK, "", result
