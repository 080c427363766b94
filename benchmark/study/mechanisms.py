"""The mechanism trials: the probes of every optimizer in each implementation."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from loptbench.discovery import DiscoveredImplementation, oracle
from loptbench.mechanisms.analysis import Analysis, analyze
from loptbench.mechanisms.comparison import compare_analyses
from loptbench.optimizers import OptimizerSpec, momentum, sgd
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.mechanisms import MechanismsResult
from loptbench.results.schema.records import TrialStatus
from loptbench.rollout.evaluation import problems_at_once
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

N_ANALYSIS = 64
"""Number of problems on which mechanisms are measured, if memory allows."""

CONTROLS = {"sgd": sgd(0.1), "momentum": momentum(0.1, 0.9)}
"""Optimizers whose momentum index is known: 0, and beta."""


class OracleAnalyses:
    """The oracle's analyses, each made when first needed, and kept."""

    def __init__(self) -> None:
        self._analyses: dict[tuple[str, str, int], Analysis] = {}

    def of(self, spec: OptimizerSpec, task: str, seed: int) -> Analysis:
        """The oracle's analysis of an optimizer on a task."""
        key = (weights_hash(spec), task, seed)
        if key not in self._analyses:
            self._analyses[key] = _analyze(oracle(), spec, task, seed)
        return self._analyses[key]


def mechanism_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    shared: Collection[str],
    tuned: Tuned | None,
    seed: int,
    tasks: Collection[str],
    oracle: OracleAnalyses,
) -> Iterator[Trial]:
    """The mechanism trials of one implementation.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers that it measures, by name.
        shared: the names of those that are compared with the oracle.
        tuned: the baselines, if this implementation is to measure them; else None.
        seed: the seed of the problems.
        tasks: the tasks' names.
        oracle: the oracle's analyses.
    """
    implementation = entry.implementation
    wanted = [
        (one.optimizer, one.spec, one.task, one.name in shared)
        for one in learned(checkpoints, tasks)
    ]
    wanted += [
        (OptimizerId(role=Role.CONTROL, name=name), spec, "quadratic", True)
        for name, spec in CONTROLS.items()
    ]
    if tuned is not None:
        wanted += [
            (OptimizerId(role=Role.TUNED, name=baseline.kind), baseline.spec, task, False)
            for task in tasks
            for baseline in tuned.of(get_task(task))
        ]
    for optimizer, spec, task, compared in wanted:
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
            yield Trial(key, bind(_measure, implementation, spec, task, seed, expected))


def analysis_size(n_state: int, task_name: str) -> int:
    """Number of problems on which an optimizer is analyzed: as many as fit into memory."""
    task = get_task(task_name)
    batch = task.sample("evaluate", 0, [0])
    return min(N_ANALYSIS, problems_at_once(n_state, batch, task.n_steps))


def _analyze(
    implementation: Any,
    spec: OptimizerSpec,
    task_name: str,
    seed: int,
    expected: Analysis | None = None,
) -> Analysis:
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(analysis_size(spec.n_state, task_name)))
    # Told of the oracle's gradients, not its own, which are off by rounding: else the points along
    # the S-curve would be others, and near a fold far apart.
    met = expected.met if expected is not None else None
    return analyze(
        implementation.optimizer(spec, "float64", "cpu"),
        run(implementation, spec, batch, task.n_steps),
        met=met,
    )


def _measure(
    implementation: Any, spec: OptimizerSpec, task: str, seed: int, oracle: OracleAnalyses | None
) -> TrialOutcome:
    expected = None if oracle is None else oracle.of(spec, task, seed)
    analysis = _analyze(implementation, spec, task, seed, expected)
    result = MechanismsResult.model_validate_json(json.dumps(analysis.as_dict(), allow_nan=False))
    if expected is None:
        return TrialStatus.OK, "", result
    compared = compare_analyses(analysis, expected)
    agreement = tuple(comparison_result(comparison) for comparison in compared)
    result = result.model_copy(update={"agreement": agreement})
    deviations = [comparison.deviation for comparison in compared if not comparison.ok]
    if deviations:
        return TrialStatus.FAILED, deviations[0], result
    return TrialStatus.OK, "", result
