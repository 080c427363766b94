"""The trials that measure mechanisms, in every implementation by itself."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from loptbench.discovery import DiscoveredImplementation, oracle
from loptbench.mechanisms.analysis import Analysis, analyze
from loptbench.mechanisms.comparison import compare_analyses
from loptbench.optimizers import OptimizerSpec, momentum, sgd
from loptbench.results.store import TrialStatus
from loptbench.rollout.evaluation import problems_at_once
from loptbench.rollout.trajectory import run
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.trials import Result, Trial, bind, comparison_dict, learned, trial_key
from loptbench.tasks import get_task
from loptbench.tuning.tuned_file import Tuned

N_ANALYSIS = 64

CONTROLS = {"sgd": sgd(0.1), "momentum": momentum(0.1, 0.9)}
"""Optimizers whose momentum is known: 0, and beta."""


class Expected:
    """The oracle's analyses, each made when it is first asked for, and kept for the others."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, int], Analysis] = {}

    def of(self, spec: OptimizerSpec, task: str, seed: int) -> Analysis:
        """What the oracle finds of an optimizer on a task."""
        key = (weights_hash(spec), task, seed)
        if key not in self._found:
            self._found[key] = _measured(oracle(), spec, task, seed)
        return self._found[key]


def mechanism_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    together: Collection[str],
    tuned: Tuned | None,
    seed: int,
    tasks: Collection[str],
    expected: Expected,
) -> Iterator[Trial]:
    """The mechanism trials of one implementation.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers that it measures, by name.
        together: those that all implementations measure, and are held together on.
        tuned: the baselines, if it is the one to measure them; else None.
        seed: the seed of the evaluation problems.
        tasks: the tasks.
        expected: what the oracle finds.
    """
    one = entry.implementation
    labels = {f"checkpoint {name}" for name in together}
    wanted = [
        (label, spec, task, label in labels) for label, spec, task, _ in learned(checkpoints, tasks)
    ]
    wanted += [(label, spec, "quadratic", True) for label, spec in CONTROLS.items()]
    if tuned is not None:
        wanted += [
            (f"tuned {found.kind}", found.spec, task, False)
            for task in tasks
            for found in tuned.of(get_task(task))
        ]
    for label, spec, task, is_held in wanted:
        if task in tasks and task in one.tasks and spec.kind in one.optimizers:
            key = trial_key(entry, "mechanisms", label, spec, task, seed, "float64")
            key |= {"n_problems": analysis_size(spec.n_state, task), "held": is_held}
            yield Trial(
                key, bind(_mechanisms, one, spec, task, seed, expected if is_held else None)
            )


def analysis_size(n_state: int, task_name: str) -> int:
    """How many problems an optimizer's mechanisms are measured on: as many as memory allows."""
    task = get_task(task_name)
    batch = task.sample("evaluate", 0, [0])
    return min(N_ANALYSIS, problems_at_once(n_state, batch, task.n_steps))


def _measured(
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


def _mechanisms(
    implementation: Any, spec: OptimizerSpec, task: str, seed: int, expected: Expected | None
) -> Result:
    wanted = None if expected is None else expected.of(spec, task, seed)
    found = _measured(implementation, spec, task, seed, wanted)
    result = found.as_dict()
    if wanted is None:
        return TrialStatus.OK, "", result
    compared = compare_analyses(found, wanted)
    result["agreement"] = [comparison_dict(c, False) for c in compared]
    deviations = [comparison.deviation for comparison in compared if not comparison.ok]
    if deviations:
        return TrialStatus.FAILED, deviations[0], result
    return TrialStatus.OK, "", result
